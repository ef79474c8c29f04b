"""Which codes of a dictionary fulfil a condition, decided once a distinct text.

A table is one byte a code: not judged yet, no, or yes. No text is judged twice. When many rows are asked for, all texts
that are left are judged at once; when few are, only theirs, so that a condition on a column of a million distinct texts
costs nothing for the texts that a cheaper condition has ruled out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray

_UNKNOWN, _NO, _YES = 0, 1, 2


class CodeTable:
    """The judgement of the texts of a dictionary, which may grow."""

    __slots__ = ("__weakref__", "_dictionary", "_flags", "_judge", "_view", "judged")

    def __init__(self, dictionary: Dictionary, judge: Callable[[str], bool]) -> None:
        self._dictionary = dictionary
        self._judge = judge
        self._flags = bytearray(1)
        self._view: NDArray[np.uint8] = np.frombuffer(self._flags, np.uint8)
        self.judged = 0
        """How many texts have been judged."""
        dictionary.memos.add(self)

    def forget_codes(self, dictionary: Dictionary, codes: AnyArray) -> None:
        """These codes mean other texts, or none."""
        codes = codes[codes < len(self._flags)]
        self.judged -= int(np.count_nonzero(self._view[codes]))
        self._view[codes] = _UNKNOWN

    def take(self, codes: AnyArray) -> BoolArray:
        """The judgement of each code, in a new array. O(n), and one judgement a text that is new."""
        total = len(self._dictionary.texts)
        self._reserve(total)
        # Codes of null rows have no meaning; clipping keeps them inside, the caller masks them out.
        found = self._view.take(codes, mode="clip")
        if self.judged < total:
            if len(codes) < (total - self.judged) // 2:
                asked = np.zeros(total, np.bool_)
                asked[np.minimum(codes[found == _UNKNOWN], total - 1)] = True
                self._settle(np.flatnonzero(asked).tolist())
            else:
                self._settle(np.flatnonzero(self._view[:total] == _UNKNOWN).tolist())
            found = self._view.take(codes, mode="clip")
        result: BoolArray = found == _YES
        return result

    def test(self, code: int) -> bool:
        """The judgement of one code."""
        try:
            flag = self._flags[code]
        except IndexError:
            self._reserve(len(self._dictionary.texts))
            flag = self._flags[code]
        if flag == _UNKNOWN:
            self._settle([code])
            flag = self._flags[code]
        return flag == _YES

    def _settle(self, codes: list[int]) -> None:
        texts, flags, judge = self._dictionary.texts, self._flags, self._judge
        for code in codes:
            flags[code] = _YES if judge(texts[code]) else _NO
        self.judged += len(codes)

    def _reserve(self, total: int) -> None:
        if total > len(self._flags):
            flags = bytearray(max(total, len(self._flags) * 2))
            flags[: len(self._flags)] = self._flags
            self._flags, self._view = flags, np.frombuffer(flags, np.uint8)
