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
    with pytest.raises(InvalidRequest):
        await users.on("change", print)
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
