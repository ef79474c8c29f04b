"""Measuring: every kind of operation, on a copy, without a trace in the hub, and gone with the call."""

from __future__ import annotations

import asyncio
from typing import Any

import psutil
import pytest

from tesseract_grpc._proto.tesseract.v1 import diagnosis_service_pb2 as dpb
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, IndexSchema, Scalar
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.server.diagnosis.performance_child import measure
from tesseract_grpc.server.diagnosis.performance_plan import Copy, copy_of, plan_of
from tesseract_grpc.server.diagnosis.performance_run import PerformanceRun
from tests.diagnosis.asking import Asking
from tests.diagnosis.test_diagnose import stub
from tests.server.support import Api, refused, serving, user

KINDS = ["insert", "upsert", "update", "get", "filter", "sort", "group", "session"]
COLUMNS = (
    ColumnSchema("id", DataType.INT64, primary_key=True),
    ColumnSchema("name", DataType.STRING),
    ColumnSchema("n", DataType.INT64),
    ColumnSchema("twice", DataType.INT64, expression="n * 2"),
)


def a_copy(rows: int) -> Copy:
    items: list[dict[str, Scalar]] = [{"id": id, "name": f"x{id % 7}", "n": id % 100} for id in range(rows)]
    pieces = [Batch.of_rows(COLUMNS[:3], items[start : start + 40]) for start in range(0, rows, 40)]
    for piece in pieces:
        piece.columns["twice"] = piece.columns["n"]
    return copy_of(COLUMNS, [IndexSchema("n")], pieces)


def test_every_kind_is_measured() -> None:
    found = measure(a_copy(300), 50)
    assert [each.operation for each in found] == KINDS
    for each in found:
        assert each.operations == 50 and each.rows >= 50, each
        assert 0 < each.p50_us <= each.p99_us
        assert each.seconds > 0
    by_name = {each.operation: each for each in found}
    assert by_name["sort"].rows == 50 * 50
    assert "with an index" in by_name["filter"].description and " n" in by_name["filter"].description


@pytest.mark.parametrize("rows", [1, 3, 300])
def test_the_copy_is_whole_in_the_end(rows: int) -> None:
    run = PerformanceRun(a_copy(rows), 2 * rows + 1)
    run.run()
    assert run.hub.table("copy").row_count == rows
    run.hub.check()
    assert rows == 1 or run.hub.counters.sessions_changed > 0, "updates were no changes"


def test_a_kind_ends_when_its_time_is_up() -> None:
    run = PerformanceRun(a_copy(100), 1_000_000, seconds=0.05)
    run.run()
    assert all(1 <= len(each.nanoseconds) < 1_000_000 for each in run.results)


@pytest.mark.parametrize(
    "kinds", [[DataType.BOOL], [DataType.ENUM, DataType.BOOL], [DataType.STRING], [DataType.TIMESTAMP]]
)
def test_an_empty_table_gets_rows_that_are_made_up(kinds: list[DataType]) -> None:
    columns = [
        ColumnSchema(f"k{place}", kind, primary_key=True, enum_values=("a", "b", "c") if kind is DataType.ENUM else ())
        for place, kind in enumerate(kinds)
    ]
    copy = copy_of([*columns, ColumnSchema("doc", DataType.JSON)], [], [])
    assert copy.made_up and copy.rows.length >= 2
    found = measure(copy, 5)
    assert [each.operation for each in found] == [kind for kind in KINDS if kind not in ("update", "filter", "session")]


def test_columns_are_chosen_by_what_is_in_them() -> None:
    plan = plan_of(a_copy(300))
    assert (plan.filtered, plan.indexed, plan.sorted, plan.grouped, plan.summed) == ("n", True, "n", "name", "n")


def traces(hub: Asking) -> tuple[Any, ...]:
    """What a measurement could change."""
    table = hub.host.hub.tables["a"]
    counters = hub.host.hub.counters
    return (
        hub.host.hub.version,
        table.update_version,
        table.row_count,
        table.next_sequence,
        [index.uses for index in table.indexes.values()],
        table.keys.uses,
        counters.commits,
        counters.rows_examined,
        len(hub.host.hub.sessions),
        table.uses and [use.uses for use in table.uses.most_used()],
        len(hub.host.hub._sources["a"].watches),
    )


async def test_the_hub_stays_as_it_is() -> None:
    hub = Asking()
    await hub.create("a")
    await hub.upsert("a", [{"id": id, "n": id % 9, "name": f"x{id}", "at": id} for id in range(500)])
    before = traces(hub)
    response = await hub.ask("test_performance", dpb.TestPerformanceRequest(table="a", operations=20, max_rows=200))
    assert traces(hub) == before
    assert response.copied_rows == 200
    assert [result.operation for result in response.results] == KINDS
    assert all(result.operations == 20 and result.operations_per_second > 0 for result in response.results)
    hub.host.hub.check()


async def test_what_is_out_of_bounds_is_refused(api: Api) -> None:
    for fields, reason, field in (
        ({"operations": -1}, "MALFORMED_REQUEST", "operations"),
        ({"operations": 1_000_001}, "LIMIT_EXCEEDED", "operations"),
        ({"max_rows": -1}, "MALFORMED_REQUEST", "max_rows"),
        ({"max_rows": 1_000_001}, "LIMIT_EXCEEDED", "max_rows"),
        ({"table": "no"}, "UNKNOWN_TABLE", "table"),
    ):
        request = dpb.TestPerformanceRequest(**{"table": "users", **fields})  # type: ignore[arg-type]
        refusal = await refused(stub(api).TestPerformance(request))
        assert (refusal.reason, refusal.fields or (field,)) == (reason, (field,))


async def test_the_process_ends_with_the_call() -> None:
    async with serving() as (_, api):
        await api.create_users()
        await api.insert([user(id) for id in range(100)])
        request = dpb.TestPerformanceRequest(table="users", operations=1_000_000)
        me = psutil.Process()
        before = set(me.children())
        call = stub(api).TestPerformance(request)
        async with asyncio.timeout(20):
            while not (started := set(me.children()) - before):  # noqa: ASYNC110 - a process tells nobody
                await asyncio.sleep(0.01)
            call.cancel()
        async with asyncio.timeout(6):  # it would go on for longer
            while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in started):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        with pytest.raises(asyncio.CancelledError):
            await call
        again = await stub(api).TestPerformance(dpb.TestPerformanceRequest(table="users", operations=1))
        assert again.copied_rows == 100, "the next one has its turn"
