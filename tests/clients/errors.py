"""The servers that refuse calls as `tests/vectors/errors.json` says, and how that file is recorded.

Six servers make the scene, because what refuses a call is not always in the call: small limits, tokens, a table that is
derived or full, a disk that is full, a disk that does not answer, a server that is shutting down. Refusing changes
nothing, so the calls can be made in any order, and as often as one likes.
"""

from __future__ import annotations

import asyncio
import base64
import signal
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import grpc

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2 as hpb
from tesseract_grpc._proto.tesseract.v1 import query_pb2, schema_pb2
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tests.clients.servers import PATIENCE, StagedServer, StageError, Zygote
from tests.server.support import Api, insert, rows, user, user_columns, write_tokens
from tests.vectors.errors import ErrorCall, Json, load, played, shown
from tests.vectors.player import playing

DETAILS_KEY = "grpc-status-details-bin"
MOST_BYTES = 4_096
"""Larger requests are left out of the file."""
FOLDER = "{folder}"
"""What stands in the file for the directory of the servers, which one message names."""
TABLES, HUBS = "/tesseract.v1.TableService", "/tesseract.v1.HubService"


class Scene:
    """The servers."""

    def __init__(self, zygote: Zygote, folder: Path) -> None:
        self._zygote, self.folder = zygote, folder
        self._stack = AsyncExitStack()
        self._waiting: list[asyncio.Task[Any]] = []
        self.addresses: dict[str, str] = {}

    async def set_up(self) -> None:
        """Starts the servers and leads them to where they refuse."""
        self.folder.mkdir()
        made = (self._small(), self._guarded(), self._derived(), self._full(), self._stuck(), self._draining())
        await asyncio.gather(*made)
        player = await self._stack.enter_async_context(playing())
        self.addresses["player"] = player.address

    async def calls(self) -> list[Json]:
        """The calls, as they are told to clients."""
        return [
            {
                "name": call.name,
                "reason": call.reason,
                "method": call.method,
                "request": call.request,
                "address": self.addresses[call.server],
                "token": token_of(call.role),
                "error": {**call.error, "message": call.error["message"].replace(FOLDER, str(self.folder))},
            }
            for call in load()
        ]

    async def close(self) -> None:
        """Ends the servers."""
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)
        await self._stack.aclose()

    async def _serve(
        self, name: str, *flags: str, stuck: Path | None = None, mute: bool = False
    ) -> tuple[StagedServer, Api]:
        server = StagedServer(self._zygote, self.folder / name, flags, stuck=stuck, mute=mute)
        self._stack.push_async_callback(server.close)
        await server.start()
        self.addresses[name] = server.addresses["address"]
        channel = await self._stack.enter_async_context(grpc.aio.insecure_channel(self.addresses[name]))
        return server, Api(channel, self.addresses[name])

    async def _small(self) -> None:
        """Small limits; two tables, five rows, a session: as in the tests of refusals."""
        from tests.server.test_refusals import LIMITS, prepared

        flags = [text for name, value in LIMITS.items() for text in (f"--{name.replace('_', '-')}", str(value))]
        _, api = await self._serve("small", *flags)
        await prepared(api)

    async def _guarded(self) -> None:
        """Tokens."""
        await self._serve("guarded", "--token-file", str(await asyncio.to_thread(write_tokens, self.folder)))

    async def _derived(self) -> None:
        """A table that is derived from another one, and a table that has no room for more."""
        _, api = await self._serve("derived")
        await api.create_users()
        derived = schema_pb2.Table(query=query_pb2.Query(table="users"))
        await api.tables.CreateTable(pb.CreateTableRequest(table_id="adults", table=derived))
        limit = schema_pb2.MemoryLimit(max_bytes=200_000)
        full = schema_pb2.Table(columns=user_columns(), memory_limit=limit)
        await api.tables.CreateTable(pb.CreateTableRequest(table_id="full", table=full))
        with suppress(grpc.aio.AioRpcError):
            for start in range(0, 100_000, 20):
                await api.insert([_long(id) for id in range(start, start + 20)], "full")
            raise StageError("the table is not full")

    async def _full(self) -> None:
        """A disk that is full: the log cannot be written."""
        server, api = await self._serve("full", mute=True)
        await api.create_users()
        server.fill_disk()

    async def _stuck(self) -> None:
        """A disk that does not answer, and as many writes that wait for it as may."""
        stuck = self.folder / "stuck.disk"
        _, api = await self._serve("stuck", "--max-pending-writes", "1", stuck=stuck)
        await api.create_users()
        stuck.touch()
        calls = [asyncio.ensure_future(api.insert([user(id)])) for id in range(4)]
        self._waiting += calls
        await asyncio.wait(calls, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)

    async def _draining(self) -> None:
        """A server that shuts down, and waits for a write that waits for its disk."""
        stuck = self.folder / "draining.disk"
        server, api = await self._serve("draining", "--drain-timeout", "600", stuck=stuck)
        await api.create_users()
        stuck.touch()
        self._waiting.append(asyncio.ensure_future(api.insert([user(1)])))
        await asyncio.sleep(0.2)  # the write is on its way
        server.send(signal.SIGTERM)
        with suppress(grpc.aio.AioRpcError):
            async with asyncio.timeout(PATIENCE):
                while True:
                    await api.hubs.GetServerInfo(hpb.GetServerInfoRequest())
                    await asyncio.sleep(0.02)


def token_of(role: str | None) -> str | None:
    """The token of a role, as `write_tokens` writes them."""
    return f"{role}-token-000000" if role else None


async def asked(address: str, method: str, request: bytes, token: str | None) -> Json:
    """What a client is told of a call that is refused."""
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    async with grpc.aio.insecure_channel(address) as channel:
        raw: Any = channel
        try:
            await raw.unary_unary(method)(request, metadata=metadata, timeout=PATIENCE)
        except grpc.aio.AioRpcError as error:
            details = dict(error.trailing_metadata() or ()).get(DETAILS_KEY)
            assert isinstance(details, bytes | None)
            return shown(error.code(), error.details() or "", details)
    raise StageError(f"{method} at {address} is not refused: {request[:100]!r}")


async def recorded(scene: Scene) -> list[ErrorCall]:
    """The calls with what the servers of today say."""
    found = []
    for call in [*_of_table(), *_others()]:
        error = await asked(scene.addresses[call.server], call.method, call.content, token_of(call.role))
        error["message"] = error["message"].replace(str(scene.folder), FOLDER)
        found.append(ErrorCall(call.name, error["reason"], call.server, call.method, call.request, call.role, error))
    return [*found, *played()]


def _call(name: str, server: str, method: str, request: bytes, role: str | None = None) -> ErrorCall:
    return ErrorCall(name, "", server, method, base64.b64encode(request).decode(), role)


def _others() -> Iterable[ErrorCall]:
    """What the table of refusals has not."""
    read = pb.GetTableRequest(name="users").SerializeToString()
    create = pb.CreateTableRequest(table_id="x", table=schema_pb2.Table(columns=user_columns())).SerializeToString()
    yield _call("no token", "guarded", f"{TABLES}/GetTable", read)
    yield _call("unknown token", "guarded", f"{TABLES}/GetTable", read, "nobodys")
    yield _call("another role", "guarded", f"{TABLES}/CreateTable", create, "read")

    def write(*people: Json, table: str = "users") -> bytes:
        return pb.WriteRequest(operations=[insert(people, table)]).SerializeToString()

    yield _call("write to a derived table", "derived", f"{TABLES}/Write", write(user(1), table="adults"))
    yield _call("delete what others read", "derived", f"{TABLES}/DeleteTable",
                pb.DeleteTableRequest(name="users").SerializeToString())  # fmt: skip
    update = pb.Update(rows=rows([{"id": 1, "age": 3}]))
    missing = pb.WriteRequest(operations=[pb.WriteOperation(table="users", update=update)])
    yield _call("update of a row that is not there", "derived", f"{TABLES}/Write", missing.SerializeToString())
    yield _call(
        "no memory", "derived", f"{TABLES}/Write", write(*map(_long, range(1_000_000, 1_000_020)), table="full")
    )
    yield _call("disk full", "full", f"{TABLES}/Write", write(user(100)))
    yield _call("disk stuck", "stuck", f"{TABLES}/Write", write(user(100)))
    yield _call("shutting down", "draining", f"{HUBS}/GetServerInfo", b"")


def _long(id: int) -> Json:
    return user(id, name=f"{id:07}" * 10)


class _Recorder:
    """A channel that writes down what is called, and calls nothing."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes]] = []

    def unary_unary(self, method: str, request_serializer: Any = bytes, *_: Any, **__: Any) -> Any:
        async def call(request: Any) -> Any:
            self.calls.append((method, request_serializer(request)))

        return call

    def _other(self, *_: Any, **__: Any) -> Any:
        return lambda *_, **__: _Nothing()

    unary_stream = stream_unary = stream_stream = _other


class _Nothing:
    async def read(self) -> None:
        """A stream of which nothing is known."""


def _of_table() -> Iterable[ErrorCall]:
    """The unary calls of the table of refusals."""
    from tests.server.test_refusals import CASES

    for case in CASES:
        recorder = _Recorder()
        api = Api(recorder)  # type: ignore[arg-type]
        coroutine: Any = case.call(api)
        with suppress(StopIteration):
            coroutine.send(None)
        for method, request in recorder.calls:
            if len(request) <= MOST_BYTES:
                yield _call(case.name, "small", method, request)
