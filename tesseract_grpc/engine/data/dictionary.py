"""The texts of one column, each distinct one once.

A text column stores int32 codes; the dictionary maps codes to texts and back. Codes are given in order of arrival, so a
code says nothing about order. As long as anybody holds a code its text stays the same; a text that nobody holds any
more may be let go (`let_go`), and then its code is given to another text later. Who *holds* codes, and who keeps
something *by* code without holding it (a memo), registers here: holders are asked which codes they have, memos are told
which they must forget. The list of texts that somebody was given is never changed by that: another takes its place.

What sorting and range indexes need is an *order label*: a number a
text, such that labels compare as the texts do. Labels leave gaps, so that a new text takes a label between its
neighbours' without touching theirs (the list-labelling problem; Dietz and Sleator 1987). Only when a gap is used up are
all labels given anew, and `label_generation` rises, which tells the holders of labels to read them again.

Labels cost memory and time, so they exist only after the first call of `labels()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import getsizeof
from typing import Protocol
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray
from sortedcontainers import SortedList

_CODE = getsizeof(1 << 20)
_MIDDLE = 1 << 62
_STEP = 1 << 32  # the gap at either end: 2**30 texts in sorted or reverse order fit before labels run out
_LOWEST, _HIGHEST = 1 << 32, (1 << 63) - (1 << 32)


class Holder(Protocol):
    """Who holds codes of a dictionary."""

    def mark_codes(self, dictionary: Dictionary, used: NDArray[np.bool_]) -> None:
        """Marks the codes of the dictionary that it holds, or more."""


class Memo(Protocol):
    """Who keeps something by code."""

    def forget_codes(self, dictionary: Dictionary, codes: NDArray[np.int32]) -> None:
        """These codes of the dictionary mean nothing any more, or something else."""


class Dictionary:
    """Codes and texts of one column.

    >>> words = Dictionary()
    >>> words.encode(["b", "a", "b"]).tolist()
    [0, 1, 0]
    >>> words.find("a"), words.find("zebra")
    (1, -1)
    >>> labels = words.labels(); bool(labels[1] < labels[0])
    True
    """

    def __init__(self, fixed: Sequence[str] | None = None) -> None:
        """An empty dictionary, or with `fixed` one that holds just these texts, in this order (an enum)."""
        self.texts: list[str] = list(fixed or ())
        self.codes: dict[str, int] = {text: code for code, text in enumerate(self.texts)}
        self.fixed = fixed is not None
        self.label_generation = 0
        self.text_bytes = sum(map(getsizeof, self.texts))
        self.holders: WeakSet[Holder] = WeakSet()
        self.memos: WeakSet[Memo] = WeakSet()
        self._pinned: set[str] = set()
        self._free: list[int] = []
        self._labels: NDArray[np.uint64] | None = None
        self._sorted: SortedList[str] | None = None

    def __len__(self) -> int:
        """One more than the highest code."""
        return len(self.texts)

    def find(self, text: str) -> int:
        """The code of a text, or -1. O(1)."""
        return self.codes.get(text, -1)

    def find_many(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """The codes of texts, -1 where one is not known. O(n)."""
        get = self.codes.get
        return np.fromiter((get(text, -1) for text in texts), np.int32, len(texts))

    def encode(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """The codes of texts; texts that are not known are added. O(n), plus O(log d) a new text once labels exist."""
        codes = self.find_many(texts)
        unknown = np.flatnonzero(codes < 0)
        if unknown.size:
            # A dict keeps first-seen order, which is what makes codes deterministic.
            fresh = list(dict.fromkeys([texts[i] for i in unknown.tolist()]))
            again = self._give_again(fresh) if self._free else 0
            start = len(self.texts)
            self.texts.extend(fresh[again:])
            self.codes.update(zip(fresh[again:], range(start, start + len(fresh) - again), strict=True))
            self.text_bytes += sum(map(getsizeof, fresh))
            if self._labels is not None:
                self._label_new(fresh)
            known = self.codes
            codes[unknown] = [known[texts[i]] for i in unknown.tolist()]
        return codes

    def _give_again(self, fresh: list[str]) -> int:
        """Gives codes that nobody holds to the first of these texts; returns to how many."""
        count = min(len(fresh), len(self._free))
        given = self._free[-count:]
        del self._free[-count:]
        for code, text in zip(given, fresh, strict=False):
            self.texts[code] = text
            self.codes[text] = code
        self._tell(given)
        return count

    def pin(self, text: str) -> int:
        """The code of a text that is held for good."""
        self._pinned.add(text)
        return self.encode_one(text)

    def unheld(self) -> NDArray[np.int32]:
        """The codes of texts that nobody holds. O(codes held)."""
        used = np.zeros(len(self.texts), np.bool_)
        if not self.codes:
            return np.empty(0, np.int32)
        used[self._free] = True
        used[[self.codes[text] for text in self._pinned]] = True
        for holder in tuple(self.holders):
            holder.mark_codes(self, used)
        return np.flatnonzero(~used).astype(np.int32)

    def let_go(self, codes: NDArray[np.int32]) -> None:
        """Drops the texts of codes that nobody holds. O(texts) of a plain copy, O(dropped log texts) with labels."""
        if self.fixed or not len(codes):
            return
        texts = self.texts.copy()  # whoever was given the list keeps it as it is
        for code in codes.tolist():
            text = texts[code]
            texts[code] = ""
            del self.codes[text]
            self.text_bytes -= getsizeof(text)
            if self._sorted is not None:
                self._sorted.remove(text)
        self.texts = texts
        self._free.extend(codes.tolist())
        if len(self._free) > len(self.codes):
            self.codes = dict(self.codes)  # a dict does not shrink by itself
        self._tell(codes)

    def _tell(self, codes: Sequence[int] | NDArray[np.int32]) -> None:
        told = np.asarray(codes, np.int32)
        for memo in tuple(self.memos):
            memo.forget_codes(self, told)

    def encode_one(self, text: str) -> int:
        """The code of one text, added when it is not known. O(1), plus O(log d) once labels exist."""
        code = self.codes.get(text, -1)
        if code < 0:
            code = int(self.encode([text])[0])
        return code

    def labels(self) -> NDArray[np.uint64]:
        """Order labels by code; labels compare as texts compare by code point (enums: by declaration).

        O(d log d) at the first call, then O(1). The array may be replaced when texts are added: read it anew each time.
        """
        if self.fixed:
            if self._labels is None:
                self._labels = np.arange(len(self.texts), dtype=np.uint64)
            return self._labels
        if self._labels is None:
            self._sorted = SortedList(self.codes)
            self._labels = np.empty(0, np.uint64)
            self._relabel()
        return self._labels[: len(self.texts)]

    def _relabel(self) -> None:
        assert self._sorted is not None
        count, room = len(self._sorted), len(self.texts)
        gap = min(_STEP, (_HIGHEST - _LOWEST) // (count + 1))
        order = np.fromiter((self.codes[text] for text in self._sorted), np.int64, count)
        labels = np.zeros(max(16, room + (room >> 1)), np.uint64)
        first = _MIDDLE - (count // 2) * gap
        labels[order] = np.arange(count, dtype=np.uint64) * np.uint64(gap) + np.uint64(first)
        self._labels = labels
        self.label_generation += 1

    def _label_new(self, fresh: list[str]) -> None:
        assert self._sorted is not None and self._labels is not None
        if len(fresh) > len(self._sorted) // 4 + 16:
            # Many at once: sorting everything is cheaper than finding a place for each.
            self._sorted = SortedList(self.codes)
            self._relabel()
            return
        if len(self.texts) > len(self._labels):
            self._labels = np.resize(self._labels, len(self.texts) + (len(self.texts) >> 1))
        for text in fresh:
            label = self._label_between(text)
            self._sorted.add(text)
            if label < 0:
                self._sorted = SortedList(self.codes)
                self._relabel()
                return
            self._labels[self.codes[text]] = label

    def _label_between(self, text: str) -> int:
        """A free label at the place of `text`, or -1 when the gap is used up."""
        assert self._sorted is not None and self._labels is not None
        if not self._sorted:
            return _MIDDLE
        place = self._sorted.bisect_left(text)
        before = int(self._labels[self.codes[self._sorted[place - 1]]]) if place else -1
        after = int(self._labels[self.codes[self._sorted[place]]]) if place < len(self._sorted) else -1
        if before < 0:
            return after - _STEP if after - _STEP > _LOWEST else -1
        if after < 0:
            return before + _STEP if before + _STEP < _HIGHEST else -1
        return (before + after) // 2 if after - before > 1 else -1

    @property
    def labelled(self) -> bool:
        """Whether texts have order labels."""
        return self._sorted is not None

    @property
    def count(self) -> int:
        """How many texts are kept."""
        return len(self.codes)

    def memory_bytes(self) -> int:
        """The memory held, in bytes, as the interpreter tells it. O(1), O(texts / 1000) with labels."""
        size = getsizeof(self.texts) + getsizeof(self.codes) + self.text_bytes + _CODE * len(self.codes)
        if self._labels is not None:
            size += self._labels.nbytes
        if self._sorted is not None:
            size += sum(map(getsizeof, self._sorted._lists))
        return size

    def check(self) -> None:
        """Proves the invariants: codes and texts are inverse, labels order as texts do."""
        assert len(self.texts) == len(self.codes) + len(self._free)
        assert all(self.texts[code] == text for text, code in self.codes.items())
        assert not set(self._free) & set(self.codes.values()), "a code is free and held"
        if self._labels is not None and not self.fixed:
            order = sorted(self.codes)
            ordered = self._labels[[self.codes[text] for text in order]]
            assert bool(np.all(ordered[1:] > ordered[:-1])), "order labels are out of order"
            assert self._sorted is not None and list(self._sorted) == order
