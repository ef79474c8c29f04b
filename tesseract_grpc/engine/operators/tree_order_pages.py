"""Which rows of a tree show, and where: a tree, seen with some of its nodes open.

A row shows when all nodes above it are open. Where only single nodes are closed, the sizes of subtrees tell how many
rows show and lead straight to the first row of a window: from there on, rows are walked one by one to its end. Where a
depth decides, the rows that show are laid out level by level, all rows of a level at once, and kept until the tree
changes: rows that do not show are never looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.delta import NO_SLOTS, Slots
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.operators.tree_order_lineage import Lineage
from tesseract_grpc.engine.operators.tree_order_shape import ABSENT, ROOT, TreeShape
from tesseract_grpc.engine.operators.tree_order_siblings import Places, SiblingRows
from tesseract_grpc.engine.query.query import Expansion, Window

_PAGE = 1_024  # windows of up to so many rows are walked row by row
_DEEP = 512  # so many levels are laid out one by one; deeper trees are walked row by row
_KEPT = 64  # layouts kept
_ALL = Expansion()


@dataclass(slots=True)
class _Level:
    """The rows of one level that show, the indexes of those that are open, and how many children these have."""

    slots: Slots
    opened: Places
    children: Places


class TreePages:
    """Reads windows of a tree."""

    def __init__(self, table: Relation, rows: SiblingRows, shape: TreeShape, lineage: Lineage) -> None:
        self._table = table
        self._rows = rows
        self._shape = shape
        self._lineage = lineage
        self._layouts: dict[Expansion, Slots] = {}
        self.listed = 0  # rows laid out or walked so far

    def forget(self) -> None:
        """The tree has changed."""
        self._layouts.clear()

    def count(self, expansion: Expansion | None) -> int:
        """How many rows show. O(closed nodes x depth), or O(rows that show) where a depth decides."""
        expansion = expansion or _ALL
        if expansion.depth is not None:
            return len(self.visible(expansion))
        size = self._shape.size
        hidden = sum(size.item(slot) - 1 for slot in self._topmost(expansion))
        return self._rows.count - hidden

    def page(self, window: Window) -> Slots:
        """The slots of the rows of a window."""
        expansion = window.expansion or _ALL
        if window.limit is not None and window.limit <= _PAGE and expansion.depth is None:
            return self._walk(expansion, window.offset, window.limit)
        visible = self.visible(expansion)
        start, stop = window.bounds(len(visible))
        return visible[start:stop]

    def visible(self, expansion: Expansion | None) -> Slots:
        """All rows that show, in order; not to be written to. O(rows that show), once a change of the tree."""
        expansion = expansion or _ALL
        found = self._layouts.get(expansion)
        if found is None:
            if len(self._layouts) >= _KEPT:
                del self._layouts[next(iter(self._layouts))]
            found = self._layouts[expansion] = self._laid_out(expansion)
            found.setflags(write=False)
        return found

    # Which nodes are open

    def _named(self, names: frozenset[tuple[bool | int | float | str | None, ...]]) -> Slots:
        """The rows with these names that are in the tree."""
        if not names:
            return NO_SLOTS
        slots = self._table.find(self._lineage.nodes(names))
        parent = self._shape.parent  # it has no room yet for rows that have not concerned the tree
        there: BoolArray = (slots >= 0) & (slots < len(parent)) & (parent.take(slots, mode="clip") != ABSENT)
        return slots[there]

    def _topmost(self, expansion: Expansion) -> list[int]:
        """The closed nodes that are below no other closed one."""
        if not expansion.collapsed:
            return []
        parent = self._shape.parent
        closed = set(self._named(expansion.collapsed).tolist())
        top: list[int] = []
        for slot in sorted(closed):
            above = parent.item(slot)
            while above >= 0 and above not in closed:
                above = parent.item(above)
            if above < 0:
                top.append(slot)
        return top

    # Everything that shows

    def _laid_out(self, expansion: Expansion) -> Slots:
        """All rows that show, in order: the rows of each level, their sizes upwards, then their places downwards."""
        expanded, collapsed = self._named(expansion.expanded), self._named(expansion.collapsed)
        low, high = self._rows.children(np.array([ROOT], np.int32))
        slots = self._rows.gather(low, high)
        levels: list[_Level] = []
        while len(slots):
            if len(levels) == _DEEP:
                return self._walk(expansion, 0, self._rows.count)
            opened = self._open(slots, len(levels), expansion, expanded, collapsed).nonzero()[0]
            low, high = self._rows.children(slots[opened])
            levels.append(_Level(slots, opened, high - low))
            slots = self._rows.gather(low, high)
        shown = [np.ones(len(level.slots), np.int64) for level in levels]
        for depth in range(len(levels) - 2, -1, -1):
            level = levels[depth]
            shown[depth][level.opened] += np.add.reduceat(shown[depth + 1], _starts(level.children))
        total = sum(len(level.slots) for level in levels)
        self.listed += total
        result = np.empty(total, np.int32)
        places = _before(shown[0]) if levels else np.empty(0, np.int64)
        for depth, level in enumerate(levels):
            result[places] = level.slots
            if depth + 1 < len(levels):
                within = _before(shown[depth + 1])
                first = places[level.opened] + 1 - within[_starts(level.children)]
                places = np.repeat(first, level.children) + within
        return result

    def _open(self, slots: Slots, depth: int, expansion: Expansion, expanded: Slots, collapsed: Slots) -> BoolArray:
        """Which rows of a level have children and show them."""
        result: BoolArray = self._shape.size[slots] > 1
        if expansion.depth is not None and depth >= expansion.depth:
            result &= np.isin(slots, expanded)
        if len(collapsed):
            result &= ~np.isin(slots, collapsed)
        return result

    # Part of what shows

    def _walk(self, expansion: Expansion, offset: int, limit: int) -> Slots:
        """The rows from an offset on. O(limit, and the siblings of the rows above the first)."""
        size = self._shape.size
        closed = self._topmost(expansion)
        shown = self._shown(closed) if closed else size
        shut = set(self._named(expansion.collapsed).tolist())
        most = expansion.depth
        expanded = set(self._named(expansion.expanded).tolist()) if most is not None else set()
        held = self._rows.slots
        stack = self._descend(shown, offset)
        found: list[int] = []
        while stack and len(found) < limit:
            place, end = stack[-1]
            if place == end:
                stack.pop()
                continue
            stack[-1] = (place + 1, end)
            slot = held.item(place)
            found.append(slot)
            if size.item(slot) > 1 and slot not in shut and (most is None or len(stack) <= most or slot in expanded):
                low, high = self._rows.children(np.array([slot], np.int32))
                stack.append((low.item(), high.item()))
        self.listed += len(found)
        return np.array(found, np.int32)

    def _shown(self, closed: list[int]) -> NDArray[np.int32]:
        """How many rows show of each subtree, where these nodes are closed. O(closed x depth), a copy of the sizes."""
        shown, parent = self._shape.size.copy(), self._shape.parent
        for slot in closed:
            hidden = shown.item(slot) - 1
            at = slot
            while at >= 0:
                shown[at] -= hidden
                at = parent.item(at)
        return shown

    def _descend(self, shown: AnyArray, offset: int) -> list[tuple[int, int]]:
        """The rows to be walked from an offset on: the rest of each level, down to that of the first row."""
        stack: list[tuple[int, int]] = []
        above = ROOT
        while True:
            bounds = self._rows.children(np.array([above], np.int32))
            low, high = bounds[0].item(), bounds[1].item()
            if not offset or low == high:
                stack.append((low, high))
                return stack
            before = np.cumsum(shown[self._rows.slots[low:high]])
            at = int(before.searchsorted(offset, "right"))
            if at == high - low:
                return stack  # the offset lies beyond the last row
            offset -= int(before[at - 1]) if at else 0
            if not offset:
                stack.append((low + at, high))
                return stack
            stack.append((low + at + 1, high))
            offset -= 1
            above = self._rows.slots.item(low + at)

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return sum(slots.nbytes for slots in self._layouts.values())

    def check(self) -> None:
        """Proves that what is kept is what would be laid out now, and that laying out and walking agree."""
        for expansion, slots in self._layouts.items():
            assert np.array_equal(slots, self._laid_out(expansion)), "rows that showed before the tree changed are kept"
        laid_out = self._laid_out(_ALL)
        assert np.array_equal(np.sort(laid_out), np.sort(self._rows.slots)), "a row does not show although all is open"
        assert np.array_equal(laid_out, self._walk(_ALL, 0, len(laid_out))), "laying out and walking differ"
        for offset in range(min(4, len(laid_out) + 1)):
            assert np.array_equal(laid_out[offset : offset + 3], self._walk(_ALL, offset, 3)), "a window is displaced"


def _starts(counts: Places) -> Places:
    """Where runs of these lengths begin."""
    return np.cumsum(counts) - counts


def _before(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of all values before each."""
    return np.cumsum(values) - values
