# Generated from tests/client/aio/test_resume.py by tools/generate_sync_client.py: edit that file and run it.
"""How a watch goes on where it was: tokens, gaps, resets, slow readers; shown by a server that follows a script."""

import threading
from typing import Any

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import change_pb2, schema_pb2, session_service_pb2, table_service_pb2
from tesseract_grpc.client import (
    Delta,
    EventHorizon,
    Interrupted,
    InvalidRequest,
    Lagged,
    LimitExceeded,
    Resumed,
    Retry,
    Snapshot,
    Unavailable,
)
from tests import wire
from tests.client.serving import Fail, FakeServer, Silence, Step, Until
from tests.client.sync.support import Aside, eventually, pause, state_of
from tests.client.sync.test_faults import GONE, A, B, C, insert, session_of, warnings_of
from tests.client.test_mirror_laws import COLUMNS, TYPES, begin, changed, progress, snapshot


def token(version: int, event: Any) -> Any:
    event.resume_token = b"v%d" % version
    return event


def with_tokens(version: int, rows: list[dict[str, Any]], **begins: Any) -> list[Any]:
    """A snapshot that can be resumed."""
    _, *pieces, end = snapshot(version, rows)
    return [begin(version, **begins), *pieces, token(version, end)]


RESUMES: dict[str, tuple[list[Step], str]] = {
    "an abrupt end": ([GONE], "reconnected"),
    "a quiet end": ([], "ended"),
    "a gap": ([changed(7, 8, change_pb2.Changes())], "gap"),
    "silence": ([Silence()], "silence"),
}


@pytest.mark.parametrize("what", RESUMES)
def test_a_stream_that_broke_goes_on_where_it_was(
    what: str, fake: FakeServer, fake_hub: EventHorizon, caplog: pytest.LogCaptureFixture
) -> None:
    steps, reason = RESUMES[what]
    go_on = threading.Event()
    opening = with_tokens(1, [A], progress_interval_ms=50)
    fake.script("WatchSession", *opening, token(2, insert(1, B, 1)), Until(go_on), *steps)
    fake.script("WatchSession", begin(2, resumed=True), token(3, insert(2, C, 2)), Silence())
    told: list[Any] = []
    changes: list[Any] = []
    session = session_of(fake, fake_hub)
    with session.mirror() as mirror:
        for event in ("state", "interrupted", "resumed"):
            mirror.on(event, told.append)
        mirror.on("change", changes.append)
        mirror.wait_for(2)
        go_on.set()
        mirror.wait_for(3)
        assert mirror.rows() == [A, B, C]
        eventually(lambda: len(told) >= 4)
    assert [event.reason for event in told if isinstance(event, Interrupted)][:1] == [reason]
    assert told[0] == "stale"
    assert (told[1].version, told[1].resumes) == (2, True)
    assert told[2:4] == [Resumed(2), "live"]
    assert not any(isinstance(event, Snapshot) and event.version > 1 for event in changes)
    requests = fake.requests["WatchSession"]
    assert [request.resume_token for request in requests[:2]] == [b"", b"v2"]
    assert "resuming" in warnings_of(caplog)


def test_a_second_gap_at_one_place_is_healed_by_a_snapshot(fake: FakeServer, fake_hub: EventHorizon) -> None:
    gap = changed(7, 8, change_pb2.Changes())
    fake.script("WatchSession", *with_tokens(1, [A]), gap)
    fake.script("WatchSession", begin(1, resumed=True), gap)
    fake.script("WatchSession", *snapshot(8, [B]), Silence())
    session = session_of(fake, fake_hub)
    with session.mirror() as mirror:
        mirror.wait_for(8)
        assert mirror.rows() == [B]
    assert [request.resume_token for request in fake.requests["WatchSession"]] == [b"", b"v1", b""]


@pytest.mark.parametrize("reason", ["BAD_RESUME_TOKEN", "FEATURE_NOT_AVAILABLE"])
def test_a_token_that_is_refused_is_not_sent_again(reason: str, fake: FakeServer, fake_hub: EventHorizon) -> None:
    go_on = threading.Event()
    fake.script("WatchSession", *with_tokens(1, [A]), Until(go_on), GONE)
    fake.script("WatchSession", Fail(grpc.StatusCode.INVALID_ARGUMENT, "not mine", reason))
    fake.script("WatchSession", *snapshot(2, [B]), Silence())
    session = session_of(fake, fake_hub)
    with session.mirror() as mirror:
        told: list[Any] = []
        mirror.on("interrupted", told.append)
        go_on.set()
        mirror.wait_for(2)
        assert mirror.rows() == [B]
        assert [event.reason for event in told] == ["reconnected", "token_refused"]
        assert [event.resumes for event in told] == [True, False]
    assert [request.resume_token for request in fake.requests["WatchSession"]] == [b"", b"v1", b""]


def test_a_refused_token_is_forgiven_once(fake: FakeServer, fake_hub: EventHorizon) -> None:
    fake.script("WatchSession", *with_tokens(1, [A]), GONE)
    for _ in range(2):
        fake.script("WatchSession", Fail(grpc.StatusCode.INVALID_ARGUMENT, "not mine", "BAD_RESUME_TOKEN"))
    session = session_of(fake, fake_hub)
    mirror = session.mirror()
    with pytest.raises(InvalidRequest):
        mirror.wait_for(99)
    assert fake.calls("WatchSession") == 3


def test_a_server_that_stays_away_is_told_once(
    fake: FakeServer, fake_hub: EventHorizon, caplog: pytest.LogCaptureFixture
) -> None:
    fake.script("WatchSession", *with_tokens(1, [A]), GONE)
    for _ in range(5):
        fake.script("WatchSession", GONE)
    fake.script("WatchSession", *with_tokens(2, [B]), GONE)
    fake.script("WatchSession", *snapshot(3, [C]), Silence())
    session = session_of(fake, fake_hub)
    mirror = session.mirror()
    told: list[Any] = []
    for event in ("state", "interrupted"):
        mirror.on(event, told.append)
    mirror.wait_for(3)
    eventually(lambda: told[-1:] == ["live"])
    mirror.close()
    assert [event.version for event in told if isinstance(event, Interrupted)] == [1, 2]
    assert warnings_of(caplog).count("watching again") == 2


def test_rows_stay_until_the_new_snapshot_stands(fake: FakeServer, fake_hub: EventHorizon) -> None:
    """Whoever looks never sees the rows gone: they are old, and marked as such, until the new ones are complete."""
    reset = session_service_pb2.WatchSessionResponse(from_version=1, to_version=1)
    reset.reset.reason = change_pb2.RESET_REASON_OTHER_EPOCH
    first, half, rest = threading.Event(), threading.Event(), threading.Event()
    opening, *pieces, end = snapshot(5, [B, C], piece=1)
    steps: list[Step] = [*snapshot(1, [A]), Until(first), reset, opening, pieces[0], Until(half)]
    fake.script("WatchSession", *steps, *pieces[1:], Until(rest), end, Silence())
    session = session_of(fake, fake_hub)
    with session.mirror() as mirror:
        told: list[Any] = []
        mirror.on("interrupted", told.append)
        first.set()
        eventually(lambda: mirror.state == "stale")
        pause(0.05)
        assert mirror.rows() == [A]
        half.set()
        pause(0.05)
        assert (mirror.rows(), mirror.total_count, state_of(mirror)) == ([A], 1, "stale")
        rest.set()
        mirror.wait_for(5)
        eventually(lambda: mirror.state == "live")
        assert mirror.rows() == [B, C]
        assert told == [Interrupted("other_epoch", "", 1, resumes=False)]


def test_table_events_go_on_where_they_were(fake: FakeServer, fake_hub: EventHorizon) -> None:
    def event(start: int, end: int, at: bytes, **kind: Any) -> Any:
        return table_service_pb2.WatchTableResponse(from_version=start, to_version=end, resume_token=at, **kind)

    described = schema_pb2.Table(name="hubs/default/tables/t", columns=COLUMNS)
    fake.script("GetTable", table_service_pb2.GetTableResponse(table=described))
    hello, again = (
        change_pb2.Begin(epoch="e", columns=COLUMNS),
        change_pb2.Begin(epoch="e", columns=COLUMNS, resumed=True),
    )
    one, two = (change_pb2.Changes(inserts=change_pb2.Inserts(rows=wire.batch([row], TYPES))) for row in (A, B))
    fake.script("WatchTable", event(3, 3, b"3", begin=hello), event(3, 4, b"4", changes=one), GONE)
    fake.script("WatchTable", event(4, 4, b"", begin=again), event(4, 9, b"9", changes=two), Silence())
    table = fake_hub.get_tesseract("t")
    adds: list[Any] = []
    gaps: list[Any] = []
    resumed: list[Any] = []
    stops = [table.on("gap", gaps.append), table.on("resumed", resumed.append)]
    stops.append(table.on("add", adds.append))
    eventually(lambda: len(adds) >= 1 and adds[-1] == [B])
    assert (gaps, resumed) == ([], [Resumed(4)])
    assert [request.resume_token for request in fake.requests["WatchTable"]] == [b"", b"4"]
    for stop in stops:
        stop()


def test_a_reader_that_asked_to_be_cancelled_is(fake: FakeServer, fake_hub: EventHorizon) -> None:
    slow = Fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "too slow", "SLOW_READER")
    fake.script("WatchSession", *with_tokens(1, [A]), slow)
    session = session_of(fake, fake_hub)
    mirror = session.mirror(on_lag="cancel", delivery="every_commit", min_interval=0.5)
    with pytest.raises(LimitExceeded):
        mirror.wait_for(99)
    [request] = fake.requests["WatchSession"]
    assert (request.on_lag, request.delivery) == (change_pb2.ON_LAG_CANCEL, change_pb2.DELIVERY_EVERY_COMMIT)
    assert request.min_interval.nanos == 500_000_000
    for wrong in ({"on_lag": "wait"}, {"delivery": "some"}):
        with pytest.raises(InvalidRequest):
            session.mirror(**wrong)  # type: ignore[arg-type]


def test_a_slow_reader_is_told_so(fake: FakeServer, fake_hub: EventHorizon) -> None:
    lagged = session_service_pb2.WatchSessionResponse(from_version=1, to_version=1)
    lagged.lagged.skipped_commits = 7
    go_on = threading.Event()
    fake.script("WatchSession", *snapshot(1, [A]), Until(go_on), lagged, changed(1, 9, change_pb2.Changes()), Silence())
    session = session_of(fake, fake_hub)
    with session.watch(on_lag="conflate") as watch:
        told: list[Any] = []
        watch.on("lagged", told.append)
        watch.__next__()
        go_on.set()
        delta = watch.__next__()
        assert isinstance(delta, Delta)
        assert (delta.skipped_commits, told) == (7, [Lagged(1, 7)])


def test_a_watch_gives_up_when_told_to(fake: FakeServer) -> None:
    fake.script("WatchSession", *snapshot(1, [A]))
    for _ in range(200):
        fake.script("WatchSession", GONE)
    retry = Retry(initial_backoff=0.01, max_backoff=0.02, give_up_after=0.2)
    with EventHorizon.connect(fake.address, timeout=5, retry=retry) as hub:
        session = session_of(fake, hub)
        mirror = session.mirror()
        with pytest.raises(Unavailable):
            mirror.wait_for(99)
        assert (mirror.rows(), state_of(mirror)) == ([A], "ended")
        assert fake.calls("WatchSession") >= 5


def test_waiting_for_a_version_asks_for_progress(fake: FakeServer, fake_hub: EventHorizon) -> None:
    """A commit that does not touch the session is known at once, of the stream that there is now."""
    asked, again = threading.Event(), threading.Event()
    opening = [token(1, begin(1, watch_id="w1")), *with_tokens(1, [A])[1:]]
    fake.script("WatchSession", *opening, Until(asked), GONE)
    fake.script("WatchSession", begin(1, resumed=True, watch_id="w2"), Until(again), progress(1, 7), Silence())
    session = session_of(fake, fake_hub)
    with session.mirror() as mirror:
        waiting = Aside(lambda: mirror.wait_for(7))
        eventually(lambda: fake.calls("RequestProgress") == 1)
        asked.set()
        eventually(lambda: fake.calls("RequestProgress") == 2)
        again.set()
        waiting.result()
        assert mirror.version == 7
        mirror.wait_for(7)
    requests = fake.requests["RequestProgress"]
    assert [(each.parent, each.watch_id, each.min_version) for each in requests] == [
        ("hubs/default", "w1", 7),
        ("hubs/default", "w2", 7),
    ]


def test_a_server_that_knows_no_progress_on_demand_is_waited_for(fake: FakeServer, fake_hub: EventHorizon) -> None:
    opening = [begin(1, watch_id="w1"), *snapshot(1, [A])[1:]]
    asked = threading.Event()
    fake.script("RequestProgress", Fail(grpc.StatusCode.UNIMPLEMENTED, "no", "FEATURE_NOT_AVAILABLE"))
    fake.script("WatchSession", *opening, Until(asked), progress(1, 7), Silence())
    session = session_of(fake, fake_hub)
    with session.mirror() as mirror:
        waiting = Aside(lambda: mirror.wait_for(7))
        eventually(lambda: fake.calls("RequestProgress") == 1)
        pause(0.05)
        asked.set()
        waiting.result()
    assert fake.calls("RequestProgress") == 1
