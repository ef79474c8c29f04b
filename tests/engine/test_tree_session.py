"""Sessions whose rows are trees: one thing at a time."""

from __future__ import annotations

from typing import Any

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.delta import RemoveReason
from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, IndexSchema, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.filter import Custom
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping, GroupMode
from tesseract_grpc.engine.query.query import Expansion, Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.source import QuerySource
from tesseract_grpc.engine.query.window_column import WindowColumn, WindowFunction

SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.STRING, primary_key=True),
        ColumnSchema("parent", DataType.STRING),
        ColumnSchema("rank", DataType.INT64),
        ColumnSchema("kind", DataType.ENUM, enum_values=("file", "folder")),
    )
)
TREE = Query("t", tree="parent", sort=(SortKey("rank"),))
Row = dict[str, Any]


def put(hub: Hub, *rows: Row) -> None:
    hub.commit([Write("t", WriteKind.UPSERT, Batch.of_rows(SCHEMA.columns, rows))])
    hub.check()


def drop(hub: Hub, *keys: str) -> Write:
    return Write("t", WriteKind.DELETE, Batch.of_rows(SCHEMA.columns, [{"id": key} for key in keys]))


def make(**parents: str | None) -> Hub:
    """A hub with these rows: their parents by key, ranks as they stand."""
    hub = Hub(epoch="test")
    hub.create_table("t", SCHEMA)
    rows = [{"id": key, "parent": parent, "rank": rank} for rank, (key, parent) in enumerate(parents.items())]
    put(hub, *rows)
    return hub


def keys(session: Session, window: Window | None = None) -> str:
    return "".join(str(row["id"]) for row in session.read(window or Window()).rows.to_rows())


FAMILY: dict[str, str | None] = {"a": None, "b": "a", "c": "b", "d": "a", "e": None, "f": "e"}


def test_rows_stand_below_their_parents() -> None:
    hub = make(**FAMILY)
    session = hub.open_session(TREE, "s")
    assert keys(session) == "abcdef"
    put(hub, {"id": "b", "rank": 9})
    assert keys(session) == "adbcef"
    put(hub, {"id": "a", "rank": 9})
    assert keys(session) == "efadbc"


@pytest.mark.parametrize(
    ("expansion", "shown"),
    [
        (Expansion(), "abcdef"),
        (Expansion(0), "ae"),
        (Expansion(1), "abdef"),
        (Expansion(0, frozenset({("a",)})), "abde"),
        (Expansion(0, frozenset({("b",)})), "ae"),
        (Expansion(0, frozenset({("a",), ("b",)})), "abcde"),
        (Expansion(None, frozenset(), frozenset({("a",)})), "aef"),
        (Expansion(None, frozenset(), frozenset({("b",), ("f",), ("nobody",)})), "abdef"),
        (Expansion(0, frozenset({("a",)}), frozenset({("a",)})), "ae"),
    ],
)
def test_a_row_shows_when_all_nodes_above_it_are_open(expansion: Expansion, shown: str) -> None:
    session = make(**FAMILY).open_session(TREE, "s")
    whole = Window(expansion=expansion)
    assert keys(session, whole) == shown
    assert session.read(whole).total_count == len(shown)
    assert keys(session, Window(1, 2, expansion)) == shown[1:3]
    assert session.read(Window(1, 0, expansion)).total_count == len(shown)


def test_a_subtree_moves_with_its_parent_and_nothing_else_does() -> None:
    hub = make(**FAMILY)
    watch = hub.open_session(TREE, "s").watch()
    watch.snapshot()
    put(hub, {"id": "b", "parent": "f"})
    change = watch.take()
    assert change.moves is not None
    assert [row["id"] for row in change.moves.keys.to_rows()] == ["b", "c"]
    assert change.moves.indexes.tolist() == [4, 5]  # after a, d, e, f
    assert [list(update.rows.columns) for update in change.updates] == [["id", "parent"]]
    assert not change.removes
    assert change.inserts is None


def test_rows_whose_parent_leaves_are_roots_until_it_is_back() -> None:
    hub = make(**FAMILY)
    session = hub.open_session(TREE, "s")
    closed = session.watch(Window(expansion=Expansion(0)))
    closed.snapshot()
    hub.commit([drop(hub, "a")])
    hub.check()
    assert keys(session) == "bcdef"
    change = closed.take()
    assert [part.reason for part in change.removes] == [RemoveReason.DELETED]
    assert change.inserts is not None
    assert [row["id"] for row in change.inserts.rows.to_rows()] == ["b", "d"]
    assert change.total_count == 3
    put(hub, {"id": "a", "rank": 0})
    assert keys(session) == "abcdef"
    change = closed.take()
    assert [part.reason for part in change.removes] == [RemoveReason.WINDOW]
    # Deleted and inserted again in one commit: the same row to its children and to readers.
    hub.commit([drop(hub, "a"), Write("t", WriteKind.INSERT, Batch.of_rows(SCHEMA.columns, [{"id": "a", "rank": 7}]))])
    hub.check()
    assert keys(session) == "efabcd"
    change = closed.take()
    assert not change.removes
    assert change.inserts is None


def test_a_parent_that_is_filtered_out_is_not_there() -> None:
    hub = make(**FAMILY)
    session = hub.open_session(Query("t", Custom("id != 'a'"), tree="parent", sort=TREE.sort), "s")
    assert keys(session) == "bcdef"
    assert keys(session, Window(expansion=Expansion(0))) == "bde"


def test_rows_that_are_their_own_ancestors_are_roots() -> None:
    hub = make(a="a", b="c", c="d", d="b", e="b")
    session = hub.open_session(TREE, "s")
    roots = Window(expansion=Expansion(0))
    assert (keys(session), keys(session, roots)) == ("abecd", "abcd")
    put(hub, {"id": "d", "parent": None})  # the circle breaks
    assert (keys(session), keys(session, roots)) == ("adcbe", "ad")
    put(hub, {"id": "d", "parent": "e"})  # and closes again, around another row
    assert (keys(session), keys(session, roots)) == ("abcde", "abcde")
    hub.commit([drop(hub, "c")])
    hub.check()
    assert keys(session) == "abed"


def test_a_chain_as_deep_as_there_are_rows() -> None:
    hub = Hub(epoch="test")
    hub.create_table("t", SCHEMA)
    names = [f"{number:05}" for number in range(2_000)]
    put(hub, *({"id": name, "parent": above, "rank": 1} for name, above in zip(names, [None, *names], strict=False)))
    session = hub.open_session(TREE, "s")
    assert [row["id"] for row in session.read().rows.to_rows()] == names
    assert keys(session, Window(1_998, 5)) == "0199801999"
    assert session.read(Window(expansion=Expansion(None, frozenset(), frozenset({("00100",)})))).total_count == 101
    put(hub, {"id": "01000", "parent": None, "rank": 0})
    assert keys(session, Window(0, 1)) == "01000"
    put(hub, {"id": "00000", "parent": "01999"})
    assert session.read(Window(expansion=Expansion(0))).total_count == 1
    put(hub, {"id": "01000", "parent": "00999"})  # all of them are one circle
    assert session.read(Window(expansion=Expansion(0))).total_count == 2_000


def test_nodes_of_what_is_no_tree_are_refused() -> None:
    hub = make(**FAMILY)
    window = Window(expansion=Expansion(1))
    session = hub.open_session(Query("t"), "flat")
    for ask in (lambda: session.read(window), lambda: session.watch(window), lambda: hub.query(Query("t"), window)):
        with pytest.raises(InvalidRequest) as refused:
            ask()
        assert (refused.value.reason, refused.value.field) == (Reason.BAD_WINDOW, "window.expansion")


@pytest.mark.parametrize("name", [(), ("a", "b"), (None,), (1,)])
def test_names_that_no_node_can_have_are_refused(name: tuple[Any, ...]) -> None:
    session = make(**FAMILY).open_session(TREE, "s")
    with pytest.raises(InvalidRequest) as refused:
        session.watch(Window(expansion=Expansion(0, frozenset({name}))))
    assert refused.value.field == "window.expansion.expanded"


@pytest.mark.parametrize("name", [("file", None, 1), (1,), ("nothing",)])
def test_names_that_no_group_can_have_are_refused(name: tuple[Any, ...]) -> None:
    grouping = Grouping(("kind", "rank"), (Aggregate("n", "count"),), GroupMode.ROLLUP)
    session = make(**FAMILY).open_session(Query("t", group=grouping), "s")
    with pytest.raises(InvalidRequest) as refused:
        session.watch(Window(expansion=Expansion(0, frozenset(), frozenset({name}))))
    assert refused.value.field == "window.expansion.collapsed"


ROLLUP = Grouping(("kind",), (Aggregate("n", "count"),), GroupMode.ROLLUP)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (Query("t", tree="rank"), Reason.WRONG_TYPE),
        (Query("t", tree="nobody"), Reason.UNKNOWN_COLUMN),
        (Query("t", tree="parent", group=Grouping(("kind",))), Reason.MALFORMED_REQUEST),
        (Query("t", tree="parent", group=ROLLUP), Reason.MALFORMED_REQUEST),
        (Query("t", group=Grouping(("kind",), (), include_leafs=True)), Reason.MALFORMED_REQUEST),
        (
            Query("t", group=Grouping(("kind",), (Aggregate("level", "count"),), GroupMode.TOTAL)),
            Reason.DUPLICATE_COLUMN,
        ),
        (
            Query("t", group=Grouping(("kind",), (Aggregate("rank", "sum", "rank"),), GroupMode.ROLLUP, True)),
            Reason.DUPLICATE_COLUMN,
        ),
        (Query("t", group=Grouping((), (Aggregate("n", "count"), Aggregate("n", "count")))), Reason.DUPLICATE_COLUMN),
    ],
)
def test_trees_that_make_no_sense_are_refused(query: Query, reason: Reason) -> None:
    with pytest.raises(InvalidRequest) as refused:
        make(**FAMILY).query(query)
    assert refused.value.reason is reason


def test_expressions_of_aggregates_see_only_what_stands_before_them() -> None:
    later = (Aggregate("twice", "expression", expression="n * 2"), Aggregate("n", "count"))
    with pytest.raises(InvalidRequest) as refused:
        make(**FAMILY).query(Query("t", group=Grouping(("kind",), later)))
    assert refused.value.field == "query.group.aggregates[0].expression"
    hub = make(**FAMILY)
    (row,) = hub.query(Query("t", group=Grouping(("kind",), (later[1], later[0])))).rows.to_rows()
    assert row == {"kind": None, "n": 6, "twice": 12}


def test_rows_that_never_concerned_a_step_are_not_in_its_tree() -> None:
    hub = make(**FAMILY)
    hub.set_indexes("t", [IndexSchema("rank")])
    place = WindowColumn("place", WindowFunction.ROW_NUMBER)
    query = Query("t", Custom("kind == null"), window_columns=(place,), tree="parent", sort=TREE.sort)
    session = hub.open_session(query, "s")
    put(hub, *({"id": f"x{number}", "kind": "file", "rank": 9, "parent": "a"} for number in range(60)))
    assert len(session.result.table.alive) < hub.table("t").row_count
    # The step has not even room for all of them, and the table's keys and its index lead there.
    closed = Window(expansion=Expansion(None, frozenset(), frozenset({("x59",), ("e",)})))
    assert keys(session, closed) == "abcde"
    ranked = Query("t", query.filter, window_columns=(place,))
    outer = Query(source=QuerySource(ranked), filter=Custom("rank == 9"))
    assert hub.query(outer).total_count == 0


def test_a_parent_may_be_worked_out() -> None:
    hub = make(a=None, ab=None, abc=None, b=None)
    above = ComputedColumn("above", expression="id.slice(0, -1)")
    session = hub.open_session(Query("t", computed=(above,), tree="above", columns=("id",)), "s")
    assert [row["id"] for row in session.read(Window(expansion=Expansion(0))).rows.to_rows()] == ["a", "b"]
    assert [row["id"] for row in session.read().rows.to_rows()] == ["a", "ab", "abc", "b"]


def test_groups_may_be_a_tree_of_their_own() -> None:
    hub = make(a=None, b="a", c="a", d="b")
    grouping = Grouping(("parent",), (Aggregate("n", "count"),))
    above = ComputedColumn("above", expression="parent == null ? 'b' : parent == 'b' ? 'a' : null")
    query = Query(source=QuerySource(Query("t", group=grouping)), computed=(above,), tree="above")
    session = hub.open_session(query, "s")

    def shown(window: Window) -> list[Any]:
        return [row["parent"] for row in session.read(window).rows.to_rows()]

    assert shown(Window()) == ["a", "b", None]
    # What names a group may be null, so a node may be named so, too.
    assert shown(Window(expansion=Expansion(1, frozenset({(None,)})))) == ["a", "b"]
    assert shown(Window(expansion=Expansion(1, frozenset({("b",)})))) == ["a", "b", None]
    put(hub, {"id": "d", "parent": "c"})
    assert shown(Window()) == ["a", "c", None]
    hub.check()


def test_a_session_may_be_edited_to_a_tree_and_back() -> None:
    hub = make(**FAMILY)
    session = hub.open_session(Query("t", sort=TREE.sort), "s")
    watch = session.watch()
    watch.snapshot()
    put(hub, {"id": "d", "rank": 9})
    assert keys(session) == "abcefd"
    hub.edit_session("s", TREE)
    assert keys(session) == "abcdef"
    watch.take()
    change = watch.take()
    assert change.session_changed is not None
    assert change.moves is not None
    assert [row["id"] for row in change.moves.keys.to_rows()] == ["d"]
    put(hub, {"id": "a", "rank": 5})
    assert keys(session) == "efabcd"
    change = watch.take()
    assert change.moves is not None
    assert [row["id"] for row in change.moves.keys.to_rows()] == ["e", "f"]
    hub.edit_session("s", Query("t", sort=(SortKey("id"),)))
    while watch.pending:
        watch.take()
    put(hub, {"id": "aa", "parent": "f"})
    change = watch.take()
    assert change.inserts is not None
    assert change.inserts.indexes is not None
    assert change.inserts.indexes.tolist() == [1]
    hub.check()


def test_an_expansion_means_nothing_after_an_edit_to_a_list() -> None:
    hub = make(**FAMILY)
    session = hub.open_session(TREE, "s")
    watch = session.watch(Window(0, 4, Expansion(0)))
    watch.snapshot()
    hub.edit_session("s", Query("t", sort=TREE.sort))
    change = watch.take()
    assert change.total_count == 6
    assert change.inserts is not None
    assert [row["id"] for row in change.inserts.rows.to_rows()] == ["b", "c", "d"]
    grouping = Grouping(("rank",), (), GroupMode.ROLLUP)
    hub.edit_session("s", Query("t", group=grouping))
    change = watch.take()
    assert change.session_changed is not None
    assert change.session_changed.reset
    assert watch.snapshot().total_count == 1
    hub.check()
