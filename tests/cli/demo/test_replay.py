"""The replay: every flight of a day lives its life on the board, in order, and nothing else happens."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tesseract_grpc.cli.demo.replay import FINISHED, DayStart, FlightUpdate, Replay, Step

SNOW = date(2013, 3, 8)


@pytest.fixture(scope="module")
def steps(flights: Any) -> list[Step]:
    """Three days from the snow of 8 March on; the last one is the short day of the clock change."""
    return list(Replay(flights, SNOW, days=3).steps())


def test_steps_come_in_order_and_within_the_days(flights: Any, steps: list[Step]) -> None:
    replay = Replay(flights, SNOW, days=3)
    assert replay.start == datetime(2013, 3, 8, 9, tzinfo=UTC)
    assert replay.end == datetime(2013, 3, 11, 8, tzinfo=UTC), "summer time has begun by then"
    assert all(replay.start <= step.at < replay.end for step in steps)
    assert all(earlier.at <= later.at for earlier, later in pairwise(steps))


def test_a_day_starts_with_the_flights_that_are_scheduled_on_it(raw: Any, steps: list[Step]) -> None:
    per_day = Counter(zip(raw["month"].to_pylist(), raw["day"].to_pylist(), strict=True))
    starts = [step for step in steps if isinstance(step, DayStart)]
    assert [len(start.rows) for start in starts] == [per_day[3, day] for day in (8, 9, 10)] == [979, 765, 908]
    for start in starts:
        assert {row["status"] for row in start.rows} == {"scheduled"}
        assert all(start.at <= row["sched_dep"] < start.at + timedelta(days=1) for row in start.rows)
    assert len({row["flight_id"] for start in starts for row in start.rows}) == 979 + 765 + 908


def test_applying_the_steps_gives_what_the_data_says(flights: Any, steps: list[Step]) -> None:
    board: dict[int, dict[str, Any]] = {}
    finished: dict[int, dict[str, Any]] = {}
    for step in steps:
        if isinstance(step, DayStart):
            gone = {key for key, row in board.items() if row["status"] in FINISHED}
            finished |= {key: board.pop(key) for key in gone}
            assert not board.keys() & {row["flight_id"] for row in step.rows}
            board |= {row["flight_id"]: dict(row) for row in step.rows}
        else:
            before = board[step.row["flight_id"]]["status"]
            after = step.row["status"]
            assert before == ("departed" if after in {"arrived", "diverted"} else "scheduled")
            board[step.row["flight_id"]].update(step.row)
    finished |= {key: row for key, row in board.items() if row["status"] in FINISHED}
    truth = {row["flight_id"]: row for row in flights.filter(_ids(flights, finished)).to_pylist()}
    assert len(finished) > 2_500
    for key, row in finished.items():
        assert row == {name: truth[key][name] for name in row}


def _ids(flights: Any, keys: dict[int, Any]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.is_in(flights["flight_id"], pa.array(list(keys)))


def test_most_flights_depart_and_land_within_the_day(steps: list[Step]) -> None:
    counts = Counter(step.row["status"] for step in steps if isinstance(step, FlightUpdate))
    assert counts["cancelled"] > 180, "it snowed"
    assert counts["departed"] >= counts["arrived"] + counts["diverted"] > 2_300


def test_the_same_days_give_the_same_steps(flights: Any, steps: list[Step]) -> None:
    assert list(Replay(flights, SNOW, days=3).steps()) == steps
    assert list(Replay(flights, SNOW, days=1).steps())[:500] == steps[:500]


def test_a_diverted_flight_without_an_arrival_is_announced_when_it_was_due() -> None:
    import pyarrow as pa

    noon = datetime(2013, 7, 1, 16, tzinfo=UTC)
    row = {
        "flight_id": 1,
        "carrier": "UA",
        "flight": 7,
        "tailnum": "N1",
        "origin": "EWR",
        "dest": "ORD",
        "sched_dep": noon,
        "sched_arr": noon + timedelta(hours=2),
        "dep_time": noon + timedelta(minutes=30),
        "arr_time": None,
        "dep_delay": 30,
        "arr_delay": None,
        "status": "diverted",
    }
    times = {"sched_dep", "sched_arr", "dep_time", "arr_time"}
    flights = pa.table(
        {name: pa.array([value], pa.timestamp("us", "UTC") if name in times else None) for name, value in row.items()}
    )
    steps = list(Replay(flights, date(2013, 7, 1), days=1).steps())
    assert [step.at for step in steps[1:]] == [noon + timedelta(minutes=30), noon + timedelta(minutes=150)]
    assert isinstance(steps[-1], FlightUpdate)
    assert steps[-1].row == {"flight_id": 1, "status": "diverted", "arr_time": None, "arr_delay": None}
