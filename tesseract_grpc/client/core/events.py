"""What a watch tells its reader, one object a consistent point.

`Snapshot` is the whole window; `Delta` is the net change from one version to the next; `Progress` says that nothing
else happened up to a version; `Cut` is what several sessions that are watched together were told of one version. `Gap`
is for table watches, which have no snapshot to heal with: changes between two versions were lost. A delta's rows are
columns until somebody asks; `changes` hands them out one by one, in the order in which they are to be applied.

What happens to the stream itself is told beside the rows, to the handlers of the watch: `Interrupted`, `Resumed` and
`Lagged`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from .batch import Block
from .datatype import DataType
from .hub_events import HubNews
from .rows import Row, Rows

ChangeKind = Literal["remove", "update", "move", "insert"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The complete window at one version. It replaces whatever the reader had."""

    version: int
    rows: Rows
    total_count: int
    epoch: str
    key: tuple[str, ...]
    """The names of the key columns, by which later changes name their rows."""
    reason: str = "first"
    """Why it was sent: first, reconnected, gap, or the server's reason for a reset in lower case."""

    def __repr__(self) -> str:
        return f"Snapshot(version={self.version}, {len(self.rows)} of {self.total_count} rows, reason={self.reason!r})"


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one row."""

    kind: ChangeKind
    key: Row
    """The key columns."""
    row: Row | None = None
    """insert: the complete row. update: the key and the changed columns. remove: the last row, where asked for."""
    index: int | None = None
    """insert, move: the position in the window after the whole delta. None in a table, whose rows have no order."""
    reason: str = ""
    """remove: deleted, filtered, window, expired or permission."""
    old: Row | None = None
    """update: the changed columns with their old values, where they were asked for."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Rows that left, for one reason."""

    reason: str
    keys: Block
    old: Block | None


@dataclass(frozen=True, slots=True)
class Updated:
    """Rows whose values changed, all in the same columns."""

    rows: Block
    old: Block | None


@dataclass(frozen=True, slots=True)
class Placed:
    """Rows with the positions that they have after the delta; a table's rows have none."""

    rows: Block
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Edited:
    """The session was edited or the table altered, and its rows have other columns now, in this order."""

    generation: int
    """That of the session; 0 for a table."""
    columns: tuple[str, ...]
    kept: frozenset[str]
    """The columns that rows keep from before; the delta has all others for every row that stays."""
    types: Mapping[str, DataType]
    """The types of the columns."""


@dataclass(frozen=True)
class Delta:
    """Everything that changed between two versions, to be applied as one: removes, updates, moves, inserts.

    Where `edited` is set, take the columns that are not among `edited.kept` out of the rows first."""

    from_version: int
    version: int
    total_count: int
    key: tuple[str, ...]
    removed: tuple[Removed, ...] = ()
    updated: tuple[Updated, ...] = ()
    moved: tuple[Placed, ...] = ()
    inserted: tuple[Placed, ...] = ()
    skipped_commits: int = 0
    """How many commits were folded into this delta because the reader was slow; the net effect is still exact."""
    edited: Edited | None = None
    """Set when the session was edited, or what is read was altered or exchanged: the delta leads from the rows before
    to those after it."""

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """The changes one by one, in the order in which they are to be applied."""
        return (*self._removes(), *self._updates(), *self._moves(), *self._inserts())

    @property
    def counts(self) -> dict[ChangeKind, int]:
        """How many rows left, changed, moved and came."""
        return {
            "remove": sum(len(removed.keys) for removed in self.removed),
            "update": sum(len(updated.rows) for updated in self.updated),
            "move": sum(len(placed.rows) for placed in self.moved),
            "insert": sum(len(placed.rows) for placed in self.inserted),
        }

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {kind}s" for kind, count in self.counts.items() if count)
        return f"Delta({self.from_version} -> {self.version}: {counts or 'counts only'}, total {self.total_count})"

    def _key_of(self, row: Row) -> Row:
        return {name: row[name] for name in self.key}

    def _removes(self) -> Iterator[Change]:
        for removed in self.removed:
            old: list[Any] = [None] * len(removed.keys) if removed.old is None else removed.old.to_dicts()
            for key, row in zip(removed.keys.to_dicts(), old, strict=True):
                yield Change("remove", self._key_of(key), row, reason=removed.reason)

    def _updates(self) -> Iterator[Change]:
        for updated in self.updated:
            old: list[Any] = [None] * len(updated.rows) if updated.old is None else updated.old.to_dicts()
            for row, before in zip(updated.rows.to_dicts(), old, strict=True):
                yield Change("update", self._key_of(row), row, old=before)

    def _moves(self) -> Iterator[Change]:
        for placed in self.moved:
            for row, index in zip(placed.rows.to_dicts(), placed.indexes, strict=True):
                yield Change("move", self._key_of(row), index=index)

    def _inserts(self) -> Iterator[Change]:
        for placed in self.inserted:
            indexes: tuple[int | None, ...] = placed.indexes or (None,) * len(placed.rows)
            for row, index in zip(placed.rows.to_dicts(), indexes, strict=True):
                yield Change("insert", self._key_of(row), row, index)


@dataclass(frozen=True, slots=True)
class Progress:
    """Nothing else happened up to `version`."""

    version: int
    digest: bytes = b""
    """What the server says that the digest of the rows is, where it was asked for."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A table watch lost its connection, and what happened in between is not known."""

    from_version: int
    """The last version before; 0 when the line of versions itself is another one now."""
    version: int
    """The version from which on changes are delivered again."""
    reason: str


@dataclass(frozen=True, slots=True)
class Cut:
    """What several sessions were told together: all of them are at `version` now."""

    version: int
    events: tuple[Snapshot | Delta | None, ...]
    """In the order in which the sessions were asked for; None where nothing happened."""

    def __iter__(self) -> Iterator[Snapshot | Delta | None]:
        return iter(self.events)


@dataclass(frozen=True, slots=True)
class FilterInfo:
    """A session was edited and has another filter: what a handler of `filter_change` is told beside the rows."""

    filter: list[dict[str, Any]]
    """The conditions, all of which hold, in the form that `create_session` takes; empty where every row passes."""
    previous: list[dict[str, Any]]
    """Those of before."""
    version: int
    """The version of the rows."""
    generation: int
    """Which edit of the session it was."""
    total_count: int
    """The number of rows that pass now."""


Event = Snapshot | Delta | Progress | Gap | Cut | HubNews
"""What a watch yields."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A stream was given up, or reset by the server. The rows of `version` stay until newer ones stand."""

    reason: str
    """One word: reconnected (the connection broke), ended, silence, gap, disorder, malformed, digest, token_refused, or
    the server's reason for a reset: too_old, other_epoch, definition_changed, lagged, table_changed."""
    message: str
    """The same for people."""
    version: int
    """The version up to which the rows are exact."""
    resumes: bool
    """Whether the next stream is asked to go on from there; otherwise it begins with a snapshot."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A new stream goes on where the last one broke, without a snapshot: nothing was lost."""

    version: int


@dataclass(frozen=True, slots=True)
class Lagged:
    """The reader was slow: so many commits are told as one net change. The rows stay exact."""

    version: int
    skipped_commits: int


Notice = Interrupted | Resumed | Lagged
"""What a watch tells the handlers of `on` and does not yield."""
