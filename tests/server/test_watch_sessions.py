"""Several sessions on one stream: always at one version, whatever is written, edited, stalled or ended."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from tesseract_grpc._proto.tesseract.v1 import change_pb2 as cpb
from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.engine.query.query import WHOLE
from tesseract_grpc.server.resuming import start_sessions
from tesseract_grpc.server.services.watching import frame, tell_session
from tesseract_grpc.server.streams.cut import Cut
from tesseract_grpc.testing import Mirror, check_sessions, cuts_of, split_cuts
from tests.server.support import Api, compare, rows, serving, sort, take_apart, user

WATCHERS = 50
ACCOUNTS = 12


class Several:
    """Reads a WatchSessions in a task, and keeps every response."""

    def __init__(self, api: Api, count: int, **fields: Any) -> None:
        asked = [spb.WatchSessionRequest(name=name) for name in ("young", "old")][:count]
        request = spb.WatchSessionsRequest(**{"sessions": asked, **fields})
        self.count = len(request.sessions)
        stub: Any = api.sessions
        self.call = stub.WatchSessions(request)
        self.responses: list[spb.WatchSessionsResponse] = []
        self.error: grpc.aio.AioRpcError | None = None
        self.paused = asyncio.Event()
        self.paused.set()
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for response in self.call:
                self.responses.append(response)
                await self.paused.wait()
        except asyncio.CancelledError:
            pass
        except grpc.aio.AioRpcError as error:
            self.error = error

    async def wait_for(self, version: int) -> None:
        async with asyncio.timeout(20):
            while not self.reached(version):
                assert not self.task.done(), self.error
                await asyncio.sleep(0.01)

    def reached(self, version: int) -> bool:
        if not self.responses:
            return False
        last = self.responses[-1].response
        return not last.continued and last.to_version >= version and last.WhichOneof("event") != "lagged"

    @property
    def events(self) -> list[tuple[int, str | None]]:
        return [(response.index, response.response.WhichOneof("event")) for response in self.responses]

    def check(self) -> None:
        check_sessions(self.responses, [None] * self.count)

    async def stop(self) -> None:
        self.call.cancel()
        await asyncio.wait([self.task], timeout=5)


State = tuple[int, list[list[Mapping[str, Any]]]]
"""A version, and the rows of every session at it."""


def states(
    responses: Sequence[spb.WatchSessionsResponse], count: int
) -> list[tuple[int, list[list[Mapping[str, Any]]]]]:
    """The rows of every session after each cut."""
    mirrors = [Mirror() for _ in range(count)]
    found: list[State] = []
    for _, cut in cuts_of(responses):
        for index, stream in enumerate(split_cuts(cut, count)):
            for response in stream:
                mirrors[index].apply(response)
        if cut[-1].response.WhichOneof("event") != "lagged":
            found.append((cut[-1].response.to_version, [list(mirror.rows) for mirror in mirrors]))
    return found


@pytest.fixture
async def split(api: Api) -> Api:
    """Two sessions that share the rows of a table between them, by age."""
    await api.open("young", q.Query(table="users", filter=compare("age", "LESS", int64_value=23), sort=[sort("id")]))
    older = compare("age", "GREATER_OR_EQUAL", int64_value=23)
    await api.open("old", q.Query(table="users", filter=older, sort=[sort("age", descending=True)]))
    return api


async def put(api: Api, id: int, **values: Any) -> int:
    response = await api.write(pb.WriteOperation(table="users", upsert=pb.Upsert(rows=rows([user(id, **values)]))))
    return response.version


async def test_the_stream_begins_with_all_of_them_at_one_version(split: Api) -> None:
    watcher = Several(split, 2)
    await watcher.wait_for(1)
    one = ["begin", "snapshot_rows", "snapshot_end"]
    assert watcher.events == [(index, event) for index in (0, 1) for event in one]
    assert [response.response.continued for response in watcher.responses] == [True] * 5 + [False]
    assert (
        len({response.response.begin.watch_id for response in watcher.responses if response.response.begin.epoch}) == 1
    )
    watcher.check()
    await watcher.stop()


async def test_a_row_that_changes_sides_is_in_one_of_them(split: Api) -> None:
    watcher = Several(split, 2)
    await watcher.wait_for(1)
    for number in range(20):
        version = await put(split, number % 5, age=20 + number * 7 % 10)
    await watcher.wait_for(version)
    for _, (young, old) in states(watcher.responses, 2):
        assert sorted(row["id"] for row in (*young, *old)) == [0, 1, 2, 3, 4]
    watcher.check()
    await watcher.stop()


async def test_a_commit_that_concerns_one_of_them_moves_both(split: Api) -> None:
    watcher = Several(split, 2)
    await watcher.wait_for(1)
    version = await put(split, 0, age=20, name="new name")
    await watcher.wait_for(version)
    last = watcher.responses[-1]
    assert (last.index, last.response.WhichOneof("event"), last.response.continued) == (0, "changes", False)
    version = await put(split, 4, age=50)
    await watcher.wait_for(version)
    last = watcher.responses[-1]
    assert (last.index, last.response.from_version, last.response.to_version) == (1, version - 1, version)
    assert [stream[-1].to_version for stream in split_cuts(watcher.responses, 2)] == [version, version]
    watcher.check()
    await watcher.stop()


async def test_progress_is_of_all_of_them() -> None:
    async with serving(progress_interval=0.2) as (_, api):
        await api.create_users()
        await api.open("young")
        await api.open("old")
        digests = [spb.WatchSessionRequest(name=name, include_digest=True) for name in ("young", "old")]
        plain, digested = Several(api, 2), Several(api, 2, sessions=digests)
        await asyncio.sleep(0.7)
        assert (0, "progress") in plain.events
        assert (1, "progress") not in plain.events
        assert digested.events[-2:] in ([(0, "progress"), (1, "progress")], [(1, "progress"), (0, "progress")])
        assert all(r.response.progress.digest for r in digested.responses if r.response.HasField("progress"))
        for watcher in (plain, digested):
            watcher.check()
            await watcher.stop()


async def test_an_edit_of_one_is_a_part_of_a_cut(split: Api) -> None:
    watcher = Several(split, 2)
    await watcher.wait_for(1)
    query = q.Query(table="users", columns=["id", "age"], sort=[sort("id")])
    await split.sessions.UpdateSession(
        spb.UpdateSessionRequest(session=spb.Session(name="old", query=query), update_mask=FieldMask(paths=["query"]))
    )
    version = await put(split, 1, age=60)
    await watcher.wait_for(version)
    assert {event for index, event in watcher.events if index == 1} & {"session_changed", "reset"}
    (_, old) = states(watcher.responses, 2)[-1][1]
    assert [row["id"] for row in old] == [0, 1, 2, 3, 4]
    watcher.check()
    await watcher.stop()


async def test_an_edit_with_commits_around_it_begins_anew(split: Api) -> None:
    """The reader hears of all of it at once: what was owed before the edit has no place in a cut of a later version."""
    request = {"min_interval": {"seconds": 1}}
    watcher = Several(split, 2, **request)
    await watcher.wait_for(1)
    await watcher.wait_for(await put(split, 1, age=21, name="first"))
    await put(split, 4, age=70)
    query = q.Query(table="users", columns=["id", "age"], sort=[sort("id")])
    await split.sessions.UpdateSession(
        spb.UpdateSessionRequest(session=spb.Session(name="old", query=query), update_mask=FieldMask(paths=["query"]))
    )
    version = await put(split, 2, age=80)
    await watcher.wait_for(version)
    assert (1, "reset") in watcher.events
    assert (0, "reset") not in watcher.events
    (_, old) = states(watcher.responses, 2)[-1][1]
    assert [(row["id"], row["age"]) for row in old][-1] == (4, 70)
    watcher.check()
    await watcher.stop()


async def test_the_end_of_one_ends_the_stream_and_says_which(split: Api) -> None:
    watcher = Several(split, 2)
    await watcher.wait_for(1)
    await split.sessions.DeleteSession(spb.DeleteSessionRequest(name="old"))
    await asyncio.wait([watcher.task], timeout=5)
    assert watcher.error is not None
    refused = take_apart(watcher.error)
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SESSION_DELETED")
    assert refused.metadata["session"] == "hubs/default/sessions/old"
    assert refused.fields == ("sessions[1].name",)
    watcher.check()


async def test_it_resumes_for_all_of_them(split: Api) -> None:
    watcher = Several(split, 2)
    await watcher.wait_for(await put(split, 1, age=22))
    token = watcher.responses[-1].response.resume_token
    assert token
    await watcher.stop()
    version = await put(split, 1, age=40)
    again = Several(split, 2, resume_token=token)
    await again.wait_for(version)
    assert again.events[:2] == [(0, "begin"), (1, "begin")]
    assert all(r.response.begin.resumed for r in again.responses if r.response.HasField("begin"))
    assert not {"snapshot_rows", "snapshot_end"} & {event for _, event in again.events}
    idle = Several(split, 2, resume_token=again.responses[-1].response.resume_token)
    await idle.wait_for(version)
    assert idle.events[-1][1] == "progress"
    final = states([*watcher.responses, *again.responses], 2)[-1][1]
    assert [sorted(row["id"] for row in found) for found in final] == [[0, 2], [1, 3, 4]]
    check_sessions([*watcher.responses, *again.responses[2:]], [None, None])
    await again.stop()
    await idle.stop()


async def test_it_resumes_though_commits_go_on_while_it_begins() -> None:
    """What the reader is owed is taken at the moment at which it begins, or later commits would have no place in it."""
    async with serving() as (server, api):
        await api.create_users()
        await api.insert([user(id) for id in range(5)])
        for name, operator in (("young", "LESS"), ("old", "GREATER_OR_EQUAL")):
            await api.open(name, q.Query(table="users", filter=compare("age", operator, int64_value=23)))
        first = Several(api, 2)
        await first.wait_for(await put(api, 1, age=22))
        await first.stop()
        token = first.responses[-1].response.resume_token
        await put(api, 1, age=40)
        host = server._hosts.by_name["default"]
        watched = [(host.hub.session(name), WHOLE) for name in ("young", "old")]
        watches, start, _ = start_sessions(host, watched, token)
        tellers = [
            tell_session(host, frame(host), session, watch, WHOLE, start, digest=False)
            for (session, _), watch in zip(watched, watches, strict=True)
        ]
        story = Cut(tellers, frame(host))
        parts = list(story.opening().parts)
        version = await put(api, 3, age=20)
        while (telling := story.owed(slow=False)) is not None:
            parts.extend(telling.parts)
        story.close()
        told = [spb.WatchSessionsResponse.FromString(part) for part in parts]
        assert [(each.index, each.response.WhichOneof("event")) for each in told] == [
            *((index, "begin") for index in (0, 1)),
            *((index, "changes") for index in (0, 1)),
            *((index, "changes") for index in (0, 1)),
        ]
        young, old = states([*first.responses, *told], 2)[-1][1]
        assert ([row["id"] for row in young], [row["id"] for row in old]) == ([0, 2, 3], [1, 4])
        assert told[-1].response.to_version == version


async def test_digests_are_of_the_version_that_is_told_though_commits_go_on_between_them() -> None:
    async with serving() as (server, api):
        await api.create_users()
        await api.insert([user(id) for id in range(5)])
        for name in ("young", "old"):
            await api.open(name)
        host = server._hosts.by_name["default"]
        watched = [(host.hub.session(name), WHOLE) for name in ("young", "old")]
        watches, start, _ = start_sessions(host, watched, b"")
        tellers = [
            tell_session(host, frame(host), session, watch, WHOLE, start, digest=True)
            for (session, _), watch in zip(watched, watches, strict=True)
        ]
        story = Cut(tellers, frame(host))
        parts = list(story.opening().parts)
        saying = story.progress()
        parts.append(next(saying))
        await put(api, 1, age=40)
        parts.extend(saying)
        story.close()
        told = [spb.WatchSessionsResponse.FromString(part) for part in parts]
        assert len({each.response.progress.digest for each in told[-2:]}) == 1  # the same rows in both
        check_sessions(told, [None, None])


@pytest.fixture
async def bank() -> AsyncIterator[Api]:
    """Accounts with a balance each; half of them are in one session, half in the other."""
    async with serving(lag_after=0.2) as (_, api):
        await api.create_users()
        await api.insert([user(id, age=100) for id in range(ACCOUNTS)])
        half = ACCOUNTS // 2
        await api.open("young", q.Query(table="users", filter=compare("id", "LESS", int64_value=half)))
        rest = compare("id", "GREATER_OR_EQUAL", int64_value=half)
        await api.open("old", q.Query(table="users", filter=rest, sort=[sort("age")]))
        yield api


async def test_a_transfer_is_never_seen_half_done(bank: Api) -> None:
    """Fifty watchers under load, some of them slow, see the same sum after every cut."""
    watchers = [
        Several(bank, 2, on_lag=(cpb.ON_LAG_CONFLATE, cpb.ON_LAG_RESET)[number % 2]) for number in range(WATCHERS)
    ]
    for watcher in watchers:
        await watcher.wait_for(1)
    balances = dict.fromkeys(range(ACCOUNTS), 100)
    rng = random.Random(1)
    version = 0
    for number in range(200):
        giver, taker = rng.randrange(ACCOUNTS // 2), rng.randrange(ACCOUNTS // 2, ACCOUNTS)
        amount = rng.randint(-20, 20) or 1
        balances[giver] -= amount
        balances[taker] += amount
        moved = rows([{"id": id, "age": balances[id]} for id in (giver, taker)])
        version = (await bank.write(pb.WriteOperation(table="users", update=pb.Update(rows=moved)))).version
        if number % 40 == 0:
            for watcher in rng.sample(watchers, 10):
                (watcher.paused.clear if watcher.paused.is_set() else watcher.paused.set)()
    for watcher in watchers:
        watcher.paused.set()
    for watcher in watchers:
        await watcher.wait_for(version)
    cuts = 0
    for watcher in watchers:
        found = states(watcher.responses, 2)
        for at, halves in found:
            assert sum(row["age"] for half in halves for row in half) == 100 * ACCOUNTS, f"half a transfer at {at}"
        cuts += len(found)
        watcher.check()
        await watcher.stop()
    assert cuts > WATCHERS * 10
