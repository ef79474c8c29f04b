"""What a contestant must be able to do.

Verbs that begin with `prepare` turn the data into the form that the contestant takes best; they are never timed. The
others are timed to the point where their effect is complete: `append` until the rows can be queried, `update` until
every delta of every open session has been observed, with its values (and its positions, where the contestant has any).
A contestant that lacks a verb is not registered for the workloads that need it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from benchmarks.trades import Trades, Updates


class Contestant(ABC):
    """One engine with one table of trades."""

    name: ClassVar[str]
    warm_ups: ClassVar[int] = 1
    """Queries or commits before the timed ones: the first pays for set-up. More for what is compiled while it runs."""

    def __init__(self, cores: int) -> None:
        """Make an empty table; `cores` is how many threads the contestant may use."""
        self.cores = cores
        self.observed = 0  # deltas seen so far: a live run that observed none is void

    @abstractmethod
    def prepare(self, trades: Trades) -> Any:
        """Return a batch of new rows in the contestant's form."""

    @abstractmethod
    def append(self, batch: Any) -> None:
        """Add a prepared batch."""

    def settle(self) -> None:  # noqa: B027 - most have nothing left to do
        """Finish what `append` left for later; timed as part of the load."""

    @abstractmethod
    def row_count(self) -> int:
        """Return the number of rows, so that a load that lost some is noticed."""


class Selects(Contestant):
    """A contestant that answers queries for rows."""

    @abstractmethod
    def top(self, symbols: Sequence[str], above: float, limit: int) -> list[float]:
        """Return the highest prices above `above` among the symbols, with all columns fetched, highest first."""


class Groups(Contestant):
    """A contestant that answers grouped queries."""

    @abstractmethod
    def groups(self) -> int:
        """Aggregate sum(qty), avg, min, max of price and count by symbol; return the number of groups."""


class Aggregates(Groups):
    """A contestant that also answers queries for aggregates of expressions."""

    @abstractmethod
    def count_products(self, above: float) -> int:
        """Return how many rows have price * qty above a value."""


class Updatable(Contestant):
    """A contestant whose rows can be updated while somebody looks at them."""

    @abstractmethod
    def prepare_update(self, updates: Updates) -> Any:
        """Return a batch of updates in the contestant's form."""

    @abstractmethod
    def update(self, batch: Any) -> None:
        """Apply a prepared batch as one commit and observe every delta that follows from it."""


class Live(Updatable):
    """A contestant that keeps sessions live: filtered, with all columns, sorted by price descending."""

    @abstractmethod
    def watch(self, symbols: Sequence[str], above: float | None = None) -> None:
        """Open a session over the symbols (with a price above a bound) and observe it from now on."""


class LiveGroups(Live):
    """A contestant that also keeps a grouped session live."""

    @abstractmethod
    def watch_groups(self) -> None:
        """Open the session grouped by symbol with five aggregates and observe it from now on."""


class LiveAggregates(Updatable):
    """A contestant that keeps an aggregate of the prices current: "sum", "median" or "distinct" (their number)."""

    @abstractmethod
    def watch_aggregate(self, function: str, *, by_symbol: bool) -> None:
        """Open a session with the aggregate of all rows, or of each symbol's, and observe it from now on."""

    @abstractmethod
    def aggregate(self) -> list[float]:
        """Return what the open session holds now, by rising symbol."""
