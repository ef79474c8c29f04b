"""What a reader is given: a snapshot, then net changes.

All rows are detached copies. A client applies a `Changes` in this order: take out `removes`, write `updates`, take out
`moves`, then put `moves` and `inserts` in at their positions, by rising position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.delta import RemoveReason
from tesseract_grpc.engine.data.schema import ColumnSchema
from tesseract_grpc.engine.data.vector import Batch

Indexes = NDArray[np.int64]


@dataclass(slots=True)
class Removes:
    """Rows that left, for one reason: their keys, and on request their last values."""

    reason: RemoveReason
    keys: Batch
    old_rows: Batch | None = None


@dataclass(slots=True)
class Updates:
    """Rows that stayed: keys and the columns that changed, all rows in the same columns; on request the old values."""

    rows: Batch
    old_values: Batch | None = None


@dataclass(slots=True)
class Moves:
    """Rows that stayed and changed place: their keys and their positions after the change."""

    keys: Batch
    indexes: Indexes


@dataclass(slots=True)
class Inserts:
    """Rows that came, complete, by rising position; `indexes` is None where rows have no order."""

    rows: Batch
    indexes: Indexes | None


@dataclass(frozen=True, slots=True)
class SessionSchema:
    """What an edit made of a session: its new generation and the columns of its rows. Of a table, which has no
    generation, what an alteration made of it.

    `reset` says that rows are named by other columns now: nothing that the reader has is of use, and it must take a
    snapshot; the changes then hold no rows. Otherwise they have an update of each row that stays, with every column
    that is new or of another type, and with those whose values differ. `replaced` says that it was not the session that
    was edited: what it reads is another table, or was altered.
    """

    generation: int
    columns: tuple[ColumnSchema, ...]
    reset: bool = False
    replaced: bool = False


@dataclass(slots=True)
class Changes:
    """The net change from one version to another, as one reader sees it. False when there is none.

    The same object is handed to all readers who stand at the same place; `encoded` is theirs to share an encoding.
    """

    from_version: int
    to_version: int
    removes: tuple[Removes, ...] = ()
    updates: tuple[Updates, ...] = ()
    moves: Moves | None = None
    inserts: Inserts | None = None
    total_count: int = 0
    total_changed: bool = False
    commits: int = 0
    skipped: int = 0  # commits that a reader who asks for each of them is not told one by one
    now_us: int = 0  # the hub's clock at `to_version`, where the rows depend on time
    encoded: object | None = None
    session_changed: SessionSchema | None = None  # it was edited or altered since: columns are these from here on

    def __bool__(self) -> bool:
        if self.session_changed is not None:
            return True
        return bool(self.removes or self.updates or self.moves or self.inserts or self.total_changed)


@dataclass(slots=True, weakref_slot=True)
class Snapshot:
    """All rows of a window at one version."""

    version: int
    rows: Batch
    total_count: int
    now_us: int = 0  # the hub's clock then, where the rows depend on time
    encoded: object | None = None
