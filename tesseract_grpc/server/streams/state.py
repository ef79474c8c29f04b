"""The states of a stream, and the only ways from one to another."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class State(Enum):
    """What a stream is doing."""

    CATCHING_UP = "catching up"  # its snapshot is on its way
    LIVE = "live"  # everything that has happened was handed over, or is held back because its reader asked for that
    CONFLATING = "conflating"  # a message was handed over and not taken yet, and more has happened since


class Step(Enum):
    """What can happen to a stream."""

    CAUGHT_UP = "the last of the snapshot was taken"
    FELL_BEHIND = "more has happened while a message was on its way"
    TOOK = "the message was taken"
    BEGAN_ANEW = "a snapshot is told in the place of a change"


TRANSITIONS: Mapping[tuple[State, Step], State] = {
    (State.CATCHING_UP, Step.CAUGHT_UP): State.LIVE,
    (State.LIVE, Step.FELL_BEHIND): State.CONFLATING,
    (State.CONFLATING, Step.TOOK): State.LIVE,
    (State.LIVE, Step.BEGAN_ANEW): State.CATCHING_UP,
}
"""Every way there is. What happens while a snapshot is on its way is told after it, so it changes no state; and what is
to be told is decided when the message before has been taken, so nothing begins anew while it is on its way."""


def after(state: State, step: Step) -> State:
    """The state that a step leads to. Raises AssertionError where there is no such way: that is a bug."""
    found = TRANSITIONS.get((state, step))
    assert found is not None, f"a stream that is {state.value} cannot have this happen: {step.value}"
    return found
