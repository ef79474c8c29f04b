"""Outages of a real server: killed in the middle of a load, and gone silent behind a connection that stays open."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc.client import EventHorizon, Interrupted, Resumed, Retry, Snapshot, WriteBatch
from tesseract_grpc.testing.serving import RunningServer
from tests.client.outages import Hole, Mortal
from tests.client.sync.support import eventually

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "n", "type": "int64", "index": True},
]
RETRY = Retry(initial_backoff=0.02, max_backoff=0.2)
PATIENCE = 120
"""Seconds: a server takes long to start on a machine that is busy."""


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Mortal]:
    found = Mortal(tmp_path / "data", "--progress-interval", "0.5")
    found.start()
    yield found
    found.kill()


@pytest.mark.slow
def test_a_killed_server_loses_nobody_anything(mortal: Mortal) -> None:
    """It is killed three times in the middle of a load: every write is made once, and every mirror and every event is
    as if nothing had happened."""
    told: list[Any] = []
    added: list[int] = []
    gaps: list[Any] = []
    with EventHorizon.connect(mortal.address, timeout=PATIENCE, retry=RETRY) as hub:
        table = hub.create_tesseract("t", COLUMNS)
        session = hub.create_session("s", table=table, sort=[{"field": "n", "direction": "desc"}])
        table.on("add", lambda rows: added.extend(row["id"] for row in rows))
        table.on("gap", gaps.append)
        stop = threading.Event()

        def killer() -> None:
            for _ in range(3):
                if stop.wait(0.4):
                    return
                mortal.kill()
                mortal.start()

        with session.mirror() as mirror, session.mirror((0, 10)) as top:
            for event in ("interrupted", "resumed"):
                mirror.on(event, told.append)
            killing = threading.Thread(target=killer)
            killing.start()
            count = 0
            with hub.write_stream(in_flight=8) as stream:
                while killing.is_alive() or count < 500:
                    stream.write(WriteBatch().add(table, {"id": count, "n": count * 7 % 1009}))
                    stream.write(WriteBatch().increment(table, {"id": count // 2, "n": 1}))
                    count += 1
                    time.sleep(0.001)
            killing.join()
            last = stream.result.version
            assert (stream.result.refused, stream.result.batches) == ({}, 2 * count)
            mirror.wait_for(last)
            top.wait_for(last)
            fresh = session.get_data(min_version=last)
            assert len(fresh) == count
            assert mirror.rows() == fresh
            assert top.rows() == fresh[:10]
            assert sum(row["n"] for row in fresh) == sum(at * 7 % 1009 for at in range(count)) + count
            eventually(lambda: len(added) == count, PATIENCE)
        stop.set()
    assert added == list(range(count))
    assert gaps == []
    assert any(isinstance(event, Resumed) for event in told)


def test_unary_calls_wait_for_a_server_that_starts_again(mortal: Mortal) -> None:
    with EventHorizon.connect(mortal.address, timeout=PATIENCE, retry=RETRY) as hub:
        table = hub.create_tesseract("t", COLUMNS)
        for at in range(3):
            mortal.kill()
            starting = threading.Timer(0.3, mortal.start)
            starting.start()
            try:
                assert table.add({"id": at}).durability == "fsync"
            finally:
                starting.join()
        assert table.count() == 3
        info = hub.info()
        assert (info.state, info.durability) == ("serving", "fsync")
        assert info.log is not None
        assert 3 <= info.log.recovered_records < info.log.position  # all but the last row, with ticks of the clock


def test_a_connection_that_forwards_nothing_is_left(server: RunningServer, table_id: str) -> None:
    """Nothing says that it broke. Three intervals of Progress without a word make the mirror stale; then it is on
    another connection, and goes on."""
    hole = Hole(server.address)
    told: list[tuple[float, Any]] = []
    try:
        with EventHorizon.connect(hole.address, timeout=20, keepalive=60, retry=RETRY) as hub:
            table = hub.create_tesseract(table_id, COLUMNS)
            session = hub.create_session(table=table)
            with session.mirror() as mirror:
                for event in ("state", "interrupted"):
                    mirror.on(event, lambda what: told.append((time.monotonic(), what)))
                table.add({"id": 1, "n": 1})
                eventually(lambda: len(mirror) == 1)
                began, before = time.monotonic(), hole.connections
                hole.swallow()
                eventually(lambda: mirror.state == "stale", 20)
                stale_after = time.monotonic() - began
                # Three intervals of 0.5 s, less what had passed since the last; a ping would notice after a minute.
                assert 0.9 < stale_after < 20
                assert mirror.rows() == [{"id": 1, "n": 1}]
                eventually(lambda: mirror.state == "live", 20)
                assert hole.connections == before + 1
                written = table.add({"id": 2, "n": 2})  # new calls go the new way, too
                mirror.wait_for(written.version)
                assert mirror.rows() == [{"id": 1, "n": 1}, {"id": 2, "n": 2}]
        reasons = [what.reason for _, what in told if isinstance(what, Interrupted)]
        assert reasons == ["silence"]
    finally:
        hole.close()


def test_another_incarnation_is_a_snapshot_that_says_so(tmp_path: Path) -> None:
    """The directory was swapped for an empty one: the same names, another line of versions."""
    first, second = Mortal(tmp_path / "one"), Mortal(tmp_path / "two")
    second.address = first.address
    second._flags = (*second._flags[:1], first.address, *second._flags[2:])
    first.start()
    try:
        with EventHorizon.connect(first.address, timeout=20, retry=Retry(initial_backoff=0.5, max_backoff=3)) as hub:
            table = hub.create_tesseract("t", COLUMNS)
            table.add([{"id": at, "n": at} for at in range(5)])
            events: list[Any] = []
            with hub.create_session("s", table=table).mirror() as mirror:
                mirror.on("change", events.append)
                epoch = mirror.epoch
                first.kill()
                second.start()
                with EventHorizon.connect(first.address) as other:
                    made = other.create_tesseract("t", COLUMNS)
                    other.create_session("s", table=made)
                    made.add({"id": 9, "n": 9})
                eventually(lambda: mirror.epoch != epoch, PATIENCE)
                assert mirror.rows() == [{"id": 9, "n": 9}]
                snapshots = [event.reason for event in events if isinstance(event, Snapshot)]
                assert snapshots == ["other_epoch"]
    finally:
        first.kill()
        second.kill()
