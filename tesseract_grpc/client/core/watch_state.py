"""The states of a watch, and the one function that leads from one to the next.

    connecting --current--> live --lost--> stale --current--> live
    any --ended--> ended

`current` is a consistent point: what the reader has is the answer as of the last message. `lost` is everything after
which that is no longer known: a stream that broke, went silent for three intervals, was reset by the server, or broke
the contract. `ended` is `close`, or an error that another attempt cannot mend; it is final.
"""

from __future__ import annotations

from enum import StrEnum


class WatchState(StrEnum):
    """What a reader may believe of the rows that it has."""

    CONNECTING = "connecting"
    """There is nothing to show yet."""
    LIVE = "live"
    """The rows are the answer as of the last message."""
    STALE = "stale"
    """The rows are those of an earlier version; they are kept until newer ones stand."""
    ENDED = "ended"
    """No more will come."""


class Turn(StrEnum):
    """What can happen to a watch."""

    CURRENT = "current"
    LOST = "lost"
    ENDED = "ended"


def state_after(state: WatchState, turn: Turn) -> WatchState:
    """The state that follows. O(1)."""
    if state is WatchState.ENDED or turn is Turn.ENDED:
        return WatchState.ENDED
    if turn is Turn.CURRENT:
        return WatchState.LIVE
    return WatchState.CONNECTING if state is WatchState.CONNECTING else WatchState.STALE
