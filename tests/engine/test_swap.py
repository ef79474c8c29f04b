"""Two tables exchange their names: whoever asks for a name goes on with the other table's rows.

What histories do at random (`world.py`) is done here one by one, and what is told is compared word for word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import EngineError, InvalidRequest, NotFound, PreconditionFailed, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, IndexKind, IndexSchema, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.live.changes import Changes
from tesseract_grpc.engine.query import filter_tree as tree
from tesseract_grpc.engine.query.computed import ComputedColumn, Lookup
from tesseract_grpc.engine.query.filter import Custom
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.source import Join, JoinKey, QuerySource, TableSource
from tests.engine.images import image_of, restored, same_state

ID = ColumnSchema("id", DataType.INT64, primary_key=True)
NAME, N = ColumnSchema("name", DataType.STRING), ColumnSchema("n", DataType.INT64)
Row = dict[str, Any]


def a_hub(*others: ColumnSchema) -> Hub:
    """Tables `old` (id, name, n) and `new` (id and `others`, or the same columns in another order)."""
    hub = Hub("test", epoch="test")
    hub.create_table("old", TableSchema((ID, NAME, N)))
    hub.create_table("new", TableSchema((ID, *(others or (N, NAME)))))
    return hub


def put(hub: Hub, table: str, *rows: Row) -> int:
    columns = hub.table(table).schema.columns
    batch = Batch.of_rows(columns, [{key: row[key] for key in rows[0]} for row in rows])
    return hub.commit([Write(table, WriteKind.UPSERT, batch)]).version


def filled(*others: ColumnSchema) -> Hub:
    hub = a_hub(*others)
    put(hub, "old", {"id": 1, "name": "a", "n": 1}, {"id": 2, "name": "b", "n": 2}, {"id": 3, "name": "c", "n": 3})
    if not others:
        put(hub, "new", {"id": 2, "name": "b", "n": 20}, {"id": 3, "name": "c", "n": 3}, {"id": 4, "name": "d", "n": 4})
    return hub


def told(changes: Changes) -> dict[str, Any]:
    """The rows of a change."""
    return {
        "removes": [(part.reason.name, part.keys.to_rows()) for part in changes.removes],
        "updates": [part.rows.to_rows() for part in changes.updates],
        "moves": [] if changes.moves is None else changes.moves.keys.to_rows(),
        "inserts": [] if changes.inserts is None else changes.inserts.rows.to_rows(),
    }


def test_a_session_is_told_the_difference_alone() -> None:
    hub = filled()
    session = hub.open_session(Query("old", columns=("id", "name", "n"), sort=(SortKey("id"),)), "s")
    watch = session.watch()
    watch.snapshot()
    version = hub.version
    done = hub.swap_tables("old", "new")
    assert (done.version, hub.version, done.sessions, done.ended) == (version + 1, version + 1, (session,), ())
    changes = watch.take()
    assert changes.session_changed is not None
    assert (changes.from_version, changes.to_version) == (version, version + 1)
    assert told(changes) == {
        "removes": [("DELETED", [{"id": 1}])],
        "updates": [[{"id": 2, "n": 20}]],
        "moves": [],
        "inserts": [{"id": 4, "name": "d", "n": 4}],
    }
    put(hub, "old", {"id": 5, "name": "e", "n": 5})
    assert told(watch.take())["inserts"] == [{"id": 5, "name": "e", "n": 5}]
    put(hub, "new", {"id": 6, "name": "f", "n": 6})
    assert not watch.take()
    hub.check()


def test_sessions_that_exchange_their_results_both_go_on() -> None:
    """Each of two sessions that ask the same of both tables comes to the result that the other leaves."""
    hub = filled()
    ask: dict[str, Any] = {"columns": ("id", "n"), "sort": (SortKey("id"),)}
    sessions = {name: hub.open_session(Query(name, **ask), f"of_{name}") for name in ("old", "new")}
    watches = {name: session.watch() for name, session in sessions.items()}
    for watch in watches.values():
        watch.snapshot()
    hub.swap_tables("old", "new")
    for watch in watches.values():
        assert watch.take()
    put(hub, "old", {"id": 7, "name": "g", "n": 7})
    put(hub, "new", {"id": 8, "name": "h", "n": 8})
    assert told(watches["old"].take())["inserts"] == [{"id": 7, "n": 7}]
    assert told(watches["new"].take())["inserts"] == [{"id": 8, "n": 8}]
    hub.check()
    assert hub.drop_table("old") == (sessions["old"],)
    assert hub.drop_table("new") == (sessions["new"],)


def test_a_reader_that_was_behind_gets_what_it_was_owed_first() -> None:
    hub = filled()
    watch = hub.open_session(Query("old", sort=(SortKey("id"),)), "s").watch(Window(0, 2))
    watch.snapshot()
    put(hub, "old", {"id": 0, "name": "z", "n": 0})
    hub.swap_tables("old", "new")
    first, second = watch.take(), watch.take()
    assert first.session_changed is None
    assert told(first)["inserts"] == [{"id": 0, "name": "z", "n": 0}]
    assert second.session_changed is not None
    assert told(second)["removes"] == [("DELETED", [{"id": 0}, {"id": 1}])]
    assert not watch.pending


def test_rows_with_other_keys_are_a_reset_that_says_why() -> None:
    hub = a_hub(ColumnSchema("name", DataType.STRING, primary_key=True), N)
    put(hub, "old", {"id": 1, "name": "a", "n": 1})
    watch = hub.open_session(Query("old", columns=("n",)), "s").watch()
    watch.snapshot()
    reader = hub.watch_table("old")
    reader.snapshot()
    hub.swap_tables("old", "new")
    for each in (watch, reader):
        schema = each.take().session_changed
        assert schema is not None
        assert (schema.reset, schema.replaced) == (True, True)
        assert each.snapshot().rows.length == 0


@pytest.mark.parametrize(
    "query",
    [
        Query("old", filter=tree.Compare("name", tree.CompareOp.EQUAL, "a")),
        Query("old", columns=("id", "name")),
        Query("old", sort=(SortKey("name"),)),
        Query("old", filter=Custom("name ~ 'a' && n > 1")),
        Query("old", computed=(ComputedColumn("c", expression="name + '!'"),)),
        Query("old", computed=(ComputedColumn("c", template="<${name}>"),)),
        Query("old", group=Grouping(("name",), (Aggregate("k", "count"),))),
        Query("old", group=Grouping(("n",), (Aggregate("k", "min", column="name"),))),
        Query("other", joins=(Join(TableSource("old"), (JoinKey("name", "name"),), prefix="o_"),)),
        Query(
            "other", computed=(ComputedColumn("c", lookup=Lookup(TableSource("old"), (JoinKey("id", "id"),), "name")),)
        ),
    ],
    ids=str,
)
def test_sessions_that_miss_a_column_end_and_say_which(query: Query) -> None:
    hub = filled(N)
    hub.create_table("other", TableSchema((ID, NAME)))
    lacking = hub.open_session(query, "lacking")
    other = hub.open_session(Query("old", columns=("n",)), "other")
    watch = lacking.watch()
    watch.snapshot()
    version = hub.version
    with pytest.raises(PreconditionFailed, match="'lacking'") as refused:
        hub.swap_tables("old", "new", lambda session: True)
    assert refused.value.reason is Reason.TABLE_IN_USE
    assert "'name'" in str(refused.value)
    assert hub.version == version
    assert not watch.pending
    hub.check()
    done = hub.swap_tables("old", "new", lambda session: session.name == "other")
    assert [(end.session, end.column) for end in done.ended] == [(lacking, "name")]
    assert (lacking.ended, watch.closed) == (Reason.TABLE_ALTERED, Reason.TABLE_ALTERED)
    assert (list(hub.sessions.values()), done.sessions) == ([other], (other,))
    hub.check()


def test_the_column_that_is_missed_is_named_as_the_table_calls_it() -> None:
    """And not as a join does, nor a join of that."""
    hub = filled(N)
    hub.create_table("other", TableSchema((ID, N)))
    join = Join(TableSource("old"), (JoinKey("id", "id"),), prefix="o_")
    inner = Query("other", joins=(join,))
    hub.open_session(Query("other", joins=(join,), sort=(SortKey("o_name"),)), "one")
    nested = Join(QuerySource(inner), (JoinKey("id", "id"),), prefix="p_")
    hub.open_session(Query("other", joins=(nested,), filter=Custom("p_o_name ~ 'a'")), "two")
    ended = {end.session.name: end.column for end in hub.swap_tables("old", "new").ended}
    assert ended == {"one": "name", "two": "name"}


def test_texts_that_are_all_null() -> None:
    """What stands in the place of a null is no code of any text."""
    hub = a_hub()
    put(hub, "old", {"id": 1, "name": None, "n": None})
    put(hub, "new", {"id": 1, "name": "a", "n": None})
    watch = hub.open_session(Query("old", columns=("id", "name")), "s").watch()
    watch.snapshot()
    reader = hub.watch_table("new")
    reader.snapshot()
    hub.swap_tables("old", "new")
    assert told(watch.take())["updates"] == [[{"id": 1, "name": "a"}]]
    assert told(reader.take())["updates"] == [[{"id": 1, "name": None}]]


def test_derived_tables_are_derived_anew_and_stand_in_the_way_when_they_cannot() -> None:
    hub = filled()
    hub.create_derived_table("big", Query("old", filter=tree.Compare("n", tree.CompareOp.GREATER, 1)))
    hub.create_derived_table("count", Query("big", group=Grouping((), (Aggregate("rows", "count"),))))
    hub.set_indexes("big", [IndexSchema("n", IndexKind.SORTED)])
    count = hub.open_session(Query("count", columns=("rows",)), "count").watch()
    count.snapshot()
    reader = hub.watch_table("big", old_values=True)
    reader.snapshot()
    created = hub.table("big").create_version
    hub.swap_tables("old", "new")
    assert [row["n"] for row in hub.query(Query("big", sort=(SortKey("n"),))).rows.to_rows()] == [3, 4, 20]
    assert list(hub.table("big").indexes) == ["n"]
    assert hub.table("big").create_version == created
    assert told(reader.take()) == {
        "removes": [],
        "updates": [[{"id": 2, "n": 20}]],
        "moves": [],
        "inserts": [{"id": 4, "n": 4, "name": "d"}],
    }
    assert [row["rows"] for part in count.take().updates for row in part.rows.to_rows()] == [3]
    put(hub, "old", {"id": 9, "name": "i", "n": 9})
    assert [row["rows"] for part in count.take().updates for row in part.rows.to_rows()] == [4]
    same_state(hub, restored(image_of(hub), hub))
    hub.check()
    hub.create_table("poor", TableSchema((ID,)))
    version = hub.version
    with pytest.raises(PreconditionFailed, match="the derived table 'big' could not go on"):
        hub.swap_tables("old", "poor")
    assert hub.version == version
    hub.check()


def test_what_cannot_be_swapped() -> None:
    hub = filled()
    hub.create_derived_table("derived", Query("old"))
    wrong: Sequence[tuple[str, str, type[EngineError], str]] = (
        ("old", "old", InvalidRequest, "other"),
        ("old", "none", NotFound, "table"),
        ("none", "old", NotFound, "table"),
        ("old", "derived", InvalidRequest, "other"),
        ("derived", "new", InvalidRequest, "name"),
    )
    version = hub.version
    for name, other, error, field in wrong:
        with pytest.raises(error) as refused:
            hub.swap_tables(name, other)
        assert refused.value.field == field
    assert hub.version == version


def test_there_and_back_again_is_nothing() -> None:
    """A result that both sessions had is taken up again, and nobody is told a row."""
    hub = filled()
    query = Query("old", sort=(SortKey("n"),))
    one, two = (
        hub.open_session(query, "one").watch(),
        hub.open_session(Query("new", sort=(SortKey("n"),)), "two").watch(),
    )
    for watch in (one, two):
        watch.snapshot()
    for _ in range(2):
        hub.swap_tables("old", "new")
        hub.check()
        for watch in (one, two):
            assert watch.take()
            assert not watch.pending
    assert [row["id"] for row in hub.session("one").read().rows.to_rows()] == [1, 2, 3]
    assert {table.name: name for name, table in hub.tables.items()} == {"old": "old", "new": "new"}


@pytest.mark.parametrize("every_commit", [False, True])
def test_readers_of_the_tables(every_commit: bool) -> None:
    hub = filled()
    readers = {name: hub.watch_table(name, old_values=True, every_commit=every_commit) for name in ("old", "new")}
    for reader in readers.values():
        reader.snapshot()
    put(hub, "old", {"id": 1, "name": "a", "n": 100})
    put(hub, "old", {"id": 1, "name": "a", "n": 101})
    hub.swap_tables("old", "new")
    put(hub, "old", {"id": 7, "name": "g", "n": 7})
    taken = []
    while readers["old"].pending:
        taken.append(readers["old"].take())
    assert [told(changes)["updates"] for changes in taken[:-2]] == (
        [[[{"id": 1, "n": 100}]], [[{"id": 1, "n": 101}]]] if every_commit else [[[{"id": 1, "n": 101}]]]
    )
    altered, after = taken[-2:]
    assert altered.session_changed is not None
    assert [column.name for column in altered.session_changed.columns] == ["id", "n", "name"]
    assert told(altered)["removes"] == [("DELETED", [{"id": 1}])]
    assert told(after)["inserts"] == [{"id": 7, "n": 7, "name": "g"}]
    (back,) = [readers["new"].take()]
    assert told(back)["inserts"] == [{"id": 1, "name": "a", "n": 101}]
    assert not readers["new"].pending
    hub.check()
    for reader in readers.values():
        reader.close()
    hub.check()


def test_who_has_not_heard_of_one_swap_begins_anew_at_the_next() -> None:
    hub = filled()
    reader, watch = hub.watch_table("old"), hub.open_session(Query("old"), "s").watch()
    for each in (reader, watch):
        each.snapshot()
    version = hub.version
    hub.swap_tables("old", "new")
    hub.swap_tables("old", "new")
    for each in (reader, watch):
        (changes,) = [each.take()]
        assert changes.session_changed is not None
        assert changes.session_changed.reset
        assert changes.from_version == version
        assert [row["id"] for row in each.snapshot().rows.to_rows()] == [1, 2, 3]
