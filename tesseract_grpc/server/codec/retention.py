"""Retention and memory limits: which rows leave by themselves, and how much memory a table may take."""

from __future__ import annotations

from typing import cast

from google.protobuf.duration_pb2 import Duration

from tesseract_grpc.engine.data.retention import LONGEST_US, MemoryLimit, MemoryPolicy, Retention
from tesseract_grpc.engine.data.table_memory import TableMemory
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.errors import invalid

pb = twin.schema

_POLICIES = {
    pb.MEMORY_POLICY_UNSPECIFIED: MemoryPolicy.REFUSE,
    pb.MEMORY_POLICY_REFUSE: MemoryPolicy.REFUSE,
    pb.MEMORY_POLICY_EVICT: MemoryPolicy.EVICT,
}


def decode_retention(table: pb.Table, field: str) -> Retention | None:
    """The retention of a table; None where there is none. Raises Refusal where a duration is none."""
    if not table.HasField("retention"):
        return None
    message = table.retention
    return Retention(
        max_age_us=_decode_span(message, "max_age", field),
        age_column=message.age_column,
        max_records=message.max_records,
        order_column=message.order_column,
        interval_us=_decode_span(message, "interval", field),
    )


def _decode_span(message: pb.Retention, name: str, field: str) -> int:
    """Microseconds, 0 where nothing is said."""
    if not message.HasField("max_age" if name == "max_age" else "interval"):
        return 0
    span: Duration = getattr(message, name)
    found = span.seconds * 1_000_000 + span.nanos // 1_000
    if not -1_000_000_000 < span.nanos < 1_000_000_000 or not 0 < found <= LONGEST_US:
        raise invalid(
            f"{span.seconds + span.nanos / 1e9:g} s is no time that can pass; leave it out for no limit",
            f"{field}.retention.{name}",
        )
    return found


def encode_retention(retention: Retention | None, table: pb.Table) -> None:
    """Writes a retention into a table; removes it where there is none."""
    table.ClearField("retention")
    if retention is None:
        return
    message = table.retention
    message.age_column, message.order_column = retention.age_column, retention.order_column
    message.max_records = retention.max_records
    if retention.max_age_us:
        message.max_age.FromMicroseconds(retention.max_age_us)
    if retention.interval_us:
        message.interval.FromMicroseconds(retention.interval_us)


def decode_memory_limit(table: pb.Table, field: str) -> MemoryLimit | None:
    """The memory limit of a table; None where there is none. Raises Refusal."""
    if not table.HasField("memory_limit"):
        return None
    policy = _POLICIES.get(table.memory_limit.policy)
    if policy is None:
        raise invalid(f"there is no memory policy {table.memory_limit.policy}", f"{field}.memory_limit.policy")
    return MemoryLimit(table.memory_limit.max_bytes, policy)


def encode_memory_limit(limit: MemoryLimit | None, table: pb.Table) -> None:
    """Writes a memory limit into a table; removes it where there is none."""
    table.ClearField("memory_limit")
    if limit is not None:
        table.memory_limit.max_bytes = limit.max_bytes
        table.memory_limit.policy = cast("pb.MemoryPolicy.ValueType", int(limit.policy))


def encode_memory(memory: TableMemory, table: pb.Table) -> None:
    """Writes what holds the memory of a table into it."""
    table.memory.CopyFrom(
        pb.TableMemory(
            total_bytes=memory.total,
            columns=[
                pb.ColumnMemory(
                    column=column.column,
                    value_bytes=column.values,
                    dictionary_bytes=column.dictionary,
                    dictionary_entries=column.entries,
                )
                for column in memory.columns
            ],
            indexes=[pb.IndexMemory(column=column, bytes=size) for column, size in memory.indexes],
            key_bytes=memory.keys,
            row_bytes=memory.rows,
            history_bytes=memory.history,
        )
    )
