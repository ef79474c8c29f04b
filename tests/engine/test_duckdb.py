"""The second oracle: what DuckDB answers to the same questions over the same histories.

`test_the_two_oracles_agree` compares the oracles with each other, without the engine: a mistake in one of them is found
before it excuses one of the engine's.
"""

from __future__ import annotations

from random import Random

import pytest

from tests.engine import translate
from tests.engine.sql_oracle import SqlOracle, sayable
from tests.engine.viewer import cut, same
from tests.engine.world import World, play
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
    sql = SqlOracle()

    def ask(world: World, rng: Random) -> None:
        sql.load(world.model)
        for name, question in world.questions.items():
            if not sayable(question):
                continue
            definition, span = world.model.definitions[question.table], questions.span(rng)
            rows, total = sql.answer(question, definition, questions.Span())
            read = world.hub.session(name).read(translate.window(span))
            once = world.hub.query(translate.query(question), translate.window(span))
            for result in (read, once):
                same(result.rows.to_rows(), cut(rows, span), f"{question} in {span}")
                assert result.total_count == total
            for viewer in world.viewers:
                if viewer.session.name == name and not viewer.stalled:
                    same(viewer.mirror.rows, cut(rows, viewer.span), f"the mirror of {question} in {viewer.span}")

    play(seed, steps=12, also=ask)
