"""How the rows of a table are asked for, counted: which filters, how often, through which index, over how many rows.

Whoever finds rows by a filter notes it here (`operators/scan.py`). What is kept knows no values: a filter is its
*shape*, with a ? where a value stood, so `age > 30` and `age > 40` are one. There are at most `MOST` of them: the one
that was not used for the longest goes.

Nothing that a table keeps depends on this, and it is not kept itself: it tells of one life of the process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MOST = 200
"""So many shapes of filters are counted a table."""

LARGE = 10_000
"""From so many rows on, a result that is taken whole is counted."""


def no_time() -> int:
    """The stopwatch of those who have none."""
    return 0


@dataclass(frozen=True, slots=True)
class FilterShape:
    """A filter without its values."""

    text: str
    columns: tuple[str, ...]
    """The columns that it tests."""
    equal: tuple[str, ...] = ()
    """Those that must be equal to one of some values: any index over one of them answers that."""
    bounded: tuple[str, ...] = ()
    """Those that must lie between bounds: a sorted index answers that."""


@dataclass(slots=True)
class FilterUse:
    """What one shape has cost."""

    shape: FilterShape
    uses: int = 0
    indexed: int = 0  # of those, how often an index brought the candidates
    examined: int = 0
    returned: int = 0
    unindexed_examined: int = 0  # rows that were looked at where no index helped
    unindexed_returned: int = 0
    nanoseconds: int = 0


class FilterUses:
    """The counts of one table."""

    __slots__ = (
        "_by_text",
        "first_rows",
        "first_sequence",
        "insertions",
        "large_results",
        "largest_result",
        "stopwatch",
    )

    def __init__(self, stopwatch: Callable[[], int] = no_time, rows: int = 0, sequence: int = 0) -> None:
        """`rows` and `sequence`: how many rows there are now, and how many have come until now."""
        self.stopwatch = stopwatch
        self.first_rows = rows
        self.first_sequence = sequence
        self.insertions = 0
        """How many commits brought new rows."""
        self.large_results = 0
        """How often a large result was taken whole, without a limit."""
        self.largest_result = 0
        """The rows of the largest of them."""
        self._by_text: dict[str, FilterUse] = {}

    def note(self, shape: FilterShape, *, indexed: bool, examined: int, returned: int, nanoseconds: int) -> None:
        """The rows of a filter were found. O(1)."""
        use = self._by_text.pop(shape.text, None)
        if use is None:
            if len(self._by_text) >= MOST:
                del self._by_text[next(iter(self._by_text))]
            use = FilterUse(shape)
        self._by_text[shape.text] = use  # the last one is the one that was used last
        use.uses += 1
        use.examined += examined
        use.returned += returned
        use.nanoseconds += nanoseconds
        if indexed:
            use.indexed += 1
        else:
            use.unindexed_examined += examined
            use.unindexed_returned += returned

    def note_whole(self, rows: int) -> None:
        """A result of so many rows was taken without a limit. O(1)."""
        if rows >= LARGE:
            self.large_results += 1
            self.largest_result = max(self.largest_result, rows)

    def most_used(self) -> list[FilterUse]:
        """All of them, the most frequent first. O(n log n)."""
        return sorted(self._by_text.values(), key=lambda use: (-use.uses, use.shape.text))
