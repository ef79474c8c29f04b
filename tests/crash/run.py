"""A whole run: rounds of kills, each in a directory of its own, from one seed."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path
from random import Random

from tests.crash.follower import HISTORY
from tests.crash.life import Nursery
from tests.crash.points import POINTS
from tests.crash.round import Plan, Round
from tests.crash.tally import Tally

ROUND = 20
"""Kills of one directory."""

FLAGS: tuple[str, ...] = (
    "--progress-interval=0.2",
    "--tick-interval=0.05",
    "--snapshot-records=150",  # several in the life of a server
    f"--history-commits={HISTORY}",
    "--log-level=warning",
)


def plans(seed: int, number: int, kills: int, seconds: float) -> list[Plan]:
    """What a round does: every other life ends at a point, each point in its turn over all rounds."""
    rng = Random(f"{seed}:{number}:plans")
    points = islice(cycle(POINTS), number * (ROUND // 2) % len(POINTS), None)
    drawn = [Plan.draw(rng, next(points) if at % 2 else "", seconds) for at in range(kills)]
    rng.shuffle(drawn)
    return drawn


async def play(
    seed: int, kills: int, seconds: float, tally: Tally, *, only: int | None = None, size: int = ROUND
) -> None:
    """All rounds, or only the one of kill number `only`, up to it."""
    nursery = Nursery()
    try:
        first = 0 if only is None else only // size
        for number in range(first, (kills + size - 1) // size if only is None else first + 1):
            count = min(size, kills - number * size) if only is None else only % size + 1
            with tempfile.TemporaryDirectory(prefix="crash-") as name:
                folder = Path(name)
                flags = [*FLAGS, "--data", str(folder / "data")]
                rounds = Round(nursery, folder, Random(f"{seed}:{number}"), tally, flags)
                try:
                    await rounds.play(plans(seed, number, size, seconds)[:count])
                except BaseException:
                    at = number * size + rounds.lives - 1
                    again = f"--seed {seed} --round {size} --seconds {seconds} --kill {at}"
                    sys.stdout.write(f"failed at kill {at}: {again} plays this round again\n")
                    raise
                sys.stdout.write(f"{tally.kills} kills, {tally.rate:.0f} commits a second\n")
                sys.stdout.flush()
    finally:
        nursery.close()


def run(seed: int | None, kills: int, seconds: float, only: int | None = None, size: int = ROUND) -> Tally:
    """Plays, with a progress line a round."""
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    sys.stdout.write(f"seed {seed}\n")
    tally = Tally()
    asyncio.run(play(seed, kills, seconds, tally, only=only, size=size))
    return tally
