"""Options of watches with a real server: commit by commit, Progress on demand, resuming."""

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tesseract_grpc.client import AsyncEventHorizon, AsyncTesseract, Delta, Interrupted, Resumed, Retry, Snapshot
from tesseract_grpc.testing import running_server
from tesseract_grpc.testing.serving import RunningServer
from tests.client.aio.support import eventually

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "n", "type": "int64"},
]


@pytest.fixture(scope="module")
def quiet_server() -> Iterator[RunningServer]:
    """It says Progress so rarely that a test which has to wait for it fails."""
    with running_server(progress_interval=30) as found:
        yield found


@pytest.fixture
async def quiet(quiet_server: RunningServer) -> AsyncIterator[AsyncEventHorizon]:
    retry = Retry(initial_backoff=0.01, max_backoff=0.05)
    async with AsyncEventHorizon.connect(quiet_server.address, timeout=10, retry=retry) as found:
        yield found


@pytest.fixture
async def table(quiet: AsyncEventHorizon, table_id: str) -> AsyncTesseract:
    return await quiet.create_tesseract(table_id, COLUMNS)


async def test_a_commit_elsewhere_is_known_at_once(quiet: AsyncEventHorizon, table: AsyncTesseract) -> None:
    other = await quiet.create_tesseract(f"{table.name}-other", COLUMNS)
    session = await quiet.create_session(table=table)
    async with session.mirror() as mirror, quiet.mirror_sessions([session, session]) as group:
        written = await other.add({"id": 1})
        began = time.monotonic()
        await mirror.wait_for(written.version)
        await group.wait_for(written.version)
        assert time.monotonic() - began < 5
        assert mirror.version >= written.version


async def test_commit_by_commit(quiet: AsyncEventHorizon, table: AsyncTesseract) -> None:
    session = await quiet.create_session(table=table)
    async with session.watch(delivery="every_commit") as watch:
        assert isinstance(await watch.__anext__(), Snapshot)
        versions = [(await table.upsert({"id": 1, "n": at})).version for at in range(50)]
        told = [await watch.__anext__() for _ in versions]
        assert [event.version for event in told] == versions
        values = [event.changes[0].row for event in told if isinstance(event, Delta)]
        assert values[1:] == [{"id": 1, "n": at} for at in range(1, 50)]


async def test_a_stream_that_was_cut_is_resumed_by_the_real_server(
    quiet: AsyncEventHorizon, table: AsyncTesseract
) -> None:
    await table.add([{"id": at, "n": at} for at in range(100)])
    session = await quiet.create_session(table=table, sort=[{"field": "n", "direction": "desc"}])
    told: list[Any] = []
    changes: list[Any] = []
    async with session.mirror((0, 10)) as mirror:
        for event in ("interrupted", "resumed"):
            mirror.on(event, told.append)
        mirror.on("change", changes.append)
        steps: list[int] = []
        for step in range(5):
            steps.append(step)
            mirror._watch._call.cancel()
            written = await table.update([{"id": at, "n": 1000 * step + at} for at in range(20)])
            await mirror.wait_for(written.version)
            assert mirror.rows() == await session.get_data(0, 10, min_version=written.version)
            await eventually(lambda: sum(isinstance(event, Resumed) for event in told) == len(steps))
        assert not any(isinstance(event, Snapshot) for event in changes[1:])
        assert all(event.resumes for event in told if isinstance(event, Interrupted))
