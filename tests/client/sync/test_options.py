# Generated from tests/client/aio/test_options.py by tools/generate_sync_client.py: edit that file and run it.
"""Options of watches with a real server: commit by commit, Progress on demand, resuming."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tesseract_grpc.client import Delta, EventHorizon, Interrupted, Resumed, Retry, Snapshot, Tesseract
from tesseract_grpc.testing import running_server
from tesseract_grpc.testing.serving import RunningServer
from tests.client.sync.support import eventually

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
def quiet(quiet_server: RunningServer) -> Iterator[EventHorizon]:
    retry = Retry(initial_backoff=0.01, max_backoff=0.05)
    with EventHorizon.connect(quiet_server.address, timeout=10, retry=retry) as found:
        yield found


@pytest.fixture
def table(quiet: EventHorizon, table_id: str) -> Tesseract:
    return quiet.create_tesseract(table_id, COLUMNS)


def test_a_commit_elsewhere_is_known_at_once(quiet: EventHorizon, table: Tesseract) -> None:
    other = quiet.create_tesseract(f"{table.name}-other", COLUMNS)
    session = quiet.create_session(table=table)
    with session.mirror() as mirror, quiet.mirror_sessions([session, session]) as group:
        written = other.add({"id": 1})
        began = time.monotonic()
        mirror.wait_for(written.version)
        group.wait_for(written.version)
        assert time.monotonic() - began < 5
        assert mirror.version >= written.version


def test_commit_by_commit(quiet: EventHorizon, table: Tesseract) -> None:
    session = quiet.create_session(table=table)
    with session.watch(delivery="every_commit") as watch:
        assert isinstance(watch.__next__(), Snapshot)
        versions = [(table.upsert({"id": 1, "n": at})).version for at in range(50)]
        told = [watch.__next__() for _ in versions]
        assert [event.version for event in told] == versions
        values = [event.changes[0].row for event in told if isinstance(event, Delta)]
        assert values[1:] == [{"id": 1, "n": at} for at in range(1, 50)]


def test_a_stream_that_was_cut_is_resumed_by_the_real_server(quiet: EventHorizon, table: Tesseract) -> None:
    table.add([{"id": at, "n": at} for at in range(100)])
    session = quiet.create_session(table=table, sort=[{"field": "n", "direction": "desc"}])
    told: list[Any] = []
    changes: list[Any] = []
    with session.mirror((0, 10)) as mirror:
        for event in ("interrupted", "resumed"):
            mirror.on(event, told.append)
        mirror.on("change", changes.append)
        steps: list[int] = []
        for step in range(5):
            steps.append(step)
            mirror._watch._call.cancel()
            written = table.update([{"id": at, "n": 1000 * step + at} for at in range(20)])
            mirror.wait_for(written.version)
            assert mirror.rows() == session.get_data(0, 10, min_version=written.version)
            eventually(lambda: sum(isinstance(event, Resumed) for event in told) == len(steps))
        assert not any(isinstance(event, Snapshot) for event in changes[1:])
        assert all(event.resumes for event in told if isinstance(event, Interrupted))
