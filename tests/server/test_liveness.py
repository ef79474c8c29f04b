"""That a stream is alive: Progress on demand and before a token grows old, and peers that hang are found."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2 as hpb
from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.hub import Limits
from tesseract_grpc.server import ServerConfig, host
from tesseract_grpc.server.streams import stream
from tesseract_grpc.testing import AsyncRecordingWatcher
from tests.server.support import Api, compare, serving, user

ROOT = Path(__file__).parents[2]


def events(watcher: AsyncRecordingWatcher) -> list[str]:
    return [str(response.WhichOneof("event")) for response in watcher.responses]


async def ask(api: Api, watcher: AsyncRecordingWatcher, min_version: int = 0) -> int:
    watch_id = watcher.responses[0].begin.watch_id
    response = await api.hubs.RequestProgress(hpb.RequestProgressRequest(watch_id=watch_id, min_version=min_version))
    return response.version


async def test_progress_comes_when_it_is_asked_for(api: Api) -> None:
    await api.open("all")
    async with (
        AsyncRecordingWatcher.session(api.channel, "all") as watcher,
        AsyncRecordingWatcher.table(api.channel, "users") as table,
    ):
        for each in (watcher, table):
            await each.wait_until(lambda record: "snapshot_end" in events(record))
            assert "progress" not in events(each)
            version = await ask(api, each)
            await each.wait_until(lambda record: events(record)[-1] == "progress", timeout=2)
            assert each.responses[-1].to_version >= version
            each.check()
        assert watcher.responses[0].begin.watch_id != table.responses[0].begin.watch_id


async def test_what_min_interval_holds_back_comes_first(api: Api) -> None:
    await api.open("all")
    request = spb.WatchSessionRequest(name="all")
    request.min_interval.FromSeconds(60)
    async with AsyncRecordingWatcher.session(api.channel, request=request) as watcher:
        await watcher.wait_for((await api.insert([user(10)])).version)
        version = (await api.insert([user(11)])).version
        await asyncio.sleep(0.1)
        assert watcher.mirror.version < version
        assert await ask(api, watcher) == version
        await watcher.wait_until(lambda record: events(record)[-1] == "progress", timeout=2)
        assert events(watcher)[-2:] == ["changes", "progress"]
        assert watcher.mirror.version == version
        watcher.check()


async def test_it_waits_for_a_version(api: Api) -> None:
    await api.open("all")
    async with AsyncRecordingWatcher.session(api.channel, "all") as watcher:
        await watcher.wait_until(lambda record: "snapshot_end" in events(record))
        next_version = (await api.hubs.GetHub(hpb.GetHubRequest())).hub.version + 1
        asked = asyncio.create_task(ask(api, watcher, min_version=next_version))
        await asyncio.sleep(0.05)
        assert not asked.done()
        await api.insert([user(12)])
        assert await asked >= next_version


async def test_an_idle_reader_hears_of_it_before_its_token_grows_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing concerns the reader, and the next Progress is a minute away; history is short."""
    monkeypatch.setattr(host, "engine_limits", lambda _: Limits(history=HistoryLimits(20, 10_000)))
    monkeypatch.setattr(stream, "SOON", 0.0)
    async with serving(progress_interval=60.0) as (server, api):
        await api.create_users()
        await api.open("nobody", q.Query(table="users", filter=compare("id", "EQUAL", int64_value=-5)))
        async with AsyncRecordingWatcher.session(api.channel, "nobody") as watcher:
            await watcher.wait_until(lambda record: "snapshot_end" in events(record))
            table = server.hubs["default"].table("users")
            for number in range(120):
                await api.insert([user(number)])
                await asyncio.sleep(0.002)
                known = max(response.to_version for response in watcher.responses)
                assert known >= table.changelog.since, "the token of the reader is older than history"
            assert events(watcher).count("progress") >= 3
            assert watcher.responses[-1].resume_token
            watcher.check()


HANGING = """
import sys, grpc
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb, session_service_pb2_grpc as stubs
channel = grpc.insecure_channel(sys.argv[1])
for response in stubs.SessionServiceStub(channel).WatchSession(spb.WatchSessionRequest(name="all")):
    print(response.WhichOneof("event"), flush=True)
"""


async def test_a_peer_that_hangs_is_found(api: Api) -> None:
    """With the default ratio of the two settings, five times as fast."""
    default = ServerConfig()
    assert default.keepalive_time + default.keepalive_timeout < 15, "a dead peer is found in under 15 s"
    time_, timeout = default.keepalive_time / 5, default.keepalive_timeout / 5
    async with serving(keepalive_time=time_, keepalive_timeout=timeout, progress_interval=60.0) as (server, other):
        await other.create_users()
        await other.open("all")
        session = server.hubs["default"].session("all")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HANGING, other.target, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        try:
            assert process.stdout is not None
            while await asyncio.wait_for(process.stdout.readline(), 20) != b"snapshot_end\n":
                pass
            os.kill(process.pid, signal.SIGSTOP)
            begun = time.monotonic()
            while session.watchers:
                assert time.monotonic() - begun < 15, "the peer was not found"
                await asyncio.sleep(0.05)
            assert time.monotonic() - begun < time_ + timeout + 1.5
        finally:
            process.kill()
            await process.wait()


async def test_every_stream_has_a_name_of_its_own(api: Api) -> None:
    await api.open("all")
    names = set()
    for _ in range(5):
        async with AsyncRecordingWatcher.session(api.channel, "all") as watcher:
            await watcher.wait_until(lambda record: bool(record.responses))
            names.add(watcher.responses[0].begin.watch_id)
    assert len(names) == 5
