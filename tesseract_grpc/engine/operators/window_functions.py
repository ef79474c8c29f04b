"""What window functions are: which results a change of a stretch concerns, and how results follow from rows in order.

A function is asked two things. `reach` tells, for stretches that changed, between which places results may differ
(wanted) and which rows decide them (the frame). `results` works out the results of a frame, for all partitions in it at
once. Nothing is remembered between commits but the results themselves: those before a stretch stand, and numbers go on
from them. So what is maintained equals what is worked out anew, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored, changed_values, stored_at
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.operators.aggregate.arrays import Int64Array, run_totals
from tesseract_grpc.engine.operators.aggregate.sums import Average, Sum
from tesseract_grpc.engine.operators.window_extremes import running_extremes
from tesseract_grpc.engine.operators.window_frame import Frame, Stretches
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

    def reach(self, stretches: Stretches, counts: Int64Array) -> Reach:
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

    def reach(self, stretches: Stretches, counts: Int64Array) -> Reach:
        """From the row before the stretch, whose rank stands, to the end."""
        return Reach(np.maximum(stretches.begins - 1, 0), stretches.begins, counts, counts)

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

    def reach(self, stretches: Stretches, counts: Int64Array) -> Reach:
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

    def __init__(self, function: WindowFunction, column: Column | None, rows: int | None) -> None:
        self._function = function
        self._column = column
        self._rows = rows

    def reach(self, stretches: Stretches, counts: Int64Array) -> Reach:
        """To the end, unless only some rows are aggregated."""
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
        if self._column is None:
            return (rows - first + 1)[frame.wanted], None
        stored = stored_at(self._column, frame.slots)
        if self._function in (WindowFunction.SUM, WindowFunction.AVG):
            return _sums(self._function, self._column, stored, first, rows[frame.wanted])
        present = rows - first + 1 if stored[1] is None else run_totals(stored[1].astype(np.int64), first)
        if self._function is WindowFunction.COUNT:
            return present[frame.wanted], None
        least = self._function is WindowFunction.MIN
        values = running_extremes(self._column, stored, first, least)[frame.wanted]
        return _masked(values, present[frame.wanted] > 0)


Function = Numbering | Ranking | Shift | Running


def _sums(function: WindowFunction, column: Column, stored: Stored, first: Int64Array, wanted: Int64Array) -> Stored:
    """Sums or averages as aggregates give them, of the rows from `first` of each row up to itself."""
    state = Sum(column) if function is WindowFunction.SUM else Average(column)
    groups = np.arange(len(first))
    state.reserve(len(first))
    state.add(groups, stored)
    state.accumulate(first)
    values, valid = state.result(wanted)
    return (values + 0.0 if values.dtype == np.float64 else values), valid  # zero has no sign


def _masked(values: AnyArray, valid: BoolArray) -> Stored:
    values[~valid] = 0
    return values, None if valid.all() else valid
