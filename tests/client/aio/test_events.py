"""Events and watches of tables of a real server."""

from typing import Any

import pytest

from tesseract_grpc.client import AsyncEventHorizon, AsyncTesseract, Delta, InvalidRequest, NotFound, Snapshot
from tests.client.aio.support import eventually

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "name", "type": "string"},
    {"name": "age", "type": "number"},
]
ADA = {"id": 1, "name": "Ada", "age": 36.0}


@pytest.fixture
async def users(hub: AsyncEventHorizon, table_id: str) -> AsyncTesseract:
    return await hub.create_tesseract(table_id, COLUMNS)


async def test_rows_added_updated_and_removed(users: AsyncTesseract) -> None:
    seen: list[tuple[str, Any]] = []
    stops = [
        await users.on("add", lambda rows: seen.append(("add", rows))),
        await users.on("update", lambda rows: seen.append(("update", rows))),
        await users.on("remove", lambda rows: seen.append(("remove", rows))),
    ]
    await users.add(ADA)
    await eventually(lambda: len(seen) == 1)
    await users.update({"id": 1, "age": 37})
    await eventually(lambda: len(seen) == 2)
    await users.remove(1)
    await eventually(lambda: len(seen) == 3)
    assert seen == [
        ("add", [ADA]),
        ("update", [{"id": 1, "age": 37.0}]),
        ("remove", [{**ADA, "age": 37.0}]),
    ]
    for stop in stops:
        stop()
    await users.add(ADA)
    again: list[Any] = []
    await users.on("add", again.append)  # the stream is a new one
    await users.add({**ADA, "id": 2})
    await eventually(lambda: again == [[{**ADA, "id": 2}]])
    assert len(seen) == 3


async def test_events_of_a_table_that_does_not_exist(hub: AsyncEventHorizon, users: AsyncTesseract) -> None:
    with pytest.raises(InvalidRequest, match="did you mean 'update'"):
        await users.on("updated", print)
    with pytest.raises(InvalidRequest, match="old_values goes with the event 'update'"):
        await users.on("add", print, old_values=True)
    await hub.remove_tesseract(users)
    with pytest.raises(NotFound):
        await users.on("add", print)


async def test_watching_with_snapshot_and_old_values(users: AsyncTesseract) -> None:
    made = await users.add(ADA)
    async with users.watch(snapshot=True, old_values=True, min_version=made.version) as watch:
        first = await watch.__anext__()
        assert isinstance(first, Snapshot)
        assert first.rows == [ADA]
        assert first.version == made.version
        await users.update({"id": 1, "age": 37})
        delta = await watch.__anext__()
        assert isinstance(delta, Delta)
        [update] = delta.changes
        assert (update.kind, update.row, update.index) == ("update", {"id": 1, "age": 37.0}, None)
        assert update.old is not None
        assert update.old["age"] == 36.0
        await users.remove(1)
        [remove] = (await watch.__anext__()).changes  # type: ignore[union-attr]
        assert (remove.kind, remove.row, remove.reason) == ("remove", {**ADA, "age": 37.0}, "deleted")


async def test_watching_without_snapshot(users: AsyncTesseract) -> None:
    before = await users.add(ADA)
    async with users.watch(progress=True) as watch:
        first = await watch.__anext__()  # nothing but progress: the row was there before
        assert first.version >= before.version
        await users.remove(1)
        event = first
        while not isinstance(event, Delta):
            event = await watch.__anext__()
        [remove] = event.changes
        assert (remove.kind, remove.key, remove.row) == ("remove", {"id": 1}, None)


async def test_old_values_of_updates_and_whole_deltas(users: AsyncTesseract) -> None:
    await users.add(ADA)
    pairs: list[Any] = []
    plain: list[Any] = []
    deltas: list[Any] = []
    await users.on("update", lambda rows, old: pairs.append((rows, old)), old_values=True)
    await users.on("update", plain.append)
    await users.on("change", deltas.append)
    await users.update({"id": 1, "age": 37})
    await eventually(lambda: deltas)
    assert pairs == [([{"id": 1, "age": 37.0}], [{"age": 36.0}])]
    assert plain == [[{"id": 1, "age": 37.0}]]
    assert deltas[0].counts["update"] == 1


async def test_once_and_off(users: AsyncTesseract) -> None:
    first: list[Any] = []
    always: list[Any] = []
    await users.once("add", first.append)
    await users.on("add", always.append)
    await users.add(ADA)
    await users.add({**ADA, "id": 2})
    await eventually(lambda: len(always) == 2)
    assert first == [[ADA]]
    assert users.off("add", always.append) == 1
    await users.add({**ADA, "id": 3})
    await users.once("add", first.append)  # the stream is a new one
    await users.add({**ADA, "id": 4})
    await eventually(lambda: len(first) == 2)
    assert first[1] == [{**ADA, "id": 4}]
    assert len(always) == 2
    await eventually(lambda: users._events._watch is not None and users._events._watch.state == "ended")


async def test_a_handler_that_raises_does_not_stop_the_others(
    users: AsyncTesseract, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []

    def broken(rows: Any) -> None:
        raise RuntimeError("handler")

    await users.on("add", broken)
    await users.on("add", seen.append)
    await users.add(ADA)
    await users.add({**ADA, "id": 2})
    await eventually(lambda: len(seen) == 2)
    assert caplog.text.count("a handler of 'add' failed") == 2


# Sessions


async def test_data_and_changes_of_a_session(hub: AsyncEventHorizon, users: AsyncTesseract) -> None:
    session = await hub.create_session(table=users, filter=[{"field": "age", "comparison": ">", "value": 18}])
    data: list[Any] = []
    changes: list[Any] = []
    await session.on("data", data.append)
    await session.once("change", changes.append)
    await users.add(ADA)
    await eventually(lambda: data and data[-1] == [ADA])
    await users.add({**ADA, "id": 2, "age": 3.0})
    await users.update({"id": 1, "age": 40})
    await eventually(lambda: data[-1] == [{**ADA, "age": 40.0}])
    assert len(changes) == 1
    assert session.off("data") == 1


async def test_another_filter_of_a_session_is_told_with_its_rows(hub: AsyncEventHorizon, users: AsyncTesseract) -> None:
    await users.add([ADA, {"id": 2, "name": "Bob", "age": 12.0}])
    session = await hub.create_session(users.name + "_s", table=users)
    other = await hub.get_session(session.name)
    told: list[Any] = []
    await session.on("filter_change", lambda rows, info: told.append((rows, info)))
    await other.update_filter([{"field": "age", "comparison": ">=", "value": 18}])
    await eventually(lambda: len(told) == 1)
    rows, info = told[0]
    assert rows == [ADA]
    assert info.filter == [{"field": "age", "comparison": ">=", "value": 18}]
    assert (info.previous, info.generation, info.total_count) == ([], 2, 1)
    await other.update_sort([{"field": "age", "direction": "desc"}])  # the filter stays
    await users.add({"id": 3, "name": "Eve", "age": 50.0})
    version = await other.update_filter('name ~ "b" && age < 99')
    await eventually(lambda: len(told) == 2)
    rows, info = told[1]
    assert [row["name"] for row in rows] == ["Bob"]
    assert info.filter == [{"type": "custom", "value": 'name ~ "b" && age < 99'}]
    assert info.previous == [{"field": "age", "comparison": ">=", "value": 18}]
    assert info.version >= version
    with pytest.raises(InvalidRequest, match="did you mean 'filter_change'"):
        await session.on("filterChange", print)
