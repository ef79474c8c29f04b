"""How time, memory and percentiles are measured."""

from __future__ import annotations

import cProfile
import gc
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import psutil

PROFILERS: dict[str, cProfile.Profile] = {}  # by part: whoever puts one here gets the timed sections of that part


@dataclass(slots=True)
class Stopwatch:
    """Adds up the wall time and the CPU time of the sections it is wrapped around; `part` names what they are."""

    part: str
    wall: float = 0.0
    cpu: float = 0.0
    laps: list[float] = field(default_factory=list)  # wall seconds of each section
    _wall_start: float = 0.0
    _cpu_start: float = 0.0

    def __enter__(self) -> Self:
        if profiler := PROFILERS.get(self.part):
            profiler.enable()
        self._cpu_start = time.process_time()
        self._wall_start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        lap = time.perf_counter() - self._wall_start
        self.cpu += time.process_time() - self._cpu_start
        if profiler := PROFILERS.get(self.part):
            profiler.disable()
        self.wall += lap
        self.laps.append(lap)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of the values do not exceed (nearest rank)."""
    if not values:
        raise ValueError("a percentile needs at least one value")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def resident_bytes(pid: int | None = None) -> int:
    """Return the resident memory of a process (this one by default), after what is garbage here is gone."""
    if pid is None:
        gc.collect()
    return int(psutil.Process(pid).memory_info().rss)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time, user and system, that a process with its threads has used so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
