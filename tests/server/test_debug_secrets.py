"""An attacker puts secrets wherever a client can put a text or a number. None of them gets into debug records, nor into
the ordinary log, unless values are asked for."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import diagnosis_service_pb2 as dpb
from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import schema_pb2, value_pb2
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.server import ServerConfig, logs
from tests.server.support import Api, compare, insert, rows, serving, sort, user
from tests.server.test_debug import Debug, ms
from tests.wire import batch

SECRET = "hunter2-Zq9"
"""In every text."""
NUMBER = 860_142_977
"""In every number."""
STRANGE = {"id": "int64", SECRET: "string"}
"""A column that there is not."""
TRACES = (SECRET, SECRET.lower(), "hunter2", str(NUMBER), "860142977", "860_142_977", "860,142,977", "Zq9")


@pytest.fixture
def log() -> Any:
    """The server's log, with everything in it."""
    before, out = logs._Root.logger, io.StringIO()
    logs.configure(ServerConfig(log_level="debug", log_format="json"), out)
    yield out
    logs._Root.logger = before


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving(max_rows_per_write=50) as (_, client):
        await client.create_users()
        await client.insert([user(1), user(NUMBER, name=SECRET, notes=f'{{"{SECRET}": "{SECRET}"}}', age=NUMBER)])
        await client.insert([user(3, name=f"{SECRET} too")])
        yield client


async def tried(call: Awaitable[Any]) -> None:
    """What becomes of it is of no interest."""
    try:
        await call
    except grpc.aio.AioRpcError:
        return


def where(text: str) -> q.Filter:
    return q.Filter(custom=text)


def hostile_filters() -> list[q.Filter]:
    """Conditions that hold secrets: good ones, and such as are refused."""
    text = value_pb2.Value(string_value=SECRET)
    return [
        compare("name", "EQUAL", string_value=SECRET),
        compare("age", "GREATER", int64_value=NUMBER),
        compare("age", "EQUAL", string_value=SECRET),  # a type that does not fit
        compare(SECRET, "EQUAL", string_value=SECRET),  # a column that there is not
        compare("born", "GREATER", string_value=SECRET),
        q.Filter(membership=q.Membership(column="name", values=[text, value_pb2.Value(string_value="x")])),
        q.Filter(between=q.Between(column="age", lower=value_pb2.Value(int64_value=NUMBER))),
        q.Filter(like=q.Like(column="name", pattern=SECRET)),
        q.Filter(like=q.Like(column="name", pattern=f"%{SECRET}_")),
        q.Filter(regex=q.Regex(column="name", pattern=f"^{SECRET}.*")),
        q.Filter(regex=q.Regex(column="name", pattern=f"({SECRET}")),  # broken
        where(f'name == "{SECRET}"'),
        where(f'name ~ "{SECRET}" && age < {NUMBER}'),
        where(f'notes.{SECRET.replace("-", "_")} == "x"'),
        where(f'notes["{SECRET}"] == "{SECRET}"'),
        where(f'upper(name + "{SECRET}") == "A"'),
        where(f'name == "{SECRET}'),  # never closed
        where(f"name + {SECRET.replace('-', '_')}"),
        where(f"age / {NUMBER} > nothing({NUMBER})"),
    ]


def hostile_queries() -> list[q.Query]:
    """Secrets in the other parts of a query."""
    pivot = q.Grouping(
        by=["level"],
        aggregates=[q.Aggregate(name="n", function=q.AGGREGATE_FUNCTION_COUNT)],
        split_by=q.Pivot(column="name"),
    )
    computed = q.ComputedColumn(name="label", expression=f'name + "{SECRET}"')
    counted = q.Aggregate(
        name="many",
        function=q.AGGREGATE_FUNCTION_COUNT,
        filter=compare("name", "EQUAL", string_value=SECRET),
    )
    return [
        q.Query(table="users", computed=[computed], filter=where(f'label == "{SECRET}"'), sort=[sort("label")]),
        q.Query(table="users", group=q.Grouping(by=["level"], aggregates=[counted])),
        q.Query(table="users", group=pivot),
        q.Query(table="users", group=pivot, sort=[sort(f"{SECRET}|n")]),
        q.Query(table="users", group=pivot, having=compare(f"{SECRET}|n", "GREATER", int64_value=0)),
        q.Query(table="users", columns=[SECRET]),
        q.Query(table=SECRET + " "),
        q.Query(table="users", sort=[sort(SECRET)]),
        *(q.Query(table="users", filter=each, sort=[sort("name")]) for each in hostile_filters()),
    ]


def hostile_writes() -> list[pb.WriteOperation]:
    """Commits that hold secrets: good ones, and such as are refused, row by row."""
    condition = pb.WriteCondition(if_filter=compare("name", "EQUAL", string_value=SECRET))
    delete = pb.Delete(filter=where(f'name == "{SECRET}" && age > {NUMBER}'))
    return [
        insert([user(5, name=SECRET)]),
        insert([user(NUMBER, name=SECRET)]),  # a key that exists
        insert([user(6, level=SECRET)]),  # no value of the enum
        insert([user(7, notes=f'{{"{SECRET}"')]),  # no JSON
        insert([{"id": 8, "name": None}]),
        pb.WriteOperation(table="users", insert=pb.Insert(rows=batch([{"id": 9, SECRET: "x"}], STRANGE))),
        pb.WriteOperation(table="users", update=pb.Update(rows=rows([{"id": NUMBER + 1, "name": SECRET}]))),
        pb.WriteOperation(table="users", update=pb.Update(rows=rows([{"id": 1, "name": SECRET}])), condition=condition),
        pb.WriteOperation(table="users", delete=delete),
        pb.WriteOperation(table=SECRET + "!", delete=delete),
        insert([user(100 + n, name=SECRET) for n in range(60)]),  # more than are taken
    ]


async def attack(api: Api) -> None:
    """Everything at once."""
    for write in hostile_writes():
        await tried(api.write(write))
        stream = api.tables.WriteStream()
        await stream.write(pb.WriteStreamRequest(sequence=1, write=pb.WriteRequest(operations=[write])))
        await stream.done_writing()
        await tried(stream.read())
    for number, query in enumerate(hostile_queries()):
        await tried(api.tables.Query(pb.QueryRequest(query=query)))
        await tried(api.tables.QueryStream(pb.QueryStreamRequest(query=query)).read())
        await tried(api.sessions.ExplainSession(spb.ExplainSessionRequest(query=query)))
        await tried(api.open(f"s{number}", query))
        await tried(api.open("", query, permanent_filter=compare("name", "NOT_EQUAL", string_value=SECRET)))
        await tried(api.sessions.QuerySession(spb.QuerySessionRequest(name=f"s{number}")))
        edit = spb.UpdateSessionRequest(session=spb.Session(name="s0", query=query))
        edit.update_mask.paths.extend(["query.filter", "query.sort"])
        await tried(api.sessions.UpdateSession(edit))
        derived = schema_pb2.Table(query=query)
        await tried(api.tables.CreateTable(pb.CreateTableRequest(table_id=f"d{number}", table=derived)))
        await tried(api.tables.Query(pb.QueryRequest(query=q.Query(table=f"d{number}", sort=[sort(f"{SECRET}|n")]))))
    await others(api)


async def others(api: Api) -> None:
    """Secrets where they do not belong."""
    column = schema_pb2.Column(name="id", type=value_pb2.DATA_TYPE_STRING, primary_key=True)
    column.default_value.string_value = SECRET
    table = schema_pb2.Table(columns=[column], description=SECRET)
    await tried(api.tables.CreateTable(pb.CreateTableRequest(table_id=SECRET + "/", table=table)))
    await tried(api.tables.GetTable(pb.GetTableRequest(name=f"hubs/default/tables/{SECRET} {NUMBER}")))
    await tried(api.tables.GetRows(pb.GetRowsRequest(table="users", keys=rows([{"id": NUMBER}]))))
    await tried(api.tables.GetRows(pb.GetRowsRequest(table="users", keys=rows([{"name": SECRET}]))))
    await tried(api.tables.ValidateExpression(pb.ValidateExpressionRequest(table="users", expression=f'"{SECRET}')))
    await tried(api.tables.ListTables(pb.ListTablesRequest(page_token=SECRET)))
    await tried(api.sessions.WatchSession(spb.WatchSessionRequest(name="s0", resume_token=SECRET.encode())).read())
    edit = pb.UpdateTableRequest(table=schema_pb2.Table(name="users", description=SECRET))
    edit.update_mask.paths.extend(["description"])
    await tried(api.tables.UpdateTable(edit))
    edit.update_mask.paths[:] = [SECRET]
    await tried(api.tables.UpdateTable(edit))
    call = api.raw.unary_unary("/tesseract.v1.TableService/Write")
    await tried(call(SECRET.encode()))
    watch = api.tables.WatchTable(pb.WatchTableRequest(table="users", include_snapshot=True))
    await watch.read()
    await watch.read()
    watch.cancel()


async def found(api: Api) -> str:
    """All that was recorded, as text."""
    debug = Debug(api)
    await asyncio.sleep(0.3)
    return "\n".join(str(record) for record in await debug.records())


async def test_no_record_holds_a_value(api: Api, log: io.StringIO) -> None:
    debug = Debug(api)
    await debug.on(slow_query=ms(0), capacity=100_000)
    await attack(api)
    async with asyncio.timeout(60):  # until the plans of slow queries are there
        while (await found(api)).count("plan") < 20:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    text = await found(api)
    kinds = {record.kind for record in await debug.records()}
    assert {"call", "commit", "query", "slow_query", "session", "table", "watch", "refusal"} <= kinds
    assert [trace for trace in TRACES if trace in text] == []
    assert "age" in text  # names of columns are no secrets
    assert "order: by ?" in text  # columns of a pivot are named by values
    said = log.getvalue()
    assert "call.refused" in said
    assert "debug.plan_failed" not in said
    assert [trace for trace in TRACES if trace in said] == []


async def test_records_hold_values_when_they_are_asked_for(api: Api) -> None:
    """The attack is worth its name: with values, the secrets are there."""
    await Debug(api).on(slow_query=ms(0), capacity=100_000, include_values=True)
    await attack(api)
    text = await found(api)
    assert SECRET in text
    assert str(NUMBER) in text


async def test_a_secret_in_a_bug_stays_in_it(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as (server, api):
        await api.create_users()
        debug = Debug(api)
        await debug.on()

        def broken(*_: Any, **__: Any) -> Any:
            raise ValueError(f"cannot do {SECRET} with {NUMBER}")

        monkeypatch.setattr(server.hubs["default"], "commit", broken)
        await tried(api.insert([user(1, name=SECRET)]))
        assert (await debug.one("error")).level == dpb.DEBUG_LEVEL_ERROR
        text = await found(api) + log.getvalue()
        assert [trace for trace in TRACES if trace in text] == []
