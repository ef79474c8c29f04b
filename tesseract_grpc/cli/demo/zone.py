"""Local clock times to UTC and back, for whole columns at once.

The data's times are what the clock on the wall showed: departures in New York, arrivals at the destination. `zoneinfo`
answers for one time a call. Offsets change only at whole hours and twice a year, so a `Zone` asks once a day (and
hour by hour on the two days), writes the answers into an array with one place an hour, and looks offsets up there.

All times here are whole minutes since 1970-01-01, as int64: "wall" minutes read the local clock as if it were UTC.

The two odd hours of a year follow `zoneinfo`: a wall time that happened twice (clocks back) is the first of the two, a
wall time that never was (clocks forward) takes the offset from before the change.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Minutes = npt.NDArray[np.int64]

FIRST = datetime(2012, 12, 30, tzinfo=UTC)
"""The tables reach a few days beyond 2013 on both sides: flights of the last evening land in 2014."""
HOURS = 24 * 374
FIRST_MINUTE = int(FIRST.timestamp()) // 60


class Zone:
    """One time zone over the year of the data. Build it with `zone(name)`, which remembers."""

    def __init__(self, name: str) -> None:
        self.name = name
        info = ZoneInfo(name)
        self._offset_of_wall_hour = _offsets(info, wall=True)
        self._offset_of_utc_hour = _offsets(info, wall=False)

    def to_utc(self, wall: Minutes) -> Minutes:
        """The moments at which the local clock showed `wall`. O(n)."""
        return wall - self._offset_of_wall_hour[(wall - FIRST_MINUTE) // 60]

    def to_wall(self, utc: Minutes) -> Minutes:
        """What the local clock showed at `utc`. O(n)."""
        return utc + self._offset_of_utc_hour[(utc - FIRST_MINUTE) // 60]

    def next_time(self, after: Minutes, minute_of_day: Minutes) -> Minutes:
        """The first moments later than `after` at which the local clock shows `minute_of_day` (0 to 1440). O(n)."""
        midnight = self.to_wall(after) // 1440 * 1440
        today = self.to_utc(midnight + minute_of_day % 1440)
        tomorrow = self.to_utc(midnight + 1440 + minute_of_day % 1440)
        return np.where(today > after, today, tomorrow)


@lru_cache(maxsize=64)
def zone(name: str) -> Zone:
    """The zone of an IANA name, for example "America/New_York"."""
    return Zone(name)


def _offsets(info: tzinfo, *, wall: bool) -> Minutes:
    """The offset from UTC in minutes for each hour from FIRST on, the hour read as local time or as UTC."""

    def offset(hour: int) -> int:
        moment = FIRST + timedelta(hours=hour)
        local = moment.replace(tzinfo=info) if wall else moment.astimezone(info)
        return (local.utcoffset() or timedelta()) // timedelta(minutes=1)

    offsets = np.empty(HOURS, np.int64)
    for midnight in range(0, HOURS, 24):
        first = offset(midnight)
        if first == offset(midnight + 24):
            offsets[midnight : midnight + 24] = first
        else:  # The clocks change on this day: ask for each hour.
            offsets[midnight : midnight + 24] = [offset(midnight + hour) for hour in range(24)]
    return offsets
