"""A sort as a list of words a row, compared one after the other.

A sort key becomes the order word of its column (all bits flipped when descending), in which nulls take the extreme at
their end, and, for columns that can be null, a second word that tells a null from a value that really is the
extreme. After the sort keys stand the words of the primary key, which break all ties; without sort keys the only word
is the row's place in the order of insertion. So the first word decides nearly always, and it is the only one that is
kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import RowChange, Slots, Stored, stored_at
from tesseract_grpc.engine.data.order import MAX_WORD, Words, label_generation, order_word, order_words
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.schema import Scalar
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.query.sort_key import SortKey

ReadStored = Callable[[int], Stored]
"""From the position of a column to the stored values of the rows in question."""

_NULL = -1  # stands for the word of a null until the order says where nulls go


def _word(column: Column, value: Scalar) -> int:
    return _NULL if value is None else order_word(column, value)


class SortWords:
    """Makes the words of rows for one sort over one table."""

    def __init__(self, table: Relation, sort: Sequence[SortKey]) -> None:
        self.table = table
        self.keys = tuple((table.schema.position(key.column), key.descending, key.nulls_first) for key in sort)
        self.positions = frozenset(position for position, _, _ in self.keys)
        self.by_insertion = not self.keys
        # Columns whose words are order labels, which may be given anew.
        read = self.positions if self.by_insertion else self.positions | set(table.schema.key)
        self._labelled = [table.columns[p] for p in sorted(read) if table.columns[p].dictionary is not None]

    @property
    def generation(self) -> int:
        """Rises when words that were made earlier are no longer true."""
        return sum([label_generation(column) for column in self._labelled]) if self._labelled else 0

    def first(self, slots: AnyArray, read: ReadStored) -> Words:
        """The first word of rows; `read` gives the values of sort columns, so that it serves old and new values."""
        if self.by_insertion:
            return self.table.sequence[slots].view(np.uint64)
        position, descending, nulls_first = self.keys[0]
        return self._value_word(position, descending, nulls_first, read(position))

    def first_now(self, slots: AnyArray) -> Words:
        """The first word of rows as they are."""
        columns = self.table.columns
        return self.first(slots, lambda p: stored_at(columns[p], slots))

    def rest(self, slots: AnyArray) -> list[Words]:
        """The other words of rows as they are, first to last."""
        columns = self.table.columns
        return self.rest_of(lambda p: stored_at(columns[p], slots))

    def rest_of(self, read: ReadStored) -> list[Words]:
        """The same, given the values of sort columns and of the key."""
        if self.by_insertion:
            return []
        words: list[Words] = []
        for index, (position, descending, nulls_first) in enumerate(self.keys):
            stored = read(position)
            if index:
                words.append(self._value_word(position, descending, nulls_first, stored))
            if stored[1] is not None:
                words.append((stored[1] if nulls_first else ~stored[1]).astype(np.uint64))
        for position in self.table.schema.key:
            stored = read(position)
            words.append(self._value_word(position, False, False, stored))
            if stored[1] is not None:  # what names a derived row may be null
                words.append((~stored[1]).astype(np.uint64))
        return words

    def _value_word(self, position: int, descending: bool, nulls_first: bool, stored: Stored) -> Words:
        values, valid = stored
        words = order_words(self.table.columns[position], values)
        if descending:
            words = ~words
        if valid is not None:
            words = np.where(valid, words, np.uint64(0 if nulls_first else MAX_WORD))
        return words

    def first_of_one(self, change: RowChange) -> tuple[int, int]:
        """The first word of one row before and after its change.

        All orders by one column ask for the same words, so the change keeps them.
        """
        if self.by_insertion:
            word = self.table.sequence.item(change.slot)
            return word, word
        position, descending, nulls_first = self.keys[0]
        words = change.words.get(position)
        if words is None:
            column = self.table.columns[position]
            now = column.stored(change.slot)
            was = change.before.get(position, now) if position in change.before else now
            words = (
                _NULL if was is None else order_word(column, was),
                _NULL if now is None else order_word(column, now),
            )
            change.words[position] = words
        old, new = words
        null = 0 if nulls_first else MAX_WORD
        if descending:
            return null if old < 0 else old ^ MAX_WORD, null if new < 0 else new ^ MAX_WORD
        return null if old < 0 else old, null if new < 0 else new

    def between(self, slots: Slots, held: Slots, low: Permutation, high: Permutation) -> Permutation:
        """Before which of `held[low:high]`, which tie with them in the first word, rows belong.

        Binary search by the other words, for all rows at once. O(log ties) rounds.
        """
        return self.between_words(self.rest(slots), held, low, high)

    def between_words(self, mine: list[Words], held: Slots, low: Permutation, high: Permutation) -> Permutation:
        """The same for rows with these other words."""
        while (open_ := low < high).any():
            middle = (low + high) >> 1
            theirs = self.rest(held[np.where(open_, middle, 0)])
            after = before(theirs, mine)  # their row stands before mine: go on above it
            low = np.where(open_ & after, middle + 1, low)
            high = np.where(open_ & ~after, middle, high)
        return low

    def sorted(self, slots: AnyArray, first: Words) -> Permutation:
        """The permutation that puts rows as they are in order. O(n log n); ties alone are looked at more closely."""
        return sort_rows(first, None if self.by_insertion else lambda rows: self.rest(slots[rows]))


Permutation = NDArray[np.intp]
RestOfWords = Callable[[Permutation], list[Words]]
"""From the numbers of rows to their words after the first."""


def before(left: list[Words], right: list[Words]) -> BoolArray:
    """Which rows of `left` stand before those of `right`, word by word."""
    less: BoolArray = left[0] < right[0]
    equal = left[0] == right[0]
    for mine, theirs in zip(left[1:], right[1:], strict=True):
        if not equal.any():
            break
        less |= equal & (mine < theirs)
        equal &= mine == theirs
    return less


def sort_rows(first: Words, rest: RestOfWords | None) -> Permutation:
    """The permutation that orders rows by their words; `rest` is asked only for rows whose first words tie."""
    order = np.argsort(first, kind="stable")
    ordered = first[order]
    same = ordered[1:] == ordered[:-1]
    if rest is None or not same.any():
        return order
    tied = np.zeros(len(order), np.bool_)
    tied[1:] |= same
    tied[:-1] |= same
    where = np.flatnonzero(tied)
    rows = order[where]
    order[where] = rows[np.lexsort((*rest(rows)[::-1], ordered[where]))]
    return order


class Sorting:
    """Rows on their way into order, detached from the table: `run` may be called in a worker thread.

    Making it reads all words, which is a few passes of memory; `run` does the comparisons, which take ten times longer.
    """

    def __init__(self, words: SortWords, slots: Slots) -> None:
        self.slots = slots
        self.first = words.first_now(slots)
        self.generation = words.generation
        self._rest = words.rest(slots)
        self.order: Permutation | None = None

    def run(self) -> None:
        """Sorts. O(n log n)."""
        rest = self._rest
        self.order = sort_rows(self.first, (lambda rows: [word[rows] for word in rest]) if rest else None)
