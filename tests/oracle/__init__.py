"""The naive oracle: what the answer is, computed in the slowest and plainest way.

`asks` and `question` are the words (conditions, writes, queries) as plain data; `part` is a tree that is written down
as an expression, and `expressions` says what it is. `truth` says for which rows a condition is true and how values
order. `joining`, `grouping`, `aggregates`, `windowing` and `trees` are one step of a query each, over a `relation`;
`answer` does one after the other. `model` keeps tables as dicts, applies writes row by row and answers by looking at
every row. Nothing here imports the engine, so a mistake there cannot be repeated here by accident.
"""
