"""Real servers: processes over a directory of their own, at an address that they keep when they are started again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.client.serving import free_port
from tests.clients.proxy import Proxy
from tests.clients.serve import FILE_LIMIT

PATIENCE = 60.0
TAIL = 2_000


class StageError(Exception):
    """What was asked for cannot be done."""


class StagedServer:
    """One server. `port` and `http_port` are its own; clients go through proxies where there are some."""

    def __init__(self, folder: Path, flags: Sequence[str], *, http: bool = False, file_limit: int = 0) -> None:
        self.folder = folder
        self.port = free_port()
        self.http_port = free_port() if http else 0
        self.proxies: list[Proxy] = []
        self.extra: dict[str, Any] = {}
        """What is told about it beside its addresses: tokens, files of TLS."""
        self._file_limit = file_limit
        self._process: asyncio.subprocess.Process | None = None
        self._log = folder / "server.log"
        self._flags = ["--listen", f"127.0.0.1:{self.port}", "--data", str(folder / "data"), *flags]
        if "--durability" not in flags:
            self._flags += ["--durability", "normal"]
        if http:
            self._flags += ["--http-port", str(self.http_port)]

    async def start(self) -> None:
        """Returns when it serves."""
        if self._process is not None:
            raise StageError("the server runs")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TESSERACT_")}
        if self._file_limit:
            environment[FILE_LIMIT] = str(self._file_limit)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.clients.serve", *self._flags,
                env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), PATIENCE)
        if b"listening" not in line:
            await self.kill()
            raise StageError(f"the server did not start: {self._log.read_text()[-TAIL:]}")

    async def kill(self, number: int = signal.SIGKILL) -> None:
        """As `kill -9` does: nothing is finished. Returns when it is dead."""
        process, self._process = self._process, None
        if process is None:
            raise StageError("the server does not run")
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
        await asyncio.wait_for(process.wait(), PATIENCE)

    def send(self, number: int) -> None:
        """Sends a signal."""
        if self._process is None:
            raise StageError("the server does not run")
        self._process.send_signal(number)

    async def put_proxies(self) -> None:
        """Clients go through a proxy from now on."""
        for port in filter(None, (self.port, self.http_port)):
            self.proxies.append(await Proxy(f"127.0.0.1:{port}").start(free_port()))

    @property
    def addresses(self) -> dict[str, Any]:
        """What clients connect to: gRPC, and HTTP where it was asked for."""
        plain = [f"127.0.0.1:{port}" for port in (self.port, self.http_port) if port]
        found = [proxy.address for proxy in self.proxies] or plain
        return {"address": found[0], "http_address": f"http://{found[1]}" if len(found) > 1 else None}

    async def close(self) -> None:
        """Ends it and removes what it kept."""
        for proxy in self.proxies:
            await proxy.close()
        if self._process is not None:
            await self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
