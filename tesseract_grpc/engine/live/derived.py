"""Derived tables: queries whose results stand under the name of a table.

A derived table is read, watched, queried and joined as any other; nobody writes it but the node that follows its query.
It keeps what it reads: a table cannot be dropped while a derived table reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tesseract_grpc.engine.data.derived_table import DerivedTable
from tesseract_grpc.engine.data.errors import InvalidRequest, PreconditionFailed, Reason
from tesseract_grpc.engine.data.filter_uses import FilterUses
from tesseract_grpc.engine.live.node import Node
from tesseract_grpc.engine.live.present import depends_on_time
from tesseract_grpc.engine.live.resolve import Planner, Resolved
from tesseract_grpc.engine.live.source import Source
from tesseract_grpc.engine.operators.copy import CopyOperator
from tesseract_grpc.engine.operators.filter import routed_filter
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.rename import renamed


@dataclass(slots=True)
class Derived:
    """A derived table: its node, and the query as it was given and as it stands on its own."""

    node: Node
    query: Query
    resolved: Resolved
    table: DerivedTable

    @property
    def source(self) -> Source:
        """The table and those who follow it."""
        return self.node.source


def derive(planner: Planner, name: str, query: Query) -> Derived:
    """A table of what a query shows, not yet evaluated. Raises NotFound, InvalidRequest, LimitExceeded."""
    resolved = planner.resolve(query)
    plan, base = resolved.plan, resolved.source.table

    def make() -> CopyOperator:
        source = routed_filter(base, plan.filter, frozenset())
        return CopyOperator(name, source, plan.positions, planner.line.current, planner.history)

    # Every derived table is a node of its own, which nobody shares: its name says who keeps it.
    node = Node("table", name, ("table", object()), [resolved.source], make, planner.line)
    assert isinstance(node.deriver.table, DerivedTable)
    return Derived(node, query, resolved, node.deriver.table)


class DerivedTables:
    """The derived tables of a hub, by name."""

    def __init__(self) -> None:
        self.by_name: dict[str, Derived] = {}

    @property
    def queries(self) -> Mapping[str, Query]:
        """Their queries, as they were given."""
        return {name: derived.query for name, derived in self.by_name.items()}

    def add(self, name: str, derived: Derived, version: int) -> int:
        """Evaluates a table and makes it follow commits; returns how many rows were examined. Raises OutOfRange."""
        examined = derived.node.hydrate(version)
        derived.node.attach()
        derived.source.holds += 1
        derived.table.create_version = version
        derived.table.uses = FilterUses(derived.source.wave.stopwatch)
        self.by_name[name] = derived
        return examined

    def timely(self, name: str) -> bool:
        """Whether the rows of a derived table depend on time; False when there is none of this name."""
        derived = self.by_name.get(name)
        return derived is not None and depends_on_time(derived.source)

    def remove(self, name: str) -> None:
        """The table is no more, nor the nodes that only it used."""
        derived = self.by_name.pop(name)
        derived.source.holds -= 1
        derived.source.let_go()

    def refuse_write(self, name: str, field: str) -> None:
        """Raises InvalidRequest when a table is derived."""
        if name in self.by_name:
            raise InvalidRequest(
                Reason.NOT_WRITABLE,
                f"table '{name}' is derived from a query and cannot be written; write to the tables that it reads",
                field=field,
            )

    def refuse_drop(self, name: str, source: Source) -> None:
        """Raises PreconditionFailed when derived tables read a table."""
        readers = self.reading(source)
        if readers:
            names = ", ".join(f"'{reader}'" for reader in readers[:20])
            raise PreconditionFailed(
                Reason.TABLE_IN_USE,
                f"table '{name}' is read by the derived tables {names}; drop them first",
                field="name",
            )

    def reading(self, source: Source) -> list[str]:
        """The derived tables that read a relation, by rising name."""
        below: set[Source] = set()
        waiting = [source]
        while waiting:
            for node in waiting.pop().router.nodes():
                if node.source not in below:
                    below.add(node.source)
                    waiting.append(node.source)
        return sorted(name for name, derived in self.by_name.items() if derived.source in below)

    def rename(self, old: str, new: str) -> None:
        """A table, derived or not, has another name."""
        if old in self.by_name:
            self.by_name[new] = self.by_name.pop(old)
        for derived in self.by_name.values():
            derived.query = renamed(derived.query, {old: new})
            derived.resolved.query = renamed(derived.resolved.query, {old: new})
