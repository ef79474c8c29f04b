# Generated from tesseract_grpc/client/aio/schema_lock.py by tools/generate_sync_client.py: edit that file and run it.
"""One migrator at a time: a row that only one can add, and that the one who has it keeps moving.

Clocks of machines differ, so nobody compares them. Whoever finds the lock taken looks at the version of its row; when
that has not moved for a whole lease, its owner is gone, and the row is taken over on the condition that it still has
that version. An owner that was only slow finds out with its next note in the history, which has the condition that the
lock is still its own.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import time
from datetime import UTC, datetime
from typing import Self
from uuid import uuid4

from ..core.errors import AlreadyExists, NotFound, PreconditionFailed, TesseractError
from ..core.writes import Condition, WriteBatch
from ..evolve.errors import SchemaMigrationFailed, SchemaReason
from .runtime import Background, Gate
from .tesseract import Tesseract

SECONDS_BETWEEN_LOOKS = 0.5
ROW = "migrations"


def who_am_i() -> str:
    """Who migrates, for people."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}:{os.getpid()}"


class SchemaLock:
    """The lock of one hub's migrations. Use it in a `with` block."""

    def __init__(self, table: Tesseract, lease: float, timeout: float) -> None:
        self._table, self._lease, self._timeout = table, lease, timeout
        self._owner = f"{who_am_i()} {uuid4().hex[:8]}"
        self._gate = Gate()
        self._beat = 0
        self._held = False
        self._keeper: Background | None = None

    def __enter__(self) -> Self:
        """Waits for the lock. Raises SchemaMigrationFailed (LOCKED) when that takes too long."""
        deadline = time.monotonic() + self._timeout
        seen, since = -1, time.monotonic()
        while not self._take(seen if time.monotonic() - since >= self._lease else None):
            found = self._table.get_many([ROW])
            if not found:
                continue
            version = found.row_versions[0]
            if version != seen:
                seen, since = version, time.monotonic()
            if time.monotonic() >= deadline:
                message = f"{found[0]['owner']} migrates since {found[0]['since']:%H:%M:%S} UTC"
                hint = f"wait for it; one that was killed is passed over after {self._lease:g} s without a sign of life"
                raise SchemaMigrationFailed(SchemaReason.LOCKED, message, hint=hint)
            self._gate.wait_for(lambda: False, min(SECONDS_BETWEEN_LOOKS, self._lease / 4))
        self._held = True
        self._keeper = Background(self._keep, "tesseract-schema-lock")
        return self

    def __exit__(self, *_: object) -> None:
        self._held = False
        self._gate.notify()
        if self._keeper is not None:
            self._keeper.join()
        with contextlib.suppress(TesseractError):  # it is somebody else's by now, or the hub is away: the lease ends
            self._table.remove(ROW, condition=self._mine())

    def guard(self, batch: WriteBatch) -> WriteBatch:
        """The batch with the condition that the lock is still this migrator's."""
        self._beat += 1
        return batch.update(self._table, {"id": ROW, "beat": self._beat}, condition=self._mine())

    def _take(self, abandoned: int | None) -> bool:
        """Adds the row; or takes it over at the version at which it was abandoned."""
        row = {"id": ROW, "owner": self._owner, "since": datetime.now(UTC), "beat": 0}
        try:
            self._table.add(row)
        except AlreadyExists:
            pass
        else:
            return True
        if abandoned is None:
            return False
        try:
            self._table.update(row, condition=Condition(if_version=abandoned))
        except (PreconditionFailed, NotFound):
            return False
        return True

    def _keep(self) -> None:
        """Moves the row while it is held."""
        while not self._gate.wait_for(lambda: not self._held, self._lease / 3):
            try:
                self._beat += 1
                self._table.update({"id": ROW, "beat": self._beat}, condition=self._mine())
            except (PreconditionFailed, NotFound):
                return  # lost: the next note in the history finds out
            except TesseractError:
                continue  # the hub is away

    def _mine(self) -> Condition:
        return Condition(if_filter=[{"field": "owner", "comparison": "==", "value": self._owner}])
