"""Columns that are worked out for each row."""

from __future__ import annotations

from dataclasses import dataclass

from tesseract_grpc.engine.query.source import JoinKey, RowSource


@dataclass(frozen=True, slots=True)
class Lookup:
    """A value of the first row of another source that has equal columns. Exactly one of the last three is given."""

    source: RowSource
    on: tuple[JoinKey, ...]
    column: str = ""
    expression: str = ""
    template: str = ""


@dataclass(frozen=True, slots=True)
class ComputedColumn:
    """A column that an expression, a template or a lookup gives. Exactly one of the three is given."""

    name: str
    expression: str = ""
    template: str = ""
    lookup: Lookup | None = None
