"""Which rows leave a table by themselves, and how much memory it may take: as users say it, and as the wire does.

`{"max_age": "24h", "age_column": "at", "max_records": 100_000, "interval": 600}`. A span of time is a number of
seconds, a `timedelta`, or a text with a unit (`"90s"`, `"1.5h"`, `"7d"`). A memory limit is a number of bytes, or a
dict with a policy. What it means for a table is the server's to judge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias, TypedDict

from google.protobuf.duration_pb2 import Duration

from tesseract_grpc._proto.tesseract.v1 import schema_pb2

from .errors import invalid

Span: TypeAlias = float | str | timedelta
"""A span of time: seconds, a text with a unit, or a timedelta."""


class RetentionWords(TypedDict, total=False):
    """What a retention says. `max_age`: how old a row may become, by the timestamp in `age_column`. `max_records`: how
    many rows there may be; those with the least values in `order_column` leave first, without it the oldest, or those
    that came first. `interval`: how often to look, instead of at every tick of the clock and after every commit."""

    max_age: Span | None
    age_column: str | None
    max_records: int | None
    order_column: str | None
    interval: Span | None


RetentionLike: TypeAlias = Mapping[str, Any]
MemoryLimitLike: TypeAlias = int | Mapping[str, Any]
"""Bytes, or `{"max_bytes": .., "policy": "refuse" | "evict"}`."""

_WORDS = tuple(RetentionWords.__annotations__)
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")
_POLICIES = {
    "refuse": schema_pb2.MEMORY_POLICY_REFUSE,
    "evict": schema_pb2.MEMORY_POLICY_EVICT,
}


def retention_of(given: RetentionLike) -> schema_pb2.Retention:
    """The retention that some words say. Raises InvalidRequest where they say none."""
    if not isinstance(given, Mapping):
        raise invalid("MALFORMED_REQUEST", f"a retention is a dict of {', '.join(_WORDS)}", "retention")
    message = schema_pb2.Retention()
    for word, value in given.items():
        field = f"retention.{word}"
        if word not in _WORDS:
            known = ", ".join(_WORDS)
            raise invalid("MALFORMED_REQUEST", f"{word!r} says nothing of a retention; known are {known}", field)
        if value is None:
            continue
        if word in ("max_age", "interval"):
            span = message.max_age if word == "max_age" else message.interval
            span.FromMicroseconds(round(seconds_of(value, field) * 1e6))
        elif word == "max_records":
            if isinstance(value, bool) or not isinstance(value, int):
                raise invalid("MALFORMED_REQUEST", f"max_records is a number of rows, not {value!r}", field)
            message.max_records = value
        elif not isinstance(value, str):
            raise invalid("MALFORMED_REQUEST", f"{word} is the name of a column, not {value!r}", field)
        else:
            setattr(message, word, value)
    return message


def seconds_of(span: object, field: str) -> float:
    """Seconds of a span of time. Raises InvalidRequest where it is none.

    >>> seconds_of("1.5h", "max_age"), seconds_of(timedelta(minutes=1), "max_age"), seconds_of(30, "max_age")
    (5400.0, 60.0, 30.0)
    """
    if isinstance(span, timedelta):
        return span.total_seconds()
    if isinstance(span, int | float) and not isinstance(span, bool):
        return float(span)
    found = _SPAN.fullmatch(span) if isinstance(span, str) else None
    if found is None or found[2] not in _UNITS:
        units = ", ".join(_UNITS)
        raise invalid("MALFORMED_REQUEST", f'a span is seconds, a timedelta or a text as "24h" ({units})', field)
    return float(found[1]) * _UNITS[found[2]]


def retention_words(table: schema_pb2.Table) -> dict[str, Any] | None:
    """The retention of a table in the form that `create_tesseract` takes, times in seconds; None where it has none."""
    if not table.HasField("retention"):
        return None
    message = table.retention
    words: dict[str, Any] = {}
    if message.HasField("max_age"):
        words["max_age"] = _seconds(message.max_age)
    if message.age_column:
        words["age_column"] = message.age_column
    if message.max_records:
        words["max_records"] = message.max_records
    if message.order_column:
        words["order_column"] = message.order_column
    if message.HasField("interval"):
        words["interval"] = _seconds(message.interval)
    return words


def _seconds(span: Duration) -> float:
    return span.seconds + span.nanos / 1e9


def memory_limit_of(given: MemoryLimitLike) -> schema_pb2.MemoryLimit:
    """The memory limit that is meant. Raises InvalidRequest where it is none."""
    words = given if isinstance(given, Mapping) else {"max_bytes": given}
    for word in words:
        if word not in ("max_bytes", "policy"):
            message = f"{word!r} says nothing of a memory limit; known are max_bytes, policy"
            raise invalid("MALFORMED_REQUEST", message, f"memory_limit.{word}")
    most, policy = words.get("max_bytes", 0), words.get("policy", "refuse")
    if isinstance(most, bool) or not isinstance(most, int):
        raise invalid("MALFORMED_REQUEST", f"max_bytes is a number, not {most!r}", "memory_limit.max_bytes")
    if policy not in _POLICIES:
        raise invalid("MALFORMED_REQUEST", f'policy is "refuse" or "evict", not {policy!r}', "memory_limit.policy")
    return schema_pb2.MemoryLimit(max_bytes=most, policy=_POLICIES[policy])


def memory_limit_words(table: schema_pb2.Table) -> dict[str, Any] | None:
    """The memory limit of a table in the form that `create_tesseract` takes; None where it has none."""
    if not table.HasField("memory_limit"):
        return None
    policy = "evict" if table.memory_limit.policy == schema_pb2.MEMORY_POLICY_EVICT else "refuse"
    return {"max_bytes": table.memory_limit.max_bytes, "policy": policy}


def limited(
    table: schema_pb2.Table, retention: RetentionLike | None, memory_limit: MemoryLimitLike | None
) -> schema_pb2.Table:
    """The definition of a table with what is said of it."""
    if retention is not None:
        table.retention.CopyFrom(retention_of(retention))
    if memory_limit is not None:
        table.memory_limit.CopyFrom(memory_limit_of(memory_limit))
    return table


@dataclass(frozen=True, slots=True)
class ColumnMemory:
    """What holds the memory of one column, in bytes."""

    column: str
    value_bytes: int
    dictionary_bytes: int
    """Its distinct texts."""
    dictionary_entries: int
    """How many texts are kept, among them those that no row has any more."""


@dataclass(frozen=True, slots=True)
class TableMemory:
    """What holds the memory of a table, in bytes, as it is allocated."""

    total_bytes: int
    columns: tuple[ColumnMemory, ...]
    indexes: Mapping[str, int]
    """By column."""
    key_bytes: int
    row_bytes: int
    history_bytes: int
    """Of the recent history, from which watches are led on."""

    @classmethod
    def of(cls, memory: schema_pb2.TableMemory) -> TableMemory:
        """From the wire."""
        return cls(
            memory.total_bytes,
            tuple(
                ColumnMemory(each.column, each.value_bytes, each.dictionary_bytes, each.dictionary_entries)
                for each in memory.columns
            ),
            {index.column: index.bytes for index in memory.indexes},
            memory.key_bytes,
            memory.row_bytes,
            memory.history_bytes,
        )
