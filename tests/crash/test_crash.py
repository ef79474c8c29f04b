"""A short run of the crash test; `make crash-test` is the long one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest

from tests.crash.points import POINTS
from tests.crash.run import plans, play
from tests.crash.tally import Tally

SEED = int(os.environ.get("CRASH_SEED") or int.from_bytes(os.urandom(4)))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_nothing_acknowledged_is_lost(record_property: Callable[[str, object], None]) -> None:
    """Twelve kills; the seed is in the failure's output, and CRASH_SEED gives it back."""
    record_property("seed", SEED)
    tally = Tally()
    asyncio.run(play(SEED, 12, 0.7, tally, size=6))
    assert tally.kills == 12
    assert tally.compared >= 8
    assert tally.commits > 300, "too little was written to lose anything"
    assert tally.resumes > 100, "too few watches went on with their tokens"


def test_a_run_dies_at_every_point() -> None:
    drawn = [plan for number in range(15) for plan in plans(1, number, 20, 1.0)]
    assert {plan.point for plan in drawn} == {"", *POINTS}
    assert len(drawn) == 300
