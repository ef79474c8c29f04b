"""Computed columns and lookups between the wire and the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from tesseract_grpc.engine.query.computed import ComputedColumn, Lookup
from tesseract_grpc.engine.query.source import RowSource
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.column_names import check_new_name
from tesseract_grpc.server.codec.joins import SourceReader, SourceWriter, decode_keys, encode_keys
from tesseract_grpc.server.errors import invalid

KeyOf: TypeAlias = Callable[[RowSource], str]
"""The one key column of a source; empty where that is not known."""


def decode_computed(
    message: twin.query.ComputedColumn, field: str, source: SourceReader, key_of: KeyOf
) -> ComputedColumn:
    """The engine's computed column."""
    check_new_name(message.name, "a computed column", f"{field}.name")
    match message.WhichOneof("value"):
        case "lookup":
            return ComputedColumn(message.name, lookup=_lookup(message.lookup, f"{field}.lookup", source, key_of))
        case "expression" if message.expression:
            return ComputedColumn(message.name, expression=message.expression)
        case "template" if message.template:
            return ComputedColumn(message.name, template=message.template)
    raise invalid(
        f"column '{message.name[:140]}' needs one of expression, template and lookup, and not an empty one", field
    )


def _lookup(message: twin.query.Lookup, field: str, source: SourceReader, key_of: KeyOf) -> Lookup:
    kind = message.WhichOneof("value")
    value = getattr(message, kind) if kind is not None else ""
    if not value:
        raise invalid("what to take of the row found is missing: give one of column, expression and template", field)
    rows = source(message.source, f"{field}.source")
    keys: Sequence[twin.query.JoinKey] = message.on
    if len(keys) == 1 and keys[0].left and not keys[0].right:
        keys = [twin.query.JoinKey(left=keys[0].left, right=key_of(rows))]
    return Lookup(
        source=rows,
        on=decode_keys(keys, f"{field}.on"),
        column=value if kind == "column" else "",
        expression=value if kind == "expression" else "",
        template=value if kind == "template" else "",
    )


def encode_computed(column: ComputedColumn, source: SourceWriter) -> twin.query.ComputedColumn:
    """A computed column as a message."""
    if column.lookup is not None:
        return twin.query.ComputedColumn(name=column.name, lookup=_encode_lookup(column.lookup, source))
    if column.template:
        return twin.query.ComputedColumn(name=column.name, template=column.template)
    return twin.query.ComputedColumn(name=column.name, expression=column.expression)


def _encode_lookup(lookup: Lookup, source: SourceWriter) -> twin.query.Lookup:
    message = twin.query.Lookup(source=source(lookup.source), on=encode_keys(lookup.on))
    if lookup.column:
        message.column = lookup.column
    elif lookup.expression:
        message.expression = lookup.expression
    else:
        message.template = lookup.template
    return message
