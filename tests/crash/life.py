"""The process that serves a directory, from one start to its death."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.crash.server import CLOCK

PATIENCE = 60.0
"""Seconds that a start may take."""


class Died(Exception):
    """The server ended though nobody killed it, or did not start."""


class Nursery:
    """Starts servers by forking a process that has imported everything already."""

    def __init__(self) -> None:
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )

    def fork(self, flags: Sequence[str], environment: dict[str, str], log: Path) -> int:
        """A server process; its id."""
        assert self._zygote.stdin is not None and self._zygote.stdout is not None
        self._zygote.stdin.write(json.dumps({"flags": flags, "environment": environment, "log": str(log)}) + "\n")
        self._zygote.stdin.flush()
        return int(self._zygote.stdout.readline())

    def close(self) -> None:
        """Ends it; what it forked must be dead by then."""
        assert self._zygote.stdin is not None and self._zygote.stdout is not None
        self._zygote.stdin.close()
        self._zygote.wait(10)
        self._zygote.stdout.close()


class Life:
    """One process. It writes what it says to a file of its own, which is shown when it dies by itself."""

    def __init__(self, nursery: Nursery, folder: Path, number: int, flags: Sequence[str], crash_at: str) -> None:
        self.log = folder / f"server-{number}.log"
        environment = {CLOCK: str(folder / "clock"), "CRASH_AT": crash_at}
        self.pid = nursery.fork(flags, environment, self.log)
        self._handle = os.pidfd_open(self.pid)
        self._killed = False
        self.dead = asyncio.Event()
        self.forked_at = time.monotonic()
        self.ready_at = self.died_at = 0.0
        asyncio.get_running_loop().add_reader(self._handle, self._ended)

    def _ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._handle)
        os.close(self._handle)
        self.died_at = time.monotonic()
        self.dead.set()

    @property
    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    @property
    def died_at_point(self) -> str:
        """The point at which the process killed itself; empty when it did not."""
        return next((line.split()[-1] for line in self.said.splitlines() if line.startswith("killed at ")), "")

    async def ready(self) -> bool:
        """Waits until the server listens; whether it does (it may have killed itself before)."""
        end = time.monotonic() + PATIENCE
        while "listening on" not in self.said:
            if self.dead.is_set():
                self.check_cause()
                return False
            if time.monotonic() > end:
                raise Died(f"the server did not start in {PATIENCE} s:\n{self.said}")
            await asyncio.sleep(0.01)
        self.ready_at = time.monotonic()
        return True

    def kill(self) -> None:
        """SIGKILL, now."""
        if not self.dead.is_set():
            self._killed = True
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def check_cause(self) -> None:
        """Raises Died when the process ended by itself."""
        if self.dead.is_set() and not self._killed and not self.died_at_point:
            raise Died(f"the server ended by itself:\n{self.said}")

    @property
    def up(self) -> float:
        """The seconds that it served."""
        end = self.died_at if self.dead.is_set() else time.monotonic()
        return end - self.ready_at if self.ready_at else 0.0
