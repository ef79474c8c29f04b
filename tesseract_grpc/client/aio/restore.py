"""A restore: a backup into tables of a hub, which nobody sees before they are whole.

    read the file through, decide about every name        nothing has been written yet
    load each table under a name that nobody looks for    over a write stream, pipelined
    count, and compare if wanted
    give the tables their names, or exchange them for those that are there
    create what reads them

Whatever goes wrong, what was done is undone, in the other order. Only the death of this process leaves something:
tables whose names begin with `_restoring.`, which `discard_restores` removes.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf.field_mask_pb2 import FieldMask

from tesseract_grpc._proto.tesseract.v1 import schema_pb2, session_service_pb2, table_service_pb2

from ..backup.errors import BackupFailed, BackupReason
from ..backup.files import BackupFile, Opened, open_checked
from ..backup.options import RestoreOptions, RestoreSettings
from ..backup.plan import HIDDEN, Created, Loaded, Plan, Present, plan_of
from ..backup.report import RestoreResult, Teller
from ..core.batch import Block, decode
from ..core.errors import TesseractError, Unavailable
from ..core.names import hub_name, table_name
from ..core.pipeline import Ack
from ..core.queries import query_of
from ..core.request_id import new_request_id
from ..core.windows import window_of
from ..core.writes import Encoded, encode_blocks
from ..migrate.checksum import Checksum
from .runtime import in_thread
from .write_stream import AsyncWriteStream

if TYPE_CHECKING:
    from .hub import AsyncEventHorizon

IN_FLIGHT = 8
SHARE_OF_MESSAGE = 0.5
"""How much of the largest message that the server takes a request may fill."""

LATER = ("retention", "memory_limit")
"""What of a definition holds only when all rows are there: it would take some of them away."""


async def restore(hub: AsyncEventHorizon, path: str | Path, options: RestoreOptions) -> RestoreResult:
    """Restores a backup. Raises BackupFailed, or what the hub says; then nothing has changed."""
    settings = RestoreSettings.of(options)
    teller = Teller(settings.on_progress)
    opened = await in_thread(_open, Path(path), settings, teller)
    try:
        return await AsyncRestore(hub, opened, settings, teller).run()
    finally:
        await in_thread(opened[0].close)


def _open(path: Path, settings: RestoreSettings, teller: Teller) -> Opened:
    return open_checked(path, settings, lambda done, total: teller.tell("checking", "", done, total))


async def discard_restores(hub: AsyncEventHorizon) -> list[str]:
    """Removes what interrupted restores have left; returns the names."""
    left = [table.name for table in await hub.list_tesseracts() if table.name.startswith(HIDDEN)]
    for name in left:
        await hub.remove_tesseract(name, allow_missing=True)
    return left


class AsyncRestore:
    """One restore."""

    def __init__(self, hub: AsyncEventHorizon, opened: Opened, settings: RestoreSettings, teller: Teller) -> None:
        self._hub, self._rpc = hub, hub._rpc
        self._file: BackupFile = opened[0]
        self._format, self._info = opened[1], opened[2]
        self._settings, self._teller = settings, teller
        self._undo: list[tuple[str, str, str]] = []  # what was done, and the names that it is about
        self._rows = self._total = self._most_bytes = self._most_rows = 0
        self._started = time.monotonic()

    async def run(self) -> RestoreResult:
        """All of it."""
        present, left = await self._present()
        plan = plan_of(self._file.contents, self._settings, self._hub.name, present)
        self._total = plan.rows
        warnings = [f"left by an interrupted restore: {name}" for name in left]
        version = 0
        if not self._settings.dry_run:
            limits = (await self._hub.server_info()).limits
            self._most_bytes = int(limits.max_message_bytes * SHARE_OF_MESSAGE)
            self._most_rows = min(self._settings.batch, limits.max_rows_per_write)
            try:
                for each in plan.loaded:
                    await self._load(each)
                await self._finish(plan)
            except BaseException as error:
                await self._undo_all(error)
                raise
            warnings += await self._remove_replaced(plan)
            version = (await self._hub.info()).version
        tables = {each.name: each.backup.rows for each in plan.loaded}
        named = (*plan.created, *plan.kept)
        return RestoreResult(
            self._file.path,
            str(self._format),
            {**tables, **{each.name: 0 for each in named if each.kind == "table"}},
            tuple(each.name for each in named if each.kind == "session"),
            plan.rows,
            version,
            time.monotonic() - self._started,
            self._settings.verify and not self._settings.dry_run,
            self._info.inferred,
            tuple(warnings),
        )

    async def _present(self) -> tuple[Present, list[str]]:
        """What the hub has, and what earlier restores have left there."""
        tables = {t.name: t._table.query if t.derived else None for t in await self._hub.list_tesseracts()}
        sessions = {s.name: s._session.query for s in await self._hub.list_sessions()}
        return Present(tables, sessions), [name for name in tables if name.startswith(HIDDEN)]

    # --- loading

    async def _load(self, each: Loaded) -> None:
        """Fills a table that nobody looks for."""
        definition = schema_pb2.Table()
        definition.CopyFrom(each.backup.definition)
        for name in LATER:
            definition.ClearField(name)  # type: ignore[arg-type]  # names of fields
        self._undo.append(("create", each.hidden, ""))
        await self._create_table(each.hidden, definition)
        checksum = await self._write(each)
        count = (await (await self._hub.get_tesseract(each.hidden)).info()).row_count
        if count != each.backup.rows:
            message = f"table {each.name!r}: {each.backup.rows:,} rows were restored, and the hub has {count:,}"
            raise BackupFailed(BackupReason.MISMATCH, message)
        if checksum is not None:
            await self._verify(each, checksum)

    async def _create_table(self, name: str, definition: schema_pb2.Table) -> None:
        request = table_service_pb2.CreateTableRequest(
            parent=hub_name(self._hub.name), table_id=name, table=definition, request_id=new_request_id()
        )
        await self._rpc.call(self._rpc.tables.CreateTable, request)

    async def _write(self, each: Loaded) -> Checksum | None:
        """Writes all rows; returns their sums when they are to be compared."""
        checksum = Checksum() if self._settings.verify else None
        stream = AsyncWriteStream(self._rpc, IN_FLIGHT, stop_at_refusal=True)
        sent: deque[int] = deque()  # the rows of requests that are not answered, the oldest first
        before, acknowledged = self._rows, [0]

        def answered(ack: Ack) -> None:
            acknowledged[0] += sent.popleft() if ack.error is None else 0
            self._rows = before + acknowledged[0]
            self._teller.tell("restoring", each.name, self._rows, self._total)

        stream.on("ack", answered)
        blocks = self._file.blocks(each.backup)
        try:
            while (made := await in_thread(self._next, blocks, each, checksum)) is not None:
                for encoded, rows in made:
                    sent.append(rows)
                    await stream.put(encoded)
            await stream.flush()
        except TesseractError as error:
            raise self._refused(error, each, acknowledged[0]) from None
        finally:
            await stream.close()
        return checksum

    def _next(
        self, blocks: Iterator[Block], each: Loaded, checksum: Checksum | None
    ) -> list[tuple[Encoded, int]] | None:
        """The next rows as requests."""
        block = next(blocks, None)
        if block is None:
            return None
        schema = each.backup.schema
        names = [column.name for column in schema.columns if not column.expression]
        block = Block(len(block), {name: block.columns[name] for name in names if name in block.columns})
        if checksum is not None:
            checksum.add(Checksum.of(block, schema.key))
        waiting = deque(block.slice(at, at + self._most_rows) for at in range(0, len(block), self._most_rows))
        made: list[tuple[Encoded, int]] = []
        while waiting:
            part = waiting.popleft()
            encoded = encode_blocks("insert", each.hidden, [(0, part)], self._hub.name)
            if encoded.request.ByteSize() > self._most_bytes and len(part) > 1:
                half = len(part) // 2
                waiting.extendleft((part.slice(half, len(part)), part.slice(0, half)))
            else:
                made.append((encoded, len(part)))
        return made

    def _refused(self, error: TesseractError, each: Loaded, rows: int) -> TesseractError:
        """An error of the hub in terms of the file, where it is about a row."""
        if not error.row_errors:
            return error
        problem = error.row_errors[0]
        message = f"{self._file.path.name}, row {rows + problem.row + 1:,} of table {each.backup.name!r}"
        column = f", column {problem.column!r}" if problem.column else ""
        hint = "choose another key (key=, --key) or type (columns=, --type)" if self._info.inferred else ""
        return BackupFailed(
            BackupReason.VALUE_REFUSED, f"{message}{column}: {problem.message}", field=problem.column, hint=hint
        )

    # --- comparing

    async def _verify(self, each: Loaded, awaited: Checksum) -> None:
        """Raises BackupFailed unless the hub has what was read."""
        schema = each.backup.schema
        query = query_of(self._hub.name, {"table": each.hidden, "columns": list(awaited.columns) or list(schema.key)})
        request = table_service_pb2.QueryStreamRequest(
            parent=hub_name(self._hub.name), query=query, window=window_of(0, None, None, None, None)
        )
        found = Checksum()
        async for page in self._rpc.stream(self._rpc.tables.QueryStream, request):
            block = decode(page.rows, schema.types)
            if len(block):
                await in_thread(_add, found, block, schema.key)
            self._teller.tell("verifying", each.name, found.count, each.backup.rows)
        differing = awaited.differing(found)
        if differing or awaited.count != found.count:
            message = f"table {each.name!r} is not what was read: {', '.join(differing) or 'the number of rows'} differ"
            raise BackupFailed(BackupReason.MISMATCH, message)

    # --- at the end

    async def _finish(self, plan: Plan) -> None:
        """Shows everybody what was loaded."""
        self._teller.tell("finishing", "", 0, 1)
        for each in plan.loaded:
            await self._limit(each)
        for each in plan.loaded:
            if each.replaces:
                await self._hub.swap_tesseracts(each.hidden, each.name)
                self._undo.append(("swap", each.hidden, each.name))
            else:
                await self._hub.rename_tesseract(each.hidden, each.name)
                self._undo.append(("rename", each.hidden, each.name))
        for made in plan.created:
            await self._create(made)
        self._teller.tell("finishing", "", 1, 1)

    async def _limit(self, each: Loaded) -> None:
        """Puts in force what may take rows away."""
        definition = each.backup.definition
        paths = [name for name in LATER if definition.HasField(name)]  # type: ignore[arg-type]  # names of fields
        if paths:
            table = schema_pb2.Table(name=table_name(self._hub.name, each.hidden))
            for name in paths:
                getattr(table, name).CopyFrom(getattr(definition, name))
            request = table_service_pb2.UpdateTableRequest(
                table=table, update_mask=FieldMask(paths=paths), request_id=new_request_id()
            )
            await self._rpc.call(self._rpc.tables.UpdateTable, request)

    async def _create(self, made: Created) -> None:
        if made.kind == "table":
            await self._create_derived(made)
            return
        request = session_service_pb2.CreateSessionRequest(
            parent=hub_name(self._hub.name), session_id=made.name, session=made.definition, request_id=new_request_id()
        )
        await self._rpc.call(self._rpc.sessions.CreateSession, request)
        self._undo.append(("session", made.name, ""))

    async def _create_derived(self, made: Created) -> None:
        """A derived table is created without its indexes."""
        definition = schema_pb2.Table(query=made.definition.query, description=made.definition.description)
        await self._create_table(made.name, definition)
        self._undo.append(("create", made.name, ""))
        if made.definition.indexes:
            request = table_service_pb2.UpdateTableRequest(
                table=schema_pb2.Table(name=table_name(self._hub.name, made.name), indexes=made.definition.indexes),
                update_mask=FieldMask(paths=["indexes"]),
                request_id=new_request_id(),
            )
            await self._rpc.call(self._rpc.tables.UpdateTable, request)

    async def _remove_replaced(self, plan: Plan) -> list[str]:
        """Removes the tables whose names the restored ones have; returns warnings about those that stay."""
        warnings = []
        for each in plan.loaded:
            if each.replaces:
                try:
                    await self._hub.remove_tesseract(each.hidden, allow_missing=True)
                except TesseractError as error:
                    warnings.append(f"what {each.name!r} was before is still there as {each.hidden!r}: {error}")
        return warnings

    # --- when it fails

    async def _undo_all(self, cause: BaseException) -> None:
        """Takes back what was done, the last first."""
        for done, name, other in reversed(self._undo):
            try:
                await self._take_back(done, name, other)
            except Unavailable:
                cause.add_note(f"the hub cannot be reached: {HIDDEN}... may be left there; discard_restores removes it")
                return
            except TesseractError as error:
                cause.add_note(f"{other or name} could not be taken back: {error}")

    async def _take_back(self, done: str, name: str, other: str) -> None:
        match done:
            case "session":
                await self._hub.remove_session(name, allow_missing=True)
            case "swap":
                await self._hub.swap_tesseracts(name, other)
            case "rename":
                await self._hub.remove_tesseract(other, allow_missing=True)
            case _:
                await self._hub.remove_tesseract(name, allow_missing=True)


def _add(found: Checksum, block: Block, key: Any) -> None:
    found.add(Checksum.of(block, key))
