"""The rows of which a condition on time can change its mind when the clock advances.

Most conditions that ask for the present compare a timestamp with a moment that moves along: `at > now() - 1h`.
Between two presents such a comparison changes for a row only when its timestamp lies between the two moments. So at a
tick nobody else needs to be looked at, and with a sorted index over the column these rows are found without a pass
over the table. Conditions of another shape (`(Date.now() - at.getTime()) / 1000 > 5`) are judged anew for all rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Slots, Stored
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.schema import TableSchema
from tesseract_grpc.engine.operators.evaluate import Evaluator, compile_expression
from tesseract_grpc.engine.query.expression.typed import Call, ColumnRef, Type, columns_of, uses_now
from tesseract_grpc.engine.query.filter_tree import AllOf, AnyOf, Expression, Filter

_COMPARISONS = ("gt", "ge", "lt", "le")


@dataclass(frozen=True, slots=True)
class _Bound:
    """A timestamp column, and the moment that it is compared with."""

    position: int
    moment: Evaluator

    def at(self, now_us: int) -> int | None:
        """The moment at a present; None when there is none (it would lie outside what a timestamp can be)."""
        found = self.moment.evaluate(_unread, 1, now_us)
        return None if found.valid is not None and not found.valid[0] else int(found.values[0])


def _unread(position: int) -> Stored:
    raise AssertionError("a moment that moves with the present reads no column")


class TimeBounds:
    """All moments that a filter compares timestamps with."""

    def __init__(self, bounds: Sequence[_Bound]) -> None:
        self._bounds = bounds

    @classmethod
    def of(cls, where: Filter | None, schema: TableSchema, columns: Sequence[Column]) -> TimeBounds | None:
        """Those of a checked filter; None when it asks for the present in another way, too."""
        bounds: list[_Bound] = []
        for condition in _timely(where):
            if not isinstance(condition, Call) or condition.op not in _COMPARISONS:
                return None
            subject, moment = condition.arguments
            if not isinstance(subject, ColumnRef) or subject.type is not Type.TIMESTAMP or columns_of(moment):
                return None
            bounds.append(_Bound(schema.position(subject.name), compile_expression(moment, schema, columns)))
        return cls(bounds)

    def candidates(self, table: Relation, before_us: int, now_us: int) -> Slots | None:
        """The rows that may be judged otherwise than before, ascending; None when all may.

        O(n), O(log n) by an index.
        """
        found: list[Slots] = []
        for bound in self._bounds:
            old, new = bound.at(before_us), bound.at(now_us)
            if old is None or new is None:
                return None
            found.append(_between(table, bound.position, min(old, new), max(old, new)))
        return found[0] if len(found) == 1 else np.unique(np.concatenate(found))


def _between(table: Relation, position: int, low: int, high: int) -> Slots:
    """The rows whose timestamp lies between two moments, both included."""
    index = table.settled_index(table.columns[position].schema.name)
    if index is not None and index.sorted:
        index.uses += 1
        slots = np.sort(index.between(low, high))
        return table.present(slots)
    column, end = table.columns[position], table.high_water
    values = column.values[:end]
    mask = (values >= low) & (values <= high) & table.alive[:end]
    if column.valid is not None:
        mask &= column.valid[:end]
    return np.flatnonzero(mask).astype(np.int32)


def _timely(where: Filter | None) -> Iterator[object]:
    """The conditions of a filter that ask for the present."""
    if isinstance(where, (AllOf, AnyOf)):
        for part in where.filters:
            yield from _timely(part)
    elif isinstance(where, Expression) and uses_now(where.condition):
        yield where.condition
