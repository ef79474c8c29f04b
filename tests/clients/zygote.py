"""A process that has imported `tesseract-grpc serve`, and forks one server for each line on its stdin: a start takes a
fraction of what it takes to import everything again. Nothing of gRPC runs here, so there is no thread that a fork could
lose; what the fork runs is the command itself.

A line is JSON: the flags, the file that takes what the server says, and the most bytes that a file of it may have (0 is
no limit), which is how a disk that is full looks to it. The answer is the process id. Servers are killed by the kernel
when this process ends, and it ends with its stdin: none stays when a test run is broken off.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any

PR_SET_PDEATHSIG = 1


def serve(order: dict[str, Any]) -> None:
    """In the child: becomes the server."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    limit = order["file_limit"]
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    said = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(said, 1)
    os.dup2(said, 2)
    from tesseract_grpc.cli.main import main as command

    command(["serve", *order["flags"]])


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
