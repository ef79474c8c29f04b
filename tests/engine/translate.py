"""The tests' questions and writes in the engine's words, and the engine's changes on the wire.

The encoding here is the naive one of tests/wire.py and not the server's: so the engine's changes are judged by the
validators and the mirror that users have, and nothing of the server takes part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import change_pb2, session_service_pb2
from tesseract_grpc.engine.data.commit import Condition, Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, IndexKind, IndexSchema, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.live.changes import Changes
from tesseract_grpc.engine.query import filter_tree as tree
from tesseract_grpc.engine.query.literal import Timestamp
from tesseract_grpc.engine.query.query import Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tests import wire
from tests.oracle import asks

OPERATORS = {
    "==": tree.CompareOp.EQUAL,
    "!=": tree.CompareOp.NOT_EQUAL,
    "<": tree.CompareOp.LESS,
    "<=": tree.CompareOp.LESS_OR_EQUAL,
    ">": tree.CompareOp.GREATER,
    ">=": tree.CompareOp.GREATER_OR_EQUAL,
}


def schema(table: asks.Definition) -> TableSchema:
    return TableSchema(
        tuple(
            ColumnSchema(
                field.name, DataType[field.type.upper()], field.key, field.required, field.default, field.names
            )
            for field in table.fields
        )
    )


def index(column: str, kind: str) -> IndexSchema:
    return IndexSchema(column, IndexKind[kind.upper()])


def filter_of(ask: asks.Ask, table: asks.Definition) -> tree.Filter:
    def literal(column: str, value: Any) -> Any:
        field = next(field for field in table.fields if field.name == column)
        return Timestamp(value) if field.type == "timestamp" and value is not None else value

    match ask:
        case asks.AllOf(parts):
            return tree.AllOf(tuple(filter_of(part, table) for part in parts))
        case asks.AnyOf(parts):
            return tree.AnyOf(tuple(filter_of(part, table) for part in parts))
        case asks.Not(inner):
            return tree.Negate(filter_of(inner, table))
        case asks.Compare(column, operator, value):
            return tree.Compare(column, OPERATORS[operator], literal(column, value))
        case asks.In(column, values, negated):
            return tree.In(column, tuple(literal(column, value) for value in values), negated)
        case asks.Between(column, lower, upper):
            return tree.Between(column, literal(column, lower), literal(column, upper))
        case asks.Like(column, pattern, negated):
            return tree.Like(column, pattern, negated)
        case asks.Regex(column, pattern, any_case, negated):
            return tree.Regex(column, pattern, any_case, negated)
        case asks.IsNull(column, negated):
            return tree.NullTest(column, negated)


def query(ask: asks.Question, table: asks.Definition) -> Query:
    sort = tuple(SortKey(by.column, by.descending, by.nulls_first) for by in ask.sort)
    return Query(ask.table, None if ask.filter is None else filter_of(ask.filter, table), ask.columns, sort)


def window(span: asks.Span) -> Window:
    return Window(span.offset, span.limit)


def write(put: asks.Put, table: asks.Definition) -> Write:
    only = put.only
    condition = None
    if only is not None:
        inner = None if only.if_filter is None else filter_of(only.if_filter, table)
        condition = Condition(only.if_version, only.if_absent, inner, only.skip)
    return Write(
        put.table,
        WriteKind[put.kind.upper()],
        rows=None if put.filter is not None else Batch.of_rows(schema(table).columns, put.rows),
        filter=None if put.filter is None else filter_of(put.filter, table),
        ignore_missing=put.lenient and put.kind in ("update", "increment"),
        must_exist=put.strict and put.kind == "delete",
        condition=condition,
    )


Response = session_service_pb2.WatchSessionResponse


def said(begins: int, ends: int, continued: bool = False, **event: Any) -> Response:
    return Response(from_version=begins, to_version=ends, continued=continued, generation=1, **event)


def opening(types: wire.Types, keys: Sequence[str], snapshot: Any) -> list[Response]:
    """Begin, the snapshot in two pieces, its end."""
    version, rows = snapshot.version, snapshot.rows.to_rows()
    half = len(rows) // 2
    begin = change_pb2.Begin(epoch="test", columns=wire.columns(types, keys))
    pieces = [(0, rows[:half]), (half, rows[half:])] if rows else []
    return [
        said(version, version, begin=begin),
        *(
            said(
                version,
                version,
                True,
                snapshot_rows=change_pb2.SnapshotRows(rows=wire.batch(part, types), start_index=at),
            )
            for at, part in pieces
        ),
        said(
            version,
            version,
            snapshot_end=change_pb2.SnapshotEnd(row_count=len(rows), total_count=snapshot.total_count),
        ),
    ]


def changed(types: wire.Types, changes: Changes) -> Response:
    """The engine's net change as one response."""

    def places(rows: Batch, indexes: Any) -> list[tuple[Mapping[str, Any], int]]:
        return list(zip(rows.to_rows(), [int(at) for at in indexes], strict=True))

    message = change_pb2.Changes(
        removes=[
            change_pb2.Removes(
                reason=int(part.reason),  # type: ignore[arg-type]
                keys=wire.batch(part.keys.to_rows(), types),
                old_rows=None if part.old_rows is None else wire.batch(part.old_rows.to_rows(), types),
            )
            for part in changes.removes
        ],
        updates=[
            change_pb2.Updates(
                rows=wire.batch(part.rows.to_rows(), types),
                old_values=None if part.old_values is None else wire.batch(part.old_values.to_rows(), types),
            )
            for part in changes.updates
        ],
        total_count=changes.total_count,
    )
    if changes.moves is not None:
        placed = places(changes.moves.keys, changes.moves.indexes)
        message.moves.CopyFrom(wire.changes(types, moves=placed).moves)
    if changes.inserts is not None and changes.inserts.indexes is not None:
        placed = places(changes.inserts.rows, changes.inserts.indexes)
        message.inserts.CopyFrom(wire.changes(types, inserts=placed).inserts)
    elif changes.inserts is not None:
        message.inserts.rows.CopyFrom(wire.batch(changes.inserts.rows.to_rows(), types))
    return said(changes.from_version, changes.to_version, changes=message)
