"""The field of contestants, by name.

A contestant's library is imported when it is opened, so that the process of one contestant never pays for another's
memory or threads. A peer whose library is not installed is left out, and whoever runs the benchmark is told.
"""

from __future__ import annotations

import importlib.util
import shutil

from benchmarks.contestant import Aggregates, Contestant, Groups, Live, LiveAggregates, LiveGroups, Selects
from benchmarks.workload import OURS

PEERS = ("perspective", "deephaven", "duckdb", "polars")
LIVE_PEERS = ("perspective", "deephaven")
_PACKAGES = {
    "perspective": ("perspective", "bench"),
    "deephaven": ("deephaven_server", "deephaven"),
    "duckdb": ("duckdb", "bench"),
    "polars": ("polars", "bench"),
}
"""What is imported, and the extra that installs it."""


def missing(name: str) -> str:
    """Return what this machine lacks to run a contestant, in words; empty when it lacks nothing."""
    package, extra = _PACKAGES.get(name, ("", ""))
    if package and importlib.util.find_spec(package) is None:
        return f"{package} is not installed (pip install -e '.[{extra}]')"
    if name == "deephaven" and shutil.which("java") is None:
        return "there is no Java (version 17 or newer, for example apt-get install openjdk-17-jre-headless)"
    return ""


def open_contestant(name: str, cores: int) -> Contestant:
    """Return a contestant with an empty table, held to a number of threads."""
    return _class(name)(cores)


def open_selects(name: str, cores: int) -> Selects:
    """Return a contestant that answers queries for rows."""
    contestant = open_contestant(name, cores)
    if not isinstance(contestant, Selects):
        raise TypeError(f"{name} answers no queries for rows")
    return contestant


def open_aggregates(name: str, cores: int) -> Aggregates:
    """Return a contestant that answers queries for aggregates."""
    contestant = open_contestant(name, cores)
    if not isinstance(contestant, Aggregates):
        raise TypeError(f"{name} answers no queries for aggregates")
    return contestant


def open_groups(name: str, cores: int) -> Groups:
    """Return a contestant that answers grouped queries."""
    contestant = open_contestant(name, cores)
    if not isinstance(contestant, Groups):
        raise TypeError(f"{name} answers no grouped queries")
    return contestant


def open_live(name: str, cores: int) -> Live:
    """Return a contestant that keeps sessions live."""
    contestant = open_contestant(name, cores)
    if not isinstance(contestant, Live):
        raise TypeError(f"{name} keeps no sessions live")
    return contestant


def open_live_groups(name: str, cores: int) -> LiveGroups:
    """Return a contestant that also keeps grouped sessions live."""
    contestant = open_contestant(name, cores)
    if not isinstance(contestant, LiveGroups):
        raise TypeError(f"{name} keeps no grouped sessions live")
    return contestant


def open_live_aggregates(name: str, cores: int) -> LiveAggregates:
    """Return a contestant that keeps an aggregate current."""
    contestant = open_contestant(name, cores)
    if not isinstance(contestant, LiveAggregates):
        raise TypeError(f"{name} keeps no aggregates current")
    return contestant


def _class(name: str) -> type[Contestant]:
    if name == OURS:
        from benchmarks.ours import Ours

        return Ours
    if name == "perspective":
        from benchmarks.peers.perspective import Perspective

        return Perspective
    if name == "deephaven":
        from benchmarks.peers.deephaven import Deephaven

        return Deephaven
    if name == "duckdb":
        from benchmarks.peers.duckdb import DuckDB

        return DuckDB
    if name == "polars":
        from benchmarks.peers.polars import Polars

        return Polars
    raise ValueError(f"no contestant is called {name!r}")
