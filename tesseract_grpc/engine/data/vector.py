"""Values of one column, detached from any table, and batches of them.

A `Vector` is an array of values and a mask of which are not null. Text types (STRING, JSON, ENUM) are int32 codes into
`texts`, which may be the batch's own short list or the append-only list of a table's dictionary. A `Batch` is named
vectors of one length: what writes bring and what reads and changes deliver.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import INT64_MAX, INT64_MIN, ColumnSchema, DataType, Scalar

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.integer[Any]]
AnyArray = NDArray[Any]

STORAGE: Mapping[DataType, np.dtype[Any]] = {
    DataType.BOOL: np.dtype(np.bool_),
    DataType.INT64: np.dtype(np.int64),
    DataType.FLOAT64: np.dtype(np.float64),
    DataType.TIMESTAMP: np.dtype(np.int64),
    DataType.STRING: np.dtype(np.int32),
    DataType.JSON: np.dtype(np.int32),
    DataType.ENUM: np.dtype(np.int32),
}
"""How each type is stored."""


class Vector:
    """Values of one type. `valid` is None when no value is null; `texts` is set for text types."""

    __slots__ = ("texts", "type", "valid", "values")

    def __init__(
        self, type: DataType, values: AnyArray, valid: BoolArray | None = None, texts: Sequence[str] | None = None
    ) -> None:
        self.type = type
        self.values = values
        self.valid = valid
        self.texts = texts

    @classmethod
    def of(cls, type: DataType, items: Sequence[Scalar]) -> Vector:
        """A vector from Python values. Raises InvalidRequest where a value is not of the type. O(n).

        >>> Vector.of(DataType.STRING, ["a", None, "a"]).to_list()
        ['a', None, 'a']
        """
        nulls = np.fromiter((item is None for item in items), np.bool_, len(items))
        valid = ~nulls if nulls.any() else None
        present = [item for item in items if item is not None]
        _check_python(type, present)
        values = np.zeros(len(items), STORAGE[type])
        texts: list[str] | None = None
        if type.is_text:
            codes: dict[Scalar, int] = {}
            values[~nulls] = [codes.setdefault(item, len(codes)) for item in present]
            texts = [str(text) for text in codes]
        else:
            values[~nulls] = present
            if type is DataType.FLOAT64:
                values += 0.0  # -0.0 becomes 0.0
        return cls(type, values, valid, texts)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, indexes: AnyArray) -> Vector:
        """The values at `indexes`, copied."""
        return Vector(self.type, self.values[indexes], None if self.valid is None else self.valid[indexes], self.texts)

    def slice(self, start: int, stop: int) -> Vector:
        """The values from `start` to `stop`, not copied."""
        return Vector(
            self.type, self.values[start:stop], None if self.valid is None else self.valid[start:stop], self.texts
        )

    def to_list(self) -> list[Scalar]:
        """The values as Python values, None for null. O(n)."""
        items: list[Scalar]
        if self.texts is not None:
            texts = self.texts
            if self.valid is None:
                return [texts[code] for code in self.values.tolist()]
            return [texts[c] if ok else None for c, ok in zip(self.values.tolist(), self.valid.tolist(), strict=True)]
        items = self.values.tolist()
        if self.valid is not None:
            items = [item if ok else None for item, ok in zip(items, self.valid.tolist(), strict=True)]
        return items

    def __repr__(self) -> str:
        return f"Vector({self.type.name}, {self.to_list()[:20]})"


_ACCEPTED: Mapping[DataType, tuple[type, ...]] = {
    DataType.BOOL: (bool, np.bool_),
    DataType.INT64: (int, np.integer),
    DataType.FLOAT64: (float, int, np.floating, np.integer),
    DataType.TIMESTAMP: (int, np.integer),
}


def _check_python(type: DataType, items: Sequence[Scalar]) -> None:
    accepted = _ACCEPTED.get(type, (str,))
    kinds = set(map(_class_of, items))
    for kind in kinds:
        if not issubclass(kind, accepted) or (issubclass(kind, bool) and type is not DataType.BOOL):
            raise InvalidRequest(Reason.WRONG_TYPE, f"a {kind.__name__} is not a {type.name}")
    if type in (DataType.INT64, DataType.TIMESTAMP) and items:
        numbers = [int(item) for item in items if item is not None]
        if min(numbers) < INT64_MIN or max(numbers) > INT64_MAX:
            raise InvalidRequest(Reason.INT64_OVERFLOW, "a value does not fit INT64")


def _class_of(item: object) -> type:
    return item.__class__


@dataclass(slots=True)
class Batch:
    """Named columns of one length."""

    length: int
    columns: dict[str, Vector]

    @classmethod
    def of_rows(cls, columns: Iterable[ColumnSchema], rows: Sequence[Mapping[str, Scalar]]) -> Batch:
        """A batch from dicts; a key that a row lacks is null. Columns that no row mentions are left out. O(cells)."""
        mentioned = set().union(*rows) if rows else set()
        return cls(
            len(rows),
            {c.name: Vector.of(c.type, [row.get(c.name) for row in rows]) for c in columns if c.name in mentioned},
        )

    def to_rows(self) -> list[dict[str, Scalar]]:
        """The rows as dicts. O(cells)."""
        names = list(self.columns)
        if not names:
            return [{} for _ in range(self.length)]
        lists = [vector.to_list() for vector in self.columns.values()]
        return [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]

    def slice(self, start: int, stop: int) -> Batch:
        """Rows `start` to `stop`, not copied."""
        stop = min(stop, self.length)
        return Batch(stop - start, {name: vector.slice(start, stop) for name, vector in self.columns.items()})

    def take(self, indexes: AnyArray) -> Batch:
        """The rows at `indexes`, copied."""
        return Batch(len(indexes), {name: vector.take(indexes) for name, vector in self.columns.items()})

    def __len__(self) -> int:
        return self.length
