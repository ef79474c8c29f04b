"""A migrator that is killed (kill -9) in the middle: the next one goes on, and nothing is done twice or left out."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tesseract_grpc.client import EventHorizon, NotFound, SchemaMigrationFailed, SchemaMigrator
from tesseract_grpc.testing.serving import RunningServer
from tests.client.sync.support import eventually

STEPS = 200
LEASE = 1.0
pytestmark = pytest.mark.slow
PROGRAM = """
import sys
from tesseract_grpc.client import EventHorizon, SchemaMigrator
address, directory, history = sys.argv[1:]
with EventHorizon.connect(address) as hub:
    SchemaMigrator(hub, directory, history=history, lease=1.0).up(retry=True)
"""


@pytest.fixture
def hub(server: RunningServer) -> Iterator[EventHorizon]:
    with EventHorizon.connect(server.address, timeout=20) as found:
        yield found


def steps_done(hub: EventHorizon, history: str) -> int:
    """How far the last migration is, by the history."""
    try:
        rows = hub.query(table=history, sort="entry")
    except NotFound:
        return 0
    return int(rows[-1]["steps_done"]) if rows else 0


def kill_after(server: RunningServer, hub: EventHorizon, directory: Path, history: str, steps: int) -> None:
    """Runs a migrator in a process of its own, and kills it when so many steps are done."""
    command = [sys.executable, "-c", PROGRAM, server.address, str(directory), history]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        eventually(lambda: steps_done(hub, history) >= steps, 30)
        process.kill()
    assert process.returncode == -signal.SIGKILL, "it was through before it could be killed: more steps are needed"


def test_steps_go_on_where_they_stopped(
    server: RunningServer, hub: EventHorizon, table_id: str, tmp_path: Path
) -> None:
    column = '{ name = "id", type = "int64", primary_key = true }'
    steps = [f'[[up]]\ncreate_table = {{ id = "{table_id}_{n}", columns = [{column}] }}\n' for n in range(STEPS)]
    (tmp_path / "0001_many.toml").write_text("".join(steps))
    history = f"{table_id}_history"
    for done in (3, 50, 101):
        kill_after(server, hub, tmp_path, history, done)
    SchemaMigrator(hub, tmp_path, history=history, lease=LEASE).up()
    (row,) = hub.query(table=history)
    assert (row["state"], row["steps_done"], row["attempt"]) == ("applied", STEPS, 1)
    there = [table.name for table in hub.list_tesseracts()]
    assert sorted(name for name in there if name.startswith(f"{table_id}_") and "history" not in name) == sorted(
        f"{table_id}_{n}" for n in range(STEPS)
    )


def test_a_function_is_not_called_again_unasked(
    server: RunningServer, hub: EventHorizon, table_id: str, tmp_path: Path
) -> None:
    (tmp_path / "0001_slow.py").write_text(
        f'''
import time

def up(hub):
    hub.create_tesseract("{table_id}_x", [{{"name": "id", "type": "int64", "primary_key": True}}])
    time.sleep(60)
'''
    )
    history = f"{table_id}_history"
    command = [sys.executable, "-c", PROGRAM, server.address, str(tmp_path), history]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        eventually(lambda: any(table.name == f"{table_id}_x" for table in hub.list_tesseracts()), 20)
        process.kill()
    migrator = SchemaMigrator(hub, tmp_path, history=history, lease=LEASE)
    began = time.monotonic()
    with pytest.raises(SchemaMigrationFailed) as caught:
        migrator.up()
    assert caught.value.reason == "HALF_DONE"
    assert "was killed" in caught.value.message
    assert time.monotonic() - began >= LEASE * 0.9  # the lock of the dead was waited for, and taken over
    assert [each.state for each in migrator.status()] == ["interrupted"]
    migrator.mark(1, "applied")
    assert [each.state for each in migrator.status()] == ["applied"]
    assert migrator.up() == []
