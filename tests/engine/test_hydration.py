"""Sessions and queries whose sorting runs elsewhere: the same as those opened at once, whatever happens between."""

from __future__ import annotations

import threading

import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub, Limits
from tesseract_grpc.engine.live.session import QueryResult
from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.filter import Compare, CompareOp, Custom
from tesseract_grpc.engine.query.query import Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey

SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("name", DataType.STRING),
        ColumnSchema("size", DataType.INT64),
    )
)
QUERIES = [
    Query("t", sort=(SortKey("name"), SortKey("size", descending=True))),
    Query("t", filter=Compare("size", CompareOp.GREATER, 3), sort=(SortKey("name", descending=True),)),
    Query("t", filter=Compare("size", CompareOp.LESS, 8)),
]


def _hub(commits: int = 100) -> Hub:
    hub = Hub(epoch="e", limits=Limits(history=HistoryLimits(commits=commits)))
    hub.create_table("t", SCHEMA)
    _write(hub, WriteKind.INSERT, [{"id": i, "name": f"n{i * 7 % 5}", "size": i % 11} for i in range(200)])
    return hub


def _write(hub: Hub, kind: WriteKind, rows: list[dict[str, object]]) -> None:
    hub.commit([Write("t", kind, Batch.of_rows(SCHEMA.columns, rows))])  # type: ignore[arg-type]  # plain rows


def _disturb(hub: Hub) -> None:
    """Inserts, updates, deletes, and texts at the front in falling order, which use up the gap of the order labels."""
    _write(hub, WriteKind.UPDATE, [{"id": 5, "name": "n1", "size": 9}])
    _write(hub, WriteKind.DELETE, [{"id": 6}, {"id": 7}])
    for number in range(60):
        _write(hub, WriteKind.UPSERT, [{"id": 1000 + number, "name": f"n1{'a' * (60 - number)}", "size": number % 11}])
    _write(hub, WriteKind.INSERT, [{"id": 6, "name": "n0", "size": 4}])


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("commits", [100, 2])
def test_a_session_that_is_sorted_elsewhere_has_missed_nothing(query: Query, commits: int) -> None:
    hub = _hub(commits)
    hydration = hub.begin_session(query, big=1)
    assert hydration is not None
    _disturb(hub)
    worker = threading.Thread(target=hydration.sorting.run)
    worker.start()
    worker.join()
    session = hub.open_session(query, "s", hydration=hydration)
    hub.check()
    assert session.read().rows.to_rows() == hub.query(query).rows.to_rows()
    _write(hub, WriteKind.UPDATE, [{"id": 9, "name": "n4", "size": 7}])
    hub.check()


def test_a_result_that_exists_is_not_hydrated_again() -> None:
    hub = _hub()
    hub.open_session(QUERIES[0], "first")
    assert hub.begin_session(QUERIES[0], big=1) is None


def test_a_small_session_is_opened_at_once() -> None:
    assert _hub().begin_session(QUERIES[0], big=1000) is None


def test_a_hydration_of_a_table_that_was_replaced_is_not_used() -> None:
    hub = _hub()
    hydration = hub.begin_session(QUERIES[0], big=1)
    assert hydration is not None
    hydration.sorting.run()
    hub.drop_table("t")
    hub.create_table("t", SCHEMA)
    session = hub.open_session(QUERIES[0], "s", hydration=hydration)
    assert session.total_count == 0
    hub.check()


COMPUTED = Query("t", Custom("double > 4"), computed=(ComputedColumn("double", expression="size * 2"),))


def test_what_a_session_reads_is_maintained_while_it_is_sorted_elsewhere() -> None:
    hub = _hub()
    hydration = hub.begin_session(COMPUTED, big=1)
    assert hydration is not None
    examined = hub.counters.rows_examined
    _disturb(hub)
    hydration.sorting.run()
    session = hub.open_session(COMPUTED, "s", hydration=hydration)
    assert hub.counters.rows_examined - examined <= hub.table("t").row_count, "the column was worked out again"
    hub.check()
    assert session.read().rows.to_rows() == hub.query(COMPUTED).rows.to_rows()
    hub.close_session("s")
    hub.check()
    assert not hub.timely and hub.explain(COMPUTED).inputs[0].inputs[0].commits == 0, "something was left behind"


def test_a_hydration_that_is_given_up_leaves_nothing_behind() -> None:
    hub = _hub()
    hydration = hub.begin_session(COMPUTED, big=1)
    assert hydration is not None
    for _ in range(2):
        hydration.release()
    _disturb(hub)
    assert hub.check() == 2, "a table and its routing are all that there is"


@pytest.mark.parametrize("query", QUERIES[:2])
@pytest.mark.parametrize("window", [Window(), Window(3, 20)])
def test_a_big_query_is_that_of_its_moment(query: Query, window: Window) -> None:
    hub = _hub()
    expected = hub.query(query, window)
    pending = hub.begin_query(query, window, big=1)
    assert not isinstance(pending, QueryResult)
    _disturb(hub)
    result = pending()
    assert result.rows.to_rows() == expected.rows.to_rows()
    assert (result.version, result.total_count) == (expected.version, expected.total_count)
