"""What stands between a client and its server, and fails when told to: a process that is killed, a proxy that falls
silent."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.client.serving import free_port


class Mortal:
    """A server process over a directory, that can be killed and started again at the same address."""

    def __init__(self, data: Path, *flags: str) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._flags = ("--listen", self.address, "--data", str(data), "--log-level", "warning", *flags)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it listens."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TESSERACT_")}
        command = [sys.executable, "-m", "tesseract_grpc.cli", "serve", *self._flags]
        process = self._process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert b"listening" in process.stdout.readline()

    def kill(self) -> None:
        """As `kill -9` does: nothing is finished."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


class Hole:
    """A TCP proxy that can stop forwarding: connections stay open and nothing arrives any more."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", free_port()))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._swallowed: set[int] = set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connections(self) -> int:
        """How many connections there have been."""
        return len(self._pairs)

    def swallow(self) -> None:
        """The connections of now forward nothing any more; later ones do."""
        self._swallowed |= set(range(len(self._pairs)))

    def close(self) -> None:
        self._listener.close()
        for pair in self._pairs:
            for end in pair:
                end.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
            except OSError:
                return
            number = len(self._pairs)
            self._pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=(number, source, sink), daemon=True).start()

    def _forward(self, number: int, source: socket.socket, sink: socket.socket) -> None:
        while True:
            try:
                data = source.recv(65_536)
                while number in self._swallowed:
                    time.sleep(0.02)
                    if source.fileno() < 0:
                        return
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
            except OSError:
                return
