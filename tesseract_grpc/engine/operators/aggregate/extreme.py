"""min and max: the extreme of each group, and how many rows hold it.

A row that comes either does not reach the extreme, joins its holders, or replaces it. A row that leaves matters only if
it holds the extreme; when the last holder leaves while other values stay, the group is *stale*: its extreme, which is
kept, is a bound that all its values lie beyond, and the values must be looked at again to know more, unless one comes
that reaches the bound. So an update of most rows costs a comparison.

That is cheap while extremes leave seldom. Where they keep leaving (the least of times under expiry), looking at all
rows of a table again and again would cost more than keeping the rows in order. So it is reckoned what looking again
costs and what keeping an order would, and when the first has outweighed the second for long, the rows are put in
order for good.

Of a table that is taken in block by block, nearly no row reaches an extreme once the groups have some rows. So the rows
of a block are first compared with the least extreme of all extremes, a single number. Those that are left wait until
there are many, or until somebody wants to know or to take rows out.

Values are compared as numbers (see `comparable`), with texts by their order labels; when labels are given anew, the
extremes' labels are read again from the codes that the groups keep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.order import label_generation
from tesseract_grpc.engine.data.schema import DataType, Scalar
from tesseract_grpc.engine.data.vector import STORAGE, AnyArray
from tesseract_grpc.engine.operators.aggregate.arrays import NO_GROUPS, Groups, Int64Array, distinct, grown
from tesseract_grpc.engine.operators.aggregate.by_order import Insertion
from tesseract_grpc.engine.operators.aggregate.comparable import comparable, comparable_one, restored, restored_one
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped
from tesseract_grpc.engine.operators.aggregate.ranked_rows import RankedRows
from tesseract_grpc.engine.operators.aggregate.state import ColumnState, Present, masked

_FAR_MORE = 4  # times as many rows as groups
_LATE = 4096  # rows that may reach an extreme wait until there are so many
# What keeping rows in order costs, in rows of a table that is looked at again:
CALL = 50_000  # a batch
ROW = 500  # a row of it
PATIENCE = 8  # rows are put in order when looking again has cost so many times the table more than this


class _Extreme(ColumnState):
    """The state of min and max."""

    _least: bool  # whether it is the least value or the greatest
    _reach: np.ufunc  # the more extreme of two numbers
    _reaches: np.ufunc  # whether a number is at least as extreme as another
    _beyond: np.ufunc  # whether a number is less extreme than another
    _farthest: Callable[[AnyArray], AnyArray]  # the least extreme of some numbers, NaN where one is
    _nothing: int  # the number that every other reaches

    def __init__(self, column: Column, relation: Insertion) -> None:
        super().__init__(column)
        self._relation = relation
        self._ordered: RankedRows | None = None  # the rows in order, once that costs less
        self._excess = 0  # what looking again has cost more than an order would have
        self.type = column.type
        self._extremes: Int64Array = np.zeros(0, np.int64)  # of an empty group: `_nothing`
        self._holders: Int64Array = np.zeros(0, np.int64)
        self._codes: Int64Array | None = None if column.dictionary is None else np.zeros(0, np.int64)
        self._generation = label_generation(column)
        self._suspects: list[Groups] = []  # groups that were stale once; whether they still are is asked later
        self._late: list[tuple[Groups, AnyArray]] = []  # rows that are counted and have yet to be looked at
        self._late_rows = 0
        # Whether `_nothing` is a value of the type that no row is beyond.
        self._bounds = not column.type.is_text and column.type is not DataType.BOOL
        self._bound: AnyArray | None = None  # what no row can reach an extreme without reaching, as a stored value
        self._bounded = 0  # the number of groups of which `_bound` is the least extreme

    def fresh(self) -> Self:
        """An empty state of the same kind."""
        return type(self)(self.column, self._relation)

    # Rows in order

    def enter(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes in rows. O(rows), or where they are in order O(rows * root of their groups' sizes) at the most."""
        if self._ordered is None:
            self._relax(len(rows))
            super().enter(rows, inputs)
            return
        some, values = rows.present(inputs[0])
        some.count_into(self.counts, 1)
        numbers = comparable(self.column, values)
        self._follow_labels()
        self._ordered.add(some.groups, some.slots, numbers)

    def leave(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes out rows. As `enter`."""
        if self._ordered is None:
            self._relax(len(rows))
            super().leave(rows, inputs)
            return
        some, _ = rows.present(inputs[0])
        some.count_into(self.counts, -1)
        self._ordered.remove(some.groups, some.slots)

    def enter_one(self, group: int, slot: int, values: Sequence[Scalar]) -> None:
        """Takes in one row."""
        if self._ordered is None:
            self._relax(1)
            super().enter_one(group, slot, values)
        else:
            self.enter(*self._alone(group, slot, values))

    def leave_one(self, group: int, slot: int, values: Sequence[Scalar]) -> None:
        """Takes out one row."""
        if self._ordered is None:
            self._relax(1)
            super().leave_one(group, slot, values)
        else:
            self.leave(*self._alone(group, slot, values))

    def rebuild(self, groups: Groups, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Looks at all rows of stale groups again, or puts all rows in order."""
        if not self._weary:
            self._excess += len(self._relation.sequence)
            super().rebuild(groups, rows, inputs)
            return
        self._ordered = RankedRows()
        self._ordered.reserve(len(self.counts))
        self._suspects = []
        self._extremes = self._holders = np.zeros(0, np.int64)
        self.counts[:] = 0
        self.enter(rows, inputs)

    def _relax(self, rows: int) -> None:
        """Reckons what a batch would have cost in order."""
        if rows:
            self._excess = max(0, self._excess - CALL - ROW * rows)

    @property
    def _weary(self) -> bool:
        """Whether looking again has cost too much."""
        return self._excess > PATIENCE * len(self._relation.sequence)

    # Extremes

    def _reserve(self, capacity: int) -> None:
        if self._ordered is not None:
            self._ordered.reserve(capacity)
            return
        self._extremes = grown(self._extremes, capacity, self._nothing)
        self._holders = grown(self._holders, capacity)
        if self._codes is not None:
            self._codes = grown(self._codes, capacity)

    def _follow_labels(self) -> None:
        """Reads the labels of the extremes, or of all rows in order, again if labels were given anew."""
        if self._ordered is not None and self._generation != label_generation(self.column):
            self._ordered.rekey(lambda slots: comparable(self.column, self.column.values[slots]))
            self._generation = label_generation(self.column)
        elif self._codes is not None and self._generation != label_generation(self.column):
            known = self.counts.nonzero()[0]  # rows on their way in are counted but not yet known: their codes are old
            known = known[self._extremes[known] != self._nothing]
            self._extremes[known] = comparable(self.column, self._codes[known])
            self._generation = label_generation(self.column)

    def _add(self, groups: Groups, values: AnyArray) -> None:
        if self._bounds and len(groups) > _FAR_MORE * len(self._extremes):
            groups, values = self._near(groups, values)
            self._late.append((groups, values))
            self._late_rows += len(groups)
            if self._late_rows >= _LATE:
                self._settle()
        else:
            self._settle()
            self._look_at(groups, values)

    def _near(self, groups: Groups, values: AnyArray) -> tuple[Groups, AnyArray]:
        """The rows, without most of those that do not reach the extremes.

        Values are compared as they are; where one side is NaN this does not tell, and the row is kept.
        """
        known = self.counts > 0  # with the rows that are on their way in
        count = int(np.count_nonzero(known))
        if count != self._bounded:  # a group is new, so every row of it counts
            self._settle()
            self._bound = None
        elif self._bound is None:
            self._bound = self._farthest(restored(self.type, self._extremes[known]))
        self._bounded = count
        if self._bound is None:
            return groups, values
        rows = (~self._beyond(values, self._bound)).nonzero()[0]
        return groups.take(rows), values.take(rows)

    def _settle(self) -> None:
        """Looks at the rows that wait. The bound is found anew when it is wanted."""
        self._bound = None
        if self._late:
            late, self._late, self._late_rows = self._late, [], 0
            groups, values = late[0]
            if len(late) > 1:
                groups = np.concatenate([each for each, _ in late])
                values = np.concatenate([each for _, each in late])
            self._look_at(groups, values)

    def _look_at(self, groups: Groups, values: AnyArray) -> None:
        """Takes in values that are counted."""
        numbers = comparable(self.column, values)
        self._follow_labels()
        before = self._extremes.take(groups)
        reaching = self._reaches(numbers, before).nonzero()[0]
        if len(reaching) < len(groups):  # few do, once groups have many rows
            groups, numbers, values, before = (a.take(reaching) for a in (groups, numbers, values, before))
        self._reach.at(self._extremes, groups, numbers)
        now = self._extremes.take(groups)
        self._holders[groups[now != before]] = 0
        holding = numbers == now
        held = groups[holding]
        np.add.at(self._holders, held, 1)
        if self._codes is not None:
            self._codes[held] = values[holding]

    def _remove(self, groups: Groups, values: AnyArray) -> None:
        self._settle()
        numbers = comparable(self.column, values)
        self._follow_labels()
        leaving = groups[numbers == self._extremes.take(groups)]
        np.subtract.at(self._holders, leaving, 1)
        self._clear(groups[self.counts.take(groups) == 0])
        left = leaving[(self._holders.take(leaving) == 0) & (self.counts.take(leaving) > 0)]
        if len(left):
            self._suspects.append(left)

    def _add_one(self, group: int, value: Present) -> None:
        self._settle()
        number = comparable_one(self.column, value)
        self._follow_labels()
        extreme = self._extremes.item(group)
        if number == extreme:
            self._holders[group] += 1
        elif (number < extreme) == self._least:
            self._extremes[group], self._holders[group] = number, 1
        else:
            return
        if self._codes is not None:
            self._codes[group] = value

    def _remove_one(self, group: int, value: Present) -> None:
        self._settle()
        number = comparable_one(self.column, value)
        self._follow_labels()
        if not self.counts[group]:
            self._extremes[group], self._holders[group] = self._nothing, 0
        elif number == self._extremes[group]:
            self._holders[group] -= 1
            if not self._holders[group]:
                self._suspects.append(np.array([group]))

    def _clear(self, groups: Groups) -> None:
        if self._ordered is not None:
            self._ordered.clear(groups)
            return
        self._settle()
        self._extremes[groups] = self._nothing
        self._holders[groups] = 0

    def stale(self) -> Groups:
        """The groups whose last holder left, or all when rows are to be put in order. O(groups that lost one)."""
        self._settle()
        if not self._suspects:
            return NO_GROUPS
        groups: Groups = distinct(np.concatenate(self._suspects))
        groups = groups[(self._holders[groups] == 0) & (self.counts[groups] > 0)]
        self._suspects = [groups] if len(groups) else []
        return self.counts.nonzero()[0] if len(groups) and self._weary else groups

    def result(self, groups: Groups) -> Stored:
        """The extremes; null where there are no values. The groups are not stale."""
        self._settle()
        counts = self.counts[groups]
        if self._ordered is not None:
            return self._ends(self._ordered, groups, counts)
        if self._codes is not None:
            return masked(self._codes[groups].astype(np.int32), counts)
        # An empty group's number may stand for no value of the type, but it is overwritten.
        return masked(restored(self.type, self._extremes[groups]), counts)

    def result_one(self, group: int) -> Scalar:
        """The extreme of one group, which is not stale."""
        self._settle()
        if self._ordered is not None:
            return super().result_one(group)
        if not self.counts[group]:
            return None
        if self._codes is not None:
            return self._codes.item(group)
        return restored_one(self.type, self._extremes.item(group))

    def _ends(self, ordered: RankedRows, groups: Groups, counts: Int64Array) -> Stored:
        """The values of the first or the last rows of groups."""
        values = np.zeros(len(groups), STORAGE[self.type])
        there = (counts > 0).nonzero()[0]
        if len(there):
            found = self.column.values[ordered.ends(groups[there], last=not self._least)]
            # As it is turned back where there is no order, NaN has but one form.
            values[there] = found if self._codes is not None else restored(self.type, comparable(self.column, found))
        return masked(values, counts)

    def check(self, groups: Groups, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Proves that the state of these groups is the one that their rows, which are given, make."""
        super().check(groups, rows, inputs)
        if self._ordered is not None:
            self._ordered.check()
            assert np.array_equal(self._ordered.counts, self.counts), "the rows in order are others than those counted"

    def _facts(self, group: int) -> object:
        self._settle()
        return None if self._ordered is not None else int(self._holders[group])

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        codes = 0 if self._codes is None else self._codes.nbytes
        ordered = 0 if self._ordered is None else self._ordered.memory_bytes()
        return super().memory_bytes() + self._extremes.nbytes + self._holders.nbytes + codes + ordered


class Minimum(_Extreme):
    """The least value."""

    _least = True
    _reach = np.minimum
    _reaches = np.less_equal
    _beyond = np.greater
    _farthest = staticmethod(np.max)
    _nothing = 2**63 - 1


class Maximum(_Extreme):
    """The greatest value; NaN is greater than every number."""

    _least = False
    _reach = np.maximum
    _reaches = np.greater_equal
    _beyond = np.less
    _farthest = staticmethod(np.min)
    _nothing = -(2**63)
