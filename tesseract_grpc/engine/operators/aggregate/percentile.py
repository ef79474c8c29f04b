"""median and percentile: what stands at a share of the rows in order, between two rows in proportion (SQL's
`percentile_cont`).

With n values and a share q, the place is `q * (n - 1)` counted from 0, as a double. At a whole place stands a value;
between two, the result is `low * (1 - part) + high * part`, which cannot overflow. INT64 values are taken as doubles.
NaN stands above every number, so it is the result from its place on.

Where groups have some hundred to some thousand rows when the state is filled, only what stands around the place is kept
(`Middles`), which costs a fraction of keeping all rows in order (`RankedRows`). Values that drift away from it, so that
it has to be found again and again, end that for good; how the costs are reckoned is told in `extreme`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.operators.aggregate.arrays import NO_GROUPS, FloatArray, Groups, Int64Array, distinct
from tesseract_grpc.engine.operators.aggregate.comparable import comparable, restored
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped
from tesseract_grpc.engine.operators.aggregate.middles import Middles
from tesseract_grpc.engine.operators.aggregate.ranked_rows import RankedRows
from tesseract_grpc.engine.operators.aggregate.state import State, masked

MANY, TOO_MANY = 256, 1 << 14
"""Of so many rows a group on the average, and not more, only the middles are kept."""
CALL, ROW = 20_000, 20
"""What a batch and each row of it cost more where rows are in order, in rows that are looked at again."""
PATIENCE = 8
"""Rows are put in order when looking again has cost so many times all rows more than this."""


class Percentile(State):
    """The value at a share of the rows; null when there are no values."""

    type = DataType.FLOAT64
    in_blocks = False

    def __init__(self, column: Column, share: float) -> None:
        super().__init__((column,))
        self._column = column
        self._share = share
        self._rows = RankedRows()
        self._middles: Middles | None = None  # in the place of the rows
        self._begun = False
        self._all_lost = False  # the rows are not there, and have to be put in order all at once
        self._touched: list[Groups] = []  # groups whose middles may not hold what is wanted
        self._excess = 0  # what looking again has cost more than an order would have

    def fresh(self) -> Self:
        """An empty state of the same kind."""
        return type(self)(self._column, self._share)

    def _reserve(self, capacity: int) -> None:
        if self._middles is not None and MANY * capacity > 4 * int(self.counts.sum()):
            self._middles, self._all_lost = None, True  # groups have become many and small
        if self._middles is None:
            self._rows.reserve(capacity)
        else:
            self._middles.reserve(capacity)

    def enter(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes in rows. O(rows), or where they are in order O(rows * root of their groups' sizes) at the most."""
        some, values = rows.present(inputs[0])
        if not len(some):
            return
        some.count_into(self.counts, 1)
        keys = comparable(self._column, values)
        if not self._begun:
            self._begin(some.groups, keys)
        elif self._middles is not None:
            self._change(self._middles, some.groups, keys, 1)
        if self._middles is None and not self._all_lost:
            self._rows.add(some.groups, some.slots, keys)

    def leave(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes out rows. As `enter`."""
        some, values = rows.present(inputs[0])
        if not len(some):
            return
        some.count_into(self.counts, -1)
        if self._middles is not None:
            self._change(self._middles, some.groups, comparable(self._column, values), -1)
        elif not self._all_lost:
            self._rows.remove(some.groups, some.slots)

    def _begin(self, groups: Groups, keys: Int64Array) -> None:
        """The first rows say how the others will be kept."""
        self._begun = True
        several = int(np.count_nonzero(self.counts))
        if MANY * several <= len(groups) <= TOO_MANY * several:
            self._rows = RankedRows()
            self._middles = Middles()
            self._middles.reserve(len(self.counts))
            self._middles.build(groups, keys, self._share)

    def _change(self, middles: Middles, groups: Groups, keys: Int64Array, sign: int) -> None:
        self._excess = max(0, self._excess - CALL - ROW * len(groups))
        middles.change(groups, keys, sign)
        self._touched.append(groups)

    def stale(self) -> Groups:
        """The groups whose middles do not hold what is wanted, or all when rows are to be put in order."""
        if self._all_lost:
            return self.counts.nonzero()[0]
        if self._middles is None or not self._touched:
            return NO_GROUPS
        groups: Groups = distinct(np.concatenate(self._touched))
        groups = groups[self.counts[groups] > 0]
        counts = self.counts[groups]
        lost = groups[self._middles.missing(groups, self._ranks(counts)[0], counts)]
        self._touched = [lost] if len(lost) else []
        everything = int(self.counts.sum()) if len(lost) else 0
        if self._excess > PATIENCE * everything and len(lost):
            self._middles, self._all_lost, self._touched = None, True, []
            self._rows.reserve(len(self.counts))
            return self.counts.nonzero()[0]
        self._excess += everything
        return lost

    def rebuild(self, groups: Groups, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Looks at all rows of stale groups again, or puts all rows in order."""
        some, values = rows.present(inputs[0])
        keys = comparable(self._column, values)
        self._touched = []
        if self._middles is not None:
            self._middles.build(some.groups, keys, self._share)
        elif self._all_lost:
            self._rows.add(some.groups, some.slots, keys)
            self._all_lost = False

    def _clear(self, groups: Groups) -> None:
        if self._middles is not None:
            self._middles.clear(groups)
        elif not self._all_lost:
            self._rows.clear(groups)

    def _ranks(self, counts: Int64Array) -> tuple[Int64Array, FloatArray]:
        """At which ranks the results of groups of so many rows stand, and how far towards the next."""
        place = self._share * (counts - 1).astype(np.float64)
        whole = np.floor(place)
        return whole.astype(np.int64), place - whole

    def result(self, groups: Groups) -> Stored:
        """The values at the share. O(groups * root of their sizes)."""
        counts = self.counts[groups]
        there = (counts > 0).nonzero()[0]
        result = np.zeros(len(groups))
        if len(there):
            result[there] = self._at(groups[there], counts[there])
        return masked(result, counts)

    def _at(self, groups: Groups, counts: Int64Array) -> FloatArray:
        ranks, part = self._ranks(counts)
        middles = self._middles
        keys = self._rows.keys_at(groups, ranks) if middles is None else middles.keys_at(groups, ranks, counts)
        low, high = (restored(self._column.type, key).astype(np.float64) for key in keys)
        between = (part > 0.0) & (low != high)
        result = low.copy()
        low, high, part = low[between], high[between], part[between]
        with np.errstate(invalid="ignore"):  # between -inf and inf there is NaN
            result[between] = low * (1.0 - part) + high * part + 0.0  # -0.0 becomes 0.0
        result[np.isnan(result)] = np.nan  # which has a sign where it was inf - inf; NaN has one form in storage
        return result

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        held = self._rows if self._middles is None else self._middles
        return super().memory_bytes() + held.memory_bytes()

    def check(self, groups: Groups, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Proves that the state of these groups is the one that their rows, which are given, make."""
        super().check(groups, rows, inputs)
        if self._middles is not None:
            some, values = rows.present(inputs[0])
            self._middles.check(groups, some.groups, comparable(self._column, values))
            return
        self._rows.check()
        assert np.array_equal(self._rows.counts, self.counts), "the rows in order are others than those counted"
