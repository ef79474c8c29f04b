"""A process on a terminal of its own: what it draws, and the keys that it gets."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SIZE = {"COLUMNS": "100", "LINES": "30", "TERM": "xterm"}
TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes the terminal the process's own, so that Ctrl-C reaches it, and goes on as the command."""


class Terminal:
    """The reading end of a terminal."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self._master, self.process = master, process
        self.seen = ""

    def wait_for(self, *words: str, seconds: float = 20.0) -> None:
        """Reads until all words have been drawn since the last call; they may be on different pictures."""
        missing = list(words)
        deadline = time.monotonic() + seconds
        recent = ""
        while missing:
            ready, _, _ = select.select([self._master], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"{missing} not drawn in {seconds} s; last: {recent[-2000:]!r}"
            recent += self._read()
            missing = [word for word in missing if word not in recent]

    def press_ctrl_c(self) -> None:
        """As a person does."""
        os.write(self._master, b"\x03")

    def end(self, seconds: float = 20.0) -> int:
        """Reads what is left; the exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self._master], [], [], 0.05)[0]:
                self._read()
        with suppress(OSError):
            while select.select([self._master], [], [], 0.05)[0] and self._read():
                pass
        return self.process.wait(1)

    def _read(self) -> str:
        try:
            text = os.read(self._master, 65_536).decode(errors="replace")
        except OSError:  # Linux's way of saying that the other end is closed.
            text = ""
        self.seen += text
        return text


@contextmanager
def on_a_terminal(*args: str, env: dict[str, str]) -> Iterator[Terminal]:
    """The command on a terminal; it is killed when it is still there at the end."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE_TERMINAL, sys.executable, "-m", "tesseract_grpc.cli", *args],
        env=env | SIZE,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(master)
