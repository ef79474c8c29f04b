"""What a row is after a write: defaults, what was written, computed columns."""

from __future__ import annotations

from typing import Any

from tests.oracle.asks import Definition, Row
from tests.oracle.expressions import evaluate
from tests.oracle.relation import names_of

LIMIT = 2**63


class Refused(Exception):
    """The whole commit is refused; the model is as before."""


def changed(table: Definition, old: Row, new: Row, add: bool, now: int) -> Row:
    """A row after a write of some of its columns."""
    row = dict(old)
    for field in table.fields:
        if field.name not in new or (add and (field.key or new[field.name] is None)):
            continue
        value: Any = (row[field.name] or 0) + new[field.name] if add else new[field.name]
        row[field.name] = value + 0.0 if isinstance(value, float) else value  # -0.0 is stored as 0.0
        if field.type == "int64" and value is not None and not -LIMIT <= value < LIMIT:
            raise Refused("outside int64")
    for field in table.fields:
        if (field.key or field.required) and row[field.name] is None:
            raise Refused("null where a value is required")
    return computed(table, row, now)


def begun(table: Definition, new: Row, now: int) -> Row:
    """A new row before it is written: its defaults, some of which are worked out of what is written."""
    row: Row = {field.name: new.get(field.name, field.default) for field in table.fields}
    names = names_of(table.fields)
    worked_out = [field for field in table.fields if field.default_of is not None and field.name not in new]
    values = {field.name: evaluate(field.default_of, row, names, now) for field in worked_out if field.default_of}
    return {field.name: values.get(field.name, field.default) for field in table.fields}


def computed(table: Definition, row: Row, now: int) -> Row:
    """The row with its computed columns, which may use each other in any order."""
    row = dict(row)
    waiting = [field for field in table.fields if field.computed is not None]
    for _ in waiting:  # one more of them is right with every round
        for field in waiting:
            if field.computed is not None:
                row[field.name] = evaluate(field.computed, row, names_of(table.fields), now)
    return row
