"""A disk that fails: whatever a transaction's error leaves behind, no acknowledgement was wrong, nothing is done twice.

The errors are those of SQLite, put into the connection of a server in this process: before anything was written, when
the transaction is committed, and the worst, after it was: then the log holds what was refused.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from tesseract_grpc._proto.tesseract.v1 import query_pb2
from tesseract_grpc.server import journal
from tesseract_grpc.testing import AsyncRecordingWatcher
from tests.server.support import Api, insert, pb, rows, serving, take_apart, user

KINDS = ("before", "commit", "after")


class Faults:
    """What goes wrong from now on."""

    def __init__(self) -> None:
        self.kind = ""
        self.every = 1
        """Of so many transactions one fails."""
        self._seen = 0

    def due(self, kind: str) -> bool:
        if self.kind != kind:
            return False
        self._seen += 1
        return self._seen % self.every == 0


class Failing(sqlite3.Connection):
    """A connection to a disk that has its moments."""

    faults: Faults
    writing = False

    def executemany(self, statement: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        if self.faults.due("before"):
            raise sqlite3.OperationalError("disk I/O error")
        self.writing = True
        return super().executemany(statement, parameters)

    def __exit__(self, kind: object, error: object, trace: object, /) -> Any:
        writing, self.writing = self.writing, False
        if writing and self.faults.due("commit"):
            self.rollback()
            raise sqlite3.OperationalError("disk I/O error")
        done = super().__exit__(kind, error, trace)  # type: ignore[arg-type]
        if writing and self.faults.due("after"):
            raise sqlite3.OperationalError("disk I/O error")
        return done


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    made = Faults()
    connection = type("Connection", (Failing,), {"faults": made})
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=connection))
    monkeypatch.setattr(journal, "HEALING_INTERVAL", 0.05)
    yield made
    made.kind = ""


def write(id: int) -> pb.WriteRequest:
    return pb.WriteRequest(operations=[insert([user(id), user(1_000 + id)])], request_id=f"user-{id}")


async def send(api: Api, id: int, refusals: list[str]) -> int:
    """The version of a write that is sent until it is taken."""
    while True:
        try:
            return (await api.tables.Write(write(id), timeout=20)).version
        except grpc.aio.AioRpcError as error:
            refusal = take_apart(error)
            refusals.append(refusal.reason)
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "HUB_READ_ONLY"), refusal
            assert refusal.retry_ms
            await asyncio.sleep(0.02)


async def versions(api: Api) -> dict[int, int]:
    """The versions of all rows."""
    every = [{"id": base + id} for base in (0, 1_000) for id in range(400)]
    answer = await api.tables.GetRows(pb.GetRowsRequest(table="users", keys=rows(every), columns=["name"]))
    (keys,) = (column.int64s.values for column in answer.rows.columns if column.name == "id")
    return dict(zip(keys, answer.row_versions, strict=True))


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_error(faults: Faults, tmp_path: Path, kind: str) -> None:
    """Again and again under load. Every write is made once, and in one version with both of its rows."""
    told: dict[int, int] = {}
    refusals: list[str] = []

    async def writer(api: Api, first: int) -> None:
        for id in range(first, 400, 8):
            told[id] = await send(api, id, refusals)

    async with serving(data=tmp_path, progress_interval=0.1) as (_, api):
        await api.create_users()
        async with AsyncRecordingWatcher.table(api.channel, "users") as watcher:
            writers = [asyncio.create_task(writer(api, first)) for first in range(8)]
            faults.kind, faults.every = kind, 5
            await asyncio.gather(*writers)
            faults.kind = ""
            await watcher.wait_for(max(told.values()))
            watcher.check()
        assert refusals, "nothing ever failed"
        found = await versions(api)
    assert found == told | {1_000 + id: version for id, version in told.items()}
    assert len(set(told.values())) == 400, "each commit took one version"
    async with serving(data=tmp_path) as (_, api):
        assert await versions(api) == found
        assert await send(api, 7, []) == told[7]


async def test_while_it_lasts(faults: Faults, tmp_path: Path) -> None:
    """Reads and watches go on, health says NOT_SERVING, and then SERVING again."""
    async with serving(data=tmp_path, progress_interval=0.1) as (_, api):
        await api.create_users()
        version = await send(api, 1, [])
        health = api.health.Watch(health_pb2.HealthCheckRequest())
        assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
        faults.kind = "before"
        refusals: list[str] = []
        waiting = asyncio.create_task(send(api, 2, refusals))
        assert (await health.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        async with AsyncRecordingWatcher.table(api.channel, "users") as watcher:
            await watcher.wait_for(version)
            assert len(watcher.mirror.rows) == 2
            assert (await api.all_rows()).version == version
            assert not waiting.done()
            faults.kind = ""
            assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
            assert await waiting == version + 1
            await watcher.wait_for(version + 1)
            watcher.check()
        assert set(refusals) == {"HUB_READ_ONLY"}
        health.cancel()


async def test_what_was_refused_and_made(faults: Faults, tmp_path: Path) -> None:
    """An error after the transaction: the write is refused, and then it is there; its request id tells the version."""
    async with serving(data=tmp_path, progress_interval=0.1) as (_, api):
        await api.create_users()
        version = await send(api, 1, [])
        faults.kind = "after"
        with pytest.raises(grpc.aio.AioRpcError):
            await api.tables.Write(write(2))
        faults.kind = ""
        answer = await api.tables.Query(
            pb.QueryRequest(query=query_pb2.Query(table="users"), min_version=version + 1), timeout=20
        )
        assert answer.total_count == 4
        again = await api.tables.Write(write(2))
        assert (again.version, again.results[0].inserted) == (version + 1, 2)
        assert (await api.all_rows()).version == version + 1


async def test_a_start_on_a_disk_that_fails(faults: Faults, tmp_path: Path) -> None:
    """It serves what is there, and says from the beginning that it takes no writes."""
    async with serving(data=tmp_path) as (_, api):
        await api.create_users()
        await api.insert([user(1)])
    faults.kind = "commit"
    async with serving(data=tmp_path, max_tables=77) as (_, api):  # other limits, which are written first
        assert (await api.all_rows()).rows.row_count == 1
        check = health_pb2.HealthCheckRequest()
        state = (await api.health.Check(check)).status
        assert state == health_pb2.HealthCheckResponse.NOT_SERVING
        faults.kind = ""
        async with asyncio.timeout(10):
            while (await api.health.Check(check)).status != health_pb2.HealthCheckResponse.SERVING:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await api.insert([user(2)])
