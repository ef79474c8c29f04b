"""Bad requests at the port for browsers: each is told what is wrong with it, and none is a failure of the server."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from tesseract_grpc._proto.tesseract.v1 import query_pb2
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tests.server.support import insert, user
from tests.server.web_world import STREAMS, UNARY, Web, body_of, browsing, envelope

TABLES = "/tesseract.v1.TableService/"
QUERY = TABLES + "Query"
WATCH = TABLES + "WatchTable"
WRITE = TABLES + "Write"
STREAM = TABLES + "WriteStream"
JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-ndjson"}
CONNECT = {"content-type": "application/connect+proto"}
WEB = {"content-type": "application/grpc-web"}


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    """A port; whatever was done to it, nothing has failed in the end and it still answers."""
    failures: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    async with browsing(max_message_bytes=100_000) as (server, api, web):
        await api.create_users()
        await api.insert([user(1)])
        yield web
        assert (await web.client.get("/healthz")).json() == {"status": "SERVING"}
        assert not [key for key in server._calls.ended if key[1] in ("INTERNAL", "UNKNOWN")]
        assert (await api.all_rows()).rows.row_count >= 1
    assert not failures


def gibberish(size: int) -> bytes:
    return random.Random(size).randbytes(size)


DEEP = b'{"query":' * 3_000 + b"{}" + b"}" * 3_000
FILTER = b'{"query":{"table":"users","filter":' + b'{"negate":' * 60 + b"{}" + b"}" * 60 + b"}}"

SINGLE: list[tuple[str, bytes, dict[str, str], int, str, str]] = [
    (QUERY, b"", JSON, 400, "invalid_argument", "the body is empty"),
    (QUERY, b"  \n", JSON, 400, "invalid_argument", "the body is empty"),
    (QUERY, b"{", JSON, 400, "invalid_argument", "the JSON is not a"),
    (QUERY, b"[]", JSON, 400, "invalid_argument", "an object is expected"),
    (QUERY, b"null", JSON, 400, "invalid_argument", "the JSON is not a"),
    (QUERY, b"3", JSON, 400, "invalid_argument", "the JSON is not a"),
    (QUERY, b'"x"', JSON, 400, "invalid_argument", "the JSON is not a"),
    (QUERY, b'{"a":1}', JSON, 400, "invalid_argument", 'no field named "a"'),
    (QUERY, b'{"\\ud800":1}', JSON, 400, "invalid_argument", "half of a surrogate pair"),
    (QUERY, b'{"parent":"\\ud800"}', JSON, 400, "invalid_argument", "the JSON is not a"),
    (QUERY, b'{"parent":1,"parent":2}', JSON, 400, "invalid_argument", "a name stands twice"),
    (QUERY, b'{"minVersion":NaN}', JSON, 400, "invalid_argument", "NaN is no JSON"),
    (QUERY, b'{"minVersion":-1}', JSON, 400, "invalid_argument", "the JSON is not a"),
    (QUERY, b'{"minVersion":"' + b"9" * 5_000 + b'"}', JSON, 400, "invalid_argument", "the JSON is not a"),
    (QUERY, b'{"minVersion":' + b"9" * 5_000 + b"}", JSON, 400, "invalid_argument", "the JSON is not a"),
    (QUERY, b'{"minVersion":1e400}', JSON, 400, "invalid_argument", "the JSON is not a"),
    (QUERY, b'{"query":[7]}', JSON, 400, "invalid_argument", "the JSON is not a"),
    (QUERY, b'{"query":{"filter":{"anyOf":7}}}', JSON, 400, "invalid_argument", "the JSON is not a"),
    (QUERY, DEEP, JSON, 400, "invalid_argument", "the JSON is not a"),
    (QUERY, b"[" * 90_000, JSON, 400, "invalid_argument", "the JSON is not a"),
    (QUERY, FILTER, JSON, 429, "resource_exhausted", "max_filter_depth"),
    (QUERY, b"\xff\xfe{}", JSON, 400, "invalid_argument", "UTF-8"),
    (QUERY, b"\xff\xff", {"content-type": "application/proto"}, 400, "invalid_argument", "the bytes are not a"),
    (QUERY, b"{}", {}, 415, "invalid_argument", "no content-type"),
    (QUERY, b"{}", {"content-type": "text/plain"}, 415, "invalid_argument", "not understood"),
    (QUERY, b"{}", {"content-type": "application/json; charset=latin-1"}, 415, "invalid_argument", "not understood"),
    (QUERY, b"{}", CONNECT, 415, "invalid_argument", "not understood"),
    (QUERY, b"{}", {"content-type": "application/grpc"}, 415, "invalid_argument", "gRPC needs HTTP/2"),
    (WATCH, b"{}", JSON, 415, "invalid_argument", "application/x-ndjson"),
    (QUERY, b"{}", JSON | {"connect-protocol-version": "2"}, 400, "invalid_argument", "connect-protocol-version"),
    (QUERY, b"{}", JSON | {"connect-timeout-ms": "-1"}, 400, "invalid_argument", "connect-timeout-ms"),
    (QUERY, b"{}", JSON | {"connect-timeout-ms": "1" * 11}, 400, "invalid_argument", "connect-timeout-ms"),
    (QUERY, b"{}", JSON | {"content-encoding": "br"}, 501, "unimplemented", "gzip or identity"),
    (QUERY, b"{}", JSON | {"content-encoding": "gzip"}, 400, "invalid_argument", "is not"),
    (QUERY, gzip.compress(b"{}")[:-3], JSON | {"content-encoding": "gzip"}, 400, "invalid_argument", "too early"),
    (QUERY, gzip.compress(b"{}") + b"x", JSON | {"content-encoding": "gzip"}, 400, "invalid_argument", "behind"),
    (
        QUERY,
        gzip.compress(b" " * 50_000_000),
        JSON | {"content-encoding": "gzip"},
        429,
        "resource_exhausted",
        "max_message_bytes is 100000",
    ),
    (QUERY, b" " * 200_000, JSON, 429, "resource_exhausted", "max_message_bytes is 100000"),
    (TABLES + "Nothing", b"{}", JSON, 404, "unimplemented", "there is no"),
    ("/nowhere", b"", {}, 404, "unimplemented", "there is no"),
    ("/healthz", b"{}", JSON, 405, "invalid_argument", "GET"),
    (STREAM, b'{"sequence":1}\n{"x":\n', LINES, 200, "invalid_argument", "the JSON is not a"),
    (WATCH, b"", LINES, 400, "invalid_argument", "here is none"),
    (WATCH, b"{}\n{}\n", LINES, 400, "invalid_argument", "here is another one"),
]


@pytest.mark.parametrize(
    "case", SINGLE, ids=lambda case: f"{case[0].rpartition('/')[2]}-{case[5][:20]}-{case[1][:12]!r}"
)
async def test_a_bad_request_is_told_what_is_wrong(web: Web, case: Any) -> None:
    path, body, headers, status, code, said = case
    response = await web.client.post(path, content=body, headers=headers)
    assert response.status_code == status
    found = json.loads(response.text.splitlines()[-1])
    found = found.get("error", found)
    assert found["code"] == code
    assert said in found["message"]
    assert len(found["message"]) <= 600
    assert "Traceback" not in response.text
    assert '.py"' not in response.text


FRAMED: list[tuple[bytes, str]] = [
    (b"", "here is none"),
    (b"\x00", "in the middle of an envelope"),
    (envelope(b"")[:-1], "in the middle of an envelope"),
    (envelope(b"abc")[:-1], "in the middle of an envelope"),
    (envelope(b"") * 2, "here is another one"),
    (envelope(b"", 4), "flags 0x04"),
    (envelope(b"", 1), "does not say how"),
    (b"\x00\xff\xff\xff\xff", "max_message_bytes is 100000"),
    (b"\x00\x00\x01\x86\xa1" + b"x" * 100_001, "max_message_bytes is 100000"),
    (envelope(b"\xff\xff"), "the bytes are not a"),
]


@pytest.mark.parametrize("kind", [CONNECT, WEB, {"content-type": "application/grpc-web-text"}], ids=str)
async def test_bad_envelopes_are_told_what_is_wrong(web: Web, kind: dict[str, str]) -> None:
    for body, said in FRAMED:
        text = "text" in kind["content-type"]
        response = await web.client.post(WATCH, content=base64.b64encode(body) if text else body, headers=kind)
        assert response.status_code == 200
        told = base64.b64decode(response.content) if text else response.content
        assert said.encode() in told, (body, told)
        assert b"INTERNAL" not in told
    if "text" in kind["content-type"]:
        response = await web.client.post(WATCH, content=b"*" * 20, headers=kind)
        assert b"not" in base64.b64decode(response.content)


async def test_a_method_is_not_read_with_get_and_nothing_is_put(web: Web) -> None:
    for verb in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE"):
        response = await web.client.request(verb, QUERY)
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
    response = await web.client.post(QUERY, content=b"{}", headers={"content-type": "text/html"})
    assert "application/json" in response.headers["accept-post"]
    assert "application/connect+json" not in response.headers["accept-post"]


NO_HTTP = [
    b"hello\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + gibberish(300),
    b"GET /healthz\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n\r\n",  # no host
    b"GET /healthz HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 20_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
    b"\r\n" * 20_000,
]


@pytest.mark.parametrize("data", NO_HTTP, ids=lambda data: repr(data[:24]))
async def test_what_is_no_http_is_answered_as_such(web: Web, data: bytes) -> None:
    told = await web.raw(data)
    head, _, body = told.partition(b"\r\n\r\n")
    assert head.split()[1] in (b"400", b"431", b"501"), told
    assert b"connection: close" in head
    assert json.loads(body)["message"].startswith("this is no HTTP/1.1 request")


async def test_http_2_is_refused_by_name(web: Web) -> None:
    told = await web.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    assert told.startswith(b"HTTP/1.1 505")
    assert b"HTTP/2.0 is not spoken here" in told


async def test_a_broken_body_is_told(web: Web) -> None:
    head = f"POST {QUERY} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    told = await web.raw(f"{head}transfer-encoding: chunked\r\n\r\nZZ\r\n{{}}".encode())
    assert told.startswith(b"HTTP/1.1 400")
    assert b"the rest of the request is missing" in told


async def test_two_lengths_smuggle_nothing(web: Web) -> None:
    inner = f"POST {TABLES}DeleteTable HTTP/1.1\r\nhost: x\r\n\r\n"
    head = f"POST {QUERY} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 4\r\n"
    told = await web.raw(f"{head}transfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}".encode(), patience=5)
    assert told.count(b"HTTP/1.1 ") == 2  # the status, and the name in the message
    assert told.startswith(b"HTTP/1.1 400")
    assert b"it has two lengths" in told


async def test_requests_may_be_sent_ahead(web: Web) -> None:
    one = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    body = b'{"query":{"table":"users"}}'
    two = f"POST {QUERY} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    told = await web.raw((one + two.encode() + body) * 20 + last)
    assert told.count(b"HTTP/1.1 200 OK") == 41
    assert told.count(b'"rowCount":1') == 20
    assert told.count(b"SERVING") == 21


async def test_an_unwanted_body_does_not_cost_the_connection(web: Web) -> None:
    size = 60_000
    head = f"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n".encode()
    last = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    told = await web.raw(head + b"x" * size + last)
    assert told.startswith(b"HTTP/1.1 404")
    assert told.endswith(b'{"status":"SERVING"}\n')


async def test_an_endless_body_is_cut_off_and_the_answer_arrives(web: Web) -> None:
    reader, writer = await asyncio.open_connection(web.host, web.port)
    writer.write(f"POST {QUERY} HTTP/1.1\r\nhost: x\r\n{'content-type: application/json'}\r\n".encode())
    writer.write(b"transfer-encoding: chunked\r\n\r\n")

    async def pour() -> None:
        while True:
            writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
            await writer.drain()

    pouring = asyncio.create_task(pour())
    told = await asyncio.wait_for(reader.read(-1), 20)
    assert told.startswith(b"HTTP/1.1 429")
    assert b"max_message_bytes" in told
    with pytest.raises((ConnectionError, OSError)):
        await asyncio.wait_for(pouring, 20)
    writer.close()


async def test_expect_continue_is_said_to_those_who_may_go_on(web: Web) -> None:
    def head(path: str) -> bytes:
        lines = (f"POST {path} HTTP/1.1", "host: x", "content-type: application/json", "expect: 100-continue")
        return ("\r\n".join(lines) + "\r\ncontent-length: 2\r\nconnection: close\r\n\r\n").encode()

    reader, writer = await asyncio.open_connection(web.host, web.port)
    writer.write(head(TABLES + "ListTables"))
    assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 100")
    writer.write(b"{}")
    assert b"HTTP/1.1 200" in await asyncio.wait_for(reader.read(-1), 5)
    writer.close()
    assert (await web.raw(head("/nowhere"))).startswith(b"HTTP/1.1 404")


async def test_http_1_0_is_answered_without_chunks(web: Web) -> None:
    body = b'{"query":{"table":"users"}}\n'
    head = f"POST {TABLES}QueryStream HTTP/1.0\r\ncontent-type: application/x-ndjson\r\n"
    head += f"content-length: {len(body)}\r\n\r\n"
    told = await web.raw(head.encode() + body)
    lines = told.partition(b"\r\n\r\n")[2].splitlines()
    assert len(lines) >= 1
    assert all(json.loads(line) for line in lines)
    assert b"transfer-encoding" not in told


def valid(chance: random.Random) -> bytes:
    """A whole request of any format."""
    path, request, kinds = chance.choice(
        [
            (QUERY, pb.QueryRequest(query=query_pb2.Query(table="users")), UNARY),
            (WRITE, pb.WriteRequest(operations=[insert([user(chance.randrange(10**9))])]), UNARY),
            (TABLES + "QueryStream", pb.QueryStreamRequest(query=query_pb2.Query(table="users")), STREAMS),
            (STREAM, pb.WriteStreamRequest(write=pb.WriteRequest(operations=[insert([user(1)])])), STREAMS),
        ]
    )
    kind, packed = chance.choice(kinds), chance.random() < 0.2
    body = body_of(kind, [request], packed=packed)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\nconnection: close\r\n"
    if packed:
        head += "content-encoding: gzip\r\nconnect-content-encoding: gzip\r\ngrpc-encoding: gzip\r\n"
    if chance.random() < 0.3:
        return f"{head}transfer-encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def damage(data: bytes, chance: random.Random) -> bytes:
    """Bytes flipped, cut out, doubled, put in; in the head or in the body, or in both."""
    found = bytearray(data)
    body = data.find(b"\r\n\r\n") + 4
    for _ in range(chance.choice([1, 1, 2, 5])):
        at = chance.randrange(body, len(found) + 1) if chance.random() < 0.6 and len(found) > body else 0
        at = at or chance.randrange(len(found) + 1)
        match chance.randrange(5):
            case 0 if at < len(found):
                found[at] ^= 1 << chance.randrange(8)
            case 1:
                del found[at : at + chance.choice([1, 4, 50])]
            case 2:
                found[at:at] = found[at : at + chance.choice([1, 20, 100])]
            case 3:
                found[at:at] = chance.choice([b"\x00", b"\r\n", b"{", b'"', b"\xff" * 5, b"[" * 50, b"9" * 30])
            case _ if at < len(found):
                found[at] = chance.randrange(256)
    return bytes(found)


@pytest.mark.fuzz
async def test_damaged_requests_never_fail_the_server(web: Web) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance, statuses = random.Random(seed), dict[bytes, int]()
    for number in range(300):
        data = damage(valid(chance), chance)
        reader, writer = await asyncio.open_connection(web.host, web.port)
        writer.write(data)
        told = b""
        with suppress(TimeoutError, ConnectionError):
            # What lost its end is waited for by the server; the client then goes away in the middle.
            told = await asyncio.wait_for(reader.read(-1), 0.4)
        writer.close()
        if told:
            status = told.split(b" ", 2)[1]
            statuses[status] = statuses.get(status, 0) + 1
            assert status != b"500", (seed, number, data, told)
            for word in (b"INTERNAL", b'"internal"', b"grpc-status: 13", b"grpc-status: 2\r", b"Traceback"):
                assert word not in told, (seed, number, data, told)
    assert statuses.get(b"200", 0) > 10, statuses
    assert statuses.get(b"400", 0) > 40, statuses


async def test_tls_on_a_plain_port_fails_at_once(web: Web) -> None:
    context = ssl.create_default_context()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.wait_for(asyncio.open_connection(web.host, web.port, ssl=context), 5)
