"""TableService: one-shot queries and rows by key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TypeVar, cast

from tesseract_grpc.engine.data.errors import InvalidRequest
from tesseract_grpc.engine.live.session import QueryResult
from tesseract_grpc.engine.query.expression.check import check_expression, check_template
from tesseract_grpc.engine.query.expression.problem import BadExpression, Problem
from tesseract_grpc.engine.query.query import Window
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.decode import decode_batch
from tesseract_grpc.server.codec.encode import encode_batch
from tesseract_grpc.server.codec.pieces import row_pieces
from tesseract_grpc.server.codec.queries import decode_query
from tesseract_grpc.server.codec.schemas import encode_columns
from tesseract_grpc.server.codec.windows import decode_page, decode_window
from tesseract_grpc.server.debug.subject import Subject
from tesseract_grpc.server.errors import limit_exceeded
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.lookup import find_table
from tesseract_grpc.server.names import hub_id
from tesseract_grpc.server.query_cache import Asked, at_version, question
from tesseract_grpc.server.query_reading import Reading, RecordedNames

pb = twin.table_service


class Reads:
    """Reads of tables."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def query(self, request: pb.QueryRequest, call: Call) -> bytes:
        """Returns a page of a query."""
        window = decode_page(request.window)
        host = await self._ready(request, call)
        asked = question(request)
        known = host.queries.find(asked)
        if known is not None:
            host.debug.remembered(call.subject)
            return at_version(known[0], host.hub.version)
        result, reading = await self._run(host, request, window)
        response = pb.QueryResponse(
            columns=encode_columns(result.columns), rows=encode_batch(result.rows), total_count=result.total_count
        )
        message = response.SerializeToString()
        host.queries.keep(asked, (message,), reading)
        return at_version(message, result.version)

    async def query_stream(self, request: pb.QueryStreamRequest, call: Call) -> AsyncIterator[bytes]:
        """Streams all rows of a query."""
        window = decode_window(request.window)
        host = await self._ready(request, call)
        asked = question(request)
        known = host.queries.find(asked)
        if known is not None:
            host.debug.remembered(call.subject)
            version = host.hub.version
            for message in known:
                yield at_version(message, version)
            return
        result, reading = await self._run(host, request, window)
        first = pb.QueryStreamResponse(columns=encode_columns(result.columns), total_count=result.total_count)
        with host.queries.collector(asked, reading) as collected:
            async for response in in_pieces(first, result, self._hosts.config.piece_bytes):
                response.ClearField("version")
                message = response.SerializeToString()
                collected.add(message)
                yield at_version(message, result.version)
            collected.done()

    async def _ready(self, request: Asked, call: Call) -> Host:
        """The hub that is asked, once it has reached the version that the client wants."""
        host = self._hosts.find(hub_id(request.parent, "parent"), "parent")
        await host.versions.wait(request.min_version, call.remaining())
        return host

    async def _run(self, host: Host, request: Asked, window: Window) -> tuple[QueryResult, Reading | None]:
        """The rows of a query, and what they follow from; None when that cannot be asked for again."""
        begun = time.perf_counter()
        names = RecordedNames(host)
        query = decode_query(request.query, names, host.query_limits)
        with host.hub.at(host.now_us()):
            found = host.hub.begin_query(query, window)
            reading = Reading(host, names)
        # A large result is put in order in a worker thread, so that commits and other calls go on meanwhile.
        result = found if isinstance(found, QueryResult) else await asyncio.to_thread(found)
        if host.debug.recorder is not None:
            subject = Subject(host.name, query.table)
            host.debug.queried(query, subject, time.perf_counter() - begun, result)
        if not result.timely:
            return result, reading.ageless()
        return result, reading if host.hub.timely else None

    async def get_rows(self, request: pb.GetRowsRequest, call: Call) -> pb.GetRowsResponse:
        """Returns rows by their keys."""
        host, _ = find_table(self._hosts, request.table, "table")
        most = self._hosts.config.max_rows_per_write
        if request.keys.row_count > most:
            raise limit_exceeded(
                "max_rows_per_write", most, f"the request asks for {request.keys.row_count} rows", field="keys"
            )
        await host.versions.wait(request.min_version, call.remaining())
        _, table = find_table(self._hosts, request.table, "table")
        keys = decode_batch(request.keys, "keys", host.types_of(table.name))
        try:
            rows, versions = host.hub.get_rows(table.name, keys, tuple(request.columns))
        except InvalidRequest as error:
            error.field = error.field.replace("rows", "keys", 1).removeprefix("query.")
            error.violations = ()
            raise
        return pb.GetRowsResponse(rows=encode_batch(rows), row_versions=versions.tolist(), version=host.hub.version)

    async def validate_expression(
        self, request: pb.ValidateExpressionRequest, call: Call
    ) -> pb.ValidateExpressionResponse:
        """Returns the type of an expression, or what is wrong with it."""
        _, table = find_table(self._hosts, request.table, "table")
        check = check_template if request.template else check_expression
        try:
            found = check(request.expression, table.schema, field="expression")
        except BadExpression as error:
            return pb.ValidateExpressionResponse(problems=map(_problem, error.problems))
        kind = cast("twin.value.DataType.ValueType", int(found.type))
        return pb.ValidateExpressionResponse(type=kind, columns=found.columns, uses_now=found.uses_now)


def _problem(problem: Problem) -> pb.ExpressionProblem:
    return pb.ExpressionProblem(
        message=problem.message,
        line=problem.line,
        column=problem.column,
        hint=problem.hint,
        reason=str(problem.reason),
    )


R = TypeVar("R", pb.QueryStreamResponse, twin.session_service.QuerySessionStreamResponse)


async def in_pieces(first: R, result: QueryResult, piece_bytes: int) -> AsyncIterator[R]:
    """A result in pieces. Between two of them others run; a slow reader holds the rows, but no more than one piece."""
    response = first
    for start, piece in row_pieces(result.rows, piece_bytes):
        if start:
            await asyncio.sleep(0)
            response = type(first)(total_count=result.total_count, version=result.version)
        response.rows.CopyFrom(piece)
        yield response
    if not result.rows.length:
        yield first
