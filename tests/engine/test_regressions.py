"""Bugs that were found, each by the machine, as the shortest history that shows it."""

from __future__ import annotations

import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import Condition, Write, WriteKind
from tesseract_grpc.engine.data.errors import CommitRefused
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub, Limits
from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.filter import Custom
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.source import Join, JoinKey, QuerySource, TableSource
from tesseract_grpc.engine.query.window_column import WindowColumn, WindowFunction

COLUMNS = (ColumnSchema("id", DataType.INT64, primary_key=True), ColumnSchema("n", DataType.INT64))


def hub_of(rows: int) -> Hub:
    hub = Hub("test", epoch="test")
    hub.create_table("t", TableSchema(COLUMNS))
    if rows:
        write(hub, WriteKind.INSERT, *({"id": key, "n": key} for key in range(rows)))
    return hub


def write(hub: Hub, kind: WriteKind, *rows: dict[str, int]) -> None:
    hub.commit([Write("t", kind, rows=Batch.of_rows(COLUMNS, rows))])


def test_history_is_forgotten_when_nobody_watches_any_more() -> None:
    """What had been recorded for the last watch stayed for ever, older than the history said it was."""
    for batch in (1, 2):
        hub = hub_of(3)
        session = hub.open_session(Query("t"), "s")
        watch = session.watch()
        watch.snapshot()
        write(hub, WriteKind.UPDATE, *({"id": key, "n": 10} for key in range(batch)))
        watch.close()
        write(hub, WriteKind.UPDATE, *({"id": key, "n": 20} for key in range(batch)))
        hub.check()
        assert len(session.result.history) == 0


def test_a_key_that_was_deleted_and_inserted_again_is_not_removed_and_inserted_by_one_change() -> None:
    """Rows are known by key: a key that the reader has and that is there again is updated, and moved."""
    for window in (Window(), Window(0, 2)):
        hub = hub_of(3)
        watch = hub.open_session(Query("t"), "s").watch(window)
        watch.snapshot()
        write(hub, WriteKind.DELETE, {"id": 0}, {"id": 1}, {"id": 2})
        write(hub, WriteKind.INSERT, {"id": 1, "n": 7}, {"id": 0, "n": 0})
        changes = watch.take()
        removed = [row["id"] for part in changes.removes for row in part.keys.to_rows()]
        assert removed == ([2] if window.whole else [])
        assert changes.inserts is None
        assert changes.moves is not None
        assert [row["id"] for row in changes.moves.keys.to_rows()] == [1, 0]
        assert changes.moves.indexes.tolist() == [0, 1]
        assert {row["id"]: row["n"] for part in changes.updates for row in part.rows.to_rows()} == {0: 0, 1: 7}


def test_a_table_watch_has_the_old_values_of_a_key_that_is_back() -> None:
    hub = hub_of(1)
    watch = hub.watch_table("t", old_values=True)
    watch.snapshot()
    write(hub, WriteKind.DELETE, {"id": 0})
    write(hub, WriteKind.INSERT, {"id": 0, "n": 7})
    changes = watch.take()
    assert not changes.removes
    assert changes.inserts is None
    (update,) = changes.updates
    assert update.rows.to_rows() == [{"id": 0, "n": 7}]
    assert update.old_values is not None
    assert update.old_values.to_rows() == [{"n": 0}]


def test_a_key_that_is_back_but_not_in_the_result_was_removed() -> None:
    hub = hub_of(2)
    watch = hub.open_session(Query("t", sort=(SortKey("n", descending=True),)), "s").watch(Window(0, 1))
    watch.snapshot()
    write(hub, WriteKind.DELETE, {"id": 1})
    write(hub, WriteKind.INSERT, {"id": 1, "n": -1})
    changes = watch.take()
    (removes,) = changes.removes
    assert (removes.reason.name, removes.keys.to_rows()) == ("DELETED", [{"id": 1}])
    assert changes.inserts is not None
    assert changes.inserts.rows.to_rows() == [{"id": 0, "n": 0}]


def test_a_refused_row_is_numbered_as_in_the_request_when_rows_before_it_were_skipped() -> None:
    hub = hub_of(1)
    rows = Batch.of_rows(hub.table("t").schema.columns, [{"id": 0}, {"id": 7}, {"id": 7}])
    condition = Condition(if_absent=True, skip_unmatched=True)
    with pytest.raises(CommitRefused) as caught:
        hub.commit([Write("t", WriteKind.INSERT, rows, condition=condition)])
    assert [problem.row for problem in caught.value.problems] == [1]


@pytest.mark.parametrize("deleted", [(1, 3), (3, 1)])
def test_a_refused_commit_gives_back_used_slots_and_new_ones(deleted: tuple[int, int]) -> None:
    """Slots that had been used before were taken for the newest ones, and living rows fell off the end of the table."""
    hub = Hub("test", epoch="test", limits=Limits(history=HistoryLimits(commits=1, rows=1)))
    hub.create_table("t", TableSchema(COLUMNS))
    write(hub, WriteKind.INSERT, *({"id": key, "n": key} for key in range(5)))
    for key in deleted:
        write(hub, WriteKind.DELETE, {"id": key})
    for value in range(4):  # until history has forgotten the removals and their slots are free
        write(hub, WriteKind.UPDATE, {"id": 0, "n": 10 + value}, {"id": 2, "n": 10 + value})
    new = Write("t", WriteKind.INSERT, rows=Batch.of_rows(COLUMNS, [{"id": key} for key in (7, 8, 9)]))
    again = Write("t", WriteKind.INSERT, rows=Batch.of_rows(COLUMNS, [{"id": 0}]))
    with pytest.raises(CommitRefused):
        hub.commit([new, again])
    hub.check()
    assert [row["id"] for row in hub.query(Query("t")).rows.to_rows()] == [0, 2, 4]


def test_a_tree_that_begins_without_rows_sees_those_that_come() -> None:
    """An empty tree was false, and another order was kept in its place."""
    hub = hub_of(0)
    watch = hub.open_session(Query("t", tree="n"), "s").watch()
    watch.snapshot()
    write(hub, WriteKind.INSERT, {"id": 1, "n": 2}, {"id": 2, "n": 7})
    changes = watch.take()
    assert changes.inserts is not None
    assert [row["id"] for row in changes.inserts.rows.to_rows()] == [2, 1]
    hub.check()


def test_an_expression_over_texts_of_which_none_has_ever_come() -> None:
    """Slots without a row have the first text of their column, and there was none."""
    hub = hub_of(3)
    hub.create_table("names", TableSchema((COLUMNS[0], ColumnSchema("name", DataType.STRING))))
    join = Join(TableSource("names"), (JoinKey("n", "id"),))
    session = hub.open_session(Query("t", Custom("(n ? name : name) >= name + 'a'"), joins=(join,)), "s")
    assert session.total_count == 0


@pytest.mark.parametrize("columns", [("n",), ("id", "n")])
def test_columns_that_do_not_show_are_not_in_the_way_of_others(columns: tuple[str, ...]) -> None:
    """A column of a source kept its name although it did not show."""
    hub = hub_of(2)
    inner = Query("t", computed=(ComputedColumn("c", expression="n"),), columns=columns)
    outer = Query(source=QuerySource(inner), computed=(ComputedColumn("c", expression="n + 1"),))
    assert hub.query(outer).rows.to_rows() == [{"id": 0, "n": 0, "c": 1}, {"id": 1, "n": 1, "c": 2}]


def test_what_is_derived_stands_in_the_order_of_its_key_whatever_came_first() -> None:
    """Lists of groups were in the order in which the groups had come."""
    hub = hub_of(0)
    groups = QuerySource(Query("t", group=Grouping(("n",), (Aggregate("rows", "count"),))))
    listed = Query(
        source=groups, group=Grouping((), (Aggregate("all", "array", "n"), Aggregate("first", "first", "n")))
    )
    session = hub.open_session(listed, "s")
    for key, value in ((1, 5), (2, 3), (3, 4)):
        write(hub, WriteKind.INSERT, {"id": key, "n": value})
    assert session.read().rows.to_rows() == [{"group": True, "all": "[3,4,5]", "first": 3}]


def test_a_column_that_repeats_documents_of_which_none_has_ever_come() -> None:
    """The nulls were looked up among the documents."""
    hub = Hub("test", epoch="test")
    columns = (COLUMNS[0], ColumnSchema("j", DataType.JSON))
    hub.create_table("t", TableSchema(columns))
    session = hub.open_session(Query("t", computed=(ComputedColumn("c", expression="j"),)), "s")
    for key, value in ((1, None), (2, None), (3, "[1]")):
        hub.commit([Write("t", WriteKind.INSERT, Batch.of_rows(columns, [{"id": key, "j": value}]))])
    assert [row["c"] for row in session.read().rows.to_rows()] == [None, None, "[1]"]
    hub.check()


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_a_moving_count_of_rows_that_were_among_the_first(rows: int) -> None:
    """Rows below those that came had fewer rows above them before, and kept their counts."""
    hub = hub_of(1)
    column = WindowColumn("c", WindowFunction.COUNT, order_by=(SortKey("n"),), rows=rows)
    session = hub.open_session(Query("t", window_columns=(column,), sort=(SortKey("n"),)), "s")
    for keys in ((1, 2, 3), (4, 5)):
        write(hub, WriteKind.INSERT, *({"id": key, "n": -key} for key in keys))
        hub.check()
    write(hub, WriteKind.DELETE, *({"id": key} for key in (5, 4, 2)))
    hub.check()
    assert [row["c"] for row in session.read().rows.to_rows()] == [min(place, rows) for place in (1, 2, 3)]
