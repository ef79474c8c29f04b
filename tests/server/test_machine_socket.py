"""The law through a real socket: after every round of commits, every mirror is the query evaluated from scratch, and
every stream that was recorded keeps all promises at every one of its consistent points."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.server.socket_world import SESSIONS, SocketWorld

seeds = st.integers(0, 2**32 - 1).map(Random)
randoms = st.randoms(use_true_random=False)


class SocketMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world: SocketWorld | None = None
        self.rng = Random(0)

    @property
    def open_world(self) -> SocketWorld:
        assert self.world is not None
        return self.world

    @initialize(rng=seeds)
    def start(self, rng: Random) -> None:
        self.world = SocketWorld()
        self.world.start(rng)
        assert len(self.world.questions) >= SESSIONS

    @rule(rng=randoms, count=st.integers(1, 6))
    def commits(self, rng: Random, count: int) -> None:
        for _ in range(count):
            self.open_world.commit(rng)

    @rule(rng=seeds)
    def many_commits(self, rng: Random) -> None:
        for _ in range(10):
            self.open_world.commit(rng)

    @rule(rng=seeds)
    def open_session(self, rng: Random) -> None:
        if len(self.open_world.questions) < 2 * SESSIONS:
            self.open_world.open_session(rng)

    @rule(rng=seeds)
    def close_session(self, rng: Random) -> None:
        self.open_world.close_session(rng)

    @rule(rng=seeds)
    def edit_session(self, rng: Random) -> None:
        self.open_world.edit_session(rng)

    @rule(rng=seeds)
    def move_a_window(self, rng: Random) -> None:
        self.open_world.close_watch(rng)
        self.open_world.open_watch(rng)

    @rule(rng=randoms)
    def tick(self, rng: Random) -> None:
        self.open_world.tick(rng)

    @rule(rng=seeds)
    def set_indexes(self, rng: Random) -> None:
        self.open_world.set_indexes(rng)

    @rule(rng=seeds)
    def recreate_table(self, rng: Random) -> None:
        self.open_world.recreate_table(rng)

    @invariant()
    def the_law(self) -> None:
        if self.world is not None and self.world.questions:
            self.world.verify(self.rng)

    def teardown(self) -> None:
        if self.world is None:
            return
        try:
            self.world.finish(self.rng)
        finally:
            self.world.close()


TestSocketMachine = pytest.mark.fuzz(pytest.mark.slow(SocketMachine.TestCase))
profile = settings()
TestSocketMachine.settings = settings(
    max_examples=max(3, profile.max_examples // 25), stateful_step_count=profile.stateful_step_count // 5
)


def test_a_seeded_history_through_a_socket() -> None:
    rng, world = Random(7), SocketWorld()
    try:
        world.start(rng)
        for step in range(12):
            for _ in range(rng.choice((1, 3, 8))):
                world.commit(rng)
            if step % 5 in (2, 3):
                world.tick(rng)
            if step % 3 == 0:
                world.edit_session(rng)
            if step % 4 == 1:
                world.close_session(rng)
            if step == 6:
                world.recreate_table(rng)
            world.verify(rng)
        assert world.commits > 20
        world.finish(rng)
    finally:
        world.close()
