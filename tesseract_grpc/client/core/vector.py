"""One column of a batch: values as an array, and which of them are null.

`values` is bool, int64 or float64; timestamps are int64 microseconds; texts (STRING, JSON, ENUM) are codes into
`texts`. `valid` is None when nothing is null; where it is False the value has no meaning. A vector of type UNSPECIFIED
is all null and of unknown type, which is how a column of nothing but None travels when its schema is not known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .datatype import BOOL, FLOAT64, INT64, JSON, TEXT_TYPES, TIMESTAMP, UNSPECIFIED, DataType
from .moments import UNIT, moments_of

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

_DTYPES: dict[DataType, np.dtype[Any]] = {
    BOOL: np.dtype(np.bool_),
    INT64: np.dtype(np.int64),
    FLOAT64: np.dtype(np.float64),
    TIMESTAMP: np.dtype(np.int64),
}
_CODES = np.dtype("<u4")


def dtype_of(type: DataType) -> np.dtype[Any]:
    """The dtype of a vector's `values`."""
    return _DTYPES.get(type, _CODES)


@dataclass(slots=True)
class Vector:
    """Values of one type. Made by `coerce` (from people), `batch` (from the wire) or `frames` (from Arrow)."""

    type: DataType
    values: Array
    valid: Mask | None = None
    texts: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def nulls(cls, type: DataType, length: int) -> Vector:
        """Nothing but nulls."""
        return cls(type, np.zeros(length, dtype_of(type)), np.zeros(length, np.bool_))

    @classmethod
    def of_texts(cls, type: DataType, texts: Iterable[str], valid: Mask | None = None) -> Vector:
        """Texts, coded. Where `valid` is False the text stands for nothing and should be ""."""
        codes: dict[str, int] = {}
        values = np.array([codes.setdefault(text, len(codes)) for text in texts], _CODES)
        return cls(type, values, valid, list(codes))

    def slice(self, start: int, stop: int) -> Vector:
        """The rows from `start` up to `stop`, without a copy."""
        valid = None if self.valid is None else self.valid[start:stop]
        return Vector(self.type, self.values[start:stop], valid, self.texts)

    def raw(self) -> list[Any]:
        """The values as the wire has them, for looking rows up by key: microseconds, texts; None for null."""
        if self.type in TEXT_TYPES or self.type == UNSPECIFIED:
            texts = self.texts
            found: list[Any] = [texts[code] for code in self.values.tolist()] if texts else [None] * len(self)
        else:
            found = self.values.tolist()
        return self._with_nulls(found)

    def to_list(self) -> list[Any]:
        """The values for people: datetimes in UTC, JSON as Python objects (each row its own); None for null."""
        if self.type == TIMESTAMP:
            return self._with_nulls(list(moments_of(self.values)))
        if self.type == JSON:
            return [None if text is None else json.loads(text) for text in self.raw()]
        return self.raw()

    def to_numpy(self) -> Array:
        """An array for people: datetime64[us] for timestamps, objects for texts and JSON, masked where null."""
        if self.type in TEXT_TYPES or self.type == UNSPECIFIED:
            found: Array = np.empty(len(self), object)
            found[:] = self.to_list()
            return found
        values = self.values.view(UNIT) if self.type == TIMESTAMP else self.values
        return values if self.valid is None else np.ma.MaskedArray(values, ~self.valid)

    def _with_nulls(self, found: list[Any]) -> list[Any]:
        if self.valid is not None:
            for at in np.flatnonzero(~self.valid).tolist():
                found[at] = None
        return found
