"""A backup that is made while eight writers write is the state at its version, by an independent record.

Each writer keeps what it wrote and at which version that was acknowledged. Replaying all of it up to the version of the
backup, in a dict and without the engine, gives the rows that the restored table must have, in the order in which they
came. Histories are short and pieces small, so rows are written before, in and after their piece, again and again.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2
from tesseract_grpc.client import AsyncEventHorizon, EventHorizon
from tesseract_grpc.client.backup.incoming import Came, Incoming
from tesseract_grpc.server.backup import transfer
from tesseract_grpc.testing import RunningServer, running_server

WRITERS = 8
KEYS = 4_000
COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "text", "type": "string"},
    {"name": "x", "type": "float64"},
    {"name": "y", "expression": "x * 2"},
]
Rows = dict[int, dict[str, Any]]


@dataclass
class Record:
    """What one writer was told."""

    writes: list[tuple[int, str, Any]] = field(default_factory=list)

    def note(self, result: Any, kind: str, what: Any) -> None:
        if result.inserted or result.updated or result.deleted:
            self.writes.append((result.version, kind, what))


def replay(records: list[Record], version: int) -> Rows:
    """The rows at a version."""
    rows: Rows = {}
    for _, kind, what in sorted(
        (write for record in records for write in record.writes if write[0] <= version), key=lambda write: write[0]
    ):
        if kind == "remove":
            for key in what:
                rows.pop(key, None)
            continue
        for row in what:
            known = rows.setdefault(row["id"], {"id": row["id"], "text": None, "x": None})
            known.update(row)
    return rows


def write(address: str, number: int, record: Record, stop: threading.Event) -> None:
    """Upserts and removes, no two values the same."""
    rng = Random(number)
    with EventHorizon.connect(address, timeout=20) as hub:
        table, count = hub.get_tesseract("t"), 0
        while not stop.is_set():
            count += 1
            keys = [rng.randrange(KEYS) for _ in range(rng.choice((1, 1, 5, 40)))]
            if rng.random() < 0.2:
                record.note(table.remove(sorted(set(keys))), "remove", keys)
                continue
            rows = [{"id": key, "text": f"{number}.{count}.{key}"} for key in dict.fromkeys(keys)]
            if rng.random() < 0.7:
                rows = [{**row, "x": count + number / 16} for row in rows]
            record.note(table.upsert(rows), "upsert", rows)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(transfer, "CELLS", 1_000)
    with running_server(hubs=("default", "other"), history_commits=20, history_rows=200, piece_bytes=2_048) as running:
        yield running


def under_load(server: RunningServer, work: Callable[[EventHorizon], None]) -> list[Record]:
    """Calls `work` while everybody writes; returns what they were told."""
    with EventHorizon.connect(server.address, timeout=20) as hub:
        table = hub.create_tesseract("t", COLUMNS)
        first = Record()
        for start in range(0, KEYS, 1_000):
            rows = [{"id": key, "text": "first", "x": 0.5} for key in range(start, start + 1_000)]
            first.note(table.add(rows), "upsert", rows)
        records, stop = [Record() for _ in range(WRITERS)], threading.Event()
        threads = [
            threading.Thread(target=write, args=(server.address, number, record, stop))
            for number, record in enumerate(records)
        ]
        for thread in threads:
            thread.start()
        try:
            work(hub)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        return [first, *records]


def restored(server: RunningServer, path: Path) -> list[dict[str, Any]]:
    with EventHorizon.connect(server.address, hub="other", timeout=20) as other:
        other.restore(path, verify=True)
        rows = [dict(row) for row in other.get_tesseract("t").get_data()]
        other.remove_tesseract("t")
    return rows


@pytest.mark.slow
def test_a_backup_under_load_is_the_state_at_its_version(server: RunningServer, tmp_path: Path) -> None:
    made = []

    def work(hub: EventHorizon) -> None:
        for number, name in enumerate(("a.tesseract", "b.tesseract", "c.parquet", "d.json")):
            time.sleep(0.2)
            began = hub.info().version
            result = hub.backup(tmp_path / name, ["t"])
            made.append((tmp_path / name, result.version, result.rows))
            assert began <= result.version < hub.info().version, f"nobody wrote meanwhile ({number})"

    records = under_load(server, work)
    assert sum(len(record.writes) for record in records) > 200
    for path, version, count in made:
        awaited = replay(records, version)
        assert count == len(awaited)
        found = restored(server, path)
        assert [{name: row[name] for name in ("id", "text", "x")} for row in found] == list(awaited.values()), path.name
        assert all(row["y"] == (None if row["x"] is None else row["x"] * 2) for row in found)


@pytest.mark.slow
def test_a_slow_reader_gets_the_rows_of_then(server: RunningServer) -> None:
    """Whoever takes seconds for a few pieces is still told what there was when it began."""
    seen: list[dict[str, Any]] = []
    versions: list[int] = []

    async def read() -> None:
        async with AsyncEventHorizon.connect(server.address) as hub:
            incoming = Incoming()
            call = hub._rpc.hubs.Backup(hub_service_pb2.BackupRequest(tables=["t"]))
            async for response in call:
                found = incoming.take(response)
                if response.HasField("begin"):
                    versions.append(response.begin.hub.version)
                if isinstance(found, Came):
                    seen.extend(found.rows.to_dicts())
                    if len(seen) % 7 == 0:
                        await asyncio.sleep(0.05)
            assert incoming.complete

    records = under_load(server, lambda hub: asyncio.run(read()))
    awaited = replay(records, versions[0])
    assert [{name: row[name] for name in ("id", "text", "x")} for row in seen] == list(awaited.values())


def test_a_reader_that_never_reads_is_ended() -> None:
    with running_server(slow_reader_timeout=0.5) as server, EventHorizon.connect(server.address) as hub:
        table = hub.create_tesseract("t", [*COLUMNS, {"name": "long", "type": "string"}])
        for start in range(0, 20_000, 5_000):
            table.add([{"id": key, "long": f"{key}" * 300} for key in range(start, start + 5_000)])

        async def stop_reading() -> None:
            async with AsyncEventHorizon.connect(server.address) as connected:
                call: Any = connected._rpc.hubs.Backup(hub_service_pb2.BackupRequest())
                assert (await call.read()).HasField("begin")
                await asyncio.sleep(2.5)
                while await call.read() is not grpc.aio.EOF:
                    pass

        with pytest.raises(Exception, match=r"has not taken a response for 0\.5 s"):
            asyncio.run(stop_reading())


def test_a_table_that_is_altered_meanwhile_is_backed_up_anew(server: RunningServer, tmp_path: Path) -> None:
    """The client begins again; the backup is then of the version after the alteration."""
    with EventHorizon.connect(server.address, timeout=20) as hub:
        table = hub.create_tesseract("t", COLUMNS)
        table.ingest({"id": list(range(20_000)), "x": [1.0] * 20_000})
        altered: list[Any] = []

        def alter(progress: Any) -> None:
            if not altered and progress.rows > 1_000:
                altered.append(table.add_column("more", "int64", default=7))

        result = hub.backup(tmp_path / "a.tesseract", on_progress=alter)
        assert altered and result.version >= altered[0].version
        with EventHorizon.connect(server.address, hub="other", timeout=20) as other:
            other.restore(tmp_path / "a.tesseract", verify=True)
            assert "more" in other.get_tesseract("t").schema.types
            assert other.get_tesseract("t").count() == 20_000
            other.remove_tesseract("t")
