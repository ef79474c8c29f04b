"""The shape of a tree: each row's parent by slot, and how many rows its subtree has.

`parent` leads from a row's slot to its parent's, -1 for a root, -2 where no row of the tree is. `size` counts a row and
all below it. When rows are re-hung, sizes change along their ancestors only: all of them are taken off first, each with
what hangs on it, and are then put on where they belong. O(rows x depth).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.delta import Slots
from tesseract_grpc.engine.data.vector import AnyArray

ROOT, ABSENT = -1, -2
_FEW = 256  # up to so many rows look for circles one by one; more do so together
_DEEP = 512  # so many levels are worked through one by one, deeper trees row by row


class TreeShape:
    """Parents and subtree sizes by slot."""

    def __init__(self) -> None:
        self.parent: NDArray[np.int32] = np.full(16, ABSENT, np.int32)
        self.size: NDArray[np.int32] = np.ones(16, np.int32)

    def make_room(self, capacity: int) -> None:
        """Grows to so many slots."""
        known = len(self.parent)
        if capacity > known:
            parent, size = np.full(capacity, ABSENT, np.int32), np.ones(capacity, np.int32)
            parent[:known], size[:known] = self.parent, self.size
            self.parent, self.size = parent, size

    def take_off(self, slots: Slots, off: Slots) -> None:
        """Takes rows, each with what hangs on it, off their ancestors' sizes; their parents are still what they were.

        `off` are all rows that are off by then. A row below one of them counts for the rows up to that one; what is
        above has lost it with that one.
        """
        parent, size = self.parent, self.size
        if not len(slots):
            return
        loose = np.zeros(len(parent), np.bool_)
        loose[off] = True
        lost, above = size[slots], parent[slots]
        while (climbing := (above >= 0).nonzero()[0]).size:
            above, lost = above[climbing], lost[climbing]
            np.subtract.at(size, above, lost)
            above = np.where(loose[above], np.int32(ROOT), parent[above])

    def put_on(self, slots: Slots) -> None:
        """Adds rows, each with what hangs on it, to the sizes of the ancestors that they have now."""
        parent, size = self.parent, self.size
        gained, above = size[slots], parent[slots]
        while (climbing := (above >= 0).nonzero()[0]).size:
            above, gained = above[climbing], gained[climbing]
            np.add.at(size, above, gained)
            above = parent[above]

    def measure(self, slots: Slots) -> None:
        """Counts all subtrees anew; `slots` are all rows. O(n), and a few array operations a level."""
        parent, size = self.parent, self.size
        size[slots] = 1
        depth = self.depths(slots)
        deepest = int(depth.max(initial=0))
        ordered = slots[np.argsort(-depth, kind="stable")]
        if deepest > _DEEP:
            sizes, above = size.tolist(), parent.tolist()
            for slot in ordered.tolist():
                if above[slot] >= 0:
                    sizes[above[slot]] += sizes[slot]
            size[:] = sizes
            return
        start = 0
        for count in np.bincount(depth, minlength=deepest + 1)[:0:-1].tolist():
            level = ordered[start : start + count]
            np.add.at(size, parent[level], size[level])
            start += count

    def depths(self, slots: Slots) -> NDArray[np.int32]:
        """How many ancestors each row has. O(n log depth): each round doubles how far is looked up."""
        nobody = len(self.parent)
        above = np.where(self.parent >= 0, self.parent, np.int32(nobody))
        above = np.append(above, np.int32(nobody))
        depth = (above < nobody).astype(np.int32)
        while (above[slots] < nobody).any():
            depth += depth[above]
            above = above[above]
        return depth[slots]

    def circles(self, slots: Slots) -> Slots:
        """The rows that are their own ancestors, given all rows whose parent is new."""
        if len(slots) > _FEW:
            return self._all_circles()
        parent = self.parent
        seen: dict[int, int] = {}
        found: list[int] = []
        for walk, start in enumerate(slots.tolist()):
            at = start
            while at >= 0 and at not in seen:
                seen[at] = walk
                at = parent.item(at)
            if at >= 0 and seen[at] == walk:  # this walk came back to where it has been
                member = at
                while True:
                    found.append(member)
                    member = parent.item(member)
                    if member == at:
                        break
        return np.array(found, np.int32)

    def _all_circles(self) -> Slots:
        """The same for all rows. O(n log n).

        As many steps up as there are rows lead out of the tree or onto a circle, and to each row of a circle from one.
        """
        nobody = len(self.parent)
        above = np.append(np.where(self.parent >= 0, self.parent, np.int32(nobody)), np.int32(nobody))
        steps = 1
        while steps <= nobody and (above < nobody).any():
            above = above[above]
            steps *= 2
        return np.unique(above[above < nobody]).astype(np.int32)

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return self.parent.nbytes + self.size.nbytes

    def check(self, slots: AnyArray) -> None:
        """Proves that the sizes are those counted anew."""
        other = TreeShape()
        other.parent, other.size = self.parent, self.size.copy()
        other.measure(slots)
        assert np.array_equal(other.size[slots], self.size[slots]), "a subtree has another size"
