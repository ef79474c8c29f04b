"""Debug records and events of a hub as lines for people.

    12:30:05.123 WARNING slow_query  a query took 310.2 ms  table=users 310.2 ms @17
        order: by name (3 rows)
    @17 table_created users (id, name)

Names and texts come from strangers: nothing of them controls a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator

from tesseract_grpc.client import DebugRecord, HubEvent

_LONG = ("plan", "trace")
"""Details of several lines, which stand below the record."""


def record_lines(record: DebugRecord) -> Iterator[str]:
    """The lines of one record."""
    if record.missed:
        yield f"... {record.missed} records were missed: they came faster than they were read"
    about = {"table": record.table, "session": record.session, "request_id": record.request_id}
    about |= {name: value for name, value in record.details.items() if name not in _LONG}
    facts = [f"{name}={value}" for name, value in about.items() if value]
    if record.duration is not None:
        facts.append(f"{record.duration * 1_000:,.3f} ms")
    time = record.time.strftime("%H:%M:%S.%f")[:-3]
    head = (
        f"{time} {record.level.upper():7} {record.kind:10} {record.message}  {' '.join((*facts, f'@{record.version}'))}"
    )
    yield printable(head)
    for name in _LONG:
        for line in record.details.get(name, "").splitlines():
            yield f"    {printable(line)}"


def event_line(event: HubEvent) -> str:
    """The line of one event."""
    match event.kind:
        case "table_created" | "table_altered":
            what = f"{event.table} ({', '.join(str(column['name']) for column in event.columns)})"
        case "table_renamed":
            what = f"{event.old_name} to {event.table}"
        case "tables_swapped":
            what = f"{event.table} and {event.other}"
        case "session_opened" | "session_edited":
            what = f"{event.session} of {event.table}" if event.table else event.session
        case "session_closed":
            what = f"{event.session}: {event.reason}" if event.reason else event.session
        case "hub_state":
            what = f"{event.state}: {event.message}" if event.message else event.state
        case _:
            what = event.table or event.session
    return printable(f"@{event.version} {event.kind} {what}{' (missed)' if event.missed else ''}")


def printable(text: str) -> str:
    """The text without what would control a terminal."""
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
