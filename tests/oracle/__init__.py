"""The naive oracle: what the answer is, computed in the slowest and plainest way.

`asks` are the words (filters, sorts, windows, writes) as plain data, `truth` says for which rows a filter is true and
how values order, and `model` keeps tables as dicts, applies writes row by row and answers queries by looking at every
row. Nothing here imports the engine, so a mistake there cannot be repeated here by accident.
"""
