"""Rollups, totals, pivots and trees through the hub, against the naive oracle, with readers of different expansions."""

from __future__ import annotations

from random import Random

import pytest

from tests.engine.small import small_thresholds
from tests.engine.tree_world import PARENTS, PIVOTS, ROLLUPS, World


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_oracle_rollups_follow_histories(seed: int, small: bool) -> None:
    _play(seed, small, ROLLUPS)


@pytest.mark.parametrize("seed", range(6))
def test_oracle_pivots_follow_histories(seed: int) -> None:
    _play(seed, seed % 2 == 1, PIVOTS)


@pytest.mark.parametrize("seed", range(8))
def test_oracle_trees_by_parent_follow_histories(seed: int) -> None:
    _play(seed, seed % 2 == 1, PARENTS)


def _play(seed: int, small: bool, cases: list) -> None:  # type: ignore[type-arg]
    if small:
        with small_thresholds():
            _history(seed, cases)
    else:
        _history(seed, cases)


def _history(seed: int, cases: list) -> None:  # type: ignore[type-arg]
    world = World(Random(seed), cases)
    world.verify(lazy=0)
    for _ in range(40):
        world.commit()
        world.verify()
        if world.rng.random() < 0.1:
            world.open_reader()
    world.verify(lazy=0)
