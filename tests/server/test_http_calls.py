"""The port for browsers says what gRPC says: every method, in every format, in success and in refusal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import query_pb2
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tests.server.support import insert, user
from tests.server.web_world import METHODS, STREAMS, UNARY, Ended, Web, browsing, grpc_call, request_of, same

TABLES = "/tesseract.v1.TableService/"
SESSIONS = "/tesseract.v1.SessionService/"
HUBS = "/tesseract.v1.HubService/"

World = tuple[Any, Any, Web]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with browsing(progress_interval=0.3) as (server, api, web):
        await api.create_users()
        await api.insert([user(id, notes=None if id == 3 else '{"a": [1, "ü 🦀"]}') for id in range(5)])
        await api.open("all", query_pb2.Query(table="users"))
        yield server, api, web


def formats_of(path: str) -> tuple[str, ...]:
    method = METHODS[path]
    return STREAMS if method.server_streaming or method.client_streaming else UNARY


def lost(path: str) -> Any:
    """A request whose hub, table or session is nowhere."""
    request = request_of(path)
    for field in request.DESCRIPTOR.fields:
        if field.name in ("parent", "name", "table", "hub") and field.type == field.TYPE_STRING:
            setattr(request, field.name, "hubs/nowhere/tables/x" if field.name in ("name", "table") else "hubs/nowhere")
    return request


async def test_every_method_refuses_in_every_format_as_grpc_does(world: World) -> None:
    _, api, web = world
    refused = 0
    for path in METHODS:
        request = lost(path)
        expected = await asyncio.wait_for(grpc_call(api, path, request), 10)
        if expected.code is grpc.StatusCode.OK:
            continue
        refused += 1
        for content_type in formats_of(path):
            found = await web.call(path, request, content_type=content_type)
            same(found, expected)
            assert found.reason
            single = content_type in ("application/json", "application/proto", "application/x-ndjson")
            assert (found.http != 200) == single
    assert refused >= len(METHODS) - 8, refused


READS: dict[str, dict[str, Any]] = {
    TABLES + "GetTable": {"name": "hubs/default/tables/users"},
    TABLES + "ListTables": {},
    TABLES + "Query": {"query": query_pb2.Query(table="users")},
    TABLES + "QueryStream": {"query": query_pb2.Query(table="users")},
    TABLES + "ValidateExpression": {"table": "hubs/default/tables/users", "expression": "age > 'x'"},
    SESSIONS + "GetSession": {"name": "hubs/default/sessions/all"},
    SESSIONS + "ListSessions": {},
    SESSIONS + "QuerySession": {"name": "hubs/default/sessions/all"},
    SESSIONS + "QuerySessionStream": {"name": "hubs/default/sessions/all"},
    SESSIONS + "ExplainSession": {"name": "hubs/default/sessions/all"},
}


async def test_reads_are_told_in_every_format_as_in_grpc(world: World) -> None:
    _, api, web = world
    for path, fields in READS.items():
        request = request_of(path, **fields)
        expected = await grpc_call(api, path, request)
        for content_type in formats_of(path):
            for packed in (False, True):
                if packed and "ndjson" in content_type:
                    continue
                header = {
                    "application/json": "content_encoding",
                    "application/proto": "content_encoding",
                    "application/connect+json": "connect_content_encoding",
                    "application/connect+proto": "connect_content_encoding",
                }.get(content_type, "grpc_encoding")
                headers = {header: "gzip"} if packed else {}
                found = await web.call(path, request, content_type=content_type, packed=packed, **headers)
                for response in (*found.responses, *expected.responses):
                    for volatile in ("memory_bytes", "statistics"):
                        if volatile in response.DESCRIPTOR.fields_by_name:
                            response.ClearField(volatile)
                same(found, expected)
                assert found.responses, path


async def test_a_table_lives_and_dies_by_json(world: World) -> None:
    _, _, web = world

    async def ask(method: str, body: Any) -> Any:
        response = await web.client.post(method, json=body)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/json"
        return response.json()

    columns = [
        {"name": "id", "type": "DATA_TYPE_INT64", "primaryKey": True},
        {"name": "at", "type": "DATA_TYPE_TIMESTAMP"},
        {"name": "n", "type": "DATA_TYPE_FLOAT64"},
        {"name": "t", "type": "DATA_TYPE_STRING"},
    ]
    await ask(TABLES + "CreateTable", {"tableId": "j", "table": {"columns": columns}})
    batch = {
        "rowCount": 3,
        "columns": [
            {"name": "id", "int64s": {"values": ["9007199254740993", "-1", "0"]}},
            {"name": "at", "timestamps": {"values": ["-1", "1", "253402300799999999"]}},
            {"name": "n", "float64s": {"values": ["NaN", "-Infinity", -0.0]}},
            {"name": "t", "validity": "BQ==", "strings": {"values": ["", "", "🦀\u2028"]}},
        ],
    }
    written = await ask(TABLES + "Write", {"operations": [{"table": "j", "insert": {"rows": batch}}], "requestId": "1"})
    again = await ask(TABLES + "Write", {"operations": [{"table": "j", "insert": {"rows": batch}}], "requestId": "1"})
    assert again["version"] == written["version"]
    page = await ask(TABLES + "Query", {"query": {"table": "j", "sort": [{"column": "t"}]}})
    values = {
        column["name"]: next(v for k, v in column.items() if k.endswith("s")) for column in page["rows"]["columns"]
    }
    assert sorted(values["id"]["values"]) == ["-1", "0", "9007199254740993"]
    assert sorted(map(str, values["n"]["values"])) == ["-Infinity", "0.0", "NaN"]
    await ask(SESSIONS + "CreateSession", {"sessionId": "js", "session": {"query": {"table": "j"}}})
    renamed = await ask(TABLES + "RenameTable", {"name": "hubs/default/tables/j", "newTableId": "k"})
    assert renamed["table"]["name"] == "hubs/default/tables/k"
    await ask(SESSIONS + "DeleteSession", {"name": "hubs/default/sessions/js"})
    await ask(TABLES + "DeleteTable", {"name": "hubs/default/tables/k"})
    tables = await ask(TABLES + "ListTables", {})
    assert [table["name"] for table in tables["tables"]] == ["hubs/default/tables/users"]


@pytest.mark.parametrize("content_type", STREAMS)
async def test_a_stream_of_writes_is_answered_in_order_half_duplex(world: World, content_type: str) -> None:
    """Whoever can only read after it has written everything gets every acknowledgement; a refused one ends nothing."""
    _, api, web = world
    requests = [
        pb.WriteStreamRequest(sequence=n, write=pb.WriteRequest(operations=[insert([user(100 + n % 40)])]))
        for n in range(1, 61)
    ]
    found = await web.call(TABLES + "WriteStream", *requests, content_type=content_type)
    assert found.code is grpc.StatusCode.OK
    assert [response.sequence for response in found.responses] == list(range(1, 61))
    assert [response.WhichOneof("outcome") for response in found.responses] == ["committed"] * 40 + ["refused"] * 20
    assert {response.refused.reason for response in found.responses[40:]} == {"DUPLICATE_KEY"}
    assert (await api.all_rows()).rows.row_count == 45


async def test_a_stream_of_writes_is_acknowledged_while_it_is_open(world: World) -> None:
    """A client that can read while it writes gets each acknowledgement at once."""
    _, _, web = world

    def line(id: int) -> bytes:
        columns = [{"name": "id", "int64s": {"values": [str(id)]}}, {"name": "name", "strings": {"values": ["a"]}}]
        write = {"operations": [{"table": "users", "insert": {"rows": {"rowCount": 1, "columns": columns}}}]}
        text = json.dumps({"write": write}).encode() + b"\n"
        return b"%x\r\n%b\r\n" % (len(text), text)

    reader, writer = await asyncio.open_connection(web.host, web.port)
    head = f"POST {TABLES}WriteStream HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n"
    writer.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode() + line(200))
    told = await asyncio.wait_for(reader.readuntil(b'"version":"'), 10)
    assert told.startswith(b"HTTP/1.1 200")
    writer.write(line(201) + line(202) + b"0\r\n\r\n")
    rest = await asyncio.wait_for(reader.readuntil(b"\r\n0\r\n\r\n"), 10)
    assert rest.count(b'"committed"') == 2
    writer.close()


async def test_reflection_and_health_are_served_too(world: World) -> None:
    _, _, web = world
    health = await web.client.post("/grpc.health.v1.Health/Check", json={"service": "tesseract.v1.TableService"})
    assert health.json() == {"status": "SERVING"}
    unknown = await web.client.post("/grpc.health.v1.Health/Check", json={"service": "nobody"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    broken = await web.client.post(
        "/grpc.health.v1.Health/Check", content=b"\xff\xff", headers={"content-type": "application/proto"}
    )
    assert (broken.status_code, broken.json()["code"]) == (400, "invalid_argument")
    asked = await web.client.post(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        content=b'{"listServices": ""}\n',
        headers={"content-type": "application/x-ndjson"},
    )
    names = [service["name"] for service in json.loads(asked.text)["listServicesResponse"]["service"]]
    assert "tesseract.v1.SessionService" in names


async def test_watching_a_session_over_connect(world: World) -> None:
    _, api, web = world
    async with web.stream(SESSIONS + "WatchSession", spb.WatchSessionRequest(name="all")) as messages:
        events = []
        async for message in messages:
            events.append(message.WhichOneof("event"))
            if events[-1] == "snapshot_end":
                await api.insert([user(50)])
            if events[-1] == "changes":
                assert message.changes.inserts.rows.row_count == 1
            if events.count("progress") >= 2:
                break
        assert events[:3] == ["begin", "snapshot_rows", "snapshot_end"]
        assert "changes" in events


async def test_the_port_has_nothing_to_add_to_a_message(world: World) -> None:
    """No message of a stream has a member `error`, so a line that has one is the end."""
    for path, method in METHODS.items():
        if method.server_streaming:
            assert "error" not in {found.json_name for found in method.output_type.fields}, path


async def test_the_end_of_what_is_watched_is_told_with_its_reason(world: World) -> None:
    _, api, web = world
    ended: Ended | None = None
    async with web.stream(TABLES + "WatchTable", pb.WatchTableRequest(table="users")) as messages:
        try:
            async for _ in messages:
                await api.sessions.DeleteSession(spb.DeleteSessionRequest(name="hubs/default/sessions/all"))
                await api.tables.DeleteTable(pb.DeleteTableRequest(name="hubs/default/tables/users"))
        except Ended as error:
            ended = error
        except grpc.aio.AioRpcError:
            pass
    assert ended is not None
    assert (ended.told.reason, ended.told.code) == ("TABLE_DELETED", grpc.StatusCode.FAILED_PRECONDITION)
