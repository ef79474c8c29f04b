"""Results of a computation on one text column, kept for each distinct text.

As `code_table` does for conditions: no text is worked on twice. When many rows are asked for, all texts that are left
are worked on at once; when few are, only theirs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.operators.evaluate_cells import Cells

Judge = Callable[[AnyArray, "BoolArray | None"], Cells]


class CodeResults:
    """What a computation gives for the texts of a dictionary, which may grow, and for null, which has place 0."""

    __slots__ = ("_dictionary", "_done", "_judge", "_some_null", "_texts", "_valid", "_values")

    def __init__(self, dictionary: Dictionary, judge: Judge) -> None:
        self._dictionary = dictionary
        self._judge = judge
        null = judge(np.zeros(1, np.int32), np.zeros(1, np.bool_))
        self._texts: list[str] | None = None if null.texts is None else []
        self._values: AnyArray = np.zeros(1, null.values.dtype)
        self._valid: BoolArray = np.zeros(1, np.bool_)
        self._done: BoolArray = np.zeros(1, np.bool_)
        self._some_null = False
        """Whether a text has the result null."""
        self._keep(np.zeros(1, np.int64), null)

    def take(self, codes: AnyArray, valid: BoolArray | None) -> Cells:
        """The result for each code, null where the code is not valid. O(n), and one computation a text that is new."""
        total = len(self._dictionary.texts)
        self._reserve(total + 1)
        # Slots without a row may hold codes of anything; clipping keeps them inside.
        places = np.minimum(codes.astype(np.int64) + 1, total)
        if valid is not None:
            places *= valid
        known = self._done.take(places)
        if not known.all():
            few = len(codes) < total // 2
            asked = np.unique(places[~known]) if few else np.flatnonzero(~self._done[: total + 1])
            self._keep(asked, self._judge((asked - 1).astype(np.int32), None))
        null = self._some_null or (valid is not None and not self._valid[0])
        return Cells(self._values.take(places), self._valid.take(places) if null else None, self._texts)

    def _keep(self, places: AnyArray, cells: Cells) -> None:
        values = np.broadcast_to(cells.values, places.shape)
        if self._texts is not None:
            assert cells.texts is not None
            values = values + len(self._texts)
            self._texts.extend(cells.texts)
        self._values[places] = values
        self._valid[places] = cells.mask()
        self._done[places] = True
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
