"""Expressions: text that computes a value from a row. Parsed by a grammar, checked against a schema, never evaluated
as code."""
