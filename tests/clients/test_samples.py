"""The samples in Python print what those of every language must print, and may be run again (clients/SAMPLES.md).

Those of the other languages are run by `python -m tests.clients`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tesseract_grpc.client import EventHorizon
from tesseract_grpc.testing import running_server
from tests.vectors.vector import DATA

CLIENTS = DATA.parent.parent.parent / "clients"
SAMPLES = sorted(path.stem for path in (CLIENTS / "samples").glob("*.txt"))


def test_there_are_three() -> None:
    assert SAMPLES == ["basic", "live_view", "resume"]
    assert sorted(path.stem for path in (CLIENTS / "python" / "samples").glob("*.py")) == SAMPLES


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_prints_what_it_must_twice_and_leaves_nothing(name: str) -> None:
    with running_server() as server:
        for _ in range(2):
            assert ran(name, server.address) == (CLIENTS / "samples" / f"{name}.txt").read_bytes()
        with EventHorizon.connect(server.address) as hub:
            assert hub.list_tesseracts() == []
            assert hub.list_sessions() == []


def test_a_sample_goes_on_where_it_was_interrupted() -> None:
    """What an earlier run has left behind is in nobody's way."""
    with running_server() as server, EventHorizon.connect(server.address) as hub:
        for table in ("basic_orders", "live_view_prices", "resume_prices"):
            hub.create_tesseract(table, columns=[{"name": "other", "type": "string", "primary_key": True}])
        for session, table in (("live_view_top", "live_view_prices"), ("resume_board", "resume_prices")):
            hub.create_session(session, table=table)
        for name in SAMPLES:
            assert ran(name, server.address) == (CLIENTS / "samples" / f"{name}.txt").read_bytes()


def test_the_page_defines_every_line_of_text() -> None:
    """What the samples print stands in the page that the other languages follow."""
    page = (CLIENTS / "SAMPLES.md").read_text()
    lines = [line for name in SAMPLES for line in (CLIENTS / "samples" / f"{name}.txt").read_text().splitlines()]
    titles = [line for line in lines if not line.startswith("  ") and ":" not in line and line != "snapshot"]
    assert len(titles) >= 10
    assert [title for title in titles if title not in page] == []


def ran(name: str, address: str) -> bytes:
    script: Path = CLIENTS / "python" / "samples" / f"{name}.py"
    ended = subprocess.run([sys.executable, str(script), address], capture_output=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout
