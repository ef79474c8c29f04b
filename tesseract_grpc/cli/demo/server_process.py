"""The demo's own server: a second process, on a free port, that lives as long as the demo.

The port is below 32768: above, the system hands ports out to outgoing connections, and one of those may take ours
between choosing and listening. If somebody takes it all the same, the server ends and says so; then another is tried.

Variables that configure a server (`TESSERACT_...`) are not passed on: the demo shall not depend on how somebody's
real server is set up, and above all not listen where that one does.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from tesseract_grpc.cli.errors import USAGE, CommandFailed

PORTS = range(20_000, 32_768)
ATTEMPTS = 5
START_SECONDS = 20.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.02
HOST = "127.0.0.1"


@contextmanager
def server_process(*flags: str) -> Iterator[str]:
    """A running server, as the address that it listens on. Raises CommandFailed when it does not start."""
    with tempfile.TemporaryFile() as log:
        for _ in range(ATTEMPTS):
            address = f"{HOST}:{free_port()}"
            with _running(address, flags, log) as process:
                if _listens(process, address):
                    yield address
                    return
                if process.poll() == USAGE:  # It is not the port.
                    break
        raise CommandFailed("the demo's server did not start", reason="SERVER_START", hint=_last_words(log))


@contextmanager
def _running(address: str, flags: Sequence[str], log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A server process. It is asked to end afterwards, and made to when it does not.

    It is a process group of its own, for otherwise Ctrl-C would end it before its clients have ended.
    """
    command = [sys.executable, "-m", "tesseract_grpc.cli", "serve", "--listen", address, *flags]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TESSERACT_")}
    with subprocess.Popen(command, env=environment, stdout=log, stderr=log, process_group=0) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _listens(process: subprocess.Popen[bytes], address: str) -> bool:
    """Waits until the server has taken the port; False when it ended instead."""
    host, _, port = address.partition(":")
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(POLL_SECONDS)
        else:
            return process.poll() is None
    return False


def _last_words(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return "it said: " + " / ".join(lines[-3:]) if lines else "it said nothing"


def free_port() -> int:
    """A port that nobody listens on now, below the ones that the system hands out by itself."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise CommandFailed("no port between 20000 and 32767 is free", reason="SERVER_START")
