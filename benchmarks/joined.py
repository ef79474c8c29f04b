"""join3: a session of flights with the names of their airlines, planes and airports, while flights and names change.

336,776 flights; batches of a hundred updates (`flights`). One reader follows the whole session. Who has no live queries
asks the whole question anew after each batch and fetches the answer, which is how its users keep a view current.
"""

from __future__ import annotations

import gc
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from benchmarks.flights import BATCH, FlightUpdates, make_updates, read_tables
from benchmarks.measure import Stopwatch, percentile
from benchmarks.workload import OURS, Figure, Figures, Settings

METRIC = "join3"
BATCHES = 200
PEERS = ("deephaven", "duckdb", "polars")

Totals = tuple[int, int, dict[str, int]]
"""Rows of the session, the sum of their departure delays, and how many rows show each airline."""


class Joins(ABC):
    """A contestant that joins flights with airlines (by carrier), planes (by tailnum, where there is one) and airports
    (by dest, where there is one), and shows the name of the airline, maker, model and year of the plane and the name
    of the destination beside all columns of the flight."""

    name: ClassVar[str]
    warm_ups: ClassVar[int] = 1

    def __init__(self, cores: int, tables: dict[str, Any]) -> None:
        """Loads the four tables and opens the session; a reader then follows it."""
        self.observed = 0  # rows that the reader has been told

    @abstractmethod
    def prepare(self, updates: FlightUpdates) -> Any:
        """Return a batch in the contestant's form; not timed."""

    @abstractmethod
    def update(self, batch: Any) -> None:
        """Apply a prepared batch and observe every row of the session that it changes."""

    @abstractmethod
    def totals(self) -> Totals:
        """Return what the session holds now."""


@dataclass(slots=True)
class _Truth:
    """What the session must hold, kept by NumPy."""

    tables: dict[str, Any]
    delays: Any = field(init=False)
    names: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.delays = self.tables["flights"]["dep_delay"].fill_null(0).to_numpy().copy()
        airlines = self.tables["airlines"]
        self.names = dict(zip(airlines["carrier"].to_pylist(), airlines["name"].to_pylist(), strict=True))

    def note(self, updates: FlightUpdates) -> None:
        self.delays[updates.flight_id - 1] = updates.dep_delay
        if updates.renamed is not None:
            self.names[updates.renamed[0]] = updates.renamed[1]

    def totals(self) -> Totals:
        counted = self.tables["flights"]["carrier"].value_counts().to_pylist()
        return (
            len(self.delays),
            int(np.sum(self.delays)),
            {self.names[each["values"]]: each["counts"] for each in counted},
        )


def run(name: str, settings: Settings) -> Figures:
    """Follows updates of random flights for a second at least; the rate is that of flights updated."""
    tables = read_tables(settings.scale)
    contestant, truth = _open(name, settings.cores, tables), _Truth(tables)
    fresh = make_updates(tables, settings.seed)
    for updates in (next(fresh) for _ in range(contestant.warm_ups)):
        truth.note(updates)
        contestant.update(contestant.prepare(updates))
    contestant.observed = 0
    gc.collect()
    gc.freeze()
    commits = 0
    watch = Stopwatch("live")
    least = min(1.0 * settings.scale, settings.seconds)
    while watch.wall < least or commits < min(settings.scaled(BATCHES, least=3), BATCHES):
        updates = next(fresh)
        truth.note(updates)
        prepared = contestant.prepare(updates)
        with watch:
            contestant.update(prepared)
        commits += 1
        if watch.wall > settings.seconds:
            break
    if contestant.observed < commits * BATCH * 0.9:  # by chance an update changes nothing
        raise AssertionError(f"{name} observed {contestant.observed} rows in {commits} batches: the run is void")
    if (found := contestant.totals()) != (expected := truth.totals()):
        raise AssertionError(f"{name} holds {found!s:.300} instead of {expected!s:.300}")
    return {METRIC: _rate(watch, commits, contestant)}


def _rate(watch: Stopwatch, commits: int, contestant: Joins) -> Figure:
    rows = commits * BATCH
    detail = {
        "cpu/s": rows / watch.cpu if watch.cpu else 0.0,
        "p50_ms": percentile(watch.laps, 50) * 1e3,
        "p99_ms": percentile(watch.laps, 99) * 1e3,
        "rows_a_commit": contestant.observed / commits,
    }
    return Figure(rows / watch.wall, detail)


def _open(name: str, cores: int, tables: dict[str, Any]) -> Joins:
    if name == OURS:
        from benchmarks.ours_joined import OursJoined

        return OursJoined(cores, tables)
    if name == "duckdb":
        from benchmarks.peers.duckdb_joined import DuckDBJoined

        return DuckDBJoined(cores, tables)
    if name == "polars":
        from benchmarks.peers.polars_joined import PolarsJoined

        return PolarsJoined(cores, tables)
    if name == "deephaven":
        from benchmarks.peers.deephaven_joined import DeephavenJoined

        return DeephavenJoined(cores, tables)
    raise ValueError(f"{name!r} joins nothing")
