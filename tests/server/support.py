"""What the tests of the server share: a client of the generated stubs, rows for one table, refusals taken apart."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc

from tesseract_grpc._proto.tesseract.v1 import (
    hub_service_pb2_grpc,
    query_pb2,
    schema_pb2,
    session_service_pb2,
    session_service_pb2_grpc,
    table_service_pb2,
    table_service_pb2_grpc,
    value_pb2,
)
from tesseract_grpc.server import Server, ServerConfig
from tesseract_grpc.server.host import Clock
from tests.wire import batch

pb = table_service_pb2
spb = session_service_pb2

TYPES = {
    "id": "int64",
    "name": "string",
    "age": "int64",
    "score": "float64",
    "born": "timestamp",
    "active": "bool",
    "notes": "json",
    "level": "enum",
}


class Api:
    """All stubs over one channel, and the calls that tests make all the time."""

    def __init__(self, channel: grpc.aio.Channel, target: str = "") -> None:
        self.channel = channel
        self.raw: Any = channel  # for calls whose requests and responses are bytes
        self.health: Any = health_pb2_grpc.HealthStub(channel)  # these two come without types of their asyncio side
        self.reflection: Any = reflection_pb2_grpc.ServerReflectionStub(cast(Any, channel))
        self.target = target
        self.tables = table_service_pb2_grpc.TableServiceStub(channel)
        self.sessions = session_service_pb2_grpc.SessionServiceStub(channel)
        self.hubs = hub_service_pb2_grpc.HubServiceStub(channel)

    async def create_users(self, name: str = "users", **options: Any) -> schema_pb2.Table:
        """A table with a column of every type."""
        table = schema_pb2.Table(columns=user_columns(), indexes=[schema_pb2.Index(column="age")])
        response = await self.tables.CreateTable(pb.CreateTableRequest(table_id=name, table=table, **options))
        return response.table

    async def write(self, *operations: pb.WriteOperation, **options: Any) -> pb.WriteResponse:
        """One commit."""
        return await self.tables.Write(pb.WriteRequest(operations=operations, **options))

    async def insert(self, rows: Sequence[Mapping[str, Any]], table: str = "users", **options: Any) -> pb.WriteResponse:
        """One commit that inserts."""
        return await self.write(insert(rows, table), **options)

    async def open(self, name: str, query: query_pb2.Query | None = None, **fields: Any) -> spb.Session:
        """A session."""
        session = spb.Session(query=query or query_pb2.Query(table="users"), **fields)
        response = await self.sessions.CreateSession(spb.CreateSessionRequest(session_id=name, session=session))
        return response.session

    async def all_rows(self, table: str = "users") -> pb.QueryResponse:
        """What a table holds."""
        return await self.tables.Query(pb.QueryRequest(query=query_pb2.Query(table=table)))


def user_columns() -> list[schema_pb2.Column]:
    """A column of every type; the key is `id`, `name` is required."""
    columns = [
        schema_pb2.Column(name=name, type=getattr(value_pb2, f"DATA_TYPE_{kind.upper()}"), primary_key=name == "id")
        for name, kind in TYPES.items()
    ]
    columns[1].required = True
    columns[-1].enum_values.extend(["low", "high"])
    return columns


def user(id: int, **values: Any) -> dict[str, Any]:
    """A row of the users table."""
    row = {
        "id": id,
        "name": f"user {id}",
        "age": 20 + id,
        "score": id / 2,
        "born": id * 1_000_000,
        "active": id % 2 == 0,
    }
    return {**row, "notes": "{}", "level": "low", **values}


def rows(items: Sequence[Mapping[str, Any]]) -> value_pb2.RowBatch:
    """Rows of the users table as columns."""
    return batch(items, TYPES)


def insert(items: Sequence[Mapping[str, Any]], table: str = "users") -> pb.WriteOperation:
    """An insert of users."""
    return pb.WriteOperation(table=table, insert=pb.Insert(rows=rows(items)))


def compare(column: str, operator: str, **value: Any) -> query_pb2.Filter:
    """`column operator value`; the value by its field, for example int64_value=3."""
    return query_pb2.Filter(
        comparison=query_pb2.Comparison(
            column=column,
            operator=getattr(query_pb2, f"COMPARISON_OPERATOR_{operator}"),
            value=value_pb2.Value(**value),
        )
    )


def sort(column: str, *, descending: bool = False) -> query_pb2.SortKey:
    """One key of a sort."""
    direction = query_pb2.SORT_DIRECTION_DESCENDING if descending else query_pb2.SORT_DIRECTION_ASCENDING
    return query_pb2.SortKey(column=column, direction=direction)


@dataclass(frozen=True)
class Refused:
    """A refusal as a client sees it."""

    code: grpc.StatusCode
    message: str
    reason: str
    fields: tuple[str, ...]
    metadata: Mapping[str, str]
    row_errors: pb.RowErrors | None
    resource: str
    retry_ms: int | None


async def refused(call: Awaitable[Any]) -> Refused:
    """The refusal that a call ends with; fails when it succeeds."""
    try:
        response = await call
    except grpc.aio.AioRpcError as error:
        return take_apart(error)
    raise AssertionError(f"not refused: {response}")


def take_apart(error: grpc.aio.AioRpcError) -> Refused:
    """The details of a status. A refusal without ErrorInfo is not one of ours."""
    raw = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    assert raw is not None, f"no details: {error.code()} {error.details()}"
    status = status_pb2.Status.FromString(raw)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    resource, retry, row_errors = error_details_pb2.ResourceInfo(), error_details_pb2.RetryInfo(), pb.RowErrors()
    found = {
        kind.DESCRIPTOR.full_name: any(detail.Unpack(kind) for detail in status.details)
        for kind in (info, bad, resource, retry, row_errors)
    }
    assert status.code == error.code().value[0]
    assert info.domain == "tesseract-grpc"
    return Refused(
        code=error.code(),
        message=error.details() or "",
        reason=info.reason,
        fields=tuple(violation.field for violation in bad.field_violations),
        metadata=dict(info.metadata),
        row_errors=row_errors if found["tesseract.v1.RowErrors"] else None,
        resource=resource.resource_name,
        retry_ms=retry.retry_delay.ToMilliseconds() if found["google.rpc.RetryInfo"] else None,
    )


@asynccontextmanager
async def serving(clock: Clock = time.time, **options: Any) -> AsyncIterator[tuple[Server, Api]]:
    """A server on a free port and a client of it."""
    config = ServerConfig(**{"listen": "127.0.0.1:0", "drain_timeout": 2.0, **options})
    async with Server(config, clock=clock) as server, grpc.aio.insecure_channel(server.address) as channel:
        yield server, Api(channel, server.address)


def write_tokens(folder: Path) -> Path:
    """A token file with one token of each role: `read-token-000000` and so on."""
    path = folder / "tokens.toml"
    entries = [
        f'[[tokens]]\nname = "{role}er"\nrole = "{role}"\ntoken = "{role}-token-000000"\n'
        for role in ("read", "write", "admin")
    ]
    path.write_text("\n".join(entries))
    return path
