"""Makes the records of a hub whose debug mode is on. One function for each thing that can happen.

Texts are written here, from names, counts and reasons. What a client sent or an error says may hold values, so it gets
into a record only where values were asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.debug.record import MOST_ID, Detail, Level, Record
from tesseract_grpc.server.debug.ring import Ring
from tesseract_grpc.server.debug.settings import Settings
from tesseract_grpc.server.debug.subject import Subject
from tesseract_grpc.server.errors import Refusal
from tesseract_grpc.server.status import cut

ROWS_SHOWN = 5
"""So many refused rows are told where values are asked for."""

_NUMBERS = frozenset({"limit", "maximum", "pending", "role", "error_id", "hub"})
"""What the metadata of a refusal holds of our own: names of limits, numbers, ids."""
_FIELD = re.compile(r"[a-z_]+(\[\d+\])?")
_FIELDS = frozenset(
    field.name
    for file in {service.file for service in twin.SERVICES}
    | {m.DESCRIPTOR.file for m in (twin.query.Query, twin.schema.Table)}
    for message in file.message_types_by_name.values()
    for field in message.fields
) | {"update_mask"}
_COUNTS = ("inserted", "updated", "deleted", "skipped")
_NOTHING: Mapping[str, Detail] = {}
_NONE = Subject()


class Recorder:
    """Makes records and keeps them in the ring. All of it is for the loop's thread."""

    def __init__(self, ring: Ring, settings: Settings, clock: Callable[[], float], version: Callable[[], int]) -> None:
        self.ring = ring
        self.settings = settings
        self.slow_query = settings.slow_query
        self._least = settings.level
        self._all = settings.level <= Level.DEBUG  # whether what happens all the time is recorded
        self._values = settings.include_values
        self._clock = clock
        self._version = version

    def wants(self, level: Level) -> bool:
        """Whether records of this level are kept."""
        return level >= self._least

    def make(
        self,
        level: Level,
        kind: str,
        message: str,
        *,
        subject: Subject = _NONE,
        version: int | None = None,
        seconds: float | None = None,
        more: Mapping[str, Detail] = _NOTHING,
        **details: Detail,
    ) -> Record:
        """A record of the present moment, which nobody keeps yet. `more` are details whose names are not ours."""
        return Record(
            self._clock(),
            level,
            kind,
            message,
            self._version() if version is None else version,
            subject.request_id[:MOST_ID],
            subject.table,
            subject.session,
            seconds,
            {**details, **more},
        )

    def add(self, level: Level, kind: str, message: str, **about: Any) -> None:
        """Keeps a record of the present moment, where its level is wanted; `about` is that of `make`. O(1)."""
        if level >= self._least:
            self.ring.add(self.make(level, kind, message, **about))

    # Calls

    def called(self, method: str, subject: Subject, seconds: float, code: str) -> None:
        """A call has ended."""
        if self._all:
            message, details = f"{method} ended with {code}", {"code": code}
            self.ring.add(self._plain("call", message, subject, self._version(), seconds, details))

    def refused(self, method: str, subject: Subject, refusal: Refusal, seconds: float | None) -> None:
        """A request was answered with a refusal."""
        if not self.wants(Level.WARNING):
            return
        details: dict[str, Detail] = {"reason": str(refusal.reason), "code": refusal.code.name}
        if refusal.field and (field := safe_field(refusal.field)):
            details["field"] = field
        details.update(self._metadata(refusal.metadata))
        if refusal.rows is not None:
            details["refused_rows"] = refusal.rows.total
            details["row_reasons"] = ", ".join(sorted({str(each.reason) for each in refusal.rows.problems}))
        if self._values:
            details["message"] = cut(refusal.message)
            if refusal.rows is not None:
                shown = refusal.rows.problems[:ROWS_SHOWN]
                details["rows"] = "; ".join(f"row {each.row}: {cut(each.message)}" for each in shown)
        message = f"{method} refused: {refusal.reason}"
        self.add(Level.WARNING, "refusal", message, subject=subject, seconds=seconds, more=details)

    def failed(self, method: str, subject: Subject, error: BaseException, error_id: str, trace: list[str]) -> None:
        """A call met a bug. The message of the exception is left out: it may hold a value."""
        what = type(error).__name__
        message = f"{method} failed: {what}"
        self.add(
            Level.ERROR, "error", message, subject=subject, error=what, error_id=error_id, trace="\n".join(trace[-12:])
        )

    def _metadata(self, metadata: Mapping[str, str]) -> dict[str, Detail]:
        return {name: value for name, value in metadata.items() if self._values or name in _NUMBERS}

    # Changes

    def applied(self, request: Message | None, response: Any, seconds: float, waited: float | None) -> None:
        """A change was applied: a commit of rows, or a tick of the clock. Definitions tell of themselves."""
        if not self._all:
            return
        if request is None:
            self.ring.add(self._plain("commit", "the clock was moved", _NONE, self._version(), seconds, _NOTHING))
        elif isinstance(request, twin.table_service.WriteRequest):
            details = _counted(response.results)
            if waited is not None:
                details["log_ms"] = waited * 1_000
            # What was applied has good names, so they need not be looked at again.
            table = request.operations[0].table.rpartition("/")[2]
            subject = Subject(table=table, request_id=request.request_id[:MOST_ID])
            self.ring.add(self._plain("commit", "rows were written", subject, response.version, seconds, details))

    def _plain(
        self, kind: str, message: str, subject: Subject, version: int, seconds: float, details: Mapping[str, Detail]
    ) -> Record:
        """A record of what happens all the time: made in one step, for it costs whoever waits for an answer."""
        return Record(
            self._clock(),
            Level.DEBUG,
            kind,
            message,
            version,
            subject.request_id,
            subject.table,
            subject.session,
            seconds,
            details,
        )

    def table(self, what: str, table: str, request_id: str = "", **details: Detail) -> None:
        """The definition of a table was changed."""
        message = f"table {table} was {what}"
        self.add(Level.INFO, "table", message, subject=Subject(table=table, request_id=request_id), **details)

    def session(self, what: str, session: str, table: str = "", request_id: str = "", **details: Detail) -> None:
        """A session was opened, edited or closed."""
        subject = Subject(session=session, table=table, request_id=request_id)
        self.add(Level.INFO, "session", f"session {session} was {what}", subject=subject, **details)

    def hub(self, state: str, level: Level = Level.INFO, **details: Detail) -> None:
        """The hub as a whole is another one."""
        self.add(level, "hub", state, **details)

    # Reads

    def queried(self, subject: Subject, seconds: float, rows: int, total: int, version: int) -> None:
        """Something was read."""
        message = f"{rows} of {total} rows were read"
        self.add(
            Level.DEBUG, "query", message, subject=subject, seconds=seconds, version=version, rows=rows, total=total
        )

    # Watches

    def watch_opened(self, watch_id: str, peer: str, subject: Subject, subjects: int) -> None:
        """Somebody watches."""
        details: dict[str, Detail] = {"watch_id": watch_id, "peer": peer}
        if subjects > 1:
            details["subjects"] = subjects
        self.add(Level.INFO, "watch", "a watch was opened", subject=subject, **details)

    def watch_turned(self, watch_id: str, state: str, lag: int) -> None:
        """A watch is in another state."""
        self.add(Level.DEBUG, "watch", f"a watch is {state}", watch_id=watch_id, state=state, lag_versions=lag)

    def watch_slow(self, watch_id: str, peer: str) -> None:
        """A watch is ended because its reader does not read."""
        self.add(
            Level.WARNING,
            "watch",
            "a watch is ended: its reader does not read",
            watch_id=watch_id,
            peer=peer,
            reason="SLOW_READER",
        )

    def watch_closed(self, watch_id: str, subject: Subject, seconds: float, sent_bytes: int, conflations: int) -> None:
        """Nobody reads a watch any more."""
        self.add(
            Level.INFO,
            "watch",
            "a watch was closed",
            subject=subject,
            seconds=seconds,
            watch_id=watch_id,
            sent_bytes=sent_bytes,
            conflations=conflations,
        )

    # The log

    def flushed(self, records: int, size: int, seconds: float) -> None:
        """The log was flushed."""
        message = f"{records} changes were flushed"
        self.add(Level.DEBUG, "log", message, seconds=seconds, records=records, bytes=size)

    def snapshot(self, position: int, version: int, size: int, seconds: float) -> None:
        """A snapshot was written."""
        self.add(
            Level.INFO,
            "snapshot",
            "a snapshot was written",
            version=version,
            seconds=seconds,
            position=position,
            bytes=size,
        )

    def not_written(self, kind: str, error: BaseException) -> None:
        """The log or a snapshot could not be written. What the disk says has no values in it, but paths."""
        what = "log" if kind == "log" else "snapshot"
        self.add(Level.ERROR, kind, f"the {what} could not be written", error=type(error).__name__)


def _counted(results: Sequence[Any]) -> dict[str, Detail]:
    """What was done to rows, by all operations of a commit."""
    found: dict[str, Detail] = {"operations": len(results)}
    for name in _COUNTS:
        count = sum(getattr(result, name) for result in results)
        if count:
            found[name] = count
    return found


def safe_field(path: str) -> str:
    """The path of a field as far as it is made of names of the protocol: what follows may be anything. O(path)."""
    found = []
    for part in path.split("."):
        if not _FIELD.fullmatch(part) or part.partition("[")[0] not in _FIELDS:
            break
        found.append(part)
    return ".".join(found)
