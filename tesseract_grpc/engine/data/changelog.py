"""The bounded recent history of one relation, readable from any version down to `since`.

The changelog holds what each commit did, with before-images. It is bounded in commits and in rows, whichever comes
first, and it is trimmed in strides, so that trimming costs nothing a commit. `since` is the oldest version from which
the history is complete: the net change from any version v >= since to now can be told. A commit may stand there several
times, when it changed the relation several times (a tick of the clock does).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container
from dataclasses import dataclass
from sys import getsizeof

from tesseract_grpc.engine.data.delta import Delta, HasColumns, RowChange, fold, size_of
from tesseract_grpc.engine.data.row_fold import fold_rows
from tesseract_grpc.engine.data.vector import BoolArray

_FEW_ROWS = 4
"""From so many changes of single rows in a row on, they are folded as such before they are made a delta."""


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """How much history is kept, before it is trimmed. A commit of one row that wrote two columns takes 700 bytes."""

    commits: int = 16_384
    rows: int = 262_144


class Changelog:
    """The history of one relation."""

    def __init__(self, limits: HistoryLimits, version: int) -> None:
        self.limits = limits
        self.since = version
        self.rows = 0
        self.recorded = 0
        """All rows that it was ever told of."""
        self._entries: deque[Delta | RowChange] = deque()
        self._sizes: deque[int] = deque()
        """The bytes of the first entries, as far as they have been asked for."""
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def append(self, entry: Delta | RowChange) -> None:
        """Adds what a commit did. O(1)."""
        self._entries.append(entry)
        self.rows += len(entry)
        self.recorded += len(entry)

    @property
    def last(self) -> int:
        """The version of the last commit that it holds, or `since`."""
        return self._entries[-1].version if self._entries else self.since

    @property
    def overfull(self) -> bool:
        """Whether the history has outgrown its limits by half and should be trimmed."""
        commits, rows = self.limits.commits, self.limits.rows
        return len(self._entries) > commits + (commits >> 1) or self.rows > rows + (rows >> 1)

    @property
    def full(self) -> bool:
        """Whether the history has reached its limits, so that part of it is forgotten soon."""
        return len(self._entries) >= self.limits.commits or self.rows >= self.limits.rows

    def trimmed_since(self) -> int:
        """What `since` must become so that the history is within its limits; the newest commit stays. O(stride)."""
        commits, rows, since = len(self._entries), self.rows, self.since
        for entry in self._entries:
            if commits <= 1 or (commits <= self.limits.commits and rows <= self.limits.rows):
                break
            commits, rows, since = commits - 1, rows - len(entry), entry.version
        return since

    def forget(self, since: int) -> None:
        """Forgets what was done up to a version."""
        entries = self._entries
        if entries and entries[-1].version <= since:
            entries.clear()
            self._sizes.clear()
            self.rows = self._bytes = 0
        while entries and entries[0].version <= since:
            self.rows -= len(entries.popleft())
            if self._sizes:
                self._bytes -= self._sizes.popleft()
        self.since = max(self.since, since)

    def net(self, after: int, version: int, relation: HasColumns) -> Delta:
        """The net change from version `after` to now. The caller guarantees after >= since. O(changes log)."""
        return fold(version, self.deltas(after, relation), relation)

    def deltas(self, after: int, relation: HasColumns, until: int | None = None) -> list[Delta]:
        """What was done after one version, up to another: deltas that give the net change when they are folded.

        Those of commits of many rows, and between them what commits of single rows have in common.
        """
        assert after >= self.since, "the history does not reach back so far"
        found: list[Delta] = []
        rows: list[RowChange] = []  # the changes of single rows before the entries in `found`; all of it backwards
        for entry in reversed(self._entries):
            if entry.version <= after:
                break
            if until is not None and entry.version > until:
                continue
            if isinstance(entry, RowChange):
                rows.append(entry)
                continue
            if rows:
                found.extend(_as_deltas(rows, relation, newest=until is None and not found))
                rows = []
            found.append(entry)
        if rows:
            found.extend(_as_deltas(rows, relation, newest=until is None and not found))
        found.reverse()
        return found

    def only_after(self, after: int) -> RowChange | None:
        """The one entry after a version, when it is just one and of a single row."""
        entries = self._entries
        if not entries or (len(entries) > 1 and entries[-2].version > after):
            return None
        entry = entries[-1]
        return entry if isinstance(entry, RowChange) and entry.version > after else None

    def count_after(self, after: int) -> int:
        """The number of commits after a version."""
        count = 0
        for entry in reversed(self._entries):
            if entry.version <= after:
                break
            count += 1
        return count

    def mark_codes(self, positions: Container[int], used: BoolArray) -> None:
        """Marks the codes in the before-images of columns. O(entries)."""
        for entry in self._entries:
            if isinstance(entry, RowChange):
                for position, value in entry.before.items():
                    if position in positions and value is not None:
                        used[int(value)] = True
                continue
            for images in (entry.before, entry.removed_before):
                for position, (values, _) in images.items():
                    if position in positions:
                        used[values] = True

    def memory_bytes(self) -> int:
        """The memory held, in bytes. O(entries since it was asked for last)."""
        entries, sizes = self._entries, self._sizes
        fresh = [size_of(entry) for entry, _ in zip(reversed(entries), range(len(entries) - len(sizes)), strict=False)]
        sizes.extend(reversed(fresh))
        self._bytes += sum(fresh)
        return self._bytes + getsizeof(entries)

    def check(self) -> None:
        """Proves the invariants: versions rise, the row count is right."""
        versions = [entry.version for entry in self._entries]
        assert versions == sorted(versions), "changelog versions fall"
        assert not versions or versions[0] > self.since, "the changelog begins before `since`"
        assert self.rows == sum(map(len, self._entries)), "the changelog's row count is wrong"
        assert len(self._sizes) <= len(self._entries) and self._bytes == sum(self._sizes), "its size is wrong"


def _as_deltas(rows: list[RowChange], relation: HasColumns, *, newest: bool) -> list[Delta]:
    """Changes of single rows, the newest first, as deltas, the newest first.

    Only the newest of all can be folded as such: of columns that were written in other rows alone, folding takes the
    values that there are now for those before, and later changes may have written them.
    """
    if len(rows) < _FEW_ROWS or not newest:
        return [row.to_delta(relation) for row in rows]
    return [fold_rows(rows[0].version, rows[::-1], relation)]
