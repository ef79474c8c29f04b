"""A hub behind its services, in this process and without a port: requests in, messages out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from google.protobuf.message import Message

from tesseract_grpc._proto.tesseract.v1 import query_pb2, schema_pb2, session_service_pb2, table_service_pb2, value_pb2
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.changes import BEHAVIOURS
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.config import ServerConfig
from tesseract_grpc.server.host import Hosts
from tesseract_grpc.server.services.caches import Caches
from tesseract_grpc.server.services.definitions import Definitions
from tesseract_grpc.server.services.diagnoses import Diagnoses
from tesseract_grpc.server.services.performance_tests import PerformanceTests
from tesseract_grpc.server.services.reads import Reads
from tesseract_grpc.server.services.session_edits import SessionEdits
from tesseract_grpc.server.services.sessions import Sessions
from tesseract_grpc.server.services.swaps import Swaps
from tesseract_grpc.server.services.writes import Writes
from tesseract_grpc.testing import ManualClock
from tesseract_grpc.testing.rows import Row, rows_of
from tests.wire import batch

pb, spb, q = table_service_pb2, session_service_pb2, query_pb2

TYPES = {"id": "int64", "n": "int64", "name": "string", "at": "timestamp"}


class _Context:
    """What a call may ask gRPC for."""

    def peer(self) -> str:
        return "test"

    def time_remaining(self) -> None:
        return None


class Asking:
    """One hub, asked through the objects that serve it."""

    def __init__(self, **options: Any) -> None:
        self.clock = ManualClock(1_000.0)
        self.hosts = Hosts(ServerConfig(listen="127.0.0.1:0", **options), self.clock, BEHAVIOURS)
        self.host = self.hosts.by_name["default"]
        self.reads = Reads(self.hosts)
        self.caches = Caches(self.hosts)
        self._handlers = (
            self.reads,
            self.caches,
            Diagnoses(self.hosts),
            PerformanceTests(self.hosts),
            Definitions(self.hosts),
            Writes(self.hosts),
            Sessions(self.hosts),
            SessionEdits(self.hosts),
            Swaps(self.hosts),
        )

    async def ask(self, method: str, request: Message) -> Any:
        """The response of a unary call, as the message that a client gets."""
        raw = await self.handler(method)(twin_of(request), Call(method, _Context()))
        data = raw if isinstance(raw, bytes) else raw.SerializeToString()
        response: Any = type(request).DESCRIPTOR.file.pool  # found by name, as gRPC does
        name = type(request).DESCRIPTOR.full_name.removesuffix("Request") + "Response"
        return _class(response, name).FromString(data)

    async def stream(self, request: pb.QueryStreamRequest) -> list[pb.QueryStreamResponse]:
        """All messages of a QueryStream."""
        call = cast(Any, Call("QueryStream", _Context()))
        return [pb.QueryStreamResponse.FromString(raw) async for raw in self.reads.query_stream(twin_of(request), call)]

    def handler(self, method: str) -> Any:
        """What serves a method."""
        return next(found for each in self._handlers if (found := getattr(each, method, None)) is not None)

    async def create(self, name: str, types: Mapping[str, str] = TYPES, **fields: Any) -> None:
        """A table whose key is `id`."""
        columns = [
            schema_pb2.Column(
                name=column, type=getattr(value_pb2, f"DATA_TYPE_{kind.upper()}"), primary_key=column == "id"
            )
            for column, kind in types.items()
        ]
        table = schema_pb2.Table(columns=columns, **fields)
        await self.ask("create_table", pb.CreateTableRequest(table_id=name, table=table))

    async def upsert(self, name: str, rows: Sequence[Mapping[str, Any]], types: Mapping[str, str] = TYPES) -> int:
        """One commit; its version."""
        response: pb.WriteResponse = await self.ask("write", write(name, rows, types))
        return response.version

    async def delete(self, name: str, ids: Sequence[int]) -> int:
        """One commit that deletes by key, ids that are not there too."""
        keys = batch([{"id": id} for id in ids], {"id": "int64"})
        operation = pb.WriteOperation(table=name, delete=pb.Delete(keys=keys))
        response: pb.WriteResponse = await self.ask("write", pb.WriteRequest(operations=[operation]))
        return response.version

    async def query(self, query: query_pb2.Query, **window: int) -> pb.QueryResponse:
        """A page of a query."""
        request = pb.QueryRequest(query=query, window=query_pb2.Window(**cast(Any, window)))
        response: pb.QueryResponse = await self.ask("query", request)
        return response

    async def rows(self, query: query_pb2.Query) -> list[Row]:
        """The rows of a query."""
        return rows_of((await self.query(query)).rows)

    async def close(self) -> None:
        """Ends it."""
        await self.hosts.close()


def write(name: str, rows: Sequence[Mapping[str, Any]], types: Mapping[str, str] = TYPES) -> pb.WriteRequest:
    """A commit that upserts."""
    return pb.WriteRequest(operations=[pb.WriteOperation(table=name, upsert=pb.Upsert(rows=batch(rows, types)))])


def _class(pool: Any, name: str) -> Any:
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(pool.FindMessageTypeByName(name))


def twin_of(request: Message) -> Any:
    """The same request as the server reads it."""
    return twin.message_class(type(request).DESCRIPTOR.full_name).FromString(request.SerializeToString())
