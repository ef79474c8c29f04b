"""What only tasks can get wrong: cancellation, coroutines as handlers, asynchronous iterators of rows."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tesseract_grpc.client import AsyncEventHorizon, Snapshot
from tesseract_grpc.testing.serving import RunningServer
from tests.client.aio.support import eventually, state_of

COLUMNS: list[dict[str, Any]] = [{"name": "id", "type": "int64", "primary_key": True}]


@pytest.fixture
async def hub(server: RunningServer) -> AsyncIterator[AsyncEventHorizon]:
    async with AsyncEventHorizon.connect(server.address, timeout=10) as found:
        yield found


async def test_cancelling_a_reader_cancels_it(hub: AsyncEventHorizon, table_id: str) -> None:
    """The watch is told by the same exception that its own call was cancelled: it must not swallow the task's."""
    table = await hub.create_tesseract(table_id, COLUMNS)
    watch = table.watch(snapshot=True)
    assert isinstance(await watch.__anext__(), Snapshot)
    reading = asyncio.ensure_future(watch.__anext__())
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await watch.close()
    assert state_of(watch) == "ended"


async def test_a_timeout_around_a_read_is_a_timeout(hub: AsyncEventHorizon, table_id: str) -> None:
    table = await hub.create_tesseract(table_id, COLUMNS)
    async with table.watch(snapshot=True) as watch:
        await watch.__anext__()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watch.__anext__(), 0.05)


async def test_handlers_may_be_coroutine_functions(hub: AsyncEventHorizon, table_id: str) -> None:
    table = await hub.create_tesseract(table_id, COLUMNS)
    seen: list[Any] = []

    async def note(rows: Any) -> None:
        await asyncio.sleep(0.01)
        seen.append(rows)

    await table.on("add", note)
    session = await hub.create_session(table=table)
    await session.on("data", note)
    await table.add({"id": 1})
    await eventually(lambda: sum(rows == [{"id": 1}] for rows in seen) == 2)


async def test_bulk_from_an_asynchronous_iterator(hub: AsyncEventHorizon, table_id: str) -> None:
    table = await hub.create_tesseract(table_id, COLUMNS)

    async def pieces() -> AsyncIterator[Any]:
        for at in range(3):
            await asyncio.sleep(0)
            yield {"id": at}

    assert (await table.ingest(pieces())).total.inserted == 3


async def test_many_things_at_once_on_one_connection(hub: AsyncEventHorizon, table_id: str) -> None:
    table = await hub.create_tesseract(table_id, COLUMNS)
    sessions = [await hub.create_session(table=table) for _ in range(20)]
    mirrors = [session.mirror((0, 10)) for session in sessions]
    await asyncio.gather(*(mirror.ready() for mirror in mirrors))
    results = await asyncio.gather(*(table.add({"id": at}) for at in range(30)))
    last = max(result.version for result in results)
    await asyncio.gather(*(mirror.wait_for(last) for mirror in mirrors))
    first = await table.get_data(limit=10)
    assert all(mirror.rows() == first for mirror in mirrors)
    await asyncio.gather(*(mirror.close() for mirror in mirrors))
