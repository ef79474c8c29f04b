"""A plan says what is done, how many rows it concerns, which index helped, how commits find it, and who shares it."""

from __future__ import annotations

from itertools import count

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, IndexSchema, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.live.explain import PlanStep
from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.filter import Custom, check_filter
from tesseract_grpc.engine.query.filter_text import filter_text
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.sort_key import SortKey

SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("side", DataType.STRING),
        ColumnSchema("price", DataType.FLOAT64),
        ColumnSchema("at", DataType.TIMESTAMP),
    )
)
QUERY = Query(
    "t",
    Custom("side in ('buy', 'sell') && price > 10"),
    computed=(ComputedColumn("double", expression="price * 2"),),
    group=Grouping(("side",), (Aggregate("total", "sum", "double"),)),
    having=Custom("total > 1"),
    sort=(SortKey("total", True),),
)


def make() -> Hub:
    ticks = count(step=1000)
    hub = Hub(epoch="test", stopwatch=lambda: next(ticks))
    hub.create_table("t", SCHEMA, [IndexSchema("side")])
    put(hub, range(20_000))
    return hub


def put(hub: Hub, keys: range) -> None:
    rows: list[dict[str, Scalar]] = [
        {"id": key, "side": f"s{key % 1000}" if key % 500 else "buy", "price": float(key)} for key in keys
    ]
    hub.commit([Write("t", WriteKind.UPSERT, Batch.of_rows(SCHEMA.columns[:3], rows))])


def steps(plan: PlanStep) -> list[PlanStep]:
    return [plan, *(step for below in plan.inputs for step in steps(below))]


def test_a_plan_names_every_step() -> None:
    hub = make()
    version, examined = hub.version, hub.counters.rows_examined
    plan = hub.explain(QUERY)
    assert [step.kind for step in steps(plan)] == ["order", "filter", "group", "filter", "compute", "table"]
    _, _, group, where, compute, table = steps(plan)
    assert where.description == 'price > 10.0 && side in ("buy", "sell")'
    assert where.index == "side" and where.rows_examined == 40 and where.row_count == 39
    assert where.routing_key == 'side in ("buy", "sell")'
    assert (group.row_count, compute.row_count, table.row_count) == (1, 20_000, 20_000)
    assert (hub.version, not hub.sessions) == (version, True) and hub.counters.rows_examined > examined
    hub.check()


def test_a_maintained_plan_counts_what_commits_cost_and_who_shares_it() -> None:
    hub = make()
    for name in ("one", "two"):
        hub.open_session(QUERY, name)
    hub.open_session(Query("t", computed=QUERY.computed), "three")
    put(hub, range(500, 1502))
    plan = hub.explain("one")
    order, _, group, _, compute, table = steps(plan)
    assert order.shared_with == group.shared_with == ("one", "two") and order.shared_count == 2
    assert compute.shared_with == table.shared_with == ("one", "three", "two")
    assert (group.commits, group.rows_offered) == (0, 0), "nothing that the group reads has changed"
    hub.commit(
        [Write("t", WriteKind.UPDATE, Batch.of_rows(SCHEMA.columns[:3], [{"id": 500, "side": "buy", "price": 7e3}]))]
    )
    again = steps(hub.explain("one"))
    assert (again[2].commits, again[2].rows_offered, again[2].apply_us) == (1, 1, 1)
    assert again[2].hydrate_us == 3, "two looks at the clock around two of the scan"


def test_the_text_has_a_line_a_step() -> None:
    hub = make()
    lines = hub.explain(QUERY).text().splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("order: by total descending (1 row")
    assert [len(line) - len(line.lstrip()) for line in lines] == [0, 2, 4, 6, 8, 10]


def test_filters_are_written_as_people_read_them() -> None:
    cases = {
        "price + 1 > 2 || side ~ 'x'": '((price + 1) > 2) || side like "x"',
        "at >= '2020-01-02' && side != null": "side is not null && at >= '2020-01-02T00:00:00Z'",
        "!(side in ('a', 'b'))": 'side not in ("a", "b")',
        "true": "every row",
        "false": "no row",
    }
    for text, said in cases.items():
        found = filter_text(check_filter(Custom(text), SCHEMA))
        assert set(found.replace(".0", "").split()) == set(said.split()), (text, found)
