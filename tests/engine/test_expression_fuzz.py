"""Whatever text comes, it is an expression or it is refused with what is wrong; nothing else ever happens."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.errors import LimitExceeded
from tesseract_grpc.engine.operators.evaluate import compile_expression
from tesseract_grpc.engine.operators.evaluate_one import compile_one
from tesseract_grpc.engine.operators.evaluate_present import Present
from tesseract_grpc.engine.query.expression.check import Checked, check_expression, check_template
from tesseract_grpc.engine.query.expression.problem import BadExpression
from tesseract_grpc.engine.query.filter import Custom, check_filter
from tests.engine.expression_json import DOCUMENTS
from tests.engine.expression_world import KINDS, SCHEMA, Tree, trees
from tests.engine.expression_world import text as written
from tests.engine.test_expression_oracle import hub_of, same

WORDS = (
    *"i j f g s b c t u e d items x y row Math Number Date now null true false NaN undefined 1 2.5 1e3 0x1F 1h".split(),
    *"'a' '' ( ) [ ] { } , . ?. => ? : ?? || && == != === < <= > >= ~ !~ ! - + * / % ** in notin not between".split(),
    *"and like notlike new /a+/ /(/ /[/ `x` `${i}` `${ .length .a .map( .filter(x .reduce((a, .includes(".split(),
    *".split(',') .trim() .getTime() Math.max( Number( String( parseInt( bucket( Date.now() now() x=>x".split(),
    *"(x,y)=>x+y ()=>1 ${ } ' \" ` \\ # @ ; = & |".split(),
    '"${s} ${i}"', 'row["odd name"]', "\n", "\ud7ff", "😀", "\u00a0", "\x00",
)  # fmt: skip
ROWS: list[dict[str, Any]] = [
    {**dict.fromkeys((column.name for column in SCHEMA.columns[1:]), None)},
    {"i": 2, "j": -1, "f": 0.5, "g": float("nan"), "s": "a,b", "odd name": "x", "b": True, "c": False, "t": 0,
     "u": 10**15, "e": "mid", "d": DOCUMENTS[-1], "items": DOCUMENTS[-2]},
]  # fmt: skip
NOW = 1_709_208_000_000_000


def evaluate(found: Checked, columns: list[Column]) -> None:
    """A checked expression has values, the same over a batch and one by one."""

    def read(at: int) -> tuple[Any, Any]:
        vector = columns[at].read(slice(0, len(ROWS)))
        return vector.values, vector.valid

    values = compile_expression(found.root, SCHEMA, columns).evaluate(read, len(ROWS), NOW)
    assert values.type is found.data_type
    one = compile_one(found.root, SCHEMA, columns, Present(NOW))
    for row, value in enumerate(values.to_list()):
        single = one(lambda at, row=row: columns[at].stored(row))  # type: ignore[misc]
        assert same(value, single + 0.0 if isinstance(single, float) else single), found.text


@pytest.fixture(scope="module")
def columns() -> list[Column]:
    return list(hub_of(ROWS).table("t").columns)


def refusal(check: Callable[..., Checked], text: str) -> BadExpression | LimitExceeded | Checked:
    """The checked text, or why there is none."""
    try:
        return check(text, SCHEMA)
    except (BadExpression, LimitExceeded) as error:
        return error


def judge(text: str, columns: list[Column], check: Callable[..., Checked] = check_expression) -> bool:
    """Whether a text is an expression; refusals say where the mistake is."""
    found = refusal(check, text)
    if isinstance(found, Checked):
        evaluate(found, columns)
        if check is check_expression:
            check_filter(Custom(text), SCHEMA)
        return True
    if isinstance(found, LimitExceeded):
        assert found.metadata["limit"].startswith("max_expression")
        return False
    lines = text.count("\n") + 1
    assert found.problems
    assert all(1 <= problem.line <= lines and problem.column >= 1 and problem.message for problem in found.problems)
    return False


@settings(max_examples=400, deadline=None)
@given(text=st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join) | st.text(max_size=60))
def test_garbage_is_refused_in_an_orderly_way(text: str, columns: list[Column]) -> None:
    judge(text, columns)
    judge(text, columns, check_template)


def test_random_words_are_sometimes_expressions(columns: list[Column]) -> None:
    source = random.Random(7)
    good = sum(judge(" ".join(source.choices(WORDS, k=source.randint(1, 9))), columns) for _ in range(3_000))
    assert 30 < good < 2_000


@settings(max_examples=300, deadline=None)
@given(tree=KINDS.flatmap(trees), data=st.data())
def test_damaged_expressions_are_refused_in_an_orderly_way(
    tree: Tree, data: st.DataObject, columns: list[Column]
) -> None:
    text = written(tree)
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, min(len(text), start + 8)))
    judge(text[:start] + data.draw(st.sampled_from(("", " ", *WORDS))) + text[stop:], columns)


def test_refusing_takes_the_time_of_reading() -> None:
    source = random.Random(3)
    check_expression("1", SCHEMA)
    for _ in range(20):
        text = " ".join(source.choices(WORDS, k=2_000))[:10_000]
        begun = time.process_time()
        with pytest.raises((BadExpression, LimitExceeded)):
            check_expression(text, SCHEMA)
        assert time.process_time() - begun < 0.4
