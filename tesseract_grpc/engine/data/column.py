"""One column of a table: an array of stored values that grows, and a mask of which are not null.

Stored values are what the array holds: numbers as they are, texts as codes into the column's dictionary. The mask is
allocated when the first null arrives, so a column without nulls pays one byte a row less. Slots that hold no row
keep whatever they held.
"""

from __future__ import annotations

import numpy as np

from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar
from tesseract_grpc.engine.data.vector import STORAGE, AnyArray, BoolArray, Vector


class Column:
    """The values of one column by slot."""

    __slots__ = ("__weakref__", "dictionary", "schema", "type", "valid", "values")

    def __init__(self, schema: ColumnSchema, capacity: int = 0) -> None:
        self.schema = schema
        self.type = schema.type
        self.values: AnyArray = np.zeros(capacity, STORAGE[schema.type])
        self.valid: BoolArray | None = None
        self.dictionary: Dictionary | None = None
        if schema.type is DataType.ENUM:
            self.dictionary = Dictionary(schema.enum_values)
        elif schema.type.is_text:
            self.dictionary = Dictionary()

    def __setattr__(self, name: str, value: object) -> None:
        """A column holds codes of its dictionary, from whomever it gets it."""
        object.__setattr__(self, name, value)
        if isinstance(value, Dictionary) and not value.fixed:
            value.holders.add(self)

    def mark_codes(self, dictionary: Dictionary, used: BoolArray) -> None:
        """Marks all codes in its slots, whether they hold a row or not. O(slots)."""
        if self.dictionary is dictionary:
            used[self.values] = True

    def reserve(self, capacity: int) -> None:
        """Makes room for `capacity` slots. Moves the array at the most; the kernel remaps large ones without a copy."""
        self.values.resize(capacity, refcheck=False)
        if self.valid is not None:
            known = len(self.valid)
            self.valid.resize(capacity, refcheck=False)
            self.valid[known:] = True

    def read(self, slots: AnyArray | slice) -> Vector:
        """The values at `slots`; copied when `slots` is an array, a view when it is a slice."""
        texts = None if self.dictionary is None else self.dictionary.texts
        return Vector(self.type, self.values[slots], None if self.valid is None else self.valid[slots], texts)

    def write(self, slots: AnyArray | slice, values: AnyArray, valid: BoolArray | None) -> None:
        """Stores values (codes, for texts); where a slot is given twice the last one stays."""
        if valid is not None and self.valid is None:
            self.valid = np.ones(len(self.values), np.bool_)
        self.values[slots] = values
        if self.valid is not None:
            self.valid[slots] = True if valid is None else valid

    def stored(self, slot: int) -> Scalar:
        """The stored value at one slot (the code, for texts); None for null."""
        if self.valid is not None and not self.valid[slot]:
            return None
        value: Scalar = self.values.item(slot)
        return value

    def write_stored(self, slot: int, value: Scalar) -> None:
        """Stores one stored value; None for null."""
        if value is None:
            if self.valid is None:
                self.valid = np.ones(len(self.values), np.bool_)
            self.valid[slot] = False
            self.values[slot] = 0
            return
        self.values[slot] = value
        if self.valid is not None:
            self.valid[slot] = True

    def value(self, slot: int) -> Scalar:
        """The value at one slot as Python has it."""
        stored = self.stored(slot)
        if stored is None or self.dictionary is None:
            return stored
        return self.dictionary.texts[int(stored)]

    def vector(self, values: AnyArray, valid: BoolArray | None) -> Vector:
        """A vector over this column's dictionary from stored values."""
        return Vector(self.type, values, valid, None if self.dictionary is None else self.dictionary.texts)

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        mask = 0 if self.valid is None else self.valid.nbytes
        return self.values.nbytes + mask + (0 if self.dictionary is None else self.dictionary.memory_bytes())


class GoneColumn(Column):
    """What stands at the position of a column that was dropped: nulls, which take no memory, and cannot be written."""

    __slots__ = ()

    def __init__(self, position: int, capacity: int) -> None:
        super().__init__(ColumnSchema(f"\0gone {position}", DataType.BOOL, hidden=True, gone=True))
        self.reserve(capacity)

    def reserve(self, capacity: int) -> None:
        """Is as long as the others."""
        self.values = self.valid = np.broadcast_to(np.False_, (capacity,))

    def write(self, slots: AnyArray | slice, values: AnyArray, valid: BoolArray | None) -> None:
        """Nothing is kept."""

    def write_stored(self, slot: int, value: Scalar) -> None:
        """Nothing is kept."""

    def memory_bytes(self) -> int:
        """One value stands for all."""
        return 1
