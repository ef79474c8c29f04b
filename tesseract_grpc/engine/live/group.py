"""A maintained grouping of a table: it follows the table, and has followers of its own.

Equal groupings of equal filters are one group, whatever is sorted, shown or filtered of the groups afterwards.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.delta import Delta, RowChange, row_change
from tesseract_grpc.engine.data.errors import OutOfRange
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.live.counters import Counters
from tesseract_grpc.engine.live.result import Result
from tesseract_grpc.engine.live.source import Source
from tesseract_grpc.engine.operators.filter import routed_filter
from tesseract_grpc.engine.operators.group import GroupOperator, group_schema
from tesseract_grpc.engine.query.filter import Filter
from tesseract_grpc.engine.query.grouping import Grouping


class Group:
    """The groups of the rows of a table that a filter keeps."""

    def __init__(
        self,
        table: Table,
        where: Filter | None,
        grouping: Grouping,
        version: int,
        counters: Counters,
        history: HistoryLimits,
    ) -> None:
        group_schema(grouping, table.schema)  # what is wrong with the grouping is said first
        self.base = table
        self.where = where
        self.grouping = grouping
        self.fingerprint: Hashable = (where, grouping)
        self.left = False
        self._history = history
        self.operator = self._operator(version)
        self.route = self.operator.filter.key
        self.source = Source(self.operator.table, counters)

    def _operator(self, version: int) -> GroupOperator:
        names = {*self.grouping.by, *(aggregate.column for aggregate in self.grouping.aggregates)}
        schema = self.base.schema
        reads = frozenset(schema.position(name) for name in names if name)
        source = routed_filter(self.base, self.where, reads)
        return GroupOperator(
            f"{self.base.name} by {', '.join(self.grouping.by)}", source, self.grouping, version, self._history
        )

    def hydrate(self, version: int) -> int:
        """Groups the table from scratch; returns the number of rows examined."""
        try:
            return self.operator.hydrate(version)
        except OutOfRange as error:
            raise self._named(error) from None

    def apply(self, delta: Delta, routed: bool) -> Sequence[Result]:
        """Follows a commit; returns the results over its groups that changed."""
        try:
            change = self.operator.apply(delta, routed)
        except OutOfRange as error:
            raise self._named(error) from None
        return self._publish(change)

    def apply_one(self, change: RowChange, routed: bool) -> Sequence[Result]:
        """The same for a commit of one row."""
        try:
            derived = self.operator.apply_one(change, routed)
        except OutOfRange as error:
            raise self._named(error) from None
        if derived is None:
            return ()
        return self.source.publish_one(derived) if isinstance(derived, RowChange) else self._publish(derived)

    def _publish(self, change: Delta) -> Sequence[Result]:
        """Carries a change of the groups on; one of a single group in the form for single rows."""
        if not len(change):
            return ()
        one = row_change(change)
        return self.source.publish(change) if one is None else self.source.publish_one(one)

    def _named(self, error: OutOfRange) -> OutOfRange:
        """The same error, saying of which group."""
        message = f"{error.message} (group: {self.operator.name_of(error.group)})"
        return OutOfRange(error.reason, message, field=error.field, hint=error.hint, group=error.group)

    @property
    def used(self) -> bool:
        """Whether anybody follows the groups."""
        return bool(self.source.results or self.source.groups)

    def check(self) -> int:
        """Proves the invariants of the groups and of those who follow them."""
        assert self.used, "a group that nobody follows is maintained"
        self.operator.check(lambda: self._operator(self.source.table.update_version))
        return 1 + self.source.check()
