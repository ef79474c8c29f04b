"""What a watch and a mirror do when the peer misbehaves, shown by a server that follows a script."""

import logging
import threading
import time
from typing import Any

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import change_pb2, schema_pb2, session_service_pb2, table_service_pb2, value_pb2
from tesseract_grpc.client import (
    AlreadyExists,
    AsyncEventHorizon,
    AsyncSession,
    Closed,
    DeadlineExceeded,
    Delta,
    FeatureNotAvailable,
    Gap,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Retry,
    ServerFailure,
    Snapshot,
    TesseractError,
    Unauthenticated,
    Unavailable,
)
from tests import wire
from tests.client.aio.support import Aside, eventually, pause, state_of
from tests.client.serving import Fail, FakeServer, Silence, Step, Until
from tests.client.test_mirror_laws import COLUMNS, TYPES, begin, changed, progress, snapshot

A, B, C = ({"k": key, "a": "x", "b": 0.0} for key in (1, 2, 3))
GONE = Fail(grpc.StatusCode.UNAVAILABLE, "the server goes")


def insert(version: int, row: dict[str, Any], at: int) -> Any:
    return changed(version, version + 1, wire.changes(TYPES, inserts=[(row, at)], total=at + 1))


async def session_of(fake: FakeServer, hub: AsyncEventHorizon, *, anonymous: bool = False) -> AsyncSession:
    described = session_service_pb2.Session(name="hubs/default/sessions/s", columns=COLUMNS, anonymous=anonymous)
    described.query.table = "hubs/default/tables/t"
    fake.script("GetSession", session_service_pb2.GetSessionResponse(session=described))
    return await hub.get_session("s")


def warnings_of(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)


BREAKS: dict[str, tuple[list[Step], str]] = {
    "a gap": ([changed(7, 8, change_pb2.Changes())], "gap"),
    "a gap before progress": ([progress(6, 9)], "gap"),
    "going back": ([changed(1, 0, change_pb2.Changes())], "disorder"),
    "a second snapshot": ([*snapshot(1, [B])[1:]], "disorder"),
    "an abrupt end": ([GONE], "reconnected"),
    "a quiet end": ([], "ended"),
    "an internal failure": ([Fail(grpc.StatusCode.INTERNAL, "oh")], "reconnected"),
    "a cancel by the server": ([Fail(grpc.StatusCode.CANCELLED, "no more")], "reconnected"),
    "a reset of the connection": ([Fail(grpc.StatusCode.UNKNOWN, "reset")], "reconnected"),
    "a change of a row that is not there": (
        [changed(1, 2, wire.changes(TYPES, removes={1: [{"k": 9}]}))],
        "malformed",
    ),
    "an edited definition": (
        [
            session_service_pb2.WatchSessionResponse(
                from_version=1, to_version=2, session_changed=change_pb2.SessionChanged(generation=2), continued=True
            )
        ],
        "definition_changed",
    ),
}


@pytest.mark.parametrize("what", BREAKS)
async def test_a_broken_stream_is_healed_loudly(
    what: str, fake: FakeServer, fake_hub: AsyncEventHorizon, caplog: pytest.LogCaptureFixture
) -> None:
    steps, reason = BREAKS[what]
    go_on = threading.Event()
    fake.script("WatchSession", *snapshot(1, [A]), Until(go_on), *steps)
    fake.script("WatchSession", *snapshot(8, [A, B]), insert(8, C, 2), Silence())
    states: list[str] = []
    events: list[Any] = []
    session = await session_of(fake, fake_hub)
    async with session.mirror() as mirror:
        mirror.on("state", states.append)
        mirror.on("change", events.append)
        go_on.set()
        await mirror.wait_for(9)
        assert mirror.rows() == [A, B, C]
        assert state_of(mirror) == "live"
        await eventually(lambda: events[-2:] and isinstance(events[-1], Delta))
        assert events[-2].reason == reason
    assert state_of(mirror) == "ended"
    assert states[-3:] == ["stale", "live", "ended"]
    assert "watching again" in warnings_of(caplog)
    assert fake.calls("WatchSession") == 2


async def test_silence_makes_the_mirror_stale_and_then_heals(
    fake: FakeServer, fake_hub: AsyncEventHorizon, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()
    fake.script("WatchSession", begin(1, progress_interval_ms=30), *snapshot(1, [A])[1:], Silence())
    fake.script("WatchSession", Until(go_on), *snapshot(2, [B]), Silence())
    session = await session_of(fake, fake_hub)
    async with session.mirror() as mirror:
        assert state_of(mirror) == "live"
        await eventually(lambda: mirror.state == "stale")
        assert mirror.rows() == [A]  # old, and marked as such
        go_on.set()
        await mirror.wait_for(2)
        assert (mirror.state, mirror.rows()) == ("live", [B])
    assert "no message for too long" in warnings_of(caplog)


async def test_progress_keeps_a_quiet_stream_alive(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    beats = [step for version in range(1, 20) for step in (progress(version, version + 1), Until(threading.Event()))]
    for step in beats:
        if isinstance(step, Until):
            threading.Timer(0, step.event.set).start()
    fake.script("WatchSession", begin(1, progress_interval_ms=200), *snapshot(1, [A])[1:], *beats, Silence())
    session = await session_of(fake, fake_hub)
    async with session.mirror() as mirror:
        await mirror.wait_for(20)
        assert (mirror.version, mirror.state) == (20, "live")
        assert fake.calls("WatchSession") == 1


async def test_a_reader_who_does_not_read_does_not_make_a_stream_stale(
    fake: FakeServer, fake_hub: AsyncEventHorizon
) -> None:
    fake.script("WatchSession", begin(1, progress_interval_ms=20), *snapshot(1, [A])[1:], insert(1, B, 1), Silence())
    session = await session_of(fake, fake_hub)
    async with session.watch() as watch:
        assert isinstance(await watch.__anext__(), Snapshot)
        await pause(0.2)  # ten intervals
        assert isinstance(await watch.__anext__(), Delta)
    assert fake.calls("WatchSession") == 1


async def test_a_reset_on_the_stream_needs_no_new_stream(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    reset = session_service_pb2.WatchSessionResponse(from_version=1, to_version=1)
    reset.reset.reason = change_pb2.RESET_REASON_TABLE_CHANGED
    fake.script("WatchSession", *snapshot(1, [A]), reset, *snapshot(5, [B, C]), Silence())
    session = await session_of(fake, fake_hub)
    async with session.watch() as watch:
        first, second = await watch.__anext__(), await watch.__anext__()
    assert isinstance(first, Snapshot)
    assert isinstance(second, Snapshot)
    assert (first.reason, second.reason) == ("first", "table_changed")
    assert second.rows == [B, C]
    assert fake.calls("WatchSession") == 1


async def test_many_failures_are_survived_with_growing_pauses(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    for _ in range(6):
        fake.script("WatchSession", GONE)
    fake.script("WatchSession", *snapshot(1, [A]), Silence())
    session = await session_of(fake, fake_hub)
    async with session.mirror() as mirror:
        assert mirror.rows() == [A]
    assert fake.calls("WatchSession") == 7


async def test_a_stream_that_breaks_again_and_again_is_not_hammered(
    fake: FakeServer, fake_hub: AsyncEventHorizon
) -> None:
    """Each attempt gets as far as a snapshot, so that counting successes would never let the pauses grow."""
    for _ in range(200):
        fake.script("WatchSession", *snapshot(1, [A]), changed(7, 8, change_pb2.Changes()))
    hub = AsyncEventHorizon.connect(fake.address, timeout=5, retry=Retry(initial_backoff=0.02, max_backoff=30))
    session = await session_of(fake, hub)
    mirror = session.mirror()
    await pause(1)
    await hub.close()
    assert 2 <= fake.calls("WatchSession") <= 25
    assert mirror.rows() == [A]


async def test_the_server_says_when_to_come_back(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    fake.script("WatchSession", Fail(grpc.StatusCode.UNAVAILABLE, "later", retry_after=0.5))
    fake.script("WatchSession", *snapshot(1, [A]), Silence())
    session = await session_of(fake, fake_hub)
    mirror = session.mirror()
    await pause(0.25)
    assert fake.calls("WatchSession") == 1
    await mirror.ready()
    await mirror.close()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.NOT_FOUND, NotFound),
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequest),
        (grpc.StatusCode.PERMISSION_DENIED, PermissionDenied),
        (grpc.StatusCode.UNAUTHENTICATED, Unauthenticated),
        (grpc.StatusCode.UNIMPLEMENTED, FeatureNotAvailable),
        (grpc.StatusCode.FAILED_PRECONDITION, PreconditionFailed),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, LimitExceeded),
    ],
    ids=str,
)
async def test_what_cannot_be_mended_is_raised(
    code: grpc.StatusCode, error: type[TesseractError], fake: FakeServer, fake_hub: AsyncEventHorizon
) -> None:
    fake.script("WatchSession", Fail(code, "not like this", reason="WHY"))
    fake.script("WatchSession", Fail(code, "not like this", reason="WHY"))
    session = await session_of(fake, fake_hub)
    mirror = session.mirror()
    with pytest.raises(error) as caught:
        await mirror.ready()
    assert state_of(mirror) == "ended"
    assert caught.value.reason == "WHY"
    watch = session.watch()
    with pytest.raises(error):
        await watch.__anext__()
    assert state_of(watch) == "ended"
    assert fake.calls("WatchSession") == 2


async def test_a_deleted_session_ends_the_mirror_and_says_why(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    deleted = threading.Event()
    end = Fail(grpc.StatusCode.FAILED_PRECONDITION, "deleted", reason="SESSION_DELETED")
    fake.script("WatchSession", *snapshot(1, [A]), Until(deleted), end)
    session = await session_of(fake, fake_hub)
    async with session.mirror() as mirror:
        waiting = Aside(lambda: mirror.wait_for(99))
        deleted.set()
        await eventually(lambda: mirror.state == "ended")
        with pytest.raises(PreconditionFailed):
            await waiting.result()
        assert mirror.error is not None
        assert mirror.error.reason == "SESSION_DELETED"
        assert mirror.rows() == [A]


async def test_an_anonymous_session_that_was_let_go_is_made_again(
    fake: FakeServer, fake_hub: AsyncEventHorizon
) -> None:
    fake.script("WatchSession", *snapshot(1, [A]), GONE)
    fake.script("WatchSession", Fail(grpc.StatusCode.NOT_FOUND, "idle for too long", reason="UNKNOWN_SESSION"))
    again = session_service_pb2.Session(name="hubs/default/sessions/other", columns=COLUMNS, anonymous=True)
    fake.script("CreateSession", session_service_pb2.CreateSessionResponse(session=again))
    fake.script("WatchSession", *snapshot(4, [B]), Silence())
    session = await session_of(fake, fake_hub, anonymous=True)
    async with session.mirror() as mirror:
        await mirror.wait_for(4)
        assert mirror.rows() == [B]
    assert fake.requests["WatchSession"][-1].name == "hubs/default/sessions/other"
    assert fake.requests["CreateSession"][0].session.query.table == "hubs/default/tables/t"


async def test_an_anonymous_session_is_made_again_when_the_server_can(
    fake: FakeServer, fake_hub: AsyncEventHorizon
) -> None:
    gone = Fail(grpc.StatusCode.NOT_FOUND, "idle for too long", reason="UNKNOWN_SESSION")
    full = Fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "max_sessions", reason="LIMIT_EXCEEDED")
    away = Fail(grpc.StatusCode.UNAVAILABLE, "not yet", retry_after=60.0)  # longer than the call may take
    again = session_service_pb2.Session(name="hubs/default/sessions/other", columns=COLUMNS, anonymous=True)
    fake.script("WatchSession", *snapshot(1, [A]), GONE)
    for refusal in (away, session_service_pb2.CreateSessionResponse(session=again)):
        fake.script("WatchSession", gone)
        fake.script("CreateSession", refusal)
    fake.script("WatchSession", *snapshot(4, [B]), GONE)
    session = await session_of(fake, fake_hub, anonymous=True)
    async with session.mirror() as mirror:
        await mirror.wait_for(4)
        assert mirror.rows() == [B]
        fake.script("WatchSession", gone)
        fake.script("CreateSession", full)
        await eventually(lambda: mirror.state == "ended")  # that does not pass by itself
        assert isinstance(mirror.error, NotFound)


async def test_what_nobody_thought_of_ends_a_mirror_and_its_stream(
    fake: FakeServer, fake_hub: AsyncEventHorizon, caplog: pytest.LogCaptureFixture
) -> None:
    """Here a document that is deeper than Python reads. Another attempt would meet it again."""
    deep = {"k": 1, "j": "[" * 100_000}
    types = {"k": "int64", "j": "json"}
    fake.script("WatchSession", *snapshot(1, [deep], types=types), Silence())
    session = await session_of(fake, fake_hub)
    mirror = session.mirror()
    with pytest.raises(ServerFailure, match="RecursionError"):
        await mirror.ready()
    assert state_of(mirror) == "ended"
    assert isinstance(mirror.error, ServerFailure)
    assert mirror._watch._closed
    assert fake.calls("WatchSession") == 1
    assert "RecursionError" in warnings_of(caplog)


async def test_a_mirror_says_why_it_does_not_become_ready(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    for _ in range(50):
        fake.script("WatchSession", Fail(grpc.StatusCode.INTERNAL, "a bug of the server"))
    session = await session_of(fake, fake_hub)
    mirror = session.mirror()
    with pytest.raises(DeadlineExceeded, match="a bug of the server"):
        await mirror.ready(timeout=0.2)
    await mirror.close()
    with pytest.raises(Closed):
        await mirror.ready(timeout=0.2)


async def test_closing_ends_a_watch_that_waits(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    fake.script("WatchSession", *snapshot(1, [A]), Silence())
    session = await session_of(fake, fake_hub)
    watch = session.watch()
    seen: list[Any] = []

    async def read() -> None:
        async for event in watch:
            seen.extend([event])

    reading = Aside(read)
    await eventually(lambda: seen)
    await watch.close()
    await reading.result()
    assert state_of(watch) == "ended"
    assert len(seen) == 1


async def test_closing_ends_a_watch_that_pauses(fake: FakeServer) -> None:
    async with AsyncEventHorizon.connect("127.0.0.1:1", timeout=60) as hub:
        session = AsyncSession(hub._rpc, session_service_pb2.Session(name="hubs/default/sessions/s"))
        mirror = session.mirror()
        await pause(0.1)
        assert state_of(mirror) == "connecting"
        await mirror.close()
        assert state_of(mirror) == "ended"
    with pytest.raises(Closed):
        await hub.info()


async def test_lost_table_events_are_told(
    fake: FakeServer, fake_hub: AsyncEventHorizon, caplog: pytest.LogCaptureFixture
) -> None:
    def event(start: int, end: int, **kind: Any) -> Any:
        return table_service_pb2.WatchTableResponse(from_version=start, to_version=end, **kind)

    described = schema_pb2.Table(name="hubs/default/tables/t", columns=COLUMNS)
    fake.script("GetTable", table_service_pb2.GetTableResponse(table=described))
    hello = change_pb2.Begin(epoch="e", columns=COLUMNS)
    added = change_pb2.Changes(inserts=change_pb2.Inserts(rows=wire.batch([A], TYPES)))
    fake.script("WatchTable", event(3, 3, begin=hello), event(3, 4, changes=added), GONE)
    fake.script("WatchTable", event(9, 9, begin=hello), event(9, 10, changes=added), Silence())
    table = await fake_hub.get_tesseract("t")
    adds: list[Any] = []
    gaps: list[Any] = []
    stop_gaps = await table.on("gap", gaps.append)
    stop_adds = await table.on("add", adds.append)
    await eventually(lambda: gaps and adds)
    assert gaps == [Gap(4, 9, "reconnected")]
    assert "lost" in warnings_of(caplog)
    stop_gaps()
    stop_adds()


async def test_handlers_that_raise_do_not_stop_the_others(
    fake: FakeServer, fake_hub: AsyncEventHorizon, caplog: pytest.LogCaptureFixture
) -> None:
    fake.script("WatchSession", *snapshot(1, [A]), insert(1, B, 1), Silence())
    session = await session_of(fake, fake_hub)
    seen: list[Any] = []

    def broken(_: Any) -> None:
        raise RuntimeError("a bug of the user")

    mirror = session.mirror()
    mirror.on("data", broken)
    mirror.on("data", seen.append)
    await mirror.wait_for(2)
    await eventually(lambda: seen and seen[-1] == [A, B])
    assert state_of(mirror) == "live"
    await mirror.close()
    assert "a bug of the user" in caplog.text


async def test_calls_are_sent_again_while_the_server_is_away(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    query = table_service_pb2.QueryResponse(columns=COLUMNS, total_count=4, version=2)
    described = schema_pb2.Table(name="hubs/default/tables/t", columns=COLUMNS)
    fake.script("GetTable", GONE)
    fake.script("GetTable", table_service_pb2.GetTableResponse(table=described))
    fake.script("Query", GONE)
    fake.script("Query", GONE)
    fake.script("Query", query)
    fake.script("Write", GONE)
    fake.script("Write", table_service_pb2.WriteResponse(version=3))
    table = await fake_hub.get_tesseract("t")
    assert await table.count() == 4
    assert (await table.add(A)).version == 3
    first, second = fake.requests["Write"]
    assert first.request_id == second.request_id != ""


async def test_a_server_that_has_answered_is_waited_for_until_the_deadline(
    fake: FakeServer, fake_hub: AsyncEventHorizon
) -> None:
    described = schema_pb2.Table(name="hubs/default/tables/t", columns=COLUMNS)
    found = table_service_pb2.GetTableResponse(table=described)
    fake.script("GetTable", found)
    for _ in range(12):
        fake.script("GetTable", GONE)
    fake.script("GetTable", found)
    table = await fake_hub.get_tesseract("t")
    await fake_hub.get_tesseract("t")
    assert fake.calls("GetTable") == 14
    read_only = Fail(grpc.StatusCode.UNAVAILABLE, "the disk is full", "HUB_READ_ONLY", retry_after=0.2)
    busy = Fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much", "WRITES_OVERLOADED", retry_after=0.2)
    for failure in (read_only, busy):
        fake.script("Write", failure)
    fake.script("Write", table_service_pb2.WriteResponse(version=3))
    began = time.monotonic()
    assert (await table.add(A)).version == 3
    assert time.monotonic() - began >= 0.4
    assert len({request.request_id for request in fake.requests["Write"]}) == 1
    fake.script("Write", Fail(grpc.StatusCode.UNAVAILABLE, "the disk is full", "HUB_READ_ONLY", retry_after=9))
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:  # it would be later than the deadline
        await table.add(A)
    assert caught.value.reason == "HUB_READ_ONLY"
    assert time.monotonic() - began < 2
    fake.script("Write", Fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "too large", "LIMIT_EXCEEDED"))
    with pytest.raises(LimitExceeded):
        await table.add(A)


async def test_what_may_not_be_sent_twice_is_not(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    for _ in range(3):
        fake.script("DeleteSession", GONE)
    with pytest.raises(Unavailable):
        await fake_hub.remove_session("s")
    assert fake.calls("DeleteSession") == 1


async def test_retries_end(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    for _ in range(4):
        fake.script("GetTable", Fail(grpc.StatusCode.UNAVAILABLE, "away", reason="SERVER_SHUTTING_DOWN"))
    with pytest.raises(Unavailable) as caught:
        await fake_hub.get_tesseract("t")
    assert caught.value.reason == "SERVER_SHUTTING_DOWN"
    assert fake.calls("GetTable") == 4


async def test_errors_have_all_that_the_server_said(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    rows = table_service_pb2.RowErrors(total=200)
    rows.errors.add(operation=0, row=1, column="k", reason="DUPLICATE_KEY", message="there already")
    metadata = (("line", "3"), ("hint", "use upsert"))
    fake.script("GetTable", Fail(grpc.StatusCode.ALREADY_EXISTS, "no", "DUPLICATE_KEY", "rows", 1.5, metadata, rows))
    with pytest.raises(AlreadyExists) as caught:
        await fake_hub.get_tesseract("t")
    error = caught.value
    assert (error.reason, error.field, error.line, error.message) == ("DUPLICATE_KEY", "rows", 3, "no")
    assert (error.retry_after, error.metadata["hint"]) == (1.5, "use upsert")
    assert (len(error.row_errors), error.row_error_count, error.row_errors[0].row) == (1, 200, 1)
    assert str(error) == "no (DUPLICATE_KEY, field rows, line 3)"


async def test_an_answer_that_does_not_come_is_an_error(fake: FakeServer) -> None:
    hub = AsyncEventHorizon.connect(fake.address, timeout=0.2)
    with pytest.raises(DeadlineExceeded):
        await hub.info()
    await hub.close()


async def test_a_failure_without_details_is_one_all_the_same(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    fake.script("GetTable", Fail(grpc.StatusCode.DATA_LOSS, "oh"))
    with pytest.raises(ServerFailure) as caught:
        await fake_hub.get_tesseract("t")
    assert (caught.value.message, caught.value.reason, caught.value.line) == ("oh", "", None)


async def test_the_token_goes_with_every_call(fake: FakeServer) -> None:
    async with AsyncEventHorizon.connect(fake.address, token="secret", timeout=5) as hub:
        await session_of(fake, hub)
        assert fake.metadata["authorization"] == "Bearer secret"
        assert "secret" not in repr(hub._rpc.connection)


async def test_a_message_that_is_too_large_is_an_error(fake: FakeServer) -> None:
    column = value_pb2.ColumnData(name="a", strings=value_pb2.StringValues(values=["x" * 2_000_000]))
    rows = value_pb2.RowBatch(row_count=1, columns=[column])
    fake.script("Query", table_service_pb2.QueryResponse(columns=COLUMNS, rows=rows))
    described = schema_pb2.Table(name="hubs/default/tables/t", columns=COLUMNS)
    fake.script("GetTable", table_service_pb2.GetTableResponse(table=described))
    async with AsyncEventHorizon.connect(fake.address, timeout=5, max_message_bytes=1_000_000) as hub:
        table = await hub.get_tesseract("t")
        with pytest.raises(LimitExceeded):
            await table.query(limit=1)
