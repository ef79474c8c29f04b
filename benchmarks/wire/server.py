"""The server under test, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from benchmarks.measure import cpu_seconds, resident_bytes
from benchmarks.wire.port import free_port

START_SECONDS = 30.0
STOP_SECONDS = 10.0


class ServerProcess:
    """`tesseract-grpc serve` on a free port of the loopback interface, from `with` to the end of the block."""

    def __init__(self, *flags: str) -> None:
        """`flags` are further flags of the command."""
        self._flags = flags
        self.address = f"127.0.0.1:{free_port()}"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process

    def __enter__(self) -> Self:
        command = [str(Path(sys.executable).with_name("tesseract-grpc")), "serve", "--listen", self.address]
        command += self._flags
        self._process = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, env={**os.environ, "NO_COLOR": "1"}
        )
        deadline = time.monotonic() + START_SECONDS
        with grpc.insecure_channel(self.address) as channel:
            ready = grpc.channel_ready_future(channel)
            while True:
                try:
                    ready.result(timeout=0.2)
                    return self
                except grpc.FutureTimeoutError:
                    if self._process.poll() is not None or time.monotonic() > deadline:
                        self._stop()
                        raise RuntimeError(f"the server did not start:\n{self._output()}") from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if error is not None:
            error.add_note(f"the server said:\n{self._output()}")
        self._log.close()

    def cpu(self) -> float:
        """Return the CPU seconds that the server has used."""
        return cpu_seconds(self._process.pid)

    def resident(self) -> int:
        """Return the server's resident memory in bytes."""
        return resident_bytes(self._process.pid)

    def _stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _output(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-2000:]
