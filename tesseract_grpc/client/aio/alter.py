"""Changing the definition of a table that is in use: columns, key and indexes, and the exchange of two tables.

A handle of a table inherits these methods. Each is one call and one version: several changes at once are an
`Alterations` or a list, given to `alter`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from tesseract_grpc._proto.tesseract.v1 import schema_pb2, table_service_pb2

from ..core.alterations import (
    Alterations,
    AlterationsLike,
    AlterResult,
    ChangedWords,
    ColumnWords,
    alterations_of,
    result_of,
)
from ..core.names import table_name
from ..core.request_id import new_request_id
from ..core.schema import ColumnDict

if TYPE_CHECKING:
    from .rpc import AsyncRpc


class AsyncAlterable:
    """What can be altered: the part of a table's handle that changes its definition.

    All of it takes time and memory O(rows) for columns that get new values, and O(1) for the others. Refused with
    InvalidRequest (`.row_errors`: the rows whose values do not fit), PreconditionFailed (a derived table stands in the
    way, or, with `keep_sessions`, a session does) or NotFound; then nothing has changed. With `dry_run` the
    server checks all of it on the rows that there are, and changes nothing."""

    _rpc: AsyncRpc
    _table: schema_pb2.Table

    async def alter(
        self,
        alterations: AlterationsLike,
        *,
        dry_run: bool = False,
        keep_sessions: bool = False,
        request_id: str | None = None,
    ) -> AlterResult:
        """Makes several changes in one version, all of them or none: an `Alterations`, or a list of dicts. Sessions go
        on where what they ask for still means something; with `keep_sessions` it is refused when one would end.
        `request_id` names the request, so that sending it again changes nothing twice."""
        request = table_service_pb2.AlterTableRequest(
            name=self._table.name,
            alterations=alterations_of(alterations).messages,
            request_id=request_id or new_request_id(),
            validate_only=dry_run,
            keep_sessions=keep_sessions,
        )
        response = await self._rpc.call(self._rpc.tables.AlterTable, request)
        if not dry_run:
            self._remember(response.table)
        return result_of(response)

    async def add_column(
        self,
        column: str | ColumnDict,
        type: str | None = None,
        *,
        backfill: str | None = None,
        after: str | None = None,
        dry_run: bool = False,
        **words: Unpack[ColumnWords],
    ) -> AlterResult:
        """Adds a column: its name and type, or a dict as `create_tesseract` takes it. `backfill` is an expression over
        the other columns, whose value the rows that there are get; without it they get the default. The column stands
        behind `after`, or last."""
        alterations = Alterations().add_column(column, type, backfill=backfill, after=after, **words)
        return await self.alter(alterations, dry_run=dry_run)

    async def drop_column(self, column: str, *, dry_run: bool = False, keep_sessions: bool = False) -> AlterResult:
        """Drops a column with its index. Refused for key columns and for one that an expression of the table names."""
        return await self.alter(Alterations().drop_column(column), dry_run=dry_run, keep_sessions=keep_sessions)

    async def rename_column(self, column: str, new_name: str, *, dry_run: bool = False) -> AlterResult:
        """Gives a column another name; expressions of the table and sessions follow."""
        return await self.alter(Alterations().rename_column(column, new_name), dry_run=dry_run)

    async def change_column(
        self,
        column: str,
        *,
        using: str | None = None,
        dry_run: bool = False,
        keep_sessions: bool = False,
        **words: Unpack[ChangedWords],
    ) -> AlterResult:
        """Changes what is said of a column: type, required, default, default_expression, enum, expression, description.
        `using` is an expression over the columns as they were, whose value every row gets; without it the value itself
        stays, where the new type holds all of it, and rows whose value it does not hold are `row_errors`."""
        alterations = Alterations().change_column(column, using=using, **words)
        return await self.alter(alterations, dry_run=dry_run, keep_sessions=keep_sessions)

    async def set_key(self, *columns: str, dry_run: bool = False, keep_sessions: bool = False) -> AlterResult:
        """Makes these columns the primary key, in this order. Rows with nulls in them, or that are named alike, refuse
        it."""
        return await self.alter(Alterations().set_key(*columns), dry_run=dry_run, keep_sessions=keep_sessions)

    async def add_index(self, column: str, kind: str | bool = True, *, dry_run: bool = False) -> AlterResult:
        """Adds an index over a column, or changes its kind: True, "hash" or "sorted"."""
        return await self.alter(Alterations().add_index(column, kind), dry_run=dry_run)

    def _remember(self, table: schema_pb2.Table) -> None:
        """Takes the new definition into the handle."""
        raise NotImplementedError


async def swap(rpc: AsyncRpc, hub: str, one: str, other: str, *, keep_sessions: bool) -> AlterResult:
    """Exchanges the names of two tables."""
    request = table_service_pb2.SwapTablesRequest(
        name=table_name(hub, one),
        other=table_name(hub, other),
        request_id=new_request_id(),
        keep_sessions=keep_sessions,
    )
    return result_of(await rpc.call(rpc.tables.SwapTables, request))
