"""The tables that the demo creates and the live sessions that it opens on the board.

Every session's definition is kept here as plain data, because it is used twice: to open the session, and at the end to
ask the table the same question once more and compare.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tesseract_grpc.cli.demo.flights import STATUSES

Definition = dict[str, Any]

BOARD = "board"
CARRIER = "UA"
ORIGIN = "JFK"


def column(name: str, type_name: str, **more: Any) -> Definition:
    """One column as `create_tesseract` takes it."""
    return {"name": name, "type": type_name, **more}


def _key(name: str, type_name: str) -> Definition:
    return column(name, type_name, primary_key=True)


def _columns(type_name: str, names: str) -> list[Definition]:
    return [column(name, type_name) for name in names.split()]


STATUS = column("status", "enum", enum=list(STATUSES))
FLIGHT_IDENTITY = [_key("flight_id", "int64"), *_columns("string", "carrier"), *_columns("int64", "flight")]
FLIGHT_TIMES = _columns("timestamp", "sched_dep sched_arr dep_time arr_time")

TABLES: dict[str, list[Definition]] = {
    "airlines": [_key("carrier", "string"), *_columns("string", "name")],
    "airports": [
        _key("faa", "string"),
        *_columns("string", "name"),
        *_columns("float64", "lat lon"),
        *_columns("int64", "alt tz"),
        *_columns("string", "dst tzone"),
    ],
    "planes": [
        _key("tailnum", "string"),
        *_columns("int64", "year"),
        *_columns("string", "type manufacturer model"),
        *_columns("int64", "engines seats speed"),
        *_columns("string", "engine"),
    ],
    "weather": [
        _key("origin", "string"),
        _key("time_hour", "timestamp"),
        *_columns("float64", "temp dewp humid"),
        *_columns("int64", "wind_dir"),
        *_columns("float64", "wind_speed wind_gust precip pressure visib"),
    ],
    "flights": [
        *FLIGHT_IDENTITY,
        *_columns("string", "tailnum origin dest"),
        *_columns("int64", "distance"),
        *FLIGHT_TIMES,
        *_columns("int64", "dep_delay arr_delay air_time"),
        STATUS,
    ],
}
BOARD_TABLE = [
    *FLIGHT_IDENTITY,
    *_columns("string", "origin dest"),
    *FLIGHT_TIMES,
    *_columns("int64", "dep_delay arr_delay"),
    STATUS,
]


@dataclass(frozen=True, slots=True)
class Board:
    """One live session: its definition, the window that is watched (None: all of it), and how it is shown."""

    id: str
    title: str
    filter: tuple[Definition, ...]
    sort: tuple[Definition, ...]
    window: tuple[int, int] | None
    shown: tuple[str, ...]


def _is(name: str, comparison: str, value: Any) -> Definition:
    return {"field": name, "comparison": comparison, "value": value}


def _by(name: str, direction: str = "asc") -> Definition:
    return {"field": name, "direction": direction}


def make_boards(rows: int) -> tuple[Board, ...]:
    """The sessions, with windows of `rows` rows."""
    flight = ("carrier", "flight", "origin", "dest")
    return (
        Board(
            id="worst-delays",
            title="Worst departure delays today",
            filter=(_is("dep_delay", ">=", 15),),
            sort=(_by("dep_delay", "desc"), _by("sched_dep")),
            window=(0, rows),
            shown=(*flight, "sched_dep", "dep_delay", "status"),
        ),
        Board(
            id=f"carrier-{CARRIER}",
            title=f"{CARRIER}: on the way and next to leave",
            filter=(_is("carrier", "==", CARRIER), _is("status", "in", ["scheduled", "departed"])),
            sort=(_by("sched_dep"), _by("flight")),
            window=None,
            shown=(*flight, "sched_dep", "dep_time", "status"),
        ),
        Board(
            id=f"departures-{ORIGIN}",
            title=f"{ORIGIN}: next departures",
            filter=(_is("origin", "==", ORIGIN), _is("status", "==", "scheduled")),
            sort=(_by("sched_dep"), _by("carrier"), _by("flight")),
            window=(0, rows),
            shown=(*flight, "sched_dep", "sched_arr"),
        ),
        Board(
            id="in-the-air",
            title="In the air",
            filter=(_is("status", "==", "departed"),),
            sort=(_by("sched_arr"), _by("flight_id")),
            window=None,
            shown=(*flight, "dep_time", "sched_arr"),
        ),
    )
