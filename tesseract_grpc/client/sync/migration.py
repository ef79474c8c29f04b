# Generated from tesseract_grpc/client/aio/migration.py by tools/generate_sync_client.py: edit that file and run it.
"""A migration: rows of a database into a table of the hub, compared at the end, and followed if wanted.

    open the database, decide about every column     nothing has been written yet
    create the table, or go on with the one that an interrupted run left
    copy: read in the order of the key, upsert over a write stream, note what was acknowledged
    compare: the sums of what was read with the sums of what the hub has at one version
    follow: look for newer rows, again and again

What blocks (the driver, and the conversion of its rows) runs in a thread; writes are pipelined meanwhile.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2

from ..core.batch import Block, decode
from ..core.errors import NotFound, TesseractError
from ..core.names import hub_name
from ..core.pipeline import Ack
from ..core.queries import query_of
from ..core.windows import window_of
from ..core.writes import Encoded, WriteBatch, encode_blocks, encode_writes
from ..migrate.catalogue import query_of as relation_of_query
from ..migrate.catalogue import table_of
from ..migrate.checksum import Checksum
from ..migrate.compare import MOST_BUCKETS, Buckets, Suspects, explain
from ..migrate.database import Database
from ..migrate.errors import MigrationFailed, MigrationReason
from ..migrate.follow import Follower, gone, highest, nulls
from ..migrate.options import MigrationOptions, Settings
from ..migrate.plan import Plan, check_values, keys_of, plan_of
from ..migrate.reading import Batch, Batches, Reader
from ..migrate.report import MigrationProgress, MigrationResult, Phase
from ..migrate.state import MigrationState, not_resumable
from .runtime import Gate, Lock, in_thread
from .tesseract import Tesseract
from .write_stream import WriteStream

if TYPE_CHECKING:
    from .hub import EventHorizon

IN_FLIGHT = 8
SECONDS_BETWEEN_SAVES = 0.5
SECONDS_BETWEEN_REPORTS = 0.1
SHARE_OF_MESSAGE = 0.5
"""How much of the largest message that the server takes a request may fill."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that is on its way: its rows, and the batch that is acknowledged with it when it is its last."""

    block: Block
    batch: Batch | None


class Migration:
    """One migration. Made and run by `hub.migrate_from`."""

    def __init__(self, hub: EventHorizon, settings: Settings, database: Database, plan: Plan, to: str) -> None:
        self._hub, self._rpc = hub, hub._rpc
        self._settings, self._database, self._plan, self._to = settings, database, plan, to
        self._reader = Reader(database, plan)
        self._state = MigrationState("", "", {})
        self._sent: deque[Sent] = deque()
        self._lock = Lock()
        self._started = time.monotonic()
        self._saved = self._reported = 0.0
        self._begun_at = self._total = self._followed = self._deleted = 0
        self._warnings: list[str] = []
        self._most_bytes = 0

    def run(self) -> MigrationResult:
        """All of it. Raises MigrationFailed, or what the hub says."""
        table = self._begin()
        version = self._copy(table) if not self._state.copied else 0
        seconds = time.monotonic() - self._started
        if self._settings.watch is not None:
            version = self._follow(table) or version
        self._forget()
        return MigrationResult(
            self._to,
            self._state.checksum.count,
            self._begun_at,
            version,
            self._settings.verify,
            seconds,
            self._reader.timing.reading,
            self._reader.timing.converting,
            self._followed,
            self._deleted,
            tuple(self._warnings),
        )

    # --- before anything is copied

    def _begin(self) -> Tesseract:
        """The table: a new one, an empty one that fits, or the one that an interrupted run left."""
        plan, path = self._plan, self._settings.state
        source, target = f"{self._database.name} {plan.relation.title}", f"{hub_name(self._hub.name)}/{self._to}"
        if self._settings.watch:
            source += f" by {self._settings.watch}"
        kept = None if path is None else MigrationState.load(path)
        if kept is not None and path is not None:
            kept.check(source, target, plan.signature(), path)
        info, limits = self._hub.info(), (self._hub.server_info()).limits
        self._most_bytes = int(limits.max_message_bytes * SHARE_OF_MESSAGE)
        try:
            table = self._hub.get_tesseract(self._to)
        except NotFound:
            if kept is not None:
                message = f"the hub has no table {self._to!r} any more, into which {path} leads"
                raise not_resumable(message, f"remove {path} to begin anew") from None
            in_thread(self._check_values)
            table = self._hub.create_tesseract(self._to, plan.definitions())
        else:
            plan.check_table(self._to, table.schema)
        facts = table.info()
        if kept is None:
            if facts.row_count:
                message = f"table {self._to!r} has {facts.row_count:,} rows already"
                hint = "migrate into another with --to, or remove it; an interrupted migration needs its --state file"
                raise MigrationFailed(MigrationReason.TABLE_DIFFERS, message, field="to", hint=hint)
            self._state = MigrationState(source, target, plan.signature(), create_version=facts.create_version)
            self._state.epoch = info.epoch
            self._mark()
        else:
            if (kept.create_version, kept.epoch) != (facts.create_version, info.epoch):
                message = f"the table {self._to!r} is not the one that {path} is about, or its hub may have lost rows"
                raise not_resumable(message, f"remove the table and {path} to begin anew")
            self._state = kept
        self._begun_at = self._state.checksum.count
        self._save()
        return table

    def _check_values(self) -> None:
        with self._database.reading() as connection, self._database.errors("cannot read"):
            check_values(self._plan, connection)

    def _mark(self) -> None:
        """Where following begins has to be known before the copy does."""
        if self._settings.watch is not None:
            in_thread(self._find_mark)

    def _find_mark(self) -> None:
        with self._database.reading() as connection:
            self._state.mark = highest(self._database, self._plan, connection)
            unseen = nulls(self._database, self._plan, connection)
        if unseen:
            self._warnings.append(f"{unseen:,} rows have no {self._settings.watch}: changes of them cannot be followed")

    # --- the copy

    def _copy(self, table: Tesseract) -> int:
        """Copies and compares; returns the version of the hub that was compared."""
        with ExitStack() as stack:  # what it closes only waits for the database for a moment
            connection = in_thread(stack.enter_context, self._database.reading())
            self._total = in_thread(self._count, connection)
            batches = self._reader.batches(connection, self._state.last)
            stack.callback(batches.close)
            self._write(table, batches)
            counted = self._total if self._database.snapshots else in_thread(self._count, connection)
        version = (self._hub.info()).version
        if self._settings.verify:
            version = self._verify(counted)
        self._state.copied = True
        self._save()
        return version

    def _count(self, connection: Any) -> int:
        with self._database.errors("cannot read"):
            return self._reader.count(connection)

    def _write(self, table: Tesseract, batches: Batches) -> None:
        """Upserts batches, as many as there are."""
        stream = WriteStream(self._rpc, IN_FLIGHT, stop_at_refusal=True)
        stream.on("ack", self._acknowledged)
        self._sent.clear()
        number = self._state.batches
        try:
            while (made := in_thread(self._next, batches, table.name, number)) is not None:
                number += 1
                for encoded, sent in made:
                    with self._lock:
                        self._sent.append(sent)
                    stream.put(encoded)
                self._save(SECONDS_BETWEEN_SAVES)
                self._tell("copying")
            stream.flush()
        except TesseractError as error:
            raise self._refused(error) from None
        finally:
            stream.close()
            self._save()
        self._tell("copying", now=True)

    def _next(self, batches: Batches, table: str, number: int) -> list[tuple[Encoded, Sent]] | None:
        """The next batch as requests: one, or more where its rows are large. The last one acknowledges it."""
        batch = next(batches, None)
        if batch is None:
            return None
        started = time.perf_counter()
        blocks = deque([batch.block])
        made: list[tuple[Encoded, Sent]] = []
        digest = f"{sum(batch.checksum.columns.values()) & 2**64 - 1:016x}"
        while blocks:
            block = blocks.popleft()
            encoded = encode_blocks("upsert", table, [(0, block)], self._hub.name)
            if encoded.request.ByteSize() > self._most_bytes and len(block) > 1:
                half = len(block) // 2
                blocks.extendleft((block.slice(half, len(block)), block.slice(0, half)))
                continue
            encoded.request.request_id = f"{self._state.id}-{number}.{len(made)}-{digest}"
            made.append((encoded, Sent(block, None if blocks else batch)))
        self._reader.timing.converting += time.perf_counter() - started
        return made

    def _acknowledged(self, ack: Ack) -> None:
        """The hub has some rows, or has refused them: those stay, for `_refused` to name them."""
        if ack.error is not None:
            return
        with self._lock:
            batch = self._sent.popleft().batch
            if batch is not None:
                self._state.last = batch.last
                self._state.batches += 1
                self._state.checksum.add(batch.checksum)

    def _refused(self, error: TesseractError) -> TesseractError:
        """An error of the hub in terms of the source, where it is about a row."""
        if not error.row_errors or not self._sent:
            return error
        problem = error.row_errors[0]
        key = keys_of(self._sent[0].block, self._plan.key_names, problem.row)
        return self._plan.refusal(key, problem.column, problem.message, error.row_error_count)

    # --- the comparison

    def _verify(self, counted: int) -> int:
        """Raises MigrationFailed when the hub does not have what the database has."""
        awaited = self._state.checksum
        if self._begun_at:  # what was read before an interruption may have changed since: all of it is read again
            awaited = Checksum()
            self._read_again(lambda block: awaited.add(Checksum.of(block, self._plan.key_names)))
            counted = awaited.count
        found = Checksum()
        version = self._read_hub(lambda block: found.add(Checksum.of(block, self._plan.key_names)))
        differing = awaited.differing(found)
        if not differing and found.count == awaited.count and counted == awaited.count:
            return version
        if self._settings.watch is not None and not self._state.checksum.differing(found):
            self._warnings.append("the database was written while it was copied; following brings what changed")
            return version
        told = f"{awaited.count:,} rows were read, the hub has {found.count:,}, the database counts {counted:,}"
        columns = f"; the sums of {', '.join(differing)} differ" if differing else ""
        message = f"the two sides differ: {told}{columns}: {self._explain()}"
        hint = "if the database was written meanwhile, remove the table and repeat, or follow it with --watch"
        raise MigrationFailed(MigrationReason.MISMATCH, message, hint=hint)

    def _explain(self) -> str:
        """Which rows differ."""
        key = self._plan.key_names
        here, there = Buckets(key), Buckets(key)
        self._read_again(here.add)
        self._read_hub(there.add)
        differing = here.differing(there)
        wanted = frozenset(differing[:MOST_BUCKETS])
        source, hub = Suspects(key, wanted), Suspects(key, wanted)
        self._read_again(source.add)
        self._read_hub(hub.add)
        return explain(source, hub, len(differing))

    def _read_again(self, take: Callable[[Block], None]) -> None:
        """All rows of the database."""
        rows = 0
        with ExitStack() as stack:
            connection = in_thread(stack.enter_context, self._database.reading())
            batches = Reader(self._database, self._plan).batches(connection)
            stack.callback(batches.close)
            while (batch := in_thread(next, batches, None)) is not None:
                in_thread(take, batch.block)
                rows += len(batch.block)
                self._tell("verifying", rows)

    def _read_hub(self, take: Callable[[Block], None], *, keys_only: bool = False) -> int:
        """All rows of the hub at one version, piece by piece; returns the version."""
        columns = self._plan.columns[: len(self._plan.key)] if keys_only else self._plan.columns
        names, types = [column.name for column in columns], {column.name: column.type for column in columns}
        query = query_of(self._hub.name, {"table": self._to, "columns": names})
        request = table_service_pb2.QueryStreamRequest(
            parent=hub_name(self._hub.name), query=query, window=window_of(0, None, None, None, None)
        )
        version = rows = 0
        for page in self._rpc.stream(self._rpc.tables.QueryStream, request):
            version = page.version
            if page.rows.row_count:
                in_thread(take, decode(page.rows, types))
                rows += page.rows.row_count
                self._tell("verifying", rows)
        return version

    # --- following

    def _follow(self, table: Tesseract) -> int:
        """Looks for what is new until it is told to stop; returns the version of the last commit."""
        settings, gate = self._settings, Gate()
        follower = Follower(self._database, self._plan, self._state.mark)
        stopped = settings.stop or (lambda: False)
        version, compared = 0, time.monotonic()
        while not stopped():
            for_all = settings.deletions_every is not None and time.monotonic() - compared >= settings.deletions_every
            version = self._look(table, follower) or version
            if for_all:
                version = self._delete(table, follower) or version
                compared = time.monotonic()
            self._state.mark = follower.mark
            self._save()
            self._tell("following", now=True)
            waited = time.monotonic() + settings.every
            while not stopped() and time.monotonic() < waited:
                gate.wait_for(lambda: False, min(0.1, settings.every))
        return version

    def _look(self, table: Tesseract, follower: Follower) -> int:
        """Writes what is new."""
        version, batches = 0, follower.look()
        try:
            while (batch := in_thread(next, batches, None)) is not None:
                version = (self._commit("upsert", table, batch.block)).version
                self._followed += len(batch.block)
        finally:
            in_thread(batches.close)
        return version

    def _delete(self, table: Tesseract, follower: Follower) -> int:
        """Removes the rows of the hub that the database does not have any more."""
        known = in_thread(follower.keys)
        found: list[Block] = []
        key, version = self._plan.key_names, 0
        self._read_hub(lambda block: found.append(gone(block, key, known)), keys_only=True)
        for block in found:
            if len(block):
                version = (self._commit("delete", table, block)).version
                self._deleted += len(block)
        return version

    def _commit(self, kind: str, table: Tesseract, block: Block) -> Any:
        """One commit."""
        if kind == "delete":
            batch = WriteBatch().remove(table, dict(block.columns))
            encoded = encode_writes(batch.operations, batch.schemas, self._hub.name)
        else:
            encoded = encode_blocks(kind, table.name, [(0, block)], self._hub.name)
        self._sent.clear()
        self._sent.append(Sent(block, None))
        try:
            return encoded.result(self._rpc.call(self._rpc.tables.Write, encoded.request))
        except TesseractError as error:
            raise self._refused(error) from None

    # --- what is kept and told

    def _save(self, seconds: float = 0.0) -> None:
        """Writes the state, unless that was done less than so many seconds ago."""
        path = self._settings.state
        if path is None or time.monotonic() - self._saved < seconds:
            return
        with self._lock:
            self._state.save(path)
        self._saved = time.monotonic()

    def _forget(self) -> None:
        """The migration is through: there is nothing to resume. Following, however, can be resumed."""
        path: Path | None = self._settings.state
        if path is not None and self._settings.watch is None:
            path.unlink(missing_ok=True)

    def _tell(self, phase: Phase, rows: int | None = None, *, now: bool = False) -> None:
        told, moment = self._settings.on_progress, time.monotonic()
        if told is None or (not now and moment - self._reported < SECONDS_BETWEEN_REPORTS):
            return
        self._reported, seconds = moment, moment - self._started
        copied = self._state.checksum.count
        done = rows if rows is not None else self._followed if phase == "following" else copied
        rate = (copied - self._begun_at) / seconds if seconds > 0 else 0.0
        told(MigrationProgress(phase, done, self._total, seconds, rate, self._deleted))


def migrate(
    hub: EventHorizon, url: str, table: str | None, to: str | None, options: MigrationOptions
) -> MigrationResult:
    """Opens the database, decides, and runs."""
    settings = Settings.of(table, options)
    if to is None:
        if table is None:
            raise MigrationFailed(MigrationReason.BAD_OPTION, "a query has no name: say the table's", field="to")
        to = table.rpartition(".")[2]
    database = in_thread(Database, url)
    try:
        relation = in_thread(_relation, database, settings)
        plan = in_thread(plan_of, database, relation, settings)
        return Migration(hub, settings, database, plan, to).run()
    finally:
        in_thread(database.close)


def _relation(database: Database, settings: Settings) -> Any:
    if settings.query is not None:
        return relation_of_query(database, settings.query)
    assert settings.table is not None
    return table_of(database, settings.table)
