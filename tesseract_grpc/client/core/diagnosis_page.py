"""Diagnoses as one HTML page that needs nothing else: styles and plots are in it, and there are no scripts.

Names of columns, values and messages come from strangers. The template escapes everything that is put into it; plots
are rectangles whose numbers are worked out here, and whose texts the template puts in. The page forbids itself all
scripts, frames and connections.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import diagnosis_words as words
from .diagnosis import CacheStats, ColumnProfile, Diagnosis

WIDTH, HEIGHT = 280, 56
"""Pixels of a plot of a column."""
_SHADES = ("columns", "indexes", "keys", "rows", "history")


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a plot, in pixels, and what it says."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, in hundredths, and what it says."""

    name: str
    start: float
    width: float
    label: str


def page(title: str, tables: Sequence[Diagnosis], caches: Mapping[str, CacheStats] | None) -> str:
    """The page. O(everything that is on it)."""
    text: str = _template().render(
        title=title,
        tables=tables,
        caches=caches,
        bars=bars,
        frequencies=frequencies,
        memory=memory_shares,
        width=WIDTH,
        height=HEIGHT,
        words=words,
    )
    return text


@functools.cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # only who wants a page waits for it

    environment = Environment(
        loader=PackageLoader("tesseract_grpc.client.core", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        size=words.size, duration=words.duration, moment=words.moment, value=words.value, clean=words.clean
    )
    return environment.get_template("diagnosis.html")


def bars(column: ColumnProfile) -> list[Bar]:
    """The histogram of a column."""
    counts = column.histogram
    most = max(counts, default=0)
    if not most:
        return []
    step = WIDTH / len(counts)
    return [
        Bar(
            round(at * step, 2),
            round(HEIGHT - HEIGHT * count / most, 2),
            round(max(step - 1, 1), 2),
            round(HEIGHT * count / most, 2),
            f"{count:,}",
        )
        for at, count in enumerate(counts)
    ]


def frequencies(column: ColumnProfile, rows: int) -> list[Share]:
    """The most frequent values of a column, as parts of all rows."""
    return [
        Share(words.value(value), 0.0, round(100 * count / max(rows, 1), 2), f"{count:,}")
        for value, count in column.top_values
    ]


def memory_shares(diagnosis: Diagnosis) -> list[Share]:
    """What holds the memory of a table, one part beside the other."""
    found: list[Share] = []
    start, total = 0.0, max(diagnosis.memory.total, 1)
    for name in _SHADES:
        held: int = getattr(diagnosis.memory, name)
        width = 100 * held / total
        found.append(Share(name, round(start, 2), round(width, 2), words.size(held)))
        start += width
    return found
