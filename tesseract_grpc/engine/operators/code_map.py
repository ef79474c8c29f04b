"""From the codes of one dictionary to those of another.

Columns of different relations hold the same texts under different codes. A map is an array by code, filled in as codes
are asked for: a text is looked up once, and texts that no row has brought here are not carried over.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray

_UNASKED = -1


class CodeMap:
    """The codes of `source` as codes of `target`, which takes up texts that it lacks.

    >>> source, target = Dictionary(["x", "y"]), Dictionary(["y"])
    >>> codes = CodeMap(source, target)
    >>> codes.take(np.array([1, 0, 1], np.int32), None).tolist(), target.texts
    ([0, 1, 0], ['y', 'x'])
    """

    __slots__ = ("__weakref__", "_codes", "_source", "_target")

    def __init__(self, source: Dictionary, target: Dictionary) -> None:
        self._source = source
        self._target = target
        self._codes: NDArray[np.int32] = np.empty(0, np.int32)
        source.memos.add(self)
        target.memos.add(self)

    def forget_codes(self, dictionary: Dictionary, codes: AnyArray) -> None:
        """These codes of one of the two mean other texts, or none."""
        if dictionary is self._source:
            self._codes[codes[codes < len(self._codes)]] = _UNASKED
        else:
            self._codes[np.isin(self._codes, codes)] = _UNASKED

    def take(self, codes: AnyArray, valid: BoolArray | None) -> NDArray[np.int32]:
        """Each code's counterpart, 0 where the row is null. O(n), and one lookup a text that is new."""
        self._reserve()
        if valid is not None:
            found = np.zeros(len(codes), np.int32)  # the code of a null has no meaning
            found[valid] = self.take(codes[valid], None)
            return found
        found = self._codes[codes]
        fresh = codes[found == _UNASKED]
        if len(fresh):
            fresh = fresh[np.sort(np.unique(fresh, return_index=True)[1])]  # in the order of arrival
            texts = self._source.texts
            self._codes[fresh] = self._target.encode([texts[code] for code in fresh.tolist()])
            found = self._codes[codes]
        return found

    def one(self, code: int) -> int:
        """The counterpart of one code."""
        if code >= len(self._codes):
            self._reserve()
        found: int = self._codes.item(code)
        if found == _UNASKED:
            found = self._target.encode_one(self._source.texts[code])
            self._codes[code] = found
        return found

    def back(self, codes: AnyArray, valid: BoolArray | None) -> NDArray[np.int32]:
        """The codes of `source` for those of `target`, -1 for texts that it lacks and for nulls. O(n) lookups."""
        texts, find = self._target.texts, self._source.find
        known = codes >= 0 if valid is None else valid & (codes >= 0)
        found = np.full(len(codes), -1, np.int32)
        found[known] = [find(texts[code]) for code in codes[known].tolist()]
        return found

    def _reserve(self) -> None:
        total = len(self._source.texts)
        if total > len(self._codes):
            grown = np.full(total + (total >> 1) + 16, _UNASKED, np.int32)
            grown[: len(self._codes)] = self._codes
            self._codes = grown

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return self._codes.nbytes
