"""What has changed since: rows by their updated-at column, deletions by comparing all keys.

A look reads the rows from a little before the newest one seen on, in the order of (updated-at, key). It goes back
because a transaction that began before the last look may have committed after it, with an older time; how far it
must go back is the longest such transaction. Rows that were written in that part already are known by a hash, and are
not sent again. What this cannot see: rows whose updated-at is null or does not move, and deletions, for which all
keys of both sides have to be compared.
"""

from __future__ import annotations

from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import sqlalchemy as sa

from ..core.batch import Block
from ..core.vector import Mask, Vector
from .checksum import Checksum, Hashes, cell_hashes, key_hashes
from .database import Database
from .errors import bad_option
from .plan import Plan
from .reading import Batch, Batches, Reader


class Follower:
    """The source while it is followed. Blocking; one look after the other."""

    def __init__(self, database: Database, plan: Plan, mark: Any) -> None:
        assert plan.settings.watch is not None
        self._database, self._plan = database, plan
        self._column = plan.settings.watch
        order = (self._column, *(name for name in plan.key if name != self._column))
        self._reader = Reader(database, plan, order)
        self.mark = mark
        """The highest value seen."""
        self._seen: dict[int, int] = {}
        """The rows of the part that is read again: the hash of each by the hash of its key."""

    def look(self) -> Batches:
        """The rows that are new or have changed since the last look, in batches."""
        since = None if self.mark is None else before(self.mark, self._plan.settings.overlap)
        seen: dict[int, int] = {}
        with self._database.reading() as connection, closing(self._reader.batches(connection, since=since)) as batches:
            for batch in batches:
                fresh = self._fresh(batch.block, seen)
                self.mark = batch.last[0]
                if len(fresh):
                    yield Batch(fresh, batch.last, Checksum.of(fresh, self._plan.key_names))
        self._seen = seen

    def _fresh(self, block: Block, seen: dict[int, int]) -> Block:
        """The rows that were not seen as they are now."""
        keys = key_hashes(block, self._plan.key_names)
        rows: Hashes = np.zeros(len(block), np.uint64)
        for hashes in cell_hashes(block, self._plan.key_names).values():
            rows += hashes
        found = dict(zip(keys.tolist(), rows.tolist(), strict=True))
        known = self._seen
        new = np.fromiter((known.get(key) != row for key, row in found.items()), np.bool_, len(found))
        seen.update(found)
        return block if new.all() else chosen(block, new)

    def keys(self) -> Hashes:
        """The hashes of all keys of the source, sorted: 8 bytes a row."""
        plan = self._plan
        count = len(plan.key)
        bare = Plan(plan.relation, plan.columns[:count], plan.key, plan.settings, plan.dialect)
        parts: list[Hashes] = []
        with self._database.reading() as connection:
            parts.extend(
                key_hashes(batch.block, plan.key_names) for batch in Reader(self._database, bare).batches(connection)
            )
        found: Hashes = np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.uint64)
        return found


def highest(database: Database, plan: Plan, connection: sa.Connection) -> Any:
    """Where following begins: the highest value of the updated-at column before anything is copied."""
    assert plan.settings.watch is not None
    with database.errors("cannot read"):
        found = Reader(database, plan).highest(connection, plan.settings.watch)
    if found is not None:
        before(found, plan.settings.overlap)
    return found


def nulls(database: Database, plan: Plan, connection: sa.Connection) -> int:
    """How many rows following cannot see, because their updated-at is null."""
    assert plan.settings.watch is not None
    rows = plan.relation.rows
    with database.errors("cannot read"):
        query = sa.select(sa.func.count()).select_from(rows).where(rows.c[plan.settings.watch].is_(None))
        return int(connection.execute(query).scalar_one())


def gone(block: Block, key: tuple[str, ...], known: Hashes) -> Block:
    """The rows of the hub whose key the source does not have."""
    keys = key_hashes(block, key)
    at = np.searchsorted(known, keys)
    missing = np.ones(len(keys), np.bool_)
    inside = at < len(known)
    missing[inside] = known[at[inside]] != keys[inside]
    return chosen(Block(len(block), {name: block.columns[name] for name in key}), missing)


def chosen(block: Block, rows: Mask) -> Block:
    """Some rows of a block."""
    return Block(
        int(rows.sum()),
        {
            name: Vector(v.type, v.values[rows], None if v.valid is None else v.valid[rows], v.texts)
            for name, v in block.columns.items()
        },
    )


def before(mark: Any, overlap: float) -> Any:
    """The value that lies `overlap` before a mark. Raises MigrationFailed for what is no time and no number."""
    if isinstance(mark, datetime):
        return mark - timedelta(seconds=overlap)
    if isinstance(mark, date):
        return mark - timedelta(days=1 + int(overlap // 86_400))
    if isinstance(mark, int | float) and not isinstance(mark, bool):
        return mark - (int(overlap) if isinstance(mark, int) else overlap)
    if isinstance(mark, Decimal):
        return mark - Decimal(overlap)
    if isinstance(mark, str):  # SQLite keeps times as texts, which sort as times when all are written alike
        try:
            moment = datetime.fromisoformat(mark) - timedelta(seconds=overlap)
        except (ValueError, OverflowError):
            pass
        else:
            if len(mark) == 10:
                return (moment - timedelta(days=1)).date().isoformat()
            plain = moment.isoformat("T" if "T" in mark else " ", "microseconds" if "." in mark else "seconds")
            return plain.removesuffix("+00:00") + "Z" if mark.endswith("Z") else plain
    raise bad_option(
        f"{mark!r:.60} is neither a time nor a number, so it cannot be followed", "watch", "name an updated-at column"
    )
