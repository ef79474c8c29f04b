"""The rows of a table in the order in which they leave it, from the front.

An entry is a row's *word* (what it is ordered by), its place in the order of insertion, which breaks ties, and its
slot. Entries lie in *runs*, sorted arrays that are read from their front. What is written is only noted; when that is
asked for it becomes a run, and runs that are not twice as long as the next are merged, so that there are O(log n) of
them and a row is merged O(log n) times in its life (the log-structured merge idea; O'Neil 1996). Rows usually come in
the order in which they leave: then what was noted lies behind everything that is asked for, stays noted until there
is much of it, and merging is copying.

Nothing is taken out of the middle: an entry whose row is gone or has another word is no longer *true*, and is passed
over when its turn comes, or dropped when its run is merged. When more than half of the entries may be untrue, all are
read anew from the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.delta import NO_SLOTS, Slots
from tesseract_grpc.engine.data.order import MAX_WORD, Words
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray

if TYPE_CHECKING:
    from tesseract_grpc.engine.data.table import Table

Read = Callable[[AnyArray], tuple[Words, BoolArray | None]]
"""The words of the rows at slots, and which of them belong into the queue (None: all)."""
Entries = tuple[Words, Words, Slots]
"""Words, places in the order of insertion, slots: in the order of the first two."""

_MOST_NOTED = 1024
_SMALLEST = 4096
_CHUNK = 16


class _Run:
    """Sorted entries, of which those before `head` have been taken."""

    __slots__ = ("head", "sequences", "slots", "words")

    def __init__(self, entries: Entries, by_sequence: bool) -> None:
        """`by_sequence` says that words and sequences are the same numbers, which then are kept once."""
        self.words, self.sequences, self.slots = entries
        if by_sequence:
            self.sequences = self.words
        self.head = 0

    def __len__(self) -> int:
        return len(self.words) - self.head

    def front(self, count: int) -> Entries:
        """The next entries, as views."""
        part = slice(self.head, self.head + count)
        words = self.words[part]
        return words, words if self.sequences is self.words else self.sequences[part], self.slots[part]

    def advance(self, count: int) -> None:
        """Takes entries from the front; lets go of their memory now and then. O(1) amortised."""
        self.head += count
        if self.head > _MOST_NOTED and self.head > len(self):
            words, sequences, slots = self.front(len(self))
            self.words, self.slots = words.copy(), slots.copy()
            self.sequences = self.words if sequences is words else sequences.copy()
            self.head = 0

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        both = self.words.nbytes + (0 if self.sequences is self.words else self.sequences.nbytes)
        return both + self.slots.nbytes


class RowQueue:
    """Rows by what they are ordered by.

    Who takes rows from the front must remove them from the table in the same commit.
    """

    def __init__(
        self, table: Table, read: Read, generation: Callable[[], int] = int, *, by_sequence: bool = False
    ) -> None:
        """`generation` tells a number that rises when the words of earlier values are no longer true; `by_sequence`
        says that the words are places in the order of insertion."""
        self.examined = 0
        """Entries that were looked at for taking rows: work that follows what is taken, and not how many there are."""
        self._table = table
        self._read = read
        self._by_sequence = by_sequence
        self._generation_of = generation
        self._generation = generation()
        self._runs: list[_Run] = []
        self._noted: list[AnyArray] = []
        self._noted_one: list[int] = []
        self._count = 0  # noted rows
        self._least = MAX_WORD + 1  # no noted row has a word below it
        self.rebuild()

    # Writing

    def note(self, slots: AnyArray) -> None:
        """Rows whose word may be new. O(n)."""
        words, belong = self._read(slots)
        if belong is not None:
            slots, words = slots[belong], words[belong]
        if len(slots):
            self._noted.append(slots)
            self._noticed(int(words.min()), len(slots))

    def note_one(self, slot: int) -> None:
        """One row whose word may be new. O(1)."""
        words, belong = self._read(np.array([slot], np.int32))
        if belong is None or belong[0]:
            self._noted_one.append(slot)
            self._noticed(words.item(0), 1)

    def _noticed(self, least: int, count: int) -> None:
        self._least = min(self._least, least)
        self._count += count
        if self._count > max(_MOST_NOTED, sum(map(len, self._runs))):
            self._settle()

    def rebuild(self) -> None:
        """Reads all rows of the table anew. O(n log n)."""
        self._generation = self._generation_of()
        self._forget_noted()
        self._runs = []
        self._push(self._table.live_slots())

    def _forget_noted(self) -> None:
        self._noted, self._noted_one = [], []
        self._count, self._least = 0, MAX_WORD + 1

    def _settle(self) -> None:
        """Makes a run of what was noted. O(noted log noted), and merging."""
        if self._generation != self._generation_of():
            self.rebuild()
            return
        if not self._count:
            return
        ones = np.array(self._noted_one, np.int32)
        slots = np.unique(np.concatenate((*self._noted, ones)))
        self._forget_noted()
        if sum(map(len, self._runs)) + len(slots) > 2 * self._table.row_count + _SMALLEST:
            self.rebuild()
            return
        self._push(slots[self._table.alive[slots]].astype(np.int32, copy=False))

    def _push(self, slots: Slots) -> None:
        words, belong = self._read(slots)
        if belong is not None:
            slots, words = slots[belong], words[belong]
        if len(slots):
            entries = _sorted(words, self._table.sequence[slots].view(np.uint64), slots)
            self._runs.append(_Run(entries, self._by_sequence))
        runs = self._runs = [run for run in self._runs if len(run)]
        while len(runs) > 1 and len(runs[-2]) <= 2 * len(runs[-1]):
            last = runs.pop()
            entries = _merged(self._true(runs[-1].front(len(runs[-1]))), self._true(last.front(len(last))))
            runs[-1] = _Run(entries, self._by_sequence)

    def _true(self, entries: Entries) -> Entries:
        """Those of the entries whose rows are there and have the same word still."""
        words, sequences, slots = entries
        table = self._table
        true = table.alive[slots]
        true &= table.sequence[slots].view(np.uint64) == sequences
        present, belong = self._read(slots)
        true &= present == words
        if belong is not None:
            true &= belong
        return entries if true.all() else (words[true], sequences[true], slots[true])

    # Taking

    def below(self, word: int) -> Slots:
        """Takes all rows with a lesser word, ascending by slot. O(rows + log n) amortised."""
        if self._least < word or self._generation != self._generation_of():
            self._settle()
        found: list[Slots] = []
        for run in self._runs:
            count = int(np.searchsorted(run.words[run.head :], np.uint64(word), "left"))
            self.examined += count
            if count:
                found.append(self._true(run.front(count))[2])
                run.advance(count)
        return np.unique(np.concatenate(found)) if found else NO_SLOTS

    def first(self, count: int) -> Slots:
        """Takes so many rows from the front, fewer when there are not as many; ascending. O(rows log + log n)
        amortised."""
        if self._generation != self._generation_of():
            self._settle()
        chunk = max(_CHUNK, count)
        while True:
            certain, complete = self._front(chunk)
            if complete or len(certain[2]) >= count:
                taken: Entries = (certain[0][:count], certain[1][:count], certain[2][:count])
                last = taken[0].item(-1) if len(taken[0]) else MAX_WORD
                if self._count and (len(taken[2]) < count or last >= self._least):
                    self._settle()
                    continue
                self._advance(taken)
                return np.sort(taken[2])
            chunk *= 2

    def _front(self, chunk: int) -> tuple[Entries, bool]:
        """True entries from the front, no two of one row, and whether these are all.

        None of the runs can still have something before them. At least `chunk` entries of one run are looked at.
        """
        parts = [run.front(chunk) for run in self._runs if len(run)]
        self.examined += sum(len(part[0]) for part in parts)
        if not parts:
            return (np.empty(0, np.uint64), np.empty(0, np.uint64), NO_SLOTS), True
        words, sequences, slots = _sorted(*_joined(*parts))
        more = [run.front(chunk) for run in self._runs if len(run) > chunk]
        if more:
            word, sequence = min((part[0].item(-1), part[1].item(-1)) for part in more)
            certain = _up_to(words, sequences, word, sequence)
            words, sequences, slots = words[:certain], sequences[:certain], slots[:certain]
        words, sequences, slots = self._true((words, sequences, slots))
        if len(slots) > 1:  # a row that was noted twice stands there twice, side by side
            alone = np.append(True, sequences[1:] != sequences[:-1])
            words, sequences, slots = words[alone], sequences[alone], slots[alone]
        return (words, sequences, slots), not more

    def _advance(self, taken: Entries) -> None:
        """Takes what was found, and what is not true before it, from the runs."""
        if not len(taken[0]):
            return
        word, sequence = taken[0].item(-1), taken[1].item(-1)
        for run in self._runs:
            run.advance(_up_to(run.words[run.head :], run.sequences[run.head :], word, sequence))

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return sum(run.memory_bytes() for run in self._runs) + 4 * self._count

    def check(self) -> None:
        """Proves that no row can be missed: each is in a run under its present word, or noted."""
        for run in self._runs:
            words, sequences, _ = run.front(len(run))
            rising = (words[1:] > words[:-1]) | ((words[1:] == words[:-1]) & (sequences[1:] >= sequences[:-1]))
            assert bool(rising.all()), "a run of a queue is out of order"
        if self._generation != self._generation_of():
            return  # read anew before it is asked again
        live = self._table.live_slots()
        words, belong = self._read(live)
        if belong is not None:
            live, words = live[belong], words[belong]
        known = np.zeros(len(self._table.alive), np.bool_)
        for run in self._runs:
            known[self._true(run.front(len(run)))[2]] = True
        noted = np.concatenate((*self._noted, np.array(self._noted_one, np.int32))).astype(np.int32)
        known[noted] = True
        assert bool(known[live].all()), "a queue has lost a row"
        fresh = live[np.isin(live, noted)]
        if len(fresh):
            assert int(self._read(fresh)[0].min()) >= self._least, "a noted row may be passed over"


def _sorted(words: Words, sequences: Words, slots: Slots) -> Entries:
    if _in_order(words, sequences):
        return words, sequences, slots
    order = np.lexsort((sequences, words))
    return words[order], sequences[order], slots[order]


def _in_order(words: Words, sequences: Words) -> bool:
    same = words[1:] == words[:-1]
    return bool(np.all((words[1:] > words[:-1]) | (same & (sequences[1:] >= sequences[:-1]))))


def _merged(first: Entries, second: Entries) -> Entries:
    """Two runs as one. O(n), O(n log n) where they have words in common."""
    if not len(first[0]) or not len(second[0]):
        return first if len(first[0]) else second
    if (first[0].item(-1), first[1].item(-1)) <= (second[0].item(0), second[1].item(0)):
        return _joined(first, second)
    places = np.searchsorted(first[0], second[0], "left")
    if np.array_equal(places, np.searchsorted(first[0], second[0], "right")):
        return (
            np.insert(first[0], places, second[0]),
            np.insert(first[1], places, second[1]),
            np.insert(first[2], places, second[2]),
        )
    return _sorted(*_joined(first, second))


def _joined(*parts: Entries) -> Entries:
    return (
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] for part in parts]),
        np.concatenate([part[2] for part in parts]),
    )


def _up_to(words: NDArray[np.uint64], sequences: NDArray[np.uint64], word: int, sequence: int) -> int:
    """How many of sorted entries are not behind this one. O(log n)."""
    low = int(np.searchsorted(words, np.uint64(word), "left"))
    high = int(np.searchsorted(words, np.uint64(word), "right"))
    return low + int(np.searchsorted(sequences[low:high], np.uint64(sequence), "right"))
