"""The sources of a query and what is joined to them, as nodes.

A query in the place of a table is not a step of its own: what it shows is a stage like any other, its condition waits
with those of the query around it, and columns that it does not show cannot be named any more.

A join with a source in which at most one row can match, because what is compared covers its key, is a lookup
(`operators/lookup.py`): rows stay the rows that they were. Several of these in a row are one node. Every other join
makes rows of its own (`operators/join.py`).

Conditions are moved towards the tables where that changes nothing: into the branches of a union, below a join to the
side whose columns alone they name (to the right side of an inner join only), into a query in the place of a table, and
from groups to the rows that are grouped where they name only what is grouped by. Lookups and computed columns are not
passed: they are worked out once for all queries over a table, whatever each of them filters.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tesseract_grpc.engine.data.errors import EngineError, InvalidRequest, NotFound, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema
from tesseract_grpc.engine.live.clearing import cleared
from tesseract_grpc.engine.live.resolve_lookups import Pending, attach, key_pairs
from tesseract_grpc.engine.live.scope import Scope
from tesseract_grpc.engine.live.stage import Stage
from tesseract_grpc.engine.operators.filter import routed_filter
from tesseract_grpc.engine.operators.join import JoinedColumn, JoinOperator
from tesseract_grpc.engine.operators.lookup import LookupSpec, Taken
from tesseract_grpc.engine.operators.union import UnionOperator
from tesseract_grpc.engine.query.filter import AllOf, Filter
from tesseract_grpc.engine.query.filter_parts import columns_named, movable, over_other_names
from tesseract_grpc.engine.query.grouping import GroupMode
from tesseract_grpc.engine.query.query import Query, plan_rows
from tesseract_grpc.engine.query.source import (
    Join,
    JoinColumn,
    JoinKind,
    QuerySource,
    RowSource,
    SubSession,
    TableSource,
    Union,
)

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.resolve import Planner

_FIELD = "query"


def origin(planner: Planner, query: Query, conditions: Sequence[Filter]) -> Stage:
    """Where the rows of a query come from, and what is joined to them.

    `conditions` are what the query will ask of its rows later; those that can be asked before are.
    """
    if query.source is None:
        stage = planner.table(query.table, f"{_FIELD}.table")
    elif query.table:
        raise InvalidRequest(
            Reason.MALFORMED_REQUEST, "a query reads either a table or a source", field=f"{_FIELD}.source"
        )
    else:
        stage = read(planner, query.source, f"{_FIELD}.source")
        if stage.source.owner is not None and (early := _early(planner, stage, query, conditions)):
            stage = read(planner, query.source, f"{_FIELD}.source", early)
    return _Joining(planner, stage, conditions).joined(query.joins) if query.joins else stage


def _early(planner: Planner, stage: Stage, query: Query, conditions: Sequence[Filter]) -> list[Filter]:
    """The conditions on columns that the source of a query shows, and not on what the query adds under such a name."""
    added = {column.name for column in query.computed} | {column.name for column in query.window_columns}
    wanted = _within(conditions, set(stage.shown) - added)
    known = narrowed(planner, stage, wanted)[1]
    return [each for each in wanted if each in known]


def _within(conditions: Sequence[Filter], names: Collection[str]) -> list[Filter]:
    return [each for each in conditions if columns_named(each) <= set(names)]


def group_conditions(query: Query, conditions: Filter | None) -> list[Filter]:
    """The conditions on groups that say as much of the rows: those on columns that are grouped by."""
    group = query.group
    if group is None or group.mode is not GroupMode.FLAT or group.split_by is not None:
        return []  # of a rollup, the groups above count all rows; which columns a pivot has depends on all rows, too
    return _within(movable(conditions), group.by)


def read(planner: Planner, source: RowSource, field: str, early: Sequence[Filter] = ()) -> Stage:
    """The rows of a source; of those only what satisfies `early` where that can be asked on the way.

    What is read without conditions first, to see its columns, is kept: else every level of queries in queries would
    double the work.
    """
    if early:
        return _read(planner, source, field, early)
    place = planner.scope.path + field.removeprefix(_FIELD)
    stage = planner.stages.get(place)
    if stage is None:
        stage = planner.stages[place] = _read(planner, source, field, early)
    return stage


def _read(planner: Planner, source: RowSource, field: str, early: Sequence[Filter]) -> Stage:
    if isinstance(source, TableSource):
        if source.table not in planner.tables:
            raise NotFound(Reason.UNKNOWN_TABLE, f"there is no table '{source.table[:140]}'", field=f"{field}.table")
        return planner.table(source.table, f"{field}.table")
    if isinstance(source, QuerySource):
        return _subquery(planner, source.query, planner.scope.inner(source.query, f"{field}.query"), early)
    if isinstance(source, SubSession):
        query, scope = planner.scope.named(source.name, f"{field}.sub_session")
        return _subquery(planner, query, scope, early)
    assert isinstance(source, Union), "sessions have been replaced by what they show"
    return _union(planner, source, f"{field}.union", early)


def _subquery(planner: Planner, query: Query, scope: Scope, early: Sequence[Filter]) -> Stage:
    """What a query shows, in the place of a table."""
    outside, planner.scope = planner.scope, scope
    try:
        with scope.naming():
            below = _below(query, early)
            stage = planner.rows(query, AllOf(tuple(below)) if below else None)
            shown = _shown(planner, query, stage)
    finally:
        planner.scope = outside
    known = {each for each in (*stage.known, *below) if columns_named(each) <= set(shown)}
    return replace(stage, shown=shown, known=frozenset(known))


def _shown(planner: Planner, query: Query, stage: Stage) -> tuple[str, ...]:
    """The columns that a query shows, the key first where it is not asked for. Raises InvalidRequest.

    Its order says nothing here, and is checked all the same.
    """
    schema = stage.schema
    plan = plan_rows(stage.where, query.columns or stage.shown, query.sort, schema, planner.limits)
    stage.see(query.columns, f"{_FIELD}.columns")
    stage.see([key.column for key in query.sort], f"{_FIELD}.sort")
    return tuple(schema.columns[position].name for position in plan.positions)


def _below(query: Query, conditions: Sequence[Filter]) -> list[Filter]:
    """The conditions on what a query shows that can be asked of its rows where it filters them itself."""
    if query.window_columns or not conditions:
        return []  # a row's place depends on the others
    if query.group is not None:
        return group_conditions(query, AllOf(tuple(conditions)))
    return list(conditions)


# Unions


def _union(planner: Planner, union: Union, field: str, early: Sequence[Filter]) -> Stage:
    if not union.sources:
        raise InvalidRequest(Reason.MALFORMED_REQUEST, "a union needs at least one source", field=f"{field}.sources")
    fields = [f"{field}.sources[{index}]" for index in range(len(union.sources))]
    stages = [read(planner, each, at) for each, at in zip(union.sources, fields, strict=True)]
    for stage, at in zip(stages[1:], fields[1:], strict=True):
        _refuse_unlike(stages[0], stage, at)
    if union.branch_column in stages[0].shown:
        raise _taken_name(union.branch_column, f"{field}.branch_column", "the union's branch_column needs another name")
    early = _within(early, stages[0].shown)
    if early:
        stages = [read(planner, each, at, early) for each, at in zip(union.sources, fields, strict=True)]
        stages = [
            stage.filtered(AllOf(tuple(early)), planner.limits, at) for stage, at in zip(stages, fields, strict=True)
        ]
    columns = [_plain(stages[0], name, name, key=True) for name in stages[0].shown]
    reads = [stage.source for stage in stages]
    mapping = [[stage.schema.position(column.name) for column in columns] for stage in stages]
    wheres = tuple(stage.where for stage in stages)
    fingerprint = ("union", tuple(reads), wheres, tuple(map(tuple, mapping)), union.branch_column)

    def make() -> UnionOperator:
        inputs = [routed_filter(stage.source.table, stage.where, frozenset()) for stage in stages]
        version, history = planner.line.current, planner.history
        return UnionOperator("union", inputs, mapping, columns, version, history, branch_column=union.branch_column)

    node = planner.node("union", f"of {len(stages)} sources", fingerprint, reads, make)
    return replace(Stage.of(node.source), known=frozenset(early))


def _refuse_unlike(first: Stage, other: Stage, field: str) -> None:
    """Raises InvalidRequest unless a source of a union has the columns of the first."""
    for name in first.shown:
        if name not in other.shown:
            raise InvalidRequest(
                Reason.UNKNOWN_COLUMN, f"the first source has a column '{name}', this one has none", field=field
            )
        mine, theirs = first.schema.column(name), other.schema.column(name)
        if (mine.type, mine.enum_values) != (theirs.type, theirs.enum_values):
            raise InvalidRequest(
                Reason.WRONG_TYPE,
                f"column '{name}' is {theirs.type.name} here and {mine.type.name} in the first source",
                field=field,
            )
        if mine.primary_key != theirs.primary_key:
            raise InvalidRequest(
                Reason.BAD_SCHEMA,
                f"the sources of a union need the same key columns, and '{name}' is one in only some of them",
                field=field,
            )
    more = [name for name in other.shown if name not in first.shown]
    if more:
        raise InvalidRequest(
            Reason.UNKNOWN_COLUMN, f"the first source has no column '{more[0]}', this one has", field=field
        )


# Joins


@dataclass(frozen=True, slots=True)
class _Column:
    """A column taken from a joined source, and its name in the result."""

    column: str
    name: str


class _Joining:
    """The joins of one query, one after the other."""

    def __init__(self, planner: Planner, stage: Stage, conditions: Sequence[Filter]) -> None:
        self.planner = planner
        self.stage = stage
        self.conditions = conditions
        self.pending: list[Pending] = []  # lookups that become one node

    def joined(self, joins: Sequence[Join]) -> Stage:
        for index, join in enumerate(joins):
            self._join(join, f"{_FIELD}.joins[{index}]")
        self._flush()
        return self.stage

    @property
    def _names(self) -> tuple[str, ...]:
        return (*self.stage.shown, *(taken.column.name for each in self.pending for taken in each.spec.taken))

    def _flush(self) -> None:
        self.stage = attach(self.planner, self.stage, self.pending)
        self.pending = []

    def _join(self, join: Join, field: str) -> None:
        right = read(self.planner, join.source, f"{field}.source")
        if any(pair.left not in self.stage.shown for pair in join.on):
            self._flush()
        on = key_pairs(self.stage, right, join.on, f"{field}.on")
        unique = {column.name for column in right.schema.key_columns} <= {pair.right for pair in join.on}
        taken = self._taken(join, right, field)
        if unique:
            self.stage = cleared(self.planner, self.stage, [each.name for each in taken])
            columns = tuple(
                Taken(right.schema.position(each.column), _plain(right, each.column, each.name)) for each in taken
            )
            self.pending.append(Pending(right, LookupSpec(on, columns, join.kind is JoinKind.INNER)))
        else:
            self._flush()
            self._general(join, right, on, taken)

    def _taken(self, join: Join, right: Stage, field: str) -> list[_Column]:
        """What is taken from the source, with the key columns that have to name the rows. Raises InvalidRequest."""
        compared = {pair.right for pair in join.on}
        right.see([column.column for column in join.columns], f"{field}.columns")
        chosen: Sequence[JoinColumn] = join.columns or [JoinColumn(n) for n in right.shown if n not in compared]
        listed = {column.column for column in chosen}
        keys = [c.name for c in right.schema.key_columns if c.name not in compared and c.name not in listed]
        taken = [_Column(name, join.prefix + name) for name in keys]
        taken += [_Column(column.column, column.name or join.prefix + column.column) for column in chosen]
        known = set(self._names)
        for each in taken:
            if each.name in known:
                hint = "give the column a name of its own, or the join a prefix"
                raise _taken_name(each.name, f"{field}.columns", hint)
            known.add(each.name)
        return taken

    def _general(self, join: Join, right: Stage, on: tuple[tuple[int, int], ...], taken: Sequence[_Column]) -> None:
        planner = self.planner
        left, right, known = self._filtered(join, right, taken)
        compared = {pair.right for pair in join.on}
        columns = [
            JoinedColumn(0, left.schema.position(name), _plain(left, name, name, key=True)) for name in left.shown
        ]
        columns += [
            JoinedColumn(
                1,
                right.schema.position(each.column),
                _plain(right, each.column, each.name, key=each.column not in compared),
            )
            for each in taken
        ]
        outer = join.kind is JoinKind.LEFT
        reads = [left.source, right.source]
        fingerprint = ("join", tuple(reads), left.where, right.where, on, tuple(columns), outer)

        def make() -> JoinOperator:
            inputs = [routed_filter(stage.source.table, stage.where, frozenset()) for stage in (left, right)]
            name = f"{left.source.table.name} and {right.source.table.name}"
            return JoinOperator(name, inputs, on, columns, planner.line.current, planner.history, outer=outer)

        pairs = ", ".join(f"{pair.left} = {pair.right}" for pair in join.on)
        node = planner.node("join", f"{join.kind.name.lower()} on {pairs}", fingerprint, reads, make)
        self.stage = replace(Stage.of(node.source), known=known)

    def _filtered(self, join: Join, right: Stage, taken: Sequence[_Column]) -> tuple[Stage, Stage, frozenset[Filter]]:
        """Both sides of a join with the conditions that can be asked of them before, and which these are."""
        left = self.stage
        mine = [each for each in _within(self.conditions, left.shown) if each not in left.known]
        left, known = narrowed(self.planner, left, mine)
        if join.kind is JoinKind.INNER:
            names = {each.name: each.column for each in taken}
            named = [(each, over_other_names(each, names)) for each in _within(self.conditions, names)]
            theirs = [(each, other) for each, other in named if other is not None]
            right, more = narrowed(self.planner, right, [other for _, other in theirs], [each for each, _ in theirs])
            known |= more
        return left, right, left.known | known


def narrowed(
    planner: Planner, stage: Stage, conditions: Sequence[Filter], asked: Sequence[Filter] | None = None
) -> tuple[Stage, frozenset[Filter]]:
    """A stage with those conditions that make sense for it, and which these are.

    `asked` are the same conditions under the names that the query has for the columns.
    """
    known: set[Filter] = set()
    for condition, original in zip(conditions, conditions if asked is None else asked, strict=True):
        try:
            stage = stage.filtered(condition, planner.limits, f"{_FIELD}.filter")
        except EngineError:
            continue  # it is refused where the query asks it, with the right path
        known.add(original)
    return stage, frozenset(known)


def _plain(stage: Stage, column: str, name: str, *, key: bool = False) -> ColumnSchema:
    """A column of a source as it is in what is derived from it; `key` keeps it naming rows where it does."""
    found = stage.schema.column(column)
    return ColumnSchema(
        name,
        found.type,
        primary_key=key and found.primary_key,
        enum_values=found.enum_values,
        description=found.description,
        derived=True,
    )


def _taken_name(name: str, field: str, hint: str) -> InvalidRequest:
    return InvalidRequest(Reason.DUPLICATE_COLUMN, f"there is a column '{name[:140]}' already", field=field, hint=hint)
