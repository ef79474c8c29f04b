"""Tables that stand under other names: whoever asks for a name goes on with what it means now.

When a name means another table, everything that reads the name must be made anew: derived tables, the steps of queries,
results. Nobody who reads them has to begin anew for that. As after an edit (`edit.py`), each reader is given what it
was owed of the old rows, and then the difference to the new ones, as one change of one version.

This happens in two halves. The first (`prepare`) makes everything that will be needed beside what there is, and finds
out which sessions cannot go on, because the other table has not what they ask for; it may refuse, and then nothing has
happened. The second (`apply`) cannot fail: it takes the version, hands everybody over, and lets go of what was.

What a session shows follows from its definition and from the tables that have the names now, so a replay comes to the
same. Derived tables never end: one that cannot be made anew refuses everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tesseract_grpc.engine.data.errors import EngineError, PreconditionFailed, Reason
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.schema import TableSchema
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.derived import Derived, DerivedTables, derive
from tesseract_grpc.engine.live.resolve import Resolved
from tesseract_grpc.engine.live.result import Result
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.live.sessions import Sessions
from tesseract_grpc.engine.live.source import Source
from tesseract_grpc.engine.live.table_handover import TableHandover
from tesseract_grpc.engine.query.reads import join_prefixes, tables_read

_QUOTED = re.compile(r"'([^']+)'")
_NAMED = 20
"""So many sessions or tables are named by one message."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that cannot go on: the column that it misses, empty where it is something else, and why."""

    session: Session
    column: str
    message: str


@dataclass(frozen=True, slots=True)
class Rebound:
    """What became of everybody: the sessions that show other rows and those that ended, and the relations whose
    readers follow another one now."""

    version: int
    sessions: tuple[Session, ...]
    ended: tuple[Ended, ...]
    relations: Mapping[Relation, Relation]


@dataclass(frozen=True, slots=True)
class _Bound:
    """A session, and what it will show."""

    session: Session
    resolved: Resolved
    result: Result


class Rebinding:
    """One exchange of what names of tables mean."""

    def __init__(
        self,
        sessions: Sessions,
        derived: DerivedTables,
        line: VersionLine,
        tables: dict[str, Table],
        sources: dict[str, Source],
        replaced: Mapping[str, Source],
    ) -> None:
        """`tables` and `sources` are those of the hub; `replaced` says what some of the names will mean."""
        self._sessions = sessions
        self._derived = derived
        self._line = line
        self._tables = tables
        self._sources = sources
        self._replaced = dict(replaced)
        self._staged = {**sources, **replaced}
        self._bound: list[_Bound] = []
        self._again: dict[str, Derived] = {}
        self._made: dict[Result, Source] = {}
        self.ended: list[Ended] = []
        """The sessions that will end."""

    def prepare(self, keeps: Callable[[Session], bool]) -> None:
        """Makes ready what is needed; `keeps` says for which sessions it is refused rather than that they end.

        O(rows) for each step and result that reads the names. Raises PreconditionFailed; then nothing has happened.
        """
        try:
            for name in self._derived_from():
                self._derive(name)
            for session in self._sessions.by_name.values():
                if self._concerns(session.resolved):
                    self._bind(session)
            refuse_ends([each for each in self.ended if keeps(each.session)])
        except BaseException:
            self.cancel()
            raise

    def ending(self) -> list[Ended]:
        """The sessions that would end, by what their queries name alone: nothing is evaluated. O(sessions)."""
        for name in self._derived_from():
            old = self._derived.by_name[name]
            planner = self._sessions.planner_again(old.resolved.pivots, self._staged)
            self._replaced[name] = self._staged[name] = derive(planner, name, old.resolved.query).source
        for session in self._sessions.by_name.values():
            if self._concerns(session.resolved):
                try:
                    self._resolve(session)
                except EngineError as error:
                    self.ended.append(self._end_of(session, error))
        return self.ended

    def cancel(self) -> None:
        """Lets go of what was made ready."""
        for result, source in self._made.items():
            if not result.sessions:
                source.remove(result)
        for derived in reversed(self._again.values()):
            derived.source.holds -= 1
            derived.source.let_go()

    def _concerns(self, resolved: Resolved) -> bool:
        return not tables_read(resolved.query).isdisjoint(self._replaced)

    def _derived_from(self) -> Iterator[str]:
        """The derived tables that read what is replaced, each before those that read it."""
        for name in sorted(self._derived.by_name, key=lambda name: self._tables[name].create_version):
            if self._concerns(self._derived.by_name[name].resolved):
                yield name

    def _derive(self, name: str) -> None:
        """Makes a derived table anew. What reads it reads the new one."""
        old = self._derived.by_name[name]
        try:
            planner = self._sessions.planner_again(old.resolved.pivots, self._staged)
            made = replace(derive(planner, name, old.resolved.query), query=old.query)
            made.node.hydrate(self._line.current + 1)
        except EngineError as error:
            raise PreconditionFailed(
                Reason.TABLE_IN_USE,
                f"the derived table '{name}' could not go on: {error.message}",
                field="name",
                hint="drop it first, and derive it again afterwards",
            ) from None
        made.node.attach()
        made.source.holds += 1
        made.table.create_version = old.table.create_version
        for index in old.table.indexes.values():
            try:
                made.table.set_index(index.schema.resolved(made.table.schema))
            except EngineError:
                continue  # of a column that is gone, or that nobody can look things up by
        self._again[name] = made
        self._replaced[name] = self._staged[name] = made.source

    def _bind(self, session: Session) -> None:
        """Makes the rows that a session will show, or finds out that it will end."""
        try:
            resolved = self._resolve(session)
            result = self._sessions.result(resolved)
        except EngineError as error:
            self.ended.append(self._end_of(session, error))
            return
        self._bound.append(_Bound(session, resolved, result))
        self._made[result] = resolved.source

    def _resolve(self, session: Session) -> Resolved:
        planner = self._sessions.planner_again(session.resolved.pivots, self._staged)
        return planner.resolve(session.resolved.query, session.permanent)

    def _end_of(self, session: Session, error: EngineError) -> Ended:
        return Ended(session, self._missed(session, error.message), error.message)

    def _missed(self, session: Session, message: str) -> str:
        """The column that a session misses: of those that are gone or have become others, the first that the error
        names, perhaps as a join calls it; empty where it names none."""
        query = session.resolved.query
        names = sorted(tables_read(query) & self._replaced.keys())
        lacking = {c for name in names for c in lost(self._sources[name].table.schema, self._staged[name].table.schema)}
        return missed(message, lacking, join_prefixes(query))

    def apply(self, install: Callable[[], None]) -> Rebound:
        """Takes a version, and hands everybody over. `install` gives the tables their names."""
        before = {name: self._sources[name] for name in self._replaced}
        handovers = [TableHandover(before[name], source, self._line) for name, source in self._replaced.items()]
        views = [each.session.depart() for each in self._bound]
        for handover in handovers:
            handover.depart()
        version = self._line.advance()
        install()
        left = [(each.session.result, each.session.resolved.source) for each in self._bound]
        for each, view in zip(self._bound, views, strict=True):
            each.result.sessions[each.session.name] = each.session
            each.session.arrive(view, each.session.query, each.resolved, each.result, replaced=True)
        leave(self._bound, left)
        for end in self.ended:
            self._sessions.end(end.session, Reason.TABLE_ALTERED)
        for handover in handovers:
            handover.arrive()
        for name, made in self._again.items():
            self._install_derived(name, made)
        relations = {before[name].table: source.table for name, source in self._replaced.items()}
        return Rebound(version, tuple(each.session for each in self._bound), tuple(self.ended), relations)

    def _install_derived(self, name: str, made: Derived) -> None:
        old = self._derived.by_name[name]
        self._derived.by_name[name] = made
        self._tables[name], self._sources[name] = made.table, made.source
        for watch in tuple(old.source.watches):
            watch.end(Reason.TABLE_CHANGED)  # whoever reads this very relation, and not whatever has its name
        old.source.holds -= 1
        old.source.let_go()


class Moved(Protocol):
    """A session that shows another result than before, perhaps."""

    @property
    def session(self) -> Session: ...

    @property
    def result(self) -> Result: ...


def leave(moved: Sequence[Moved], left: Sequence[tuple[Result, Source]]) -> None:
    """Lets go of the results that sessions had, once all have arrived at theirs: the one that somebody leaves may be
    that which another comes to. O(sessions)."""
    for each, (old, source) in zip(moved, left, strict=True):
        if old is not each.result:
            del old.sessions[each.session.name]
            if not old.sessions:
                source.remove(old)


def lost(before: TableSchema, after: TableSchema) -> list[str]:
    """The columns of a table that another has not, or has as something else, in order. O(columns)."""
    kept = {(column.name, column.type, column.enum_values) for column in after.columns}
    return [c.name for c in before.columns if not c.hidden and (c.name, c.type, c.enum_values) not in kept]


def missed(message: str, lacking: Collection[str], prefixes: Collection[str]) -> str:
    """The first of some columns that an error names, perhaps as a join calls it; empty where it names none."""
    for quoted in _QUOTED.findall(message):
        for name in unprefixed(quoted, prefixes):
            if name in lacking:
                return name
    return ""


def unprefixed(name: str, prefixes: Collection[str]) -> list[str]:
    """What a column may be called before joins gave it prefixes, itself first. O(length x prefixes).

    >>> unprefixed("a_b_c", ["a_", "b_"])
    ['a_b_c', 'b_c', 'c']
    """
    found = [name]
    for each in found:  # which grows meanwhile
        for prefix in sorted(prefixes):
            rest = each.removeprefix(prefix)
            if rest and rest not in found:
                found.append(rest)
    return found


def refuse_ends(ends: Sequence[Ended]) -> None:
    """Raises PreconditionFailed where sessions would end."""
    if not ends:
        return
    names = ", ".join(f"'{each.session.name}'" for each in ends[:_NAMED])
    missed = f" (it misses the column '{ends[0].column}')" if ends[0].column else ""
    raise PreconditionFailed(
        Reason.TABLE_IN_USE,
        f"{len(ends)} sessions would end: {names}{missed}; the first says: {ends[0].message}",
        field="keep_sessions",
        hint="edit or delete them first, or let them end",
    )
