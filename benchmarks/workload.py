"""What a workload is, and what a run of it yields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum

OURS = "ours"


class Better(StrEnum):
    """Which direction of a figure is the good one."""

    HIGHER = "higher"
    LOWER = "lower"

    def ratio(self, ours: float, peer: float) -> float:
        """Return how many times better ours is than the peer's: above 1 where ours is better."""
        above, below = (ours, peer) if self is Better.HIGHER else (peer, ours)
        return above / below if below else float("inf")


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure that a workload yields: one entry of the results."""

    name: str
    unit: str
    better: Better
    about: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; `detail` holds what explains it (CPU time, percentiles), by name with the unit in it."""

    value: float
    detail: dict[str, float] = field(default_factory=dict)


Figures = dict[str, Figure]  # by name of the metric


@dataclass(frozen=True, slots=True)
class Settings:
    """How one run is made. `scale` shrinks the data and the work; figures of another scale than 1 do not compare."""

    scale: float = 1.0
    seed: int = 20261122
    seconds: float = 10.0  # a timed section ends after this long, even when it has work left
    cores: int = 1  # cores that an in-process contestant may use; the wire uses all

    def __post_init__(self) -> None:
        if self.scale <= 0 or self.seconds <= 0 or self.cores < 1:
            raise ValueError("scale and seconds must be positive, cores at least 1")

    def scaled(self, number: int, least: int = 1) -> int:
        """Return a size at this scale, at least `least`."""
        return max(least, round(number * self.scale))

    def to_json(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Workload:
    """Work that contestants are measured by. `run` takes the contestant's name; it runs in a process of its own."""

    name: str
    metrics: tuple[Metric, ...]
    contestants: tuple[str, ...]
    run: Callable[[str, Settings], Figures]
    slow: tuple[str, ...] = ()  # contestants that take minutes; they run only when asked for
    pinned: bool = True  # whether the process is held to `Settings.cores` cores
    prepare: Callable[[Settings], str] = lambda _: ""  # once before all runs; says what this machine lacks, in words
