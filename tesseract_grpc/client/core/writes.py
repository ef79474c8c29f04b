"""Writes: what a user gathers into one commit, the request that it becomes, and what came of it.

A `WriteBatch` holds operations on one table or several; all of them are one commit. One operation of the user may be
several on the wire (rows with different sets of columns), so `Encoded` remembers where each came from, and puts
results and row errors back in the user's terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, TypeAlias

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2

from .batch import Block, encode
from .errors import InvalidRequest, TesseractError, error_of_refusal, invalid
from .filters import FilterLike, filter_of
from .names import hub_name, table_name
from .request_id import new_request_id
from .schema import Schema
from .tabulate import Placed, RowsLike, block_of_keys, blocks_of, shift_rows


class TableHandle(Protocol):
    """A table that is known: its id and its columns."""

    @property
    def name(self) -> str: ...

    @property
    def schema(self) -> Schema: ...


TableLike: TypeAlias = "str | TableHandle"
"""The id of a table, or its handle."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What the rows must be before an operation; where it does not hold, the commit is refused or the row skipped."""

    if_version: int | None = None
    """The version of the last commit that wrote the row is this one."""
    if_absent: bool = False
    """The row does not exist; only for add and upsert."""
    if_filter: FilterLike | None = None
    """The existing row satisfies this filter."""
    skip_unmatched: bool = False
    """Skip the rows that do not satisfy it instead of refusing the commit."""

    def to_message(self) -> table_service_pb2.WriteCondition:
        """The wire form."""
        return table_service_pb2.WriteCondition(
            if_version=self.if_version,
            if_absent=self.if_absent,
            if_filter=filter_of(self.if_filter, "condition.if_filter"),
            skip_unmatched=self.skip_unmatched,
        )


@dataclass(frozen=True, slots=True)
class Operation:
    """One write to one table, as it was asked for."""

    kind: str
    table: str
    rows: RowsLike = None
    filter: FilterLike | None = None
    ignore_missing: bool = False
    must_exist: bool = False
    condition: Condition | None = None


class WriteBatch:
    """Operations that are committed together: all or nothing, in this order, each seeing the ones before."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.schemas: dict[str, Schema] = {}
        """The columns of the tables whose handle was given."""

    def add(self, table: TableLike, rows: RowsLike, *, condition: Condition | None = None) -> Self:
        """Adds new rows; a key that exists refuses the commit."""
        return self._with(Operation("insert", self._id(table), rows, condition=condition))

    def upsert(self, table: TableLike, rows: RowsLike, *, condition: Condition | None = None) -> Self:
        """Adds the rows whose key is new and replaces the given columns of the others."""
        return self._with(Operation("upsert", self._id(table), rows, condition=condition))

    def update(
        self, table: TableLike, rows: RowsLike, *, ignore_missing: bool = False, condition: Condition | None = None
    ) -> Self:
        """Replaces the given columns of rows that exist."""
        return self._with(
            Operation("update", self._id(table), rows, ignore_missing=ignore_missing, condition=condition)
        )

    def increment(
        self, table: TableLike, rows: RowsLike, *, ignore_missing: bool = False, condition: Condition | None = None
    ) -> Self:
        """Adds the given numbers to the columns of rows that exist."""
        return self._with(
            Operation("increment", self._id(table), rows, ignore_missing=ignore_missing, condition=condition)
        )

    def remove(
        self,
        table: TableLike,
        keys: Any = None,
        *,
        filter: FilterLike | None = None,
        must_exist: bool = False,
        condition: Condition | None = None,
    ) -> Self:
        """Deletes the rows with these keys, or all rows for which the filter is true."""
        if (keys is None) == (filter is None):
            raise invalid("MALFORMED_REQUEST", "give the keys of the rows to remove, or a filter, and not both", "keys")
        return self._with(
            Operation("delete", self._id(table), keys, filter=filter, must_exist=must_exist, condition=condition)
        )

    def __len__(self) -> int:
        return len(self.operations)

    def _with(self, operation: Operation) -> Self:
        self.operations.append(operation)
        return self

    def _id(self, table: TableLike) -> str:
        if isinstance(table, str):
            return table
        self.schemas[table.name] = table.schema
        return table.name

    @property
    def unknown_tables(self) -> list[str]:
        """The tables whose columns have to be asked for."""
        return sorted({operation.table for operation in self.operations} - self.schemas.keys())


@dataclass(frozen=True, slots=True)
class WriteCounts:
    """What one operation did."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    skipped: int = 0

    def __add__(self, other: WriteCounts) -> WriteCounts:
        return WriteCounts(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.deleted + other.deleted,
            self.skipped + other.skipped,
        )


@dataclass(frozen=True, slots=True)
class WriteResult:
    """A commit that was made. Give `version` to a read as `min_version` to be sure that it sees it."""

    version: int
    durability: str
    """How durable the acknowledgement is: memory, normal, fsync or replicated."""
    operations: tuple[WriteCounts, ...] = ()
    """What each operation of the batch did."""
    total: WriteCounts = field(default=WriteCounts())

    @property
    def inserted(self) -> int:
        """Rows added."""
        return self.total.inserted

    @property
    def updated(self) -> int:
        """Rows that existed and were written."""
        return self.total.updated

    @property
    def deleted(self) -> int:
        """Rows deleted."""
        return self.total.deleted

    @property
    def skipped(self) -> int:
        """Rows skipped, because they were missing or did not meet the condition."""
        return self.total.skipped


@dataclass(slots=True)
class IngestResult:
    """What a write stream did."""

    batches: int = 0
    """How many commits it was."""
    version: int = 0
    """The version of the last of them."""
    total: WriteCounts = WriteCounts()
    """What they did together."""
    durability: str = ""
    """How durable the last acknowledgement is: memory, normal, fsync or replicated."""
    refused: dict[int, TesseractError] = field(default_factory=dict)
    """The batches that were refused, by their sequence, which counts from 1."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request, and for each of its operations the user's operation and the row in it where it begins."""

    request: table_service_pb2.WriteRequest
    origins: tuple[tuple[int, int], ...]
    operations: int

    def result(self, response: table_service_pb2.WriteResponse) -> WriteResult:
        """What came of it, by the user's operations."""
        counts = [WriteCounts()] * self.operations
        for (operation, _), wire in zip(self.origins, response.results, strict=False):
            counts[operation] += WriteCounts(wire.inserted, wire.updated, wire.deleted, wire.skipped)
        durability = table_service_pb2.Durability.Name(response.durability).removeprefix("DURABILITY_").lower()
        return WriteResult(response.version, durability, tuple(counts), sum(counts, WriteCounts()))

    def placed(self, error: TesseractError) -> TesseractError:
        """The same error, with its row errors in the user's operations and rows."""
        placed = []
        for problem in error.row_errors:
            operation, offset = self.origins[problem.operation] if problem.operation < len(self.origins) else (0, 0)
            placed.append(replace(problem, operation=operation, row=problem.row + offset))
        error.row_errors = tuple(placed)
        return error

    def refusal(self, refusal: table_service_pb2.WriteRefusal) -> TesseractError:
        """The error of a refused batch of a write stream."""
        return self.placed(error_of_refusal(refusal))


def encode_writes(
    operations: Sequence[Operation],
    schemas: Mapping[str, Schema],
    hub: str,
    *,
    request_id: str | None = None,
    validate_only: bool = False,
) -> Encoded:
    """One commit. Every request has an id, so that a retry after a lost answer cannot commit twice."""
    request = table_service_pb2.WriteRequest(
        parent=hub_name(hub),
        request_id=new_request_id() if request_id is None else request_id,
        validate_only=validate_only,
    )
    origins: list[tuple[int, int]] = []
    for at, operation in enumerate(operations):
        try:
            for offset, wire in _wire_operations(operation, schemas[operation.table], hub):
                request.operations.append(wire)
                origins.append((at, offset))
        except InvalidRequest as error:
            error.row_errors = tuple(replace(problem, operation=at) for problem in error.row_errors)
            raise
    return Encoded(request, tuple(origins), len(operations))


def encode_blocks(kind: str, table: str, blocks: Sequence[Placed], hub: str) -> Encoded:
    """One commit of rows that are blocks already, with an id of its own as every commit."""
    request = table_service_pb2.WriteRequest(parent=hub_name(hub), request_id=new_request_id())
    for _, block in blocks:
        request.operations.append(_of_rows(Operation(kind, table), block, hub))
    return Encoded(request, tuple((0, offset) for offset, _ in blocks), 1)


def _wire_operations(
    operation: Operation, schema: Schema, hub: str
) -> list[tuple[int, table_service_pb2.WriteOperation]]:
    if operation.kind == "delete":
        return [(0, _delete(operation, schema, hub))]
    blocks = blocks_of(operation.rows, schema, fill=operation.kind == "insert")
    wire = []
    for offset, block in blocks or [(0, block_of_keys([], schema))]:
        try:
            wire.append((offset, _of_rows(operation, block, hub)))
        except InvalidRequest as error:
            shift_rows(error, offset)
            raise
    return wire


def _delete(operation: Operation, schema: Schema, hub: str) -> table_service_pb2.WriteOperation:
    delete = table_service_pb2.Delete(must_exist=operation.must_exist)
    if operation.filter is not None:
        found = filter_of(operation.filter)
        assert found is not None
        delete.filter.CopyFrom(found)
    else:
        delete.keys.CopyFrom(encode(block_of_keys(operation.rows, schema)))
    return _conditioned(
        operation, table_service_pb2.WriteOperation(table=table_name(hub, operation.table), delete=delete)
    )


def _of_rows(operation: Operation, block: Block, hub: str) -> table_service_pb2.WriteOperation:
    wire = table_service_pb2.WriteOperation(table=table_name(hub, operation.table))
    kind = operation.kind
    if kind == "insert":
        wire.insert.rows.CopyFrom(encode(block))
    elif kind == "upsert":
        wire.upsert.rows.CopyFrom(encode(block))
    elif kind == "update":
        wire.update.rows.CopyFrom(encode(block))
        wire.update.ignore_missing = operation.ignore_missing
    else:
        wire.increment.rows.CopyFrom(encode(block))
        wire.increment.ignore_missing = operation.ignore_missing
    return _conditioned(operation, wire)


def _conditioned(operation: Operation, wire: table_service_pb2.WriteOperation) -> table_service_pb2.WriteOperation:
    if operation.condition is not None:
        wire.condition.CopyFrom(operation.condition.to_message())
    return wire
