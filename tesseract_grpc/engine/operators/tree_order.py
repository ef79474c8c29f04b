"""The rows of a result in the order of a tree: a row right before the rows below it, siblings by the sort.

The order is not kept as one sequence, in which a row that moves would take its whole subtree along. Kept are, for each
parent, its children in order (`tree_order_siblings.py`), each row's parent and the size of its subtree
(`tree_order_shape.py`). So a change moves the rows whose sort columns or whose parent changed, whatever hangs on
them; and which rows a reader sees is worked out when they are asked for (`tree_order_pages.py`).

A row is a root when it names no parent, when its parent is not among the rows (an *orphan*, which goes to its parent
when that comes), or when it is its own ancestor (*cut*: all rows of a circle are roots, and what hangs on them stays).

What a change brings about is worked out in this order: who is affected (the rows that came, whose parent column
changed, whose parent left, who waited for a row that came, who were in a circle that broke); who their parents are now;
which of them close a circle; and then one take-out and one put-in for all whose place changed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.delta import (
    NO_SLOTS,
    ChangeKind,
    Delta,
    Placement,
    RemoveReason,
    RowChange,
    Slots,
    column_bit,
    take_stored,
)
from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.order import Words
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.vector import AnyArray
from tesseract_grpc.engine.operators.sort_words import SortWords
from tesseract_grpc.engine.operators.tree_order_lineage import Orphans, key_hashes, make_lineage
from tesseract_grpc.engine.operators.tree_order_pages import TreePages
from tesseract_grpc.engine.operators.tree_order_shape import ABSENT, ROOT, TreeShape
from tesseract_grpc.engine.operators.tree_order_siblings import SiblingRows
from tesseract_grpc.engine.query.query import Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.tree import ParentColumn, Tree

_ORPHAN, _CUT = 1, 2
_NO_ROWS: NDArray[np.intp] = np.empty(0, np.intp)


class TreeOrder:
    """The rows of a filter's result, in the order of a tree."""

    def __init__(self, table: Relation, sort: tuple[SortKey, ...], tree: Tree) -> None:
        self.table = table
        self._sort, self._tree = sort, tree
        self.words = SortWords(table, sort)
        self.lineage = make_lineage(table, tree)
        named = (tree.column,) if isinstance(tree, ParentColumn) else (tree.level, *tree.by)
        self.reads = frozenset(table.schema.position(name) for name in named)  # what says whose child a row is
        self.sort_mask = self.lineage.mask
        for position in self.words.positions:
            self.sort_mask |= column_bit(position)
        self.rows = SiblingRows()
        self.shape = TreeShape()
        self.pages = TreePages(table, self.rows, self.shape, self.lineage)
        self.placed = 0  # rows that changes put in so far
        self._sort_mask = np.uint64(sum({column_bit(position) for position in self.words.positions}))
        self._parent_mask = np.uint64(self.lineage.mask)
        self._roots: NDArray[np.uint8] = np.zeros(16, np.uint8)  # why a row is a root although it names a parent
        self._orphans = Orphans()
        self._generation = 0

    def __len__(self) -> int:
        return self.rows.count

    @property
    def slots(self) -> Slots:
        """The slots of all rows in order. O(n)."""
        return self.pages.visible(None)

    def over(self, table: Relation) -> TreeOrder:
        """A tree of the same kind over another relation, not yet hydrated."""
        return TreeOrder(table, self._sort, self._tree)

    def count(self, window: Window) -> int:
        """How many rows show."""
        return self.pages.count(window.expansion)

    def page(self, window: Window) -> Slots:
        """The slots of the rows of a window, which counts the rows that show."""
        return self.pages.page(window)

    # Hydrating

    def hydrate(self, slots: Slots) -> None:
        """Takes the rows of the filter's result. O(n log n)."""
        shape = self.shape
        self._make_room()
        shape.parent[:] = ABSENT
        shape.parent[slots] = ROOT
        self._roots[:] = 0
        self._orphans.clear()
        if len(slots):
            self._cut(self._hang(slots))
        shape.measure(slots)
        first = self.words.first_now(slots)
        order = self._sorted(slots, first)
        slots = slots[order]
        self.rows.replace(shape.parent[slots], first[order], slots)
        self._generation = self.words.generation
        self.pages.forget()

    def _make_room(self) -> None:
        capacity, known = len(self.table.alive), len(self._roots)
        if capacity > known:
            self.shape.make_room(capacity)
            roots = np.zeros(capacity, np.uint8)
            roots[:known] = self._roots
            self._roots = roots

    def _hang(self, slots: Slots) -> Slots:
        """Finds the parents of rows, which are marked as there; returns all rows of the circles that they close."""
        parent = self.shape.parent
        named, keys = self.lineage.parents(slots)
        found = np.where(named, self.table.find(keys), np.int32(ROOT)).astype(np.int32)
        present = (found >= 0) & (parent[found] != ABSENT)
        parent[slots] = np.where(present, found, np.int32(ROOT))
        orphan = named & ~present
        self._roots[slots] = np.where(orphan, np.uint8(_ORPHAN), np.uint8(0))
        self._orphans.add(key_hashes(keys)[orphan], slots[orphan])
        return NO_SLOTS if self.lineage.acyclic else self.shape.circles(slots[present])

    def _cut(self, circles: Slots) -> None:
        """Makes roots of the rows of circles."""
        self.shape.parent[circles] = ROOT
        self._roots[circles] = _CUT

    def _sorted(self, slots: Slots, first: Words) -> NDArray[np.intp]:
        """The permutation that puts rows in order: by parent, by the first word, and where these tie by the others."""
        parents = self.shape.parent[slots]
        order = np.lexsort((first, parents))
        if self.words.by_insertion or len(order) < 2:
            return order
        words, above = first[order], parents[order]
        same = (words[1:] == words[:-1]) & (above[1:] == above[:-1])
        if same.any():
            tied = np.zeros(len(order), np.bool_)
            tied[1:] |= same
            tied[:-1] |= same
            where = tied.nonzero()[0]
            rows = order[where]
            rest = self.words.rest(slots[rows])
            keys: list[AnyArray] = [*rest[::-1], words[where], above[where]]
            order[where] = rows[np.lexsort(keys)]
        return order

    # Following

    def apply(self, delta: Delta) -> Placement | None:
        """Follows a change of the filter's result. O(changed x (log n + depth)), and memory moves in one pass.

        Always None: where a row stands depends on which nodes a reader has open.
        """
        self._make_room()
        resorted, rehung = _NO_ROWS, _NO_ROWS
        if len(delta.updated):
            resorted = (delta.changed & self._sort_mask).nonzero()[0]
            rehung = (delta.changed & self._parent_mask).nonzero()[0]
        if not (len(delta.inserted) or len(delta.removed) or len(resorted) or len(rehung)):
            return None
        shape, inserted, removed = self.shape, delta.inserted, delta.removed
        stayed = self._affected(inserted, removed, delta.updated[rehung])
        loose = np.concatenate((removed, stayed))
        before = shape.parent[loose]
        shape.take_off(loose, loose)
        self._orphans.remove(loose[self._roots[loose] == _ORPHAN])
        self._roots[removed] = 0
        shape.parent[removed] = ABSENT
        shape.parent[inserted] = ROOT
        shape.size[inserted] = 1
        affected = np.concatenate((stayed, inserted))
        if len(affected):
            circles = self._hang(affected)
            if len(circles):
                closed = circles[~np.isin(circles, affected)]  # rows that stood on a path that is a circle now
                affected = np.concatenate((closed, affected))
                shape.take_off(closed, affected)
                loose, before = np.concatenate((loose, closed)), np.concatenate((before, shape.parent[closed]))
                self._cut(circles)
            shape.put_on(affected)
        changed = (shape.parent[loose] != before).nonzero()[0]
        self._replace(delta, resorted, loose[changed], before[changed])
        self.pages.forget()
        return None

    def _affected(self, inserted: Slots, removed: Slots, rehung: Slots) -> Slots:
        """The rows that were there and are still, and may have another parent."""
        parts = [rehung]
        if len(removed):
            low, high = self.rows.children(removed)
            parts.append(self.rows.gather(low, high))
        if not self.lineage.acyclic and ((self._roots[removed] == _CUT).any() or (self._roots[rehung] == _CUT).any()):
            # A circle may have broken. Circles are few, so all are looked at.
            parts.append((self._roots == _CUT).nonzero()[0].astype(np.int32))
        if len(inserted) and len(self._orphans.slots):
            parts.append(self._orphans.waiting_for(key_hashes(self.table.batch(inserted, self.table.schema.key))))
        if not any(map(len, parts[1:])):
            return rehung
        stayed = np.unique(np.concatenate(parts))
        return stayed[~np.isin(stayed, removed)] if len(removed) else stayed

    def _replace(self, delta: Delta, resorted: NDArray[np.intp], left: Slots, before: AnyArray) -> None:
        """Takes out the rows that left or changed place, and puts in those that came or changed place.

        `left` are the rows that no longer hang where they hung (`before`), removed ones among them.
        """
        if self._generation != self.words.generation:
            self._relabel(delta, resorted)
        sorted_anew = delta.updated[resorted]
        moved = left[~np.isin(left, np.concatenate((delta.removed, sorted_anew)))] if len(left) else left
        out = np.concatenate((delta.removed, sorted_anew, moved))
        if len(out):
            parents = _given(out, self.shape.parent[out], left, before)
            words = np.concatenate((self._old_words(delta, resorted), self.words.first_now(moved)))
            self.rows.take_out(self.rows.find(out, parents, words))
        self._put_in(np.concatenate((sorted_anew, moved, delta.inserted)))

    def _old_words(self, delta: Delta, resorted: NDArray[np.intp]) -> Words:
        """The first words under which the removed rows, and these of the updated ones, were put in."""
        rows = delta.updated[resorted]
        return np.concatenate(
            (
                self.words.first(delta.removed, lambda p: delta.old_removed(self.table, p)),
                self.words.first(rows, lambda p: take_stored(delta.old_updated(self.table, p), resorted)),
            )
        )

    def _put_in(self, slots: Slots) -> None:
        """Puts rows in where they belong."""
        if not len(slots):
            return
        first = self.words.first_now(slots)
        order = self._sorted(slots, first)
        slots, first = slots[order], first[order]
        parents = self.shape.parent[slots]
        low, high = self.rows.children(parents)
        places = self.rows.bisect(low, high, first)
        if len(self) and not self.words.by_insertion:
            tied = ((places < high) & (self.rows.words.take(places, mode="clip") == first)).nonzero()[0]
            if tied.size:
                end = self.rows.bisect(places[tied], high[tied], first[tied], right=True)
                places[tied] = self.words.between(slots[tied], self.rows.slots, places[tied], end)
        self.rows.put_in(parents, first, slots, places + np.arange(len(slots)))
        self.placed += len(slots)

    def apply_one(self, kind: ChangeKind, change: RowChange) -> int:
        """Follows the change of one row. Always -1, as above."""
        if kind is ChangeKind.UPDATED and not change.changed & self.sort_mask:
            return -1
        delta = RowChange(change.version, ChangeKind.UPDATED, change.slot, change.changed, change.before).to_delta(
            self.table
        )
        if kind is ChangeKind.INSERTED:
            delta = Delta(change.version, inserted=delta.updated)
        elif kind is ChangeKind.REMOVED:
            reasons = np.array([RemoveReason.DELETED], np.uint8)
            delta = Delta(change.version, removed=delta.updated, reasons=reasons, removed_before=delta.before)
        self.apply(delta)
        return -1

    def _relabel(self, delta: Delta, resorted: NDArray[np.intp]) -> None:
        """Reads the first words again, old values where this delta brings new ones."""
        rows = self.rows
        gone = np.concatenate((delta.removed, delta.updated[resorted]))
        first = self.words.first_now(rows.slots)
        if len(gone):
            first = _given(rows.slots, first, gone, self._old_words(delta, resorted))
        rows.replace(rows.parents, first, rows.slots)
        self._generation = self.words.generation

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        own = self._roots.nbytes + self._orphans.memory_bytes()
        return own + self.rows.memory_bytes() + self.shape.memory_bytes() + self.pages.memory_bytes()

    def check(self) -> None:
        """Proves that the tree is the one that a fresh one would be, and that every way to read it agrees."""
        if self._generation != self.words.generation:
            self._relabel(Delta(0), _NO_ROWS)
        slots = np.sort(self.rows.slots)
        assert bool(self.table.alive[slots].all()), "a row that is gone is in the tree"
        assert np.array_equal(slots, (self.shape.parent != ABSENT).nonzero()[0]), "the shape has other rows"
        self.shape.check(slots)
        other = TreeOrder(self.table, self._sort, self._tree)
        other.hydrate(slots)
        assert np.array_equal(other.shape.parent[slots], self.shape.parent[slots]), "a row hangs on another parent"
        assert np.array_equal(other._roots[slots], self._roots[slots]), "a row is a root for another reason"
        assert set(self._orphans.slots.tolist()) == set(other._orphans.slots.tolist()), "another row waits"
        assert np.array_equal(other._orphans.hashes, self._orphans.hashes), "a row waits for another parent"
        assert np.array_equal(other.rows.parents, self.rows.parents), "siblings are not together"
        assert np.array_equal(other.rows.slots, self.rows.slots), "siblings are out of order"
        assert np.array_equal(other.rows.words, self.rows.words), "a kept order word is not the row's"
        self.pages.check()


def check_window(window: Window, tree: TreeOrder | None) -> None:
    """Raises InvalidRequest when a window names open nodes of what is no tree, or nodes that cannot be in the tree."""
    expansion = window.expansion
    if expansion is None:
        return
    if tree is None:
        raise InvalidRequest(
            Reason.BAD_WINDOW, "the result is no tree, so it has no nodes to be open", field="window.expansion"
        )
    for what, names in (("expanded", expansion.expanded), ("collapsed", expansion.collapsed)):
        for name in names:
            tree.lineage.check_name(name, f"window.expansion.{what}")


def _given(slots: Slots, values: AnyArray, some: Slots, theirs: AnyArray) -> AnyArray:
    """Values by row, those of some rows replaced by theirs."""
    if len(some):
        by_slot = np.argsort(some)
        at = some[by_slot].searchsorted(slots)
        known = some[by_slot].take(at, mode="clip") == slots
        values[known] = theirs[by_slot[at[known]]]
    return values
