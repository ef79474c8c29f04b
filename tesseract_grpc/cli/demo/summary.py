"""What the demo says at the end, for people and as one JSON object."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

FLAT_OUT = 1_000_000
"""From this speed on there is no waiting: a day would pass in a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of one run. Rates are per second of the phase that they belong to, latencies in milliseconds; `speed`
    is the seconds of 2013 that were to pass in one second."""

    tables: int
    rows_loaded: int
    load_seconds: float
    rows_per_second: int
    days: float
    speed: float
    commits: int
    replay_seconds: float
    commits_per_second: float
    deltas: int
    deltas_per_second: float
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    latency_samples: int
    sessions: int
    mirrors: str
    duckdb: str
    differences: tuple[str, ...]
    total_seconds: float

    @property
    def equal(self) -> bool:
        """Whether every mirror was equal to a fresh query, and to DuckDB's answer where it is installed."""
        return self.mirrors == "equal" and self.duckdb != "different"

    def as_object(self) -> dict[str, Any]:
        """The summary for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The summary for people."""
        latency = "no samples"
        if self.latency_p50_ms is not None and self.latency_p99_ms is not None:
            latency = f"p50 {self.latency_p50_ms:.1f} ms, p99 {self.latency_p99_ms:.1f} ms"
        return [
            f"loaded:  {self.rows_loaded:,} rows into {self.tables} tables in {self.load_seconds:.1f} s, "
            f"{self.rows_per_second:,} rows/s",
            f"replay:  {self.days:.1f} days in {self.replay_seconds:.1f} s, {self._pace()}: {self.commits:,} commits "
            f"({self.commits_per_second:,.0f}/s), {self.deltas:,} deltas ({self.deltas_per_second:,.0f}/s)",
            f"latency: commit to client {latency} ({self.latency_samples:,} samples)",
            f"mirrors: {self.mirrors}",
            f"duckdb:  {self._opinion()}",
            *(f"  {difference}" for difference in self.differences),
        ]

    def _opinion(self) -> str:
        """What DuckDB says to the boards."""
        if self.duckdb == "not installed":
            return "not installed, so the boards were compared with fresh queries alone (pip install duckdb)"
        return f"{self.duckdb} (its answers to the questions of all {self.sessions} boards, over the rows written)"

    def _pace(self) -> str:
        """How fast the replay was meant to be, which bounds how fast it was."""
        return "as fast as it goes" if self.speed > FLAT_OUT else f"{self.speed:,.0f} times as fast as life"
