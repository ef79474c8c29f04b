"""What is first among rows that were derived: it goes by their keys, so that a fresh evaluation says the same."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import CommitLimits, Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.transaction import Transaction
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.operators import key_order
from tesseract_grpc.engine.operators.key_order import KeyOrder
from tesseract_grpc.engine.operators.writing import BY_SLOT
from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.filter import Custom
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.source import Join, JoinKey, QuerySource, TableSource, Union
from tesseract_grpc.engine.query.window_column import WindowColumn, WindowFunction
from tests.engine.relations_queries import BY_CARRIER, on, table
from tests.engine.relations_world import Reader, Row, hub, random_commit

PAIRS = (Join(TableSource("routes"), on(("carrier", "carrier"))),)
OF_PAIRS = (
    Aggregate("first", "first", "id"),
    Aggregate("last", "last", "place"),
    Aggregate("by_delay", "first", "stop", order_by="delay"),
    Aggregate("by_place", "last", "id", order_by="place"),
    Aggregate("least", "min_by", "id", order_by="delay"),
    Aggregate("all", "array", "id"),
    Aggregate("places", "join", "place"),
)
QUERIES = {
    "groups of a join": Query("flights", joins=PAIRS, group=Grouping(("carrier",), OF_PAIRS)),
    "groups of groups": Query(
        source=QuerySource(BY_CARRIER),
        group=Grouping(("n",), (Aggregate("first", "first", "carrier"), Aggregate("all", "array", "carrier"))),
    ),
    "groups of a union": Query(
        source=Union((table("flights"), table("flights"))),
        group=Grouping(("carrier",), (Aggregate("first", "first", "id"), Aggregate("all", "array", "branch"))),
    ),
    "numbers of groups": Query(
        source=QuerySource(BY_CARRIER),
        window_columns=(
            WindowColumn("place", WindowFunction.ROW_NUMBER),
            WindowColumn("before", WindowFunction.LAG, "carrier", ("n",)),
            WindowColumn("so_far", WindowFunction.SUM, "late", (), (SortKey("n"),)),
        ),
    ),
}


@pytest.mark.parametrize("step", [2, 1 << 24])
@pytest.mark.parametrize("name", sorted(QUERIES))
def test_what_is_first_is_first_again(name: str, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_order, "_STEP", step)  # with 2, there is room for one row between two others
    query = QUERIES[name]
    for seed in range(3):
        choose = random.Random(seed)
        tables, fresh = hub(choose), hub()
        reader = Reader(tables.open_session(query, "s"))
        for _ in range(20):
            state = choose.getstate()
            random_commit(choose, tables)
            choose.setstate(state)
            random_commit(choose, fresh)
            reader.take()
            assert repr(reader.rows) == repr(fresh.query(query).rows.to_rows())
        tables.check()


@pytest.mark.parametrize("step", [1, 2, 8])
def test_numbers_rise_with_the_keys(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_order, "_STEP", step)
    choose = random.Random(step)
    schema = TableSchema(
        (ColumnSchema("text", DataType.STRING, primary_key=True), ColumnSchema("id", DataType.INT64, primary_key=True))
    )
    rows = Table("t", schema, 0, HistoryLimits(commits=1))
    order = KeyOrder(rows)
    order.fill(rows.live_slots())
    for version in range(1, 80):
        transaction = Transaction(rows, version, BY_SLOT, CommitLimits())
        live = rows.live_slots()
        if len(live) and choose.random() < 0.4:
            transaction.erase(np.sort(live[choose.sample(range(len(live)), choose.randint(1, len(live)))]))
        keys = {(choose.choice("abcde"), choose.randrange(40)) for _ in range(choose.choice((0, 1, 1, 6)))}
        new: list[Row] = [{"text": text, "id": id} for text, id in sorted(keys)]
        if new:
            transaction.apply(Write("t", WriteKind.UPSERT, Batch.of_rows(schema.columns, new)))
        delta = transaction.finish()
        rows.changelog.append(delta)
        order.came(delta.inserted)
        order.went(delta.removed)
        order.check()
        live = rows.live_slots()
        by_number = rows.batch(live[np.argsort(order.sequence[live])], (0, 1)).to_rows()
        assert by_number == sorted(by_number, key=lambda row: (row["text"], row["id"]))
        rows.changelog.forget(version)
        rows.release()
    assert order.sequence_generation > 1


def test_the_key_of_a_join_is_read_from_left_to_right() -> None:
    """As a source shows its key columns, so do they order the rows of a join and of a union."""
    tables = Hub("test", epoch="test")
    names = (ColumnSchema("a", DataType.INT64, primary_key=True), ColumnSchema("b", DataType.INT64, primary_key=True))
    tables.create_table("t", TableSchema(names))
    rows = [{"a": a, "b": b} for a in (0, 1) for b in (1, 0)]
    tables.commit([Write("t", WriteKind.INSERT, rows=Batch.of_rows(names, rows))])
    one = ComputedColumn("one", "1")
    turned = QuerySource(Query("t", columns=("b", "a", "one"), computed=(one,)))
    left = QuerySource(Query("t", filter=Custom("a == 0 && b == 0"), computed=(one,)))
    for query in (
        Query(source=left, joins=(Join(turned, (JoinKey("one", "one"),), prefix="r_"),), columns=("r_a", "r_b")),
        Query(source=Union((turned, turned)), columns=("a", "b"), filter=Custom("branch == 0")),
    ):
        found = [
            (row.get("r_a", row.get("a")), row.get("r_b", row.get("b"))) for row in tables.query(query).rows.to_rows()
        ]
        assert found == [(0, 0), (1, 0), (0, 1), (1, 1)]
