"""The log of a hub: what the engine asks of whoever keeps it.

A hub is a deterministic machine over a line of entries: a snapshot and the entries after it lead to the same state,
bit for bit. The log knows nothing of what it holds. An entry is a position, a kind and bytes; a snapshot is a position
and pieces of bytes; what they mean is the business of whoever writes and reads them. Positions are the log's own line:
every entry takes one, also one that leaves the hub's version where it is.

**What the caller guarantees**: positions of entries rise by one from `last`; `append` is called by one thread; `flush`,
`trim` and writing a snapshot may each be done by one other thread at a time.

**What the log guarantees**: an entry at or below `durable` is there after a restart, as far as its durability promises.
Entries come back in order, without a gap, each as it was appended; there is never a later one without all before it.
After `LogFailed` nothing more is taken, and what was durable stays so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Protocol


class Durability(IntEnum):
    """What an acknowledged commit survives. The numbers are those of the wire."""

    MEMORY = 1
    """Nothing: it is in the memory of the process."""
    NORMAL = 2
    """The death of the process: the operating system has it."""
    FSYNC = 3
    """A loss of power: the disk has it."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry: its position, and what it says, as bytes of some kind."""

    position: int
    kind: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """The state after an entry, by its position, in pieces. The pieces can be read once."""

    position: int
    pieces: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """A snapshot: its position, when it was kept in seconds since 1970 UTC, and how large it is."""

    position: int
    time: float
    bytes: int


class SnapshotWriter(Protocol):
    """A snapshot that is being written. Its calls may come from any thread, one at a time."""

    def add(self, piece: bytes) -> None:
        """Takes a piece of at least one byte. Raises LogFailed; then the snapshot can only be discarded."""

    def keep(self, position: int) -> None:
        """Keeps all of it as the state at a durable position. Raises LogFailed, as `add`."""

    def discard(self) -> None:
        """Keeps nothing of it."""


class LogFailed(Exception):
    """The log cannot be written any more: a full disk, an I/O error. What was durable before stays."""


class LogDamaged(Exception):
    """The log cannot be read: it is not one, it is newer than this program, or something in its middle is broken."""


class HubLog(Protocol):
    """The entries of one hub and snapshots of its state, for who reads them."""

    shared: ClassVar[bool]
    """Whether it is a SharedLog, or a CommitLog."""

    @property
    def epoch(self) -> str:
        """The identity of this line of entries, chosen when the log was made."""

    @property
    def secret(self) -> bytes:
        """Bytes that only those know who have the log, chosen when it was made: what signs tokens of this epoch."""

    @property
    def durability(self) -> Durability:
        """What an entry survives once it is `durable`."""

    @property
    def since(self) -> int:
        """The position after which entries can be read."""

    @property
    def last(self) -> int:
        """The position of the newest entry that was appended, or `since`."""

    @property
    def durable(self) -> int:
        """The position up to which entries are as durable as was promised."""

    @property
    def cut(self) -> int:
        """Entries that were cut off when the log was opened: the torn tail of a crash, never acknowledged."""

    def read(self, after: int) -> Iterator[LogEntry]:
        """The durable entries after a position, which must be at least `since`. Raises LogDamaged."""

    def begin_snapshot(self) -> SnapshotWriter:
        """A new snapshot, which is kept as a whole or not at all. Raises LogFailed."""

    def load_snapshot(self, at_most: int | None = None) -> StoredSnapshot | None:
        """The newest snapshot that is whole, and that is at or before a position if there is such a one.

        None when there is none, and when all are after that position while the log still has its first entry: then
        everything can be replayed. Raises LogDamaged when the entries after it are not there.
        """

    @property
    def newest_snapshot(self) -> SnapshotInfo | None:
        """The newest snapshot that was kept, whole or not."""

    @property
    def bytes(self) -> int:
        """What entries and snapshots take, in bytes."""

    def trim(self, position: int) -> None:
        """Forgets what nobody needs who asks for the states at `position` and later.

        That is entries up to the newest snapshot at or before it, and snapshots before that one. There are always two
        snapshots to go from before anything is forgotten. Raises LogFailed; the log goes on all the same.
        """

    def close(self) -> None:
        """Flushes and lets go. A log that is closed takes nothing more."""


class CommitLog(HubLog, Protocol):
    """A log that one process has for itself: it gives the positions."""

    def append(self, entry: LogEntry) -> None:
        """Takes an entry; it is durable after a `flush`. O(1). Raises LogFailed."""

    def flush(self) -> int:
        """Makes durable what was appended, many entries at the price of one; returns `durable`. Raises LogFailed."""

    def reopen(self) -> None:
        """After LogFailed: takes entries again, if it can. What was appended and not durable may be there or not:
        `last` and `durable` say how far the log goes. Raises LogFailed, LogDamaged."""


@dataclass(frozen=True, slots=True)
class SharedEntry(LogEntry):
    """An entry of a log that several nodes share. Its name says whose it is: `<node>:<batch>:<index>`."""

    name: str
    before: str
    """The name of the entry before it; empty for the first of all."""


class LogForked(Exception):
    """The log does not hold what was applied here: it has lost it, or follows another epoch."""

    def __init__(self, message: str, epoch: str, last: int) -> None:
        super().__init__(message)
        self.epoch = epoch
        """The epoch of the line that is there."""
        self.last = last
        """The position of its last entry; 0 where it is not known."""


class LogTrimmed(Exception):
    """The entries after those that were applied here are forgotten: this node was away for too long, and begins again
    with a snapshot."""


class LogGone(Exception):
    """There is no line of entries where there was one: it was flushed, or is another store."""


class SharedLog(HubLog, Protocol):
    """A log that several nodes share: it gives the positions itself, and everybody applies what it gives to all.

    `send`, `receive` and the rest may each be called by one thread at a time.
    """

    @property
    def node(self) -> str:
        """The name of this node for as long as it has the log open; nobody else has or had it."""

    def name_of(self, position: int) -> str:
        """The name of an entry that was read not long ago, or of that of a snapshot. Raises LogFailed."""

    def send(self, number: int, batch: Sequence[tuple[int, bytes]]) -> int:
        """Appends a batch of (kind, payload), whose entries get the names `<node>:<number>:<index>`; returns the
        position of the last. `number` rises from batch to batch, and stays when one is sent again, which is taken once.

        Raises LogFailed (it may have been taken or not), LogForked, LogGone.
        """

    def receive(self, after: int, tip: str, seconds: float) -> list[SharedEntry]:
        """The entries after the one that was received last, by its position and name; waits for some for a while.

        Raises LogFailed, LogForked, LogGone, LogTrimmed, LogDamaged.
        """

    def holds(self, position: int, tip: str) -> int:
        """Makes sure that an entry is still there; returns the position of the last. Raises as `receive`."""

    def renew(self) -> str:
        """Begins a new epoch over the entries that are there, unless another node has; returns it. Raises LogFailed,
        LogGone."""

    def take(self, what: str, seconds: float) -> bool:
        """Takes or prolongs a lease; says whether this node has it. Raises LogFailed."""

    def release(self, what: str) -> None:
        """Gives a lease back. Raises LogFailed."""
