"""What rows hold after an alteration, and what of it is told: cases that histories meet too rarely."""

from __future__ import annotations

from typing import Any

from tesseract_grpc.engine.data.alteration import AddColumn, ChangeColumn, SetKey
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import Join, JoinKey, TableSource

ID, N = ColumnSchema("id", DataType.INT64, primary_key=True), ColumnSchema("n", DataType.INT64)


def a_hub(*more: ColumnSchema) -> Hub:
    hub = Hub("test", epoch="test")
    schema = TableSchema((ID, N, *more))
    hub.create_table("t", schema)
    rows = [{"id": number, "n": number} for number in range(3)]
    hub.commit([Write("t", WriteKind.INSERT, Batch.of_rows(schema.columns, rows))])
    return hub


def rows_of(hub: Hub, **query: Any) -> list[dict[str, Any]]:
    return hub.query(Query("t", **query)).rows.to_rows()


def test_computed_columns_follow_a_column_that_is_given_other_values() -> None:
    """In turn: one that reads it, and one that reads that; nobody else."""
    twice = ColumnSchema("twice", DataType.INT64, expression="n * 2")
    more = ColumnSchema("more", DataType.INT64, expression="twice + 1")
    hub = a_hub(twice, more, ColumnSchema("named", DataType.STRING, expression="'row ' + id"))
    watch = hub.open_session(Query("t", columns=("id", "more")), "s").watch()
    watch.snapshot()
    done = hub.alter_table("t", [ChangeColumn("n", N, frozenset({"type"}), "n + 10")])
    assert [(row["n"], row["twice"], row["more"]) for row in rows_of(hub)] == [(10, 20, 21), (11, 22, 23), (12, 24, 25)]
    assert [row["named"] for row in rows_of(hub)] == ["row 0", "row 1", "row 2"]
    assert done.rewritten == 3
    assert [row for part in watch.take().updates for row in part.rows.to_rows()] == [
        {"id": 0, "more": 21},
        {"id": 1, "more": 23},
        {"id": 2, "more": 25},
    ]
    hub.check()


def test_a_column_of_another_type_is_told_whole() -> None:
    hub = a_hub()
    session, reader = hub.open_session(Query("t"), "s"), hub.watch_table("t")
    watch = session.watch()
    for each in (watch, reader):
        each.snapshot()
    hub.alter_table("t", [ChangeColumn("n", ColumnSchema("n", DataType.FLOAT64), frozenset({"type"}))])
    for each in (watch, reader):
        told = [row for part in each.take().updates for row in part.rows.to_rows()]
        assert repr(told) == "[{'id': 0, 'n': 0.0}, {'id': 1, 'n': 1.0}, {'id': 2, 'n': 2.0}]"


def test_a_join_that_has_taken_an_altered_column_is_made_anew() -> None:
    """Also for a session that shows nothing of it: the step holds a copy of the column."""
    hub = a_hub()
    hub.create_table("other", TableSchema((ID, ColumnSchema("of", DataType.INT64))))
    other = hub.table("other").schema.columns
    rows = [{"id": number, "of": number % 2} for number in range(4)]
    hub.commit([Write("other", WriteKind.INSERT, Batch.of_rows(other, rows))])
    joins = (Join(TableSource("other"), (JoinKey("id", "of"),), prefix="o_"),)
    session = hub.open_session(Query("t", joins=joins, columns=("id", "o_id")), "s")
    hub.alter_table("t", [ChangeColumn("n", ColumnSchema("n", DataType.STRING), frozenset({"type"}))])
    assert [(row["id"], row["o_id"]) for row in session.read().rows.to_rows()] == [(0, 0), (0, 2), (1, 1), (1, 3)]
    hub.check()


def test_a_key_that_was_just_added() -> None:
    """All alterations are one: the key is that of a column that was not there before."""
    hub = a_hub()
    watch = hub.open_session(Query("t", columns=("n",)), "s").watch()
    watch.snapshot()
    hub.alter_table("t", [AddColumn(ColumnSchema("k", DataType.STRING), "'k' + id"), SetKey(("k",))])
    schema = watch.take().session_changed
    assert schema is not None
    assert (schema.reset, schema.replaced) == (True, True)
    assert sorted(str(row["k"]) for row in watch.snapshot().rows.to_rows()) == ["k0", "k1", "k2"]
    hub.check()
