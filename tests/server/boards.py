"""What the tests of queries share: small tables of a shop, and a session that is watched while they change.

    board = await Board.open(api, query)      # a named session and a reader of it
    assert await board.rows() == [...]        # what the reader has, after every promise was checked

`rows` compares what the reader has with a read of the session and with the query asked anew, at the same version.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.json_format import ParseDict

from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc._proto.tesseract.v1 import value_pb2
from tesseract_grpc._proto.tesseract.v1.schema_pb2 import Column, Table
from tesseract_grpc.testing import Answer, check_stream, rows_of
from tests.server.support import Api
from tests.server.test_watch_session import Reader
from tests.wire import batch

Rows = list[dict[str, Any]]
TABLES: dict[str, dict[str, str]] = {
    "people": {"id": "int64", "name": "string", "boss": "int64", "team": "string"},
    "orders": {"id": "int64", "person": "int64", "item": "string", "price": "float64", "qty": "int64"},
    "items": {"code": "string", "label": "string"},
}
PEOPLE: Rows = [
    {"id": 1, "name": "Ada", "boss": None, "team": "north"},
    {"id": 2, "name": "Bob", "boss": 1, "team": "north"},
    {"id": 3, "name": "Cyd", "boss": 1, "team": "south"},
    {"id": 4, "name": "Dan", "boss": 2, "team": None},
]
ORDERS: Rows = [
    {"id": 10, "person": 2, "item": "pen", "price": 1.5, "qty": 10},
    {"id": 11, "person": 3, "item": "ink", "price": 8.0, "qty": 1},
    {"id": 12, "person": 2, "item": "ink", "price": 7.0, "qty": 2},
    {"id": 13, "person": None, "item": "cup", "price": 3.0, "qty": 1},
]
ITEMS: Rows = [{"code": "pen", "label": "Pen"}, {"code": "ink", "label": "Ink"}]


def query(**words: Any) -> q.Query:
    """A query from the JSON form of its message."""
    return ParseDict(words, q.Query())


async def open_shop(api: Api) -> None:
    """The tables with their rows; the hub is then at version 6."""
    for name, types in TABLES.items():
        columns = [
            Column(name=column, type=getattr(value_pb2, f"DATA_TYPE_{kind.upper()}"), primary_key=at == 0)
            for at, (column, kind) in enumerate(types.items())
        ]
        await api.tables.CreateTable(pb.CreateTableRequest(table_id=name, table=Table(columns=columns)))
    for name, rows in (("people", PEOPLE), ("orders", ORDERS), ("items", ITEMS)):
        await put(api, name, rows)


async def put(api: Api, table: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """Upserts rows, each in the columns that it has, in one commit; returns its version."""
    operations = [
        pb.WriteOperation(table=table, upsert=pb.Upsert(rows=batch(list(group), TABLES[table])))
        for _, group in itertools.groupby(rows, key=list)
    ]
    return (await api.write(*operations)).version


async def drop(api: Api, table: str, *keys: Any) -> int:
    """Deletes rows by key and returns the version."""
    key = next(iter(TABLES[table]))
    rows = batch([{key: value} for value in keys], TABLES[table])
    return (await api.write(pb.WriteOperation(table=table, delete=pb.Delete(keys=rows)))).version


class Board:
    """A session and a reader of it."""

    def __init__(self, api: Api, name: str, asked: q.Query, reader: Reader, window: q.Window | None) -> None:
        self.api = api
        self.name = name
        self.query = asked
        self.reader = reader
        self.window = window

    @classmethod
    async def open(cls, api: Api, asked: q.Query, window: q.Window | None = None) -> Board:
        """Opens a session of this query and begins to read it."""
        name = f"board_{secrets.token_hex(4)}"
        await api.open(name, asked)
        return cls(api, name, asked, Reader(api, name=name, window=window), window)

    async def rows(self) -> Rows:
        """What the reader has now, which is what it should have."""
        read = spb.QuerySessionRequest(name=self.name, window=self.window)
        found = await self.api.sessions.QuerySession(read)
        await self.reader.until(found.version)
        answer = Answer(rows_of(found.rows), found.total_count)
        check_stream(self.reader.responses, {found.version: answer})
        anew = await self.api.tables.Query(pb.QueryRequest(query=self.query, window=self.window))
        assert rows_of(anew.rows) == answer.rows
        assert (anew.total_count, anew.version) == (found.total_count, found.version)
        return self.reader.mirror.rows

    async def column(self, name: str) -> list[Any]:
        """One column of what the reader has."""
        return [row[name] for row in await self.rows()]
