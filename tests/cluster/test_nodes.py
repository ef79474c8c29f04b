"""Real nodes: processes that share a Redis, one of which is killed."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.wire.port import free_port
from tesseract_grpc.client import AsyncEventHorizon, Retry
from tesseract_grpc.server import ConfigError, Server, ServerConfig
from tests.cluster.servers import plain
from tests.cluster.test_shared_journal import COLUMNS, equal, known, until


class Node:
    """A `tesseract-grpc serve` of its own."""

    def __init__(self, name: str, redis: str) -> None:
        self.name, self.redis, self.port = name, redis, free_port()
        self.process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        command = [sys.executable, "-m", "tesseract_grpc.cli", "serve", "--listen", self.address, "--node", self.name]
        self.process = await asyncio.create_subprocess_exec(
            *command, env={"TESSERACT_REDIS": self.redis, "PATH": "/usr/bin:/bin"}, stderr=asyncio.subprocess.PIPE
        )
        assert self.process.stderr is not None
        self.said = b""
        while b"server.started" not in self.said:
            line = await asyncio.wait_for(self.process.stderr.readline(), 60)
            assert line, self.said.decode()
            self.said += line

    async def stop(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            assert self.process.stderr is not None
            self.said += await self.process.stderr.read()
            await self.process.wait()
            self.process = None


@asynccontextmanager
async def nodes(redis: str, *names: str) -> AsyncIterator[list[Node]]:
    made = [Node(name, redis) for name in names]
    try:
        await asyncio.gather(*(each.start() for each in made))
        yield made
    finally:
        for each in made:
            await each.stop(signal.SIGKILL)


def connected(node: Node) -> AsyncEventHorizon:
    return AsyncEventHorizon.connect(node.address, timeout=30, retry=Retry(initial_backoff=0.05, max_backoff=0.3))


@pytest.mark.slow
async def test_a_node_that_is_killed_loses_nothing_and_comes_back(tmp_path: Path) -> None:
    """Two writers at two nodes; one node is killed and started again while the other goes on."""
    with plain(tmp_path, "requirepass hunter2") as redis:
        address = redis.url.replace("//", "//:hunter2@")
        async with (
            nodes(address, "one", "two") as (one, two),
            connected(one) as first,
            connected(two) as second,
        ):
            table = await first.create_tesseract("items", COLUMNS)
            await first.create_session("all", table=table, sort=["id"])
            mirror = await (await known(second.get_session, "all")).mirror().ready()
            acknowledged: list[int] = []

            async def write(hub: AsyncEventHorizon, start: int) -> None:
                items = await known(hub.get_tesseract, "items")
                for number in range(start, start + 150):
                    await items.add([{"id": number, "n": number, "text": "x"}])  # again until it is acknowledged
                    acknowledged.append(number)

            async def fail() -> None:
                await until(lambda: len(acknowledged) >= 60, 60)
                await one.stop(signal.SIGKILL)
                await one.start()

            await asyncio.gather(write(first, 1_000), write(second, 2_000), fail())
            rows = await equal(first, second)
            assert [row["id"] for row in rows] == sorted(acknowledged) == [*range(1_000, 1_150), *range(2_000, 2_150)]
            await mirror.wait_for((await first.info()).version)
            assert [row["id"] for row in mirror.rows()] == sorted(acknowledged)
            await mirror.close()
            await two.stop(signal.SIGTERM)
        assert b"hunter2" not in one.said + two.said, "the password is in the log"
        assert re.search(rb"hub.recovered.*records=\d+", one.said)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"redis": "redis://a", "data": "/tmp/x"}, "not in both"),
        ({"redis": "localhost:6379"}, "option 'redis': the address of Redis must begin with"),
        ({"redis": "redis://a", "redis_password_file": "/does/not/exist"}, "/does/not/exist cannot be read"),
    ],
)
def test_what_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Server(ServerConfig(**options))
