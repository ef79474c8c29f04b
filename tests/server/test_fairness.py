"""One heavy request does not freeze the others: they are answered between its pieces."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.data.vector import Batch, Vector
from tests.server.support import Api, rows, serving, sort

ROWS = 200_000


@pytest.fixture(scope="module")
def many() -> Batch:
    return Batch(
        ROWS,
        {
            "id": Vector.of(DataType.INT64, range(ROWS)),
            "name": Vector.of(DataType.STRING, [f"name {number % 1_000}" for number in range(ROWS)]),
            "age": Vector.of(DataType.INT64, [number * 7_919 % 100_003 for number in range(ROWS)]),
        },
    )


@pytest.fixture
async def large(many: Batch) -> AsyncIterator[Api]:
    """A table of many rows, with pieces small enough that there are many of them."""
    async with serving(piece_bytes=65_536) as (server, api):
        await api.create_users()
        server.hubs["default"].commit([Write("users", WriteKind.INSERT, rows=many)])
        await api.open("all", q.Query(table="users", sort=[sort("age")]))
        yield api


async def point_writes(api: Api, until: asyncio.Event) -> list[tuple[float, float]]:
    """Writes single rows; when each was sent and answered."""
    found: list[tuple[float, float]] = []
    while not until.is_set():
        sent = time.perf_counter()
        await api.write(
            pb.WriteOperation(table="users", update=pb.Update(rows=rows([{"id": len(found), "score": 0.5}])))
        )
        found.append((sent, time.perf_counter()))
    return found


async def snapshot(api: Api) -> int:
    count = 0
    async for response in api.sessions.WatchSession(spb.WatchSessionRequest(name="all")):
        count += response.snapshot_rows.rows.row_count
        if response.WhichOneof("event") == "snapshot_end":
            break
    return count


async def whole_session(api: Api) -> int:
    request = spb.QuerySessionStreamRequest(name="all")
    return sum([piece.rows.row_count async for piece in api.sessions.QuerySessionStream(request)])


async def whole_query(api: Api) -> int:
    request = pb.QueryStreamRequest(query=q.Query(table="users", sort=[sort("name")]))
    return sum([piece.rows.row_count async for piece in api.tables.QueryStream(request)])


@pytest.mark.parametrize("heavy", [snapshot, whole_session, whole_query])
async def test_writes_are_answered_while_a_large_result_is_sent(large: Api, heavy: Any) -> None:
    done = asyncio.Event()
    writing = asyncio.create_task(point_writes(large, done))
    await asyncio.sleep(0.05)
    started = time.perf_counter()
    assert await heavy(large) == ROWS
    ended = time.perf_counter()
    done.set()
    within = [answered for sent, answered in await writing if started < sent and answered < ended]
    assert len(within) >= 10
