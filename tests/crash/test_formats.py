"""Directories of every format that was ever written open, and hold what was written; newer ones are refused.

`formats/1.zip` is a directory that the program wrote when format 1 was new: a snapshot, records after it, rows of every
type, a renamed table, an edited session, request ids. `python -m tests.crash.test_formats` writes one of the present
format, for the day on which there is a new one; what has been checked in is never written again.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tesseract_grpc._proto.tesseract.v1 import query_pb2
from tesseract_grpc.store.directory import FORMAT
from tesseract_grpc.testing import ManualClock, rows_of
from tests.crash.round import free_port
from tests.server.support import Api, compare, insert, pb, rows, serving, sort, spb, user

FORMATS = Path(__file__).parent / "formats"
RECORDS = 40


def writes() -> list[pb.WriteRequest]:
    """What the directory was made of; some of it is refused."""
    made = []
    for id in range(RECORDS):
        nulls = {"score": None, "born": None, "active": None, "notes": None, "level": None} if id % 7 == 0 else {}
        operations = [insert([user(id, name=f"é {id}" * (1 + id % 3), **nulls)])]
        if id % 3 == 0:
            operations.append(pb.WriteOperation(table="users", delete=pb.Delete(keys=rows([{"id": id // 2}]))))
        if id % 5 == 0:
            operations.append(insert([user(id), user(id)]))  # one key twice: refused
        made.append(pb.WriteRequest(operations=operations, request_id=f"write {id}"))
    return made


async def make(api: Api) -> None:
    """Tables, a session, writes."""
    await api.create_users("people")
    await api.tables.RenameTable(pb.RenameTableRequest(name="people", new_table_id="users", request_id="rename"))
    await api.create_users("empty", request_id="empty")
    await api.open("older", query_pb2.Query(table="users", filter=compare("age", "GREATER", int64_value=30)))
    edited = spb.UpdateSessionRequest(session=spb.Session(name="older", query=query_of_session()), request_id="edit")
    edited.update_mask.paths.append("query")
    for number, write in enumerate(writes()):
        if number == RECORDS // 2:
            await api.sessions.UpdateSession(edited)
        await asyncio.gather(api.tables.Write(write), return_exceptions=True)
        await asyncio.sleep(0)


def query_of_session() -> query_pb2.Query:
    condition = compare("age", "GREATER", int64_value=25)
    return query_pb2.Query(
        table="users", filter=condition, sort=[sort("age", descending=True)], columns=["name", "age"]
    )


async def content(api: Api, version: int) -> list[Any]:
    """What a client sees of it."""
    table = await api.tables.GetTable(pb.GetTableRequest(name="users"))
    table.table.ClearField("memory_bytes")
    table.table.ClearField("memory")
    session = (await api.sessions.GetSession(spb.GetSessionRequest(name="older"))).session
    asked = await api.sessions.QuerySession(spb.QuerySessionRequest(name="older"))
    keys = rows([{"id": id} for id in range(RECORDS)])
    answer = await api.tables.GetRows(pb.GetRowsRequest(table="users", keys=keys))
    retried = await asyncio.gather(*(api.tables.Write(write) for write in writes()), return_exceptions=True)
    for each in retried:
        if isinstance(each, pb.WriteResponse):
            each.durability = pb.DURABILITY_UNSPECIFIED
    outcomes = [each if isinstance(each, pb.WriteResponse) else type(each).__name__ for each in retried]
    shown = (session.generation, session.query, session.description, session.create_time)
    return [
        version,
        (table.table.columns, table.table.indexes, table.table.row_count, table.table.create_time),
        shown,
        (rows_of(asked.rows), asked.total_count, asked.version),
        (rows_of(answer.rows), list(answer.row_versions), answer.version),
        rows_of((await api.all_rows()).rows),
        (await api.all_rows("empty")).total_count,
        outcomes,
    ]


async def true_content() -> list[Any]:
    async with serving(ManualClock(1_000.0)) as (server, api):
        await make(api)
        return await content(api, server.hubs["default"].version)


def checked_in() -> list[Path]:
    return sorted(FORMATS.glob("*.zip"))


@pytest.mark.parametrize("archive", checked_in(), ids=lambda path: path.stem)
async def test_an_old_directory_opens(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path)
        assert any("snapshot-" in name for name in file.namelist())
    true = await true_content()
    for _ in range(2):  # as it was, and as this program leaves it
        async with serving(ManualClock(1_000.0), data=tmp_path) as (server, api):
            found = await content(api, server.hubs["default"].version)
            for mine, theirs in zip(found, true, strict=True):
                assert mine == theirs
            assert server.hubs["default"].check()


def test_the_present_format_is_checked_in() -> None:
    assert [int(path.stem) for path in checked_in()] == list(range(1, FORMAT + 1))


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "hub-default"
    folder.mkdir()
    (folder / "FORMAT").write_text(json.dumps({"format": FORMAT + 1, "epoch": "x", "secret": "00"}))
    command = [sys.executable, "-m", "tesseract_grpc.cli", "serve", "--data", str(tmp_path)]
    ended = subprocess.run(
        [*command, "--listen", f"127.0.0.1:{free_port()}"], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert f"has format {FORMAT + 1}" in ended.stderr
    assert "use a newer one" in ended.stderr
    assert "Traceback" not in ended.stderr


async def write_present() -> None:
    """Writes the directory of the present format, unless it has been checked in."""
    target = FORMATS / f"{FORMAT}.zip"
    assert not target.exists(), "what was checked in stays as it is"
    with TemporaryDirectory() as name:
        data = Path(name) / "data"
        async with serving(ManualClock(1_000.0), data=data, snapshot_records=25, history_commits=5) as (_, api):
            await make(api)
            await asyncio.sleep(0.5)
        FORMATS.mkdir(exist_ok=True)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
            for path in sorted(data.rglob("*")):
                if path.is_file() and path.name != "LOCK":
                    file.write(path, path.relative_to(data))


if __name__ == "__main__":
    asyncio.run(write_present())
