"""What window functions are: which results a change of a stretch concerns, and how results follow from rows in order.

A function is asked two things. `reach` tells, for stretches that changed, between which places results may differ
(wanted) and which rows decide them (the frame). `results` works out the results of a frame, for all partitions in it at
once. Nothing is remembered between commits but the results themselves, so what is maintained equals what is worked out
anew, bit for bit.

Where the result of a row follows from that row and the result of the row above (ranks, running counts, extremes and
sums of whole numbers) a function *carries*: it goes on from the result above a stretch, which stands. And where it
meets, below a stretch, the result that is stored already, all results below that stand too. So it reaches one row
beyond a stretch at first, and `far`, to the end of the partition, only where that row's result has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored, changed_values, stored_at
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.data.vector import BoolArray
from tesseract_grpc.engine.operators.aggregate.arrays import Int64Array, run_totals
from tesseract_grpc.engine.operators.aggregate.sums import Average, Sum
from tesseract_grpc.engine.operators.window_extremes import running_extremes
from tesseract_grpc.engine.operators.window_frame import NOWHERE, Frame, Stretches
from tesseract_grpc.engine.query.window_column import WindowFunction


@dataclass(slots=True)
class Reach:
    """Of each stretch: the wanted rows from `begins` to `ends`, and the frame from `start` to `stop` around them."""

    start: Int64Array
    begins: Int64Array
    ends: Int64Array
    stop: Int64Array


class Numbering:
    """The number of a row."""

    carries = False

    def reach(self, stretches: Stretches, counts: Int64Array, far: bool) -> Reach:
        """A partition that became longer or shorter is numbered anew to its end."""
        ends = np.where(stretches.grew, counts, stretches.ends)
        return Reach(stretches.begins, stretches.begins, ends, ends)

    def results(self, frame: Frame) -> Stored:
        """The results of the wanted rows."""
        return frame.places[frame.wanted] + 1, None


class Ranking:
    """The rank of a row: from the rows before its equals, or `dense` from the distinct values before it."""

    def __init__(self, order: Sequence[Column], own: Column, dense: bool) -> None:
        self._order = order  # columns in which equals are equal
        self._own = own  # where the ranks are
        self._dense = dense

    carries = True

    def reach(self, stretches: Stretches, counts: Int64Array, far: bool) -> Reach:
        """From the row above a stretch."""
        ends = _carried_ends(stretches, counts, far)
        if not self._dense:
            ends = np.where(stretches.grew, counts, ends)  # ranks are numbers of rows
        return Reach(np.maximum(stretches.begins - 1, 0), stretches.begins, ends, ends)

    def results(self, frame: Frame) -> Stored:
        """The ranks of the wanted rows."""
        rows = np.arange(len(frame))
        first = frame.heads == rows
        new = first | self._differs(frame)
        heads = frame.heads
        before = self._own.values[frame.slots[heads]]  # the rank of the row before the stretch
        before = np.where(frame.places[heads] == 0, 1, before)
        if self._dense:
            steps = np.cumsum(new)
            ranks = before + steps - steps[heads]
        else:
            last = np.maximum.accumulate(np.where(new, rows, 0))
            ranks = np.where(last == heads, before, frame.places[last] + 1)
        return ranks[frame.wanted], None

    def _differs(self, frame: Frame) -> BoolArray:
        """Which rows are not equal to the row above. NaN equals NaN, null equals null."""
        differs = np.zeros(len(frame), np.bool_)
        for column in self._order:
            values, valid = stored_at(column, frame.slots)
            upper = values[:-1], None if valid is None else valid[:-1]
            lower = values[1:], None if valid is None else valid[1:]
            differs[1:] |= changed_values(upper, lower)
        return differs


class Shift:
    """The value of the row `offset` places before, or after where it is negative."""

    def __init__(self, column: Column, offset: int) -> None:
        self._column = column
        self._offset = offset

    carries = False

    def reach(self, stretches: Stretches, counts: Int64Array, far: bool) -> Reach:
        """The rows that see the stretch, and the rows that they see."""
        if self._offset >= 0:
            offset = np.minimum(self._offset, counts)
            ends = np.minimum(stretches.ends + offset, counts)
            return Reach(np.maximum(stretches.begins - offset, 0), stretches.begins, ends, ends)
        offset = np.minimum(-self._offset, counts)
        begins = np.maximum(stretches.begins - offset, 0)
        return Reach(begins, begins, stretches.ends, np.minimum(stretches.ends + offset, counts))

    def results(self, frame: Frame) -> Stored:
        """The values for the wanted rows; null where there is no such row."""
        size = len(frame)
        source = np.arange(size) - max(min(self._offset, size), -size)
        inside = (source >= frame.heads) & (source < frame.tails)
        values, valid = stored_at(self._column, frame.slots[np.where(inside, source, 0)])
        return values[frame.wanted], (inside if valid is None else inside & valid)[frame.wanted]


class Running:
    """An aggregate over `rows` rows up to a row, or over all from the first of the partition."""

    def __init__(self, function: WindowFunction, column: Column, own: Column, rows: int | None) -> None:
        self._function = function
        self._column = column
        self._own = own  # where the results are
        self._rows = rows
        # The sum of doubles above a row is more than the double that is stored for it, and an average is no sum.
        exact = function is not WindowFunction.AVG and own.type is not DataType.FLOAT64
        self.carries = rows is None and (exact or function in (WindowFunction.MIN, WindowFunction.MAX))

    def reach(self, stretches: Stretches, counts: Int64Array, far: bool) -> Reach:
        """To the end, unless only some rows are aggregated."""
        if self.carries:
            ends = _carried_ends(stretches, counts, far)
            return Reach(np.maximum(stretches.begins - 1, 0), stretches.begins, ends, ends)
        if self._rows is None:
            return Reach(np.zeros(len(counts), np.int64), stretches.begins, counts, counts)
        others = np.minimum(self._rows - 1, counts)
        ends = np.minimum(stretches.ends + others, counts)
        return Reach(np.maximum(stretches.begins - others, 0), stretches.begins, ends, ends)

    def results(self, frame: Frame) -> Stored:
        """The aggregates of the wanted rows. Raises OutOfRange."""
        size = len(frame)
        rows = np.arange(size)
        first = frame.heads if self._rows is None else np.maximum(frame.heads, rows - (min(self._rows, size) - 1))
        if self._function is WindowFunction.COUNT:
            return self._counts(frame, rows, first)[frame.wanted], None
        stored = stored_at(self._column, frame.slots)
        if self.carries:
            stored = self._carried(stored, frame, rows)
        if self._function in (WindowFunction.SUM, WindowFunction.AVG):
            return _sums(self._function, self._column, stored, first, rows[frame.wanted])
        values = running_extremes(self._column, stored, first, self._function is WindowFunction.MIN)[frame.wanted]
        if stored[1] is None:
            return values, None
        valid = run_totals(stored[1].astype(np.int64), first)[frame.wanted] > 0
        values[~valid] = 0
        return values, valid

    def _carried(self, stored: Stored, frame: Frame, rows: Int64Array) -> Stored:
        """The values, with the result above each stretch in the place of the value there."""
        above = ((frame.heads == rows) & (frame.places > 0)).nonzero()[0]
        results, known = stored_at(self._own, frame.slots[above])
        values, valid = stored
        values[above] = results
        if valid is None and known is not None:
            valid = np.ones(len(rows), np.bool_)
        if valid is not None:
            valid[above] = True if known is None else known
        return values, valid

    def _counts(self, frame: Frame, rows: Int64Array, first: Int64Array) -> Int64Array:
        valid = stored_at(self._column, frame.slots)[1]
        present = np.ones(len(rows), np.int64) if valid is None else valid.astype(np.int64)
        if self.carries:
            above = ((frame.heads == rows) & (frame.places > 0)).nonzero()[0]
            present[above] = self._own.values[frame.slots[above]]
        return run_totals(present, first)


class Counting:
    """The number of rows, at most `rows`: the number of a row as far as that goes."""

    carries = False

    def __init__(self, rows: int | None) -> None:
        self._most = NOWHERE if rows is None else rows

    def reach(self, stretches: Stretches, counts: Int64Array, far: bool) -> Reach:
        """As for numbers, and no further than rows are or were counted.

        A row that is so many rows below a stretch was as many rows below it before, too, and had its full count.
        """
        below = np.where(stretches.grew & (stretches.begins < self._most), np.minimum(self._most, counts), 0)
        ends = np.minimum(stretches.ends + below, counts)
        return Reach(stretches.begins, stretches.begins, ends, ends)

    def results(self, frame: Frame) -> Stored:
        """The counts of the wanted rows."""
        return np.minimum(frame.places[frame.wanted] + 1, self._most), None


Function = Numbering | Ranking | Shift | Running | Counting


def _carried_ends(stretches: Stretches, counts: Int64Array, far: bool) -> Int64Array:
    """Where the wanted rows end of a function that carries."""
    return counts if far else np.minimum(stretches.ends + 1, counts)


def _sums(function: WindowFunction, column: Column, stored: Stored, first: Int64Array, wanted: Int64Array) -> Stored:
    """Sums or averages as aggregates give them, of the rows from `first` of each row up to itself."""
    state = Sum(column) if function is WindowFunction.SUM else Average(column)
    groups = np.arange(len(first))
    state.reserve(len(first))
    state.add(groups, stored)
    state.accumulate(first)
    values, valid = state.result(wanted)
    return (values + 0.0 if values.dtype == np.float64 else values), valid  # zero has no sign
