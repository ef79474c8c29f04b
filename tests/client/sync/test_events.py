# Generated from tests/client/aio/test_events.py by tools/generate_sync_client.py: edit that file and run it.
"""Events and watches of tables of a real server."""

from typing import Any

import pytest

from tesseract_grpc.client import Delta, EventHorizon, InvalidRequest, NotFound, Snapshot, Tesseract
from tests.client.sync.support import eventually

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "name", "type": "string"},
    {"name": "age", "type": "number"},
]
ADA = {"id": 1, "name": "Ada", "age": 36.0}


@pytest.fixture
def users(hub: EventHorizon, table_id: str) -> Tesseract:
    return hub.create_tesseract(table_id, COLUMNS)


def test_rows_added_updated_and_removed(users: Tesseract) -> None:
    seen: list[tuple[str, Any]] = []
    stops = [
        users.on("add", lambda rows: seen.append(("add", rows))),
        users.on("update", lambda rows: seen.append(("update", rows))),
        users.on("remove", lambda rows: seen.append(("remove", rows))),
    ]
    users.add(ADA)
    eventually(lambda: len(seen) == 1)
    users.update({"id": 1, "age": 37})
    eventually(lambda: len(seen) == 2)
    users.remove(1)
    eventually(lambda: len(seen) == 3)
    assert seen == [
        ("add", [ADA]),
        ("update", [{"id": 1, "age": 37.0}]),
        ("remove", [{**ADA, "age": 37.0}]),
    ]
    for stop in stops:
        stop()
    users.add(ADA)
    again: list[Any] = []
    users.on("add", again.append)  # the stream is a new one
    users.add({**ADA, "id": 2})
    eventually(lambda: again == [[{**ADA, "id": 2}]])
    assert len(seen) == 3


def test_events_of_a_table_that_does_not_exist(hub: EventHorizon, users: Tesseract) -> None:
    with pytest.raises(InvalidRequest):
        users.on("change", print)
    hub.remove_tesseract(users)
    with pytest.raises(NotFound):
        users.on("add", print)


def test_watching_with_snapshot_and_old_values(users: Tesseract) -> None:
    made = users.add(ADA)
    with users.watch(snapshot=True, old_values=True, min_version=made.version) as watch:
        first = watch.__next__()
        assert isinstance(first, Snapshot)
        assert first.rows == [ADA]
        assert first.version == made.version
        users.update({"id": 1, "age": 37})
        delta = watch.__next__()
        assert isinstance(delta, Delta)
        [update] = delta.changes
        assert (update.kind, update.row, update.index) == ("update", {"id": 1, "age": 37.0}, None)
        assert update.old is not None
        assert update.old["age"] == 36.0
        users.remove(1)
        [remove] = (watch.__next__()).changes  # type: ignore[union-attr]
        assert (remove.kind, remove.row, remove.reason) == ("remove", {**ADA, "age": 37.0}, "deleted")


def test_watching_without_snapshot(users: Tesseract) -> None:
    before = users.add(ADA)
    with users.watch(progress=True) as watch:
        first = watch.__next__()  # nothing but progress: the row was there before
        assert first.version >= before.version
        users.remove(1)
        event = first
        while not isinstance(event, Delta):
            event = watch.__next__()
        [remove] = event.changes
        assert (remove.kind, remove.key, remove.row) == ("remove", {"id": 1}, None)
