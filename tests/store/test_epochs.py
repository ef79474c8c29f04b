"""An epoch is one line of versions: it goes on where nothing that was seen can be lost, and ends where it can."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tesseract_grpc.engine.data.commit_log import Durability
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
