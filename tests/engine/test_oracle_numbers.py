"""The oracle against the engine at the ends of the numbers: a test machine that is wrong there accuses the innocent."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tesseract_grpc.engine.hub import Hub
from tests.engine import translate
from tests.oracle.asks import Definition, Field, Put
from tests.oracle.model import Model
from tests.oracle.question import Aggregate, Grouping, Question, Span

TABLE = Definition(
    "t",
    (
        Field("id", "int64", key=True),
        *(Field(name, "int64") for name in ("i", "w")),
        *(Field(name, "float64") for name in ("x", "y")),
    ),
)
INTS = (0, 1, -1, 2, 3, 2**53, 2**53 + 1, 2**53 - 1, 2**63 - 1, 2**63 - 2, -(2**63), 1 - 2**63, 2**62, 10**15, 7, None)
FINITE = (
    0.0, -0.0, 1.0, -1.0, 0.1, 0.2, 0.3, 1 / 3, 2 / 3, 1e-5, 1.5e-6, 1e-7, 123456.789, 1e17, 1e21, 1e200, -1e200,
    1e-200, 1e308, 1.7e308, -1.7e308, 5e-324, -5e-324, 1e-310, None,
)  # fmt: skip
ODD = (*FINITE, float("nan"), float("inf"), float("-inf"))
FUNCTIONS = ("avg", "var", "stddev", "median", "min", "max", "join", "array")


def aggregates(rng: Random) -> list[Aggregate]:
    found = [Aggregate(f"{function}_{column}", function, column) for function in FUNCTIONS for column in "ix"]
    share = rng.choice((0.1, 0.25, 1 / 3, 0.75, 0.9))
    found += [Aggregate(f"percentile_{column}", "percentile", column, percentile=share) for column in "ix"]
    found += [Aggregate(f"{of}_by_{by}", "weighted_avg", of, weight=by) for of in "ix" for by in "wy"]
    return [*found, Aggregate("sum", "sum", "x")]


@pytest.mark.parametrize("seed", range(40))
def test_the_oracle_is_right_at_the_ends_of_the_numbers(seed: int) -> None:
    rng = Random(seed)
    doubles = rng.sample(ODD if seed % 3 == 0 else FINITE, rng.choice((2, 4, 12)))
    ints = rng.sample(INTS, rng.choice((2, 4, 12)))

    def row(id: int) -> dict[str, Any]:
        return {"id": id} | {name: rng.choice(ints if name in "iw" else doubles) for name in "iwxy"}

    put = Put("t", "insert", tuple(row(id) for id in range(rng.randint(1, 6))))
    hub, model = Hub("test", epoch="test"), Model()
    hub.create_table("t", translate.schema(TABLE))
    model.create(TABLE)
    model.commit([put], 1)
    hub.commit([translate.write(put, TABLE)])
    question = Question("t", group=Grouping((), tuple(aggregates(rng))))
    (found,) = hub.query(translate.query(question)).rows.to_rows()
    (true,) = model.answer(question, Span())[0]
    assert {name: repr(value) for name, value in found.items()} == {name: repr(value) for name, value in true.items()}
