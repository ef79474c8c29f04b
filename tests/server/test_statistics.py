"""What the server says of what it does: statistics of sessions, their watches, hubs and their logs."""

from __future__ import annotations

import time
from pathlib import Path

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2 as hpb
from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tests.server.support import Api, compare, insert, pb, refused, serving, spb, user

OLDEST = q.Query(table="users", filter=compare("age", "GREATER", int64_value=22))


async def get(api: Api, name: str) -> spb.Session:
    return (await api.sessions.GetSession(spb.GetSessionRequest(name=name))).session


async def test_a_session_says_what_it_costs(api: Api) -> None:
    await api.open("some", q.Query(table="users", filter=compare("level", "EQUAL", string_value="high")))
    nothing = (await get(api, "some")).statistics
    assert (nothing.commits, nothing.rows_examined, nothing.rows_examined_per_commit) == (0, 0, 0.0)
    await api.insert([user(id) for id in range(10, 20)])
    await api.insert([user(30)])
    await api.write(pb.WriteOperation(table="users", delete=pb.Delete(filter=compare("id", "EQUAL", int64_value=10))))
    found = (await get(api, "some")).statistics
    assert (found.commits, found.rows_examined, found.rows_examined_per_commit) == (3, 12, 4.0)
    assert (found.max_lag_versions, found.conflations) == (0, 0)


async def test_a_session_names_its_watches(api: Api) -> None:
    await api.open("oldest", OLDEST)
    before = time.time()
    call = api.sessions.WatchSession(spb.WatchSessionRequest(name="oldest", window=q.Window(offset=1, limit=5)))
    sent = 0
    watch_id = ""
    async for response in call:
        sent += response.ByteSize()
        watch_id = response.begin.watch_id or watch_id
        if response.WhichOneof("event") == "snapshot_end":
            break
    session = await get(api, "oldest")
    (watcher,) = session.watchers
    assert watcher.watch_id == watch_id
    assert watcher.peer.startswith("ipv4:127.0.0.1:")
    assert watcher.state == spb.WATCHER_STATE_LIVE
    assert (watcher.lag_versions, watcher.lag_bytes, watcher.conflations) == (0, 0, 0)
    assert watcher.sent_bytes == sent
    assert before - 1 < watcher.create_time.ToMicroseconds() / 1e6 < time.time() + 1
    assert watcher.window == q.Window(offset=1, limit=5)
    statistics = session.statistics
    assert (statistics.watchers_catching_up, statistics.watchers_live, statistics.watchers_conflating) == (0, 1, 0)
    listed = await api.sessions.ListSessions(spb.ListSessionsRequest())
    assert [each.statistics.watchers_live for each in listed.sessions] == [1]
    assert [len(each.watchers) for each in listed.sessions] == [0]
    call.cancel()


async def test_the_nodes_of_a_window_are_named_up_to_a_number(api: Api) -> None:
    group = q.Grouping(by=["name"], aggregates=[q.Aggregate(name="n", function=q.AGGREGATE_FUNCTION_COUNT)])
    group.mode = q.GROUP_MODE_ROLLUP
    await api.open("levels", q.Query(table="users", group=group))
    window = q.Window(expansion=q.Expansion(depth=1))
    for number in range(150):
        window.expansion.collapsed.add().values.add(string_value=f"user {number}")
    call = api.sessions.WatchSession(spb.WatchSessionRequest(name="levels", window=window))
    await call.read()
    (watcher,) = (await get(api, "levels")).watchers
    assert watcher.window.expansion.depth == 1
    assert len(watcher.window.expansion.collapsed) == 100
    assert all(node in window.expansion.collapsed for node in watcher.window.expansion.collapsed)
    call.cancel()


async def test_the_watches_that_lag_most_come_first() -> None:
    async with serving(piece_bytes=1_024) as (_, api):
        await api.create_users()
        await api.open("all")
        calls = [api.sessions.WatchSession(spb.WatchSessionRequest(name="all")) for _ in range(3)]
        for call in calls:
            for _ in range(2):
                await call.read()
        slow = api.sessions.WatchSession(spb.WatchSessionRequest(name="all"))  # it never reads
        await slow.wait_for_connection()
        session = await get(api, "all")
        for number in range(600):
            if session.watchers[0].state == spb.WATCHER_STATE_CONFLATING:
                break
            await api.insert([user(number, notes=f'"{"x" * 200_000}"')])
            session = await get(api, "all")
        assert session.statistics.max_lag_versions > 0
        assert session.statistics.watchers_conflating > 0
        lags = [watcher.lag_versions for watcher in session.watchers]
        assert lags == sorted(lags, reverse=True)
        assert lags[0] == session.statistics.max_lag_versions
        assert session.watchers[0].lag_bytes > 1_000
        assert session.watchers[0].state == spb.WATCHER_STATE_CONFLATING
        for call in (*calls, slow):
            call.cancel()


async def test_a_thousand_sessions_are_listed_without_a_scan() -> None:
    async with serving() as (server, api):
        await api.create_users()
        await api.insert([user(id) for id in range(2_000)])
        for number in range(1_000):
            await api.open(f"s{number}", q.Query(table="users", filter=compare("id", "EQUAL", int64_value=number)))
        hub = server.hubs["default"]
        before = hub.counters.rows_examined
        begun = time.perf_counter()
        listed = await api.sessions.ListSessions(spb.ListSessionsRequest(page_size=1_000))
        assert time.perf_counter() - begun < 2.0
        assert len(listed.sessions) == 1_000
        assert hub.counters.rows_examined == before


async def hub_of(api: Api) -> hpb.Hub:
    return (await api.hubs.GetHub(hpb.GetHubRequest())).hub


async def test_a_hub_in_memory_has_no_log(api: Api) -> None:
    hub = await hub_of(api)
    assert (hub.state, hub.state_message) == (hpb.HUB_STATE_SERVING, "")
    assert not hub.HasField("log")
    assert hub.durability == pb.DURABILITY_MEMORY
    assert abs(hub.hub_time.ToMicroseconds() / 1e6 - time.time()) < 5


async def test_a_durable_hub_tells_of_its_log(tmp_path: Path) -> None:
    async with serving(data=tmp_path, durability="fsync") as (_, api):
        start = (await hub_of(api)).log.position  # a start may write by itself
        await api.create_users()
        for id in range(3):
            await api.write(insert([user(id)]))
        await refused(api.insert([user(1)]))
        hub = await hub_of(api)
    assert hub.durability == pb.DURABILITY_FSYNC
    assert (hub.log.position - start, hub.log.since, hub.version) == (5, 0, 4)
    assert hub.log.bytes > 100
    assert (hub.log.recovered_records, hub.log.cut_records, hub.log.snapshot_position) == (0, 0, 0)
    assert not hub.log.HasField("snapshot_time")
    async with serving(data=tmp_path, durability="fsync") as (_, api):
        again = await hub_of(api)
    assert (again.version, again.epoch) == (4, hub.epoch)
    assert again.log.recovered_records == hub.log.position
    assert again.log.recovery_time.ToMicroseconds() > 0
