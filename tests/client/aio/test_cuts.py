"""Several sessions watched together: every cut is of one version, whole, and resumed where it was."""

import random
import threading
from typing import Any

import pytest

from tesseract_grpc._proto.tesseract.v1 import change_pb2, session_service_pb2
from tesseract_grpc.client import (
    AsyncEventHorizon,
    AsyncTesseract,
    Cut,
    Delta,
    Interrupted,
    InvalidRequest,
    Lagged,
    Resumed,
    Snapshot,
    WriteBatch,
)
from tests import wire
from tests.client.aio.support import eventually, pause
from tests.client.aio.test_faults import GONE, A, B, C, insert
from tests.client.serving import FakeServer, Silence, Until
from tests.client.test_mirror_laws import TYPES, begin, changed, progress, snapshot

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "n", "type": "int64"},
]


def part(index: int, response: Any, last: bytes | None = None) -> Any:
    """One response of a cut; the last one has the token."""
    response.continued = last is None
    response.resume_token = last or b""
    return session_service_pb2.WatchSessionsResponse(index=index, response=response)


def opening(version: int, rows: list[list[dict[str, Any]]], token: bytes) -> list[Any]:
    """A snapshot of every session."""
    found = [part(at, response) for at, each in enumerate(rows) for response in snapshot(version, each)]
    found[-1].response.continued, found[-1].response.resume_token = False, token
    return found


async def test_a_cut_is_shown_when_it_is_whole(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    listening, half, rest = threading.Event(), threading.Event(), threading.Event()
    nothing = change_pb2.Changes()
    lagged = session_service_pb2.WatchSessionResponse(from_version=1, to_version=1)
    lagged.lagged.skipped_commits = 4
    fake.script(
        "WatchSessions",
        *opening(1, [[A], [B]], b"1"),
        Until(listening),
        part(0, lagged),
        part(0, insert(1, C, 1)),
        Until(half),
        part(1, changed(1, 2, wire.changes(TYPES, removes={1: [{"k": 2}]}), continued=True)),
        Until(rest),
        part(1, changed(1, 2, nothing), b"2"),
        part(1, progress(2, 7), b"7"),
        part(0, changed(7, 8, nothing), b"8"),
        Silence(),
    )
    told: list[Any] = []
    async with fake_hub.mirror_sessions(["s", ("t", (0, 5))]) as group:
        group.on("change", told.append)
        group.on("lagged", told.append)
        listening.set()
        assert group.rows() == [[A], [B]]
        half.set()
        await pause(0.05)
        assert (group.rows(), group.version) == ([[A], [B]], 1)
        rest.set()
        await group.wait_for(8)
        assert group.rows() == [[A, C], []]
        assert (group.version, len(group)) == (8, 2)
        await eventually(lambda: len(told) == 3)
    assert told[0] == Lagged(1, 4)
    assert [[type(event) for event in cut] for cut in told[1:]] == [[Delta, Delta], [Delta, type(None)]]
    [request] = fake.requests["WatchSessions"]
    assert [each.name for each in request.sessions] == ["hubs/default/sessions/s", "hubs/default/sessions/t"]
    assert request.sessions[1].window.limit == 5


async def test_a_stream_that_breaks_inside_a_cut_is_resumed_at_the_last_one(
    fake: FakeServer, fake_hub: AsyncEventHorizon
) -> None:
    fake.script("WatchSessions", *opening(1, [[A], [B]], b"one"), part(0, insert(1, C, 1)), GONE)
    again = [part(0, begin(1, resumed=True)), part(1, begin(1, resumed=True), b"one")]
    fake.script("WatchSessions", *again, part(0, insert(1, C, 1)), part(1, insert(1, A, 1), b"two"), Silence())
    told: list[Any] = []
    async with fake_hub.mirror_sessions(["s", "t"]) as group:
        for event in ("interrupted", "resumed", "change"):
            group.on(event, told.append)
        await group.wait_for(2)
        assert group.rows() == [[A, C], [B, A]]
        await eventually(lambda: told and isinstance(told[-1], Cut))
    assert told[-2:][0] == Resumed(1)
    assert all(isinstance(event, Delta) for event in told[-1])
    assert [request.resume_token for request in fake.requests["WatchSessions"]] == [b"", b"one"]


async def test_a_session_that_begins_anew_does_so_inside_a_cut(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    go_on, rest = threading.Event(), threading.Event()
    reset = session_service_pb2.WatchSessionResponse(from_version=1, to_version=4)
    reset.reset.reason = change_pb2.RESET_REASON_DEFINITION_CHANGED
    anew = [part(1, response) for response in snapshot(4, [C])]
    anew[-1].response.continued = False
    steps = [part(0, changed(1, 4, change_pb2.Changes())), part(1, reset), *anew[:2], Until(rest), *anew[2:]]
    fake.script("WatchSessions", *opening(1, [[A], [B]], b"one"), Until(go_on), *steps, Silence())
    told: list[Any] = []
    async with fake_hub.mirror_sessions(["s", "t"]) as group:
        group.on("interrupted", told.append)
        go_on.set()
        await eventually(lambda: group.state == "stale")
        assert group.rows() == [[A], [B]]
        rest.set()
        await eventually(lambda: group.state == "live")
        assert group.rows() == [[A], [C]]
    assert [event.reason for event in told if isinstance(event, Interrupted)] == ["definition_changed"]
    assert fake.calls("WatchSessions") == 1


BROKEN: dict[str, list[Any]] = {
    "a cut of two versions": [part(0, insert(1, C, 1)), part(1, changed(1, 3, change_pb2.Changes()), b"x")],
    "a session that nobody asked for": [part(2, insert(1, C, 1), b"x")],
    "a gap of one session": [part(0, insert(1, C, 1)), part(1, changed(2, 2, change_pb2.Changes()), b"x")],
    "an end before a snapshot is whole": [part(1, begin(1), b"x")],
    "a change that fits one session only": [part(0, insert(1, C, 1)), part(1, insert(1, B, 0), b"x")],
}


@pytest.mark.parametrize("what", BROKEN)
async def test_a_cut_that_cannot_be_changes_nothing(what: str, fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    go_on = threading.Event()
    fake.script("WatchSessions", *opening(1, [[A], [B]], b"one"), *BROKEN[what])
    fake.script("WatchSessions", Until(go_on), *opening(9, [[C], []], b"nine"), Silence())
    async with fake_hub.mirror_sessions(["s", "t"]) as group:
        await eventually(lambda: fake.calls("WatchSessions") == 2)
        assert group.rows() == [[A], [B]]
        assert (group.version, group.state) == (1, "stale")
        go_on.set()
        await group.wait_for(9)
        assert group.rows() == [[C], []]


async def test_what_is_no_session_is_refused(fake_hub: AsyncEventHorizon) -> None:
    for wrong in (7, "", ("s", "t"), (7, (0, 1))):
        with pytest.raises(InvalidRequest):
            fake_hub.watch_sessions([wrong])  # type: ignore[list-item]


@pytest.fixture
async def table(hub: AsyncEventHorizon, table_id: str) -> AsyncTesseract:
    return await hub.create_tesseract(table_id, COLUMNS)


async def test_every_look_at_a_group_is_of_one_version(hub: AsyncEventHorizon, table: AsyncTesseract) -> None:
    """A row is in exactly one of two sessions at every version, and the third counts them all."""
    low = await hub.create_session(table=table, filter="n < 50")
    high = await hub.create_session(table=table, filter="n >= 50", sort=[{"field": "n", "direction": "desc"}])
    sums = await hub.create_session(
        table=table, group_by="parity", computed={"parity": "n % 2"}, aggregates={"c": "count"}
    )
    luck = random.Random(5)
    await table.add([{"id": at, "n": luck.randrange(100)} for at in range(40)])
    looks: list[Any] = []
    async with hub.mirror_sessions([low, (high, (0, 1000)), sums]) as group:
        group.on("data", looks.append)
        for step in range(60):
            batch = WriteBatch().update(table, [{"id": luck.randrange(40), "n": luck.randrange(100)} for _ in range(5)])
            written = await hub.write(batch.upsert(table, {"id": 40 + step % 5, "n": luck.randrange(100)}))
            if step == 30:
                await low.update_sort([{"field": "n", "direction": "asc"}])
        await group.wait_for(written.version)
        fresh = [await each.get_data(min_version=written.version) for each in (low, high, sums)]
        assert group.rows() == fresh
        assert group.total_counts == [each.total_count for each in fresh]
    assert looks
    for lows, highs, counts in looks:
        ids = [row["id"] for row in (*lows, *highs)]
        assert len(ids) == len(set(ids)) == sum(row["c"] for row in counts) >= 40


async def test_cuts_one_by_one(hub: AsyncEventHorizon, table: AsyncTesseract) -> None:
    sessions = [await hub.create_session(table=table) for _ in range(2)]
    async with hub.watch_sessions(sessions) as watch:
        first = await watch.__anext__()
        assert isinstance(first, Cut)
        assert all(isinstance(event, Snapshot) for event in first)
        written = await table.add({"id": 1, "n": 2})
        second = await watch.__anext__()
        assert isinstance(second, Cut)
        assert second.version == written.version
        assert [len(event.changes) for event in second if isinstance(event, Delta)] == [1, 1]
