"""Becomes the command `tesseract-grpc serve`, as a process that the kernel kills together with the stage, so that no
server stays when a test run is broken off. With `FILE_LIMIT` in the environment no file may grow beyond so many bytes,
which is how a disk that is full looks to the server.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
FILE_LIMIT = "TEST_FILE_LIMIT"


def main() -> None:
    """Does not return."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    limit = os.environ.pop(FILE_LIMIT, "")
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    os.execv(sys.executable, [sys.executable, "-m", "tesseract_grpc.cli", "serve", *sys.argv[1:]])


if __name__ == "__main__":
    main()
