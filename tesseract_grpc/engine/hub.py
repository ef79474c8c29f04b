"""The facade of the engine: commits in, deltas out.

A hub is one store: its tables, its sessions and one line of versions. It is synchronous and deterministic: the same
calls in the same order give the same state, bit for bit. It has no clock, does no I/O and knows nothing of transport.

A commit runs to its end in one call: the writes are applied to their tables, each table's delta is offered to the
results that it can touch, and the sessions whose results changed are returned. Readers (`Watch`, `TableWatch`) take
what they are owed whenever they like; the commit never waits for them.

Definitions (tables, indexes, names) are commits too: each takes a version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.alteration import Alteration
from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import CommitLimits, Write, WriteCounts
from tesseract_grpc.engine.data.errors import (
    CommitRefused,
    InvalidRequest,
    OutOfRange,
    Reason,
    RowProblem,
)
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.retention import MemoryLimit, Retention
from tesseract_grpc.engine.data.row_write import NotPlain, write_row
from tesseract_grpc.engine.data.schema import IndexSchema, TableSchema, check_name, project
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.transaction import RowsRefused, Transaction
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.altering import Altered
from tesseract_grpc.engine.live.catalogue import Catalogue
from tesseract_grpc.engine.live.checked_write import checked_write
from tesseract_grpc.engine.live.counters import Counters
from tesseract_grpc.engine.live.explain import PlanStep
from tesseract_grpc.engine.live.hub_image import HubImage
from tesseract_grpc.engine.live.present import depends_on_time, timely
from tesseract_grpc.engine.live.rebinding import Ended, Rebound
from tesseract_grpc.engine.live.restoration import Restoration
from tesseract_grpc.engine.live.result import Hydration, Result
from tesseract_grpc.engine.live.session import QueryResult, Session
from tesseract_grpc.engine.live.sessions import Sessions
from tesseract_grpc.engine.live.source import Source
from tesseract_grpc.engine.live.table_watch import TableWatch
from tesseract_grpc.engine.live.text_sweep import BUDGET, TextSweep
from tesseract_grpc.engine.live.wave import Wave
from tesseract_grpc.engine.operators.select import BigSelection, TableSelector, select
from tesseract_grpc.engine.query.filter import Filter
from tesseract_grpc.engine.query.query import WHOLE, Query, Window
from tesseract_grpc.engine.query.query import Limits as QueryLimits

BIG = 50_000
"""From so many rows on, sorting takes long enough to be worth a worker thread."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a hub may hold."""

    max_tables: int = 1_000
    max_columns: int = 1_000
    max_sessions: int = 100_000
    commit: CommitLimits = field(default_factory=CommitLimits)
    query: QueryLimits = field(default_factory=QueryLimits)
    history: HistoryLimits = field(default_factory=HistoryLimits)
    result_history: HistoryLimits = field(default_factory=lambda: HistoryLimits(256, 65_536))


@dataclass(frozen=True, slots=True)
class CommitResult:
    """A commit that was made: its version, what each write did, and whom it touched."""

    version: int
    counts: tuple[WriteCounts, ...]
    touched: tuple[Session, ...] = ()
    tables: tuple[Relation, ...] = ()
    ended: tuple[tuple[Session, OutOfRange], ...] = ()  # sessions that could not follow, and why
    aging: tuple[Source, ...] = ()  # of whose history a part is forgotten soon


class Hub:
    """One store: tables, sessions, one version line."""

    def __init__(
        self,
        name: str = "default",
        *,
        epoch: str,
        limits: Limits | None = None,
        stopwatch: Callable[[], int] | None = None,
    ) -> None:
        """`stopwatch` tells nanoseconds, for plans that say how long work took; nothing else depends on it."""
        check_name(name, "hub", "hub")
        self.name = name
        self.epoch = epoch
        self.limits = limits or Limits()
        self.counters = Counters()
        self._line = VersionLine() if stopwatch is None else VersionLine(stopwatch=stopwatch)
        self._sources: dict[str, Source] = {}
        self._sessions = Sessions(
            self._sources,
            self._line,
            self.counters,
            self.limits.query,
            self.limits.history,
            self.limits.result_history,
            self.limits.max_sessions,
        )
        self._wave = Wave(self._line.stopwatch)
        self._catalogue = Catalogue(
            self._sources,
            self._sessions,
            self._line,
            self._wave,
            self.counters,
            self.limits.history,
            self.limits.max_tables,
            self.limits.max_columns,
        )
        self._tables = self._catalogue.tables
        self._derived = self._catalogue.derived
        self._sweep = TextSweep(self._sources)

    def set_limits(self, limits: Limits) -> None:
        """Holds no more than this from now on; what there is stays. Lengths of histories are those of the beginning."""
        self.limits = replace(limits, history=self.limits.history, result_history=self.limits.result_history)
        self._sessions.set_limits(limits.query, limits.max_sessions)
        self._catalogue.set_limits(limits.max_tables, limits.max_columns)

    @property
    def version(self) -> int:
        """The version of the last commit; 0 before the first."""
        return self._line.current

    @property
    def tables(self) -> Mapping[str, Table]:
        """The tables by name."""
        return self._tables

    @property
    def sessions(self) -> Mapping[str, Session]:
        """The sessions by name."""
        return self._sessions.by_name

    # Definitions

    def create_table(
        self,
        name: str,
        schema: TableSchema,
        indexes: Sequence[IndexSchema] = (),
        *,
        retention: Retention | None = None,
        memory_limit: MemoryLimit | None = None,
        validate_only: bool = False,
    ) -> Table:
        """Creates a table. O(columns). Raises AlreadyExists, InvalidRequest, LimitExceeded."""
        return self._catalogue.create(name, schema, indexes, retention, memory_limit, validate_only=validate_only)

    def create_derived_table(self, name: str, query: Query, *, validate_only: bool = False) -> Table:
        """Creates a table whose rows are those of a query, kept up to date. O(n) to evaluate the query.

        It can be read, watched and queried as any table, and not be written. Raises AlreadyExists, NotFound,
        InvalidRequest, LimitExceeded, OutOfRange.
        """
        return self._catalogue.derive(name, query, validate_only=validate_only)

    @property
    def derived_tables(self) -> Mapping[str, Query]:
        """The queries of the derived tables, by name."""
        return self._catalogue.queries

    def drop_table(self, name: str) -> tuple[Session, ...]:
        """Drops a table and its rows; returns the sessions on it, which ended. O(sessions).

        Raises NotFound, and PreconditionFailed when derived tables read it.
        """
        return self._catalogue.drop(name)

    def rename_table(self, old: str, new: str) -> Table:
        """Renames a table; its sessions follow. O(sessions). Raises NotFound, AlreadyExists, InvalidRequest."""
        return self._catalogue.rename(old, new)

    def swap_tables(self, name: str, other: str, keeps: Callable[[Session], bool] = lambda session: False) -> Rebound:
        """Exchanges the names of two tables in one version; sessions and derived tables stay with the name.

        Sessions that miss a column end, unless `keeps` is true of one: then it is refused. Raises NotFound,
        InvalidRequest, PreconditionFailed; then nothing has changed. O(rows) for everything that reads the tables.
        """
        return self._catalogue.swap(name, other, keeps)

    def ending_in_swap(self, name: str, other: str) -> list[Ended]:
        """The sessions that would end if two tables exchanged their names, by what they ask for. O(sessions).

        Raises NotFound, InvalidRequest.
        """
        return self._catalogue.ending_in_swap(name, other)

    def alter_table(
        self,
        name: str,
        alterations: Sequence[Alteration],
        keeps: Callable[[Session], bool] = lambda session: False,
        *,
        validate_only: bool = False,
        at: int = 0,
    ) -> Altered:
        """Changes columns, the key or indexes of a table that is in use: all alterations or none, in one version.

        Sessions and derived tables go on under the new names, and their readers are told the difference. Sessions that
        miss a column end, unless `keeps` is true of one: then all is refused. With `validate_only` nothing is changed,
        and what would happen is returned. `at` is the present for `now()`, as in `commit`. O(rows) for each column that
        gets values, and for everything that reads such. Raises NotFound, InvalidRequest, BadExpression,
        AlterationRefused, LimitExceeded, PreconditionFailed; then nothing has changed.
        """
        return self._catalogue.alter(name, alterations, keeps, validate_only=validate_only, at=at)

    def set_indexes(self, name: str, indexes: Sequence[IndexSchema], *, validate_only: bool = False) -> Table:
        """Makes these the secondary indexes of a table: builds new ones, drops those not named. O(n log n) each.

        Raises NotFound, InvalidRequest.
        """
        return self._catalogue.set_indexes(name, indexes, validate_only=validate_only)

    def set_retention(
        self,
        name: str,
        retention: Retention | None,
        memory_limit: MemoryLimit | None = None,
        *,
        validate_only: bool = False,
    ) -> CommitResult:
        """Says which rows leave a table by themselves, and how much memory it may take. O(n log n).

        Takes a version, in which the rows leave that are too many now. Raises NotFound, InvalidRequest.
        """
        table = self._catalogue.set_retention(name, retention, memory_limit, validate_only=validate_only)
        if validate_only:
            return CommitResult(self.version, ())
        return self._upkeep(table, lambda transaction: transaction.expire_excess())

    def evict(self, name: str, rows: int) -> CommitResult:
        """So many rows leave a table, those that come first by its retention, and its history is forgotten, so that
        their room can be used at once. Takes a version. Raises NotFound. O(rows log rows + readers)."""
        table = self.table(name)
        self._line.advance()
        result = self._upkeep(table, lambda transaction: transaction.evict(rows))
        self.forget_history(name)
        return result

    def forget_history(self, name: str) -> None:
        """Lets go of what led readers of a table on from earlier versions; who stands there keeps what it is owed.
        The room of removed rows can be used at once; no version, row or answer depends on it. Raises NotFound."""
        self.table(name)
        self._sources[name].forget(self.version)

    def drop_texts(self, name: str | None = None, budget: int = BUDGET) -> int:
        """Drops texts that no row has any more, a slice of them; returns how many. With a name those of this table,
        worth it or not. O(columns) where nothing is to do, else O(slots). No row, version or answer depends on it."""
        dropped = self._sweep.run(name, budget)
        self.counters.texts_dropped += dropped
        return dropped

    def _upkeep(self, table: Table, work: Callable[[Transaction], None]) -> CommitResult:
        """Lets rows leave in the present version, which has been taken."""
        transaction = Transaction(table, self.version, TableSelector(table, self._line.now), self.limits.commit)
        work(transaction)
        delta = transaction.finish()
        if not len(delta):
            return CommitResult(self.version, ())
        self.counters.commits += 1
        self.counters.rows_expired += transaction.expired
        return self._finish(self.version, (), self._sources[table.name].publish(delta), (table,))

    def table(self, name: str) -> Table:
        """A table. Raises NotFound."""
        return self._catalogue.find(name)

    # Writing

    def commit(self, writes: Sequence[Write], *, validate_only: bool = False, at: int = 0) -> CommitResult:
        """Applies all writes, or none. Raises CommitRefused, InvalidRequest, NotFound, LimitExceeded.

        The version rises by one, unless nothing changed. With `validate_only` nothing is kept. `at` is the present for
        defaults and conditions of this commit, in microseconds; never before the hub's clock, which does not move.
        """
        if not writes:
            raise InvalidRequest(Reason.MALFORMED_REQUEST, "a commit needs at least one write", field="operations")
        self._line.written = max(at, self._line.now)
        version = self.version + 1
        if len(writes) == 1 and not validate_only:
            plain = self._commit_row(writes[0], version)
            if plain is not None:
                return plain
        transactions: dict[str, Transaction] = {}
        counts: list[WriteCounts] = []
        try:
            for number, write in enumerate(writes):
                counts.append(self._apply(transactions, version, number, write))
        except Exception:
            for transaction in transactions.values():
                transaction.roll_back()
            raise
        if validate_only:
            for transaction in transactions.values():
                transaction.roll_back()
            return CommitResult(self.version, tuple(counts))
        for transaction in transactions.values():
            transaction.expire_excess()
            self.counters.rows_expired += transaction.expired
        deltas = [(t.table, delta) for t in transactions.values() if len(delta := t.finish())]
        if not deltas:
            return CommitResult(self.version, tuple(counts))
        self._line.current = version
        self.counters.commits += 1
        changed: list[Result] = []
        for table, delta in deltas:
            changed.extend(self._sources[table.name].publish(delta))
        return self._finish(version, tuple(counts), changed, tuple(table for table, _ in deltas))

    @property
    def now(self) -> int:
        """The hub's clock: microseconds since 1970 UTC, as of the last tick; 0 before the first."""
        return self._line.now

    @property
    def timely(self) -> bool:
        """Whether a tick costs anything: rows come, leave or change with time."""
        return bool(self._wave.timely) or any(table.timely for table in self._tables.values())

    def tick(self, now_us: int) -> CommitResult:
        """Advances the hub's clock, to which everything that uses the present is evaluated.

        A tick is a commit: it takes a version where anything depends on time. A time that is not later is passed over.
        O(1) when nothing depends on time, else O(rows) of what does.
        """
        if now_us <= self._line.now:
            return CommitResult(self.version, ())
        if not self.timely:
            self._line.now = now_us
            return CommitResult(self.version, ())
        return self.advance(now_us)

    def advance(self, now_us: int = 0) -> CommitResult:
        """Takes a version in any case, and advances the clock where the time is later.

        What is kept in a log must take the same versions whoever replays it, whatever else depends on time there. As
        a tick, O(rows) of what depends on time.
        """
        version = self._line.advance()
        before = self._line.now
        if now_us <= before:
            return CommitResult(version, ())
        self._line.now = now_us
        if not self.timely:
            return CommitResult(version, ())
        self.counters.commits += 1
        changed: list[Result] = []
        touched: list[Relation] = []
        for table in tuple(self._tables.values()):
            if table.timely:
                transaction = Transaction(table, version, TableSelector(table, now_us), self.limits.commit)
                transaction.tick(before, now_us)
                delta = transaction.finish()
                self.counters.rows_expired += transaction.expired
                if len(delta):
                    changed.extend(self._sources[table.name].publish(delta))
                    touched.append(table)
        changed.extend(self._wave.run())
        changed.extend(self._wave.tick(version))
        return self._finish(version, (), changed, tuple(touched))

    @contextmanager
    def at(self, now_us: int) -> Iterator[None]:
        """Inside, questions that are asked once are asked of this moment; the clock is as it was after.

        Where anything that is maintained depends on time the clock stays, so that all answers agree. Nothing may be
        written, opened or edited inside.
        """
        before = self._line.now
        if not self.timely:
            self._line.now = max(before, now_us)
        try:
            yield
        finally:
            self._line.now = before

    def depends_on_time(self, name: str) -> bool:
        """Whether the rows of a session, or of a derived table, come, leave or change with time. O(steps)."""
        session = self.sessions.get(name)
        return self._derived.timely(name) if session is None else timely(session.result, session.resolved.source)

    def _commit_row(self, write: Write, version: int) -> CommitResult | None:
        """The commit of one plain row; None when the batch path must decide."""
        table = self.table(write.table)
        if write.table in self._derived.by_name:
            return None  # it is refused there
        written = write_row(table, write, version)
        if isinstance(written, NotPlain):
            return None
        change, counts = written
        if change is None:
            return CommitResult(self.version, (counts,))
        self._line.current = version
        self.counters.commits += 1
        return self._finish(version, (counts,), self._sources[table.name].publish_one(change), (table,))

    def _finish(
        self, version: int, counts: tuple[WriteCounts, ...], changed: list[Result], tables: tuple[Relation, ...]
    ) -> CommitResult:
        """Ends a commit whose tables have told their followers: the nodes that wait for several inputs follow now."""
        wave = self._wave
        changed += wave.run()
        if wave.tapes:  # before anything is forgotten: who was told everything until now must not fall behind by that
            wave.tapes.record((*changed, *tables, *wave.watched))
        wave.trim()
        for result in changed:
            result.trim()
        self.counters.sessions_changed += len(changed)
        touched = tuple(dict.fromkeys([session for result in changed for session in result.sessions.values()]))
        ended: tuple[tuple[Session, OutOfRange], ...] = ()
        if wave.failed:
            ended = self._catalogue.end_failed()
        if wave.watched:
            tables += tuple(wave.watched)
            wave.watched.clear()
        return CommitResult(version, counts, touched, tables, ended, wave.aged())

    def _apply(self, transactions: dict[str, Transaction], version: int, number: int, write: Write) -> WriteCounts:
        table = self.table(write.table)
        self._derived.refuse_write(table.name, f"operations[{number}].table")
        transaction = transactions.get(table.name)
        if transaction is None:
            transaction = Transaction(table, version, TableSelector(table, self._line.written), self.limits.commit)
            transactions[table.name] = transaction
        try:
            return transaction.apply(checked_write(table, write, self.limits.query))
        except RowsRefused as refused:
            problems = [
                RowProblem(number, row, refused.column, refused.reason, refused.message) for row in refused.rows[:100]
            ]
            raise CommitRefused(problems, len(refused.rows)) from None
        except InvalidRequest as error:
            raise InvalidRequest(
                error.reason, error.message, field=f"operations[{number}].{error.field}", hint=error.hint
            ) from None

    # Reading

    def query(self, query: Query, window: Window = WHOLE) -> QueryResult:
        """Evaluates a query once. O(candidates + window log window). Raises NotFound, InvalidRequest."""
        found = self.begin_query(query, window, None)
        return found if isinstance(found, QueryResult) else found()

    def begin_query(
        self, query: Query, window: Window = WHOLE, big: int | None = BIG
    ) -> QueryResult | Callable[[], QueryResult]:
        """The same, except that a result of `big` or more rows that needs sorting is returned as a function.

        The function touches nothing of the hub, so it may be called in a worker thread; its result is that of now.
        """
        resolved = self._sessions.planner().resolve(query)
        table, plan = resolved.table, resolved.plan
        self.counters.rows_examined += resolved.hydrate(self.version)
        found = select(table, plan, window, big, self._line.now)
        self.counters.rows_examined += found.scan.examined
        self.counters.index_queries += found.scan.index is not None
        columns = tuple(table.schema.columns[p] for p in plan.positions)
        version, aged = self.version, found.scan.timely or depends_on_time(resolved.source)
        if isinstance(found, BigSelection):
            selection = found
            return lambda: QueryResult(columns, selection.run(), selection.total, version, timely=aged)
        return QueryResult(columns, table.batch(found.slots, plan.positions), found.total, version, timely=aged)

    def get_rows(self, name: str, keys: Batch, columns: Sequence[str] = ()) -> tuple[Batch, NDArray[np.int64]]:
        """The rows that exist of those with these keys, in the order of the keys, and their row versions."""
        table = self.table(name)
        positions = project(table.schema, columns)
        positions = tuple(p for p in table.schema.key if p not in positions) + positions
        reader = Transaction(table, self.version, TableSelector(table, self._line.now), self.limits.commit)
        try:
            slots = reader.find(keys)
        except RowsRefused as refused:
            problems = [
                RowProblem(0, row, refused.column, refused.reason, refused.message) for row in refused.rows[:100]
            ]
            raise CommitRefused(problems, len(refused.rows)) from None
        slots = slots[slots >= 0]
        return table.batch(slots, positions), table.row_version[slots]

    # Sessions

    def begin_session(self, query: Query, big: int = BIG, *, permanent: Filter | None = None) -> Hydration | None:
        """Begins to hydrate a session of `big` or more rows, so that its sorting can run in a worker thread.

        Call `hydration.sorting.run()` anywhere, then `open_session(.., hydration=..)`, and `hydration.release()` in any
        case. None when the session is better opened at once. Raises NotFound, InvalidRequest, OutOfRange.
        """
        return self._sessions.begin(query, big, permanent)

    def open_session(
        self,
        query: Query,
        name: str,
        *,
        permanent: Filter | None = None,
        validate_only: bool = False,
        hydration: Hydration | None = None,
    ) -> Session:
        """Opens a session; when one of this name has the same query, returns it. O(n log n) to hydrate a new plan.

        `permanent` holds beside the query's filter, whatever the session is edited to. Raises AlreadyExists, NotFound,
        InvalidRequest, LimitExceeded, OutOfRange.
        """
        return self._sessions.open(query, name, permanent=permanent, validate_only=validate_only, hydration=hydration)

    def edit_session(
        self, name: str, query: Query, *, validate_only: bool = False, hydration: Hydration | None = None
    ) -> Session:
        """Gives a session another query, in place: its readers are told the difference. Takes a version.

        The permanent filter stays. Other sessions are not disturbed, whatever they share or read of this one. Raises
        NotFound, InvalidRequest, OutOfRange; then nothing has changed. O(n log n) to hydrate a new plan, unless
        `begin_session` has, and the readers' windows.
        """
        return self._sessions.edit(name, query, validate_only=validate_only, hydration=hydration)

    def explain(self, asked: str | Query) -> PlanStep:
        """How a session, by name, or a query would be evaluated and maintained. Raises NotFound, InvalidRequest.

        A query is evaluated to tell; nothing of it is kept.
        """
        return self._sessions.explain(asked)

    def session(self, name: str) -> Session:
        """A session. Raises NotFound."""
        return self._sessions.find(name)

    def close_session(self, name: str) -> Session:
        """Closes a session; its watches end. The result goes when this was its last session. Raises NotFound."""
        session = self._sessions.find(name)
        self._sessions.end(session, Reason.SESSION_DELETED)
        return session

    def watch_table(
        self,
        name: str,
        since: int | None = None,
        *,
        old_values: bool = False,
        exact: bool = False,
        every_commit: bool = False,
    ) -> TableWatch:
        """Opens a reader of a table's changes from now on. Raises NotFound.

        With `since`, the reader has what was in the table at that version and takes the net change from there first,
        with `exact` to the present version at once. Raises NotResumable when that cannot be told. With `every_commit`
        it is given one commit after the other, as far as history goes back.
        """
        self.table(name)
        return self._sources[name].watch(
            self._line, old_values=old_values, since=since, exact=exact, every_commit=every_commit
        )

    # Images

    def image(self) -> HubImage:
        """What takes an image of the hub, step by step while commits go on."""
        return HubImage(self._line, self._tables, self._sources, self._derived, self.sessions)

    def restoration(self) -> Restoration:
        """What fills this hub, which must be empty, from an image."""
        return Restoration(
            self._line,
            self._tables,
            self._sources,
            self._derived,
            self._sessions,
            self.limits.history,
            self._catalogue.source,
        )

    def check(self) -> int:
        """Proves the invariants of every structure; returns how many. Raises AssertionError. O(everything)."""
        checked = sum(source.check() for source in self._sources.values())
        return checked + self._sessions.check() + self._wave.tapes.check()
