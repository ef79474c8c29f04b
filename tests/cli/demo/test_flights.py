"""The flights of 2013 against the file that they come from, read a second time by plain Python."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.compute as pc
import pytest

NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture(scope="module")
def pairs(raw: Any, flights: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every 97th line of the file with its flight, matched by the natural key and the file's own UTC hour."""
    keys = ("carrier", "flight", "origin")
    departures = flights["sched_dep"].cast("int64").to_pylist()
    place = {
        key: at for at, key in enumerate(zip(*(flights[name].to_pylist() for name in keys), departures, strict=True))
    }
    assert len(place) == flights.num_rows == raw.num_rows == 336_776
    lines = raw.take(list(range(0, raw.num_rows, 97))).to_pylist()
    wanted = [
        (*(line[name] for name in keys), (int(line["time_hour"].timestamp()) + line["minute"] * 60) * 1_000_000)
        for line in lines
    ]
    return list(zip(lines, flights.take([place[key] for key in wanted]).to_pylist(), strict=True))


def clock(moment: datetime, zone: ZoneInfo) -> int:
    """What the clock showed, as the file writes it: 517 for 5:17."""
    local = moment.astimezone(zone)
    return local.hour * 100 + local.minute


def test_departures_show_the_clock_of_new_york(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    assert len(pairs) > 3000
    for line, flight in pairs:
        assert clock(flight["sched_dep"], NEW_YORK) == line["sched_dep_time"]
        assert flight["sched_dep"].replace(minute=0) == line["time_hour"]
        if line["dep_time"] is None:
            assert flight["dep_time"] is None
        else:
            assert clock(flight["dep_time"], NEW_YORK) == line["dep_time"] % 2400


def test_arrivals_show_the_clock_of_the_destination_and_come_after_departures(
    source: Any, pairs: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    zones = {row["faa"]: row["tzone"] for row in source.read("airports").to_pylist()}
    for line, flight in pairs:
        there = ZoneInfo(zones.get(line["dest"]) or "America/Puerto_Rico")
        assert clock(flight["sched_arr"], there) == line["sched_arr_time"] % 2400
        assert timedelta(0) < flight["sched_arr"] - flight["sched_dep"] < timedelta(hours=12)
        if flight["arr_time"] is not None:
            assert clock(flight["arr_time"], there) == line["arr_time"] % 2400
            assert flight["arr_time"] > flight["dep_time"]


def test_an_arrived_flight_is_under_way_longer_than_in_the_air(flights: Any) -> None:
    arrived = flights.filter(pc.equal(flights["status"], "arrived"))
    under_way = pc.divide(pc.subtract(arrived["arr_time"], arrived["dep_time"]).cast("int64"), 60_000_000)
    on_the_ground = pc.min_max(pc.subtract(under_way, arrived["air_time"])).as_py()
    assert on_the_ground["min"] > 0, "a wrong time zone would let a flight land before it has flown"
    assert on_the_ground["max"] < 240


def test_every_flight_has_the_outcome_that_its_missing_values_tell(raw: Any, flights: Any) -> None:
    assert Counter(flights["status"].to_pylist()) == {"arrived": 327_346, "cancelled": 8_255, "diverted": 1_175}
    assert raw["dep_time"].null_count == 8_255
    assert raw["arr_delay"].null_count == 8_255 + 1_175
    assert flights["tailnum"].null_count == 2_512, "a missing tail number is null and not the text NA"


def test_flights_are_numbered_in_scheduled_order(flights: Any) -> None:
    assert flights["flight_id"].to_pylist() == list(range(1, 336_777))
    departures = flights["sched_dep"].to_pylist()
    assert all(earlier <= later for earlier, later in pairwise(departures))
    assert departures[0] == datetime.combine(date(2013, 1, 1), time(5, 15), NEW_YORK).astimezone(UTC)


def test_a_flight_over_midnight_lands_on_the_next_day(flights: Any) -> None:
    late = flights.filter(
        pc.and_(
            pc.and_(pc.equal(flights["carrier"], "B6"), pc.equal(flights["flight"], 739)),
            pc.equal(flights["dest"], "PSE"),
        )
    ).slice(0, 1)
    flight = late.to_pylist()[0]
    assert flight["sched_dep"] == datetime(2013, 1, 2, 4, 59, tzinfo=UTC)
    assert flight["sched_arr"] == datetime(2013, 1, 2, 8, 45, tzinfo=UTC)
