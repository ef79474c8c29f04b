"""Derived tables: read and watched as tables are, written by nobody, and kept by those who read them."""

from __future__ import annotations

import random

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import (
    AlreadyExists,
    EngineError,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    Reason,
)
from tesseract_grpc.engine.data.schema import IndexSchema, Scalar
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.filter import Compare, CompareOp
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import Join, SessionSource, TableSource
from tests.engine.relations_queries import AIRLINE, BY_CARRIER, LATE, QUERIES, on
from tests.engine.relations_world import Reader, Row, hub, random_commit, upsert

NAMED = Query("flights", LATE, ("carrier", "name", "delay"), joins=(Join(TableSource("airlines"), AIRLINE),))


def _filled(seed: int = 1) -> Hub:
    choose, tables = random.Random(seed), hub()
    for _ in range(30):
        random_commit(choose, tables)
    return tables


class TableMirror:
    """What a reader of a table holds."""

    def __init__(self, tables: Hub, name: str) -> None:
        self.watch = tables.watch_table(name, old_values=True)
        snapshot = self.watch.snapshot()
        self.names = [column.name for column in tables.table(name).schema.key_columns]
        self.rows = {self._key(row): row for row in snapshot.rows.to_rows()}

    def _key(self, row: Row) -> str:
        return repr([row[name] for name in self.names])

    def take(self) -> None:
        changes = self.watch.take()
        for removes in changes.removes:
            assert removes.old_rows is not None
            for row in removes.old_rows.to_rows():
                assert repr(self.rows.pop(self._key(row))) == repr(row)
        for updates in changes.updates:
            assert updates.old_values is not None
            for row, old in zip(updates.rows.to_rows(), updates.old_values.to_rows(), strict=True):
                held = self.rows[self._key(row)]
                assert repr({name: held[name] for name in old}) == repr(old)
                held.update(row)
        if changes.inserts is not None:
            self.rows.update({self._key(row): row for row in changes.inserts.rows.to_rows()})


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_derived_table_is_its_query(name: str) -> None:
    choose, query = random.Random(name), QUERIES[name].query
    tables = hub(choose)
    for _ in range(5):
        random_commit(choose, tables)
    table = tables.create_derived_table("derived", query)
    assert tables.tables["derived"] is table
    assert tables.derived_tables == {"derived": query}
    mirror = TableMirror(tables, "derived")
    column = table.schema.columns[-1]
    session = Reader(tables.open_session(Query("derived"), "over"))
    tables.set_indexes("derived", [IndexSchema(column.name)])
    for _ in range(25):
        before = tables.version
        result = random_commit(choose, tables)
        mirror.take()
        session.take()
        rows = tables.query(Query("derived")).rows.to_rows()
        assert sorted(map(repr, rows)) == sorted(map(repr, tables.query(query).rows.to_rows()))
        assert sorted(map(repr, mirror.rows.values())) == sorted(map(repr, rows))
        assert repr(session.rows) == repr(rows)
        if result is not None and table.update_version == tables.version > before:
            assert table in result.tables, "a reader of the table is not woken"
    tables.check()
    keys = Batch.of_rows(table.schema.key_columns, [{name: row[name] for name in mirror.names} for row in rows])
    if len(keys.columns) == len(mirror.names):  # of no rows, or when all hold null, a column is missing
        assert repr(tables.get_rows("derived", keys)[0].to_rows()) == repr(rows)
    tables.drop_table("derived")
    assert not any(source.nodes for source in tables._sources.values())


def test_a_derived_table_cannot_be_written() -> None:
    tables = _filled()
    tables.create_derived_table("named", NAMED)
    version, rows = tables.version, tables.query(Query("named")).rows.to_rows()
    assert rows
    columns = tables.table("named").schema.columns
    for write in (
        Write("named", WriteKind.UPSERT, Batch.of_rows(columns, [{**rows[0], "delay": 9}])),
        Write("named", WriteKind.UPDATE, Batch.of_rows(columns, [{"id": rows[0]["id"], "delay": 9}])),
        Write("named", WriteKind.DELETE, Batch.of_rows(columns, [{"id": rows[0]["id"]}])),
        Write("named", WriteKind.DELETE, filter=LATE),
    ):
        for writes in ([write], [upsert("flights", {"id": 0, "delay": 5}), write]):
            with pytest.raises(InvalidRequest) as caught:
                tables.commit(writes)
            assert caught.value.reason is Reason.NOT_WRITABLE
            assert caught.value.field.startswith(f"operations[{len(writes) - 1}].")
            assert "derived from a query" in caught.value.message
    assert (tables.version, tables.query(Query("named")).rows.to_rows()) == (version, rows)
    tables.check()


def test_a_table_that_derived_tables_read_cannot_be_dropped() -> None:
    tables = _filled()
    tables.create_derived_table("named", NAMED)
    tables.create_derived_table("sums", Query("named", group=Grouping(("name",), (Aggregate("n", "count"),))))
    tables.open_session(Query("sums"), "s")
    version = tables.version
    for name, readers in (("flights", "'named', 'sums'"), ("airlines", "'named', 'sums'"), ("named", "'sums'")):
        with pytest.raises(PreconditionFailed) as caught:
            tables.drop_table(name)
        assert caught.value.reason is Reason.TABLE_IN_USE
        assert f"read by the derived tables {readers};" in caught.value.message
    assert tables.version == version
    watch = tables.watch_table("sums")
    (ended,) = tables.drop_table("sums")
    assert (ended.name, ended.ended, watch.closed) == ("s", Reason.TABLE_DELETED, Reason.TABLE_DELETED)
    tables.drop_table("named")
    tables.drop_table("airlines")
    assert set(tables.tables) == {"flights", "planes", "routes"}
    tables.check()


def test_a_derived_table_is_made_from_a_session_and_outlives_it() -> None:
    tables = _filled()
    tables.open_session(BY_CARRIER, "groups")
    tables.create_derived_table("kept", Query(source=SessionSource("groups")))
    tables.close_session("groups")
    random_commit(random.Random(3), tables)
    assert tables.query(Query("kept")).rows.to_rows() == tables.query(BY_CARRIER).rows.to_rows()
    tables.rename_table("kept", "held")
    tables.rename_table("flights", "flown")
    assert tables.derived_tables == {"held": Query(source=SessionSource("groups"))}
    assert tables.tables["held"].name == "held"
    with pytest.raises(PreconditionFailed):
        tables.drop_table("flown")
    tables.drop_table("held")
    tables.drop_table("flown")


def test_derived_tables_are_joined_and_derived_from() -> None:
    choose, tables = random.Random(8), _filled()
    tables.create_derived_table("late", Query("flights", LATE))
    tables.create_derived_table("groups", BY_CARRIER)
    joined = Query("late", joins=(Join(TableSource("groups"), on(("carrier", "carrier"))),))
    reader = Reader(tables.open_session(joined, "s"))
    for _ in range(30):
        random_commit(choose, tables)
        reader.take()
        assert repr(reader.rows) == repr(tables.query(joined).rows.to_rows())
    tables.check()


def test_a_derived_table_that_cannot_follow_is_gone() -> None:
    tables = hub()
    sums = Query("flights", group=Grouping(("carrier",), (Aggregate("sum", "sum", "delay"),)))
    tables.create_derived_table("sums", sums)
    tables.create_derived_table("low", Query("sums", Compare("sum", CompareOp.LESS, 3)))
    watch = tables.watch_table("low")
    tables.open_session(Query("low"), "s")
    rows: list[dict[str, Scalar]] = [{"id": i, "carrier": "UA", "delay": 2**62} for i in range(2)]
    result = tables.commit([upsert("flights", *rows)])
    assert [session.name for session, _ in result.ended] == ["s"]
    assert set(tables.tables) == {"flights", "airlines", "planes", "routes"}
    assert watch.closed is Reason.TABLE_DELETED
    tables.drop_table("flights")
    tables.check()


def test_what_a_derived_table_cannot_be() -> None:
    tables = hub()
    with pytest.raises(AlreadyExists):
        tables.create_derived_table("flights", Query("airlines"))
    with pytest.raises(NotFound):
        tables.create_derived_table("x", Query("none"))
    with pytest.raises(EngineError) as caught:
        tables.create_derived_table("no name", Query("flights"))
    assert caught.value.reason is Reason.BAD_NAME
    version = tables.version
    assert tables.create_derived_table("x", Query("flights"), validate_only=True).row_count == 0
    assert (tables.version, "x" in tables.tables) == (version, False)
    assert tables.create_derived_table("x", Query("flights")).create_version == version + 1
