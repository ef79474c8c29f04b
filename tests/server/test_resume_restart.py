"""A server that is killed and comes back: watches go on where they were, from histories that its log gave back.

The server is a process of its own, which gets SIGKILL. Snapshots are written all the time in one case, so that what is
restored is a snapshot that is old enough and a tail; in the other all is replayed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import query_pb2
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.testing import Answer, check_resumed, rows_of
from tests.server.support import Api, insert, rows, sort, user
from tests.server.test_resume import QUERY, Watching, change_everything

WINDOW = query_pb2.Window(offset=1, limit=3)
GROUPS = query_pb2.Query(
    table="users",
    group=query_pb2.Grouping(
        by=["active"],
        aggregates=[
            query_pb2.Aggregate(name="n", function=query_pb2.AGGREGATE_FUNCTION_COUNT),
            query_pb2.Aggregate(name="total", function=query_pb2.AGGREGATE_FUNCTION_SUM, column="score"),
        ],
    ),
)
RECENT = query_pb2.Query(
    table="users", filter=query_pb2.Filter(custom="born > now() - 3650000d"), sort=[sort("age", descending=True)]
)


@asynccontextmanager
async def living(folder: Path, *flags: str) -> AsyncIterator[Api]:
    """A server process over a directory, and a client of it; killed in the end."""
    command = [sys.executable, "-m", "tesseract_grpc.cli", "serve", "--listen", "127.0.0.1:0", "--data", str(folder)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TESSERACT_")}
    command += ["--durability", "normal", "--log-level", "error", "--tick-interval", "0.05", *flags]
    process = await asyncio.create_subprocess_exec(*command, env=clean, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        async with grpc.aio.insecure_channel(line.decode().removeprefix("listening on ").strip()) as channel:
            yield Api(channel)
    finally:
        process.kill()
        await process.wait()


async def truth(api: Api, name: str, window: query_pb2.Window | None = None) -> dict[int, Answer]:
    page = await api.sessions.QuerySession(spb.QuerySessionRequest(name=name, window=window))
    return {page.version: Answer(rows_of(page.rows), page.total_count)}


@pytest.mark.parametrize("flags", [(), ("--snapshot-records", "4", "--history-commits", "12")])
async def test_watches_go_on_after_kill_9(tmp_path: Path, flags: tuple[str, ...]) -> None:
    asked: dict[str, dict[str, Any]] = {
        "s": {"window": WINDOW},
        "groups": {},
        "recent": {"window": WINDOW},
        "table": {"table": True, "include_snapshot": True, "include_old_values": True},
    }
    async with living(tmp_path, *flags) as api:
        await api.create_users()
        await api.insert([user(id) for id in range(9)])
        await api.open("s", QUERY)
        await api.open("groups", GROUPS)
        await api.open("recent", RECENT)
        anonymous = await api.open("", QUERY)
        version = await change_everything(api)
        asked["anonymous"] = {"name": anonymous.name}
        before = {}
        for name, fields in asked.items():
            fields = fields if "table" in fields else {"name": name, **fields}
            before[name] = await Watching(api, **fields).until(version)
        for reader in before.values():
            version = (await api.insert([user(100 + version)])).version
            await reader.until(version)
        tokens = {name: await reader.leave() for name, reader in before.items()}
        await api.write(pb.WriteOperation(table="users", delete=pb.Delete(keys=rows([{"id": 0}, {"id": 5}]))))
        await api.write(insert([user(5, score=7.0, name="born again")]))
    async with living(tmp_path, *flags) as api:
        page = await api.all_rows()
        assert page.version >= version + 2 and 5 in [row["id"] for row in rows_of(page.rows)]
        again = (await api.open("", QUERY)).name
        changed = pb.Update(rows=rows([{"id": 2, "score": 50.0}]))
        version = (await api.write(pb.WriteOperation(table="users", update=changed))).version
        for name, fields in asked.items():
            if "table" not in fields:
                fields = {**fields, "name": again if name == "anonymous" else name}
            after = Watching(api, **fields, resume_token=tokens[name], mirror=before[name].mirror)
            await after.until(version)
            assert after.responses[0].begin.resumed, (name, after.responses[1:2])
            if name == "table":
                true = rows_of((await api.all_rows()).rows)
                known = {after.mirror.version: Answer(true, len(true), ordered=False)}
            else:
                known = await truth(api, fields["name"], fields.get("window"))
            check_resumed(before[name].responses, after.responses, known)
            assert after.events()[1] == "changes", name


async def test_a_client_that_saw_nothing_yet_can_begin_with_the_server_that_comes_back(tmp_path: Path) -> None:
    """A token from right after a session was opened, and nothing since; killed twice."""
    async with living(tmp_path) as api:
        await api.create_users()
        await api.insert([user(1), user(2)])
        await api.open("s", query_pb2.Query(table="users", sort=[sort("name")]))
        before = await Watching(api).until(2)
        token = await before.leave()
    async with living(tmp_path):
        pass
    async with living(tmp_path) as api:
        after = Watching(api, resume_token=token, mirror=before.mirror)
        await after.next()
        await after.next()
        assert after.events() == ["begin", "progress"] and after.responses[0].begin.resumed
        version = (await api.insert([user(3)])).version
        await after.until(version)
        check_resumed(before.responses, after.responses, await truth(api, "s"))
        assert [row["id"] for row in after.mirror.rows] == [1, 2, 3]
