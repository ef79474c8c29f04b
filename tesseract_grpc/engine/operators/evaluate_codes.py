"""Results of a computation on one text column, kept for each distinct text.

As `code_table` does for conditions: no text is worked on twice. When many rows are asked for, all texts that are left
are worked on at once; when few are, only theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.operators.evaluate_cells import Cells

_SPARE = 1024
"""So many results that nobody asks for any more are kept in any case."""

Judge = Callable[[Sequence["int | None"]], Cells]
"""What the computation gives for codes, or for null."""


class CodeResults:
    """What a computation gives for the texts of a dictionary, which may grow, and for null, which has place 0."""

    __slots__ = ("__weakref__", "_count", "_dictionary", "_done", "_judge", "_some_null", "_texts", "_valid", "_values")

    def __init__(self, dictionary: Dictionary, judge: Judge) -> None:
        self._dictionary = dictionary
        self._judge = judge
        null = judge([None])
        self._texts: list[str] | None = None if null.texts is None else []
        self._values: AnyArray = np.zeros(2, null.values.dtype)
        self._valid: BoolArray = np.zeros(2, np.bool_)
        self._done: BoolArray = np.zeros(2, np.bool_)
        self._count = 0  # how many places are known
        self._some_null = False
        """Whether a text has the result null."""
        self._keep(np.zeros(1, np.int64), null)
        dictionary.memos.add(self)

    def forget_codes(self, dictionary: Dictionary, codes: AnyArray) -> None:
        """These codes mean other texts, or none."""
        places = codes[codes < len(self._done) - 1].astype(np.int64) + 1
        self._count -= int(np.count_nonzero(self._done[places]))
        self._done[places] = False
        if self._texts is not None and len(self._texts) > 2 * self._count + _SPARE:
            kept = np.flatnonzero(self._done)
            self._texts = [self._texts[value] for value in self._values[kept].tolist()]
            self._values[kept] = np.arange(len(kept))

    def take(self, codes: AnyArray, valid: BoolArray | None) -> Cells:
        """The result for each code, null where the code is not valid. O(n), and one computation a text that is new."""
        total = len(self._dictionary.texts)
        if self._count <= total:
            self._settle(codes, valid, total)
        # Slots without a row and nulls may hold codes of anything; clipping keeps them inside.
        values = self._values[1:].take(codes, mode="clip")
        known = self._valid[1:].take(codes, mode="clip") if self._some_null else None
        if valid is None:
            return Cells(values, known, self._texts)
        if self._valid[0]:
            values = np.where(valid, values, self._values[0])
            return Cells(values, None if known is None else known | ~valid, self._texts)
        return Cells(values, valid if known is None else known & valid, self._texts)

    def _settle(self, codes: AnyArray, valid: BoolArray | None, total: int) -> None:
        """Works out what is not known yet of the texts that are asked for, or of all."""
        self._reserve(total + 1)
        if len(codes) < (total + 1 - self._count) // 2:
            places = np.minimum(codes if valid is None else codes[valid], total - 1) + 1
            asked = np.unique(places[~self._done[places]])
        else:
            asked = np.flatnonzero(~self._done[: total + 1])
        if len(asked):
            self._keep(asked, self._judge((asked - 1).tolist()))

    def _keep(self, places: AnyArray, cells: Cells) -> None:
        values = np.broadcast_to(cells.values, places.shape)
        if self._texts is not None:
            assert cells.texts is not None
            values = values + len(self._texts)
            self._texts.extend(cells.texts)
        self._values[places] = values
        self._valid[places] = cells.mask()
        self._done[places] = True
        self._count += len(places)
        if places[0]:
            self._some_null = self._some_null or not cells.mask().all()

    def _reserve(self, total: int) -> None:
        if total > len(self._done):
            size = max(total, 2 * len(self._done))
            for name in ("_values", "_valid", "_done"):
                old = getattr(self, name)
                new = np.zeros(size, old.dtype)
                new[: len(old)] = old
                setattr(self, name, new)
