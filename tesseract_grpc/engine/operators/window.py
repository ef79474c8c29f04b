"""Window columns: what depends on a row's place among the rows of its partition.

The rows that a filter keeps get more columns (`ExtendedTable`). Window columns with the same partitions and the same
order share one `WindowPartitions`, which follows commits and tells which stretches of which partitions changed: other
rows stand there. A row whose value changed where it stands is a stretch of one, for the functions that read its
column. Each function says which results can differ because of that; those are worked out, compared with what is stored,
and only what differs is written and told. A commit that moves no row and changes no column that a function reads costs
nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.delta import (
    ChangeKind,
    Delta,
    RemoveReason,
    RowChange,
    Slots,
    Stored,
    changed_values,
    column_bit,
    join_stored,
    stored_at,
    take_stored,
)
from tesseract_grpc.engine.data.errors import OutOfRange
from tesseract_grpc.engine.data.extended_table import ExtendedTable
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.operators.aggregate.arrays import Int64Array
from tesseract_grpc.engine.operators.filter import FilterOperator, as_delta
from tesseract_grpc.engine.operators.window_frame import Stretches
from tesseract_grpc.engine.operators.window_functions import Counting, Function, Numbering, Ranking, Running, Shift
from tesseract_grpc.engine.operators.window_partitions import FEW, WindowPartitions
from tesseract_grpc.engine.operators.window_schema import window_schema
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.window_column import WindowColumn, WindowFunction

_NO_NUMBERS: Int64Array = np.empty(0, np.int64)


@dataclass(slots=True)
class _Own:
    """One window column: where it is, which function it is, and which column that reads."""

    position: int
    name: str
    function: Function
    reads: int | None


@dataclass(slots=True)
class _Layout:
    """Partitions in an order, and the window columns over them."""

    partitions: WindowPartitions
    own: list[_Own] = field(default_factory=list)
    reads: int = 0  # the columns that functions read


@dataclass(slots=True)
class _Written:
    """What is to be written to one window column; `known` are the rows that were there before."""

    position: int
    slots: Slots
    values: Stored
    known: BoolArray


class WindowOperator:
    """The rows that a filter keeps, with window columns.

    The filter must give the old values of all columns of rows that leave, because it is from these that those who read
    the table know whether they had them.
    """

    def __init__(
        self,
        name: str,
        source: FilterOperator,
        columns: tuple[WindowColumn, ...],
        version: int,
        history: HistoryLimits,
    ) -> None:
        self.base: Relation = source.table
        self.inputs = (source,)
        self.table = ExtendedTable(name, self.base, window_schema(columns, self.base.schema), version, history)
        self.examined = 0  # rows looked at to follow commits
        self._layouts = self._laid_out(columns)
        self._concerning = 0  # the columns whose changes are followed
        for layout in self._layouts:
            self._concerning |= layout.partitions.mask | layout.reads

    def _laid_out(self, columns: tuple[WindowColumn, ...]) -> list[_Layout]:
        schema = self.base.schema
        layouts: dict[tuple[tuple[int, ...], tuple[SortKey, ...]], _Layout] = {}
        for own, column in zip(self.table.added, columns, strict=True):
            by = tuple(sorted(schema.position(name) for name in column.partition_by))
            order = column.order_by or default_order(self.base)
            if (by, order) not in layouts:
                layouts[by, order] = _Layout(WindowPartitions(self.base, by, order))
            reads = schema.position(column.column) if column.column else None
            if reads is not None and own.dictionary is not None:
                own.dictionary = self.base.columns[reads].dictionary
            equals = [self.base.columns[schema.position(key.column)] for key in column.order_by]
            function: Function
            match column.function:
                case WindowFunction.ROW_NUMBER:
                    function = Numbering()
                case WindowFunction.RANK | WindowFunction.DENSE_RANK:
                    function = Ranking(equals, own, column.function is WindowFunction.DENSE_RANK)
                case WindowFunction.LAG | WindowFunction.LEAD:
                    assert reads is not None
                    away = column.offset if column.function is WindowFunction.LAG else -column.offset
                    function = Shift(self.base.columns[reads], away)
                case _ if reads is None:
                    function = Counting(column.rows)
                case _:
                    function = Running(column.function, self.base.columns[reads], own, column.rows)
            position = self.table.schema.position(column.name)
            layouts[by, order].own.append(_Own(position, column.name, function, reads))
            layouts[by, order].reads |= 0 if reads is None else column_bit(reads)
        return list(layouts.values())

    # Hydrating

    def hydrate(self, version: int) -> int:
        """Fills the table; returns the number of rows examined. O(n log n). Raises OutOfRange."""
        slots = self.inputs[0].hydrate()
        self.table.make_room()
        for layout in self._layouts:
            stretches = layout.partitions.hydrate(slots)
            for own in layout.own:
                for piece in self._results(layout, own, stretches):
                    self._write(piece)
        self.table.admit(slots)
        return self.inputs[0].examined

    # Following

    def apply(self, changes: Sequence[Delta], version: int) -> Delta:
        """Follows a commit. O(delta), and O(rows of a partition) for each partition that it touches.

        Raises OutOfRange.
        """
        delta = changes[0]
        self.table.make_room()
        written = [result for layout in self._layouts for result in self._follow(layout, delta)]
        result = replace(delta, version=version, placement=None)
        if len(delta.removed):
            result.removed_before = self._removed_before(delta)
        self._tell(result, written)
        for piece in written:
            self._write(piece)
        if len(delta.removed):
            self.table.dismiss(delta.removed)
        if len(delta.inserted):
            self.table.admit(delta.inserted)
        return result

    def apply_one(self, which: int, kind: ChangeKind, change: RowChange) -> RowChange | Delta | None:
        """Follows a change of one row; in O(1) where it concerns no window column."""
        if kind is ChangeKind.UPDATED and not change.changed & self._concerning:
            derived = RowChange(change.version, kind, change.slot, change.changed, change.before)
            derived.words = {}
            return derived
        return self.apply([as_delta(self.inputs[which], kind, change)], change.version)

    def _follow(self, layout: _Layout, delta: Delta) -> list[_Written]:
        """Brings partitions up to date; what is to be written to the window columns over them."""
        partitions = layout.partitions
        moved, moving = partitions.follow(delta)
        stays = (((delta.changed & np.uint64(layout.reads)) != 0) & ~moving).nonzero()[0]
        parts = places = _NO_NUMBERS
        if len(stays):
            parts, places = partitions.places(delta.updated[stays])
        written: list[_Written] = []
        for own in layout.own:
            stretches = moved
            if own.reads is not None and len(stays):
                read = (delta.changed[stays] & np.uint64(column_bit(own.reads))) != 0
                stretches = moved.with_rows(parts[read], places[read])
            if len(stretches):
                written.extend(self._results(layout, own, stretches))
        return written

    def _results(self, layout: _Layout, own: _Own, stretches: Stretches, far: bool = False) -> Iterator[_Written]:
        """The results of one window column that differ from what is stored because of changed stretches."""
        partitions, column = layout.partitions, self.table.columns[own.position]
        counts = partitions.counts(stretches.parts)
        reach = own.function.reach(stretches, counts, far)
        some = (reach.begins < reach.ends).nonzero()[0]
        if not len(some):
            return
        begins, ends = reach.begins[some], reach.ends[some]
        frame = partitions.frame(stretches.parts[some], reach.start[some], reach.stop[some], begins, ends)
        self.examined += len(frame)
        try:
            values = own.function.results(frame)
        except OutOfRange as error:
            partition = partitions.name_of(int(frame.slots[error.group]))
            message = f"{error.message} (window column: '{own.name}'; partition: {partition})"
            raise OutOfRange(error.reason, message, field=error.field, hint=error.hint) from None
        slots = frame.slots[frame.wanted]
        known = self.table.alive[slots]
        differs = changed_values(stored_at(column, slots), values) | ~known
        if own.function.carries and not far:
            sizes = ends - begins
            further = differs[np.cumsum(sizes) - 1] & (ends < counts[some])
            if further.any():
                differs &= ~np.repeat(further, sizes)  # these rows come again, with all others below
                yield from self._results(layout, own, stretches.take(some[further]), far=True)
        rows = differs.nonzero()[0]
        if len(rows):
            yield _Written(own.position, slots[rows], take_stored(values, rows), known[rows])

    def _write(self, piece: _Written) -> None:
        self.table.columns[piece.position].write(piece.slots, *piece.values)

    # What is told

    def _removed_before(self, delta: Delta) -> dict[int, Stored]:
        """The old values of rows that leave, where they may change afterwards: rows that only the filter lets go of."""
        images = dict(delta.removed_before)
        if (delta.reasons != RemoveReason.DELETED).any():
            for position, column in enumerate(self.table.columns):
                if position not in images:
                    images[position] = stored_at(column, delta.removed)
        return images

    def _tell(self, result: Delta, written: Sequence[_Written]) -> None:
        """Adds to a delta what changes of the window columns of rows that stay; before anything is written."""
        told = [piece for piece in written if piece.known.any()]
        if not told:
            return
        columns = self.table.columns
        others = _distinct([piece.slots[piece.known] for piece in told], result.updated)
        updated = np.concatenate((result.updated, others))
        changed = np.concatenate((result.changed, np.zeros(len(others), np.uint64)))
        before = {p: join_stored(image, stored_at(columns[p], others)) for p, image in result.before.items()}
        places = np.empty(self.table.high_water, np.int32)  # by slot; only what is written is read
        places[updated] = np.arange(len(updated))
        for piece in told:
            changed[places[piece.slots[piece.known]]] |= np.uint64(column_bit(piece.position))
            before[piece.position] = stored_at(columns[piece.position], updated)
        result.updated, result.changed, result.before = updated, changed, before

    # Proof

    def memory_bytes(self) -> int:
        """The memory held beside the table, in bytes."""
        return sum(layout.partitions.memory_bytes() for layout in self._layouts)

    def check(self) -> None:
        """Proves that the rows are those that the filter keeps, and stand where they should in their partitions."""
        slots = self.inputs[0].hydrate()
        assert np.array_equal(np.sort(slots), self.table.live_slots()), "the rows are not those of the filter"
        for layout in self._layouts:
            layout.partitions.check(slots)


def default_order(relation: Relation) -> tuple[SortKey, ...]:
    """The order of a relation that is not sorted: none (of insertion), or of derived rows that of their keys."""
    if relation.keyed_order:
        return tuple(SortKey(column.name) for column in relation.schema.key_columns)
    return ()


def _distinct(pieces: Sequence[Slots], known: AnyArray) -> Slots:
    """The slots that are in one of the pieces and not among those known, each once."""
    slots: Slots = pieces[0] if len(pieces) == 1 else np.unique(np.concatenate(pieces))
    if len(known) <= FEW:
        for slot in known.tolist():
            slots = slots[slots != slot]
        return slots
    return slots[~np.isin(slots, known)]
