"""The tables that the demo creates and the live sessions that it opens on the board.

Every session's question is kept here as plain data, because it is asked twice: by the session, and once more at the
end, to compare. Beside it stands the same question in SQL, for DuckDB to answer. Its ties are broken as ours are, by
the key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tesseract_grpc.cli.demo.flights import STATUSES

Definition = dict[str, Any]
Row = Mapping[str, Any]

BOARD = "board"
CARRIER = "UA"
ORIGIN = "JFK"
LATE_MINUTES = 15
"""A flight is on time when it arrives less than this late, as the Department of Transportation counts."""


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
    *_columns("string", "tailnum origin dest"),
    *FLIGHT_TIMES,
    *_columns("int64", "dep_delay arr_delay"),
    STATUS,
]


@dataclass(frozen=True, slots=True)
class Board:
    """One live session: its question, the window that is watched (None: all of it), and how it is shown."""

    id: str
    title: str
    question: Definition  # what create_session and query take, beside the table
    sql: str  # the same question over the tables `board`, `airlines`, `airports` and `planes`
    window: tuple[int, int] | None
    shown: tuple[str, ...]
    brief: Callable[[Row], str]  # a row in a few words
    formats: Mapping[str, str] = field(default_factory=dict)  # of shown columns, where the plain value will not do

    @property
    def flights(self) -> bool:
        """Whether its rows are flights, and not groups of flights."""
        return "group_by" not in self.question


def _is(name: str, comparison: str, value: Any) -> Definition:
    return {"field": name, "comparison": comparison, "value": value}


def _by(name: str, direction: str = "asc") -> Definition:
    return {"field": name, "direction": direction}


def _resolved(name: str, column: str, table: str, display: str) -> Definition:
    """A column that shows, of the row of another table with this key, a column or a template."""
    way = "display_template" if "$" in display else "display_field"
    return {"name": name, "resolve": {"underlying_field": column, "table": table, way: display}}


def make_boards(rows: int) -> tuple[Board, ...]:
    """The sessions, with windows of `rows` rows."""
    return (*_flight_boards(rows), *_group_boards(rows))


def _flight_boards(rows: int) -> tuple[Board, ...]:
    """The boards of flights as they hang in the hall."""
    flight = ("carrier", "flight", "origin", "dest")
    return (
        Board(
            id="worst-delays",
            title="Worst departure delays today",
            question={
                "filter": [_is("dep_delay", ">=", LATE_MINUTES)],
                "sort": [_by("dep_delay", "desc"), _by("sched_dep")],
            },
            sql="select * from board where dep_delay >= 15 order by dep_delay desc, sched_dep, flight_id",
            window=(0, rows),
            shown=(*flight, "sched_dep", "dep_delay", "status"),
            brief=_flight_in_brief,
        ),
        Board(
            id=f"carrier-{CARRIER}",
            title=f"{CARRIER}: on the way and next to leave",
            question={
                "filter": [_is("carrier", "==", CARRIER), _is("status", "in", ["scheduled", "departed"])],
                "sort": [_by("sched_dep"), _by("flight")],
            },
            sql="""select * from board where carrier = 'UA' and status in ('scheduled', 'departed')
                order by sched_dep, flight, flight_id""",
            window=None,
            shown=(*flight, "sched_dep", "dep_time", "status"),
            brief=_flight_in_brief,
        ),
        Board(
            id=f"departures-{ORIGIN}",
            title=f"{ORIGIN}: next departures",
            question={
                "filter": [_is("origin", "==", ORIGIN), _is("status", "==", "scheduled")],
                "sort": [_by("sched_dep"), _by("carrier"), _by("flight")],
            },
            sql="""select * from board where origin = 'JFK' and status = 'scheduled'
                order by sched_dep, carrier, flight, flight_id""",
            window=(0, rows),
            shown=(*flight, "sched_dep", "sched_arr"),
            brief=_flight_in_brief,
        ),
        Board(
            id="in-the-air",
            title="In the air",
            question={
                "filter": [_is("status", "==", "departed")],
                "sort": [_by("sched_arr"), _by("flight_id")],
            },
            sql="select * from board where status = 'departed' order by sched_arr, flight_id",
            window=None,
            shown=(*flight, "dep_time", "sched_arr"),
            brief=_flight_in_brief,
        ),
    )


def _group_boards(rows: int) -> tuple[Board, ...]:
    """The boards that count: groups of flights, with names from the other tables."""
    return (_carrier_delays(), _on_time(), _worst_planes(rows))


def _carrier_delays() -> Board:
    """Groups by a column of another table and a computed one."""
    return Board(
        id="carrier-delays",
        title="Average delay by carrier and hour",
        question={
            "computed": [
                _resolved("airline", "carrier", "airlines", "name"),
                {"name": "hour", "expression": "bucket(sched_dep, '1h')"},
            ],
            "filter": "dep_delay != null",
            "group_by": ["airline", "hour"],
            "aggregates": {"departed": "count", "delay": "avg(dep_delay)"},
            "sort": [_by("hour", "desc"), _by("delay", "desc")],
        },
        sql="""select name as airline, date_trunc('hour', sched_dep) as hour, count(*) as departed,
                avg(dep_delay) as delay
            from board left join airlines using (carrier) where dep_delay is not null
            group by all order by hour desc, delay desc, airline""",
        window=None,
        shown=("airline", "hour", "departed", "delay"),
        brief=lambda row: f"{row['airline']} {row['delay']:+.1f} min",
        formats={"delay": "{:+.1f}"},
    )


def _on_time() -> Board:
    """An aggregate worked out from other aggregates."""
    return Board(
        id="on-time",
        title="On time by origin",
        question={
            "computed": [_resolved("airport", "origin", "airports", "name")],
            "filter": [_is("status", "in", ["arrived", "diverted", "cancelled"])],
            "group_by": ["origin", "airport"],
            "aggregates": {
                "finished": "count",
                "on_time": f"count_if(status == 'arrived' && arr_delay < {LATE_MINUTES})",
                "share": "expression(on_time / finished)",
            },
            "sort": [_by("share", "desc")],
        },
        sql="""select origin, name as airport, count(*) as finished,
                count(*) filter (where status = 'arrived' and arr_delay < 15) as on_time,
                on_time / finished as share
            from board left join airports on faa = origin where status in ('arrived', 'diverted', 'cancelled')
            group by all order by share desc, origin, airport""",
        window=None,
        shown=("origin", "airport", "finished", "on_time", "share"),
        brief=lambda row: f"{row['origin']} {row['share']:.0%}",
        formats={"share": "{:.1%}"},
    )


def _worst_planes(rows: int) -> Board:
    """A sum, and what another table knows of the planes, where it knows them."""
    return Board(
        id="worst-planes",
        title="Worst planes today by total delay",
        question={
            "computed": [
                _resolved("plane", "tailnum", "planes", "${manufacturer} ${model}"),
                _resolved("built", "tailnum", "planes", "year"),
            ],
            "filter": "tailnum != null && arr_delay != null",
            "group_by": ["tailnum", "plane", "built"],
            "aggregates": {"flown": "count", "total_delay": "sum(arr_delay)"},
            "sort": [_by("total_delay", "desc")],
        },
        sql="""select tailnum, manufacturer || ' ' || model as plane, year as built, count(*) as flown,
                sum(arr_delay)::bigint as total_delay
            from board left join planes using (tailnum) where tailnum is not null and arr_delay is not null
            group by all order by total_delay desc, tailnum""",
        window=(0, min(rows, 10)),
        shown=("tailnum", "plane", "built", "flown", "total_delay"),
        brief=lambda row: f"{row['tailnum']} {row['total_delay']:+d} min",
    )


def _flight_in_brief(row: Row) -> str:
    delay = row["dep_delay"]
    late = f" {delay:+d} min" if delay is not None else ""
    return f"{row['carrier']}{row['flight']} {row['origin']}-{row['dest']}{late}"
