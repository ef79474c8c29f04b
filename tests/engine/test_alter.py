"""Altering a table that is in use: its rows, and everybody who reads it.

Whatever is done to the columns, every reader must hold what the session shows when it is read from scratch, and what a
reader is told must lead from what it had: the same mirror as for edits applies it, by the letter of the contract.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tesseract_grpc.engine.data.alteration import (
    AddColumn,
    AddIndex,
    Alteration,
    ChangeColumn,
    DropColumn,
    DropIndex,
    RenameColumn,
    SetKey,
)
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import AlterationRefused, EngineError, InvalidRequest, PreconditionFailed, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, IndexSchema, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.live.changes import Changes
from tesseract_grpc.engine.live.rewinds import NotResumable
from tesseract_grpc.engine.live.table_watch import TableWatch
from tesseract_grpc.engine.query.computed import ComputedColumn, Lookup
from tesseract_grpc.engine.query.filter import Compare, CompareOp, Custom
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.source import Join, JoinKey, QuerySource, SessionSource, TableSource, Union
from tests.engine.test_edit import Mirror

Row = dict[str, Any]
T = DataType


def column(name: str, type: DataType, **more: Any) -> ColumnSchema:
    return ColumnSchema(name, type, **more)


SCHEMA = TableSchema(
    (
        column("id", T.INT64, primary_key=True),
        column("name", T.STRING),
        column("n", T.INT64),
        column("x", T.FLOAT64),
        column("kind", T.ENUM, enum_values=("low", "mid", "high")),
    )
)
ROWS: list[Row] = [
    {"id": 1, "name": "a", "n": 3, "x": 0.5, "kind": "low"},
    {"id": 2, "name": "b", "n": 1, "x": None, "kind": None},
    {"id": 3, "name": None, "n": 2, "x": 2.0, "kind": "high"},
    {"id": 4, "name": "a", "n": None, "x": -1.0, "kind": "mid"},
]


def insert(hub: Hub, rows: list[Row], table: str = "t", kind: WriteKind = WriteKind.INSERT) -> None:
    columns = [column(each.name, each.type) for each in hub.table(table).schema.visible]
    hub.commit([Write(table, kind, rows=Batch.of_rows(columns, rows))])


def filled(rows: list[Row] = ROWS, schema: TableSchema = SCHEMA, **more: Any) -> Hub:
    hub = Hub(epoch="e", **more)
    hub.create_table("t", schema)
    insert(hub, rows)
    return hub


def read(hub: Hub, query: Query | None = None) -> list[Row]:
    return hub.query(query or Query("t")).rows.to_rows()


def change(name: str, *parts: str, using: str = "", **definition: Any) -> ChangeColumn:
    definition.setdefault("type", T.STRING)
    return ChangeColumn(name, ColumnSchema(name, **definition), frozenset(parts), using)


class Follower(Mirror):
    """The same, where versions are judged as a stream does: it leads on from what it said last."""

    def catch_up(self) -> list[Changes]:
        taken = []
        while self.watch.pending:
            found = self.watch.take()
            assert self.version <= found.to_version, "a version falls"
            taken.append(found)
            self.version = found.to_version
            told = found.session_changed
            if told is not None and told.reset:
                self.begin()
                continue
            if told is not None:
                self.columns = [each.name for each in told.columns]
                self.rows = [{name: row[name] for name in self.columns if name in row} for row in self.rows]
            self.apply(found)
        return taken


class TableMirror:
    """What a client makes of a watch of a table."""

    def __init__(self, watch: TableWatch) -> None:
        self.watch = watch
        self.begin()

    def begin(self) -> None:
        snapshot = self.watch.snapshot()
        self.columns = [each.name for each in self.watch.columns]
        self.key = [each.name for each in self.watch.columns if each.primary_key]
        self.rows = {self.key_of(row): row for row in snapshot.rows.to_rows()}
        self.version = snapshot.version

    def key_of(self, row: Row) -> tuple[Scalar, ...]:
        return tuple(row[name] for name in self.key)

    def catch_up(self) -> list[str]:
        heard: list[str] = []
        while self.watch.pending:
            found = self.watch.take()
            assert self.version <= found.to_version, "a version falls"
            self.version = found.to_version
            told = found.session_changed
            if told is not None and told.reset:
                heard.append("reset")
                self.begin()
                continue
            if told is not None:
                heard.append("altered")
                self.columns = [each.name for each in told.columns]
                self.rows = {k: {n: row[n] for n in self.columns if n in row} for k, row in self.rows.items()}
            for part in found.removes:
                for row in part.keys.to_rows():
                    del self.rows[self.key_of(row)]
            for update in found.updates:
                for row in update.rows.to_rows():
                    self.rows[self.key_of(row)].update(row)
            for row in [] if found.inserts is None else found.inserts.rows.to_rows():
                assert self.key_of(row) not in self.rows
                self.rows[self.key_of(row)] = row
        return heard


def agree(hub: Hub, mirrors: list[Mirror], tables: list[TableMirror] = []) -> None:  # noqa: B006  # never changed
    hub.check()
    for mirror in mirrors:
        session = mirror.watch.session
        if session.name not in hub.sessions:
            continue
        mirror.catch_up()
        true = session.read(mirror.watch.window)
        assert mirror.columns == [each.name for each in session.columns]
        assert mirror.rows == true.rows.to_rows()
        again = hub.query(session.resolved.query, mirror.watch.window)
        if session.permanent is None:
            assert true.rows.to_rows() == again.rows.to_rows()
    for table in tables:
        table.catch_up()
        rows = {table.key_of(row): row for row in read(hub, Query(table.watch.table.name))}
        assert table.rows == rows


# What becomes of the rows


def test_columns_are_added_with_a_default_a_backfill_or_nothing() -> None:
    hub = filled()
    done = hub.alter_table(
        "t",
        [
            AddColumn(column("note", T.STRING)),
            AddColumn(column("size", T.INT64, default=7, required=True), after="id"),
            AddColumn(column("twice", T.FLOAT64), backfill="n * 2"),
            AddColumn(column("sum", T.STRING, expression="twice + size", inferred=True)),
        ],
    )
    assert [each.name for each in done.columns] == ["id", "size", "name", "n", "x", "kind", "note", "twice", "sum"]
    assert done.version == hub.version == 3 and done.rewritten == 4
    first, second, *_ = read(hub)
    assert list(first) == ["id", "size", "name", "n", "x", "kind", "note", "twice", "sum"]
    assert first == {**ROWS[0], "size": 7, "note": None, "twice": 6.0, "sum": 13.0}
    assert second["twice"] == 2.0 and read(hub)[3]["sum"] is None
    insert(hub, [{"id": 5, "twice": 1.0}])
    assert read(hub)[4] == {**dict.fromkeys(first), "id": 5, "size": 7, "twice": 1.0, "sum": 8.0}
    hub.check()


def test_columns_go_and_their_positions_serve_again() -> None:
    hub = filled()
    hub.alter_table("t", [AddIndex(IndexSchema("x"))])
    hub.alter_table("t", [DropColumn("x"), DropColumn("name")])
    assert read(hub)[0] == {"id": 1, "n": 3, "kind": "low"} and not hub.table("t").indexes
    insert(hub, [{"id": 9, "n": 1, "kind": "low"}])
    with pytest.raises(InvalidRequest) as refused:
        hub.commit([Write("t", WriteKind.UPDATE, rows=Batch.of_rows(SCHEMA.columns, [{"id": 1, "x": 1.0}]))])
    assert refused.value.reason is Reason.UNKNOWN_COLUMN and "\0" not in refused.value.message
    width = len(hub.table("t").columns)
    hub.table("t").changelog.forget(hub.version)
    hub.alter_table("t", [AddColumn(column("again", T.STRING), backfill='"row " + id')])
    assert len(hub.table("t").columns) == width
    assert [row["again"] for row in read(hub)] == ["row 1", "row 2", "row 3", "row 4", "row 9"]
    hub.check()


def test_expressions_indexes_and_keys_follow_a_name() -> None:
    schema = TableSchema(
        (
            *SCHEMA.columns,
            column("label", T.STRING, expression='name + " " + row["n"] + [n].map(n => n + 1)[0]'),
            column("when", T.INT64, default_expression="n + 1"),
        )
    )
    hub = filled(schema=schema)
    before = [row["label"] for row in read(hub)]
    hub.alter_table("t", [AddIndex(IndexSchema("n")), RenameColumn("n", "the n"), RenameColumn("id", "key")])
    table = hub.table("t")
    assert table.schema.column("label").expression == 'name + " " + row["the n"] + [row[\'the n\']].map(n => n + 1)[0]'
    assert table.schema.column("when").default_expression == "row['the n'] + 1" and list(table.indexes) == ["the n"]
    assert [row["label"] for row in read(hub)] == before
    insert(hub, [{"key": 9, "the n": 4}])
    assert read(hub, Query("t", Compare("the n", CompareOp.EQUAL, 4)))[0]["when"] == 5
    hub.check()


def test_types_lists_and_requirements_change() -> None:
    hub = filled()
    done = hub.alter_table(
        "t",
        [
            change("n", "type", type=T.STRING),
            change("x", "type", type=T.INT64, using="Math.round(x * 10)"),
            change("kind", "enum_values", type=T.ENUM, enum_values=("none", "high", "mid", "low")),
            change("id", "type", type=T.STRING),
            change("name", "default_value", "description", default="?", description="who"),
        ],
    )
    assert [row["n"] for row in read(hub)] == ["3", "1", "2", None]
    assert [row["x"] for row in read(hub)] == [5, None, 20, -10]
    assert [row["id"] for row in read(hub)] == ["1", "2", "3", "4"] and done.rewritten == 4
    sorted_by_kind = read(hub, Query("t", sort=(SortKey("kind"),)))
    assert [row["kind"] for row in sorted_by_kind] == ["high", "mid", "low", None]
    insert(hub, [{"id": "z"}])
    assert read(hub, Query("t", Compare("id", CompareOp.EQUAL, "z")))[0]["name"] == "?"
    hub.check()


@pytest.mark.parametrize(
    ("alteration", "reason", "field", "rows"),
    [
        (change("x", "type", type=T.INT64), Reason.WRONG_TYPE, "", [0]),
        (change("name", "type", type=T.INT64), Reason.WRONG_TYPE, "", [0, 1, 3]),
        (change("name", "required", required=True), Reason.NULL_NOT_ALLOWED, "name", [2]),
        (change("kind", "enum_values", type=T.ENUM, enum_values=("low",)), Reason.BAD_ENUM_VALUE, "", [2, 3]),
        (SetKey(("name",)), Reason.NULL_KEY, "name", [2]),
        (SetKey(("kind",)), Reason.NULL_KEY, "kind", [1]),
        (AddColumn(column("q", T.INT64, required=True)), Reason.NULL_NOT_ALLOWED, "q", [0, 1, 2, 3]),
        (AddColumn(column("q", T.INT64), backfill="name"), Reason.WRONG_TYPE, "", [0, 1, 3]),
    ],
)
def test_values_that_do_not_fit_refuse_with_their_rows(
    alteration: Alteration, reason: Reason, field: str, rows: list[int]
) -> None:
    hub = filled()
    before = read(hub)
    with pytest.raises(AlterationRefused) as refused:
        hub.alter_table("t", [RenameColumn("n", "m"), alteration])
    assert refused.value.reason is reason and [p.row for p in refused.value.problems] == rows
    assert all(p.operation == 1 and "id=" in p.message for p in refused.value.problems)
    assert read(hub) == before and hub.version == 2
    hub.check()


def test_two_rows_of_one_key_refuse_it() -> None:
    hub = filled([{**row, "name": row["name"] or "b"} for row in ROWS])
    with pytest.raises(AlterationRefused) as refused:
        hub.alter_table("t", [SetKey(("name",))])
    assert refused.value.reason is Reason.DUPLICATE_KEY and [p.row for p in refused.value.problems] == [2, 3]
    hub.alter_table("t", [SetKey(("name", "id")), RenameColumn("id", "number")])
    assert [each.name for each in hub.table("t").schema.visible] == ["name", "number", "n", "x", "kind"]
    insert(hub, [{"number": 1, "name": "z"}])
    hub.check()


@pytest.mark.parametrize(
    ("alteration", "reason", "field"),
    [
        (AddColumn(column("n", T.INT64)), Reason.DUPLICATE_COLUMN, "alterations[0]"),
        (AddColumn(column("q", T.INT64), after="z"), Reason.UNKNOWN_COLUMN, "alterations[0].add_column.after"),
        (AddColumn(column("q", T.INT64, primary_key=True)), Reason.BAD_SCHEMA, "alterations[0].add_column"),
        (AddColumn(column("q", T.INT64), backfill="zz + 1"), Reason.UNKNOWN_COLUMN, "alterations[0].add_column"),
        (DropColumn("id"), Reason.BAD_SCHEMA, "alterations[0].drop_column.column"),
        (DropColumn("n"), Reason.TABLE_IN_USE, "alterations[0].drop_column.column"),
        (DropColumn("z"), Reason.UNKNOWN_COLUMN, "alterations[0].drop_column.column"),
        (RenameColumn("n", "name"), Reason.DUPLICATE_COLUMN, "alterations[0].rename_column.new_name"),
        (RenameColumn("n", "__n"), Reason.BAD_NAME, "alterations[0].rename_column.new_name"),
        (change("n"), Reason.MALFORMED_REQUEST, "alterations[0].change_column.update_mask"),
        (change("n", "name"), Reason.MALFORMED_REQUEST, "alterations[0].change_column.update_mask"),
        (change("x", "type", type=T.TIMESTAMP), Reason.WRONG_TYPE, "alterations[0]"),
        (change("x", "type", type=T.BOOL), Reason.WRONG_TYPE, "alterations[0]"),
        (change("more", "type", type=T.BOOL, using="true"), Reason.MALFORMED_REQUEST, "alterations[0].change_column"),
        (change("n", "type", type=T.STRING), Reason.WRONG_TYPE, "alterations[0]"),
        (SetKey(()), Reason.BAD_SCHEMA, "alterations[0].set_key.columns"),
        (SetKey(("n", "n")), Reason.DUPLICATE_COLUMN, "alterations[0].set_key.columns"),
        (SetKey(("x",)), Reason.BAD_SCHEMA, "alterations[0]"),
        (SetKey(("more",)), Reason.BAD_SCHEMA, "alterations[0]"),
        (DropIndex("n"), Reason.UNKNOWN_COLUMN, "alterations[0].drop_index"),
        (AddIndex(IndexSchema("z")), Reason.UNKNOWN_COLUMN, "alterations[0].indexes.column"),
    ],
)
def test_what_makes_no_table_is_refused_by_its_place(alteration: Alteration, reason: Reason, field: str) -> None:
    schema = TableSchema((*SCHEMA.columns, column("more", T.INT64, expression="n + 1")))
    hub = filled(schema=schema)
    before = read(hub)
    with pytest.raises(EngineError) as refused:
        hub.alter_table("t", [alteration])
    assert refused.value.reason is reason, refused.value
    assert refused.value.field.startswith(field), refused.value.field
    assert read(hub) == before and hub.version == 2
    hub.check()


# What becomes of those who read it


def with_others() -> Hub:
    """Two tables, and derived tables of them."""
    hub = filled()
    hub.create_table("kinds", TableSchema((column("kind", T.STRING, primary_key=True), column("n", T.INT64))))
    insert(hub, [{"kind": "a", "n": 10}, {"kind": "b", "n": 20}], "kinds")
    return hub


QUERIES: dict[str, Query] = {
    "all": Query("t"),
    "some": Query("t", columns=("name",)),
    "n_above": Query("t", Custom("n >= 2 || x > 0"), columns=("id",), sort=(SortKey("n", descending=True),)),
    "by_name": Query("t", group=Grouping(("name",), (Aggregate("total", "sum", "n"), Aggregate("rows", "count")))),
    "high": Query("t", Compare("kind", CompareOp.EQUAL, "high")),
    "computed": Query("t", computed=(ComputedColumn("more", "n + 1"),), columns=("more",)),
    "joined": Query(
        "t", joins=(Join(TableSource("kinds"), (JoinKey("name", "kind"),), prefix="k_"),), columns=("k_n",)
    ),
    "looked_up": Query(
        "t", computed=(ComputedColumn("there", lookup=Lookup(TableSource("kinds"), (JoinKey("name", "kind"),), "n")),)
    ),
    "reversed": Query("kinds", joins=(Join(TableSource("t"), (JoinKey("kind", "name"),), prefix="t_"),)),
    "inner": Query(source=QuerySource(Query("t", Custom("n > 0"), columns=("n", "name"))), sort=(SortKey("n"),)),
    "of_session": Query(source=SessionSource("n_above")),
    "window": Query("t", sort=(SortKey("x"),)),
    "kinds": Query("kinds"),
}


def opened(hub: Hub) -> list[Mirror]:
    mirrors: list[Mirror] = []
    for name, query in QUERIES.items():
        session = hub.open_session(query, name)
        window = Window(1, 2) if name == "window" else Window()
        mirrors.append(Follower(session.watch(window)))
        mirrors.append(Follower(session.watch(window, every_commit=True)))
    return mirrors


def write(hub: Hub, random: Random) -> None:
    """A commit on whatever columns there are."""
    table = hub.table("t")
    columns = [each for each in table.schema.visible if not each.expression]
    row: Row = {}
    for each in columns:
        if each.primary_key or random.random() < 0.7:
            row[each.name] = value_of(each, random)
    kind = random.choice((WriteKind.UPSERT, WriteKind.UPSERT, WriteKind.DELETE))
    if kind is WriteKind.DELETE:
        columns = [each for each in columns if each.primary_key]
        row = {each.name: row[each.name] for each in columns}
    try:
        hub.commit([Write("t", kind, rows=Batch.of_rows(columns, [row]))])
    except EngineError as error:
        if error.reason is not Reason.NULL_NOT_ALLOWED:
            raise


def value_of(column: ColumnSchema, random: Random) -> Scalar:
    if column.nullable and random.random() < 0.2:
        return None
    choices: dict[DataType, list[Scalar]] = {
        T.BOOL: [True, False],
        T.INT64: [0, 1, 2, 3, 4],
        T.FLOAT64: [-1.0, 0.0, 0.5, 2.0],
        T.TIMESTAMP: [0, 1_000_000],
        T.STRING: ["1", "2", "a", "b"],
        T.JSON: ["1", "[1]"],
        T.ENUM: list(column.enum_values),
    }
    return random.choice(choices[column.type])


def alteration(hub: Hub, random: Random) -> Alteration:
    """Something to try; much of it is refused."""
    columns = hub.table("t").schema.visible
    one = random.choice(columns)
    free = random.choice(["n", "m", "name", "x", "y", "extra", "kind", "more", "k_n", "there", "odd one"])
    match random.randrange(9):
        case 0 | 1:
            types = random.choice([T.INT64, T.STRING, T.FLOAT64, T.BOOL])
            backfill = random.choice(["", "id", "n", "name"]) if types is T.STRING else ""
            return AddColumn(column(free, types), backfill, after=random.choice(["", one.name]))
        case 2:
            return AddColumn(column(free, T.STRING, expression=f"'<' + row['{one.name}'] + '>'", inferred=True))
        case 3:
            return DropColumn(one.name)
        case 4 | 5:
            return RenameColumn(one.name, free)
        case 6:
            type = random.choice([T.INT64, T.STRING, T.FLOAT64])
            return change(one.name, "type", type=type)
        case 7:
            if random.random() < 0.5:
                return change(one.name, "required", required=random.random() < 0.5)
            return change(one.name, "type", type=T.FLOAT64, using="id % 3")
        case _:
            keys = random.sample([each.name for each in columns], k=random.randint(1, 2))
            some: list[Alteration] = [SetKey(tuple(keys)), AddIndex(IndexSchema(one.name)), SetKey(("id",))]
            return random.choice(some)


@pytest.mark.parametrize("seed", range(6))
def test_everybody_holds_what_there_is_after_every_alteration(seed: int) -> None:
    random = Random(seed)
    hub = with_others()
    mirrors = opened(hub)
    if seed % 2:
        hub.create_derived_table("view", Query("t", Custom("id > 0")))
        hub.create_derived_table("groups", Query("view", group=Grouping(("name",), (Aggregate("total", "sum", "n"),))))
        for name in ("view", "groups"):
            mirrors.append(Follower(hub.open_session(Query(name), name).watch()))
    tables = [TableMirror(hub.watch_table("t")), TableMirror(hub.watch_table("t", every_commit=True))]
    if seed % 2:
        tables.append(TableMirror(hub.watch_table("view")))
    done = 0
    for _ in range(40):
        for _ in range(random.randrange(3)):
            write(hub, random)
        if random.random() < 0.5:
            agree(hub, mirrors, tables)
        before, version = read(hub), hub.version
        asked = [alteration(hub, random) for _ in range(random.randint(1, 2))]
        try:
            foreseen = hub.alter_table("t", asked, validate_only=True)
            assert (read(hub), hub.version) == (before, version)
            hub.check()
            found = hub.alter_table("t", asked)
        except EngineError:
            assert (read(hub), hub.version) == (before, version)
            hub.check()
            continue
        done += 1
        assert foreseen.columns == found.columns and foreseen.rewritten == found.rewritten
        assert [each.session.name for each in foreseen.ended] == [each.session.name for each in found.ended]
        assert found.version == version + 1 == hub.version
        if random.random() < 0.7:
            agree(hub, mirrors, tables)
    agree(hub, mirrors, tables)
    assert done > 5, "nearly everything was refused"


def test_who_is_not_concerned_hears_nothing_and_costs_nothing() -> None:
    hub = with_others()
    mirrors = opened(hub)
    for name in ("computed", "joined", "looked_up", "reversed"):  # they share the slots of the table, or show all of it
        hub.close_session(name)
    mirrors = [mirror for mirror in mirrors if mirror.watch.session.ended is None]
    before = {name: (session.result, session.generation) for name, session in hub.sessions.items()}
    examined = hub.counters.rows_examined
    hub.alter_table("t", [AddColumn(column("note", T.STRING), backfill="name")])
    for name in ("some", "n_above", "by_name", "of_session", "inner", "kinds"):
        assert (hub.sessions[name].result, hub.sessions[name].generation) == before[name], name
    for name in ("all", "high", "window"):
        assert hub.sessions[name].result is before[name][0] and hub.sessions[name].generation == 2, name
    assert hub.counters.rows_examined == examined, "something was evaluated again"
    for mirror in mirrors:
        told = [each.session_changed is not None for each in mirror.catch_up()]
        assert told == ([True] if mirror.watch.session.generation == 2 else [])
    agree(hub, mirrors)


def test_a_name_that_is_given_again_is_another_column() -> None:
    """Neither sessions nor permanent filters take what came for what went: nobody sees more than before."""
    hub = filled()
    mine = hub.open_session(Query("t"), "mine", permanent=Compare("name", CompareOp.EQUAL, "a"))
    hub.open_session(Query("t", Custom('name == "a"'), columns=("id",)), "asks")
    done = hub.alter_table("t", [RenameColumn("name", "owner"), AddColumn(column("name", T.STRING, default="a"))])
    assert not done.ended and mine.permanent == Compare("owner", CompareOp.EQUAL, "a")
    assert [row["id"] for row in mine.read().rows.to_rows()] == [1, 4]
    done = hub.alter_table("t", [DropColumn("owner"), AddColumn(column("owner", T.STRING, default="a"))])
    assert {(each.session.name, each.column) for each in done.ended} == {("mine", "owner"), ("asks", "owner")}
    assert mine.ended is Reason.TABLE_ALTERED


def test_two_names_are_exchanged() -> None:
    hub = filled()
    session = hub.open_session(Query("t", Custom("n > 1"), columns=("id", "n", "x")), "s")
    mirror = Follower(session.watch())
    hub.alter_table("t", [RenameColumn("n", "tmp"), RenameColumn("x", "n"), RenameColumn("tmp", "x")])
    assert session.query.filter == Custom("x > 1") and session.query.columns == ("id", "x", "n")
    agree(hub, [mirror])
    assert mirror.rows == [{"id": 1, "x": 3, "n": 0.5}, {"id": 3, "x": 2, "n": 2.0}]


def test_a_reader_from_before_is_never_led_on_by_another_column() -> None:
    hub = filled()
    query = Query("t", Custom("n >= 2"), columns=("id", "n"))
    hub.open_session(query, "s")
    hub.open_session(Query("t", columns=("name",)), "other")
    before = hub.version
    insert(hub, [{"id": 9, "n": 5, "name": "z"}])
    hub.alter_table("t", [RenameColumn("n", "old"), AddColumn(column("n", T.INT64), backfill="7 - old")])
    hub.close_session("s")
    hub.open_session(query, "s")
    with pytest.raises(NotResumable, match="altered"):
        hub.session("s").watch(since=before)
    with pytest.raises(NotResumable, match="altered"):
        hub.watch_table("t", before)
    change = hub.session("other").watch(since=before).take()
    assert change.inserts is not None and change.inserts.rows.to_rows() == [{"id": 9, "name": "z"}]
    assert hub.session("s").watch(since=hub.version).take().inserts is None


def test_a_derived_table_that_would_end_refuses_and_others_follow() -> None:
    hub = filled()
    hub.create_derived_table("view", Query("t", Custom("n > 0")))
    hub.create_derived_table("named", Query("view", columns=("id", "name")))
    seen = Follower(hub.open_session(Query("view", Custom("n > 1")), "s").watch())
    with pytest.raises(PreconditionFailed) as refused:
        hub.alter_table("t", [DropColumn("name")])
    assert refused.value.reason is Reason.TABLE_IN_USE and "named" in refused.value.message
    hub.alter_table("t", [RenameColumn("n", "number"), DropColumn("x")])
    assert [each.name for each in hub.table("view").schema.visible] == ["id", "name", "number", "kind"]
    assert hub.derived_tables["view"].filter == Custom("number > 0")
    insert(hub, [{"id": 8, "number": 9, "name": "q"}])
    agree(hub, [seen])
    assert [row["id"] for row in read(hub, Query("named"))] == [1, 2, 3, 8]


def test_a_tree_follows_the_column_that_says_whose_child_a_row_is() -> None:
    rows: list[Row] = [{"id": 1, "n": None}, {"id": 2, "n": 1}, {"id": 3, "n": 1}, {"id": 4, "n": 3}]
    hub = filled([{**row, "name": "a", "x": 0.0, "kind": "low"} for row in rows])
    session = hub.open_session(Query("t", tree="n", columns=("id",)), "tree")
    mirror = Follower(session.watch())
    hub.alter_table("t", [change("n", "type", type=T.INT64, using="id == 4 ? 2 : n")])
    agree(hub, [mirror])
    assert [row["id"] for row in mirror.rows] == [1, 2, 4, 3]
    hub.alter_table("t", [RenameColumn("n", "parent")])
    assert session.query.tree == "parent"
    agree(hub, [mirror])


def test_a_union_ends_when_its_sources_have_not_the_same_columns_any_more() -> None:
    hub = filled()
    hub.create_table("u", SCHEMA)
    hub.open_session(Query("t"), "all")
    some = QuerySource(Query("u", columns=("id", "name", "n", "x", "kind")))
    hub.open_session(Query("", source=Union((some, SessionSource("all")))), "both")
    hub.open_session(Query("", source=Union((SessionSource("all"), TableSource("t")))), "alike")
    alike = Follower(hub.session("alike").watch())
    done = hub.alter_table("t", [AddColumn(column("more", T.INT64), backfill="n")])
    assert [(each.session.name, each.message) for each in done.ended] == [
        ("both", "the first source has no column 'more', this one has")
    ]
    assert done.ended[0].session.ended is Reason.TABLE_ALTERED
    agree(hub, [alike])
    assert "more" in alike.rows[0]


def test_a_reader_from_before_goes_on_where_only_an_index_is_another() -> None:
    hub = filled()
    before = hub.version
    insert(hub, [{"id": 9, "n": 5, "name": "z"}])
    hub.alter_table("t", [AddIndex(IndexSchema("n"))])
    change = hub.watch_table("t", before).take()
    assert change.inserts is not None and [row["id"] for row in change.inserts.rows.to_rows()] == [9]
