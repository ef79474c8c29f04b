"""The command is killed in the middle, and goes on; and its memory does not depend on the table."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from tesseract_grpc.client import EventHorizon
from tesseract_grpc.testing.serving import RunningServer
from tests.migrate.conftest import Source

ROWS = 20_000
"""In commits of 2 they take seconds, and the state is written twice a second."""
LARGE, WIDE = 60_000, 1_000
"""60 MB of texts."""
MOST_GROWTH = 40 * 2**20


def start(server: RunningServer, source: Source, folder: Path, *more: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    environment = {**os.environ, "TESSERACT_ADDRESS": server.address, "TESSERACT_MIGRATE_FROM": source.url}
    return subprocess.Popen(
        [sys.executable, "-m", "tesseract_grpc.cli", "migrate", *more],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def make_numbers(source: Source, name: str, rows: int, text: str = "'note'") -> None:
    source.run(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, value INTEGER, note TEXT)")
    if source.kind == "postgresql":
        source.run(f"INSERT INTO {name} SELECT g, g * 3, {text} FROM generate_series(1, {rows}) g")
        return
    if source.kind == "mysql":
        source.run(f"INSERT INTO {name} SELECT seq, seq * 3, {text} FROM seq_1_to_{rows}")
        return
    numbers = f"WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < {rows})"
    source.run(f"{numbers} INSERT INTO {name} SELECT g, g * 3, {text} FROM s")


def kept_rows(state: Path) -> int:
    """How many rows a state file vouches for."""
    return int(json.loads(state.read_text())["checksum"]["count"]) if state.exists() else 0


@pytest.mark.slow
def test_killed_in_the_middle_and_resumed(
    source: Source, name: str, server: RunningServer, hub: EventHorizon, tmp_path: Path
) -> None:
    make_numbers(source, name, ROWS)
    state = tmp_path / f"{name}.migration.json"
    kills = 0
    for _ in range(2):
        before = kept_rows(state)
        process = start(server, source, tmp_path, "--table", name, "--batch", "2")
        deadline = time.monotonic() + 60
        while kept_rows(state) <= before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    assert kills, "the migration was through before it could be killed: more rows are needed"
    assert 0 < kept_rows(state) < ROWS
    assert 0 < hub.get_tesseract(name).info().row_count < ROWS

    kept = kept_rows(state)
    process = start(server, source, tmp_path, "--table", name, "--batch", "1000")
    _, told = process.communicate(timeout=90)
    assert process.returncode == 0, told
    assert f"migrated {ROWS:,} rows into {name}, {kept:,} of them before it was interrupted; both sides are" in told
    found = sorted((row["id"], row["value"]) for row in hub.get_tesseract(name).get_data())
    assert found == [(at, at * 3) for at in range(1, ROWS + 1)]
    assert not state.exists()


def peak(process: subprocess.Popen[str]) -> int:
    """The most memory that a process had."""
    found = 0
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            found = max(found, watched.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    return found


def run(process: subprocess.Popen[str]) -> int:
    """Runs it to its end; the most memory that it had."""
    found = peak(process)
    _, told = process.communicate()
    assert process.returncode == 0, told
    return found


@pytest.mark.slow
def test_memory_does_not_depend_on_the_table(
    postgres_server: Source, name: str, server: RunningServer, hub: EventHorizon, tmp_path: Path
) -> None:
    text = f"rpad(g::text, {WIDE}, 'x')"
    arguments: Sequence[str] = ("--batch", "500", "--to", name)
    make_numbers(postgres_server, f"{name}_small", 2_000, text)
    make_numbers(postgres_server, f"{name}_large", LARGE, text)
    small = run(start(server, postgres_server, tmp_path, "--table", f"{name}_small", *arguments))
    hub.remove_tesseract(name)
    large = run(start(server, postgres_server, tmp_path, "--table", f"{name}_large", *arguments))
    hub.remove_tesseract(name)
    assert large - small < MOST_GROWTH < LARGE * WIDE


@pytest.mark.slow
def test_the_command_follows_until_ctrl_c(
    sqlite_file: Source, name: str, server: RunningServer, hub: EventHorizon, tmp_path: Path
) -> None:
    make_numbers(sqlite_file, name, 10)
    process = start(
        server, sqlite_file, tmp_path, "--table", name, "--watch", "--updated-at", "value", "--every", "0.1"
    )
    assert process.stderr is not None
    told = [process.stderr.readline() for _ in range(2)]
    assert told[1] == f"following into {name}; Ctrl-C ends it\n", told
    sqlite_file.run(f"INSERT INTO {name} VALUES (11, 33, 'new')")
    deadline = time.monotonic() + 30
    while hub.get_tesseract(name).count() < 11 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 0, rest
    assert rest.splitlines()[-2] == f"migrated 10 rows into {name}"
    assert hub.get_tesseract(name).get(11) == {"id": 11, "value": 33, "note": "new"}
    assert (tmp_path / f"{name}.migration.json").exists()
