# Generated from tests/client/aio/test_sessions.py by tools/generate_sync_client.py: edit that file and run it.
"""Sessions of a real server: creation, reading, watching, mirrors that equal fresh queries."""

import random
from typing import Any

import pytest

from tesseract_grpc.client import (
    AlreadyExists,
    DeadlineExceeded,
    Delta,
    EventHorizon,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    Progress,
    Snapshot,
    Tesseract,
)
from tests.client.sync.support import Aside, eventually, state_of

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "name", "type": "string"},
    {"name": "age", "type": "number", "index": True},
]
PEOPLE = [{"id": 1, "name": "Ada", "age": 36.0}, {"id": 2, "name": "Bob", "age": 17.0}]
ADULTS: dict[str, Any] = {
    "filter": [{"field": "age", "comparison": ">=", "value": 18}],
    "sort": [{"field": "age", "direction": "desc"}],
}


@pytest.fixture
def users(hub: EventHorizon, table_id: str) -> Tesseract:
    table = hub.create_tesseract(table_id, COLUMNS)
    table.add(PEOPLE)
    return table


def test_a_session_is_what_was_asked_for(hub: EventHorizon, users: Tesseract, table_id: str) -> None:
    made = hub.create_session(id=f"{table_id}-adults", table=users, columns=["name", "id"], **ADULTS)
    assert (made.name, made.table, made.anonymous, made.key) == (f"{table_id}-adults", table_id, False, ("id",))
    assert [column["name"] for column in made.columns] == ["name", "id"]
    again = hub.get_session(made.name)
    data = again.get_data(start=0, limit=50)
    assert data == [{"name": "Ada", "id": 1}]
    assert (data.total_count, again.total_count()) == (1, 1)
    assert made.name in [session.name for session in hub.list_sessions()]
    same = hub.create_session(id=made.name, table=table_id, columns=["name", "id"], **ADULTS)
    assert same.name == made.name
    with pytest.raises(AlreadyExists) as caught:
        hub.create_session(id=made.name, table=users)
    assert caught.value.reason == "SESSION_EXISTS"
    made.remove()
    with pytest.raises(NotFound):
        hub.get_session(made.name)
    hub.remove_session(made.name, allow_missing=True)
    with pytest.raises(NotFound):
        hub.remove_session(made)


def test_anonymous_sessions(hub: EventHorizon, users: Tesseract) -> None:
    session = hub.create_session(table=users, idle_timeout=10)
    assert session.anonymous
    assert session.name
    assert session.get_data() == PEOPLE
    assert repr(session).endswith(f"({session.name!r}, table={users.name!r})")


def test_reading_follows_the_table(hub: EventHorizon, users: Tesseract) -> None:
    session = hub.create_session(table=users, **ADULTS)
    written = users.upsert([{"id": 2, "age": 40}, {"id": 3, "name": "Cyd", "age": 20}])
    assert [row["id"] for row in session.get_data(min_version=written.version)] == [2, 1, 3]
    assert [row["id"] for row in session.get_data(start=1, limit=1)] == [1]


def test_watching(hub: EventHorizon, users: Tesseract) -> None:
    session = hub.create_session(table=users, **ADULTS)
    with session.watch(window=(0, 2)) as watch:
        assert state_of(watch) == "connecting"
        first = watch.__next__()
        assert isinstance(first, Snapshot)
        assert first.rows == PEOPLE[:1]
        assert (first.total_count, first.reason, state_of(watch)) == (1, "first", "live")
        grown = users.upsert([{"id": 2, "age": 50}, {"id": 3, "name": "Cyd", "age": 20}])
        delta = watch.__next__()
        assert isinstance(delta, Delta)
        assert (delta.from_version, delta.version, delta.total_count) == (first.version, grown.version, 3)
        [came] = delta.changes
        assert (came.kind, came.key, came.index) == ("insert", {"id": 2}, 0)
        assert came.row == {"id": 2, "name": "Bob", "age": 50.0}
        users.update({"id": 3, "age": 60})
        kinds = {(change.kind, change.key["id"], change.reason) for change in (watch.__next__()).changes}  # type: ignore[union-attr]
        assert kinds == {("remove", 1, "window"), ("insert", 3, "")}
        users.remove(2)
        last = watch.__next__()
        assert isinstance(last, Delta)
        assert [(change.kind, change.reason) for change in last.changes] == [("remove", "deleted"), ("insert", "")]
    assert state_of(watch) == "ended"
    with pytest.raises(StopIteration):
        watch.__next__()


def test_progress_is_told_to_who_asks(hub: EventHorizon, users: Tesseract, table_id: str) -> None:
    session = hub.create_session(table=users)
    other = hub.create_tesseract(f"{table_id}_other", COLUMNS)
    with session.watch(progress=True) as watch:
        watch.__next__()
        written = other.add(PEOPLE)
        event = watch.__next__()
        while event.version < written.version:
            event = watch.__next__()
        assert isinstance(event, Progress)


def test_min_interval_merges(hub: EventHorizon, users: Tesseract) -> None:
    session = hub.create_session(table=users)
    with session.watch(min_interval=0.3) as watch:
        watch.__next__()
        versions = [(users.update({"id": 1, "age": at})).version for at in range(20)]
        deltas = [watch.__next__()]
        while deltas[-1].version < versions[-1]:
            deltas.append(watch.__next__())
        assert len(deltas) <= 3
    with pytest.raises(InvalidRequest):
        session.watch(min_interval=-1)


@pytest.mark.parametrize("window", [None, (0, 5), (3, 4), (2, None), (0, 0)], ids=str)
def test_a_mirror_equals_the_query_after_every_write(
    window: tuple[int, int | None] | None, hub: EventHorizon, users: Tesseract
) -> None:
    luck = random.Random(7)
    session = hub.create_session(table=users, **ADULTS)
    start, limit = window or (0, None)
    with session.mirror(window) as mirror:
        for _ in range(40):
            rows = [
                {
                    "id": luck.randrange(12),
                    "name": luck.choice(["x", "y", None]),
                    "age": luck.choice([None, 5, 18, 20, 99]),
                }
                for _ in range(luck.randrange(1, 4))
            ]
            action = luck.randrange(3)
            if action == 0:
                written = users.remove([row["id"] for row in rows])
            elif action == 1:
                written = users.update([{"id": r["id"], "age": r["age"]} for r in rows], ignore_missing=True)
            else:
                written = users.upsert(rows)
            fresh = session.get_data(start, limit, min_version=written.version)
            mirror.wait_for(fresh.version)
            assert mirror.rows() == fresh
            assert mirror.total_count == fresh.total_count
            assert (mirror.state, len(mirror)) == ("live", len(fresh))


def test_mirrors_tell_their_handlers(hub: EventHorizon, users: Tesseract) -> None:
    session = hub.create_session(table=users, **ADULTS)
    seen: list[Any] = []
    changes: list[Any] = []
    stop = session.on("data", seen.append)
    stop_changes = session.on("change", changes.append)
    users.update({"id": 2, "age": 18})
    eventually(lambda: seen and seen[-1] == [PEOPLE[0], {"id": 2, "name": "Bob", "age": 18.0}])
    eventually(lambda: changes and isinstance(changes[-1], Delta))
    stop()
    count = len(seen)
    users.remove(2)
    eventually(lambda: changes[-1].total_count == 1)
    assert len(seen) == count
    stop_changes()
    stop_changes()
    session.on("data", seen.append)
    with pytest.raises(InvalidRequest):
        session.on("filterChange", print)


def test_waiting_for_a_version(hub: EventHorizon, users: Tesseract) -> None:
    session = hub.create_session(table=users)
    with session.mirror() as mirror:
        waiting = Aside(lambda: mirror.wait_for(mirror.version + 1))
        written = users.add({"id": 9})
        waiting.result()
        assert mirror.version == written.version
        assert mirror.epoch == (hub.info()).epoch
        with pytest.raises(DeadlineExceeded):
            mirror.wait_for(written.version + 1000, timeout=0.05)


def test_removing_a_table_ends_its_mirrors(hub: EventHorizon, users: Tesseract) -> None:
    session = hub.create_session(table=users)
    with session.mirror() as mirror:
        hub.remove_tesseract(users)
        with pytest.raises(PreconditionFailed):
            mirror.wait_for(2**60)
        assert mirror.error is not None
        assert mirror.error.reason == "TABLE_DELETED"
        assert mirror.state == "ended"


def test_a_session_that_does_not_exist(hub: EventHorizon, users: Tesseract) -> None:
    session = hub.create_session(table=users)
    session.remove()
    mirror = session.mirror()
    with pytest.raises(NotFound) as caught:
        mirror.__enter__()
    assert mirror.state == "ended"
    assert caught.value.reason == "UNKNOWN_SESSION"
    with pytest.raises(NotFound):
        session.get_data()
    with pytest.raises(NotFound):
        session.on("data", print)


def test_closing_the_hub_closes_what_is_open(server: Any, hub: EventHorizon, users: Tesseract) -> None:
    other = EventHorizon.connect(server.address, timeout=5)
    session = other.create_session(table=users.name)
    mirror = session.mirror().ready()
    (other.get_tesseract(users.name)).on("add", print)
    other.close()
    assert mirror.state == "ended"
    assert mirror.rows() == PEOPLE
