"""Which codes of a dictionary fulfil a condition, decided once a distinct text.

A table is one byte a code. It grows with the dictionary: texts that came since are judged when a code beyond the table
is asked for, and no text is judged twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray

JudgeTexts = Callable[[list[str]], Iterable[bool]]


class CodeTable:
    """The judgement of every text of a dictionary."""

    __slots__ = ("_dictionary", "_judge", "_view", "flags", "known")

    def __init__(self, dictionary: Dictionary, judge: JudgeTexts) -> None:
        self._dictionary = dictionary
        self._judge = judge
        self.flags = bytearray(1)
        self._view: BoolArray = np.frombuffer(self.flags, np.bool_)
        self.known = 0

    def refresh(self) -> None:
        """Judges the texts that came since the last call. O(new texts), amortised."""
        total = len(self._dictionary.texts)
        if self.known == total:
            return
        if total > len(self.flags):
            flags = bytearray(max(total, len(self.flags) * 2))
            flags[: self.known] = self.flags[: self.known]
            self.flags, self._view = flags, np.frombuffer(flags, np.bool_)
        self.flags[self.known : total] = bytes(map(bool, self._judge(self._dictionary.texts[self.known :])))
        self.known = total

    def take(self, codes: AnyArray) -> BoolArray:
        """The judgement of each code, in a new array. O(n)."""
        self.refresh()
        # Codes of null rows have no meaning; clipping keeps them inside, the caller masks them out.
        return self._view.take(codes, mode="clip")

    def test(self, code: int) -> bool:
        """The judgement of one code."""
        if code >= self.known:
            self.refresh()
        return self.flags[code] == 1
