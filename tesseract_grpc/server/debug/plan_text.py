"""The plan of a query as a debug record has it.

Without values, only names of columns are told that nobody's rows can have made: those of stored tables, and those that
queries give to what they compute. Columns of a pivot are named by values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.grouping import Aggregate
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import SessionSource
from tesseract_grpc.engine.query.window_column import WindowColumn

Asked = str | Query
"""A session by its id, or a query."""


def plan_text(hub: Hub, asked: Asked, *, values: bool) -> str:
    """What ExplainSession says of it, with values or without. Evaluates a query. Raises what the engine raises."""
    step = hub.explain(asked)
    if values:
        return step.text()
    known = {
        column.name
        for name in hub.tables.keys() - hub.derived_tables.keys()
        for column in hub.tables[name].schema.columns
    }
    seen: set[int] = set()
    for query in hub.derived_tables.values():
        known.update(_given(query, hub.sessions, seen))
    known.update(_given(hub.sessions[asked].query if isinstance(asked, str) else asked, hub.sessions, seen))
    return step.form(known).text()


def _given(part: object, sessions: Mapping[str, object], seen: set[int]) -> Iterator[str]:
    """The names that a query, and the sessions that it reads from, give to columns. O(its parts)."""
    if isinstance(part, (tuple, list)):
        for each in part:
            yield from _given(each, sessions, seen)
    if not is_dataclass(part) or id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, (ComputedColumn, Aggregate, WindowColumn)):
        yield part.name
    if isinstance(part, SessionSource) and part.session in sessions:
        yield from _given(getattr(sessions[part.session], "query", None), sessions, seen)
    for field in fields(part):
        yield from _given(getattr(part, field.name), sessions, seen)
