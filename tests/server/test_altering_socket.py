"""Tables are altered and exchanged while clients watch through a socket, and the hub is recovered in between."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.server.altering_world import AlteringWorld


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_history_of_alterations_through_a_socket(tmp_path: Path, seed: int) -> None:
    """Every consistent point of every stream is the truth; every mirror of the Python client, too."""
    rng, world = Random(seed), AlteringWorld(tmp_path)
    try:
        world.start(rng)
        for step in range(10):
            for _ in range(rng.choice((1, 3))):
                world.commit(rng)
            world.alter(rng)
            if step == 3:
                world.make_spare(rng)
                world.fill(rng)
            if step in (5, 7, 8):
                world.swap()
                world.fill(rng)
            if step % 4 == 2:
                world.tick(rng)
                world.edit_session(rng)
            world.verify(rng)
            if step in (4, 9):
                world.crash()
        assert world.altered > 4, "a history without alterations proves nothing"
        world.finish(rng)
    finally:
        world.close()
