"""How operators write derived tables: by slot, never by a filter."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.delta import Slots


class NoSelector:
    """Stands where a transaction wants to be told which rows a filter keeps."""

    def rows(self, filter: object) -> Slots:
        """Nobody asks."""
        raise AssertionError("an operator deletes by slot")

    def matching(self, filter: object, slots: Slots) -> NDArray[np.bool_]:
        """Nobody asks."""
        raise AssertionError("an operator writes without conditions")


BY_SLOT: Final = NoSelector()
