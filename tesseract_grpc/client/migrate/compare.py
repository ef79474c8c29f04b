"""Where two sides differ, when their checksums do.

Rows are sorted into buckets by a hash of their key, and each side adds the hashes of its rows bucket by bucket. Buckets
that agree are left alone; the rows of some that do not are then looked at one by one on both sides. So it takes two
more passes over both, and memory for a small part of the rows, however large the tables are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.batch import Block
from .checksum import Hashes, cell_hashes, key_hashes

BUCKETS = 4096
_SHIFT = np.uint64(64 - 12)
MOST_BUCKETS = 32
"""How many buckets are looked at row by row."""
SHOWN = 5


class Buckets:
    """The sums of one side."""

    def __init__(self, key: Sequence[str]) -> None:
        self._key = tuple(key)
        self.sums: Hashes = np.zeros(BUCKETS, np.uint64)
        self.counts = np.zeros(BUCKETS, np.int64)

    def add(self, block: Block) -> None:
        """More rows."""
        keys = key_hashes(block, self._key)
        at = (keys >> _SHIFT).astype(np.int64)
        for hashes in cell_hashes(block, self._key).values():
            np.add.at(self.sums, at, hashes)
        np.add.at(self.counts, at, 1)

    def differing(self, other: Buckets) -> list[int]:
        """The buckets that differ."""
        return [int(at) for at in np.flatnonzero((self.sums != other.sums) | (self.counts != other.counts))]


@dataclass(slots=True)
class Suspects:
    """The rows of one side in some buckets: their keys and the hashes of their cells, by the hash of the key."""

    key: tuple[str, ...]
    buckets: frozenset[int]
    rows: dict[int, tuple[tuple[Any, ...], dict[str, int]]] = field(default_factory=dict)

    def add(self, block: Block) -> None:
        """More rows; those of other buckets are passed over."""
        keys = key_hashes(block, self.key)
        wanted = np.isin((keys >> _SHIFT).astype(np.int64), list(self.buckets))
        if not wanted.any():
            return
        cells = cell_hashes(block, self.key)
        for at in np.flatnonzero(wanted).tolist():
            shown = tuple(block.columns[name].slice(at, at + 1).to_list()[0] for name in self.key)
            self.rows[int(keys[at])] = (shown, {name: int(hashes[at]) for name, hashes in cells.items()})


def explain(source: Suspects, hub: Suspects, buckets: int) -> str:
    """What differs, in words."""
    missing = [shown for at, (shown, _) in source.rows.items() if at not in hub.rows]
    extra = [shown for at, (shown, _) in hub.rows.items() if at not in source.rows]
    columns: dict[str, int] = {}
    other: list[tuple[Any, ...]] = []
    for at, (shown, cells) in source.rows.items():
        if at not in hub.rows or hub.rows[at][1] == cells:
            continue
        other.append(shown)
        theirs = hub.rows[at][1]
        for name in cells.keys() | theirs.keys():
            if cells.get(name) != theirs.get(name):
                columns[name] = columns.get(name, 0) + 1
    few = "" if buckets <= MOST_BUCKETS else f"in {MOST_BUCKETS} of {buckets} parts that differ, "
    parts = []
    if missing:
        parts.append(f"{_rows(missing)} of the database {_are(missing)} missing in the hub ({_keys(missing)})")
    if extra:
        parts.append(f"{_rows(extra)} of the hub {_are(extra)} not in the database ({_keys(extra)})")
    if other:
        named = ", ".join(f"{name} in {count}" for name, count in sorted(columns.items()))
        parts.append(f"{_rows(other)} differ{'s' * (len(other) == 1)} ({_keys(other)}; columns: {named})")
    return few + ("; ".join(parts) if parts else "nothing any more: one side has been written meanwhile")


def _rows(rows: Sequence[object]) -> str:
    return f"{len(rows):,} row" + "s" * (len(rows) != 1)


def _are(rows: Sequence[object]) -> str:
    return "is" if len(rows) == 1 else "are"


def _keys(rows: Sequence[tuple[Any, ...]]) -> str:
    """The first and the last keys."""
    try:
        rows = sorted(rows)
    except TypeError:  # nulls or a mixture
        rows = list(rows)
    shown = ["/".join(map(str, key)) for key in rows]
    if len(shown) <= SHOWN:
        return "keys " + ", ".join(shown)
    return f"keys {', '.join(shown[: SHOWN - 1])} ... {shown[-1]}"
