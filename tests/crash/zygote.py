"""A process that has imported the server, and forks one for each line on its stdin.

A line is JSON: the flags, what to add to the environment, and the file for what the server says. The answer is the
process id. Nothing of gRPC runs here, so there is no thread that a fork could lose.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any

PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """No server stays when the test is interrupted: the kernel kills it with the zygote, which ends with its stdin."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def serve_one(order: dict[str, Any]) -> None:
    """In the child: becomes the server."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _die_with_parent()
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(order["environment"])
    from tests.crash import server

    server.main(order["flags"])


def main() -> None:
    """Forks until stdin ends."""
    from tesseract_grpc.cli import serve as _command
    from tests.crash import server as _server

    del _command, _server
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are not waited for
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                serve_one(json.loads(line))
            finally:
                os._exit(1)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
