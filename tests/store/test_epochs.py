"""An epoch is one line of versions: it goes on where nothing that was seen can be lost, and ends where it can."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc.engine.data.commit_log import Durability, LogEntry, LogFailed
from tesseract_grpc.store.directory import DataDirectory
from tesseract_grpc.store.sqlite_log import SqliteLog


def restarted(path: Path) -> None:
    """As if the machine had been started anew since."""
    file = path / "OPEN"
    if file.exists():
        file.write_text(json.dumps({**json.loads(file.read_text()), "boot": "another"}))


@pytest.mark.parametrize(
    ("durability", "power_lost", "stays"),
    [
        (Durability.FSYNC, False, True),
        (Durability.FSYNC, True, True),
        (Durability.NORMAL, False, True),
        (Durability.NORMAL, True, False),
        (Durability.MEMORY, False, False),
        (Durability.MEMORY, True, False),
    ],
)
def test_a_directory_that_was_left_open(tmp_path: Path, durability: Durability, power_lost: bool, stays: bool) -> None:
    first = DataDirectory(tmp_path, durability)
    first.close()  # as when the process dies
    if power_lost:
        restarted(tmp_path)
    again = DataDirectory(tmp_path, durability)
    assert (again.epoch == first.epoch, again.renewed) == (stays, not stays)
    assert again.secret == first.secret
    again.close()


@pytest.mark.parametrize("durability", [Durability.FSYNC, Durability.NORMAL])
def test_a_log_that_was_closed_goes_on_whatever_happens(tmp_path: Path, durability: Durability) -> None:
    first = SqliteLog(tmp_path, durability)
    first.close()
    restarted(tmp_path)
    again = SqliteLog(tmp_path, durability)
    assert again.epoch == first.epoch
    again.close()


@pytest.mark.parametrize(
    ("durability", "power_lost", "stays"),
    [
        (Durability.FSYNC, True, True),
        (Durability.NORMAL, False, True),
        (Durability.NORMAL, True, False),
        (Durability.MEMORY, False, False),
    ],
)
def test_a_log_whose_process_died(tmp_path: Path, durability: Durability, power_lost: bool, stays: bool) -> None:
    """The directory alone does not do it: the log must tell it how it is written, and that it was closed."""
    program = (
        "import os, pathlib, sys\n"
        "from tesseract_grpc.engine.data.commit_log import Durability, LogEntry\n"
        "from tesseract_grpc.store.sqlite_log import SqliteLog\n"
        "log = SqliteLog(pathlib.Path(sys.argv[1]), Durability(int(sys.argv[2])))\n"
        "log.append(LogEntry(1, 1, b'seen'))\n"
        "log.flush()\n"
        "print(log.epoch, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    died = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(int(durability))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert died.returncode == -9, died.stderr
    if power_lost:
        restarted(tmp_path)
    with closing(SqliteLog(tmp_path, durability)) as again:
        assert (again.epoch == died.stdout.strip(), again.directory.renewed) == (stays, not stays)
        epoch = again.epoch
    with closing(SqliteLog(tmp_path, durability)) as closed:
        assert closed.epoch == epoch, "it was closed: nothing can be lost"


def test_a_new_directory_is_its_owners_alone_and_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noting(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noting)
    path = tmp_path / "data" / "hub-default"
    DataDirectory(path).close()
    assert {str(each) for each in (tmp_path, path.parent, path)} <= set(synced)
    assert [each.stat().st_mode & 0o077 for each in (path, path.parent)] == [0, 0]


def test_a_log_is_on_the_disk_before_it_counts_as_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def noting(name: str, real: Callable[[Any], None]) -> Callable[[Any], None]:
        def note(self: object) -> None:
            done.append(name)
            real(self)

        return note

    monkeypatch.setattr(SqliteLog, "_sync", noting("_sync", SqliteLog._sync))
    monkeypatch.setattr(DataDirectory, "mark_closed", noting("mark_closed", DataDirectory.mark_closed))
    log = SqliteLog(tmp_path, Durability.NORMAL)
    log.append(LogEntry(1, 1, b"seen"))
    log.close()
    assert done == ["_sync", "mark_closed"]
    done.clear()
    SqliteLog(tmp_path, Durability.FSYNC).close()
    assert done == ["_sync", "mark_closed"] * 2


def test_a_log_that_failed_does_not_count_as_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = SqliteLog(tmp_path, Durability.NORMAL)
    log.append(LogEntry(1, 1, b"seen"))

    def broken() -> None:
        raise LogFailed("the disk is gone")

    monkeypatch.setattr(log, "_sync", broken)
    with pytest.raises(LogFailed, match="the disk is gone"):
        log.close()
    restarted(tmp_path)
    with closing(SqliteLog(tmp_path, Durability.NORMAL)) as again:
        assert again.directory.renewed
