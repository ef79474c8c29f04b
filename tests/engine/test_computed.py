"""Computed columns of queries: the order in which they use each other, sharing, and names that do not show any more."""

from __future__ import annotations

from typing import Any

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import EngineError, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.filter import Custom
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.source import QuerySource
from tesseract_grpc.engine.query.window_column import WindowColumn, WindowFunction
from tests.engine.test_edit import Mirror

SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("name", DataType.STRING),
        ColumnSchema("side", DataType.ENUM, enum_values=("buy", "sell")),
        ColumnSchema("n", DataType.INT64),
    )
)


def make() -> Hub:
    hub = Hub(epoch="test")
    hub.create_table("t", SCHEMA)
    put(hub, *[{"id": key, "name": "ab"[key % 2], "side": ("buy", "sell")[key % 2], "n": key} for key in range(6)])
    return hub


def put(hub: Hub, *rows: dict[str, Any]) -> None:
    columns = [column for column in SCHEMA.columns if column.name in rows[0]]
    hub.commit([Write("t", WriteKind.UPSERT, Batch.of_rows(columns, rows))])


def column(name: str, expression: str) -> ComputedColumn:
    return ComputedColumn(name, expression=expression)


def test_columns_may_be_written_in_any_order_and_stand_as_written() -> None:
    hub = make()
    query = Query(
        "t", computed=(column("c", "b + 1"), column("a", "n * 10"), column("b", "a + 1")), sort=(SortKey("c"),)
    )
    mirror = Mirror(hub.open_session(query, "s").watch())
    assert mirror.columns == ["id", "name", "side", "n", "c", "a", "b"]
    assert [(row["a"], row["b"], row["c"]) for row in mirror.rows[:2]] == [(0, 1, 2), (10, 11, 12)]
    put(hub, {"id": 0, "n": 7})
    mirror.verify()
    assert mirror.rows[-1]["c"] == 72


def test_sessions_with_the_same_columns_share_them() -> None:
    hub = make()
    columns = (column("twice", "n * 2"),)
    hub.open_session(Query("t", Custom("twice > 4"), computed=columns), "one")
    hub.open_session(Query("t", Custom("twice < 4"), computed=columns, columns=("name",)), "two")
    step = hub.explain("one").inputs[0].inputs[0]
    assert (step.kind, step.shared_with) == ("compute", ("one", "two"))
    hub.close_session("one")
    hub.check()
    assert hub.explain("two").inputs[0].inputs[0].shared_with == ("two",)


def test_a_commit_that_touches_no_input_works_nothing_out() -> None:
    hub = make()
    mirror = Mirror(hub.open_session(Query("t", computed=(column("twice", "n * 2"),), columns=("twice",)), "s").watch())
    put(hub, {"id": 1, "name": "zz"})
    assert not any(bool(change) for change in mirror.catch_up())


def test_types_follow_from_the_expression() -> None:
    hub = make()
    texts = {
        "a": "n + 1",
        "b": "n / 2",
        "c": "name + n",
        "d": "n > 1",
        "e": "side",
        "f": "side + '!'",
        "g": "new Date(0)",
    }
    session = hub.open_session(Query("t", computed=tuple(column(*each) for each in texts.items())), "s")
    found = {each.name: (each.type, each.enum_values) for each in session.columns if each.name in texts}
    assert found == {
        "a": (DataType.INT64, ()),
        "b": (DataType.FLOAT64, ()),
        "c": (DataType.STRING, ()),
        "d": (DataType.BOOL, ()),
        "e": (DataType.ENUM, ("buy", "sell")),
        "f": (DataType.STRING, ()),
        "g": (DataType.TIMESTAMP, ()),
    }


INNER = Query("t", Custom("c > 1 && c * n < 20"), computed=(column("c", "n"),), columns=("n", "name"))
OVER = (
    Query(source=QuerySource(INNER), computed=(column("c", "n + 1000"),), filter=Custom("c != 1003")),
    Query(source=QuerySource(INNER), window_columns=(WindowColumn("c", WindowFunction.ROW_NUMBER),)),
    Query(source=QuerySource(INNER), computed=(column("side", "name"),), group=Grouping(("side",))),
    Query(
        source=QuerySource(
            Query(source=QuerySource(INNER), computed=(column("c", "n + 1"),), filter=Custom("c > 2"), columns=("n",))
        ),
        computed=(column("c", "n * 3"), column("name", "'x' + c")),
        sort=(SortKey("c", True),),
    ),
    Query(
        source=QuerySource(Query("t", group=Grouping(("name",), (Aggregate("c", "count"),)), columns=("name",))),
        computed=(column("c", "name + name"),),
    ),
)


@pytest.mark.parametrize("query", OVER)
def test_a_column_that_does_not_show_is_not_in_the_way(query: Query) -> None:
    hub = make()
    mirror = Mirror(hub.open_session(query, "s").watch())
    for rows in ([{"id": 2, "n": 9}], [{"id": 7, "n": 3}, {"id": 3, "n": 0}], [{"id": 4, "name": "c"}]):
        put(hub, *rows)
        hub.check()
        mirror.verify()
        assert mirror.rows == hub.query(query).rows.to_rows()
    assert mirror.rows


def test_what_a_hidden_column_kept_out_stays_out() -> None:
    hub = make()
    rows = hub.query(OVER[0]).rows.to_rows()
    assert [(row["n"], row["c"]) for row in rows] == [(2, 1002), (4, 1004)], "n = 5 gives 25"


WRONG = [
    ((column("n", "1"),), Reason.DUPLICATE_COLUMN, "query.computed[0].name"),
    ((column("a", "1"), column("a", "2")), Reason.DUPLICATE_COLUMN, "query.computed[1].name"),
    ((column("a", "b"), column("b", "a")), Reason.BAD_SCHEMA, "query.computed"),
    ((column("a", "nothing"),), Reason.UNKNOWN_COLUMN, "query.computed[0].expression"),
    ((ComputedColumn("a", template="${nothing}"),), Reason.UNKNOWN_COLUMN, "query.computed[0].template"),
    ((ComputedColumn("a"),), Reason.MALFORMED_REQUEST, "query.computed[0]"),
    ((ComputedColumn("a", "1", "2"),), Reason.MALFORMED_REQUEST, "query.computed[0]"),
    ((column("", "1"),), Reason.BAD_NAME, ""),
]


@pytest.mark.parametrize(("columns", "reason", "field"), WRONG)
def test_what_cannot_be_computed_is_refused(columns: tuple[ComputedColumn, ...], reason: Reason, field: str) -> None:
    hub = make()
    with pytest.raises(EngineError) as refused:
        hub.open_session(Query("t", computed=columns), "s")
    assert refused.value.reason is reason
    assert refused.value.field.startswith(field)
    assert not hub.sessions
    hub.check()
