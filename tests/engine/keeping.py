"""What tables do not keep, as steps of a history (`world.py`): rows leave by themselves; texts and histories go."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from tesseract_grpc.engine.data.retention import Retention
from tests.oracle.retained import Rule

if TYPE_CHECKING:
    from tests.engine.world import World


def retain_table(world: World, rng: Random) -> None:
    """A table has a retention for some commits and ticks, or gets another one meanwhile."""
    name = rng.choice(world.definitions()).name
    for _ in range(rng.choice((1, 1, 2))):
        set_rule(world, name, random_rule(world, rng, name))
        for _ in range(rng.randint(1, 4)):
            rng.choice((type(world).commit, type(world).commit, type(world).tick, sweep_texts))(world, rng)
            world.verify(rng)
    set_rule(world, name, None)


def set_rule(world: World, name: str, rule: Rule | None) -> None:
    """Gives a table a retention, or takes it: one version, in which those leave that are too many."""
    before = world.hub.version
    retention = None if rule is None else Retention(rule.max_age, rule.age, rule.most, rule.order, rule.interval)
    result = world.hub.set_retention(name, retention)
    assert world.hub.version == before + 1
    world.model.rules.pop(name, None)
    if rule is not None:
        world.model.rules[name] = rule
    world.model.expire([name])
    world.followed(result, simple=False)


def random_rule(world: World, rng: Random, name: str) -> Rule:
    fields = world.model.definitions[name].fields
    times = [field.name for field in fields if field.type == "timestamp"]
    others = ["", "", *(field.name for field in fields if field.type != "json")]
    age = rng.choice(times) if times and rng.random() < 0.6 else ""
    max_age = rng.choice((1, 3, 1_000, 1_000_000)) if age else 0
    most = rng.choice((1, 2, 4, 6)) if not max_age or rng.random() < 0.5 else 0
    interval = rng.choice((0, 0, 2, 1_000_000))
    return Rule(max_age, age, most, rng.choice(others) if most else "", interval)


def sweep_texts(world: World, rng: Random) -> None:
    """Texts that no row has any more are dropped, now and then with the history that still tells of them."""
    names = list(world.hub.tables)
    if rng.random() < 0.5:
        world.hub.forget_history(rng.choice(names))
    for name in names:
        world.hub.drop_texts(name, budget=rng.choice((1, 3, 1_000)))
