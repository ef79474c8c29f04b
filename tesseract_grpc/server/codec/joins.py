"""Joins between the wire and the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias, cast

from tesseract_grpc.engine.query.source import Join, JoinColumn, JoinKey, JoinKind, RowSource
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.column_names import check_new_name
from tesseract_grpc.server.errors import invalid, limit_exceeded

MAX_JOIN_KEYS = 32
"""The most pairs of columns of a join or a lookup."""

SourceReader: TypeAlias = Callable[[twin.query.Source, str], RowSource]
"""Reads a source that stands at a field."""

SourceWriter: TypeAlias = Callable[[RowSource], twin.query.Source]
"""Writes a source."""


def decode_join(message: twin.query.Join, field: str, source: SourceReader) -> Join:
    """The engine's join."""
    if message.kind not in (0, 1, 2):
        raise invalid(f"there is no kind of join {message.kind}", f"{field}.kind")
    for index, column in enumerate(message.columns):
        if not column.column:
            raise invalid("which column of the source to take is missing", f"{field}.columns[{index}].column")
        if column.name:
            check_new_name(column.name, "a joined column", f"{field}.columns[{index}].name")
    return Join(
        source=source(message.source, f"{field}.source"),
        on=decode_keys(message.on, f"{field}.on"),
        kind=JoinKind(message.kind) if message.kind else JoinKind.INNER,
        columns=tuple(JoinColumn(column.column, column.name) for column in message.columns),
        prefix=message.prefix,
    )


def decode_keys(messages: Sequence[twin.query.JoinKey], field: str) -> tuple[JoinKey, ...]:
    """The pairs of columns that must be equal, at least one."""
    if not messages:
        raise invalid("which columns must be equal is missing: give at least one pair", field)
    if len(messages) > MAX_JOIN_KEYS:
        raise limit_exceeded("max_join_keys", MAX_JOIN_KEYS, f"there are {len(messages)} pairs of columns", field=field)
    for index, key in enumerate(messages):
        for side, name in (("left", key.left), ("right", key.right)):
            if not name:
                raise invalid("the name of a column is missing", f"{field}[{index}].{side}")
    return tuple(JoinKey(key.left, key.right) for key in messages)


def encode_join(join: Join, source: SourceWriter) -> twin.query.Join:
    """A join as a message."""
    return twin.query.Join(
        source=source(join.source),
        kind=cast("twin.query.JoinKind.ValueType", int(join.kind)),
        on=encode_keys(join.on),
        columns=[twin.query.JoinColumn(column=column.column, name=column.name) for column in join.columns],
        prefix=join.prefix,
    )


def encode_keys(keys: Iterable[JoinKey]) -> list[twin.query.JoinKey]:
    """Pairs of columns as messages."""
    return [twin.query.JoinKey(left=key.left, right=key.right) for key in keys]
