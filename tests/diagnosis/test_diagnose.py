"""Diagnoses: what they say is true at one version, while commits go on, and for those who may ask."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import diagnosis_service_pb2 as dpb
from tesseract_grpc._proto.tesseract.v1 import diagnosis_service_pb2_grpc, query_pb2, table_service_pb2
from tesseract_grpc.engine.data.errors import Reason
from tests.diagnosis.asking import Asking, q, spb
from tests.server.support import Api, refused, serving, user, write_tokens


def stub(api: Api) -> Any:
    return diagnosis_service_pb2_grpc.DiagnosisServiceStub(api.channel)


async def test_a_profile_is_told() -> None:
    async with serving() as (_, api):
        await api.create_users()
        await api.insert([user(id, notes=f'{{"n":{id % 4}}}', level=None) for id in range(40)])
        response = await stub(api).DiagnoseTable(dpb.DiagnoseTableRequest(table="users", top_values=2, samples=3))
        assert response.version == 2 and response.table.row_count == 40
        assert response.table.memory.total_bytes > 0
        assert response.counted_since.seconds > 0 and response.duration.ToNanoseconds() > 0
        by_name = {column.column.name: column for column in response.columns}
        assert list(by_name) == ["id", "name", "age", "score", "born", "active", "notes", "level"]
        age, active, notes, level = by_name["age"], by_name["active"], by_name["notes"], by_name["level"]
        assert (age.distinct_count, age.null_count, age.cardinality, age.mean) == (40, 0, 1.0, 39.5)
        assert (age.min.int64_value, age.max.int64_value) == (20, 59)
        assert len(age.histogram) == 20 and sum(age.histogram) == 40
        assert [value.int64_value for value in age.samples] == [20, 21, 22]
        assert [(each.value.bool_value, each.count) for each in active.top_values] == [(False, 20), (True, 20)]
        assert [each.value.json_value for each in notes.top_values] == ['{"n":0}', '{"n":1}']
        assert not notes.HasField("min") and not notes.HasField("mean")
        assert (level.distinct_count, level.null_count) == (0, 40)
        assert all(column.memory.column == name for name, column in by_name.items())
        assert by_name["name"].memory.dictionary_entries == 40
        none = await stub(api).DiagnoseTable(dpb.DiagnoseTableRequest(table="users", top_values=-1, samples=-1))
        assert not any(column.top_values or column.samples for column in none.columns)
        most = await stub(api).DiagnoseTable(dpb.DiagnoseTableRequest(table="users", top_values=1_000))
        assert len(most.columns[0].top_values) == 40


async def test_long_values_are_cut() -> None:
    async with serving() as (_, api):
        await api.create_users()
        await api.insert([user(1, name="x" * 5_000, notes='{"a":"' + "y" * 5_000 + '"}')])
        response = await stub(api).DiagnoseTable(dpb.DiagnoseTableRequest(table="users"))
        name, notes = (next(c for c in response.columns if c.column.name == n) for n in ("name", "notes"))
        assert len(name.min.string_value) == 1_003
        assert len(notes.samples[0].string_value) == 1_003


async def test_derived_tables_are_diagnosed() -> None:
    async with serving() as (_, api):
        await api.create_users()
        await api.insert([user(id) for id in range(10)])
        table = table_service_pb2.CreateTableRequest(table_id="d")
        table.table.query.CopyFrom(query_pb2.Query(table="users", columns=["age"]))
        await api.tables.CreateTable(table)
        for _ in range(3):
            await api.tables.Query(table_service_pb2.QueryRequest(query=query_pb2.Query(table="d")))
        response = await stub(api).DiagnoseTable(dpb.DiagnoseTableRequest(table="d"))
        assert [column.column.name for column in response.columns] == ["id", "age"]
        refusal = await refused(stub(api).TestPerformance(dpb.TestPerformanceRequest(table="d")))
        assert (refusal.reason, refusal.fields) == ("NOT_WRITABLE", ("table",))


async def test_what_cannot_be_diagnosed_is_refused(tmp_path: Path) -> None:
    async with serving() as (_, api):
        assert (await refused(stub(api).DiagnoseTable(dpb.DiagnoseTableRequest(table="no")))).reason == "UNKNOWN_TABLE"
        other = dpb.GetCacheStatisticsRequest(parent="hubs/other")
        assert (await refused(stub(api).GetCacheStatistics(other))).reason == "UNKNOWN_HUB"
    async with serving(token_file=write_tokens(tmp_path)) as (_, api):
        metadata = (("authorization", "Bearer read-token-000000"),)
        assert (await stub(api).GetCacheStatistics(dpb.GetCacheStatisticsRequest(), metadata=metadata)).caches
        for method, request in (
            ("ClearCaches", dpb.ClearCachesRequest()),
            ("TestPerformance", dpb.TestPerformanceRequest()),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await getattr(stub(api), method)(request, metadata=metadata)
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_diagnosis_is_of_one_version_while_commits_go_on() -> None:
    hub = Asking()
    await hub.create("a")
    rows = [{"id": id, "n": 0, "name": "x", "at": id} for id in range(60_000)]
    await hub.upsert("a", rows)
    done = False

    async def disturb() -> int:
        commits = 0
        while not done:
            commits += 1
            await hub.upsert(
                "a", [{"id": id, "n": commits, "name": f"y{commits}", "at": 0} for id in range(0, 60_000, 500)]
            )
            await hub.delete("a", [59_999 - commits])
            await asyncio.sleep(0)
        return commits

    task = asyncio.create_task(disturb())
    response = await hub.ask("diagnose_table", dpb.DiagnoseTableRequest(table="a"))
    done = True
    assert await task > 2
    assert (response.version, response.table.row_count) == (2, 60_000)
    id, n, name, _ = response.columns
    assert (id.distinct_count, n.distinct_count, name.distinct_count) == (60_000, 1, 1)
    hub.host.hub.check()


async def test_a_diagnosis_gives_others_their_turn() -> None:
    hub = Asking()
    await hub.create("a")
    for start in range(0, 200_000, 50_000):
        rows = [{"id": id, "n": id, "name": f"name {id}", "at": id} for id in range(start, start + 50_000)]
        await hub.upsert("a", rows)
    gaps: list[float] = []

    async def look() -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0)
            gaps.append(time.perf_counter() - begun)

    task = asyncio.create_task(look())
    await asyncio.sleep(0)
    begun = time.perf_counter()
    await hub.ask("diagnose_table", dpb.DiagnoseTableRequest(table="a"))
    took = time.perf_counter() - begun
    task.cancel()
    assert max(gaps) < took / 2, "the loop was held up for most of it"
    assert len(gaps) > 20


async def test_a_table_that_is_altered_meanwhile_says_so() -> None:
    hub = Asking()
    await hub.create("a")
    await hub.upsert("a", [{"id": id, "n": 0, "name": "x", "at": id} for id in range(60_000)])
    task = asyncio.create_task(hub.ask("diagnose_table", dpb.DiagnoseTableRequest(table="a")))
    while not hub.host.hub._sources["a"].watches:  # noqa: ASYNC110 - it says nothing when it begins
        await asyncio.sleep(0)
    for watch in tuple(hub.host.hub._sources["a"].watches):
        watch.end(Reason.TABLE_CHANGED)
    with pytest.raises(Exception, match="was changed while it was read"):
        await task


async def test_costs_of_many_sessions_are_told_most_expensive_first() -> None:
    hub = Asking()
    await hub.create("a")
    for number in range(150):
        query = q.Query(table="a", filter=q.Filter(custom=f"n == {number}"))
        await hub.ask(
            "create_session", spb.CreateSessionRequest(session_id=f"s{number}", session=spb.Session(query=query))
        )
    await hub.create("b")
    await hub.ask(
        "create_session", spb.CreateSessionRequest(session_id="other", session=spb.Session(query=q.Query(table="b")))
    )
    for number in range(40):
        await hub.upsert("a", [{"id": number, "n": number % 3, "name": "x", "at": 0}])
    response = await hub.ask("diagnose_table", dpb.DiagnoseTableRequest(table="a"))
    costs = [cost.duration.ToNanoseconds() for cost in response.sessions]
    assert len(costs) == 100 and costs == sorted(costs, reverse=True)
    assert "other" not in {cost.session.rpartition("/")[2] for cost in response.sessions}
    assert 0.8 < sum(cost.share for cost in response.sessions) <= 1.01
