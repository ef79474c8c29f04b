"""The flights of 2013 with real timestamps.

What the file says and what we make of it:

* **Dates and times.** A departure is a New York date and the clock time as one number, 517 for 5:17; 2400 is midnight.
  The scheduled departure is that time in America/New_York, as UTC.
* **Arrivals have no date** and are in the destination's time. The scheduled arrival is the first moment after the
  scheduled departure at which the destination's clock shows it, which takes care of arrivals past midnight and of
  ones that seem to land before they left. Four airports (BQN, PSE, SJU, STT) are not in the airports file; all four
  keep Puerto Rico's time.
* **Actual times** are the scheduled wall time plus the delay. The file's delay is the difference of the two clock
  times modulo a day, without exception, so this recovers the date that `dep_time` alone lacks (delays reach 21 hours)
  and agrees with `dep_time` to the minute.
* **Outcome.** Without `dep_time` the flight was cancelled (8,255). With a departure and an arrival delay it arrived.
  With a departure and no arrival delay (1,175) it was diverted; if an arrival time is known (717), it is taken as
  the first such moment after the departure.
* **Keys.** Carrier and number do not name a flight: 24 times a year one number leaves two airports on one day. Carrier,
  number, origin and date do, but four key columns make poor examples, so flights are numbered from 1 in the order
  of (scheduled departure, carrier, number, origin), which is the same on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tesseract_grpc.cli.demo.zone import Minutes, zone

HOME = "America/New_York"
PUERTO_RICO = "America/Puerto_Rico"
UNLISTED_AIRPORTS = {"BQN": PUERTO_RICO, "PSE": PUERTO_RICO, "SJU": PUERTO_RICO, "STT": PUERTO_RICO}
STATUSES = ("scheduled", "departed", "arrived", "diverted", "cancelled")
DAY = 1440

Mask = npt.NDArray[np.bool_]


def build_flights(raw: Any, airports: Any) -> Any:
    """The flights table, as a pyarrow Table in scheduled order, from the files `flights` and `airports`."""
    import pyarrow as pa

    clock = _Clock(raw, _zone_names(raw, airports))
    order = np.lexsort(
        (_codes(raw, "origin"), raw["flight"].to_numpy(), _codes(raw, "carrier"), clock.scheduled_departure)
    )
    kept = raw.select(["carrier", "flight", "tailnum", "origin", "dest", "distance"])
    table = kept.add_column(0, "flight_id", pa.array(np.empty(len(order), np.int64)))
    times = (
        ("sched_dep", clock.scheduled_departure, None),
        ("sched_arr", clock.scheduled_arrival, None),
        ("dep_time", clock.departure, clock.departed),
        ("arr_time", clock.arrival, clock.landed),
    )
    for name, minutes, known in times:
        table = table.append_column(name, _timestamps(minutes, known))
    for name in ("dep_delay", "arr_delay", "air_time"):
        table = table.append_column(name, raw[name])
    table = table.append_column("status", pa.array(np.array(STATUSES, object)[clock.outcome()]))
    table = table.take(pa.array(order)).combine_chunks()
    return table.set_column(0, "flight_id", pa.array(np.arange(1, len(order) + 1)))


class _Clock:
    """All times of the flights in whole UTC minutes, and which of them are known."""

    def __init__(self, raw: Any, zones: list[str]) -> None:
        days = _dates(raw)
        home = zone(HOME)
        wall = days * DAY + _minute_of_day(raw, "sched_dep_time")
        departure_delay, self.departed = _values(raw, "dep_delay")
        arrival_delay, self.arrived = _values(raw, "arr_delay")
        _, self.landed = _values(raw, "arr_time")
        self.scheduled_departure = home.to_utc(wall)
        self.departure = home.to_utc(wall + departure_delay)
        self.scheduled_arrival = np.empty_like(wall)
        self.arrival = np.empty_like(wall)
        sched_arr, arr = _minute_of_day(raw, "sched_arr_time"), _minute_of_day(raw, "arr_time")
        codes = _codes(raw, "dest")
        for code, name in enumerate(zones):
            rows = np.flatnonzero(codes == code)
            there = zone(name)
            scheduled = there.next_time(self.scheduled_departure[rows], sched_arr[rows])
            by_delay = there.to_utc(there.to_wall(scheduled) + arrival_delay[rows])
            by_clock = there.next_time(self.departure[rows], arr[rows])
            self.scheduled_arrival[rows] = scheduled
            self.arrival[rows] = np.where(self.arrived[rows], by_delay, by_clock)

    def outcome(self) -> npt.NDArray[np.int64]:
        """The final status of each flight, as an index into STATUSES."""
        outcomes = np.full(len(self.departed), STATUSES.index("cancelled"))
        outcomes[self.departed] = STATUSES.index("diverted")
        outcomes[self.departed & self.arrived] = STATUSES.index("arrived")
        return outcomes


def _zone_names(raw: Any, airports: Any) -> list[str]:
    """The zone of each destination, by the code that `_codes(raw, "dest")` gives it."""
    known = dict(zip(airports["faa"].to_pylist(), airports["tzone"].to_pylist(), strict=True)) | UNLISTED_AIRPORTS
    return [known[airport] for airport in sorted(set(raw["dest"].unique().to_pylist()))]


def _codes(raw: Any, name: str) -> npt.NDArray[np.int64]:
    """A text column as the rank of each text among the distinct ones, so that order by code is order by text."""
    encoded = raw[name].combine_chunks().dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    rank = {text: index for index, text in enumerate(sorted(texts))}
    codes: npt.NDArray[np.int64] = np.array([rank[text] for text in texts], np.int64)[encoded.indices.to_numpy()]
    return codes


def _dates(raw: Any) -> Minutes:
    """Days since 1970-01-01 of the columns year, month and day."""
    year, month, day = (raw[name].to_numpy() for name in ("year", "month", "day"))
    months = (year - 1970) * 12 + month - 1
    days: Minutes = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + day - 1
    return days


def _minute_of_day(raw: Any, name: str) -> Minutes:
    """517 as 317 minutes (5:17). Nulls give 0."""
    values, _ = _values(raw, name)
    return values // 100 * 60 + values % 100


def _values(raw: Any, name: str) -> tuple[Minutes, Mask]:
    """A column with 0 for nulls, and where it is not null."""
    column = raw[name].combine_chunks()
    return column.fill_null(0).to_numpy().astype(np.int64), column.is_valid().to_numpy(zero_copy_only=False)


def _timestamps(minutes: Minutes, known: Mask | None) -> Any:
    """UTC minutes as an Arrow timestamp column; null where not `known`."""
    import pyarrow as pa

    mask = None if known is None else ~known
    return pa.array(minutes * 60_000_000, pa.int64(), mask=mask).cast(pa.timestamp("us", "UTC"))
