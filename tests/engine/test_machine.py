"""The law as a state machine: after every step, for every session, mirror == recompute(rows, query, window).

Hypothesis chooses the steps and what they do; `tests/engine/world.py` does them to the engine and to the oracle and
compares. The second machine keeps a history of a few commits only, so that readers fall off it all the time.
"""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.engine import lives
from tests.engine.keeping import retain_table, sweep_texts
from tests.engine.limits import SHORT_HISTORY
from tests.engine.small import small_thresholds
from tests.engine.world import SESSIONS, World, play
from tests.world.domain import WIDE

seeds = st.integers(0, 2**32 - 1).map(Random)
"""For what need not get smaller when an example shrinks: which sessions are open."""

randoms = st.randoms(use_true_random=False)
"""For what should: the writes."""


class Machine(RuleBasedStateMachine):
    limits: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.thresholds = small_thresholds()
        self.thresholds.__enter__()
        self.world = World(**self.limits)
        self.rng = Random(0)

    @initialize(rng=seeds)
    def start(self, rng: Random) -> None:
        self.world.start(rng)
        assert len(self.world.hub.sessions) >= SESSIONS

    @rule(rng=randoms)
    def commit(self, rng: Random) -> None:
        self.world.commit(rng)

    @rule(rng=randoms)
    def commit_again(self, rng: Random) -> None:
        self.world.commit(rng)

    @rule(rng=randoms)
    def commit_twice(self, rng: Random) -> None:
        self.world.commit(rng)
        self.world.commit(rng)

    @rule(rng=seeds)
    def open_session(self, rng: Random) -> None:
        if len(self.world.questions) < 2 * SESSIONS:
            self.world.open_session(rng)

    @rule(rng=seeds)
    def close_session(self, rng: Random) -> None:
        self.world.close_session(rng)

    @rule(rng=seeds)
    def open_watch(self, rng: Random) -> None:
        if len(self.world.viewers) < 3 * SESSIONS:
            self.world.open_watch(rng)

    @rule(rng=seeds)
    def close_watch(self, rng: Random) -> None:
        if len(self.world.viewers) > SESSIONS:
            self.world.close_watch(rng)

    @rule(rng=seeds)
    def refuse_session(self, rng: Random) -> None:
        self.world.refuse_session(rng)

    @rule(rng=seeds)
    def edit_session(self, rng: Random) -> None:
        self.world.edit_session(rng)

    @rule(rng=randoms)
    def tick(self, rng: Random) -> None:
        self.world.tick(rng)

    @rule(rng=seeds)
    def stall(self, rng: Random) -> None:
        self.world.stall(rng)

    @rule(rng=seeds)
    def disconnect(self, rng: Random) -> None:
        self.world.disconnect(rng)

    @rule(rng=seeds)
    def drain(self, rng: Random) -> None:
        self.world.drain(rng)

    @rule(rng=seeds)
    def set_indexes(self, rng: Random) -> None:
        self.world.set_indexes(rng)

    @rule(rng=randoms)
    def rename_table(self, rng: Random) -> None:
        self.world.rename_table(rng)

    @rule(rng=seeds)
    def swap_tables(self, rng: Random) -> None:
        lives.swap_tables(self.world, rng)

    @rule(rng=seeds)
    def alter_table(self, rng: Random) -> None:
        lives.alter_table(self.world, rng)

    @rule(rng=seeds)
    def recreate_table(self, rng: Random) -> None:
        self.world.recreate_table(rng)

    @rule(rng=randoms)
    def retain_table(self, rng: Random) -> None:
        retain_table(self.world, rng)

    @rule(rng=seeds)
    def sweep_texts(self, rng: Random) -> None:
        sweep_texts(self.world, rng)

    @invariant()
    def the_law(self) -> None:
        if self.world.questions:
            self.world.verify(self.rng)

    def teardown(self) -> None:
        if self.world.questions:
            self.world.finish(self.rng)
        self.thresholds.__exit__(None, None, None)


class ShortHistoryMachine(Machine):
    limits = SHORT_HISTORY


profile = settings()
budget = settings(max_examples=max(10, profile.max_examples // 8), stateful_step_count=profile.stateful_step_count // 2)
TestMachine = pytest.mark.fuzz(Machine.TestCase)
TestMachine.settings = budget
TestShortHistoryMachine = pytest.mark.fuzz(ShortHistoryMachine.TestCase)
TestShortHistoryMachine.settings = budget


@pytest.mark.parametrize("seed", range(8))
def test_seeded_histories(seed: int) -> None:
    world = play(seed, small=seed % 2 == 0)
    assert world.commits > 5, "a history without commits proves nothing"


@pytest.mark.parametrize("seed", range(8))
def test_seeded_histories_with_a_short_history(seed: int) -> None:
    play(seed, small=seed % 2 == 0, **SHORT_HISTORY)


@pytest.mark.parametrize("seed", range(3))
def test_seeded_histories_with_many_keys(seed: int) -> None:
    """What the engine does differently when batches and results are large."""
    play(seed, keys=WIDE, **(SHORT_HISTORY if seed % 2 else {}))
