# Generated from tests/client/aio/test_bookmarks.py by tools/generate_sync_client.py: edit that file and run it.
"""Bookmarks: what a mirror leaves behind, and how another one goes on from it."""

import math
import threading
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import change_pb2, session_service_pb2
from tesseract_grpc.client import (
    Closed,
    Delta,
    EventHorizon,
    InvalidRequest,
    Mirror,
    MirrorBookmark,
    Resumed,
    Snapshot,
)
from tesseract_grpc.testing.serving import RunningServer
from tests.client.serving import Fail, FakeServer, Silence, Until
from tests.client.sync.support import eventually, state_of
from tests.client.sync.test_faults import GONE, A, B, C, insert, session_of
from tests.client.sync.test_resume import token, with_tokens
from tests.client.test_mirror_laws import COLUMNS, begin, snapshot

EVERY_TYPE: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "größe", "type": "float64"},
    {"name": "on", "type": "bool"},
    {"name": "at", "type": "timestamp"},
    {"name": "text", "type": "string"},
    {"name": "doc", "type": "json"},
    {"name": "kind", "type": "enum", "enum": ["a", "b"]},
]
ROWS: list[dict[str, Any]] = [
    {"id": -(2**63), "größe": -math.inf, "on": False, "text": "", "doc": {"b": [1, None, 2.5], "a": {}}, "kind": "b"},
    {"id": 1, "größe": -0.0, "at": datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), "text": "🚀", "doc": "x"},
    {"id": 2**53 + 1, "größe": 1e300, "on": True, "at": datetime(9999, 12, 31, tzinfo=UTC)},
    {"id": 2**63 - 1},
]


def through_a_file(mirror: Mirror) -> MirrorBookmark:
    """What a file gives back."""
    return MirrorBookmark.from_bytes(mirror.bookmark().to_bytes())


def test_every_value_comes_back_and_what_was_missed_is_told(server: RunningServer, table_id: str) -> None:
    with EventHorizon.connect(server.address) as hub:
        table = hub.create_tesseract(table_id, EVERY_TYPE)
        table.add(ROWS)
        session = hub.create_session(table_id, table=table, sort=[{"field": "id"}])
        with session.mirror() as mirror:
            kept, rows = through_a_file(mirror), mirror.rows()
            assert (kept.rows, kept.version, kept.epoch) == (rows, mirror.version, mirror.epoch)
            assert (kept.total_count, kept.key, list(kept.types)) == (4, ("id",), [c["name"] for c in EVERY_TYPE])
    with EventHorizon.connect(server.address) as hub:
        table = hub.get_tesseract(table_id)
        version = (table.add({"id": 7, "größe": math.nan})).version
        told: list[Any] = []
        with (hub.get_session(table_id)).mirror(resume=kept) as mirror:
            for event in ("change", "resumed", "state"):
                mirror.on(event, told.append)
            assert mirror.rows() == rows
            mirror.wait_for(version)
            eventually(lambda: len(told) >= 3)
            assert [row["id"] for row in mirror.rows()] == [-(2**63), 1, 7, 2**53 + 1, 2**63 - 1]
            kept = through_a_file(mirror)
            assert math.isnan(kept.rows[2]["größe"])
    assert [Resumed(version - 1), "live"] == told[:2]
    assert isinstance(told[2], Delta)
    assert told[2].counts == {"remove": 0, "update": 0, "move": 0, "insert": 1}


def test_a_mirror_that_verifies_goes_on_from_a_bookmark(server: RunningServer, table_id: str) -> None:
    with EventHorizon.connect(server.address) as hub:
        table = hub.create_tesseract(table_id, [column for column in EVERY_TYPE if column["type"] != "json"])
        table.add([{name: value for name, value in row.items() if name != "doc"} for row in ROWS])
        session = hub.create_session(table_id, table=table, sort=[{"field": "id"}])
        with session.mirror() as mirror:
            kept = through_a_file(mirror)
        interrupted: list[Any] = []
        version = (table.update({"id": 1, "text": "y"})).version
        with session.mirror(resume=kept, verify=True) as mirror:
            mirror.on("interrupted", interrupted.append)
            mirror.wait_for(version)
            mirror.wait_for((table.remove([1])).version)
        assert interrupted == []


def test_a_bookmark_of_nothing(server: RunningServer, table_id: str) -> None:
    with EventHorizon.connect(server.address) as hub:
        table = hub.create_tesseract(table_id, EVERY_TYPE)
        session = hub.create_session(table_id, table=table)
        with session.mirror() as mirror:
            kept = through_a_file(mirror)
        assert (list(kept.rows), kept.total_count) == ([], 0)
        version = (table.add(ROWS)).version
        with session.mirror(resume=kept) as mirror:
            mirror.wait_for(version)
            assert len(mirror) == 4


def test_rows_are_there_while_the_server_is_not(fake: FakeServer, fake_hub: EventHorizon) -> None:
    fake.script("WatchSession", *with_tokens(1, [A, B]), Silence())
    with (session_of(fake, fake_hub)).mirror() as mirror:
        kept = through_a_file(mirror)
    session = session_of(fake, fake_hub)
    fake.script("WatchSession", Fail(grpc.StatusCode.UNAVAILABLE))
    fake.script("WatchSession", begin(1, resumed=True), token(2, insert(1, C, 0)), Silence())
    with session.mirror(resume=kept) as mirror:
        assert state_of(mirror) == "stale"
        assert mirror.rows() == [A, B]
        mirror.wait_for(2)
        assert mirror.rows() == [C, A, B]
    assert [request.resume_token for request in fake.requests["WatchSession"]] == [b"", b"v1", b"v1"]


@pytest.mark.parametrize("kept_reason", ["token_refused", "too_old", "other_epoch"])
def test_a_bookmark_that_does_not_serve_is_followed_by_a_snapshot(
    kept_reason: str, fake: FakeServer, fake_hub: EventHorizon
) -> None:
    fake.script("WatchSession", *with_tokens(1, [A, B]), Silence())
    with (session_of(fake, fake_hub)).mirror() as mirror:
        kept = through_a_file(mirror)
    go_on = threading.Event()
    if kept_reason == "token_refused":
        fake.script("WatchSession", Until(go_on), Fail(grpc.StatusCode.INVALID_ARGUMENT, reason="BAD_RESUME_TOKEN"))
        fake.script("WatchSession", *with_tokens(9, [C]), Silence())
    else:
        reset = change_pb2.Reset(reason=change_pb2.ResetReason.Value(f"RESET_REASON_{kept_reason.upper()}"))
        response = session_service_pb2.WatchSessionResponse(from_version=9, to_version=9, reset=reset)
        fake.script("WatchSession", Until(go_on), begin(9), response, *with_tokens(9, [C]), Silence())
    interrupted: list[Any] = []
    changes: list[Any] = []
    mirror = (session_of(fake, fake_hub)).mirror(resume=kept)
    mirror.on("interrupted", lambda event: interrupted.append((event.reason, event.resumes)))
    mirror.on("change", changes.append)
    with mirror:
        assert (state_of(mirror), mirror.rows()) == ("stale", [A, B])
        go_on.set()
        mirror.wait_for(9)
        eventually(lambda: changes)
        assert mirror.rows() == [C]
    assert interrupted == [(kept_reason, False)]
    assert [(type(change), change.reason) for change in changes] == [(Snapshot, kept_reason)]


def test_there_is_no_token_while_the_rows_are_in_doubt(fake: FakeServer, fake_hub: EventHorizon) -> None:
    wrong = insert(1, A, 0)  # a row that is there already
    go_on = threading.Event()
    fake.script("WatchSession", *with_tokens(1, [A]), Until(go_on), token(2, wrong))
    fake.script("WatchSession", GONE)
    fake.script("WatchSession", *with_tokens(3, [B]), Silence())
    kept: list[MirrorBookmark] = []
    mirror = (session_of(fake, fake_hub)).mirror()
    mirror.on("interrupted", lambda _: kept.append(mirror.bookmark()))
    with mirror:
        go_on.set()
        mirror.wait_for(3)
        assert mirror.bookmark().token == b"v3"
    assert (kept[0].token, kept[0].version, list(kept[0].rows)) == (b"", 1, [A])
    fake.script("WatchSession", *with_tokens(4, [C]), Silence())
    with (session_of(fake, fake_hub)).mirror(resume=kept[0]) as again:
        assert again.rows() in ([A], [C])
        again.wait_for(4)
    assert fake.requests["WatchSession"][-1].resume_token == b""


def test_what_is_no_bookmark_is_refused() -> None:
    rows = [A, B, C]
    columns = {column.name: column.type for column in COLUMNS}
    whole = MirrorBookmark(5, "e", b"t", rows, 3, columns, ("k",)).to_bytes()
    assert MirrorBookmark.from_bytes(whole).rows == rows
    after = snapshot(5, rows)[-1].SerializeToString()
    for wrong in (*(whole[:cut] for cut in range(len(whole))), whole + bytes([len(after)]) + after, b"\xff" * 40):
        with pytest.raises(InvalidRequest, match="no bookmark") as refused:
            MirrorBookmark.from_bytes(wrong)
        assert refused.value.reason == "MALFORMED_REQUEST"


def test_there_is_no_bookmark_before_the_first_snapshot(fake: FakeServer, fake_hub: EventHorizon) -> None:
    fake.script("WatchSession", Silence())
    mirror = (session_of(fake, fake_hub)).mirror()
    with pytest.raises(Closed, match="first snapshot"):
        mirror.bookmark()
    mirror.close()
