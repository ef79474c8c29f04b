"""A hub from its image is the hub: in all that it shows, and in all that it does from then on.

The image is taken step by step in slices of a few rows, while histories go on between the steps: commits, ticks, tables
that come and go, sessions that are edited. So rows are written, removed and born before, in and after their slice.
"""

from __future__ import annotations

from random import Random

import pytest

from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.live import hub_image
from tesseract_grpc.engine.live.image import DerivedBegun, Ending, Piece, RowsCopied, RowsGone
from tests.engine import translate
from tests.engine.images import Twins, advance, restored, same_state
from tests.engine.limits import SHORT_HISTORY
from tests.engine.small import small_thresholds
from tests.engine.world import STEPS, World
from tests.world import writes as random_writes


@pytest.fixture
def slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_image, "CELLS", 1)
    monkeypatch.setattr(hub_image, "SMALLEST", 1)
    monkeypatch.setattr(hub_image, "FEW", 1)


def fill(world: World, rng: Random) -> None:
    """Rows, some of them gone again, and whatever else a history leaves."""
    for _ in range(15):
        world.commit(rng)
    for _ in range(2):
        world.derive_table(rng)
    for _ in range(4):
        rng.choices([*STEPS], [*STEPS.values()])[0](world, rng)


def imaged(world: World, rng: Random) -> list[Piece | Ending]:
    """An image that is taken while a history goes on."""
    pieces, found = world.hub.image().pieces(), list[Piece | Ending]()
    try:
        while not advance(pieces, found, rng.choice((1, 2, 2, 4))):
            step = World.recreate_table if rng.random() < 0.03 else rng.choices([*STEPS], [*STEPS.values()])[0]
            step(world, rng)
            for _ in range(rng.randint(0, 1)):
                world.commit(rng)
    finally:
        pieces.close()
    return found


def goes_on(world: World, twins: Twins, rng: Random, steps: int) -> None:
    """The same further commits and ticks give the same deltas."""
    now = world.hub.now
    for _ in range(steps):
        if rng.random() < 0.2:
            now += rng.choice((1, 2, 1_000_000))
            twins.tick(now)
        else:
            puts = random_writes.commit(rng, world.definitions(), world.model.wrote, world.keys)
            twins.commit([[translate.write(put, world.model.definitions[put.table]) for put in puts] for _ in "12"])
        if rng.random() < 0.7:
            twins.taken()
    twins.taken()
    same_state(*twins.hubs)


@pytest.mark.usefixtures("slices")
@pytest.mark.parametrize("seed", range(8))
def test_an_image_is_the_hub_whatever_happens_meanwhile(seed: int) -> None:
    rng = Random(seed)
    with small_thresholds():
        world = World(**(SHORT_HISTORY if seed % 2 else {}))
        world.start(rng)
        fill(world, rng)
        pieces = imaged(world, rng)
        other = restored(pieces, world.hub)
        other.check()
        same_state(world.hub, other)
        goes_on(world, Twins(world.hub, other), rng, 20)
        other.check()


@pytest.mark.usefixtures("slices")
def test_the_tests_reach_what_they_are_for() -> None:
    """Rows are copied again and are gone while images are taken."""
    again = gone = derived = 0
    for seed in range(3):
        rng = Random(seed)
        world = World()
        world.start(rng)
        fill(world, rng)
        copied: set[tuple[int, int]] = set()
        for piece in imaged(world, rng):
            for each in piece.pieces if isinstance(piece, Ending) else (piece,):
                derived += isinstance(each, DerivedBegun)
                if isinstance(each, RowsCopied):
                    rows = {(each.table, place) for place in each.sequence.tolist()}
                    again += len(rows & copied)
                    copied |= rows
                elif isinstance(each, RowsGone):
                    gone += len({(each.table, place) for place in each.sequence.tolist()} & copied)
    assert again > 3 and gone > 0 and derived > 1, f"{again} rows came again, {gone} went, {derived} tables derived"


def test_an_image_that_is_given_up_leaves_nothing() -> None:
    rng = Random(3)
    world = World()
    world.start(rng)
    watching = {name: len(source.watches) for name, source in world.hub._sources.items()}
    pieces = world.hub.image().pieces()
    next(pieces)
    pieces.close()
    assert watching == {name: len(source.watches) for name, source in world.hub._sources.items()}


def test_an_empty_hub() -> None:
    hub = Hub("empty", epoch="e")
    hub.tick(5)
    other = restored(list(hub.image().pieces()), hub)
    same_state(hub, other)
    assert other.now == 5
