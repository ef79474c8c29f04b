"""The deltas of some histories as one hash: `python -m tests.engine.digest SEED ...`"""

from __future__ import annotations

import hashlib
import sys
from random import Random

from tests.engine.limits import SHORT_HISTORY
from tests.engine.world import World, play


def nothing(world: World, rng: Random) -> None:
    """The law is asked by other tests; here only the bytes count."""


def digest(seeds: list[int]) -> str:
    sha = hashlib.sha256()
    for seed in seeds:
        world = play(seed, steps=25, also=nothing, **(SHORT_HISTORY if seed % 2 else {}))
        for stream in world.streams:
            for response in stream:
                sha.update(response.SerializeToString(deterministic=True))
        sha.update(repr(world.touched).encode())
    return sha.hexdigest()


if __name__ == "__main__":
    sys.stdout.write(digest([int(seed) for seed in sys.argv[1:]]) + "\n")
