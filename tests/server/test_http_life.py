"""The port for browsers around its calls: who may, how long, what is counted, and how it all ends. With the clients of
others where there are any: the Connect project's own, httpx, and plain sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from connectrpc.client import ConnectClient
from connectrpc.code import Code
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_json_codec
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from google.rpc import error_details_pb2
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tesseract_grpc._proto.tesseract.v1 import diagnosis_service_pb2 as dpb
from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import schema_pb2
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.server import ConfigError, ServeError, Server, ServerConfig, app
from tesseract_grpc.server.otel import OtelTracing
from tesseract_grpc.testing import Mirror, check_resumed, check_stream
from tests.server.support import Api, insert, serving, user, write_tokens
from tests.server.test_resume import truth
from tests.server.test_tls import Authority
from tests.server.web_world import METHODS, STREAMS, UNARY, Ended, Web, browsing, message_class
from tests.wire import columns

TABLES = "/tesseract.v1.TableService/"
SESSIONS = "/tesseract.v1.SessionService/"
HUBS = "/tesseract.v1.HubService/"
LINES = {"content-type": "application/x-ndjson"}


async def eventually(done: Callable[[], bool]) -> None:
    for _ in range(300):
        if done():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to that")


# The Connect project's own client


def info(path: str) -> MethodInfo[Any, Any]:
    method = METHODS[path]
    kinds = [message_class(found.full_name) for found in (method.input_type, method.output_type)]
    service = path.split("/")[1]
    return MethodInfo(
        name=method.name,
        service_name=service,
        input=kinds[0],
        output=kinds[1],
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=StreamType.SERVER_STREAM if method.server_streaming else StreamType.UNARY,
    )


@pytest.mark.parametrize("codec", [google_protobuf_binary_codec(), google_protobuf_json_codec()], ids=["proto", "json"])
async def test_the_connect_projects_own_client_is_served(codec: Any) -> None:
    async with browsing(progress_interval=0.3) as (_, api, web):
        await api.create_users()
        await api.open("all", q.Query(table="users"))
        async with ConnectClient(web.address, codec=codec) as client:
            write = pb.WriteRequest(operations=[insert([user(1)])])
            response = await client.execute_unary(request=write, method=info(TABLES + "Write"))
            assert response.results[0].inserted == 1
            with pytest.raises(ConnectError) as refused:
                await client.execute_unary(request=write, method=info(TABLES + "Write"))
            assert refused.value.code is Code.ALREADY_EXISTS
            details = error_details_pb2.ErrorInfo.FromString(refused.value.details[0].message_bytes)
            assert (details.reason, details.domain) == ("DUPLICATE_KEY", "tesseract-grpc")
            watched: list[Any] = []
            watch = client.execute_server_stream(
                request=spb.WatchSessionRequest(name="all"), method=info(SESSIONS + "WatchSession"), timeout_ms=30_000
            )
            async for message in watch:
                watched.append(message)
                if message.HasField("snapshot_end"):
                    version = (await api.insert([user(2)])).version
                if message.HasField("changes"):
                    break
            check_stream(watched, await truth_of(api, version))
            nowhere = spb.WatchSessionRequest(name="nowhere")
            watch = client.execute_server_stream(request=nowhere, method=info(SESSIONS + "WatchSession"))
            with pytest.raises(ConnectError) as missing:
                await anext(aiter(watch))
            assert missing.value.code is Code.NOT_FOUND


async def truth_of(api: Api, version: int) -> Any:
    from tesseract_grpc.testing import Answer, rows_of

    page = await api.sessions.QuerySession(spb.QuerySessionRequest(name="all"))
    assert page.version == version
    return {version: Answer(rows_of(page.rows), page.total_count)}


# Who may


async def test_roles_are_those_of_grpc(tmp_path: Path) -> None:
    async with browsing(token_file=write_tokens(tmp_path)) as (_, _api, web):
        create = pb.CreateTableRequest(table_id="t", table=schema_pb2.Table(columns=columns({"id": "int64"}, ["id"])))
        for kind in UNARY:
            nobody = await web.call(TABLES + "ListTables", pb.ListTablesRequest(), content_type=kind)
            assert (nobody.reason, nobody.code) == ("TOKEN_MISSING", grpc.StatusCode.UNAUTHENTICATED)
            stranger = await web.call(
                TABLES + "ListTables", pb.ListTablesRequest(), content_type=kind, authorization="Bearer x" * 9
            )
            assert stranger.reason == "TOKEN_UNKNOWN"
            reader: dict[str, Any] = {"authorization": "Bearer read-token-000000"}
            assert (
                await web.call(TABLES + "CreateTable", create, content_type=kind, **reader)
            ).reason == "ROLE_REQUIRED"
            assert (
                await web.call(TABLES + "ListTables", pb.ListTablesRequest(), content_type=kind, **reader)
            ).responses
        for kind in STREAMS:
            told = await web.call(SESSIONS + "WatchSession", spb.WatchSessionRequest(name="x"), content_type=kind)
            assert told.reason == "TOKEN_MISSING"
        made = await web.call(TABLES + "CreateTable", create, authorization="Bearer admin-token-000000")
        assert made.responses
        # A session with an id needs more than the role of its method: the caller is known to the handler, too.
        told = await web.call(
            SESSIONS + "CreateSession",
            spb.CreateSessionRequest(session_id="s", session=spb.Session(query=q.Query(table="t"))),
            authorization="Bearer read-token-000000",
        )
        assert told.reason == "ROLE_REQUIRED"
        assert (await web.client.get("/healthz")).status_code == 200
        raw = await web.client.post(TABLES + "ListTables", json={})
        assert (raw.status_code, raw.headers["www-authenticate"]) == (401, "Bearer")


async def test_who_may_not_call_is_not_read(tmp_path: Path) -> None:
    """A large body without a token: the answer comes before it has been sent."""
    async with browsing(token_file=write_tokens(tmp_path)) as (_, _api, web):
        head = (
            f"POST {TABLES}Write HTTP/1.1\r\nhost: x\r\ncontent-type: application/proto\r\ncontent-length: 9000000\r\n"
        )
        reader, writer = await asyncio.open_connection(web.host, web.port)
        writer.write(f"{head}\r\n".encode())
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 401")
        writer.close()


async def test_a_caller_is_not_taken_for_the_one_before_on_the_same_connection(tmp_path: Path) -> None:
    async with browsing(token_file=write_tokens(tmp_path)) as (_, _api, web):

        def ask(token: str) -> bytes:
            head = f"POST {TABLES}ListTables HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            return f"{head}content-length: 2\r\n{token}\r\n{{}}".encode()

        admin, nobody = "authorization: Bearer admin-token-000000\r\n", ""
        told = await web.raw(ask(admin) + ask(nobody) + ask(admin) + ask("connection: close\r\n"))
        assert re.findall(rb"HTTP/1.1 (\d+)", told) == [b"200", b"401", b"200", b"401"]


async def test_tls_has_the_servers_certificates(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    config = ServerConfig(listen="127.0.0.1:0", http_port=0, tls_cert=authority.cert, tls_key=authority.key)
    async with Server(config) as server:
        assert server.http_address is not None
        assert server.http_address.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=str(authority.ca))
        async with httpx.AsyncClient(base_url=server.http_address, verify=trusting) as client:
            assert (await client.get("/healthz")).json() == {"status": "SERVING"}
            assert "https://127.0.0.1" in (await client.get("/")).json()["curl"]["ask for rows"]
        async with httpx.AsyncClient(base_url=server.http_address, verify=ssl.create_default_context()) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get("/healthz")


async def test_mutual_tls_wants_a_certificate_of_the_browser(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    config = ServerConfig(
        listen="127.0.0.1:0", http_port=0, tls_cert=authority.cert, tls_key=authority.key, tls_client_ca=authority.ca
    )
    (tmp_path / "client.pem").write_bytes(authority.client_cert + authority.client_key)
    async with Server(config) as server:
        assert server.http_address is not None
        trusting = ssl.create_default_context(cafile=str(authority.ca))
        async with httpx.AsyncClient(base_url=server.http_address, verify=trusting) as client:
            with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
                await client.get("/healthz")
        trusting.load_cert_chain(tmp_path / "client.pem")
        async with httpx.AsyncClient(base_url=server.http_address, verify=trusting) as client:
            assert (await client.get("/healthz")).status_code == 200


async def test_a_public_port_needs_protection_as_the_grpc_port_does(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0:0 can be reached from other machines"):
        Server(ServerConfig(listen="127.0.0.1:0", http_port=0, http_host="0.0.0.0"))
    with pytest.raises(ConfigError, match=r"\[::\]:0 can be reached"):
        Server(ServerConfig(listen="127.0.0.1:0", http_port=0, http_host="::"))
    async with serving(http_port=0, http_host="0.0.0.0", insecure=True) as (server, _):
        assert (server.http_address or "").startswith("http://0.0.0.0:")
    bad = tmp_path / "bad.pem"
    bad.write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    with pytest.raises(ConfigError, match="certificates cannot be used"):
        Server(ServerConfig(listen="127.0.0.1:0", http_port=0, tls_cert=bad, tls_key=bad))


async def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=f"cannot listen on http://127.0.0.1:{port}: address already in use"):
            await Server(ServerConfig(listen="127.0.0.1:0", http_port=port)).start()


async def test_every_address_of_a_name_is_listened_on_at_one_port() -> None:
    async with serving(http_port=0, http_host="localhost") as (server, _):
        assert server.http_address is not None
        async with httpx.AsyncClient() as client:
            assert (await client.get(server.http_address + "/healthz")).status_code == 200
            port = server.http_address.rpartition(":")[2]
            assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200


async def test_without_the_option_there_is_no_port() -> None:
    async with serving() as (server, _):
        assert server.http_address is None


# Pages


PAGE = "https://board.example"


async def test_pages_may_not_unless_they_are_named() -> None:
    async with browsing() as (_, _api, web):
        for path in ("/", "/healthz", TABLES + "ListTables"):
            told = await web.client.post(path, json={}, headers={"origin": PAGE})
            assert told.status_code == 403
            assert "http_cors_origins" in told.json()["message"]
            assert not [name for name in told.headers if name.startswith("access-control")]
        asked = await web.client.options(TABLES + "Write", headers=preflight(PAGE))
        assert asked.status_code == 403
        own = await web.client.get("/", headers={"origin": web.address})
        assert own.status_code == 403  # whoever points a name of his own at this machine has this origin


def preflight(origin: str, **more: str) -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,connect-protocol-version,connect-timeout-ms,authorization",
        **more,
    }


async def test_pages_that_are_named_may() -> None:
    origins = (PAGE, "http://localhost:5173")
    async with browsing(http_cors_origins=origins, http_cors_max_age=600) as (_, _api, web):
        for origin in origins:
            asked = await web.client.options(TABLES + "Write", headers=preflight(origin))
            assert asked.status_code == 204
            assert "content-length" not in asked.headers
            assert asked.headers["access-control-allow-origin"] == origin
            assert asked.headers["access-control-max-age"] == "600"
            allowed = asked.headers["access-control-allow-headers"].replace(" ", "").split(",")
            assert {"content-type", "connect-protocol-version", "connect-timeout-ms", "authorization"} <= set(allowed)
            assert "POST" in asked.headers["access-control-allow-methods"]
            assert asked.headers["vary"] == "Origin"
            assert "access-control-allow-credentials" not in asked.headers
            assert "access-control-allow-private-network" not in asked.headers
            for path, status in ((TABLES + "ListTables", 200), ("/nowhere", 404), (TABLES + "Query", 400)):
                told = await web.client.post(path, json={}, headers={"origin": origin})
                assert (told.status_code, told.headers["access-control-allow-origin"]) == (status, origin)
                assert "grpc-status-details-bin" in told.headers["access-control-expose-headers"]
        stranger = await web.client.post(TABLES + "ListTables", json={}, headers={"origin": "https://other.example"})
        assert (stranger.status_code, stranger.headers["vary"]) == (403, "Origin")
        assert (await web.client.post(TABLES + "ListTables", json={})).status_code == 200
        more = preflight(PAGE, **{"access-control-request-private-network": "true"})
        private = await web.client.options(TABLES + "Write", headers=more)
        assert private.headers["access-control-allow-private-network"] == "true"


async def test_all_pages_may_where_that_is_said() -> None:
    async with browsing(http_cors_origins=("*",)) as (_, _api, web):
        for origin in (PAGE, "null"):
            told = await web.client.post(TABLES + "ListTables", json={}, headers={"origin": origin})
            assert (told.status_code, told.headers["access-control-allow-origin"]) == (200, "*")


@pytest.mark.parametrize(
    "origin", ["board.example", "https://board.example/", "https://Board.example", "https://*.x y"]
)
def test_what_is_no_origin_is_no_option(origin: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        ServerConfig(http_cors_origins=(origin,))


# How long


async def test_deadlines_of_both_protocols() -> None:
    async with browsing(progress_interval=60) as (server, api, web):
        await api.create_users()
        watch = pb.WatchTableRequest(table="users")
        for kind in STREAMS:
            web_timeout: dict[str, Any] = (
                {"grpc_timeout": "300m"} if "grpc-web" in kind else {"connect_timeout_ms": "300"}
            )
            told = await asyncio.wait_for(web.call(TABLES + "WatchTable", watch, content_type=kind, **web_timeout), 10)
            assert told.code is grpc.StatusCode.DEADLINE_EXCEEDED
            assert told.responses[0].HasField("begin")
        late = await web.call(
            TABLES + "Query", pb.QueryRequest(query=q.Query(table="users"), min_version=999), connect_timeout_ms="200"
        )
        # The handler knows how long it may wait, and says what it has waited for; or the deadline comes before.
        assert late.reason == "VERSION_NOT_REACHED" or late.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert not any(host.audience.count for host in server._hosts.by_name.values())


async def test_a_browser_that_goes_away_ends_its_watch() -> None:
    async with browsing(progress_interval=60) as (server, api, web):
        await api.create_users()
        audience = server._hosts.by_name["default"].audience
        async with web.stream(TABLES + "WatchTable", pb.WatchTableRequest(table="users")) as messages:
            await anext(messages)
            assert audience.count == 1
            (stream,) = audience.all()
            assert stream.peer.startswith("ipv4:127.0.0.1:")
        await eventually(lambda: not audience.count)
        assert server._calls.ended[TABLES + "WatchTable", "CANCELLED"] == 1
        # Half of a request, and then nothing: nobody waits for the rest.
        _, writer = await asyncio.open_connection(web.host, web.port)
        writer.write(f"POST {TABLES}WriteStream HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n".encode())
        writer.write(b"transfer-encoding: chunked\r\n\r\n")
        await eventually(lambda: server._calls.open[TABLES + "WriteStream"] == 1)
        writer.transport.abort()
        await eventually(lambda: server._calls.open[TABLES + "WriteStream"] == 0)


# What is counted and told of calls


async def test_calls_are_counted_as_those_of_grpc() -> None:
    async with browsing() as (server, api, web):
        await web.call(TABLES + "Query", pb.QueryRequest(query=q.Query(table="x")))
        await web.call(TABLES + "ListTables", pb.ListTablesRequest(), content_type="application/grpc-web-text")
        await api.tables.ListTables(pb.ListTablesRequest())
        ended = server._calls.ended
        assert (ended[TABLES + "Query", "NOT_FOUND"], ended[TABLES + "ListTables", "OK"]) == (1, 2)
        assert sum(server._calls.seconds[TABLES + "ListTables"].read().counts) == 2


async def test_a_call_is_not_counted_as_the_one_before_on_the_same_connection_ended() -> None:
    async with browsing() as (server, api, web):
        await api.create_users()
        head = "POST {}{} HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\ncontent-length: 17\r\n\r\n{}"
        reader, writer = await asyncio.open_connection(web.host, web.port)
        refused = head.format(TABLES, "GetTable", '{"name":"nobody"}')
        writer.write((refused + head.format(TABLES, "WatchTable", '{"table":"users"}')).encode())
        await asyncio.wait_for(reader.readuntil(b'"begin"'), 10)
        writer.transport.abort()
        await eventually(lambda: not server._calls.open[TABLES + "WatchTable"])
        assert server._calls.ended[TABLES + "GetTable", "NOT_FOUND"] == 1
        assert server._calls.ended[TABLES + "WatchTable", "CANCELLED"] == 1


async def test_the_debug_mode_sees_calls_of_browsers() -> None:
    async with browsing(debug=True, debug_level="debug") as (_, api, web):
        await api.create_users()
        await web.call(TABLES + "Query", pb.QueryRequest(query=q.Query(table="nope")))
        async with web.stream(TABLES + "WatchTable", pb.WatchTableRequest(table="users")) as messages:
            await anext(messages)
        records = await web.call("/tesseract.v1.DiagnosisService/ListDebugRecords", dpb.ListDebugRecordsRequest())
        text = str(records.responses)
        assert "UNKNOWN_TABLE" in text
        assert "ipv4:127.0.0.1:" in text


async def test_calls_of_browsers_are_spans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(app, "open_tracing", lambda _: OtelTracing(exporter))
    parent = "0af7651916cd43dd8448eb211c80319c"
    async with browsing(token_file=write_tokens(tmp_path)) as (_, _api, web):
        await web.call(
            TABLES + "ListTables",
            pb.ListTablesRequest(),
            authorization="Bearer read-token-000000",
            traceparent=f"00-{parent}-b7ad6b7169203331-01",
        )
        await web.call(TABLES + "ListTables", pb.ListTablesRequest())
        await web.client.post("/grpc.health.v1.Health/Check", json={})
    spans = {span.attributes["rpc.grpc.status_code"]: span for span in exporter.get_finished_spans() if span.attributes}
    assert len(exporter.get_finished_spans()) == 2
    assert spans[0].context is not None
    assert f"{spans[0].context.trace_id:032x}" == parent
    assert spans[16].attributes is not None
    assert spans[16].attributes["net.peer.ip"] == "127.0.0.1"


async def test_answers_are_packed_where_it_pays() -> None:
    async with browsing() as (_, api, web):
        await api.create_users()
        await api.insert([user(n) for n in range(3_000)])
        body = {"query": {"table": "users"}}
        for size in (1_000, 1):  # a page, and a row
            sent = body | {"window": {"limit": size}}
            async with web.client.stream(
                "POST", TABLES + "Query", json=sent, headers={"accept-encoding": "gzip"}
            ) as told:
                raw = b"".join([part async for part in told.aiter_raw()])
                packed = told.headers.get("content-encoding") == "gzip"
            assert packed == (size == 1_000)
            assert json.loads(gzip.decompress(raw) if packed else raw)["rows"]["rowCount"] == size
        plain = await web.client.post(TABLES + "Query", json=body, headers={"accept-encoding": "identity, gzip;q=0"})
        assert "content-encoding" not in plain.headers
        asked = pb.QueryStreamRequest(query=q.Query(table="users"))
        stream = TABLES + "QueryStream"
        connect = await web.call(stream, asked, content_type=STREAMS[0], connect_accept_encoding="br, gzip")
        assert connect.headers["connect-content-encoding"] == "gzip"
        by_web = await web.call(stream, asked, content_type=STREAMS[2], grpc_accept_encoding="gzip")
        assert by_web.headers["grpc-encoding"] == "gzip"
        assert connect.responses == by_web.responses


# How it ends


async def test_a_drain_ends_watches_at_a_consistent_point_and_refuses_new_calls() -> None:
    async with browsing(drain_timeout=5.0) as (server, api, web):
        await api.create_users()
        ended: list[Ended] = []

        async def watch(started: asyncio.Event) -> None:
            async with web.stream(TABLES + "WatchTable", pb.WatchTableRequest(table="users")) as messages:
                try:
                    async for _ in messages:
                        started.set()
                except Ended as end:
                    ended.append(end)

        started = asyncio.Event()
        watching = asyncio.create_task(watch(started))
        await started.wait()
        later = pb.QueryRequest(query=q.Query(table="users"), min_version=99)
        held = asyncio.create_task(web.call(TABLES + "Query", later, connect_timeout_ms="9000"))
        await eventually(lambda: server._calls.open[TABLES + "Query"] == 1)
        stopping = asyncio.create_task(server.stop())
        await watching
        told = ended[0].told
        assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_SHUTTING_DOWN")
        assert {found.DESCRIPTOR.name for found in told.details} >= {"ErrorInfo", "RetryInfo"}
        assert (await held).reason == "SERVER_SHUTTING_DOWN"
        await asyncio.wait_for(stopping, 10)
        with pytest.raises(httpx.ConnectError):
            await web.client.get("/healthz")


async def test_while_a_drain_waits_new_calls_hear_why() -> None:
    async with browsing(drain_timeout=20.0) as (server, api, web):
        await api.create_users()
        reader, writer = await asyncio.open_connection(web.host, web.port)
        body = b"{}"  # a request that is still on its way holds the drain up
        head = f"POST {TABLES}WriteStream HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n"
        writer.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        await eventually(lambda: server._calls.open[TABLES + "WriteStream"] == 1)
        with server._gate.enter():
            stopping = asyncio.create_task(server.stop())
            told = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert told.startswith(b"HTTP/1.1 503")
            late = await web.client.post(TABLES + "ListTables", json={})
            assert (late.status_code, late.json()["code"]) == (503, "unavailable")
            health = await web.client.get("/healthz")
            assert (health.status_code, health.json()) == (503, {"status": "NOT_SERVING"})
        await asyncio.wait_for(stopping, 10)
        writer.close()
        assert body


async def test_a_stop_does_not_wait_for_who_does_not_read() -> None:
    async with browsing(drain_timeout=0.5) as (server, api, web):
        await api.create_users()
        await api.insert([user(n, name=f"{n} " * 500) for n in range(3_000)])
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        slow.connect((web.host, web.port))
        body = b'{"query":{"table":"users"}}\n'
        head = f"POST {TABLES}QueryStream HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n"
        slow.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        await eventually(lambda: server._calls.open[TABLES + "QueryStream"] == 1)
        await asyncio.wait_for(server.stop(), 10)
        slow.close()


async def drained(messages: AsyncIterator[Any]) -> list[Any]:
    """What comes until the end."""
    return [message async for message in messages]


@asynccontextmanager
async def process(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, str]]:
    """A server process over a directory, and its two addresses."""
    command = [sys.executable, "-m", "tesseract_grpc.cli", "serve", "--listen", "127.0.0.1:0", "--http-port", "0"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TESSERACT_")}
    command += ["--data", str(folder), "--durability", "normal", "--log-level", "error"]
    found = await asyncio.create_subprocess_exec(*command, env=clean, stdout=asyncio.subprocess.PIPE)
    try:
        assert found.stdout is not None
        lines = [(await asyncio.wait_for(found.stdout.readline(), 60)).decode().strip() for _ in range(2)]
        address, http = (line.removeprefix("listening on ") for line in lines)
        assert http.startswith("http://127.0.0.1:")
        yield found, address, http
    finally:
        if found.returncode is None:
            found.kill()
        await found.wait()


async def test_a_watch_over_connect_goes_on_after_kill_9(tmp_path: Path) -> None:
    first: list[Any] = []
    second: list[Any] = []
    mirror = Mirror()
    async with process(tmp_path) as (_, address, http), grpc.aio.insecure_channel(address) as channel:
        api = Api(channel)
        await api.create_users()
        await api.insert([user(n) for n in range(6)])
        await api.open("s", q.Query(table="users"))
        async with (
            httpx.AsyncClient(base_url=http) as client,
            Web(http, client).stream(SESSIONS + "WatchSession", spb.WatchSessionRequest(name="s")) as messages,
        ):
            async for message in messages:
                first.append(message)
                mirror.apply(message)
                if message.HasField("snapshot_end"):
                    break
        version = (await api.insert([user(10), user(11)])).version
    async with process(tmp_path) as (running, address, http), grpc.aio.insecure_channel(address) as channel:
        api = Api(channel)
        asked = spb.WatchSessionRequest(name="s", resume_token=first[-1].resume_token)
        async with (
            httpx.AsyncClient(base_url=http) as client,
            Web(http, client).stream(SESSIONS + "WatchSession", asked) as messages,
        ):
            async for message in messages:
                second.append(message)
                mirror.apply(message)
                if mirror.consistent and mirror.version >= version:
                    break
            assert second[0].begin.resumed
            assert not any(message.HasField("snapshot_end") for message in second)
            check_resumed(first, second, await truth(api, None))
            running.send_signal(signal.SIGTERM)
            with pytest.raises(Ended) as ended:
                await drained(messages)
            assert ended.value.told.reason == "SERVER_SHUTTING_DOWN"
        assert await asyncio.wait_for(running.wait(), 20) == 0
