"""Readers that do not keep up: what they are told, what they cost, and that nobody else notices. Over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import change_pb2 as cpb
from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2_grpc
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.server import Server, methods
from tesseract_grpc.server.streams.state import State
from tesseract_grpc.testing import Answer, AsyncRecordingWatcher, check_stream
from tests.server.support import Api, serving, sort, take_apart

ROWS = 2_000
LONG = "x" * 1_000
"""A text in every row: a change of all rows is two megabytes, and a few of them fill the buffers of a connection."""

QUIET = [("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1)]
"""A client that does not widen its windows, so that it is slow soon; and a connection of its own."""


class Scene:
    """A server, and a table whose rows are all changed by every commit."""

    def __init__(self, server: Server, api: Api) -> None:
        self.server = server
        self.api = api
        self.hub = server.hubs["default"]
        self.host = server._hosts.by_name["default"]
        self.round = 0

    def commit(self) -> int:
        """Changes every row; returns the version."""
        self.round += 1
        batch = Batch(
            ROWS,
            {
                "id": Vector.of(DataType.INT64, range(ROWS)),
                "name": Vector.of(DataType.STRING, [f"{self.round} {n} {LONG}" for n in range(ROWS)]),
                "age": Vector.of(DataType.INT64, [self.round] * ROWS),
            },
        )
        result = self.hub.commit([Write("users", WriteKind.UPSERT, rows=batch)])
        self.host.committed(result)
        return result.version

    async def commit_until(self, done: Any, pause: float = 0.02, most: int = 400) -> int:
        version = self.hub.version
        for _ in range(most):
            if done():
                return version
            version = self.commit()
            await asyncio.sleep(pause)
        raise AssertionError("it did not come to that")

    def watch(self, channel: grpc.aio.Channel, **fields: Any) -> Any:
        """The call; nobody reads it yet."""
        stub: Any = session_service_pb2_grpc.SessionServiceStub(channel)
        return stub.WatchSession(spb.WatchSessionRequest(name="all", **fields))

    @property
    def stream(self) -> Any:
        """The only open stream."""
        (found,) = self.host.audience.all()
        return found


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with serving(lag_after=0.3, slow_reader_timeout=30.0) as (server, api):
        await api.create_users()
        found = Scene(server, api)
        found.commit()
        await api.open("all", q.Query(table="users", columns=["id", "name", "age"], sort=[sort("id")]))
        yield found


async def read_until(call: Any, responses: list[Any], done: Any) -> None:
    async with asyncio.timeout(20):
        while not done(responses):
            response = await call.read()
            assert response is not grpc.aio.EOF, "the stream ended"
            responses.append(response)


def events(responses: list[Any]) -> list[str]:
    return [response.WhichOneof("event") for response in responses]


def at(version: int) -> Any:
    return lambda found: (
        bool(found)
        and found[-1].to_version >= version
        and not found[-1].continued
        and found[-1].WhichOneof("event") != "begin"
    )


async def stalled(scene: Scene, call: Any) -> list[Any]:
    """Reads the snapshot, and no more until the server has noticed."""
    responses: list[Any] = []
    await read_until(call, responses, lambda found: "snapshot_end" in events(found))
    # Where lagging ends a stream, that may have happened before anybody looks.
    await scene.commit_until(lambda: not scene.host.audience.count or scene.stream.state is State.CONFLATING)
    return responses


async def test_a_slow_reader_is_told_what_it_skips_and_gets_the_net_change(scene: Scene) -> None:
    async with grpc.aio.insecure_channel(scene.api.target, options=QUIET) as channel:
        call = scene.watch(channel)
        responses = await stalled(scene, call)
        seen = scene.stream.lag_versions
        assert scene.stream.lag_bytes > 0
        await asyncio.sleep(0.4)
        for _ in range(25):
            version = scene.commit()
        await read_until(call, responses, at(version))
        check_stream(responses, {version: answer(scene)})
        (lagged,) = [response for response in responses if response.WhichOneof("event") == "lagged"]
        after = responses[responses.index(lagged) + 1]
        assert lagged.lagged.skipped_commits >= 25 + seen
        assert after.to_version - after.from_version == lagged.lagged.skipped_commits
        assert scene.stream.conflations >= 1
        assert scene.host.audience.conflations_of(scene.hub.session("all")) == scene.stream.conflations
        call.cancel()


def answer(scene: Scene) -> Answer:
    rows = [{"id": n, "name": f"{scene.round} {n} {LONG}", "age": scene.round} for n in range(ROWS)]
    return Answer(rows, ROWS)


async def test_merging_that_was_not_asked_for_by_slowness_is_no_lag(scene: Scene) -> None:
    """Commits in one turn of the loop, and those within `min_interval`."""
    request = spb.WatchSessionRequest(name="all", window=q.Window(limit=3))
    request.min_interval.FromMilliseconds(500)
    async with (
        AsyncRecordingWatcher.session(scene.api.channel, request=request) as paced,
        AsyncRecordingWatcher.session(
            scene.api.channel, request=spb.WatchSessionRequest(name="all", window=q.Window(limit=3))
        ) as quick,
    ):
        await paced.wait_for(scene.hub.version)
        await quick.wait_for(scene.hub.version)
        for _ in range(10):
            for _ in range(20):
                version = scene.commit()
            await asyncio.sleep(0.05)
        await paced.wait_for(version)
        await quick.wait_for(version)
        for watcher in (paced, quick):
            watcher.check()
            assert "lagged" not in events(watcher.responses)


async def test_on_lag_reset_begins_anew(scene: Scene) -> None:
    async with grpc.aio.insecure_channel(scene.api.target, options=QUIET) as channel:
        call = scene.watch(channel, on_lag=cpb.ON_LAG_RESET)
        responses = await stalled(scene, call)
        await asyncio.sleep(0.4)
        for _ in range(5):
            version = scene.commit()
        await read_until(call, responses, at(version))
        check_stream(responses, {version: answer(scene)})
        (reset,) = [response for response in responses if response.WhichOneof("event") == "reset"]
        assert reset.reset.reason == cpb.RESET_REASON_LAGGED
        assert events(responses[responses.index(reset) + 1 :])[:2] == ["begin", "snapshot_rows"]
        assert scene.host.audience.tally.resets["LAGGED"] == 1
        call.cancel()


async def test_on_lag_cancel_ends_the_stream_and_frees_what_it_held_at_once(scene: Scene) -> None:
    async with grpc.aio.insecure_channel(scene.api.target, options=QUIET) as channel:
        call = scene.watch(channel, on_lag=cpb.ON_LAG_CANCEL)
        await stalled(scene, call)
        session = scene.hub.session("all")
        async with asyncio.timeout(5):
            while session.watchers:
                scene.commit()
                await asyncio.sleep(0.05)
        assert scene.host.audience.count == 0
        refused = await status_of(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_READER")
        assert scene.host.audience.tally.slow_readers == 1


async def status_of(call: Any) -> Any:
    """The status with which a stream ends, whatever comes before it."""
    async with asyncio.timeout(10):
        try:
            while await call.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as error:
            return take_apart(error)
    raise AssertionError("the stream ended well")


async def test_who_never_reads_is_cut_and_nobody_else_notices() -> None:
    async with serving(slow_reader_timeout=1.0, lag_after=0.5) as (server, api):
        await api.create_users()
        scene = Scene(server, api)
        scene.commit()
        await api.open("all", q.Query(table="users", columns=["id", "name", "age"], sort=[sort("id")]))
        session = scene.hub.session("all")
        async with (
            grpc.aio.insecure_channel(api.target, options=QUIET) as channel,
            AsyncRecordingWatcher.session(
                api.channel, request=spb.WatchSessionRequest(name="all", window=q.Window(limit=2))
            ) as other,
        ):
            deaf = scene.watch(channel)
            await asyncio.wait_for(deaf.read(), 5)
            waits: list[float] = []
            begun = time.monotonic()
            while len(session.watchers) > 1 or time.monotonic() - begun < 0.5:
                assert time.monotonic() - begun < 15, "it was not cut"
                started = time.monotonic()
                await other.wait_for(scene.commit(), timeout=5)
                waits.append(time.monotonic() - started)
                await asyncio.sleep(0.02)
            assert (await status_of(deaf)).reason == "SLOW_READER"
            assert sorted(waits)[len(waits) // 2] < 0.5
            other.check()
        async with asyncio.timeout(5):
            await server._gate.empty.wait()


async def test_nothing_is_left_of_who_never_reads_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "PARKED", 0.3)
    async with grpc.aio.insecure_channel(scene.api.target, options=QUIET) as channel:
        before = len(asyncio.all_tasks())
        call = scene.watch(channel, on_lag=cpb.ON_LAG_CANCEL)
        await stalled(scene, call)
        async with asyncio.timeout(10):
            while scene.host.audience.count or len(asyncio.all_tasks()) > before + 2:  # those of the client's call
                scene.commit()
                await asyncio.sleep(0.05)
        call.cancel()


async def test_every_commit_is_told_by_itself_however_late(scene: Scene) -> None:
    """A reader that stalls within history misses none of them, and what it is told is exact at each."""
    async with grpc.aio.insecure_channel(scene.api.target, options=QUIET) as channel:
        call = scene.watch(channel, delivery=cpb.DELIVERY_EVERY_COMMIT, on_lag=cpb.ON_LAG_CANCEL)
        responses = await stalled(scene, call)
        await asyncio.sleep(0.5)  # long enough to be slow, where changes are merged
        assert scene.stream.lag_versions >= 1
        version = scene.commit()
        await read_until(call, responses, at(version))
        check_stream(responses, {version: answer(scene)})
        told = [r.to_version for r in responses if r.WhichOneof("event") == "changes" and not r.continued]
        assert told == list(range(told[0], version + 1))
        assert "lagged" not in events(responses)
        call.cancel()


@pytest.mark.parametrize("on_lag", ["CONFLATE", "RESET", "CANCEL"])
async def test_who_falls_out_of_history_is_told_so(on_lag: str) -> None:
    async with serving(lag_after=0.3, history_rows=20_000) as (server, api):
        await api.create_users()
        scene = Scene(server, api)
        scene.commit()
        await api.open("all", q.Query(table="users", columns=["id", "name", "age"], sort=[sort("id")]))
        async with grpc.aio.insecure_channel(api.target, options=QUIET) as channel:
            call = scene.watch(channel, delivery=cpb.DELIVERY_EVERY_COMMIT, on_lag=cpb.OnLag.Value(f"ON_LAG_{on_lag}"))
            responses = await stalled(scene, call)
            await scene.commit_until(lambda: not scene.host.audience.count or scene.stream._story.fallen, pause=0)
            version = scene.commit()
            if on_lag == "CANCEL":
                assert (await status_of(call)).reason == "SLOW_READER"
                return
            await read_until(call, responses, at(version))
            check_stream(responses, {version: answer(scene)})
            told = events(responses)
            assert ("lagged" in told, "reset" in told) == (on_lag == "CONFLATE", on_lag == "RESET")
            call.cancel()


async def test_a_table_is_told_commit_by_commit(scene: Scene) -> None:
    request = pb.WatchTableRequest(
        table="users", include_snapshot=True, include_old_values=True, delivery=cpb.DELIVERY_EVERY_COMMIT
    )
    async with AsyncRecordingWatcher.table(scene.api.channel, request=request) as watcher:
        await watcher.wait_for(scene.hub.version)
        versions = [scene.commit() for _ in range(6)]
        await watcher.wait_for(versions[-1])
        watcher.check()
        changes = [r for r in watcher.responses if r.WhichOneof("event") == "changes" and not r.continued]
        assert [response.to_version for response in changes] == versions
