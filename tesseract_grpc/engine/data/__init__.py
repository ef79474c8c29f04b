"""Rows and their recent history: columns, keys, indexes, deltas, changelog, tables, commits."""
