"""The command `serve` as the crash test runs it: with a clock that the test sets, and a point at which it dies.

Run as `python -m tests.crash.server FLAGS`, or forked by `zygote`. The clock is the number (microseconds) in the file
that `CRASH_CLOCK` names: so the test knows which time every tick brought.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from tesseract_grpc.cli.main import main as command
from tesseract_grpc.server import app
from tests.crash import points

CLOCK = "CRASH_CLOCK"


class FileClock:
    """What `time.time` is to the server."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDONLY)

    def __call__(self) -> float:
        return int(os.pread(self._handle, 32, 0)) / 1e6


def main(flags: list[str]) -> None:
    """Serves until it is killed."""
    points.arm()
    clock = FileClock(Path(os.environ[CLOCK]))
    serving = app.Server

    def with_clock(config: Any, **named: Any) -> app.Server:
        return serving(config, **{**named, "clock": clock})

    app.Server = with_clock  # type: ignore[assignment, misc]
    command(["serve", *flags])


if __name__ == "__main__":
    main(sys.argv[1:])
