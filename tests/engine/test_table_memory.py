"""Memory of tables: what is told is what is allocated, and the parts make the whole."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import numpy as np

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.retention import Retention
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, IndexKind, IndexSchema, TableSchema
from tesseract_grpc.engine.data.table_memory import memory_of, table_memory
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.sort_key import SortKey

SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("at", DataType.TIMESTAMP),
        ColumnSchema("name", DataType.STRING),
        ColumnSchema("size", DataType.FLOAT64),
    )
)


def rows(start: int, count: int) -> Batch:
    numbers = np.arange(start, start + count)
    texts = [f"a text that is number {n}" for n in numbers.tolist()]
    return Batch(
        count,
        {
            "id": Vector(DataType.INT64, numbers),
            "at": Vector(DataType.TIMESTAMP, numbers * 1_000),
            "name": Vector(DataType.STRING, np.arange(count, dtype=np.int32), None, texts),
            "size": Vector(DataType.FLOAT64, numbers * 0.5),
        },
    )


def allocated(work: Callable[[], object]) -> tuple[object, int]:
    """What the interpreter has more of after some work."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = work()
        gc.collect()
        return kept, tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def test_a_dictionary_tells_what_it_holds() -> None:
    def fill() -> Dictionary:
        words = Dictionary()
        words.encode([f"word {n}" for n in range(50_000)])
        words.encode(["ä" * 100 + str(n) for n in range(5_000)])
        return words

    words, size = allocated(fill)
    assert isinstance(words, Dictionary)
    assert 0.9 * size < words.memory_bytes() < 1.1 * size
    labels = words.memory_bytes()
    words.labels()
    assert words.memory_bytes() > labels + 8 * len(words)


def test_a_table_tells_what_it_holds() -> None:
    def fill() -> Hub:
        hub = Hub(epoch="e")
        hub.create_table("t", SCHEMA, [IndexSchema("size", IndexKind.SORTED)], retention=Retention(max_records=90_000))
        for start in range(0, 100_000, 10_000):
            hub.commit([Write("t", WriteKind.INSERT, rows(start, 10_000))])
        hub.table("t").settled_index("size")
        return hub

    hub, size = allocated(fill)
    assert isinstance(hub, Hub)
    memory = table_memory(hub.table("t"))
    assert 0.9 * size < memory.total < 1.1 * size, (size, memory)


def test_the_parts_make_the_whole() -> None:
    hub = Hub(epoch="e")
    hub.create_table("t", SCHEMA, [IndexSchema("name", IndexKind.HASH)], retention=Retention(max_records=500))
    hub.create_table("u", SCHEMA)
    for start in range(0, 1_000, 100):
        hub.commit([Write("t", WriteKind.INSERT, rows(start, 100)), Write("u", WriteKind.INSERT, rows(start, 100))])
    hub.open_session(Query("t", sort=(SortKey("name"),)), "s")
    for table in hub.tables.values():
        memory = table_memory(table)
        assert [column.column for column in memory.columns] == ["id", "at", "name", "size"]
        assert memory.total == table.memory_bytes() + memory.history and memory.history > 0
        assert memory.columns[2].entries == 1_000
    assert memory_of(hub.tables.values()) == sum(table.memory_bytes() for table in hub.tables.values())


def test_a_dictionary_that_is_shared_is_counted_once() -> None:
    hub = Hub(epoch="e")
    hub.create_table("t", SCHEMA)
    hub.commit([Write("t", WriteKind.INSERT, rows(0, 5_000))])
    hub.create_derived_table("d", Query("t"))
    alone = hub.table("t").memory_bytes()
    words = hub.table("t").columns[2].dictionary
    assert words is not None
    both = memory_of(hub.tables.values())
    assert both < alone + hub.table("d").memory_bytes() - words.memory_bytes() // 2


def test_the_size_of_history_follows_what_is_kept() -> None:
    hub = Hub(epoch="e")
    hub.create_table("t", SCHEMA)
    log = hub.table("t").changelog
    empty = log.memory_bytes()
    for n in range(50):
        hub.commit([Write("t", WriteKind.UPSERT, rows(n % 7, 1))])
    one = log.memory_bytes()
    assert one > empty
    hub.commit([Write("t", WriteKind.UPSERT, rows(0, 3_000))])
    many = log.memory_bytes()
    assert many > one + 4 * 2_900
    log.check()
    hub.forget_history("t")
    assert log.memory_bytes() <= empty
    hub.check()
