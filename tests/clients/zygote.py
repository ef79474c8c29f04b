"""A process that has imported `tesseract-grpc serve`, and forks one server for each line on its stdin: a start takes a
fraction of what it takes to import everything again. Nothing of gRPC runs here, so there is no thread that a fork could
lose; what the fork runs is the command itself.

A line is JSON: the flags, the files that take what the server says (stdout) and logs (stderr), and `stuck`: the name of
a file, or "". While that file is there, nothing becomes durable. The answer is the process id. Servers are killed by
the kernel when this process ends, and it ends with its stdin: none stays when a test run is broken off.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1


def serve(order: dict[str, Any]) -> None:
    """In the child: becomes the server."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, order["said"]), (2, order["log"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    from tesseract_grpc.cli.main import main as command

    if order["stuck"]:
        hold(Path(order["stuck"]))
    command(["serve", *order["flags"]])


def hold(stuck: Path) -> None:
    """The log waits for its disk as long as a file is there."""
    from tesseract_grpc.store.sqlite_log import SqliteLog

    flush = SqliteLog.flush

    def held(log: SqliteLog) -> int:
        while stuck.exists():
            time.sleep(0.01)
        return flush(log)

    setattr(SqliteLog, "flush", held)  # noqa: B010 (what takes a method's place has no type that fits)


def main() -> None:
    """Forks until stdin ends."""
    from tesseract_grpc.cli import serve as _command

    del _command
    for name in [name for name in os.environ if name.startswith("TESSERACT_")]:
        del os.environ[name]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are not waited for
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                serve(json.loads(line))
            finally:
                os._exit(1)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
