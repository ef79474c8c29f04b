"""Retention and limits of memory, as users of the client say them."""

from datetime import timedelta
from typing import Any

import pytest

from tesseract_grpc.client import AsyncEventHorizon, Delta, InvalidRequest, LimitExceeded, Snapshot

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "at", "type": "timestamp"},
    {"name": "name", "type": "string"},
]


async def test_a_ring_keeps_the_last_rows_and_tells_what_left(hub: AsyncEventHorizon, table_id: str) -> None:
    table = await hub.create_tesseract(table_id, COLUMNS, retention={"max_records": 3})
    await table.add([{"id": id} for id in range(3)])
    async with table.watch(snapshot=True) as watch:
        assert isinstance(await watch.__anext__(), Snapshot)
        await table.add({"id": 3})
        delta = await watch.__anext__()
        assert isinstance(delta, Delta)
        removes = [change for change in delta.changes if change.kind == "remove"]
        assert [(change.key, change.reason) for change in removes] == [({"id": 0}, "expired")]
    info = await table.info()
    assert (info.row_count, info.retention) == (3, {"max_records": 3})


async def test_words_of_a_retention(hub: AsyncEventHorizon, table_id: str) -> None:
    words: dict[str, Any] = {"max_age": "24h", "age_column": "at", "max_records": 9, "interval": timedelta(minutes=10)}
    table = await hub.create_tesseract(table_id, COLUMNS, retention=words, memory_limit=1 << 20)
    info = await table.info()
    assert info.retention == {"max_age": 86_400.0, "age_column": "at", "max_records": 9, "interval": 600.0}
    assert info.memory_limit == {"max_bytes": 1 << 20, "policy": "refuse"}
    before = info.update_version
    version = await table.set_retention(max_records=2, order_column="name")
    assert version > before and (await table.info()).retention == {"max_records": 2, "order_column": "name"}
    await table.set_retention({"max_age": 1.5, "age_column": "at"}, max_records=5)
    assert (await table.info()).retention == {"max_age": 1.5, "age_column": "at", "max_records": 5}
    await table.set_retention(None)
    await table.set_memory_limit({"max_bytes": 7_000_000, "policy": "evict"})
    info = await table.info()
    assert (info.retention, info.memory_limit) == (None, {"max_bytes": 7_000_000, "policy": "evict"})
    await table.set_memory_limit(None)
    assert (await table.info()).memory_limit is None


@pytest.mark.parametrize(
    ("retention", "field"),
    [
        ({"maximum": 1}, "retention.maximum"),
        ({"max_age": "soon", "age_column": "at"}, "retention.max_age"),
        ({"max_records": "many"}, "retention.max_records"),
        ({"age_column": 7}, "retention.age_column"),
        ({"max_age": 1, "age_column": "gone"}, "table.retention.age_column"),
        ({"max_age": 1}, "table.retention.age_column"),
        ({"max_age": 1, "age_column": "name"}, "table.retention.age_column"),
        (3, "retention"),
    ],
)
async def test_what_is_no_retention(hub: AsyncEventHorizon, table_id: str, retention: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await hub.create_tesseract(table_id, COLUMNS, retention=retention)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("limit", "field"),
    [
        ("much", "memory_limit.max_bytes"),
        ({"bytes": 1}, "memory_limit.bytes"),
        ({"max_bytes": 1, "policy": "wait"}, "memory_limit.policy"),
        (-1, "table.memory_limit.max_bytes"),
    ],
)
async def test_what_is_no_memory_limit(hub: AsyncEventHorizon, table_id: str, limit: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await hub.create_tesseract(table_id, COLUMNS, memory_limit=limit)
    assert refused.value.field == field


async def test_memory_is_told_and_limited(hub: AsyncEventHorizon, table_id: str) -> None:
    table = await hub.create_tesseract(table_id, COLUMNS, memory_limit=200_000)
    await table.add([{"id": id, "name": f"name {id}"} for id in range(100)])
    memory = (await table.info()).memory
    assert memory is not None and [column.column for column in memory.columns] == ["id", "at", "name"]
    assert memory.columns[2].dictionary_entries == 100 and memory.total_bytes > memory.key_bytes > 0
    with pytest.raises(LimitExceeded) as refused:
        await table.add([{"id": id, "name": f"name {id}"} for id in range(100, 20_000)])
    assert refused.value.reason == "MEMORY_LIMIT"
    assert (await table.info()).row_count == 100
