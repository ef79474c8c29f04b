"""The second oracle: what DuckDB answers to the same questions over the same histories.

`test_the_two_oracles_agree` compares the oracles with each other, without the engine: a mistake in one of them is found
before it excuses one of the engine's.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import duckdb
import pytest

from tests.engine.sql_composed import Composer
from tests.engine.sql_oracle import NotSaid, SqlOracle
from tests.engine.viewer import same
from tests.engine.world import World, play
from tests.oracle.asks import Row
from tests.oracle.model import Model
from tests.oracle.rows import Refused
from tests.world import domain, questions, writes


@pytest.mark.parametrize("seed", range(4))
def test_the_two_oracles_agree(seed: int) -> None:
    rng, sql, model = Random(seed), SqlOracle(), Model()
    for definition in domain.TABLES:
        model.create(definition)
    for version in range(1, 13):
        try:
            model.commit(writes.commit(rng, [*domain.TABLES], model.wrote), version)
        except Refused:
            continue
        sql.load(model)
        for _ in range(25):
            definition = rng.choice(domain.TABLES)
            question, span = questions.question(rng, definition), questions.span(rng)
            rows, total = model.answer(question, span)
            theirs, their_total = sql.answer(question, definition, span)
            same(theirs, rows, f"DuckDB on {question} in {span}")
            assert their_total == total


@pytest.mark.parametrize("seed", range(100, 106))
def test_sessions_agree_with_duckdb(seed: int) -> None:
    """Composed questions, over the same histories; what SQL cannot say is counted, and may not be most of it."""
    sql, said = SqlOracle(), Counter[str]()

    def ask(world: World, rng: Random) -> None:
        sql.load(world.model)
        composer = Composer(world.model)
        for name, question in world.questions.items():
            try:
                rows = sql.rows(composer.whole(question))
            except (NotSaid, duckdb.OutOfRangeException):
                said["no"] += 1
                continue
            said["yes"] += 1
            mine = world.hub.session(name).read().rows.to_rows()
            same(list(map(rounded, mine)), list(map(rounded, rows)), f"{question}, by DuckDB")

    play(seed, steps=8, also=ask)
    assert said["yes"] > 20, said


def rounded(row: Row) -> Row:
    """Sums and means of doubles differ in their last digits, for DuckDB rounds more than once."""
    return {name: float(f"{value:.12g}") + 0.0 if isinstance(value, float) else value for name, value in row.items()}
