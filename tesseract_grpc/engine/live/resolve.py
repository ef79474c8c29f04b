"""From a query to what evaluates it: a chain of nodes over the tables of a hub, and a plan for the last of them.

The parts of a query work one after the other, and each takes a `Stage` and leaves one: rows come from a table or
another source, others are joined to them, columns are worked out, a filter chooses, groups are made and chosen,
columns that depend on a row's place are added. What remains is a plan: the last condition, the order, the columns.

Steps that are maintained already are found by their fingerprints. Others are made here; it is for the caller to hydrate
them, and to attach them when a session keeps them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.errors import InvalidRequest, NotFound, Reason
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.schema import missing_table
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.node import Make, Node
from tesseract_grpc.engine.live.resolve_computed import computed_columns
from tesseract_grpc.engine.live.resolve_groups import grouped
from tesseract_grpc.engine.live.resolve_pivot import PivotValues
from tesseract_grpc.engine.live.resolve_relations import group_conditions, narrowed, origin, read
from tesseract_grpc.engine.live.resolve_window import window_columns
from tesseract_grpc.engine.live.scope import Scope
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.live.source import Source
from tesseract_grpc.engine.live.stage import Stage
from tesseract_grpc.engine.live.tree_plan import tree_of
from tesseract_grpc.engine.operators.filter import routed_filter
from tesseract_grpc.engine.operators.group import GroupOperator, columns_read, group_schema
from tesseract_grpc.engine.query.closed import closed
from tesseract_grpc.engine.query.filter import AllOf, Filter
from tesseract_grpc.engine.query.filter_parts import movable
from tesseract_grpc.engine.query.grouping import Grouping
from tesseract_grpc.engine.query.query import Limits, Plan, Query, plan_rows
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.source import RowSource


@dataclass(slots=True)
class Resolved:
    """What a query reads, and what is asked of it."""

    source: Source
    plan: Plan
    query: Query
    pivots: tuple[PivotValues, ...] = ()
    """What its pivots are spread over where that was looked up in the rows, in the order in which it was."""

    @property
    def table(self) -> Relation:
        """The relation that is read."""
        return self.source.table

    def hydrate(self, version: int) -> int:
        """Evaluates the nodes that are new; returns the number of rows examined. Raises OutOfRange."""
        return 0 if self.source.owner is None else self.source.owner.hydrate(version)

    def keep(self) -> None:
        """Makes the nodes follow commits; they have been hydrated."""
        if self.source.owner is not None:
            self.source.owner.attach()


class Planner:
    """Makes a plan of one query."""

    def __init__(
        self,
        tables: Mapping[str, Source],
        sessions: Mapping[str, Session],
        limits: Limits,
        line: VersionLine,
        history: HistoryLimits,
        pivots: Sequence[PivotValues] = (),
    ) -> None:
        """`pivots` is what an earlier resolution of the same query has looked up, which is then used again."""
        self.known_pivots = list(reversed(pivots))
        self.pivots: list[PivotValues] = []
        self.tables = tables
        self.sessions = sessions
        self.limits = limits
        self.line = line
        self.history = history
        self.scope = Scope(Query())
        self.stages: dict[str, Stage] = {}  # sources by their place in the query, as they are without conditions
        self._made: dict[tuple[Source, Hashable], Node] = {}

    def resolve(self, query: Query, permanent: Filter | None = None) -> Resolved:
        """What a query reads and what is asked of it; `permanent` holds beside its filter.

        Raises NotFound, InvalidRequest, LimitExceeded.
        """
        query = closed(query, self._definition)
        self.scope = Scope(query)
        self.stages.clear()
        stage = self.rows(query, permanent)
        table = stage.source.table
        sort, limits = query.sort, self.limits
        if not sort and table.keyed_order:
            # What is derived has no order of its own that a fresh evaluation would repeat: it stands in that of its
            # keys, however many they are.
            sort = tuple(SortKey(column.name) for column in table.schema.key_columns)
            limits = replace(limits, max_sort_keys=max(limits.max_sort_keys, len(sort)))
        plan = plan_rows(stage.where, query.columns or stage.shown, sort, table.schema, limits)
        plan = replace(plan, tree=tree_of(query, stage))
        stage.see(query.columns, "query.columns")
        stage.see([key.column for key in query.sort], "query.sort")
        return Resolved(stage.source, plan, query, tuple(self.pivots))

    def rows(self, query: Query, permanent: Filter | None = None) -> Stage:
        """The rows of a query, before they are put in order and shown."""
        stage = origin(self, query, [*movable(permanent), *movable(query.filter)])
        if query.computed:
            stage = computed_columns(self, stage, query.computed, "query.computed")
        stage = stage.filtered(permanent, self.limits, "permanent_filter")
        stage = stage.filtered(query.filter, self.limits, "query.filter")
        if query.group is not None:
            stage, known = narrowed(self, stage, group_conditions(query, query.having))
            stage = replace(grouped(self, stage, query.group), known=known)
            stage = stage.filtered(query.having, self.limits, "query.having")
        elif query.having is not None:
            raise InvalidRequest(
                Reason.MALFORMED_REQUEST, "having needs a grouping; put the condition into filter", field="query.having"
            )
        if query.window_columns:
            stage = window_columns(self, stage, query.window_columns, "query.window_columns")
        return stage

    def _definition(self, name: str, field: str) -> Query:
        """What a session shows, as a query that stands on its own. Raises NotFound."""
        session = self.sessions.get(name)
        if session is None:
            raise NotFound(Reason.UNKNOWN_SESSION, f"there is no session '{name[:140]}'", field=field)
        query = session.resolved.query
        if session.permanent is None:
            return query
        filters = (session.permanent,) if query.filter is None else (session.permanent, query.filter)
        return replace(query, filter=AllOf(filters))

    def read(self, source: RowSource, field: str) -> Stage:
        """The rows of a source."""
        return read(self, source, field)

    def table(self, name: str, field: str) -> Stage:
        """The rows of a table of the hub. Raises NotFound."""
        source = self.tables.get(name)
        if source is None:
            raise missing_table(name)
        return Stage.of(source)

    def group(self, stage: Stage, grouping: Grouping) -> Stage:
        """The groups on one level, of columns. Raises InvalidRequest."""
        base = stage.source.table
        group_schema(grouping, base.schema)  # what is wrong with the grouping is said first
        names = columns_read(grouping)
        stage.see([name for name in names if not base.schema.column(name).hidden], "query.group")

        def make() -> GroupOperator:
            positions = [base.schema.position(name) for name in names]
            source = routed_filter(base, stage.where, frozenset(positions))
            name = f"{base.name} by {', '.join(grouping.by)}"
            return GroupOperator(name, source, grouping, self.line.current, self.history)

        by = ", ".join(grouping.by) or "all rows together"
        node = self.node("group", f"by {by}", ("group", stage.where, grouping), [stage.source], make)
        return Stage.of(node.source)

    def node(self, kind: str, description: str, fingerprint: Hashable, reads: Sequence[Source], make: Make) -> Node:
        """The node of a step: one that is maintained, or made for this query, or a new one."""
        known = reads[0].nodes.get(fingerprint) or self._made.get((reads[0], fingerprint))
        if known is None:
            known = Node(kind, description, fingerprint, reads, make, self.line)
            self._made[reads[0], fingerprint] = known
        return known
