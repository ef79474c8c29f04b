"""Commits: the operations of a WriteRequest as the engine's writes, and what they did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tesseract_grpc.engine.data.commit import Condition, Write, WriteCounts, WriteKind
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.decode import decode_batch
from tesseract_grpc.server.codec.filters import FilterLimits, decode_filter
from tesseract_grpc.server.errors import invalid

TypesOf = Callable[[str], Mapping[str, DataType]]
"""The types of a table's columns, by the table's id; empty for a table that does not exist."""

_KINDS = {
    "insert": WriteKind.INSERT,
    "upsert": WriteKind.UPSERT,
    "update": WriteKind.UPDATE,
    "delete": WriteKind.DELETE,
    "increment": WriteKind.INCREMENT,
}


def decode_operation(
    message: twin.table_service.WriteOperation, table: str, index: int, limits: FilterLimits, types_of: TypesOf
) -> Write:
    """One operation. O(cells)."""
    where = f"operations[{index}]"
    kind = message.WhichOneof("operation")
    if kind is None:
        raise invalid("the operation says nothing to do: set insert, upsert, update, delete or increment", where)
    condition = _condition(message, limits, where)
    inner: Any = getattr(message, kind)
    if kind == "delete":
        return _delete(inner, table, condition, limits, f"{where}.delete", types_of)
    rows = decode_batch(inner.rows, f"{where}.{kind}.rows", types_of(table))
    ignore_missing = inner.ignore_missing if kind in ("update", "increment") else False
    return Write(table, _KINDS[kind], rows=rows, ignore_missing=ignore_missing, condition=condition)


def _delete(
    message: twin.table_service.Delete,
    table: str,
    condition: Condition | None,
    limits: FilterLimits,
    where: str,
    types_of: TypesOf,
) -> Write:
    if message.HasField("keys") == message.HasField("filter"):
        raise invalid("a delete needs either keys or a filter", where)
    if message.HasField("keys"):
        keys = decode_batch(message.keys, f"{where}.keys", types_of(table))
        return Write(table, WriteKind.DELETE, rows=keys, must_exist=message.must_exist, condition=condition)
    condition_on_rows = decode_filter(message.filter, limits, f"{where}.filter")
    if condition_on_rows is None:
        raise invalid("a delete by filter needs a condition; an empty all_of deletes every row", f"{where}.filter")
    return Write(table, WriteKind.DELETE, filter=condition_on_rows, condition=condition)


def _condition(message: twin.table_service.WriteOperation, limits: FilterLimits, where: str) -> Condition | None:
    if not message.HasField("condition"):
        return None
    inner = message.condition
    if_filter = None
    if inner.HasField("if_filter"):
        if_filter = decode_filter(inner.if_filter, limits, f"{where}.condition.if_filter")
    return Condition(
        if_version=inner.if_version if inner.HasField("if_version") else None,
        if_absent=inner.if_absent,
        if_filter=if_filter,
        skip_unmatched=inner.skip_unmatched,
    )


def encode_counts(counts: Iterable[WriteCounts]) -> list[twin.table_service.OperationResult]:
    """What each operation did."""
    return [
        twin.table_service.OperationResult(
            inserted=count.inserted, updated=count.updated, deleted=count.deleted, skipped=count.skipped
        )
        for count in counts
    ]


def row_count(message: twin.table_service.WriteRequest) -> int:
    """The rows that a request brings. O(operations)."""
    total = 0
    for operation in message.operations:
        kind = operation.WhichOneof("operation")
        if kind is not None:
            inner: Any = getattr(operation, kind)
            total += (inner.keys if kind == "delete" else inner.rows).row_count
    return total
