"""Time and writes together, while a reader is away: membership is that of the reader's own moment."""

from __future__ import annotations

import asyncio

from tesseract_grpc._proto.tesseract.v1 import query_pb2
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.testing import ManualClock, check_resumed, rows_of
from tests.server.support import insert, rows, serving, user
from tests.server.test_resume import Watching

SECOND = 1_000_000


async def test_rows_that_are_written_while_time_takes_and_brings_them() -> None:
    """Of rows that expire, some are written meanwhile, some deleted, some born anew, and all leave; others come."""
    clock = ManualClock(1_000.0)
    async with serving(clock=clock, tick_interval=0.02) as (server, api):
        await api.create_users()
        await api.insert([user(id, born=(900 + 10 * id) * SECOND) for id in range(20)])
        recent = "born >= now() - 1m && born <= now()"
        await api.open("s", query_pb2.Query(table="users", filter=query_pb2.Filter(custom=recent)))
        before = await Watching(api).until(server.hubs["default"].version)
        held = {row["id"] for row in before.mirror.rows}
        assert held == {4, 5, 6, 7, 8, 9, 10}
        token = await before.leave()
        clock.advance(45.0)
        written = [{"id": id, "name": "written"} for id in (4, 7, 9, 12, 13)]
        await api.write(pb.WriteOperation(table="users", update=pb.Update(rows=rows(written))))
        await api.write(pb.WriteOperation(table="users", delete=pb.Delete(keys=rows([{"id": 5}, {"id": 10}]))))
        await api.write(insert([user(5, born=1_040 * SECOND)]))
        while server.hubs["default"].now < 1_045 * SECOND:  # noqa: ASYNC110 (the hub tells nobody)
            await asyncio.sleep(0.01)
        page = await api.sessions.QuerySession(spb.QuerySessionRequest(name="s"))
        after = await Watching(api, resume_token=token, mirror=before.mirror).until(page.version)
        check_resumed(before.responses, after.responses)
        assert [row["id"] for row in rows_of(page.rows)] == [9, 11, 12, 13, 14, 5]
        assert after.mirror.rows == rows_of(page.rows)
