"""Who the parent of a row is, by key; and the rows whose parent is not there.

A lineage makes, from rows, the keys of their parents. The relation's own index leads from a key to its row, so a tree
keeps no names of its own. Only for the other direction, from a row that comes to those who have been waiting for it,
`Orphans` holds a hash of the key that each of them waits for; whom a hash points out asks for its parent again, so a
hash that two keys share costs a question and never an error.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import NO_SLOTS, Slots, column_bit, stored_at
from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.schema import DataType, Scalar, check_scalar
from tesseract_grpc.engine.data.vector import AnyArray, Batch, BoolArray, Vector
from tesseract_grpc.engine.operators.tree_order_siblings import runs
from tesseract_grpc.engine.query.tree import Levels, ParentColumn, Tree

Hashes = NDArray[np.uint64]
NodeName = tuple[Scalar, ...]
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # as in key_index.py
_NULL = np.uint64(0x5851F42D4C957F2D)


class Lineage(Protocol):
    """How the parents of rows are named."""

    mask: int
    """The columns whose change may give a row another parent."""
    acyclic: bool
    """Whether no row can be its own ancestor."""

    def parents(self, slots: AnyArray) -> tuple[BoolArray, Batch]:
        """Which rows have a parent by name, and its key, row by row."""

    def nodes(self, names: Collection[NodeName]) -> Batch:
        """The keys of the nodes that a client names so; names that no row can have are left out."""

    def check_name(self, name: NodeName, where: str) -> None:
        """Raises InvalidRequest unless a node may have this name."""


def make_lineage(relation: Relation, tree: Tree) -> Lineage:
    """The lineage of a checked tree over a relation."""
    if isinstance(tree, ParentColumn):
        return _ByParentColumn(relation, tree)
    return _ByLevels(relation, tree)


class _ByParentColumn:
    """A column holds the key of the parent."""

    acyclic = False

    def __init__(self, relation: Relation, tree: ParentColumn) -> None:
        position = relation.schema.position(tree.column)
        self._key = relation.key_columns[0]
        self._column = relation.columns[position]
        self.mask = column_bit(position)
        texts, keys = self._column.dictionary, self._key.dictionary
        self._codes = None if texts is None or keys is None or texts is keys else _Translation(texts, keys)

    def parents(self, slots: AnyArray) -> tuple[BoolArray, Batch]:
        values, valid = stored_at(self._column, slots)
        has = np.ones(len(slots), np.bool_) if valid is None else valid
        if self._codes is not None:
            values = self._codes.take(values)
            has = has & (values >= 0)
        return has, Batch(len(slots), {self._key.schema.name: self._key.vector(values, None)})

    def nodes(self, names: Collection[NodeName]) -> Batch:
        return _batch([self._key], [name for name in names if self._fits(name)])

    def _fits(self, name: NodeName) -> bool:
        return len(name) == 1 and (self._key.schema.nullable if name[0] is None else fits(self._key, name[0]))

    def check_name(self, name: NodeName, where: str) -> None:
        if len(name) != 1:
            raise InvalidRequest(
                Reason.BAD_WINDOW,
                f"a node of this tree is named by its key, and not by {len(name)} values",
                field=where,
            )
        if name[0] is not None:
            check_scalar(self._key.schema, name[0], where)
        elif not self._key.schema.nullable:
            raise InvalidRequest(Reason.BAD_WINDOW, f"the key '{self._key.schema.name}' is never null", field=where)


class _ByLevels:
    """A rollup: a row of a level is below the row of the level above that has its values, but for the last."""

    acyclic = True  # a parent is of a lower level

    def __init__(self, relation: Relation, tree: Levels) -> None:
        schema = relation.schema
        level, by = schema.position(tree.level), [schema.position(name) for name in tree.by]
        self.mask = sum({column_bit(position) for position in (level, *by)})
        self._level = relation.columns[level]
        self._by = [relation.columns[position] for position in by]
        self._rest = [column for column in relation.key_columns if column is not self._level]
        self._rest = [column for column in self._rest if not any(column is other for other in self._by)]

    def parents(self, slots: AnyArray) -> tuple[BoolArray, Batch]:
        level = self._level.values[slots]
        has: BoolArray = level > 0
        columns = {self._level.schema.name: self._level.vector(level - 1, None)}
        for depth, column in enumerate(self._by):
            values, valid = stored_at(column, slots)
            known: BoolArray = level - 1 > depth
            if valid is not None:
                known &= valid
            columns[column.schema.name] = column.vector(np.where(known, values, values.dtype.type(0)), known)
        return has, self._complete(len(slots), columns)

    def _complete(self, count: int, columns: dict[str, Vector]) -> Batch:
        """Groups have no values in the key columns of the rows below them."""
        for column in self._rest:
            columns[column.schema.name] = column.vector(np.zeros(count, column.values.dtype), np.zeros(count, np.bool_))
        return Batch(count, columns)

    def nodes(self, names: Collection[NodeName]) -> Batch:
        wide = [
            (len(name), *name, *[None] * (len(self._by) - len(name)))
            for name in names
            if len(name) <= len(self._by)
            and all(value is None or fits(column, value) for column, value in zip(self._by, name, strict=False))
        ]
        batch = _batch([self._level, *self._by], wide)
        return self._complete(batch.length, batch.columns)

    def check_name(self, name: NodeName, where: str) -> None:
        if len(name) > len(self._by):
            raise InvalidRequest(
                Reason.BAD_WINDOW,
                f"a node of this tree is named by at most {len(self._by)} values, and not by {len(name)}",
                field=where,
            )
        for column, value in zip(self._by, name, strict=False):
            if value is not None:
                check_scalar(column.schema, value, where)


class _Translation:
    """From the codes of one dictionary to those of another. Texts that the other lacks are added to it: a row may come
    that has such a key, and its children must be found by then."""

    def __init__(self, source: Dictionary, target: Dictionary) -> None:
        self._source, self._target = source, target
        self._codes: NDArray[np.int32] = np.empty(0, np.int32)
        self._other: set[int] = set()
        """Codes that mean other texts than when they were translated."""
        source.memos.add(self)
        target.holders.add(self)

    def mark_codes(self, dictionary: Dictionary, used: BoolArray) -> None:
        """Marks all that there are translations to."""
        used[self._codes[self._codes >= 0]] = True

    def forget_codes(self, dictionary: Dictionary, codes: AnyArray) -> None:
        """These codes of the source mean other texts, or none."""
        self._other.update(codes[codes < len(self._codes)].tolist())

    def _translate(self, texts: list[str]) -> NDArray[np.int32]:
        return self._target.find_many(texts) if self._target.fixed else self._target.encode(texts)

    def take(self, codes: AnyArray) -> NDArray[np.int32]:
        """The other's codes; -1 where it can have none."""
        known, total = len(self._codes), len(self._source)
        if self._other:
            again = sorted(self._other)
            self._other.clear()
            self._codes[again] = self._translate([self._source.texts[code] for code in again])
        if known < total:
            self._codes = np.concatenate((self._codes, self._translate(self._source.texts[known:total])))
        if not total:
            return np.full(len(codes), -1, np.int32)
        return self._codes.take(codes, mode="clip")  # codes of nulls have no meaning


def fits(column: Column, value: Scalar) -> bool:
    """Whether a column can hold a value. Names are checked when a window is opened; an edit may change what fits."""
    try:
        check_scalar(column.schema, value, "")
    except InvalidRequest:
        return False
    return True


def _batch(columns: list[Column], names: list[NodeName]) -> Batch:
    """Keys from Python values, with texts as codes of the columns; rows with a text that is not known are left out."""
    found: dict[str, Vector] = {}
    known = np.ones(len(names), np.bool_)
    for index, column in enumerate(columns):
        vector = Vector.of(column.type, [name[index] for name in names])
        if column.dictionary is not None and vector.texts is not None:
            codes = column.dictionary.find_many(vector.texts)
            if len(codes):
                vector.values = codes[vector.values]
            present = np.True_ if vector.valid is None else vector.valid
            known &= ~(present & (vector.values < 0))
        found[column.schema.name] = column.vector(vector.values, vector.valid)
    batch = Batch(len(names), found)
    return batch if known.all() else batch.take(known.nonzero()[0])


def key_hashes(keys: Batch) -> Hashes:
    """A hash of each key; keys that are equal have equal ones."""
    hashes = np.zeros(keys.length, np.uint64)
    for name in sorted(keys.columns):
        vector = keys.columns[name]
        if vector.type is DataType.FLOAT64:
            bits = vector.values.view(np.uint64)
        else:
            bits = vector.values.astype(np.int64, copy=False).view(np.uint64)
        if vector.valid is not None:
            bits = np.where(vector.valid, bits, _NULL)
        hashes = (hashes ^ bits) * _MULTIPLIER
        hashes ^= hashes >> np.uint64(29)
    return hashes


class Orphans:
    """The rows whose parent is not there, by the hash of its key."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets all."""
        self.hashes: Hashes = np.empty(0, np.uint64)
        self.slots: Slots = NO_SLOTS

    def add(self, hashes: Hashes, slots: Slots) -> None:
        """These rows wait for parents with these hashes. O(orphans) memory moves."""
        if not len(slots):
            return
        order = np.argsort(hashes, kind="stable")
        hashes, slots = hashes[order], slots[order]
        places = self.hashes.searchsorted(hashes, "right")
        self.hashes = np.insert(self.hashes, places, hashes)
        self.slots = np.insert(self.slots, places, slots)

    def remove(self, slots: Slots) -> None:
        """These rows no longer wait. O(orphans)."""
        if len(slots):
            keep = ~np.isin(self.slots, slots, kind="table")
            self.hashes, self.slots = self.hashes[keep], self.slots[keep]

    def waiting_for(self, hashes: Hashes) -> Slots:
        """The rows that may wait for these. O(k log orphans)."""
        if not len(self.slots):
            return NO_SLOTS
        hashes = np.unique(hashes)
        low, high = self.hashes.searchsorted(hashes), self.hashes.searchsorted(hashes, "right")
        return self.slots[runs(low, high - low)]

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return self.hashes.nbytes + self.slots.nbytes
