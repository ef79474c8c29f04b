"""A table, as its users handle it: writes, reads, events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Unpack

from google.protobuf.field_mask_pb2 import FieldMask

from tesseract_grpc._proto.tesseract.v1 import schema_pb2, table_service_pb2

from ..backup.options import BackupOptions
from ..backup.report import BackupResult
from ..core.alterations import Alterations
from ..core.batch import encode
from ..core.errors import invalid
from ..core.expressions import ExpressionCheck, expression_check
from ..core.feed import Bookmark, Feed
from ..core.filters import FilterLike
from ..core.info import TableInfo
from ..core.names import id_of
from ..core.queries import MoreParts, query_of
from ..core.reads import rows_by_key
from ..core.request_id import new_request_id
from ..core.rows import Row, Rows
from ..core.schema import Schema, index_of
from ..core.sorts import SortLike
from ..core.tabulate import RowsLike, block_of_keys
from ..core.watch_options import WatchOptions, ends_on, watch_fields
from ..core.windows import Nodes, window_of
from ..core.writes import Condition, IngestResult, WriteBatch, WriteResult
from .alter import AsyncAlterable
from .backup import backup
from .handlers import Handler
from .ingest import DEFAULT_BATCH_ROWS, DEFAULT_IN_FLIGHT, IngestKind, ingest
from .query import run_query
from .retention import AsyncRetained
from .rpc import AsyncRpc
from .table_events import AsyncTableEvents
from .watch import AsyncWatch
from .write import write


class AsyncTesseract(AsyncAlterable, AsyncRetained):
    """A table of a hub. Made by `create_tesseract` and `get_tesseract`; keeps the table's columns, not its rows."""

    source_kind: Literal["table"] = "table"
    """What it is where a query asks for a source."""

    def __init__(self, rpc: AsyncRpc, table: schema_pb2.Table) -> None:
        self._rpc = rpc
        self._hub = rpc.connection.hub
        self._table = table
        self._schema = Schema.of(table.columns, table.indexes)
        self._events = AsyncTableEvents(rpc, table.name)

    @property
    def name(self) -> str:
        """The id of the table."""
        return id_of(self._table.name)

    @property
    def schema(self) -> Schema:
        """Its columns, as they were when this handle was made or last asked."""
        return self._schema

    @property
    def columns(self) -> list[dict[str, Any]]:
        """Its columns, in the form that `create_tesseract` takes."""
        return self._schema.to_dicts()

    @property
    def key(self) -> tuple[str, ...]:
        """The names of its key columns."""
        return self._schema.key

    @property
    def derived(self) -> bool:
        """Whether its rows are those of a query; then it cannot be written."""
        return self._table.HasField("query")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, columns={', '.join(self._schema.types)})"

    async def info(self) -> TableInfo:
        """How large it is now. Reads its columns anew, too."""
        request = table_service_pb2.GetTableRequest(name=self._table.name)
        self._remember((await self._rpc.call(self._rpc.tables.GetTable, request)).table)
        return TableInfo.of(self._table)

    # --- writes

    async def add(self, rows: RowsLike, *, condition: Condition | None = None) -> WriteResult:
        """Adds new rows; a key that exists refuses all of them. One atomic commit."""
        return await self._write(WriteBatch().add(self, rows, condition=condition))

    async def upsert(self, rows: RowsLike, *, condition: Condition | None = None) -> WriteResult:
        """Adds the rows whose key is new and replaces the given columns of the others. One atomic commit."""
        return await self._write(WriteBatch().upsert(self, rows, condition=condition))

    async def update(
        self, rows: RowsLike, *, ignore_missing: bool = False, condition: Condition | None = None
    ) -> WriteResult:
        """Replaces the given columns of rows that exist. One atomic commit."""
        return await self._write(WriteBatch().update(self, rows, ignore_missing=ignore_missing, condition=condition))

    async def increment(
        self, rows: RowsLike, *, ignore_missing: bool = False, condition: Condition | None = None
    ) -> WriteResult:
        """Adds the given numbers to the columns of rows that exist. One atomic commit."""
        return await self._write(WriteBatch().increment(self, rows, ignore_missing=ignore_missing, condition=condition))

    async def remove(
        self,
        keys: Any = None,
        *,
        filter: FilterLike | None = None,
        must_exist: bool = False,
        condition: Condition | None = None,
    ) -> WriteResult:
        """Deletes the rows with these keys, or all rows for which the filter is true. One atomic commit."""
        return await self._write(
            WriteBatch().remove(self, keys, filter=filter, must_exist=must_exist, condition=condition)
        )

    async def ingest(
        self,
        data: Any,
        *,
        kind: IngestKind = "upsert",
        batch_rows: int = DEFAULT_BATCH_ROWS,
        in_flight: int = DEFAULT_IN_FLIGHT,
    ) -> IngestResult:
        """Writes many rows over one stream, a commit for each batch of at most `batch_rows` rows; `data` is rows in any
        form, or an iterator of such pieces. At most `in_flight` batches wait for their answer. A refused batch ends
        it: the error says so (`sequence`: which), and what was acknowledged stays. A stream that breaks goes on: what
        was not answered is sent again, and nothing is committed twice."""
        return await ingest(self._rpc, self._table.name, self._schema, data, kind, batch_rows, in_flight)

    async def _write(self, batch: WriteBatch) -> WriteResult:
        return await write(self._rpc, batch, batch.schemas)

    # --- reads

    async def validate_expression(self, text: str, *, template: bool = False) -> ExpressionCheck:
        """The type of an expression over this table's columns, or everything that is wrong with it."""
        request = table_service_pb2.ValidateExpressionRequest(
            table=self._table.name, expression=text, template=template
        )
        return expression_check(await self._rpc.call(self._rpc.tables.ValidateExpression, request))

    async def get(self, key: Any, *, columns: Sequence[str] | None = None, min_version: int = 0) -> Row | None:
        """The row with this key; None when there is none. A composite key is a tuple or a dict."""
        rows = await self.get_many([key], columns=columns, min_version=min_version)
        return rows[0] if rows else None

    async def get_many(self, keys: Any, *, columns: Sequence[str] | None = None, min_version: int = 0) -> Rows:
        """The rows with these keys, in this order; keys that do not exist are left out. `row_versions` goes with
        them."""
        request = table_service_pb2.GetRowsRequest(
            table=self._table.name,
            keys=encode(block_of_keys(keys, self._schema)),
            columns=columns,
            min_version=min_version,
        )
        response = await self._rpc.call(self._rpc.tables.GetRows, request)
        return rows_by_key(response, self._schema, columns or ())

    async def get_data(self, start: int = 0, limit: int | None = None, *, min_version: int = 0) -> Rows:
        """The rows of the table, in the order in which they came."""
        return await self.query(start=start, limit=limit, min_version=min_version)

    async def query(
        self,
        filter: FilterLike | None = None,
        columns: Sequence[str | Mapping[str, Any]] | None = None,
        sort: SortLike | None = None,
        start: int = 0,
        limit: int | None = None,
        *,
        depth: int | None = None,
        expand: Nodes = None,
        collapse: Nodes = None,
        min_version: int = 0,
        **parts: Unpack[MoreParts],
    ) -> Rows:
        """The rows that a query has now, all of one version. The parts of a query are as in `create_session`; of a
        tree, `depth`, `expand` and `collapse` say which nodes are open."""
        said = {"table": self, "filter": filter, "columns": columns, "sort": sort, **parts}
        query = query_of(self._hub, said)
        return await run_query(self._rpc, query, window_of(start, limit, depth, expand, collapse), min_version)

    async def count(self, filter: FilterLike | None = None, *, min_version: int = 0) -> int:
        """How many rows satisfy a filter."""
        return (await self.query(filter, list(self.key), limit=0, min_version=min_version)).total_count

    async def backup(self, path: str | Path, **options: Unpack[BackupOptions]) -> BackupResult:
        """Writes the table into a file, as `hub.backup` does."""
        return await backup(self._rpc, path, [self.name], options)

    # --- events

    async def on(self, event: str, handler: Handler, *, old_values: bool = False) -> Callable[[], None]:
        """Calls `handler` with a list of rows for every commit: "add" (complete rows), "update" (the key and the
        changed columns; with `old_values` the handler gets the old values of these columns as a second list) or
        "remove" (the rows as they last were); with the whole Delta ("change"); with a Gap when the connection broke
        and events were lost ("gap"); and with what happens to the stream, as a watch tells it ("state", "interrupted",
        "resumed", "lagged"). When it returns, nothing is missed any more. Returns the function to stop it."""
        return await self._events.on(event, handler, old_values=old_values)

    async def once(self, event: str, handler: Handler, *, old_values: bool = False) -> Callable[[], None]:
        """The same, for the next time alone."""
        return await self._events.on(event, handler, once=True, old_values=old_values)

    def off(self, event: str, handler: Handler | None = None) -> int:
        """Takes a handler of an event away, or all of them; returns how many there were."""
        return self._events.off(event, handler)

    def watch(
        self,
        *,
        snapshot: bool = False,
        old_values: bool = False,
        progress: bool = False,
        min_version: int = 0,
        **options: Unpack[WatchOptions],
    ) -> AsyncWatch:
        """Iterates over the changes of the table: a Delta for each consistent point, before them a Snapshot when asked
        for; without one, a Gap after every interruption that lost something. The options: `WatchOptions`."""
        request = table_service_pb2.WatchTableRequest(
            table=self._table.name,
            include_snapshot=snapshot,
            include_old_values=old_values,
            min_version=min_version,
            **watch_fields(**options),
        )

        def start(bookmark: Bookmark) -> Any:
            request.resume_token = bookmark.token
            if bookmark.began:  # that version has been reached, and another incarnation may never reach it
                request.min_version = 0
            return self._rpc.start(self._rpc.tables.WatchTable, request)

        return AsyncWatch(
            self._rpc,
            self._table.name,
            start,
            feed=partial(Feed, snapshot=snapshot),
            progress=progress,
            ends_on=ends_on(**options),
        )

    # --- indexes, which derived tables have too, although nothing else of them can be altered

    async def create_index(self, column: str, kind: str | bool = True) -> None:
        """Adds an index over a column, or changes its kind: True, "hash" or "sorted"."""
        added = index_of(column, kind)
        if not self.derived:
            await self.add_index(column, kind)
            return
        await self.info()
        await self._set_indexes([index for index in self._schema.indexes if index.column != column] + [added])

    async def drop_index(self, column: str) -> None:
        """Takes the index of a column away."""
        if not self.derived:
            await self.alter(Alterations().drop_index(column))
            return
        await self.info()
        left = [index for index in self._schema.indexes if index.column != column]
        if len(left) == len(self._schema.indexes):
            raise invalid("UNKNOWN_COLUMN", f"column {column!r} has no index", "column")
        await self._set_indexes(left)

    async def _set_indexes(self, indexes: Sequence[schema_pb2.Index]) -> None:
        request = table_service_pb2.UpdateTableRequest(
            table=schema_pb2.Table(name=self._table.name, indexes=indexes),
            update_mask=FieldMask(paths=["indexes"]),
            request_id=new_request_id(),
        )
        self._remember((await self._rpc.call(self._rpc.tables.UpdateTable, request)).table)

    def _remember(self, table: schema_pb2.Table) -> None:
        self._table, self._schema = table, Schema.of(table.columns, table.indexes)
