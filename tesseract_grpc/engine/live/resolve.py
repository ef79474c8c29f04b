"""From a query to the table that it reads: a table of the hub, or groups of one.

A query with grouping is two queries, one after the other: which rows are grouped how, and then what of the groups is
kept, shown and sorted. Groups that are maintained already are found by their fingerprint; others are made here, and
it is for the caller to hydrate and to keep them.
"""

from __future__ import annotations

from dataclasses import dataclass

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.live.counters import Counters
from tesseract_grpc.engine.live.group import Group
from tesseract_grpc.engine.live.source import Source
from tesseract_grpc.engine.query.query import Limits, Plan, Query, plan_filter, plan_query
from tesseract_grpc.engine.query.sort_key import SortKey


@dataclass(slots=True)
class Resolved:
    """What a query reads, and what is asked of it."""

    base: Source
    group: Group | None
    plan: Plan

    @property
    def source(self) -> Source:
        """The table that is read, and those who follow it."""
        return self.base if self.group is None else self.group.source

    @property
    def table(self) -> Relation:
        """The table that is read."""
        return self.source.table

    @property
    def maintained(self) -> bool:
        """Whether the table that is read follows commits already."""
        return self.group is None or self.base.groups.get(self.group.fingerprint) is self.group

    def keep(self) -> None:
        """Makes new groups follow commits; the caller has hydrated them."""
        if self.group is not None and not self.maintained:
            self.base.groups[self.group.fingerprint] = self.group
            self.base.router.add(self.group)

    def let_go(self) -> None:
        """Ends groups that nobody follows any more."""
        if self.group is not None and self.maintained and not self.group.used:
            del self.base.groups[self.group.fingerprint]
            self.base.router.remove(self.group)


def resolve(
    base: Source, query: Query, limits: Limits, version: int, counters: Counters, history: HistoryLimits
) -> Resolved:
    """What a query reads. Raises InvalidRequest, FeatureNotAvailable, LimitExceeded."""
    schema = base.table.schema
    if query.group is None:
        if query.having is not None:
            raise InvalidRequest(
                Reason.MALFORMED_REQUEST, "having needs a grouping; put the condition into filter", field="query.having"
            )
        return Resolved(base, None, plan_query(query, schema, limits))
    where = plan_filter(query.filter, schema, limits, "query.filter")
    group = base.groups.get((where, query.group))
    if group is None:
        group = Group(base.table, where, query.group, version, counters, history)
    # Groups have no order of their own that a fresh evaluation would repeat, so they stand in the order of their keys.
    sort = query.sort or tuple(SortKey(name) for name in query.group.by)
    grouped = Query(query.table, query.having, query.columns, sort)
    return Resolved(base, group, plan_query(grouped, group.source.table.schema, limits, "query.having"))
