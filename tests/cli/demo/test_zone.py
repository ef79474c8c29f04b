"""Whole columns of local times against `zoneinfo`, one time after the other."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tesseract_grpc.cli.demo.zone import zone

ZONES = ("America/New_York", "America/Phoenix", "Pacific/Honolulu", "America/Puerto_Rico", "America/Anchorage")
YEAR_2013 = int(datetime(2013, 1, 1, tzinfo=UTC).timestamp()) // 60
MINUTES_OF_YEAR = st.integers(YEAR_2013, YEAR_2013 + 365 * 1440)


def minutes(moment: datetime) -> int:
    """Minutes since 1970, the zone of `moment` ignored when it has none."""
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) // 60


def at(minute: int) -> datetime:
    """The moment of a minute."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)


@pytest.mark.parametrize("name", ZONES)
@given(wall=MINUTES_OF_YEAR)
def test_wall_to_utc_is_zoneinfo_for_every_minute_of_the_year(name: str, wall: int) -> None:
    expected = minutes(at(wall).replace(tzinfo=ZoneInfo(name)))
    assert zone(name).to_utc(np.array([wall]))[0] == expected


@pytest.mark.parametrize("name", ZONES)
@given(utc=MINUTES_OF_YEAR)
def test_utc_to_wall_is_zoneinfo_for_every_minute_of_the_year(name: str, utc: int) -> None:
    expected = minutes(at(utc).astimezone(ZoneInfo(name)).replace(tzinfo=None))
    assert zone(name).to_wall(np.array([utc]))[0] == expected


@given(after=MINUTES_OF_YEAR, minute_of_day=st.integers(0, 1440))
def test_next_time_is_the_first_later_minute_that_shows_the_time(after: int, minute_of_day: int) -> None:
    here = zone("America/Chicago")
    found = int(here.next_time(np.array([after]), np.array([minute_of_day]))[0])
    later = np.arange(after + 1, after + 2 * 1440)
    showing = later[here.to_wall(later) % 1440 == minute_of_day % 1440]
    skipped_by_the_clock_change = minute_of_day % 1440 in range(120, 180) and found != showing[0]
    assert found == showing[0] or skipped_by_the_clock_change
    assert found > after


def test_the_odd_hours_are_the_first_occurrence_and_the_offset_before() -> None:
    new_york = zone("America/New_York")
    twice = minutes(datetime(2013, 11, 3, 1, 30))
    never = minutes(datetime(2013, 3, 10, 2, 30))
    assert new_york.to_utc(np.array([twice]))[0] == minutes(datetime(2013, 11, 3, 5, 30))
    assert new_york.to_utc(np.array([never]))[0] == minutes(datetime(2013, 3, 10, 7, 30))
