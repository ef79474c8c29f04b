"""Work is counted, and the counts are asserted: they say that something is cheap more steadily than a clock does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, IndexKind, IndexSchema, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.filter import AllOf, Between, Compare, CompareOp, Filter, In
from tesseract_grpc.engine.query.query import Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey

COLUMNS = (
    ColumnSchema("id", DataType.INT64, primary_key=True),
    ColumnSchema("group", DataType.INT64),
    ColumnSchema("name", DataType.STRING),
    ColumnSchema("price", DataType.FLOAT64),
)
SESSIONS = 10_000
FEWER = 1_000


def hub_of(rows: int, *indexes: IndexSchema) -> Hub:
    hub = Hub("test", epoch="test")
    hub.create_table("t", TableSchema(COLUMNS), indexes)
    everything: list[dict[str, Any]] = [
        {"id": i, "group": i % 100, "name": f"name {i % 1000}", "price": float(i)} for i in range(rows)
    ]
    hub.commit([Write("t", WriteKind.INSERT, rows=Batch.of_rows(COLUMNS, everything))])
    return hub


def update(hub: Hub, *rows: Mapping[str, Any]) -> dict[str, int]:
    """Commits an update and returns what it added to the counters."""
    before = asdict(hub.counters)
    hub.commit([Write("t", WriteKind.UPDATE, rows=Batch.of_rows(COLUMNS, rows))])
    return {name: count - before[name] for name, count in asdict(hub.counters).items()}


def equal(column: str, value: float | str) -> Filter:
    return Compare(column, CompareOp.EQUAL, value)


ROUTES: dict[str, tuple[Filter, ...]] = {
    "equality": tuple(equal("group", 1_000 + number) for number in range(SESSIONS)),
    "text": tuple(equal("name", f"other {number}") for number in range(FEWER)),
    "in": tuple(In("group", (1_000 + number, 50_000 + number)) for number in range(FEWER)),
    "range": tuple(Between("price", 10_000.0 + number, 10_001.0 + number) for number in range(SESSIONS)),
    "and": tuple(
        AllOf((equal("group", 1_000 + number), Compare("price", CompareOp.GREATER, 1.0))) for number in range(FEWER)
    ),
}


@pytest.mark.parametrize("kind", ROUTES)
def test_sessions_that_do_not_match_cost_a_commit_nothing(kind: str) -> None:
    hub = hub_of(100)
    for number, filter in enumerate(ROUTES[kind]):
        hub.open_session(Query("t", filter), f"s{number}")
    # The index of routes is built anew by the next commit; from then on, only matches count.
    update(hub, {"id": 99, "price": -1.0})
    for rows in (1, 50):
        work = update(hub, *({"id": k, "group": 7 + rows, "name": "new", "price": -5.0 - rows} for k in range(rows)))
        assert work["sessions_routed"] == work["rows_routed"] == work["sessions_changed"] == 0
        assert work["rows_written"] == rows
        assert work["rows_examined"] == 0


def test_a_commit_is_offered_to_exactly_the_sessions_that_it_matches() -> None:
    hub = hub_of(100)
    for number in range(SESSIONS // 2):
        hub.open_session(Query("t", equal("group", number % 1_000), sort=(SortKey("price"),)), f"s{number}")
        hub.open_session(Query("t", Between("price", float(number), float(number))), f"p{number}")
    assert hub.counters.plans_shared == SESSIONS // 2 - 1_000
    update(hub, {"id": 99, "price": -1.0})
    for rows in (1, 5):
        keys = range(10 * rows, 11 * rows)
        # Each row leaves the session of its old price and stays in that of its group.
        work = update(hub, *({"id": key, "price": -2.0} for key in keys))
        assert work["sessions_routed"] == work["sessions_changed"] == work["rows_routed"] == 2 * rows
        # Each row leaves one group and enters another.
        work = update(hub, *({"id": key, "group": 500 + key} for key in keys))
        assert work["sessions_routed"] == work["sessions_changed"] == work["rows_routed"] == 2 * rows


def test_a_second_session_on_a_plan_examines_nothing() -> None:
    hub = hub_of(1_000)
    hub.open_session(Query("t", equal("group", 5)), "first")
    before = asdict(hub.counters)
    hub.open_session(Query("t", equal("group", 5), columns=("id",)), "second")
    assert hub.counters.rows_examined == before["rows_examined"]
    assert hub.counters.plans_hydrated == before["plans_hydrated"]
    assert hub.counters.plans_shared == before["plans_shared"] + 1


INDEXED: dict[str, tuple[IndexSchema, Filter, int]] = {
    "hash equality": (IndexSchema("group", IndexKind.HASH), equal("group", 5), 100),
    "hash text": (IndexSchema("name", IndexKind.HASH), equal("name", "name 17"), 10),
    "hash in": (IndexSchema("group", IndexKind.HASH), In("group", (5, 6, 7)), 300),
    "sorted equality": (IndexSchema("group", IndexKind.SORTED), equal("group", 5), 100),
    "sorted range": (IndexSchema("price", IndexKind.SORTED), Between("price", 100.0, 149.0), 50),
    "sorted bound": (IndexSchema("price", IndexKind.SORTED), Compare("price", CompareOp.LESS, 20.0), 20),
}


@pytest.mark.parametrize("kind", INDEXED)
def test_an_indexed_query_examines_only_candidates(kind: str) -> None:
    index, filter, found = INDEXED[kind]
    hub = hub_of(10_000, index)
    before = hub.counters.rows_examined
    result = hub.query(Query("t", filter), Window(0, 10))
    assert result.total_count == found
    # A bound that is left out is a candidate too.
    assert found <= hub.counters.rows_examined - before <= found + 1
    assert hub.counters.index_queries == 1
    hub.set_indexes("t", [])
    before = hub.counters.rows_examined
    assert hub.query(Query("t", filter)).total_count == found
    assert hub.counters.rows_examined - before == 10_000


def test_an_index_finds_what_was_written_since_it_was_built() -> None:
    hub = hub_of(10_000, IndexSchema("group", IndexKind.HASH))
    update(hub, *({"id": key, "group": 5_000} for key in range(30)))
    before = hub.counters.rows_examined
    assert hub.query(Query("t", equal("group", 5_000))).total_count == 30
    assert hub.counters.rows_examined - before < 200
