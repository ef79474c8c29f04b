"""join and array: all values of a group in order, as one text or one JSON array.

A value is written as the language of expressions writes it: numbers as JavaScript does, times in ISO 8601, truth as
true and false. In an array numbers, texts and truths are those of JSON, times are texts, JSON values stand as they
are, and a number that JSON does not have (NaN, an infinity) is null, as in JavaScript. A group of more values than
the limit ends its session where the limit was not asked for; else the first ones are taken.

Results are new texts all the time, and are kept by the dictionary of the result for as long as the groups are
maintained.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.errors import OutOfRange, Reason
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.operators.aggregate.arrays import Groups
from tesseract_grpc.engine.operators.aggregate.by_order import Insertion, OrderedState
from tesseract_grpc.engine.operators.aggregate.state import masked
from tesseract_grpc.engine.query.expression.scalar_text import number_text
from tesseract_grpc.engine.query.expression.scalar_time import iso_text

MOST = 10_000
"""The most values of a group that are taken."""


class Listed(OrderedState):
    """All values of a group as one text."""

    def __init__(self, column: Column, order: Column | None, relation: Insertion, limit: int | None) -> None:
        super().__init__(column, order, relation)
        self._limit = limit
        self._texts = Dictionary()
        self._write = self._writer(column.type)

    @property
    def dictionary(self) -> Dictionary:
        """What the results are codes into."""
        return self._texts

    def _writer(self, kind: DataType) -> Callable[[Any], str]:
        """How one value is written."""
        raise NotImplementedError

    def _whole(self, values: list[str]) -> str:
        """The text of values, which are written already."""
        raise NotImplementedError

    def result(self, groups: Groups) -> Stored:
        """The texts; null where there are no values. O(values). Raises OutOfRange."""
        counts = self.counts[groups]
        there = (counts > 0).nonzero()[0]
        codes = np.zeros(len(groups), np.int32)
        if len(there):
            codes[there] = self._texts.encode(self._listed(groups[there]))
        return masked(codes, counts)

    def _listed(self, groups: Groups) -> list[str]:
        column, limit = self._column, MOST if self._limit is None else self._limit
        for group in groups[self.counts[groups] > limit].tolist() if self._limit is None else ():
            raise OutOfRange(
                Reason.LIMIT_EXCEEDED,
                f"a group has {self.counts[group]} values of column '{column.schema.name}'; a list takes {MOST}",
                field=column.schema.name,
                hint="set the limit of the aggregate, or narrow the filter",
                group=group,
            )
        slots, counts = self._rows.in_order(groups)
        if column.dictionary is None:
            written = list(map(self._write, column.values[slots].tolist()))
        else:
            texts, codes = column.dictionary.texts, column.values[slots].tolist()
            # Each distinct text is written once.
            forms = {code: self._write(texts[code]) for code in set(codes)}
            written = [forms[code] for code in codes]
        ends = counts.cumsum().tolist()
        starts = [0, *ends[:-1]]
        return [self._whole(written[start : min(end, start + limit)]) for start, end in zip(starts, ends, strict=True)]

    def _read(self, stored: Stored) -> object:
        texts = self._texts.texts
        codes, valid = stored
        present = [True] * len(codes) if valid is None else valid.tolist()
        return [texts[code] if ok else None for code, ok in zip(codes.tolist(), present, strict=True)]

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return super().memory_bytes() + self._texts.memory_bytes()


class Join(Listed):
    """The values as texts with a separator between them."""

    def __init__(
        self, column: Column, order: Column | None, relation: Insertion, limit: int | None, separator: str
    ) -> None:
        super().__init__(column, order, relation, limit)
        self.type = DataType.STRING
        self._separator = separator

    def fresh(self) -> Self:
        """An empty state of the same kind."""
        return type(self)(self._column, self._order, self._relation, self._limit, self._separator)

    def _writer(self, kind: DataType) -> Callable[[Any], str]:
        return _plain(kind)

    def _whole(self, values: list[str]) -> str:
        return self._separator.join(values)


class Array(Listed):
    """The values as a JSON array."""

    def __init__(self, column: Column, order: Column | None, relation: Insertion, limit: int | None) -> None:
        super().__init__(column, order, relation, limit)
        self.type = DataType.JSON

    def fresh(self) -> Self:
        """An empty state of the same kind."""
        return type(self)(self._column, self._order, self._relation, self._limit)

    def _writer(self, kind: DataType) -> Callable[[Any], str]:
        if kind is DataType.FLOAT64:
            return lambda value: number_text(value) if math.isfinite(value) else "null"
        if kind is DataType.TIMESTAMP:
            return lambda value: f'"{_time(value)}"'
        if kind in (DataType.STRING, DataType.ENUM):
            return lambda value: json.dumps(value, ensure_ascii=False)
        return _plain(kind)

    def _whole(self, values: list[str]) -> str:
        return f"[{','.join(values)}]"


def _plain(kind: DataType) -> Callable[[Any], str]:
    if kind is DataType.TIMESTAMP:
        return _time
    if kind is DataType.BOOL:
        return lambda value: "true" if value else "false"
    return str if kind.is_text else number_text


def _time(micros: int) -> str:
    """A time as text; one outside of the years 1 to 9999, which have a calendar, as its microseconds since 1970."""
    return iso_text(micros) or str(micros)
