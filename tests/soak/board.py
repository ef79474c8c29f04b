"""What the server holds during the soak, and the writer that keeps it moving without making it grow."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import grpc.aio

from tesseract_grpc._proto.tesseract.v1 import (
    query_pb2,
    schema_pb2,
    session_service_pb2,
    session_service_pb2_grpc,
    table_service_pb2,
    table_service_pb2_grpc,
    value_pb2,
)
from tests.wire import batch

ROWS = 5_000
GROUPS = 200
ROWS_A_COMMIT = 10
TYPES = {"id": "int64", "name": "string", "kind": "string", "score": "float64"}
SESSIONS = ("all", "top", "kinds", "one", "grouped")

pb = table_service_pb2


class Board:
    """The table, its sessions, and its writer."""

    def __init__(self, channel: grpc.aio.Channel, seed: int) -> None:
        self._tables: Any = table_service_pb2_grpc.TableServiceStub(channel)
        self._sessions: Any = session_service_pb2_grpc.SessionServiceStub(channel)
        self._random = random.Random(seed)
        self._next = ROWS
        self.commits = 0

    async def create(self) -> None:
        """The table with its rows, and the sessions."""
        columns = [
            schema_pb2.Column(name=name, type=getattr(value_pb2, f"DATA_TYPE_{kind.upper()}"), primary_key=name == "id")
            for name, kind in TYPES.items()
        ]
        await self._tables.CreateTable(pb.CreateTableRequest(table_id="items", table=schema_pb2.Table(columns=columns)))
        await self._write(pb.WriteOperation(table="items", insert=pb.Insert(rows=self._rows(range(ROWS)))))
        down = query_pb2.SortKey(column="score", direction=query_pb2.SORT_DIRECTION_DESCENDING)
        kinds = query_pb2.Membership(
            column="kind", values=[value_pb2.Value(string_value=f"kind {k}") for k in range(9)]
        )
        one = query_pb2.Comparison(
            column="id", operator=query_pb2.COMPARISON_OPERATOR_EQUAL, value=value_pb2.Value(int64_value=7)
        )
        count = query_pb2.Aggregate(function=query_pb2.AGGREGATE_FUNCTION_COUNT, name="count")
        queries = (
            query_pb2.Query(table="items"),
            query_pb2.Query(table="items", sort=[down]),
            query_pb2.Query(table="items", filter=query_pb2.Filter(membership=kinds), sort=[down]),
            query_pb2.Query(table="items", filter=query_pb2.Filter(comparison=one)),
            query_pb2.Query(table="items", group=query_pb2.Grouping(by=["kind"], aggregates=[count])),
        )
        for name, query in zip(SESSIONS, queries, strict=True):
            session = session_service_pb2.Session(query=query)
            await self._sessions.CreateSession(
                session_service_pb2.CreateSessionRequest(session_id=name, session=session)
            )

    async def keep_writing(self, rate: float) -> None:
        """Commits `rate` times a second, if the server lets it: updates, and rows that take the place of others."""
        while True:
            await asyncio.sleep(1 / rate)
            if self.commits % 4:
                some = [self._random.randrange(self._next - ROWS, self._next) for _ in range(ROWS_A_COMMIT)]
                await self._write(pb.WriteOperation(table="items", upsert=pb.Upsert(rows=self._rows(set(some)))))
            else:
                oldest = range(self._next - ROWS, self._next - ROWS + ROWS_A_COMMIT)
                new = range(self._next, self._next + ROWS_A_COMMIT)
                self._next += ROWS_A_COMMIT
                keys = batch([{"id": id} for id in oldest], {"id": "int64"})
                await self._write(
                    pb.WriteOperation(table="items", delete=pb.Delete(keys=keys)),
                    pb.WriteOperation(table="items", insert=pb.Insert(rows=self._rows(new))),
                )

    async def _write(self, *operations: pb.WriteOperation) -> None:
        await self._tables.Write(pb.WriteRequest(operations=operations))
        self.commits += 1

    def _rows(self, ids: Any) -> value_pb2.RowBatch:
        return batch(
            [
                {
                    "id": id,
                    "name": f"item {id}",
                    "kind": f"kind {id % GROUPS}",
                    "score": self._random.uniform(0, 1_000),
                }
                for id in ids
            ],
            TYPES,
        )
