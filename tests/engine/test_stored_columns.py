"""Computed columns of tables, defaults that are expressions, and time as a commit."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

import pytest

from tesseract_grpc.engine.data.commit import Condition, Write, WriteKind
from tesseract_grpc.engine.data.delta import RemoveReason
from tesseract_grpc.engine.data.errors import CommitRefused, EngineError, InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, IndexSchema, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.filter import Custom
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import Query
from tests.engine.test_edit import Mirror

KEY = ColumnSchema("id", DataType.INT64, primary_key=True)
SECOND = 1_000_000
Row = dict[str, Any]


def column(name: str, kind: DataType, **more: Any) -> ColumnSchema:
    return ColumnSchema(name, kind, **more)


def computed(name: str, text: str, kind: DataType | None = None, **more: Any) -> ColumnSchema:
    return ColumnSchema(name, kind or DataType.STRING, expression=text, inferred=kind is None, **more)


SCHEMA = TableSchema(
    (
        KEY,
        computed("twice_total", "total * 2"),  # uses a column that stands behind it
        column("price", DataType.FLOAT64),
        column("qty", DataType.INT64, default=2),
        computed("total", "price * qty"),
        computed("label", "'#' + id + ' ' + (note ?? '-')"),
        column("note", DataType.STRING, default_expression="qty > 2 ? 'many' : 'few'"),
        column("made", DataType.TIMESTAMP, default_expression="now()"),
        computed("big", "(total > 10) ?? false", DataType.BOOL, required=True),
    )
)


def make(schema: TableSchema = SCHEMA, *indexes: str) -> Hub:
    hub = Hub(epoch="test")
    hub.tick(5 * SECOND)
    hub.create_table("t", schema, [IndexSchema(name) for name in indexes])
    return hub


def put(hub: Hub, kind: WriteKind, *rows: Row, condition: Condition | None = None) -> None:
    stored = [each for each in hub.table("t").schema.columns if each.name in rows[0]]
    hub.commit([Write("t", kind, Batch.of_rows(stored, rows), condition=condition)])


def rows(hub: Hub, query: Query | None = None) -> list[Row]:
    return hub.query(query or Query("t")).rows.to_rows()


def expected(row: Row) -> Row:
    """A row as it must be, from the columns that are written."""
    price, qty = row["price"], row["qty"]
    total = None if price is None or qty is None else price * qty
    return {
        **row,
        "total": total,
        "twice_total": None if total is None else total * 2,
        "label": f"#{row['id']} {'-' if row['note'] is None else row['note']}",
        "big": bool(total is not None and total > 10),
    }


@pytest.mark.parametrize("seed", range(60))
def test_computed_columns_follow_every_kind_of_write(seed: int) -> None:
    rng = Random(seed)
    hub = make(SCHEMA, *(["total", "label"] if seed % 2 else []))
    hub.open_session(Query("t", Custom("total > 3")), "some")
    hub.open_session(Query("t", group=Grouping(("big",), (Aggregate("sum", "sum", "twice_total"),))), "groups")
    mirrors = [Mirror(hub.session(name).watch()) for name in ("some", "groups")]
    for _ in range(30):
        kind = rng.choice((WriteKind.INSERT, WriteKind.UPSERT, WriteKind.UPSERT, WriteKind.UPDATE, WriteKind.INCREMENT))
        names = rng.choice((("price", "qty"), ("qty",), ("price", "note"), ("note",), ("price", "qty", "note", "made")))
        if kind is WriteKind.INCREMENT:
            names = ("price", "qty")
        values = {"price": (None, 0.5, 4.0), "qty": (None, 1, 3), "note": (None, "x"), "made": (None, SECOND)}
        given = [
            {"id": key, **{name: rng.choice(values[name]) for name in names}}
            for key in rng.sample(range(6), rng.randint(1, 3))
        ]
        with suppress(CommitRefused):
            put(hub, kind, *given)
        if rng.random() < 0.2:
            keys = Batch.of_rows((KEY,), [{"id": rng.randrange(6)}])
            hub.commit([Write("t", WriteKind.DELETE, keys)])
        hub.check()
        for row in rows(hub):
            assert row == expected(row)
        for mirror in mirrors:
            mirror.verify()


def test_defaults_are_worked_out_for_rows_that_do_not_mention_the_column() -> None:
    hub = make()
    put(hub, WriteKind.INSERT, {"id": 1, "price": 1.0})
    put(hub, WriteKind.INSERT, {"id": 2, "price": 1.0, "qty": 9})
    put(hub, WriteKind.INSERT, {"id": 3, "price": 1.0, "note": None, "made": None})
    hub.tick(7 * SECOND)
    put(hub, WriteKind.UPSERT, {"id": 4, "price": None}, {"id": 1, "price": 2.0})
    found = {row["id"]: (row["qty"], row["note"], row["made"]) for row in rows(hub)}
    assert found == {
        1: (2, "few", 5 * SECOND),  # an update does not touch what it does not mention
        2: (9, "many", 5 * SECOND),
        3: (2, None, None),
        4: (2, "few", 7 * SECOND),
    }


def test_a_computed_column_can_be_found_by_its_index() -> None:
    hub = make(SCHEMA, "total")
    put(hub, WriteKind.INSERT, *[{"id": key, "price": float(key), "qty": 1} for key in range(20_000)])
    put(hub, WriteKind.UPDATE, {"id": 3, "price": 1e6})
    assert [row["id"] for row in rows(hub, Query("t", Custom("total >= 19999")))] == [3, 19_999]
    assert hub.counters.index_queries == 1


@pytest.mark.parametrize("name", ["total", "twice_total", "big"])
@pytest.mark.parametrize("kind", [WriteKind.INSERT, WriteKind.UPSERT, WriteKind.UPDATE, WriteKind.INCREMENT])
def test_a_computed_column_cannot_be_written(name: str, kind: WriteKind) -> None:
    hub = make()
    put(hub, WriteKind.INSERT, {"id": 1, "price": 1.0})
    with pytest.raises(InvalidRequest) as refused:
        put(hub, kind, {"id": 1, name: True if name == "big" else 1.0})
    assert refused.value.reason is Reason.NOT_WRITABLE and name in refused.value.field
    assert len(rows(hub)) == 1


WRONG: list[tuple[str, list[ColumnSchema], Reason, str]] = [
    (
        "circle",
        [computed("a", "b + 1", DataType.INT64), computed("b", "a + 1", DataType.INT64)],
        Reason.BAD_SCHEMA,
        "a",
    ),
    ("itself", [computed("a", "a + 1", DataType.INT64)], Reason.BAD_SCHEMA, "a -> a"),
    ("type", [computed("a", "id / 2", DataType.INT64)], Reason.WRONG_TYPE, "FLOAT64"),
    ("unknown", [computed("a", "nothing + 1")], Reason.UNKNOWN_COLUMN, "nothing"),
    ("syntax", [computed("a", "1 +")], Reason.BAD_EXPRESSION, ""),
    ("key", [computed("a", "id", DataType.INT64, primary_key=True)], Reason.BAD_SCHEMA, "key"),
    ("default", [computed("a", "id", DataType.INT64, default=1)], Reason.BAD_SCHEMA, "both"),
    ("null", [computed("a", "null")], Reason.WRONG_TYPE, "null"),
    ("default type", [column("a", DataType.BOOL, default_expression="id")], Reason.WRONG_TYPE, "INT64"),
    (
        "default of a default",
        [
            column("a", DataType.INT64, default_expression="id"),
            column("b", DataType.INT64, default_expression="a"),
        ],
        Reason.UNKNOWN_COLUMN,
        "a",
    ),
]


@pytest.mark.parametrize(("columns", "reason", "says"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_cannot_be_worked_out_is_refused(columns: list[ColumnSchema], reason: Reason, says: str) -> None:
    hub = Hub(epoch="test")
    with pytest.raises(EngineError) as refused:
        hub.create_table("t", TableSchema((KEY, *columns)))
    assert refused.value.reason is reason, refused.value
    assert says in str(refused.value)
    assert refused.value.field.startswith("columns")
    assert not hub.tables and hub.version == 0


def test_a_computed_value_that_a_column_cannot_hold_refuses_the_write() -> None:
    must = TableSchema((KEY, column("n", DataType.INT64), computed("m", "n + 1", DataType.INT64, required=True)))
    hub = make(must)
    put(hub, WriteKind.INSERT, {"id": 1, "n": 1})
    with pytest.raises(CommitRefused) as refused:
        put(hub, WriteKind.UPDATE, {"id": 1, "n": None})
    assert refused.value.problems[0].column == "m"
    assert rows(hub) == [{"id": 1, "n": 1, "m": 2}]
    hub.check()


TIMES = TableSchema(
    (
        KEY,
        column("at", DataType.TIMESTAMP),
        computed("age", "Math.floor((Date.now() - at.getTime()) / 1000)"),
        computed("old", "age > 3"),
    )
)


@pytest.mark.parametrize("seed", range(60))
def test_time_is_a_commit(seed: int) -> None:
    """Rows enter, leave and change by themselves, and every mirror is what a fresh evaluation gives."""
    rng = Random(seed)
    stored = seed % 2 == 0
    hub = make(TIMES if stored else TableSchema(TIMES.columns[:2]))
    recent, passed = Custom("at > now() - 3s"), Custom("at <= now() - 2s && id > 1")
    age = ComputedColumn("years", expression="Math.floor((Date.now() - at.getTime()) / 2000)")
    hub.open_session(Query("t", recent), "recent")
    hub.open_session(Query("t", passed), "passed")
    hub.open_session(Query("t", Custom("years >= 1"), computed=(age,)), "years")
    hub.open_session(Query("t", recent, group=Grouping((), (Aggregate("n", "count"),))), "count")
    hub.open_session(
        Query("t", recent, computed=(age,), group=Grouping(("years",), (Aggregate("n", "count"),))), "both"
    )
    if stored:
        hub.open_session(Query("t", group=Grouping(("old",), (Aggregate("n", "max", "age"),))), "stored")
    mirrors = [Mirror(session.watch()) for session in hub.sessions.values()]
    now = 5
    for _ in range(25):
        if rng.random() < 0.5:
            now += rng.randint(0, 3)
            version = hub.version
            hub.tick(now * SECOND)
            assert hub.version in (version, version + 1)
        else:
            kind = rng.choice((WriteKind.UPSERT, WriteKind.UPSERT, WriteKind.DELETE))
            given: list[Row] = [{"id": key} for key in rng.sample(range(5), 2)]
            if kind is WriteKind.UPSERT:
                given = [{**row, "at": rng.choice((None, now - 3, now - 2, now, now + 2))} for row in given]
                given = [{**row, "at": None if row["at"] is None else row["at"] * SECOND} for row in given]
            put(hub, kind, *given)
        hub.check()
        for mirror in mirrors:
            if rng.random() < 0.7:
                mirror.verify()
                found = hub.query(mirror.watch.session.query).rows.to_rows()
                assert found == mirror.rows, mirror.watch.session.name
    if stored:
        for row in rows(hub):
            assert row["age"] == (None if row["at"] is None else now - row["at"] // SECOND)


def test_rows_that_time_takes_say_expired() -> None:
    hub = make(TableSchema(TIMES.columns[:2]))
    put(hub, WriteKind.INSERT, {"id": 1, "at": 5 * SECOND}, {"id": 2, "at": 9 * SECOND})
    mirror = Mirror(hub.open_session(Query("t", Custom("at > now() - 3s")), "s").watch())
    result = hub.tick(9 * SECOND)
    assert [session.name for session in result.touched] == ["s"]
    (change,) = mirror.catch_up()
    assert [(part.reason, part.keys.to_rows()) for part in change.removes] == [(RemoveReason.EXPIRED, [{"id": 1}])]


def test_a_tick_costs_nothing_and_takes_no_version_when_nobody_asks_for_the_time() -> None:
    hub = make()
    put(hub, WriteKind.INSERT, {"id": 1, "price": 1.0})
    version = hub.version
    assert not hub.timely
    hub.tick(100 * SECOND)
    hub.tick(50 * SECOND)  # time does not go back
    assert (hub.version, hub.now) == (version, 100 * SECOND)
    hub.open_session(Query("t", Custom("made < now()")), "s")
    assert hub.timely
    hub.close_session("s")
    assert not hub.timely


@pytest.mark.parametrize("index", [True, False])
def test_a_tick_looks_only_at_rows_that_it_may_concern(index: bool) -> None:
    hub = make(TableSchema(TIMES.columns[:2]), *(["at"] if index else []))
    put(hub, WriteKind.INSERT, *[{"id": key, "at": key * SECOND} for key in range(20_000)])
    texts = {
        "at > now() - 30s": 41,
        "at between now() - 30s and now()": 71,
        "at > now() - 30s || id == 3": 41,
        "(Date.now() - at.getTime()) / 1000 < 30": 20_000,
    }
    hub.tick(10_000 * SECOND)
    for number, text in enumerate(texts):
        hub.open_session(Query("t", Custom(text)), f"s{number}")
    mirrors = [Mirror(session.watch()) for session in hub.sessions.values()]
    hub.tick(10_040 * SECOND)
    assert [session.result.filter.judged for session in hub.sessions.values()] == list(texts.values())
    for mirror in mirrors:
        mirror.verify()
    hub.check()


def test_deletes_and_conditions_follow_the_clock() -> None:
    hub = make(TableSchema(TIMES.columns[:2]))
    put(hub, WriteKind.INSERT, {"id": 1, "at": 2 * SECOND}, {"id": 2, "at": 9 * SECOND})
    with pytest.raises(CommitRefused):
        put(hub, WriteKind.UPDATE, {"id": 2, "at": 3 * SECOND}, condition=Condition(if_filter=Custom("at < now()")))
    hub.commit([Write("t", WriteKind.DELETE, filter=Custom("at < now() - 1s"))])
    assert [row["id"] for row in rows(hub)] == [2]
