"""Where a server can be killed: the points of its work at which a mistake would lose something.

The server's own code has no hooks. In the process that is to die, `arm` puts wrappers around the methods that make up a
commit, a snapshot and a recovery, and the chosen one kills the process when it is passed for the n-th time. SIGKILL to
oneself is delivered before the next instruction: nothing is flushed, closed or said.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterable
from functools import partial, wraps
from pathlib import Path
from typing import Any

from tesseract_grpc.server.journal import Journal
from tesseract_grpc.store.snapshot_files import SnapshotFile, SnapshotFiles
from tesseract_grpc.store.sqlite_log import SqliteLog

VARIABLE = "CRASH_AT"
"""The environment variable that says where and when: `flush.commit:17`."""

POINTS: dict[str, int] = {
    "append.before": 400,
    "append.after": 400,
    "flush.before": 150,
    "flush.inside": 150,
    "flush.commit": 150,
    "flush.after": 150,
    "apply.before": 400,
    "apply.after": 400,
    "ack.before": 400,
    "snapshot.before": 3,
    "snapshot.inside": 20,
    "snapshot.keep": 3,
    "snapshot.rename": 3,
    "snapshot.renamed": 3,
    "snapshot.after": 3,
    "snapshot.forget": 3,
    "snapshot.forgotten": 3,
    "trim.before": 3,
    "trim.inside": 3,
    "trim.after": 3,
    "recover.inside": 60,
}
"""Every point, and in how many passes of it the process is to have died."""


class Armed:
    """The one point of this process, and how often it is still passed."""

    def __init__(self, name: str, passes: int) -> None:
        self.name = name
        self.left = passes

    def passing(self, name: str) -> None:
        """Does not return the n-th time."""
        if name == self.name:
            self.left -= 1
            if self.left == 0:
                os.write(2, f"killed at {name}\n".encode())
                os.kill(os.getpid(), signal.SIGKILL)


def arm() -> None:
    """Arms the point that the environment names, if it names one."""
    said = os.environ.get(VARIABLE, "")
    if not said:
        return
    name, _, passes = said.partition(":")
    if name not in POINTS:
        raise ValueError(f"there is no point {name!r}")
    armed = Armed(name, int(passes))
    _around(armed, SqliteLog, "append", "append.before", "append.after")
    _around(armed, SqliteLog, "flush", "flush.before", "flush.after")
    _around(armed, SqliteLog, "trim", "trim.before", "trim.after")
    _inside_transactions(armed)
    _snapshots(armed)
    _journal(armed)


def _around(armed: Armed, owner: Any, method: str, before: str, after: str) -> None:
    """Passes a point before and one after a method."""
    original: Callable[..., Any] = getattr(owner, method)

    @wraps(original)
    def wrapped(*args: Any, **named: Any) -> Any:
        armed.passing(before)
        result = original(*args, **named)
        armed.passing(after)
        return result

    setattr(owner, method, wrapped)


def _journal(armed: Armed) -> None:
    """Around the moment at which a record is applied, before it is answered, and in the middle of a recovery."""
    apply = Journal._apply

    @wraps(apply)
    def applied(self: Journal, *args: Any) -> Any:
        if self.host.replaying:
            armed.passing("recover.inside")
            return apply(self, *args)
        armed.passing("apply.before")
        result = apply(self, *args)
        armed.passing("apply.after")
        return result

    Journal._apply = applied  # type: ignore[method-assign, assignment]
    _around(armed, Journal, "_answer", "", "ack.before")


def _inside_transactions(armed: Armed) -> None:
    """Between the statements of a transaction, and after all of them, before it is committed."""

    class Connection(sqlite3.Connection):
        trimming = False

        def executemany(self, statement: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
            every = list(rows)
            super().executemany(statement, every[: len(every) // 2])
            armed.passing("flush.inside")
            done = super().executemany(statement, every[len(every) // 2 :])
            armed.passing("flush.commit")
            return done

        def execute(self, statement: str, *args: Any) -> sqlite3.Cursor:
            done = super().execute(statement, *args)
            if statement.startswith("UPDATE start"):
                armed.passing("trim.inside")
            return done

    sqlite3.connect = partial(sqlite3.connect, factory=Connection)  # type: ignore[assignment]


def _snapshots(armed: Armed) -> None:
    """Around the file, between its pieces, around the moment at which it takes its name, and when old ones go."""
    _around(armed, SnapshotFile, "__init__", "snapshot.before", "")
    _around(armed, SnapshotFile, "add", "", "snapshot.inside")
    _around(armed, SnapshotFile, "keep", "snapshot.keep", "snapshot.after")
    _around(armed, SnapshotFiles, "forget", "snapshot.forget", "snapshot.forgotten")
    rename = Path.rename

    def renamed(self: Path, target: Any) -> Path:
        is_snapshot = self.name.startswith("snapshot-")
        if is_snapshot:
            armed.passing("snapshot.rename")
        done = rename(self, target)
        if is_snapshot:
            armed.passing("snapshot.renamed")
        return done

    Path.rename = renamed  # type: ignore[method-assign, assignment]
