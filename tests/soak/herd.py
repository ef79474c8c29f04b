"""A client process with some watchers, to be stopped and killed: `python -m tests.soak.herd` and its arguments.

Each watcher lives for some seconds, then comes back, now and then over a new connection, and goes on from its last
token where it has one. Some never read what they are sent, some watch a session without an id that they made.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio

from tesseract_grpc._proto.tesseract.v1 import query_pb2, session_service_pb2, session_service_pb2_grpc, value_pb2

NEVER_READS = 0.15
ANONYMOUS = 0.15
NEW_CONNECTION = 0.3
RESUMES = 0.5
LIFETIMES = (0.5, 6.0)
PAUSES = (0.0, 0.5)
OPTIONS = (("grpc.use_local_subchannel_pool", 1),)

pb = session_service_pb2


class Watcher:
    """One watcher, coming and going for ever."""

    def __init__(self, address: str, sessions: Sequence[str], seed: str) -> None:
        self._address = address
        self._sessions = sessions
        self._random = random.Random(seed)
        self._tokens: dict[str, bytes] = {}

    async def run(self) -> None:
        """Comes and goes."""
        while True:
            async with grpc.aio.insecure_channel(self._address, options=OPTIONS) as channel:
                while True:
                    with suppress(grpc.RpcError, TimeoutError):
                        async with asyncio.timeout(self._random.uniform(*LIFETIMES)):
                            await self._watch(channel)
                    await asyncio.sleep(self._random.uniform(*PAUSES))
                    if self._random.random() < NEW_CONNECTION:
                        break

    async def _watch(self, channel: grpc.aio.Channel) -> None:
        stub: Any = session_service_pb2_grpc.SessionServiceStub(channel)
        name = self._random.choice(self._sessions)
        token = b""
        if self._random.random() < ANONYMOUS:
            name = await self._anonymous(stub)
        elif self._random.random() < RESUMES:
            token = self._tokens.get(name, b"")
        call = stub.WatchSession(pb.WatchSessionRequest(name=name, resume_token=token))
        try:
            if self._random.random() < NEVER_READS:
                await asyncio.sleep(3600)
            async for response in call:
                if response.resume_token and name in self._sessions:
                    self._tokens[name] = response.resume_token
        finally:
            call.cancel()

    async def _anonymous(self, stub: Any) -> str:
        above = query_pb2.Filter(
            comparison=query_pb2.Comparison(
                column="score",
                operator=query_pb2.COMPARISON_OPERATOR_GREATER,
                value=value_pb2.Value(float64_value=self._random.uniform(0, 1_000)),
            )
        )
        session = pb.Session(query=query_pb2.Query(table="items", filter=above))
        created = await stub.CreateSession(pb.CreateSessionRequest(session=session))
        name: str = created.session.name
        return name


async def main(address: str, count: int, seed: str, sessions: Sequence[str]) -> None:
    """Runs the watchers until the process is killed."""
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(Watcher(address, sessions, f"{seed}-{number}").run())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
