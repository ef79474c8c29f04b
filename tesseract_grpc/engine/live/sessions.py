"""The sessions of a hub: how they are opened, edited, explained and closed.

A session is a name over a result, and a result is shared by all sessions whose plans are equal. What a result reads is
maintained as long as it has a session; the last one that goes takes it along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.errors import AlreadyExists, LimitExceeded, NotFound, Reason
from tesseract_grpc.engine.data.extended_table import root
from tesseract_grpc.engine.data.schema import check_name
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.counters import Counters
from tesseract_grpc.engine.live.explain import PlanStep, explain
from tesseract_grpc.engine.live.image import KeptQuery
from tesseract_grpc.engine.live.resolve import Planner, Resolved
from tesseract_grpc.engine.live.resolve_pivot import PivotValues
from tesseract_grpc.engine.live.result import Hydration, Result
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.live.source import Source
from tesseract_grpc.engine.query.filter import Filter
from tesseract_grpc.engine.query.query import Limits, Query
from tesseract_grpc.engine.query.rename import renamed

_ANY_SIZE = Limits(max_filter_depth=2**31, max_filter_nodes=2**31, max_sort_keys=2**31)


class Sessions:
    """The sessions of one hub, by name, and the results below them."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        line: VersionLine,
        counters: Counters,
        limits: Limits,
        history: HistoryLimits,
        result_history: HistoryLimits,
        most: int,
    ) -> None:
        """`sources` are the tables that queries can read; `most` is how many sessions there may be."""
        self.by_name: dict[str, Session] = {}
        self._sources = sources
        self._line = line
        self._counters = counters
        self._limits = limits
        self._history = history
        self._result_history = result_history
        self._most = most

    def set_limits(self, limits: Limits, most: int) -> None:
        """Other limits hold for queries from now on, and for how many sessions there may be."""
        self._limits = limits
        self._most = most

    def planner(self) -> Planner:
        """What makes a plan of one query."""
        return Planner(self._sources, self.by_name, self._limits, self._line, self._history)

    def planner_again(self, pivots: Sequence[PivotValues], sources: Mapping[str, Source] | None = None) -> Planner:
        """The same for a query that was made before, with these values of its pivots: it was not too large then. With
        `sources` names of tables mean these."""
        known = self._sources if sources is None else sources
        return Planner(known, self.by_name, _ANY_SIZE, self._line, self._history, pivots)

    def find(self, name: str) -> Session:
        """A session. Raises NotFound."""
        session = self.by_name.get(name)
        if session is None:
            raise NotFound(Reason.UNKNOWN_SESSION, f"there is no session '{name[:140]}'", field="name")
        return session

    def begin(self, query: Query, big: int, permanent: Filter | None) -> Hydration | None:
        """Begins to hydrate a session of `big` or more rows, so that its sorting can run in a worker thread.

        Call `hydration.sorting.run()` anywhere, then `open`, and `hydration.release()` in any
        case. None when the session is better opened at once. Raises NotFound, InvalidRequest, OutOfRange.
        """
        resolved = self.planner().resolve(query, permanent)
        table, plan = resolved.table, resolved.plan
        if root(table).row_count < big or plan.tree is not None or plan.fingerprint in resolved.source.results:
            return None
        fresh = resolved.source.owner is not None and not resolved.source.owner.attached
        self._counters.rows_examined += resolved.hydrate(self._line.current)
        resolved.keep()
        release = resolved.source.hold()
        hydration = Result(table, plan, self._line, self._result_history).prepare()
        if len(hydration.sorting.slots) < big and not fresh:
            release()
            return None
        hydration.release = release  # what was just derived is not derived again, however few rows there are
        return hydration

    def open(
        self,
        query: Query,
        name: str,
        *,
        permanent: Filter | None = None,
        validate_only: bool = False,
        hydration: Hydration | None = None,
    ) -> Session:
        """Opens a session; when one of this name has the same query, returns it. O(n log n) to hydrate a new plan.

        `permanent` holds beside the query's filter, whatever the session is edited to.

        Raises AlreadyExists, NotFound, InvalidRequest, LimitExceeded.
        """
        check_name(name, "session", "session_id")
        resolved = self.planner().resolve(query, permanent)
        table = resolved.table
        known = self.by_name.get(name)
        if known is not None:
            # What a query gives may depend on when it was made (a pivot over the values that there are).
            same = known.query == query or (known.result.table is table and known.resolved.plan == resolved.plan)
            if same and known.permanent == permanent:
                return known
            raise AlreadyExists(
                Reason.SESSION_EXISTS, f"a session '{name}' with another query exists", field="session_id"
            )
        if len(self.by_name) >= self._most:
            raise LimitExceeded(
                Reason.LIMIT_EXCEEDED,
                f"the limit of {self._most} sessions in this hub is reached",
                metadata={"limit": "max_sessions", "maximum": str(self._most)},
            )
        result = self.result(resolved, hydration, validate_only=validate_only)
        session = Session(name, query, resolved, result, permanent)
        if not validate_only:
            result.sessions[name] = session
            self.by_name[name] = session
        if hydration is not None:
            hydration.release()
        return session

    def restore(self, name: str, query: KeptQuery, permanent: Filter | None, generation: int) -> Session:
        """A session as it was in another life of the hub. O(n log n) to hydrate a new plan."""
        resolved = self.planner_again(query.pivots).resolve(query.closed, permanent)
        result = self.result(resolved)
        session = Session(name, query.given, resolved, result, permanent)
        session.generation = generation
        result.sessions[name] = self.by_name[name] = session
        return session

    def result(self, resolved: Resolved, hydration: Hydration | None = None, *, validate_only: bool = False) -> Result:
        """The result that a plan shares, or a new one, which follows commits from now on unless it is only a check."""
        table, plan = resolved.table, resolved.plan
        result = resolved.source.results.get(plan.fingerprint)
        if result is not None:
            self._counters.plans_shared += 1
            return result
        ready = hydration is not None and hydration.result.table is table
        if hydration is not None and ready and hydration.result.fingerprint == plan.fingerprint:
            result = hydration.result
        else:
            result, hydration = Result(table, plan, self._line, self._result_history), None
        if not validate_only:
            self._hydrate(resolved, result, hydration)
        return result

    def _hydrate(self, resolved: Resolved, result: Result, hydration: Hydration | None) -> None:
        """Evaluates a new result, and new groups below it, and makes them follow commits."""
        counters = self._counters
        counters.rows_examined += resolved.hydrate(self._line.current)
        counters.rows_examined += result.hydrate() if hydration is None else result.adopt(hydration)
        counters.plans_hydrated += 1
        resolved.keep()
        resolved.source.add(result)

    def edit(self, name: str, query: Query, *, validate_only: bool, hydration: Hydration | None = None) -> Session:
        """Gives a session another query, in place: its readers are told the difference. Takes a version.

        The permanent filter stays. Other sessions are not disturbed, whatever they share or read of this one. Raises
        NotFound, InvalidRequest; then nothing has changed. O(n log n) to hydrate a new plan, and the readers' windows.
        """
        session = self.find(name)
        resolved = self.planner().resolve(query, session.permanent)
        if validate_only:
            return session
        result = self.result(resolved, hydration)
        old, source = session.result, session.resolved.source
        session.edit(query, resolved, result, self._line.advance)
        if result is not old:
            del old.sessions[name]
            result.sessions[name] = session
            if not old.sessions:
                source.remove(old)
        return session

    def explain(self, asked: str | Query) -> PlanStep:
        """How a session, by name, or a query would be evaluated and maintained. Raises NotFound, InvalidRequest.

        A query is evaluated to tell; nothing of it is kept.
        """
        if isinstance(asked, str):
            session = self.find(asked)
            return explain(session.result, session.plan, session.resolved.source)
        resolved = self.planner().resolve(asked)
        result = resolved.source.results.get(resolved.plan.fingerprint)
        if result is None:
            self._counters.rows_examined += resolved.hydrate(self._line.current)
            result = Result(resolved.table, resolved.plan, self._line, self._result_history)
            self._counters.rows_examined += result.hydrate()
        return explain(result, resolved.plan, resolved.source)

    def end(self, session: Session, reason: Reason) -> None:
        """A session is no more; its result goes when this was its last session, and nodes that only it used."""
        del self.by_name[session.name]
        session.end(reason)
        result = session.result
        del result.sessions[session.name]
        if not result.sessions:
            session.resolved.source.remove(result)

    def rename_table(self, old: str, new: str) -> None:
        """A table has another name: so have the queries that read it."""
        for session in self.by_name.values():
            session.query = renamed(session.query, {old: new})
            session.resolved.query = renamed(session.resolved.query, {old: new})

    def check(self) -> int:
        """Proves that every session is known to its result; returns how many there are."""
        for session in self.by_name.values():
            assert session.result.sessions.get(session.name) is session, "a session is not known to its result"
        return len(self.by_name)
