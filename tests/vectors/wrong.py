"""One vector played wrongly on purpose: a runner that does not notice each of these compares too little."""

from __future__ import annotations

import copy
from collections.abc import Callable

from tests.vectors.vector import Vector

WRONG_ONE = "resume_net_change"
"""The vector that is altered."""


def _another_value(played: Vector) -> None:
    update = played.streams[1].responses[1]["changes"]["updates"][0]["rows"]
    column = next(column for column in update["columns"] if "int64s" in column and column["name"] == "qty")
    column["int64s"]["values"][0] = "999"


def _another_place(played: Vector) -> None:
    played.streams[1].responses[1]["changes"]["inserts"]["indexes"][0] = 0


def _not_told(played: Vector) -> None:
    played.streams[1].responses[1]["changes"].pop("removes")


def _another_token(played: Vector) -> None:
    played.streams[1].request.pop("resume_token")


WRONG: dict[str, Callable[[Vector], None]] = {
    "another_value": _another_value,
    "another_place": _another_place,
    "not_told": _not_told,
    "another_token": _another_token,
}
"""Another value in a row, a row at another place, a change that is not told (all of which the client must show as they
are, and so not as the vector says), and a token that is not expected (which is a mismatch of the player)."""


def altered(vector: Vector, how: str) -> Vector:
    """A copy, wrong in one way."""
    played = copy.deepcopy(vector)
    WRONG[how](played)
    return played
