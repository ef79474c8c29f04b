"""Streams by themselves, over a real engine and without a socket: states, what is held, who is woken."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tesseract_grpc._proto.tesseract.v1 import change_pb2
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.query import WHOLE, Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.server.errors import Refusal, ServerReason
from tesseract_grpc.server.lifetimes import Lifetimes
from tesseract_grpc.server.resume_tokens import ResumeTokens
from tesseract_grpc.server.streams import audience, waves
from tesseract_grpc.server.streams.audience import Audience
from tesseract_grpc.server.streams.envelope import SESSION
from tesseract_grpc.server.streams.pieces import Pieces
from tesseract_grpc.server.streams.state import TRANSITIONS, State, Step, after
from tesseract_grpc.server.streams.stream import OnLag, Stream, Terms
from tesseract_grpc.server.streams.teller import Frame, Teller
from tesseract_grpc.server.versions import VersionGate

COLUMNS = (ColumnSchema("id", DataType.INT64, primary_key=True), ColumnSchema("n", DataType.INT64))
OVER = Refusal(Reason.SESSION_DELETED, "over")


class Scene:
    """A hub with one session, and streams of it."""

    def __init__(self) -> None:
        self.hub = Hub(epoch="e")
        self.hub.create_table("t", TableSchema(COLUMNS))
        self.put(*((number, number) for number in range(10)))
        self.session = self.hub.open_session(Query("t", sort=(SortKey("n"),)), "s")
        self.audience = Audience()
        self.tokens = ResumeTokens("hub", "e", b"key")
        self.stack = ExitStack()

    def put(self, *rows: tuple[int, int]) -> None:
        batch = Batch.of_rows(COLUMNS, [{"id": id, "n": n} for id, n in rows])
        result = self.hub.commit([Write("t", WriteKind.UPSERT, rows=batch)])
        if hasattr(self, "audience"):
            self.audience.wake(result.touched)

    def stream(
        self, window: Window = WHOLE, terms: Terms | None = None, *, piece_bytes: int = 1 << 20, **options: Any
    ) -> Stream:
        watch = self.session.watch(window, every_commit=terms is not None and terms.every_commit)
        version = lambda: self.hub.version  # noqa: E731
        frame = Frame("e", version, secrets.token_hex(4), piece_bytes=piece_bytes, tally=self.audience.tally)
        tokens = lambda: self.tokens.of_session(self.session, window)  # noqa: E731
        teller = Teller(watch, SESSION, frame, generation=lambda: 1, tokens=tokens)
        made = Stream(teller, frame, terms, window=window, **options)
        self.stack.enter_context(self.audience.admit(made, self.session))
        return made


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(waves, "SHORT", 60.0)  # nobody waits for the next wave longer than for the end of this one
    made = Scene()
    with made.stack:
        yield made


async def take(responses: AsyncGenerator[bytes, None]) -> spb.WatchSessionResponse:
    return spb.WatchSessionResponse.FromString(await asyncio.wait_for(anext(responses), 2))


async def ticks() -> None:
    """Lets everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


def state(stream: Stream) -> State:
    return stream.state


async def opened(responses: AsyncGenerator[bytes, None]) -> None:
    while (await take(responses)).WhichOneof("event") != "snapshot_end":
        pass


async def test_a_stream_is_in_one_of_three_states(scene: Scene) -> None:
    stream = scene.stream()
    responses = stream.responses()
    for event in ("begin", "snapshot_rows", "snapshot_end"):
        assert (await take(responses)).WhichOneof("event") == event
        assert state(stream) is State.CATCHING_UP
    waiting = asyncio.create_task(take(responses))
    await ticks()
    assert state(stream) is State.LIVE
    scene.put((1, 100))
    await waiting  # the reader has the change, and has not asked for more: it is being written
    assert state(stream) is State.LIVE
    scene.put((2, 100))
    scene.put((2, 200))
    assert state(stream) is State.CONFLATING
    change = await take(responses)
    assert (change.from_version, change.to_version) == (3, 5)
    assert state(stream) is State.LIVE
    await responses.aclose()


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("step", Step)
def test_there_are_these_ways_between_states_and_no_others(before: State, step: Step) -> None:
    ways = {
        (State.CATCHING_UP, Step.CAUGHT_UP): State.LIVE,
        (State.LIVE, Step.FELL_BEHIND): State.CONFLATING,
        (State.CONFLATING, Step.TOOK): State.LIVE,
        (State.LIVE, Step.BEGAN_ANEW): State.CATCHING_UP,
    }
    assert ways == TRANSITIONS
    if (before, step) in ways:
        assert after(before, step) is ways[before, step]
    else:
        with pytest.raises(AssertionError):
            after(before, step)


async def test_what_a_stream_says_of_itself(scene: Scene) -> None:
    stream = scene.stream(Window(0, 3), peer="ipv4:127.0.0.1:1")
    assert scene.audience.find(stream.watch_id) is stream
    assert scene.audience.streams_of(scene.session) == (stream,)
    assert (stream.peer, stream.window, stream.opened_at > 0) == ("ipv4:127.0.0.1:1", Window(0, 3), True)
    responses = stream.responses()
    await opened(responses)
    waiting = asyncio.create_task(take(responses))
    await ticks()
    assert (stream.lag_bytes, stream.lag_versions) == (0, 0)
    sent = stream.sent_bytes
    scene.put((1, -100))
    response = await waiting
    assert stream.lag_bytes == len(response.SerializeToString())
    scene.put((1, -200))
    scene.put((1, -300))
    assert stream.lag_versions == 2
    await take(responses)
    assert stream.sent_bytes > sent
    scene.put((1, -400))
    await take(responses)
    assert stream.conflations == 1
    assert scene.audience.conflations_of(scene.session) == 1
    await responses.aclose()
    scene.stack.close()
    assert scene.audience.conflations_of(scene.session) == 1
    assert scene.audience.tally.messages["changes"] == 3
    assert scene.audience.tally.sent_bytes == stream.sent_bytes


async def test_a_reader_lags_when_it_took_long_and_two_commits_have_come(scene: Scene) -> None:
    stream = scene.stream(terms=Terms(lag_after=0.05))
    responses = stream.responses()
    await opened(responses)
    waiting = asyncio.create_task(take(responses))
    await ticks()
    scene.put((1, 100))
    await waiting
    scene.put((1, 101))
    await asyncio.sleep(0.1)
    assert (await take(responses)).WhichOneof("event") == "changes", "one commit is told as it is"
    scene.put((1, 102))
    scene.put((1, 103))
    assert (await take(responses)).WhichOneof("event") == "changes", "it was quick"
    scene.put((1, 104))
    scene.put((1, 105))
    await asyncio.sleep(0.1)
    lagged, change = await take(responses), await take(responses)
    assert lagged.lagged.skipped_commits == 2
    assert (lagged.from_version, lagged.to_version) == (change.from_version, change.from_version)
    assert change.WhichOneof("event") == "changes"
    await responses.aclose()


async def test_a_reader_that_lags_is_cut_or_begins_anew_as_it_asked(scene: Scene) -> None:
    for on_lag in (OnLag.CANCEL, OnLag.RESET):
        stream = scene.stream(terms=Terms(lag_after=0.05, on_lag=on_lag))
        responses = stream.responses()
        await opened(responses)
        waiting = asyncio.create_task(take(responses))
        await ticks()
        scene.put((1, 100 + len(on_lag.value)))
        await waiting
        scene.put((1, 102))
        scene.put((1, 103))
        await asyncio.sleep(0.1)
        if on_lag is OnLag.CANCEL:
            with pytest.raises(Refusal) as caught:
                await take(responses)
            assert caught.value.reason is ServerReason.SLOW_READER
        else:
            assert (await take(responses)).reset.reason == change_pb2.RESET_REASON_LAGGED
            await opened(responses)
        await responses.aclose()


async def test_the_patrol_cuts_who_does_not_read(scene: Scene) -> None:
    cut: list[Refusal] = []
    stream = scene.stream(terms=Terms(slow_reader_timeout=0.05), cut_off=cut.append)
    quick = scene.stream(terms=Terms(slow_reader_timeout=0.05), cut_off=cut.append)
    responses, others = stream.responses(), quick.responses()
    await take(responses)
    await opened(others)
    waiting = asyncio.create_task(take(others))
    await ticks()
    scene.audience.patrol()
    assert not cut
    await asyncio.sleep(0.1)
    scene.audience.patrol()
    scene.audience.patrol()
    assert [refusal.reason for refusal in cut] == [ServerReason.SLOW_READER]
    assert scene.audience.tally.slow_readers == 1
    waiting.cancel()
    await responses.aclose()


async def test_what_happens_behind_a_slow_reader_is_one_change(scene: Scene) -> None:
    stream = scene.stream()
    responses = stream.responses()
    await opened(responses)
    for n in range(2_000):
        scene.put((n % 10, n))
    change = await take(responses)
    assert change.to_version == scene.hub.version
    assert change.changes.updates[0].rows.row_count == 10
    await responses.aclose()


async def test_nothing_is_sent_when_the_net_change_is_nothing(scene: Scene) -> None:
    stream = scene.stream(Window(0, 3))
    responses = stream.responses()
    await opened(responses)
    waiting = asyncio.create_task(take(responses))
    await ticks()
    scene.put((9, 900))  # moves outside the window
    await ticks()
    assert not waiting.done()
    scene.put((0, -5))
    assert (await waiting).from_version == 2
    await responses.aclose()


async def test_a_stream_with_a_bug_keeps_nobody_else_from_speaking(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, good = scene.stream(), scene.stream()
    responses = good.responses()
    await opened(responses)
    well: dict[str, Any] = {"beat": Stream.beat, "patrol": Stream.patrol}

    def step(name: str) -> Any:
        def done(stream: Stream, *given: Any) -> None:
            if stream is broken:
                raise RuntimeError("a bug")
            well[name](stream, *given)

        return done

    for name in well:
        monkeypatch.setattr(Stream, name, step(name))
    rounds = [
        asyncio.create_task(keep(lambda: [scene.audience], 0.02))
        for keep in (audience.keep_beating, audience.keep_patrolling)
    ]
    assert (await take(responses)).WhichOneof("event") == "progress"
    assert (await take(responses)).WhichOneof("event") == "progress"
    assert not any(task.done() for task in rounds)
    for task in rounds:
        task.cancel()
    await responses.aclose()


async def test_two_beats_make_a_silent_stream_speak(scene: Scene) -> None:
    stream = scene.stream()
    responses = stream.responses()
    await opened(responses)
    waiting = asyncio.create_task(take(responses))
    await ticks()
    scene.audience.beat()
    await ticks()
    assert not waiting.done()
    scene.audience.beat()
    assert (await waiting).WhichOneof("event") == "progress"
    await responses.aclose()


async def test_progress_does_not_part_readers_of_one_change(scene: Scene) -> None:
    """A reader that was told progress and one that was not are still given one encoding of the next change."""
    first, second = scene.stream(), scene.stream()
    streams = [first.responses(), second.responses()]
    for responses in streams:
        await opened(responses)
    scene.hub.create_table("other", TableSchema(COLUMNS))  # a version that concerns nobody
    waiting = asyncio.create_task(take(streams[0]))
    await ticks()
    first.beat()
    first.beat()
    assert (await waiting).to_version == 3
    scene.put((1, 100))
    one, two = await take(streams[0]), await take(streams[1])
    assert (one.from_version, two.from_version, one.to_version, two.to_version) == (3, 2, 4, 4)
    assert one.changes == two.changes
    assert len(scene.session._changes) == 1
    for responses in streams:
        await responses.aclose()


async def test_the_end_comes_after_what_is_owed(scene: Scene) -> None:
    stream = scene.stream()
    responses = stream.responses()
    await opened(responses)
    scene.put((1, 100))
    stream.end(OVER)
    assert (await take(responses)).WhichOneof("event") == "changes"
    with pytest.raises(Refusal):
        await take(responses)


async def test_the_end_of_the_session_leaves_nothing_to_tell(scene: Scene) -> None:
    stream = scene.stream()
    responses = stream.responses()
    await opened(responses)
    scene.put((1, 100))
    scene.hub.close_session("s")
    stream.end(OVER)
    with pytest.raises(Refusal):
        await take(responses)


async def test_a_snapshot_can_be_ended_in_the_middle(scene: Scene) -> None:
    scene.put(*((number, number) for number in range(20_000)))
    stream = scene.stream(piece_bytes=1_024)
    responses = stream.responses()
    await take(responses)
    assert (await take(responses)).WhichOneof("event") == "snapshot_rows"
    stream.end(OVER)
    with pytest.raises(Refusal):
        await take(responses)
    assert not scene.session.watchers


async def test_a_closed_stream_leaves_nothing_behind(scene: Scene) -> None:
    stream = scene.stream(terms=Terms(min_interval=30.0))
    responses = stream.responses()
    await opened(responses)
    assert len(scene.session.watchers) == 1
    await responses.aclose()
    assert not scene.session.watchers
    scene.stack.close()
    assert (scene.audience.count, scene.audience.of(scene.session)) == (0, 0)


def test_pieces_are_encoded_when_asked_for_and_once() -> None:
    made: list[int] = []

    def source() -> Iterator[bytes]:
        for number in range(3):
            made.append(number)
            yield bytes([number])

    pieces = Pieces(source())
    assert made == []
    assert pieces.body(1) == b"\x01"
    assert made == [0, 1]
    assert [pieces.body(index) for index in range(5)] == [b"\x00", b"\x01", b"\x02", None, None]
    assert made == [0, 1, 2]


async def test_a_version_gate_lets_through_in_order_and_forgets() -> None:
    gate = VersionGate(5, 60)
    await gate.wait(5, None)
    waits = [asyncio.create_task(gate.wait(version, None)) for version in (8, 6, 7)]
    given_up = asyncio.create_task(gate.wait(6, 0.11))
    with pytest.raises(Refusal) as caught:
        await given_up
    assert caught.value.retry_after is not None
    assert len(gate) == 3
    gate.advance(7)
    await ticks()
    assert [task.done() for task in waits] == [False, True, True]
    gate.end(OVER)
    with pytest.raises(Refusal):
        await waits[0]
    assert len(gate) == 0


async def test_a_lease_ends_once() -> None:
    ended: list[str] = []
    lifetimes = Lifetimes(ended.append)
    lifetimes.begin("a", 0.05)
    lifetimes.begin("b", 0.05)
    lifetimes.acquire("a")
    lifetimes.forget("b")
    await asyncio.sleep(0.1)
    assert ended == []
    lifetimes.release("a")
    lifetimes.touch("named")
    await asyncio.sleep(0.1)
    assert ended == ["a"]
    assert lifetimes.idle_timeout("a") is None
