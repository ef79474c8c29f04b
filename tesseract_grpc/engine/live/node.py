"""A maintained step of a query plan: it follows one source or several, and is a source itself.

What the step derives and how is the matter of its deriver (`operators/contract.py`). The node carries changes: from the
sources that it reads, through a filter each, to the deriver, and on to those who follow what is derived. Equal steps
over the same sources are one node, however many queries use it; a node that nobody uses goes, and what only it used.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from tesseract_grpc.engine.data.delta import ChangeKind, Delta, RowChange, row_change
from tesseract_grpc.engine.data.errors import OutOfRange
from tesseract_grpc.engine.data.extended_table import ExtendedTable
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.result import Result
from tesseract_grpc.engine.live.source import Source
from tesseract_grpc.engine.live.wave import Wave
from tesseract_grpc.engine.operators.compute import ComputeOperator
from tesseract_grpc.engine.operators.contract import Deriver
from tesseract_grpc.engine.operators.filter import FilterOperator, as_delta
from tesseract_grpc.engine.operators.masked import MaskOperator
from tesseract_grpc.engine.operators.routing_keys import RoutingKey

Make = Callable[[], Deriver]
"""Makes the deriver of a node, as it is before it has been hydrated."""
_Pending = Delta | tuple[ChangeKind, RowChange]


class Input:
    """The place of a node among the followers of one source."""

    def __init__(self, node: Node, which: int, source: Source, filter: FilterOperator) -> None:
        self.node = node
        self.which = which
        self.source = source
        self.filter = filter
        self.fingerprint: Hashable = (node.fingerprint, which)
        self.route: RoutingKey | None = filter.key
        self.left = False
        self.pending: _Pending | None = None

    @property
    def timely(self) -> bool:
        """Whether the rows that it takes change with time."""
        return self.filter.timely

    def tick(self, version: int) -> Sequence[Result]:
        """The hub's clock has advanced; returns the results over the node that changed. O(n)."""
        change = self.filter.tick(self.node.line.now, version)
        return self.node.receive(self, change) if len(change) else ()

    def apply(self, delta: Delta, routed: bool) -> Sequence[Result]:
        """Follows a commit; returns the results over the node that changed."""
        change = self.filter.apply(delta, routed)
        if not len(change):
            return ()
        return self.node.receive(self, change)

    def apply_one(self, change: RowChange, routed: bool) -> Sequence[Result]:
        """The same for a commit of one row."""
        kind = self.filter.apply_one(change, routed)
        if kind is None:
            return ()
        return self.node.receive(self, (kind, change))


class Node:
    """A maintained step: what it reads, its deriver, and those who follow what it derives."""

    def __init__(
        self,
        kind: str,
        description: str,
        fingerprint: Hashable,
        reads: Sequence[Source],
        make: Make,
        line: VersionLine,
    ) -> None:
        first = reads[0]
        self.line = line
        self.kind = kind
        self.description = description
        self.fingerprint = fingerprint
        self.deriver = make()
        self.rank = max(source.rank for source in reads) + (len(reads) > 1)
        self.inputs = [
            Input(self, which, source, filter)
            for which, (source, filter) in enumerate(zip(reads, self.deriver.inputs, strict=True))
        ]
        self.source = Source(self.deriver.table, first.counters, first.wave, self)
        self.hydrated = False
        self.attached = False
        self.failed = False
        self.examined = 0  # rows looked at by its hydration
        self.commits = 0  # commits that concerned it since
        self.rows_offered = 0  # rows of them
        self.hydrate_version = 0
        self.hydrate_now = 0  # the hub's clock then
        self.hydrate_ns = 0
        self.apply_ns = 0  # since, without what follows from it
        self._make = make

    @property
    def wave(self) -> Wave:
        """What carries commits through the nodes of the hub."""
        return self.source.wave

    @property
    def shares_slots(self) -> bool:
        """Whether its rows are in the slots of the first source."""
        return isinstance(self.deriver.table, ExtendedTable)

    @property
    def used(self) -> bool:
        """Whether anybody follows it."""
        return self.source.used

    # Its life

    def hydrate(self, version: int) -> int:
        """Evaluates it from scratch, and before that what it reads; returns how many rows were examined. Once."""
        if self.hydrated:
            return 0
        examined = 0
        for part in self.inputs:
            if part.source.owner is not None:
                examined += part.source.owner.hydrate(version)
        for part in self.inputs:
            part.filter.set_now(self.line.now)
        self.deriver.table.update_version = version
        begun = self.line.stopwatch()
        self.examined = self.deriver.hydrate(version)
        self.hydrate_ns = self.line.stopwatch() - begun
        self.deriver.table.changelog.forget(version)
        self.hydrated, self.hydrate_version, self.hydrate_now = True, version, self.line.now
        return examined + self.examined

    def attach(self) -> None:
        """Makes it follow commits, and what it reads. It must have been hydrated at the present version."""
        if self.attached:
            return
        assert self.hydrated, "a node follows commits before it has been evaluated"
        for part in self.inputs:
            if part.source.owner is not None:
                part.source.owner.attach()
            part.source.follow(part)
            part.source.feeds += 1
        self.inputs[0].source.nodes[self.fingerprint] = self
        self.attached = True
        if self.timely:
            self.wave.timely[self] = None

    def detach(self) -> None:
        """It no longer follows commits, nor do nodes that only it used."""
        if not self.attached:
            return
        self.attached = False
        self.source.counters.relations_ended += 1
        self.wave.timely.pop(self, None)
        del self.inputs[0].source.nodes[self.fingerprint]
        for part in self.inputs:
            part.source.unfollow(part)
            part.source.feeds -= 1
            part.source.let_go()

    # Following

    @property
    def timely(self) -> bool:
        """Whether what it derives changes with time, beside what its inputs take."""
        return isinstance(self.deriver, (ComputeOperator, MaskOperator)) and self.deriver.timely

    def tick(self, version: int) -> Sequence[Result]:
        """The hub's clock has advanced; returns the results over the node that changed. O(n)."""
        assert isinstance(self.deriver, (ComputeOperator, MaskOperator))
        return self._publish(self.deriver.tick(version))

    def receive(self, part: Input, change: _Pending) -> Sequence[Result]:
        """What one input has for it: followed at once when it is the only one, else when all have come."""
        if self.failed:
            return ()
        if len(self.inputs) == 1:
            return self._follow(part, change)
        if part.pending is None:
            if all(other.pending is None for other in self.inputs):
                self.wave.wait(self)
            part.pending = change
            return ()
        raise AssertionError("a node hears twice of one commit to one of its inputs")

    def run(self) -> Sequence[Result]:
        """Follows what has come from all inputs; returns the results that changed."""
        waiting = [(part, part.pending) for part in self.inputs if part.pending is not None]
        for part, _ in waiting:
            part.pending = None
        if len(waiting) == 1 and not isinstance(waiting[0][1], Delta):
            return self._follow(*waiting[0])
        version = waiting[0][1].version if isinstance(waiting[0][1], Delta) else waiting[0][1][1].version
        changes = [Delta(version) for _ in self.inputs]
        for part, pending in waiting:
            changes[part.which] = pending if isinstance(pending, Delta) else as_delta(part.filter, *pending)
        return self._publish(self._applied(changes, version))

    def _follow(self, part: Input, change: _Pending) -> Sequence[Result]:
        """Follows a change of one input alone."""
        if isinstance(change, Delta):
            changes = [change if other is part else Delta(change.version) for other in self.inputs]
            return self._publish(self._applied(changes, change.version))
        self.commits += 1
        self.rows_offered += 1
        begun = self.line.stopwatch()
        try:
            derived = self.deriver.apply_one(part.which, *change)
        except OutOfRange as error:
            return self._fail(error)
        self.apply_ns += self.line.stopwatch() - begun
        return self._publish(derived)

    def _applied(self, changes: Sequence[Delta], version: int) -> Delta | None:
        self.commits += 1
        self.rows_offered += sum(map(len, changes))
        begun = self.line.stopwatch()
        try:
            derived = self.deriver.apply(changes, version)
        except OutOfRange as error:
            self._fail(error)
            return None
        self.apply_ns += self.line.stopwatch() - begun
        return derived

    def _fail(self, error: OutOfRange) -> Sequence[Result]:
        """It cannot follow any more: what shows it ends when the commit is through."""
        self.failed = True
        self.wave.failed.append((self, error))
        return ()

    def _publish(self, change: Delta | RowChange | None) -> Sequence[Result]:
        """Carries a change of what it derives on; one of a single row in the form for single rows."""
        if change is None or not len(change):
            return ()
        one = row_change(change) if isinstance(change, Delta) else change
        if one is not None:
            return self.source.publish_one(one)
        assert isinstance(change, Delta)
        return self.source.publish(change)

    # Proof

    def check(self) -> int:
        """Proves that what it derives is what a fresh deriver gives, and the invariants of those who follow it."""
        assert self.used, "a node that nobody follows is maintained"
        assert all(part.pending is None for part in self.inputs), "a commit has not come through"
        self.deriver.check()
        fresh = self._make()
        for filter in fresh.inputs:
            filter.set_now(self.line.now)
        fresh.hydrate(self.deriver.table.update_version)
        mine, theirs = rows_by_key(self.deriver.table), rows_by_key(fresh.table)
        assert mine == theirs, f"{self.kind}: maintained rows differ from those derived anew: {mine} != {theirs}"
        return 1 + self.source.check()


def rows_by_key(table: Relation) -> dict[str, str]:
    """The rows of a relation as texts, by key. For proofs."""
    rows = table.batch(table.live_slots(), range(len(table.columns))).to_rows()
    names = [column.name for column in table.schema.key_columns]
    found = {repr([row[name] for name in names]): repr(row) for row in rows}
    assert len(found) == len(rows), f"two rows of '{table.name}' have one key"
    return found
