"""What happened at the airports, in the order in which it happened: the commits that the demo makes.

The board is a table of the flights of the running day. An operating day starts at 04:00 in New York, the quietest hour.
At that moment one commit (a `DayStart`) takes the finished flights off the board and puts the day's flights on it as
"scheduled". Then each flight writes a commit of its own (a `FlightUpdate`) when it departs and when it lands:

    scheduled -> departed -> arrived | diverted
    scheduled -> cancelled

What the data does not say is set like this: a cancellation is announced at the scheduled departure; a diversion
without an arrival time is announced when the flight was due, given its late departure; a flight that leaves before
its day has started leaves when it starts. What is still flying at 04:00 stays on the board until the next day start.

Pure: no clock, no I/O. The same flights and days give the same commits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from heapq import merge
from typing import Any
from zoneinfo import ZoneInfo

from tesseract_grpc.cli.demo.flights import HOME

Row = dict[str, Any]

DAY_STARTS = time(4)
FINISHED = ("arrived", "diverted", "cancelled")
BOARD_COLUMNS = ("flight_id", "carrier", "flight", "tailnum", "origin", "dest", "sched_dep", "sched_arr")


@dataclass(frozen=True, slots=True)
class DayStart:
    """The finished flights leave the board and these come: one commit."""

    at: datetime
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class FlightUpdate:
    """One flight's status changes: one commit. `row` holds its key and the columns that change."""

    at: datetime
    row: Row


Step = DayStart | FlightUpdate


@dataclass(frozen=True, slots=True)
class Replay:
    """Some days of flights. `flights` is the table that `build_flights` makes."""

    flights: Any
    first_day: date
    days: int

    @property
    def start(self) -> datetime:
        """When the first day starts."""
        return _day_start(self.first_day)

    @property
    def end(self) -> datetime:
        """When the day after the last one starts; the replay ends just before."""
        return _day_start(self.first_day + timedelta(days=self.days))

    def steps(self) -> Iterator[Step]:
        """The commits, by rising time."""
        starts: list[Step] = []
        updates: list[FlightUpdate] = []
        for offset in range(self.days):
            opens = _day_start(self.first_day + timedelta(days=offset))
            rows = self._scheduled(opens, _day_start(self.first_day + timedelta(days=offset + 1)))
            starts.append(DayStart(opens, tuple(_announced(row) for row in rows)))
            updates += [update for row in rows for update in _updates(row, opens)]
        updates.sort(key=lambda update: update.at)  # Stable: a flight departs before it lands, even in one minute.
        for step in merge(starts, updates, key=lambda step: step.at):
            if step.at >= self.end:
                return
            yield step

    def _scheduled(self, opens: datetime, closes: datetime) -> list[Row]:
        """The flights scheduled to depart from `opens` on and before `closes`, in scheduled order."""
        import pyarrow as pa
        import pyarrow.compute as pc

        departures = self.flights["sched_dep"]
        moment = departures.type
        within = pc.and_(
            pc.greater_equal(departures, pa.scalar(opens, moment)), pc.less(departures, pa.scalar(closes, moment))
        )
        rows: list[Row] = self.flights.filter(within).to_pylist()
        return rows


def _day_start(day: date) -> datetime:
    return datetime.combine(day, DAY_STARTS, ZoneInfo(HOME)).astimezone(UTC)


def _announced(row: Row) -> Row:
    """The flight as the board shows it before anything has happened."""
    return {name: row[name] for name in BOARD_COLUMNS} | {"status": "scheduled"}


def _updates(row: Row, opens: datetime) -> Iterator[FlightUpdate]:
    """What the flight writes during its life."""
    key = {"flight_id": row["flight_id"]}
    if row["status"] == "cancelled":
        yield FlightUpdate(row["sched_dep"], key | {"status": "cancelled"})
        return
    departure = {"status": "departed", "dep_time": row["dep_time"], "dep_delay": row["dep_delay"]}
    yield FlightUpdate(max(row["dep_time"], opens), key | departure)
    landing = {"status": row["status"], "arr_time": row["arr_time"], "arr_delay": row["arr_delay"]}
    expected = row["sched_arr"] + timedelta(minutes=row["dep_delay"])
    yield FlightUpdate(max(row["arr_time"] or expected, opens), key | landing)
