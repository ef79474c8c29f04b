"""What a table works out by itself when rows are written: computed columns, and defaults that are expressions.

Tables only store, and know nothing of expressions; this is what they ask of somebody who does
(`operators/stored_columns.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from tesseract_grpc.engine.data.delta import Stored

Read = Callable[[int], Stored]
"""The values of a column, by position, for the rows at hand."""


class Formulas(Protocol):
    """The expressions of one table."""

    @property
    def computed(self) -> Collection[int]:
        """The positions of columns that cannot be written, because they are computed."""

    @property
    def defaults(self) -> Collection[int]:
        """The positions of columns whose default is an expression."""

    @property
    def timely(self) -> bool:
        """Whether a computed column changes with time."""

    def default(self, position: int, read: Read, count: int) -> Stored:
        """The default of a column for new rows, whose other columns `read` gives. Raises BadValues."""

    def complete(self, read: Read, count: int) -> dict[int, Stored]:
        """All computed columns, for new rows. Raises BadValues."""

    def follow(self, written: Collection[int], read: Read, count: int) -> dict[int, Stored]:
        """The computed columns that depend on the columns written, in turn. Raises BadValues."""

    def tick(self, read: Read, count: int) -> dict[int, Stored]:
        """The computed columns that depend on the present, and what depends on those. Raises BadValues."""
