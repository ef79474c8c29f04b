"""How one commit runs through the nodes that derive relations.

A node with one input follows at once, and those who follow it after that. A node with several inputs must not follow
one of them before the others have changed too: both sides of a join may come from one table. So it waits here, and
when everything of lower rank has followed, nodes are run by rising rank: a node's rank is above that of every node
with several inputs that it reads. Each of them runs once a commit, and has then seen all of it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from tesseract_grpc.engine.data.errors import OutOfRange
from tesseract_grpc.engine.data.filter_uses import no_time
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.live.tape import Tapes

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.node import Node
    from tesseract_grpc.engine.live.result import Result
    from tesseract_grpc.engine.live.source import Source


class Timely(Protocol):
    """What changes with time."""

    def tick(self, version: int) -> Sequence[Result]:
        """The hub's clock has advanced; returns the results that changed."""


class Wave:
    """The nodes that the present commit has still to reach, and what became of it. One a hub."""

    def __init__(self, stopwatch: Callable[[], int] = no_time) -> None:
        """`stopwatch` tells nanoseconds, for counting what work takes; nothing else depends on it."""
        self.stopwatch = stopwatch
        self.failed: list[tuple[Node, OutOfRange]] = []
        """Nodes that could not follow the present commit, and why."""
        self.watched: list[Relation] = []
        """Derived relations that the present commit changed and that have readers of their own."""
        self.timely: dict[Timely, None] = {}
        """Whoever changes with time: results, inputs of nodes, nodes."""
        self.overfull: dict[Source, None] = {}
        """Relations whose history is to be trimmed when the present commit is through."""
        self.aging: list[Source] = []
        """Relations of whose history a part is forgotten soon."""
        self.tapes = Tapes()
        """What commits changed one by one, for readers who ask for that."""
        self._waiting: list[tuple[int, int, Node]] = []
        self._order = 0

    def wait(self, node: Node) -> None:
        """A node with several inputs has something to follow. Call it once a commit and node."""
        self._order += 1  # nodes of one rank run in the order in which they came
        heapq.heappush(self._waiting, (node.rank, self._order, node))

    def tick(self, version: int) -> list[Result]:
        """The hub's clock has advanced: everything that changes with time follows; returns the results that changed.

        One after the other, each as a change of its own: what one of them derives from another is right in any order.
        """
        changed: list[Result] = []
        for follower in tuple(self.timely):
            changed.extend(follower.tick(version))
            changed.extend(self.run())
        return changed

    def run(self) -> list[Result]:
        """Lets all that wait follow, and those who follow them; returns the results that changed."""
        changed: list[Result] = []
        while self._waiting:
            changed.extend(heapq.heappop(self._waiting)[2].run())
        return changed

    def trim(self) -> None:
        """The commit is through: trims the histories that have outgrown their limits."""
        for source in self.overfull:
            source.trim()
        self.overfull.clear()

    def aged(self) -> tuple[Source, ...]:
        """The relations of whose history a part is forgotten soon; each is named once before that happens."""
        if not self.aging:
            return ()
        found = tuple(self.aging)
        self.aging.clear()
        return found
