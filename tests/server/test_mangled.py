"""Mangled requests: whatever bytes come, the answer is a refusal or a success, never a failure of the server.

Valid requests are damaged (bytes flipped, cut, doubled) and sent through a socket. A damaged request may still be valid
and change something; what must hold is that every structure stays sound.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import grpc

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2 as hpb
from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import schema_pb2, value_pb2
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tests.server.boards import query
from tests.server.support import Api, compare, insert, rows, serving, sort, user, user_columns

ROUNDS = 1_500
FILTER = q.Filter(
    all_of=q.FilterList(
        filters=[
            compare("age", "GREATER", int64_value=1),
            q.Filter(negate=compare("born", "LESS", string_value="2013-01-01")),
            q.Filter(membership=q.Membership(column="name", values=[value_pb2.Value(string_value="a")])),
            q.Filter(between=q.Between(column="score", lower=value_pb2.Value(float64_value=0.5))),
            q.Filter(like=q.Like(column="name", pattern="us%")),
            q.Filter(regex=q.Regex(column="name", pattern="[a-z]+ [0-9]")),
            q.Filter(any_of=q.FilterList(filters=[q.Filter(null_test=q.NullTest(column="notes"))])),
        ]
    )
)
QUERY = q.Query(
    table="users", filter=FILTER, columns=["name", "age"], sort=[sort("age"), sort("name", descending=True)]
)
EVERYTHING = query(
    source={
        "union": {
            "sources": [
                {"query": {"table": "users", "columns": ["name", "age"]}},
                {"subSession": "young"},
            ]
        }
    },
    subSessions={"young": {"table": "users", "filter": {"custom": "age < 30"}, "columns": ["name", "age"]}},
    joins=[
        {
            "source": {"session": "hubs/default/sessions/all"},
            "kind": "JOIN_KIND_LEFT",
            "on": [{"left": "age", "right": "age"}, {"left": "name", "right": "name"}],
            "columns": [{"column": "score"}, {"column": "level", "name": "rank"}],
            "prefix": "p_",
        }
    ],
    computed=[
        {"name": "twice", "expression": "age * 2 + now().getFullYear()"},
        {"name": "card", "template": "${name}: ${twice}"},
        {"name": "who", "lookup": {"source": {"table": "users"}, "on": [{"left": "id"}], "template": "${name}"}},
    ],
    windowColumns=[
        {
            "name": "place",
            "function": "WINDOW_FUNCTION_RANK",
            "partitionBy": ["rank"],
            "orderBy": [{"column": "age"}],
        },
        {"name": "before", "function": "WINDOW_FUNCTION_LAG", "column": "age", "offset": 2},
        {"name": "moving", "function": "WINDOW_FUNCTION_AVG", "column": "p_score", "rows": 3},
    ],
    columns=["card", "who", "place", "before", "moving"],
    sort=[{"column": "place", "nulls": "NULLS_ORDER_FIRST"}],
)
ROLLUP = query(
    table="users",
    group={
        "by": ["active", "name"],
        "aggregates": [
            {"name": "n", "function": "AGGREGATE_FUNCTION_COUNT", "filter": {"custom": "age > 22"}},
            {"name": "p", "function": "AGGREGATE_FUNCTION_PERCENTILE", "expression": "age / 2", "percentile": 0.9},
            {"name": "w", "function": "AGGREGATE_FUNCTION_WEIGHTED_AVG", "column": "score", "weight": "age"},
            {"name": "j", "function": "AGGREGATE_FUNCTION_JOIN", "column": "name", "orderBy": "age", "limit": 9},
            {"name": "e", "function": "AGGREGATE_FUNCTION_EXPRESSION", "expression": "p / n"},
        ],
        "mode": "GROUP_MODE_ROLLUP",
        "includeLeafs": True,
    },
    having={"custom": "n > 0"},
)
TREE = query(table="users", tree={"parent": "age"}, sort=[{"column": "name"}])
OPEN = q.Window(
    limit=9, expansion=q.Expansion(depth=1, expanded=[q.NodeKey(values=[value_pb2.Value(bool_value=True)])])
)
CONDITION = pb.WriteCondition(if_filter=FILTER, skip_unmatched=True)
REQUESTS = {
    "TableService/CreateTable": pb.CreateTableRequest(
        table_id="other", table=schema_pb2.Table(columns=user_columns(), indexes=[schema_pb2.Index(column="age")])
    ),
    "TableService/Write": pb.WriteRequest(
        operations=[
            insert([user(id) for id in range(40, 43)]),
            pb.WriteOperation(table="users", upsert=pb.Upsert(rows=rows([user(1), user(50)])), condition=CONDITION),
            pb.WriteOperation(
                table="users", update=pb.Update(rows=rows([{"id": 1, "name": "x"}]), ignore_missing=True)
            ),
            pb.WriteOperation(table="users", increment=pb.Increment(rows=rows([{"id": 2, "age": 5, "score": 0.5}]))),
            pb.WriteOperation(table="users", delete=pb.Delete(keys=rows([{"id": 3}, {"id": 41}]))),
            pb.WriteOperation(table="users", delete=pb.Delete(filter=FILTER)),
        ]
    ),
    "TableService/Query": pb.QueryRequest(query=QUERY, window=q.Window(offset=1, limit=5)),
    "TableService/GetRows": pb.GetRowsRequest(table="users", keys=rows([{"id": 1}, {"id": 3}]), columns=["age"]),
    "SessionService/CreateSession": spb.CreateSessionRequest(session=spb.Session(query=QUERY)),
    "TableService/CreateTable 2": pb.CreateTableRequest(
        table_id="derived", table=schema_pb2.Table(query=EVERYTHING, description="x")
    ),
    "TableService/Query 2": pb.QueryRequest(query=EVERYTHING, window=q.Window(limit=5)),
    "TableService/Query 3": pb.QueryRequest(query=ROLLUP, window=OPEN),
    "TableService/Query 4": pb.QueryRequest(query=TREE, window=q.Window(limit=9, expansion=q.Expansion(depth=1))),
    "SessionService/CreateSession 2": spb.CreateSessionRequest(
        session=spb.Session(query=ROLLUP, permanent_filter=FILTER)
    ),
    "SessionService/UpdateSession": spb.UpdateSessionRequest(
        session=spb.Session(name="all", query=ROLLUP),
        update_mask={"paths": ["query.group", "query.filter", "query.sort", "query.columns"]},  # type: ignore[arg-type]
    ),
    "SessionService/UpdateSession 2": spb.UpdateSessionRequest(
        session=spb.Session(name="all", query=EVERYTHING),
        update_mask={"paths": ["query"]},  # type: ignore[arg-type]
    ),
    "SessionService/ExplainSession": spb.ExplainSessionRequest(query=EVERYTHING),
    "TableService/UpdateTable": pb.UpdateTableRequest(
        table=schema_pb2.Table(
            name="users", indexes=[schema_pb2.Index(column="name"), schema_pb2.Index(column="score")]
        ),
        update_mask={"paths": ["indexes"]},  # type: ignore[arg-type]
    ),
}


def mangle(raw: bytes, chance: random.Random) -> bytes:
    """`raw`, damaged in one to three places."""
    damaged = bytearray(raw)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(damaged)) if damaged else 0
        match chance.randrange(5):
            case 0:
                damaged[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                damaged[at : at + 1] = bytes([damaged[at] ^ 1 << chance.randrange(8)]) if damaged else b""
            case 2:
                del damaged[at : at + chance.randint(1, 4)]
            case 3:
                damaged[at:at] = damaged[at : at + chance.randint(1, 12)]
            case _:
                damaged[at : at + 8] = chance.choice([bytes(8), b"\xff" * 8, b"\x00" * 7 + b"\x80"])
    return bytes(damaged)


async def test_whatever_comes_is_answered(pytestconfig: object) -> None:
    seed = getattr(pytestconfig, "option").hypothesis_seed  # noqa: B009 (no type says that it is there)
    chance = random.Random(seed)
    options: dict[str, Any] = {"max_tables": 20, "max_sessions": 50, "max_version_wait": 0.01}
    async with serving(**options) as (server, api):
        await api.create_users()
        await api.insert([user(id) for id in range(30)])
        await api.open("all", q.Query(table="users", sort=[sort("age")]))
        watch = asyncio.create_task(drain(api))
        outcomes: dict[str, int] = {}
        for _ in range(ROUNDS):
            method, request = chance.choice(list(REQUESTS.items()))
            method = method.partition(" ")[0]
            raw = mangle(request.SerializeToString(), chance)
            code = await outcome(api, method, raw)
            outcomes[code] = outcomes.get(code, 0) + 1
            assert code not in ("INTERNAL", "UNKNOWN"), f"seed {seed}: {method} {raw.hex()}"
        assert outcomes["INVALID_ARGUMENT"] > ROUNDS / 10
        assert outcomes["OK"] > ROUNDS / 100
        assert not (await api.hubs.CheckHub(hpb.CheckHubRequest())).violations
        assert not watch.done(), "a watch fell over"
        watch.cancel()
        assert server.hubs["default"].version > 3


async def outcome(api: Api, method: str, raw: bytes) -> str:
    try:
        await api.raw.unary_unary(f"/tesseract.v1.{method}")(raw, timeout=10)
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def drain(api: Api) -> None:
    async for _ in api.sessions.WatchSession(spb.WatchSessionRequest(name="all")):
        pass
