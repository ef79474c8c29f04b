"""The events of a watch as text: lines for people, JSON objects for programs, one a change.

    @7 snapshot of 2 rows, 2 in all
    @7 + 0: id=1 name=Ada               a row came, at position 0
    @8 ~ id=1: name=Countess            columns changed
    @9 > id=1: to 1                     a row moved
    @9 - id=2 (filtered)                a row left, and why
    @10 edited: id, name, total         the session was edited, and its rows have these columns from here on
    @10 stale: reconnected (...)        the stream broke, and why; what was told is of this version until more comes
    @10 resumed                         it goes on where it was: nothing was lost
    @10 live                            it is current again
    @10 lagged: 40 commits              the reader was slow, and these are told as one change

Every JSON object has `change` and `version`. Those of rows (snapshot, insert, update, move, remove, edited) have
`total_count`, and what follows a `snapshot` replaces everything before it. Those of the stream (interrupted, resumed,
live, lagged) say what happened to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from tesseract_grpc.cli.cell import as_text, json_line
from tesseract_grpc.client import Change, Delta, Event, Interrupted, Notice, Resumed, Snapshot


def event_lines(event: Event, columns: tuple[str, ...]) -> Iterator[str]:
    """The lines for people. `columns` are the ones to show, in order; empty means all."""
    if isinstance(event, Snapshot):
        reason = "" if event.reason == "first" else f" ({event.reason})"
        yield f"@{event.version} snapshot of {len(event.rows)} rows, {event.total_count} in all{reason}"
        for index, row in enumerate(event.rows):
            yield f"@{event.version} + {index}: {_pairs(_chosen(row, columns))}"
    elif isinstance(event, Delta):
        if event.edited is not None:
            yield f"@{event.version} edited: {', '.join(event.edited.columns)}"
        for change in event.changes:
            yield f"@{event.version} {_change_line(change, columns)}"


def event_objects(event: Event, columns: tuple[str, ...]) -> Iterator[str]:
    """The JSON lines for programs."""
    if isinstance(event, Snapshot):
        head = {"change": "snapshot", "version": event.version, "total_count": event.total_count}
        yield json_line(head | {"rows": len(event.rows), "reason": event.reason, "epoch": event.epoch})
        for index, row in enumerate(event.rows):
            key = {name: row[name] for name in event.key}
            came = {"change": "insert", "version": event.version, "total_count": event.total_count, "key": key}
            yield json_line(came | {"row": _chosen(row, columns), "index": index})
    elif isinstance(event, Delta):
        if event.edited is not None:
            head = {"change": "edited", "version": event.version, "total_count": event.total_count}
            yield json_line(head | {"generation": event.edited.generation, "columns": event.edited.columns})
        for change in event.changes:
            yield json_line(_change_object(change, event, columns))


def notice_line(notice: Notice) -> str:
    """What happens to the stream, for people."""
    if isinstance(notice, Interrupted):
        return f"@{notice.version} stale: {notice.reason} ({notice.message})"
    if isinstance(notice, Resumed):
        return f"@{notice.version} resumed"
    return f"@{notice.version} lagged: {notice.skipped_commits} commits"


def notice_object(notice: Notice) -> str:
    """The same for programs."""
    return json_line({"change": type(notice).__name__.lower(), **asdict(notice)})


def live_text(version: int, *, as_json: bool) -> str:
    """Says that what was told is current again."""
    return json_line({"change": "live", "version": version}) if as_json else f"@{version} live"


def _change_line(change: Change, columns: tuple[str, ...]) -> str:
    key = _pairs(change.key)
    if change.kind == "insert":
        place = "" if change.index is None else f" {change.index}:"
        return f"+{place} {_pairs(_chosen(change.row or {}, columns))}"
    if change.kind == "update":
        return f"~ {key}: {_pairs(_without_key(change))}"
    if change.kind == "move":
        return f"> {key}: to {change.index}"
    return f"- {key} ({change.reason})"


def _change_object(change: Change, delta: Delta, columns: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "change": change.kind,
        "from_version": delta.from_version,
        "version": delta.version,
        "total_count": delta.total_count,
        "key": change.key,
    }
    if change.kind == "insert":
        found["row"] = _chosen(change.row or {}, columns)
    if change.kind == "update":
        found["row"] = _without_key(change)
    if change.index is not None:
        found["index"] = change.index
    if change.reason:
        found["reason"] = change.reason
    return found


def _chosen(row: Mapping[str, Any], columns: tuple[str, ...]) -> Mapping[str, Any]:
    return {name: row[name] for name in columns if name in row} if columns else row


def _without_key(change: Change) -> dict[str, Any]:
    return {name: value for name, value in (change.row or {}).items() if name not in change.key}


def _pairs(row: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={as_text(value)}" for name, value in row.items())
