"""TableService: commits, one by one and as a stream."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from tesseract_grpc.engine.data.commit import Write
from tesseract_grpc.engine.data.errors import InvalidRequest, Violation
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.writes import decode_operation, encode_counts, row_count
from tesseract_grpc.server.errors import Refusal, invalid, limit_exceeded, of_engine
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.methods import to_refusal
from tesseract_grpc.server.names import hub_id
from tesseract_grpc.server.services.lookup import existing_table
from tesseract_grpc.server.status import cut, row_errors

pb = twin.table_service


_OPERATION_FIELD = re.compile(r"operations\[(?P<index>\d+)\]\.(?P<rest>.+)")


class Writes:
    """Commits."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def write(self, request: pb.WriteRequest, call: Call) -> pb.WriteResponse:
        """Makes one commit."""
        return self._write(request)

    async def write_stream(
        self, requests: AsyncIterator[pb.WriteStreamRequest], call: Call
    ) -> AsyncIterator[pb.WriteStreamResponse]:
        """Makes one commit for each request. A refused one is answered and does not end the stream."""
        async for request in requests:
            response = pb.WriteStreamResponse(sequence=request.sequence)
            try:
                response.committed.CopyFrom(self._write(request.write))
            except Exception as error:
                _put_refusal(error, call.method, response.refused)
            yield response

    def _write(self, request: pb.WriteRequest) -> pb.WriteResponse:
        host = self._hosts.find(hub_id(request.parent, "parent"), "parent")
        return host.memory.once(request, lambda: self._commit(host, request), dry=request.validate_only)

    def _commit(self, host: Host, request: pb.WriteRequest) -> pb.WriteResponse:
        writes = self._decode(host, request)
        if any(host.table(write.table).formulas is not None for write in writes):
            host.freshen()  # a default may be now()
        try:
            result = host.hub.commit(writes, validate_only=request.validate_only)
        except InvalidRequest as error:
            raise _located(error, request) from None
        response = pb.WriteResponse(results=encode_counts(result.counts), durability=pb.DURABILITY_MEMORY)
        if not request.validate_only:
            response.version = result.version
            host.committed(result)
        return response

    def _decode(self, host: Host, request: pb.WriteRequest) -> list[Write]:
        if not request.operations:
            raise invalid("the request has no operations; a commit has at least one", "operations")
        most = self._hosts.config.max_rows_per_write
        if (rows := row_count(request)) > most:
            raise limit_exceeded("max_rows_per_write", most, f"the request brings {rows} rows", field="operations")
        return [
            decode_operation(
                operation,
                existing_table(host, operation.table, f"operations[{index}].table"),
                index,
                host.filter_limits,
                host.types_of,
            )
            for index, operation in enumerate(request.operations)
        ]


def _located(error: InvalidRequest, request: pb.WriteRequest) -> Refusal:
    """The refusal with its field as the request has it: the engine's `operations[0].rows` is
    `operations[0].insert.rows` on the wire."""
    refusal = of_engine(error)
    found = _OPERATION_FIELD.match(refusal.field)
    if found is not None and not found["rest"].startswith(("condition", "delete", "table")):
        operation = request.operations[int(found["index"])]
        kind = operation.WhichOneof("operation")
        rest = found["rest"] if found["rest"].startswith("rows") else f"rows.columns[{found['rest']}]"
        if kind == "delete":
            rest = "keys" + rest.removeprefix("rows")
        refusal.field = f"operations[{found['index']}].{kind}.{rest}"
        refusal.violations = (Violation(refusal.field, error.reason, error.message),)
    return refusal


def _put_refusal(error: Exception, method: str, message: pb.WriteRefusal) -> None:
    """What the status of Write would have said."""
    refusal = to_refusal(error, method)
    message.code = refusal.code.value[0]
    message.message = cut(refusal.message)
    message.reason = str(refusal.reason)
    if refusal.rows is not None:
        message.row_errors.CopyFrom(row_errors(refusal.rows))
