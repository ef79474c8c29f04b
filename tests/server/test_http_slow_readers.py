"""A browser that stops reading is what a gRPC client is that stops: told what it skips, or ended; never much memory.

The sockets are real, with small buffers at the client, and read by hand.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from tesseract_grpc._proto.tesseract.v1 import change_pb2 as cpb
from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.server import Server, ServerConfig, methods
from tesseract_grpc.server.streams.state import State
from tesseract_grpc.server.web import connection
from tesseract_grpc.server.web.phase import PATIENCE, Phase
from tesseract_grpc.server.web.port import WebPort
from tesseract_grpc.testing import check_stream
from tests.server.support import Api, serving, sort, user
from tests.server.test_slow_readers import Scene, answer, at, events
from tests.server.test_tls import Authority
from tests.server.web_world import Web, body_of, browsing

WATCH = "/tesseract.v1.SessionService/WatchSession"
MEGABYTE = 1 << 20


class Slow:
    """A watcher over Connect that reads when it is told to."""

    def __init__(self, server: Any, **fields: Any) -> None:
        assert server.http_address is not None
        host, _, port = server.http_address.partition("://")[2].rpartition(":")
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        self.socket.connect((host, int(port)))
        self.socket.setblocking(False)
        kind = "application/connect+proto"
        body = body_of(kind, [spb.WatchSessionRequest(name="all", **fields)])
        head = f"POST {WATCH} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body)
        self.responses: list[Any] = []
        self.end: Any = None
        self._raw = b""
        self._body = b""

    async def read(self) -> None:
        """Some bytes; raises EOFError at the end."""
        data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, 1 << 18), 20)
        if not data:
            raise EOFError
        self._raw += data
        if not self.responses and b"\r\n\r\n" in self._raw and self._raw.startswith(b"HTTP"):
            self._raw = self._raw.partition(b"\r\n\r\n")[2]
        self._unchunk()
        self._take()

    def _unchunk(self) -> None:
        while b"\r\n" in self._raw and not self._raw.startswith(b"HTTP"):
            size, _, rest = self._raw.partition(b"\r\n")
            length = int(size, 16)
            if len(rest) < length + 2:
                return
            self._body += rest[:length]
            self._raw = rest[length + 2 :]

    def _take(self) -> None:
        while len(self._body) >= 5 and len(self._body) >= (size := 5 + int.from_bytes(self._body[1:5], "big")):
            flags, data, self._body = self._body[0], self._body[5:size], self._body[size:]
            if flags & 2:
                self.end = json.loads(data)
            else:
                self.responses.append(spb.WatchSessionResponse.FromString(data))

    async def until(self, done: Any) -> None:
        """Reads until what came is enough."""
        async with asyncio.timeout(30):
            while not done(self.responses):
                await self.read()

    async def stall(self, scene: Scene) -> None:
        """Reads the snapshot, and no more until the server has noticed."""
        await self.until(lambda found: "snapshot_end" in events(found))
        await scene.commit_until(lambda: not scene.host.audience.count or scene.stream.state is State.CONFLATING)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with serving(lag_after=0.3, slow_reader_timeout=30.0, http_port=0) as (server, api):
        await api.create_users()
        found = Scene(server, api)
        found.commit()
        await api.open("all", q.Query(table="users", columns=["id", "name", "age"], sort=[sort("id")]))
        yield found


def unsent(server: Any) -> int:
    """Bytes that wait in the server for its browsers."""
    port: Any = server._web
    assert isinstance(port, WebPort)
    return sum(one._transport.get_write_buffer_size() for one in port._connections)


async def test_a_slow_browser_is_told_what_it_skips_and_gets_the_net_change(scene: Scene) -> None:
    slow = Slow(scene.server)
    await slow.stall(scene)
    seen = scene.stream.lag_versions
    await asyncio.sleep(0.4)
    for _ in range(25):
        version = scene.commit()
    await slow.until(at(version))
    check_stream(slow.responses, {version: answer(scene)})
    (lagged,) = [response for response in slow.responses if response.WhichOneof("event") == "lagged"]
    assert lagged.lagged.skipped_commits >= 25 + seen
    assert scene.stream.conflations >= 1
    slow.socket.close()


async def eventually(done: Any) -> None:
    """Waits until it is so."""
    for _ in range(300):
        if done():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come to that")


async def test_what_waits_for_a_stalled_browser_is_one_message() -> None:
    async with serving(lag_after=0.3, slow_reader_timeout=30.0, http_port=0, history_commits=2) as (server, api):
        await api.create_users()
        scene = Scene(server, api)
        scene.commit()
        await api.open("all", q.Query(table="users", columns=["id", "name", "age"], sort=[sort("id")]))
        slow = Slow(server)
        await slow.stall(scene)
        process, sizes, largest = psutil.Process(), [], 0
        for _ in range(12):
            for number in range(15):  # 30 MB in each round, if anybody kept them
                scene.round = number % 2  # texts that the table has had before: its dictionary does not grow
                scene.commit()
                await asyncio.sleep(0)
                largest = max(largest, unsent(server))
            gc.collect()
            sizes.append(process.memory_info().rss)
        assert largest <= 2 * MEGABYTE + connection.UNSENT_BYTES, largest
        assert max(sizes) - sizes[0] < 60 * MEGABYTE, [size // MEGABYTE for size in sizes]
        slow.socket.close()


async def test_the_system_hides_little_of_a_stalled_browser(scene: Scene) -> None:
    """It is noticed as slow after a few commits of two megabytes each, not after what TCP would take by itself."""
    slow = Slow(scene.server)
    await slow.until(lambda found: "snapshot_end" in events(found))
    before = scene.round
    await scene.commit_until(lambda: scene.stream.state is State.CONFLATING)
    assert scene.round - before <= 4
    slow.socket.close()


async def test_on_lag_cancel_ends_the_watch_at_once_and_the_browser_hears_of_it(scene: Scene) -> None:
    slow = Slow(scene.server, on_lag=cpb.ON_LAG_CANCEL)
    await slow.stall(scene)
    await scene.commit_until(lambda: not scene.host.audience.count, pause=0.05)
    while slow.end is None:
        await slow.read()
    slow.socket.close()
    assert slow.end["error"]["code"] == "resource_exhausted"
    assert slow.end["error"]["details"][0]["debug"]["reason"] == "SLOW_READER"


async def test_who_never_reads_again_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch ends after `slow_reader_timeout`; its last word is kept for a while, and then the connection ends."""
    monkeypatch.setattr("tesseract_grpc.server.methods.PARKED", 0.5)
    monkeypatch.setattr("tesseract_grpc.server.web.port.PARKED", 0.5)
    monkeypatch.setattr("tesseract_grpc.server.web.rpc.PARKED", 0.5)
    async with serving(lag_after=0.2, slow_reader_timeout=0.6, http_port=0) as (server, api):
        await api.create_users()
        scene = Scene(server, api)
        scene.commit()
        await api.open("all", q.Query(table="users", columns=["id", "name", "age"], sort=[sort("id")]))
        slow = Slow(server)
        await slow.stall(scene)
        port: Any = server._web
        await eventually(lambda: not scene.host.audience.count)
        await eventually(lambda: not port._connections)
        assert scene.host.audience.tally.slow_readers == 1
        slow.socket.close()


async def test_a_stalled_browser_disturbs_nobody(scene: Scene) -> None:
    slow = Slow(scene.server)
    await slow.stall(scene)
    call = scene.watch(scene.api.channel, window=q.Window(limit=2))
    responses: list[Any] = []
    while not at(scene.hub.version)(responses):
        responses.append(await asyncio.wait_for(call.read(), 10))
    for _ in range(10):
        begun = time.perf_counter()
        version = scene.commit()
        while not at(version)(responses):
            responses.append(await asyncio.wait_for(call.read(), 10))
        assert time.perf_counter() - begun < 2.0
    call.cancel()
    slow.socket.close()


async def patient(web: Web, data: bytes) -> tuple[bytes, float]:
    begun = time.perf_counter()
    return await web.raw(data, patience=20), time.perf_counter() - begun


async def test_who_says_nothing_or_too_slowly_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tesseract_grpc.server.web.port.PATROL", 0.05)
    monkeypatch.setattr("tesseract_grpc.server.web.connection.BODY_SECONDS", 0.4)
    for phase in Phase:
        monkeypatch.setitem(PATIENCE, phase, 0.4)
    async with browsing() as (server, _, web):
        nothing, _ = await patient(web, b"")
        assert nothing == b""
        half, _ = await patient(web, b"GET /healthz HTTP/1.1\r\nhost: ")
        assert half.startswith(b"HTTP/1.1 408")
        idle, seconds = await patient(web, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert idle.startswith(b"HTTP/1.1 200")
        assert seconds >= 0.4
        head = "POST /tesseract.v1.TableService/Query HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        body, _ = await patient(web, f"{head}content-length: 9\r\n\r\n{{".encode())
        assert body.startswith(b"HTTP/1.1 400")
        assert b"it did not arrive within" in body
        rest, _ = await patient(web, b"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")
        assert rest.startswith(b"HTTP/1.1 404")
        port: Any = server._web
        assert not port._connections


async def test_a_stream_of_requests_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tesseract_grpc.server.web.port.PATROL", 0.05)
    monkeypatch.setattr("tesseract_grpc.server.web.connection.BODY_SECONDS", 0.2)
    async with browsing() as (_, _api, web):
        head = "POST /tesseract.v1.TableService/WriteStream HTTP/1.1\r\nhost: x\r\n"
        reader, writer = await asyncio.open_connection(web.host, web.port)
        writer.write(f"{head}content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        await asyncio.sleep(0.8)
        writer.write(b"3\r\n{}\n\r\n0\r\n\r\n")
        told = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 10)
        assert b'"committed"' in told or b'"refused"' in told
        writer.close()


async def test_a_client_that_asks_and_never_reads_is_not_answered_for_ever(api_web: tuple[Any, Api, Web]) -> None:
    """Many requests ahead, whose answers nobody takes: they are answered one by one, as room is made."""
    server, api, web = api_web
    await api.insert([user(n, name="x" * 1_000) for n in range(10, 400)])
    body = b'{"query":{"table":"users"}}'
    head = "POST /tesseract.v1.TableService/Query HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    one = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    slow.connect((web.host, web.port))
    slow.setblocking(False)
    loop = asyncio.get_running_loop()
    pouring = asyncio.create_task(loop.sock_sendall(slow, one * 200_000))
    ended, answered = server._calls.ended, -1
    path = "/tesseract.v1.TableService/Query"
    for _ in range(40):  # until no more is answered
        await asyncio.sleep(0.5)
        if answered == (answered := ended[path, "OK"]) and answered:
            break
    assert answered == ended[path, "OK"] < 200
    assert unsent(server) < 2 * MEGABYTE
    assert not pouring.done()
    pouring.cancel()
    slow.close()


@pytest.fixture
async def api_web() -> AsyncIterator[tuple[Any, Api, Web]]:
    async with browsing() as (server, api, web):
        await api.create_users()
        yield server, api, web


async def test_too_many_connections_are_told_so() -> None:
    async with browsing(http_connections=3) as (_, _api, web):
        held = [await asyncio.open_connection(web.host, web.port) for _ in range(3)]
        await asyncio.sleep(0.1)
        told = await web.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert told.startswith(b"HTTP/1.1 503")
        assert b"takes no more" in told
        held[0][1].close()
        await asyncio.sleep(0.1)
        told = await web.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert told.startswith(b"HTTP/1.1 200")
        for _, writer in held:
            writer.close()


async def test_the_number_of_watches_is_limited_as_for_grpc() -> None:
    async with browsing(max_watchers=1) as (_, api, web):
        await api.create_users()
        request = pb.WatchTableRequest(table="users")
        async with web.stream("/tesseract.v1.TableService/WatchTable", request) as messages:
            assert (await anext(messages)).HasField("begin")
            told = await web.call(
                "/tesseract.v1.TableService/WatchTable", request, content_type="application/grpc-web-text"
            )
            assert told.reason == "LIMIT_EXCEEDED"
    assert methods.PARKED == 60.0


async def test_a_slow_browser_is_noticed_through_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    trusting = ssl.create_default_context(cafile=str(authority.ca))
    config = ServerConfig(
        listen="127.0.0.1:0", http_port=0, tls_cert=authority.cert, tls_key=authority.key, lag_after=0.3
    )
    credentials = grpc.ssl_channel_credentials(authority.ca.read_bytes())
    async with Server(config) as server, grpc.aio.secure_channel(f"localhost:{server.port}", credentials) as channel:
        api = Api(channel)
        await api.create_users()
        scene = Scene(server, api)
        scene.commit()
        await api.open("all", q.Query(table="users", columns=["id", "name", "age"], sort=[sort("id")]))
        host, _, port = (server.http_address or "").removeprefix("https://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=trusting, limit=4_096)
        kind = "application/connect+proto"
        body = body_of(kind, [spb.WatchSessionRequest(name="all")])
        head = f"POST {WATCH} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await reader.readuntil(b"\r\n\r\n")
        before, largest = scene.round, 0
        for _ in range(60):
            scene.commit()
            await asyncio.sleep(0.05)
            largest = max(largest, unsent(server))
        assert scene.round - before == 60
        assert scene.host.audience.count == 1
        assert scene.stream.state in (State.CATCHING_UP, State.CONFLATING)
        assert scene.stream.lag_versions > 30
        assert largest <= 2 * MEGABYTE + 4 * connection.UNSENT_BYTES, largest
        writer.transport.abort()
        await eventually(lambda: not scene.host.audience.count)
