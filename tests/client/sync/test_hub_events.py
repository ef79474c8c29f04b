# Generated from tests/client/aio/test_hub_events.py by tools/generate_sync_client.py: edit that file and run it.
"""Events of a hub: handlers, the iterator, what was missed, and whoever misbehaves."""

from __future__ import annotations

import logging
from typing import Any

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2 as hpb
from tesseract_grpc._proto.tesseract.v1 import schema_pb2, session_service_pb2
from tesseract_grpc.client import EventHorizon, FeatureNotAvailable, HubEvent, InvalidRequest
from tests.client.serving import Fail, FakeServer, Silence
from tests.client.sync.support import eventually

COLUMNS: list[dict[str, Any]] = [{"name": "id", "type": "int64", "primary_key": True}]


def test_the_life_of_a_table_and_its_sessions(hub: EventHorizon, table_id: str) -> None:
    seen: list[HubEvent] = []
    stop = hub.on("any", seen.append)
    created: list[HubEvent] = []
    hub.on("table_created", created.append)
    table = hub.create_tesseract(table_id, COLUMNS, description="new")
    table.create_index("id")
    renamed = hub.rename_tesseract(table, table_id + "_b")
    session = hub.create_session(table_id + "_s", table=renamed)
    session.update_sort([{"field": "id", "direction": "desc"}])
    hub.remove_tesseract(renamed)
    mine = eventually(lambda: [e for e in seen if table_id in e.table + e.session] if len(seen) >= 7 else None)
    assert [(event.kind, event.table, event.session) for event in mine] == [
        ("table_created", table_id, ""),
        ("table_altered", table_id, ""),
        ("table_renamed", table_id + "_b", ""),
        ("session_opened", table_id + "_b", table_id + "_s"),
        ("session_edited", table_id + "_b", table_id + "_s"),
        ("session_closed", table_id + "_b", table_id + "_s"),
        ("table_removed", table_id + "_b", ""),
    ]
    assert mine[0].columns == ({"name": "id", "type": "int64", "primary_key": True},)
    assert (mine[0].description, mine[2].old_name, mine[5].reason) == ("new", table_id, "TABLE_DELETED")
    versions = [event.version for event in mine]
    assert versions == sorted(versions)
    assert not any(event.missed for event in mine)
    assert [event.table for event in created] == [table_id]
    stop()
    hub.off("table_created")


def test_anonymous_sessions_and_swapped_tables(hub: EventHorizon, table_id: str) -> None:
    one = hub.create_tesseract(table_id, COLUMNS)
    other = hub.create_tesseract(table_id + "_b", [*COLUMNS, {"name": "x", "type": "string"}])
    seen: list[HubEvent] = []
    for kind in ("tables_swapped", "session_opened", "session_closed"):
        hub.on(kind, seen.append)
    session = hub.create_session(table=one)
    session.remove()
    hub.swap_tesseracts(one, other)
    eventually(lambda: len(seen) == 3)
    opened, closed, swapped = seen
    assert (opened.anonymous, opened.session, closed.session) == (True, session.name, session.name)
    assert {swapped.table, swapped.other} == {table_id, table_id + "_b"}


def test_on_once_and_off(hub: EventHorizon, table_id: str) -> None:
    always: list[str] = []
    first: list[str] = []

    def note(event: HubEvent) -> None:
        always.append(event.table)

    stop = hub.on("table_created", note)
    hub.once("table_created", lambda event: first.append(event.table))
    hub.create_tesseract(table_id, COLUMNS)
    hub.create_tesseract(table_id + "_b", COLUMNS)
    eventually(lambda: len(always) == 2)
    assert first == [table_id]
    hub.on("table_created", note)
    assert hub.off("table_created", note) == 2
    stop()  # it is gone already
    assert hub.off("table_created") == 0
    hub.create_tesseract(table_id + "_c", COLUMNS)
    again: list[str] = []
    hub.on("table_created", lambda event: again.append(event.table))  # the stream is a new one
    hub.create_tesseract(table_id + "_d", COLUMNS)
    eventually(lambda: again == [table_id + "_d"])
    assert len(always) == 2
    hub.off("table_created")


def test_a_handler_that_raises_is_logged_and_does_not_stop_the_others(
    hub: EventHorizon, table_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def broken(event: HubEvent) -> None:
        raise RuntimeError("handler")

    hub.on("table_created", broken)
    hub.on("table_created", lambda event: seen.append(event.table))
    with caplog.at_level(logging.ERROR, logger="tesseract_grpc.client"):
        hub.create_tesseract(table_id, COLUMNS)
        hub.create_tesseract(table_id + "_b", COLUMNS)
        eventually(lambda: len(seen) == 2)
    assert [record.message for record in caplog.records] == ["a handler of 'table_created' failed"] * 2
    hub.off("table_created")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("tableCreated", "table_created"),
        ("table_deleted", "table_altered"),
        ("session_close", "session_closed"),
        ("hubstate", "hub_state"),
    ],
)
def test_unknown_events_are_refused_with_the_nearest(hub: EventHorizon, wrong: str, meant: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        hub.on(wrong, print)
    assert caught.value.field == "event"
    assert f"did you mean {meant!r}" in str(caught.value) or wrong == "table_deleted"
    assert "tables_swapped" in str(caught.value)


def test_the_iterator_begins_with_what_there_is_when_asked(hub: EventHorizon, table_id: str) -> None:
    table = hub.create_tesseract(table_id, COLUMNS)
    hub.create_session(table_id + "_s", table=table)
    with hub.events(existing=True) as events:
        found: list[HubEvent] = []
        while len(found) < 2:
            event = events.__next__()
            if table_id in event.table:
                found.append(event)
        assert [(event.kind, event.missed) for event in found] == [("table_created", False), ("session_opened", False)]
        hub.remove_session(table_id + "_s")
        event = events.__next__()
        assert (event.kind, event.reason) == ("session_closed", "SESSION_DELETED")


# What was missed: a server that does what no real one can be made to do


def begin(version: int, state: int = 1) -> hpb.WatchHubResponse:
    hub = hpb.Hub(name="hubs/default", version=version, epoch="e", state=state)  # type: ignore[arg-type]
    return hpb.WatchHubResponse(version=version, begin=hpb.HubBegin(hub=hub, progress_interval_ms=60_000))


def table(name: str, made: int, **fields: Any) -> schema_pb2.Table:
    column = schema_pb2.Column(name="id", type=2, primary_key=True)  # type: ignore[arg-type]
    found = schema_pb2.Table(name=f"hubs/default/tables/{name}", create_version=made, columns=[column], **fields)
    found.create_time.seconds = 1_000 + made
    return found


def there(version: int, *tables: schema_pb2.Table, sessions: tuple[Any, ...] = ()) -> list[hpb.WatchHubResponse]:
    told = [hpb.WatchHubResponse(version=version, table_created=each) for each in tables]
    told += [hpb.WatchHubResponse(version=version, session_opened=each) for each in sessions]
    progress = hpb.WatchHubResponse(version=version)
    progress.progress.seconds = 5
    return [*told, progress]


def session(name: str, made: int, generation: int = 1, description: str = "") -> session_service_pb2.Session:
    found = session_service_pb2.Session(
        name=f"hubs/default/sessions/{name}", generation=generation, description=description
    )
    found.query.table = "hubs/default/tables/a"
    found.create_time.seconds = made
    return found


def test_after_a_gap_the_difference_is_told(fake_hub: EventHorizon, fake: FakeServer) -> None:
    broken = Fail(grpc.StatusCode.UNAVAILABLE)
    fake.script(
        "WatchHub",
        begin(5),
        *there(
            5,
            table("a", 1),
            table("b", 2),
            table("c", 3),
            table("d", 4),
            table("e", 5),
            sessions=(session("s", 1), session("t", 2), session("u", 3), session("v", 4)),
        ),
        broken,
    )
    fake.script(
        "WatchHub",
        begin(50, state=2),
        *there(
            50,
            table("a", 1),  # as it was
            table("c", 2),  # these two
            table("b", 3),  # have exchanged their names
            table("renamed", 4, description="altered"),
            table("e", 40),  # another one of this name
            sessions=(session("s", 1, 2), session("t", 9), session("v", 4, 1, "described")),
        ),
        Silence(),
    )
    seen: list[HubEvent] = []
    fake_hub.on("any", seen.append)
    eventually(lambda: len(seen) >= 10)
    told = [(event.kind, event.table, event.session, event.old_name, event.other) for event in seen]
    assert told[0][0] == "hub_state"
    assert seen[0].state == "read_only"
    assert sorted(told[1:]) == sorted(
        [
            ("session_closed", "a", "t", "", ""),
            ("session_closed", "a", "u", "", ""),
            ("table_removed", "e", "", "", ""),
            ("tables_swapped", "c", "", "", "b"),
            ("table_renamed", "renamed", "", "d", ""),
            ("table_altered", "renamed", "", "", ""),
            ("table_created", "e", "", "", ""),
            ("session_edited", "a", "s", "", ""),
            ("session_opened", "a", "t", "", ""),
            ("session_edited", "a", "v", "", ""),
        ]
    )
    assert all(event.missed and event.version == 50 for event in seen)


def test_what_goes_on_while_it_is_told_what_there_is(fake_hub: EventHorizon, fake: FakeServer) -> None:
    *existing, progress = there(5, table("a", 1), table("b", 2))
    gone = hpb.WatchHubResponse(version=6, table_deleted="hubs/default/tables/a")
    renamed = hpb.WatchHubResponse(
        version=7, table_renamed=hpb.TableRenamed(old_name="hubs/default/tables/b", table=table("c", 2))
    )
    progress.version = 7
    fake.script("WatchHub", begin(5), *existing, gone, renamed, progress, Fail(grpc.StatusCode.UNAVAILABLE))
    fake.script("WatchHub", begin(8), *there(8, table("c", 2)), Silence())
    states: list[str] = []
    seen: list[HubEvent] = []
    fake_hub.on("any", seen.append)
    fake_hub.on("state", lambda state: states.append(str(state)))
    eventually(lambda: fake.calls("WatchHub") == 2)
    eventually(lambda: states and states[-1] == "live")
    assert seen == []


@pytest.mark.parametrize("steps", ["nothing begins", "twice", "back", "before"])
def test_a_stream_that_cannot_be_right_is_given_up(fake_hub: EventHorizon, fake: FakeServer, steps: str) -> None:
    (created, progress) = there(5, table("a", 1))
    wrong = {
        "nothing begins": [created],
        "twice": [begin(5), progress, begin(5)],
        "back": [begin(5), progress, hpb.WatchHubResponse(version=4, table_created=table("b", 2))],
        "before": [progress],
    }[steps]
    fake.script("WatchHub", *wrong)
    fake.script("WatchHub", begin(9), *there(9, table("z", 3)), Silence())
    seen: list[HubEvent] = []
    fake_hub.on("any", seen.append)
    eventually(lambda: fake.calls("WatchHub") == 2)
    if steps in ("twice", "back"):
        eventually(lambda: [event.table for event in seen] == ["z"])
        assert seen[0].missed


def test_a_server_that_cannot(fake_hub: EventHorizon, fake: FakeServer) -> None:
    fake.script("WatchHub", Fail(grpc.StatusCode.UNIMPLEMENTED, reason="FEATURE_NOT_AVAILABLE"))
    with pytest.raises(FeatureNotAvailable):
        fake_hub.on("table_created", print)
