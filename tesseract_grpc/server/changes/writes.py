"""Commits of rows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tesseract_grpc.engine.data.commit import Write
from tesseract_grpc.engine.data.errors import InvalidRequest, Violation
from tesseract_grpc.engine.data.schema import TableSchema
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.writes import decode_operation, encode_counts, row_count
from tesseract_grpc.server.errors import Refusal, invalid, limit_exceeded, of_engine
from tesseract_grpc.server.host import Host
from tesseract_grpc.server.lookup import existing_table
from tesseract_grpc.server.records import Moment

pb = twin.table_service

_OPERATION_FIELD = re.compile(r"operations\[(?P<index>\d+)\]\.(?P<rest>.+)")


@dataclass(frozen=True, slots=True)
class Decoded:
    """The operations of a request, as its tables were when it was decoded."""

    writes: tuple[Write, ...]
    schemas: tuple[TableSchema, ...]

    def fits(self, host: Host) -> bool:
        """Whether the tables are still the same, so that decoding again would give the same."""
        tables = host.hub.tables
        return all(
            (table := tables.get(write.table)) is not None and table.schema is schema
            for write, schema in zip(self.writes, self.schemas, strict=True)
        )


def decode_write(host: Host, request: pb.WriteRequest) -> Decoded:
    """The operations of a request. Raises Refusal, NotFound, InvalidRequest. O(cells)."""
    if not request.operations:
        raise invalid("the request has no operations; a commit has at least one", "operations")
    most = host.config.max_rows_per_write
    if (rows := row_count(request)) > most:
        raise limit_exceeded("max_rows_per_write", most, f"the request brings {rows} rows", field="operations")
    writes = tuple(
        decode_operation(
            operation,
            existing_table(host, operation.table, f"operations[{index}].table"),
            index,
            host.filter_limits,
            host.types_of,
        )
        for index, operation in enumerate(request.operations)
    )
    return Decoded(writes, tuple(host.table(write.table).schema for write in writes))


def write(host: Host, request: pb.WriteRequest, moment: Moment, decoded: object = None) -> pb.WriteResponse:
    """Makes one commit."""
    if not isinstance(decoded, Decoded) or not decoded.fits(host):
        decoded = decode_write(host, request)
    try:
        result = host.hub.commit(decoded.writes, at=moment.time_us)
    except InvalidRequest as error:
        raise _located(error, request) from None
    host.committed(result)
    return pb.WriteResponse(
        results=encode_counts(result.counts), durability=host.journal.durability, version=result.version
    )


def check_write(host: Host, request: pb.WriteRequest) -> pb.WriteResponse:
    """Tells what a commit would do, and changes nothing."""
    decoded = decode_write(host, request)
    try:
        result = host.hub.commit(decoded.writes, validate_only=True, at=host.now_us())
    except InvalidRequest as error:
        raise _located(error, request) from None
    return pb.WriteResponse(results=encode_counts(result.counts), durability=host.journal.durability)


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
