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
    with pytest.raises(InvalidRequest, match="did you mean 'update'"):
        users.on("updated", print)
    with pytest.raises(InvalidRequest, match="old_values goes with the event 'update'"):
        users.on("add", print, old_values=True)
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


def test_old_values_of_updates_and_whole_deltas(users: Tesseract) -> None:
    users.add(ADA)
    pairs: list[Any] = []
    plain: list[Any] = []
    deltas: list[Any] = []
    users.on("update", lambda rows, old: pairs.append((rows, old)), old_values=True)
    users.on("update", plain.append)
    users.on("change", deltas.append)
    users.update({"id": 1, "age": 37})
    eventually(lambda: deltas)
    assert pairs == [([{"id": 1, "age": 37.0}], [{"age": 36.0}])]
    assert plain == [[{"id": 1, "age": 37.0}]]
    assert deltas[0].counts["update"] == 1


def test_once_and_off(users: Tesseract) -> None:
    first: list[Any] = []
    always: list[Any] = []
    users.once("add", first.append)
    users.on("add", always.append)
    users.add(ADA)
    users.add({**ADA, "id": 2})
    eventually(lambda: len(always) == 2)
    assert first == [[ADA]]
    assert users.off("add", always.append) == 1
    users.add({**ADA, "id": 3})
    users.once("add", first.append)  # the stream is a new one
    users.add({**ADA, "id": 4})
    eventually(lambda: len(first) == 2)
    assert first[1] == [{**ADA, "id": 4}]
    assert len(always) == 2
    eventually(lambda: users._events._watch is not None and users._events._watch.state == "ended")


def test_a_handler_that_raises_does_not_stop_the_others(users: Tesseract, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Any] = []

    def broken(rows: Any) -> None:
        raise RuntimeError("handler")

    users.on("add", broken)
    users.on("add", seen.append)
    users.add(ADA)
    users.add({**ADA, "id": 2})
    eventually(lambda: len(seen) == 2)
    assert caplog.text.count("a handler of 'add' failed") == 2


# Sessions


def test_data_and_changes_of_a_session(hub: EventHorizon, users: Tesseract) -> None:
    session = hub.create_session(table=users, filter=[{"field": "age", "comparison": ">", "value": 18}])
    data: list[Any] = []
    changes: list[Any] = []
    session.on("data", data.append)
    session.once("change", changes.append)
    users.add(ADA)
    eventually(lambda: data and data[-1] == [ADA])
    users.add({**ADA, "id": 2, "age": 3.0})
    users.update({"id": 1, "age": 40})
    eventually(lambda: data[-1] == [{**ADA, "age": 40.0}])
    assert len(changes) == 1
    assert session.off("data") == 1


def test_another_filter_of_a_session_is_told_with_its_rows(hub: EventHorizon, users: Tesseract) -> None:
    users.add([ADA, {"id": 2, "name": "Bob", "age": 12.0}])
    session = hub.create_session(users.name + "_s", table=users)
    other = hub.get_session(session.name)
    told: list[Any] = []
    session.on("filter_change", lambda rows, info: told.append((rows, info)))
    other.update_filter([{"field": "age", "comparison": ">=", "value": 18}])
    eventually(lambda: len(told) == 1)
    rows, info = told[0]
    assert rows == [ADA]
    assert info.filter == [{"field": "age", "comparison": ">=", "value": 18}]
    assert (info.previous, info.generation, info.total_count) == ([], 2, 1)
    other.update_sort([{"field": "age", "direction": "desc"}])  # the filter stays
    users.add({"id": 3, "name": "Eve", "age": 50.0})
    version = other.update_filter('name ~ "b" && age < 99')
    eventually(lambda: len(told) == 2)
    rows, info = told[1]
    assert [row["name"] for row in rows] == ["Bob"]
    assert info.filter == [{"type": "custom", "value": 'name ~ "b" && age < 99'}]
    assert info.previous == [{"field": "age", "comparison": ">=", "value": 18}]
    assert info.version >= version
    with pytest.raises(InvalidRequest, match="did you mean 'filter_change'"):
        session.on("filterChange", print)
