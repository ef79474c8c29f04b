"""Real servers: processes over a directory of their own, at an address that they keep when they are started again."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.client.serving import free_port
from tests.clients.proxy import Proxy

PATIENCE = 60.0
TAIL = 2_000


class StageError(Exception):
    """What was asked for cannot be done."""


class Zygote:
    """The process that forks servers; see zygote.py."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()

    async def fork(self, order: dict[str, Any]) -> int:
        """Starts a server; its process id."""
        async with self._lock:
            if self._process is None:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "tests.clients.zygote",
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
                )  # fmt: skip
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            await self._process.stdin.drain()
            return int(await asyncio.wait_for(self._process.stdout.readline(), PATIENCE))

    async def close(self) -> None:
        """Ends it, and with it all servers."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()


class StagedServer:
    """One server. Clients go to `address`, through a proxy where there is one."""

    def __init__(
        self,
        zygote: Zygote,
        folder: Path,
        flags: Sequence[str] = (),
        *,
        http: bool = False,
        stuck: Path | None = None,
        mute: bool = False,
    ) -> None:
        """While the file `stuck` is there, nothing becomes durable. With `mute` there is no log."""
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.http_port = free_port() if http else 0
        self.proxies: list[Proxy] = []
        self.extra: dict[str, Any] = {}
        """What is told about it beside its addresses: tokens, files of TLS."""
        self._zygote, self._stuck = zygote, str(stuck or "")
        self._pid = 0
        self._said, self._log = folder / "server.out", folder / "server.log"
        if mute:
            self._log = Path(os.devnull)
        self._flags = ["--listen", f"127.0.0.1:{self.port}", "--data", str(folder / "data"), *flags]
        if "--durability" not in flags:
            self._flags += ["--durability", "normal"]
        if http:
            self._flags += ["--http-port", str(self.http_port)]

    async def start(self) -> None:
        """Returns when it serves."""
        if self._pid:
            raise StageError("the server runs")
        self._said.write_bytes(b"")
        order = {"flags": self._flags, "said": str(self._said), "log": str(self._log), "stuck": self._stuck}
        self._pid = await self._zygote.fork(order)
        ended = asyncio.ensure_future(_end_of(self._pid))
        async with asyncio.timeout(PATIENCE):
            while self._said.read_text().count("listening on") < 1 + bool(self.http_port):
                if ended.done():
                    self._pid = 0
                    raise StageError(f"the server did not start: {self._log.read_text()[-TAIL:]}")
                await asyncio.sleep(0.01)
        ended.cancel()

    async def kill(self, number: int = signal.SIGKILL) -> None:
        """As `kill -9` does: nothing is finished. Returns when it is dead."""
        if not self._pid:
            raise StageError("the server does not run")
        ended = asyncio.ensure_future(_end_of(self._pid))
        await asyncio.sleep(0)  # it is looked for before it can be gone
        for each in (signal.SIGCONT, number):
            with suppress(ProcessLookupError):
                os.kill(self._pid, each)
        await asyncio.wait_for(ended, PATIENCE)
        self._pid = 0

    def send(self, number: int) -> None:
        """Sends a signal."""
        if not self._pid:
            raise StageError("the server does not run")
        os.kill(self._pid, number)

    def fill_disk(self) -> None:
        """Nothing can be written any more into any file (so the server had better be mute), and that for good."""
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (1, 1))

    async def put_proxies(self) -> None:
        """Clients go through a proxy from now on."""
        for port in filter(None, (self.port, self.http_port)):
            self.proxies.append(await Proxy(f"127.0.0.1:{port}").start(free_port()))

    @property
    def addresses(self) -> dict[str, Any]:
        """What clients connect to: gRPC, and HTTP where it was asked for."""
        plain = [f"127.0.0.1:{port}" for port in (self.port, self.http_port) if port]
        found = [proxy.address for proxy in self.proxies] or plain
        scheme = "https" if "--tls-cert" in self._flags else "http"
        return {"address": found[0], "http_address": f"{scheme}://{found[1]}" if len(found) > 1 else None}

    async def close(self) -> None:
        """Ends it and removes what it kept."""
        for proxy in self.proxies:
            await proxy.close()
        if self._pid:
            await self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


async def _end_of(pid: int) -> None:
    """Returns when a process is gone; it need not be a child of this one."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
