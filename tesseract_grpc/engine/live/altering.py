"""An alteration of a table, as all see it who read the table.

The table stays the same object: its rows keep their slots, and what an alteration does not touch keeps its position
(`operators/altered_table.py`). So results and steps that read none of what is touched go on as they are, at no cost,
and a reader who is still owed something of before the alteration is told it from history as ever.

Whoever is concerned is made anew: sessions and derived tables that name a column which is called otherwise now, is gone
or holds other values, and those that show all columns. Their queries follow the names (`query/following.py`), and are
then planned on the table as it will be. All of that is done beforehand, in a *rehearsal*: the table takes its new
columns, what is needed is planned and evaluated, and the table takes its old columns again. A rehearsal that fails has
changed nothing. Then everybody who is concerned is told what they are owed of the old columns, the table takes the new
ones for good, and everybody is told the difference, as one change of one version.

Names alone do not say whether two questions are the same: before and after an alteration one name may mean different
columns. So for as long as a result or step that was made before reads what was touched, it is known by another
fingerprint, and no new question finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace

from tesseract_grpc.engine.data.alteration import Alteration
from tesseract_grpc.engine.data.column import GoneColumn
from tesseract_grpc.engine.data.errors import EngineError, PreconditionFailed, Reason
from tesseract_grpc.engine.data.extended_table import ExtendedTable, root
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.retention import Retention, check_retention
from tesseract_grpc.engine.data.schema import ColumnSchema, IndexSchema
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.clearing import renamed_filter
from tesseract_grpc.engine.live.derived import Derived, DerivedTables, derive
from tesseract_grpc.engine.live.node import Node
from tesseract_grpc.engine.live.rebinding import Ended, Rebound, leave, missed, refuse_ends
from tesseract_grpc.engine.live.resolve import Resolved
from tesseract_grpc.engine.live.result import Result
from tesseract_grpc.engine.live.session import Session, Views
from tesseract_grpc.engine.live.sessions import Sessions
from tesseract_grpc.engine.live.source import Source
from tesseract_grpc.engine.live.table_handover import TableHandover
from tesseract_grpc.engine.operators.altered_table import Draft, Drafted
from tesseract_grpc.engine.query.expression.rename import Names
from tesseract_grpc.engine.query.following import ColumnGone, Columns, Followed, followed
from tesseract_grpc.engine.query.query import Plan, Query
from tesseract_grpc.engine.query.reads import join_prefixes, tables_read


@dataclass(frozen=True, slots=True)
class Altered(Rebound):
    """An altered table, and what became of everybody who reads it. `version` is 0 when it was only a check."""

    table: Table
    columns: tuple[ColumnSchema, ...]
    indexes: tuple[IndexSchema, ...]
    rewritten: int
    """The rows that got a new value in some column."""


@dataclass(frozen=True, slots=True)
class _Bound:
    """A session, and what it will show."""

    session: Session
    query: Followed
    resolved: Resolved
    result: Result


class Altering:
    """One alteration of one table."""

    def __init__(
        self,
        sessions: Sessions,
        derived: DerivedTables,
        line: VersionLine,
        tables: dict[str, Table],
        sources: dict[str, Source],
        name: str,
    ) -> None:
        """`tables` and `sources` are those of the hub."""
        self._sessions = sessions
        self._derived = derived
        self._line = line
        self._tables = tables
        self._sources = sources
        self._name = name
        self._table = tables[name]
        self._source = sources[name]
        self._before = self._table.layout
        self._after = self._before
        self._touched: frozenset[str] = frozenset()
        self._new_key = False
        self._names: dict[str, Columns] = {}
        self._staged = dict(sources)
        self._aside: list[tuple[Result | Node, Hashable]] = []
        """What is known by another fingerprint, and by which it was."""
        self._bound: list[_Bound] = []
        self._again: dict[str, Derived] = {}
        self._made: dict[Result, Source] = {}
        self.ended: list[Ended] = []
        """The sessions that will end."""

    def run(
        self,
        alterations: Sequence[Alteration],
        check_count: Callable[[int], None],
        keeps: Callable[[Session], bool],
        *,
        validate_only: bool,
    ) -> Altered:
        """All of the alterations, or none; `keeps` says for which sessions they are refused rather than that they end.

        Raises InvalidRequest, BadExpression, AlterationRefused, LimitExceeded, PreconditionFailed.
        """
        table = self._table
        drafted = Draft(table, self._line, check_count).apply(alterations)
        retention = None
        if table.retention is not None:
            names = {old: new for old, new in drafted.names.items() if new is not None}
            retention = check_retention(table.retention.renamed(names), drafted.layout.schema)
        self._after, self._touched, self._new_key = drafted.layout, drafted.touched, drafted.new_key
        key = frozenset(column.name for column in table.schema.key_columns)
        self._names[self._name] = Columns(drafted.names, key)
        try:
            self._rehearse(keeps)
        except BaseException:
            self._cancel()
            raise
        if validate_only:
            self._cancel()
            return self._altered(drafted, 0, {})
        return self._perform(drafted, retention)

    # The rehearsal

    def _rehearse(self, keeps: Callable[[Session], bool]) -> None:
        """Makes ready all that is needed. O(rows) for each step and result that is made anew."""
        self._mark()
        self._table.assume(self._after)
        self._line.current += 1
        try:
            for name in sorted(self._derived.by_name, key=lambda name: self._tables[name].create_version):
                if self._reads(self._derived.by_name[name].resolved.query):
                    self._derive(name)
            for session in tuple(self._sessions.by_name.values()):
                if self._reads(session.resolved.query):
                    self._bind(session)
            refuse_ends([each for each in self.ended if keeps(each.session)])
        finally:
            self._line.current -= 1
            self._table.assume(self._before)

    def _reads(self, query: Query) -> bool:
        return not tables_read(query).isdisjoint(self._names)

    def _mark(self) -> None:
        """Finds the results and steps that new questions must not find, because they read what is touched."""
        mark = self._line.current + 1
        for result in tuple(self._source.results.values()):
            if self._new_key or mentions(result.fingerprint, self._touched):
                self._put_aside(result, ("before", mark, result.fingerprint))
        for node in below(self._source):
            stale = (
                self._new_key or root(node.deriver.table) is self._table or mentions(node.fingerprint, self._touched)
            )
            shown = {column.name for column in node.deriver.table.schema.columns}
            if stale or not shown.isdisjoint(self._touched):
                self._put_aside(node, ("before", mark, node.fingerprint))

    def _put_aside(self, each: Result | Node, fingerprint: Hashable) -> None:
        self._aside.append((each, each.fingerprint))
        self._know_as(each, fingerprint)

    def _know_as(self, each: Result | Node, fingerprint: Hashable) -> None:
        """Gives a result of the table, or a step, another fingerprint, wherever it is known by it."""
        if isinstance(each, Result):
            del self._source.results[each.fingerprint]
            self._source.router.rename(each, fingerprint)
            self._source.results[fingerprint] = each
            return
        first = each.inputs[0].source.nodes
        if first.get(each.fingerprint) is each:
            del first[each.fingerprint]
            first[fingerprint] = each
        each.fingerprint = fingerprint
        for part in each.inputs:
            part.source.router.rename(part, (fingerprint, part.which))

    def _cancel(self) -> None:
        """Lets go of what was made ready, and of nothing else."""
        for result, source in self._made.items():
            if not result.sessions:
                source.remove(result)
        for derived in reversed(self._again.values()):
            derived.source.holds -= 1
            derived.source.let_go()
        for each, known in reversed(self._aside):
            self._know_as(each, known)

    def _derive(self, name: str) -> None:
        """Makes a derived table anew where it is concerned. What reads it reads the new one."""
        old = self._derived.by_name[name]
        try:
            now = followed(old.query, old.resolved.query, None, self._names)
            planner = self._sessions.planner_again(old.resolved.pivots, self._staged)
            made = replace(derive(planner, name, now.closed), query=now.given)
            if not self._concerned(now, old.resolved, old.table.schema.visible, made.table.schema.visible):
                return
            made.node.hydrate(self._line.current)
        except (EngineError, ColumnGone) as error:
            message = error.message if isinstance(error, EngineError) else str(error)
            raise PreconditionFailed(
                Reason.TABLE_IN_USE,
                f"the derived table '{name}' could not go on: {message}",
                field="name",
                hint="drop it first, and derive it again afterwards",
            ) from None
        made.node.attach()
        made.source.holds += 1
        made.table.create_version = old.table.create_version
        _index(made.table, old.table, now.names)
        self._again[name] = made
        self._staged[name] = made.source
        known = {column.name for column in made.table.schema.visible}
        names = {
            column.name: new if (new := now.names.get(column.name, column.name)) in known else None
            for column in old.table.schema.visible
        }
        changed = {before: after for before, after in names.items() if before != after}
        self._names[name] = Columns(changed, frozenset(column.name for column in old.table.schema.key_columns))

    def _bind(self, session: Session) -> None:
        """Makes the rows that a session will show, or finds out that it goes on as it is, or will end."""
        old = session.resolved
        try:
            now = followed(session.query, old.query, session.permanent, self._names)
            same = now.closed == old.query and now.permanent == session.permanent
            if same and old.source is self._source and old.query.columns and not self._mentioned(session, old.query):
                return
            resolved = self._sessions.planner_again(old.pivots, self._staged).resolve(now.closed, now.permanent)
            shown = tuple(resolved.table.schema.columns[p] for p in resolved.plan.positions)
            schema = self._before.schema if old.source is self._source else old.table.schema
            before = tuple(schema.columns[p] for p in session.positions)
            if same and not self._concerned(now, old, before, shown, session):
                return
            result = self._kept(session, resolved) or self._sessions.result(resolved)
        except ColumnGone as gone:
            column = missed(f"'{gone.column}'", self._touched, join_prefixes(old.query))
            self.ended.append(Ended(session, column or gone.column, f"{gone}"))
        except EngineError as error:
            column = missed(error.message, self._touched, join_prefixes(old.query))
            self.ended.append(Ended(session, column, error.message))
        else:
            self._bound.append(_Bound(session, now, resolved, result))
            if result is not session.result:
                self._made[result] = resolved.source

    def _mentioned(self, session: Session, query: Query) -> bool:
        """Whether a session may read what is touched, as far as its words say."""
        return self._new_key or mentions((query, session.permanent), self._touched)

    def _concerned(
        self,
        now: Followed,
        old: Resolved,
        before: Sequence[ColumnSchema],
        after: Sequence[ColumnSchema],
        session: Session | None = None,
    ) -> bool:
        """Whether what a query gives has to be made anew: it names what is touched, shows other columns, or stands on
        steps that share the slots of the table, and so its columns."""
        if self._new_key or now.closed != old.query or _told(before) != _told(after):
            return True
        if not tables_read(old.query).isdisjoint(self._again) or any(each.name in self._touched for each in after):
            return True
        permanent = None if session is None else session.permanent
        if mentions((old.query, permanent), self._touched):
            return True
        return any(self._copies(each) for each in above(old.source))

    def _copies(self, source: Source) -> bool:
        """Whether a relation that is derived shares the columns of the table, or has taken what is touched into its
        own,
        perhaps under the name that a join gave it."""
        if isinstance(source.table, ExtendedTable) and root(source.table) is self._table:
            return True
        return source.owner is not None and mentions(
            tuple(column.name for column in source.table.schema.columns), self._touched
        )

    def _kept(self, session: Session, resolved: Resolved) -> Result | None:
        """The result of a session where it is that of the query on the new columns, too; None where it is not."""
        result, plan = session.result, resolved.plan
        if resolved.source is not self._source or session.resolved.source is not self._source or self._new_key:
            return None
        if any(self._after.columns[p] is not self._before.columns[p] for p in result.reads):
            return None
        if self._under_new_names(session.plan) != plan.fingerprint:
            return None
        shared = self._source.results.get(plan.fingerprint)
        if shared is None:
            self._put_aside(result, plan.fingerprint)
            shared = result
        return shared

    def _under_new_names(self, plan: Plan) -> Hashable:
        """The fingerprint of a plan where columns have other names."""
        known = self._names[self._name].names
        names = {old: new for old, new in known.items() if new is not None}
        if plan.tree is not None and names:
            return None
        where = None if plan.filter is None else renamed_filter(plan.filter, names)
        return where, tuple(replace(key, column=names.get(key.column, key.column)) for key in plan.sort), plan.tree

    # The performance

    def _perform(self, drafted: Drafted, retention: Retention | None) -> Altered:
        """Takes a version, and leads everybody on. It cannot fail."""
        table, line = self._table, self._line
        handovers = [TableHandover(self._sources[name], made.source, line) for name, made in self._again.items()]
        told = self._new_key or self._shown_differs()
        if told:
            handovers.append(TableHandover(self._source, self._source, line))
        views = [each.session.depart() for each in self._bound]
        for handover in handovers:
            handover.depart()
        version = line.advance()
        table.assume(self._after)
        self._note(version, told)
        if table.retention is not None:
            table.set_retention(retention, table.memory_limit)
        left = [(each.session.result, each.session.resolved.source) for each in self._bound]
        for each, view in zip(self._bound, views, strict=True):
            self._arrive(each, view)
        leave(self._bound, left)
        for end in self.ended:
            self._sessions.end(end.session, Reason.TABLE_ALTERED)
        self._source.router.rebuild()  # now that nobody is left who demands something of a column that is gone
        for handover in handovers:
            handover.arrive()
        relations: dict[Relation, Relation] = {table: table} if told else {}
        for name, made in self._again.items():
            relations[self._tables[name]] = made.table
            self._install(name, made)
        return self._altered(drafted, version, relations)

    def _altered(self, drafted: Drafted, version: int, relations: Mapping[Relation, Relation]) -> Altered:
        layout = drafted.layout
        indexes = tuple(index for _, index in layout.indexes.values())
        sessions = tuple(each.session for each in self._bound)
        return Altered(
            version,
            sessions,
            tuple(self.ended),
            relations,
            self._table,
            layout.schema.visible,
            indexes,
            drafted.rewritten,
        )

    def _shown_differs(self) -> bool:
        """Whether readers of all columns have to be told something."""
        before, after = self._before, self._after
        values = [before.columns[p] for p in before.schema.shown] != [after.columns[p] for p in after.schema.shown]
        return values or before.schema.visible != after.schema.visible

    def _note(self, version: int, told: bool) -> None:
        """Notes since when columns are what they are, and whose readers must be gone."""
        table, source = self._table, self._source
        for position, column in enumerate(table.columns):
            before = self._before.columns[position] if position < len(self._before.columns) else None
            if isinstance(column, GoneColumn):
                table.dropped.setdefault(position, version)
                table.born.pop(position, None)
                continue
            table.dropped.pop(position, None)
            if (
                column is not before
                or table.schema.columns[position].name != self._before.schema.columns[position].name
            ):
                table.born[position] = version
        table.update_version = version
        if told:  # with other indexes alone, who comes back has the columns of now
            source.altered(version)
        for watch in tuple(source.watches):
            if not watch.follows:
                watch.end(Reason.TABLE_CHANGED)  # who copies this very table has to begin again

    def _arrive(self, each: _Bound, views: Views) -> None:
        session = each.session
        each.result.sessions[session.name] = session
        session.permanent = each.query.permanent
        each.result.filter.where = each.resolved.plan.filter
        session.arrive(views, each.query.given, each.resolved, each.result, replaced=True)

    def _install(self, name: str, made: Derived) -> None:
        old = self._derived.by_name[name]
        self._derived.by_name[name] = made
        self._tables[name], self._sources[name] = made.table, made.source
        for watch in tuple(old.source.watches):
            watch.end(Reason.TABLE_CHANGED)
        old.source.holds -= 1
        old.source.let_go()


def mentions(what: object, names: Collection[str]) -> bool:
    """Whether one of the names stands somewhere in a query, a plan or a fingerprint, also within a text. O(size)."""
    if not names:
        return False
    if isinstance(what, str):
        return any(name in what for name in names)
    if isinstance(what, (tuple, list, frozenset)):
        return any(mentions(each, names) for each in what)
    if is_dataclass(what):
        return any(mentions(getattr(what, each.name), names) for each in fields(what))
    return False


def below(source: Source) -> list[Node]:
    """The steps that are derived from a relation, directly or not."""
    found: dict[Node, None] = {}
    waiting = [source]
    while waiting:
        for node in waiting.pop().router.nodes():
            if node not in found:
                found[node] = None
                waiting.append(node.source)
    return list(found)


def above(source: Source) -> list[Source]:
    """A relation, and those that it is derived from."""
    found: dict[Source, None] = {source: None}
    waiting = [source]
    while waiting:
        owner = waiting.pop().owner
        for part in () if owner is None else owner.inputs:
            if part.source not in found:
                found[part.source] = None
                waiting.append(part.source)
    return list(found)


def _told(columns: Sequence[ColumnSchema]) -> list[tuple[object, ...]]:
    """What readers are told of columns that matters to what they hold."""
    return [(c.name, c.type, c.primary_key, c.enum_values) for c in columns]


def _index(table: Table, old: Table, names: Names) -> None:
    """Gives a derived table that was made anew the indexes of the old one, as far as it has their columns."""
    for index in old.indexes.values():
        name = names.get(index.schema.column, index.schema.column)
        if name is not None and name in table.schema:
            try:
                table.set_index(replace(index.schema, column=name).resolved(table.schema))
            except EngineError:
                continue  # of a type that nobody can look things up by
