"""HubService, and several hubs on one server."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

import tesseract_grpc
from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2 as hpb
from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import schema_pb2
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.server.host import Host
from tesseract_grpc.server.services.hubs import FEATURES
from tests.server.support import Api, insert, refused, serving, user, user_columns


async def test_the_server_says_what_it_is() -> None:
    async with serving(progress_interval=2.5, max_tables=17, max_string_bytes=1_234) as (_, api):
        info = await api.hubs.GetServerInfo(hpb.GetServerInfoRequest())
        assert info.software_version == tesseract_grpc.__version__
        assert {"write_stream", "watch_table"} <= set(info.features)
        assert {"resume", "every_commit", "on_lag", "watch_sessions"} <= set(info.features)
        assert info.progress_interval.ToMilliseconds() == 2_500
        assert (info.limits.max_tables, info.limits.max_string_bytes) == (17, 1_234)
        unset = [field.name for field in info.limits.DESCRIPTOR.fields if not getattr(info.limits, field.name)]
        assert not unset
        assert info.server_time.seconds > 0


def test_every_feature_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "API.md").read_text()
    table = page.partition("### Features")[2].partition("\n\nBeside")[0]
    listed = [
        name for row in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    ]
    assert sorted(listed) == sorted(FEATURES)


async def test_a_clock_that_fails_goes_on_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: list[int] = []
    third = asyncio.Event()

    def tick(host: Host) -> None:
        ticks.append(1)
        if len(ticks) == 3:
            third.set()
        raise RuntimeError("a bug")

    async with serving(tick_interval=0.01) as (_, api):
        monkeypatch.setattr(Host, "tick", tick)
        await asyncio.wait_for(third.wait(), 10)
        assert (await api.hubs.GetHub(hpb.GetHubRequest())).hub.name == "hubs/default"


async def test_a_hub_counts_what_it_holds(api: Api) -> None:
    await api.open("a")
    await api.open("b")
    watch = api.sessions.WatchSession(spb.WatchSessionRequest(name="a"))
    await watch.read()
    hub = (await api.hubs.GetHub(hpb.GetHubRequest())).hub
    assert (hub.name, hub.version, hub.table_count, hub.session_count, hub.watcher_count) == (
        "hubs/default",
        2,
        1,
        2,
        1,
    )
    assert hub.epoch
    assert hub.memory_bytes > 0
    assert hub.request_id_memory == 10_000
    assert hub.durability == pb.DURABILITY_MEMORY
    assert hub.counters["commits"] == 1
    assert hub.counters["plans_shared"] == 1


async def test_check_hub_verifies_the_structures(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    response = await api.hubs.CheckHub(hpb.CheckHubRequest())
    assert response.checked > 0
    assert not response.violations

    def broken(_: object) -> int:
        raise AssertionError("a row is counted twice")

    monkeypatch.setattr("tesseract_grpc.engine.hub.Hub.check", broken)
    response = await api.hubs.CheckHub(hpb.CheckHubRequest(name="hubs/default"))
    assert list(response.violations) == ["a row is counted twice"]


async def test_hubs_are_worlds_of_their_own() -> None:
    async with serving(hubs=("east", "west", "default")) as (_, api):
        table = schema_pb2.Table(columns=user_columns())
        for hub in ("hubs/east", "west"):
            await api.tables.CreateTable(pb.CreateTableRequest(parent=hub, table_id="users", table=table))
        await api.write(insert([user(1)]), parent="hubs/east")
        await api.write(insert([user(1), user(2)], "hubs/west/tables/users"), parent="west")
        for hub, count in (("east", 1), ("west", 2)):
            query = q.Query(table="users")
            found = await api.tables.Query(pb.QueryRequest(parent=f"hubs/{hub}", query=query))
            assert (found.total_count, found.version) == (count, 2)
        assert (await refused(api.all_rows())).reason == "UNKNOWN_TABLE"
        listed = await api.hubs.ListHubs(hpb.ListHubsRequest(page_size=2))
        assert [hub.name for hub in listed.hubs] == ["hubs/default", "hubs/east"]
        rest = await api.hubs.ListHubs(hpb.ListHubsRequest(page_token=listed.next_page_token))
        assert [hub.name for hub in rest.hubs] == ["hubs/west"]
        assert len({hub.epoch for hub in [*listed.hubs, *rest.hubs]}) == 3


async def test_a_session_is_of_one_hub() -> None:
    async with serving(hubs=("east", "west")) as (_, api):
        table = schema_pb2.Table(columns=user_columns())
        await api.tables.CreateTable(pb.CreateTableRequest(parent="hubs/east", table_id="users", table=table))
        session = spb.Session(query=q.Query(table="hubs/east/tables/users"))
        request = spb.CreateSessionRequest(parent="hubs/west", session_id="x", session=session)
        assert (await refused(api.sessions.CreateSession(request))).reason == "BAD_NAME"
        request.parent = "hubs/east"
        made = (await api.sessions.CreateSession(request)).session
        assert made.name == "hubs/east/sessions/x"
        assert (await api.sessions.QuerySession(spb.QuerySessionRequest(name=made.name))).total_count == 0
