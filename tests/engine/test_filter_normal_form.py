"""Laws of the normal form: it means the same, is reached once, and is one object value for many spellings."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tesseract_grpc.engine.data.schema import INT64_MAX, INT64_MIN
from tesseract_grpc.engine.operators.predicate import compile_predicate
from tesseract_grpc.engine.query import filter as f
from tesseract_grpc.engine.query.filter import (
    FALSE,
    TRUE,
    AllOf,
    AnyOf,
    Between,
    Compare,
    In,
    Like,
    Negate,
    NullTest,
    Regex,
)
from tesseract_grpc.engine.query.literal import Timestamp
from tests.engine.filter_world import SCHEMA, VALUES, Row, Stored, filters, holds, rows

EQ, NE, LT, LE, GT, GE = f.CompareOp


def normal(filter: f.Filter | None) -> f.Filter:
    return f.check_filter(filter, SCHEMA)


def nodes(filter: f.Filter) -> Iterator[f.Filter]:
    yield filter
    if isinstance(filter, (AllOf, AnyOf)):
        for part in filter.filters:
            yield from nodes(part)


@given(st.lists(filters(), min_size=5, max_size=5), rows())
def test_differential_meaning(asked: list[f.Filter], found: list[Row]) -> None:
    """The rows for which the normal form's predicate is true are those for which the filter is."""
    stored = Stored(found)
    for filter in asked:
        predicate = compile_predicate(normal(filter), SCHEMA, stored.columns, intern=False)
        kept = predicate.mask(stored.read, stored.count).tolist()
        assert kept == [holds(filter, row) is True for row in found], filter


@given(filters())
def test_idempotent(filter: f.Filter) -> None:
    once = normal(filter)
    again = normal(once)
    assert again == once
    assert hash(again) == hash(once)


@given(filters())
def test_shape(filter: f.Filter) -> None:
    """No negations of trees, no bounds pairs, no lists of one, no nested trees of a kind, no NaN."""
    for node in nodes(normal(filter)):
        assert not isinstance(node, (Negate, Between, f.Custom))
        if isinstance(node, (AllOf, AnyOf)) and node not in (TRUE, FALSE):
            assert len(node.filters) > 1
            assert len(set(node.filters)) == len(node.filters)
            assert not any(isinstance(part, type(node)) or part in (TRUE, FALSE) for part in node.filters)
        if isinstance(node, In):
            assert len(node.values) > 1
            assert list(node.values) == sorted(set(node.values))  # type: ignore[type-var]  # of one type
        if isinstance(node, Compare):
            assert node.value is not None
            assert not (isinstance(node.value, float) and math.isnan(node.value))


@given(st.lists(filters(1), max_size=5), st.randoms())
def test_order_and_duplicates_do_not_matter(parts: list[f.Filter], random: object) -> None:
    more = [*parts, *parts[:2]]
    random.shuffle(more)  # type: ignore[attr-defined]  # hypothesis gives a Random
    for kind in (AllOf, AnyOf):
        assert normal(kind(tuple(parts))) == normal(kind(tuple(more)))


@given(filters(2))
def test_double_negation(filter: f.Filter) -> None:
    assert normal(Negate(Negate(filter))) == normal(filter)


@given(st.lists(filters(1), max_size=4).map(tuple))
def test_de_morgan(parts: tuple[f.Filter, ...]) -> None:
    assert normal(Negate(AllOf(parts))) == normal(AnyOf(tuple(map(Negate, parts))))
    assert normal(Negate(AnyOf(parts))) == normal(AllOf(tuple(map(Negate, parts))))


@given(filters(1), filters(1), filters(1))
def test_nesting_does_not_matter(one: f.Filter, two: f.Filter, three: f.Filter) -> None:
    for kind in (AllOf, AnyOf):
        flat = normal(kind((one, two, three)))
        assert normal(kind((kind((one, two)), three))) == flat
        assert normal(kind((one, kind((two, three))))) == flat


@given(filters(2))
def test_neutral_and_absorbing(filter: f.Filter) -> None:
    form = normal(filter)
    assert normal(AllOf((filter, TRUE))) == form
    assert normal(AnyOf((filter, FALSE))) == form
    assert normal(AllOf((filter, FALSE))) == FALSE
    assert normal(AnyOf((filter, TRUE))) == TRUE


@given(filters(0))
def test_a_leaf_and_its_negation_exclude_each_other(leaf: f.Filter) -> None:
    """No row is kept by a condition and by its negation."""
    both = normal(AllOf((leaf, Negate(leaf))))
    longest = max(map(len, VALUES.values()))
    rows = [{name: values[i % len(values)] for name, values in VALUES.items()} for i in range(longest)]
    everywhere = Stored(rows)
    predicate = compile_predicate(both, SCHEMA, everywhere.columns, intern=False)
    assert not predicate.mask(everywhere.read, everywhere.count).any()


T = Timestamp
NOT_NULL = NullTest("whole", negated=True)

SAME: list[tuple[f.Filter | None, f.Filter]] = [
    (None, TRUE),
    (AllOf(()), TRUE),
    (Negate(AnyOf(())), TRUE),
    (Compare("whole", GT, 2.5), Compare("whole", GE, 3)),
    (Compare("whole", GT, 2), Compare("whole", GE, 3)),
    (Compare("whole", LT, 3), Compare("whole", LE, 2)),
    (Compare("whole", LT, -2.5), Compare("whole", LE, -3)),
    (Compare("whole", EQ, 2.0), Compare("whole", EQ, 2)),
    (Compare("whole", EQ, 2.5), FALSE),
    (Compare("whole", NE, 2.5), NOT_NULL),
    (Compare("whole", EQ, None), NullTest("whole")),
    (Compare("whole", NE, None), NOT_NULL),
    (Compare("whole", LE, INT64_MAX), NOT_NULL),
    (Compare("whole", GT, INT64_MAX), FALSE),
    (Compare("whole", LT, INT64_MIN + 1), Compare("whole", EQ, INT64_MIN)),
    (Compare("whole", GE, math.nan), FALSE),
    (Compare("real", EQ, math.nan), Compare("real", GT, math.inf)),
    (Compare("real", NE, math.nan), Compare("real", LE, math.inf)),
    (Compare("real", EQ, -0.0), Compare("real", EQ, 0.0)),
    (Compare("real", GT, 2**53 + 1), Compare("real", GE, 2.0**53 + 2)),
    (Compare("real", EQ, 2**53 + 1), FALSE),
    (Compare("time", LT, "1970-01-01"), Compare("time", LE, T(-1))),
    (Compare("time", EQ, "1970-01-01"), Compare("time", EQ, T(0))),
    (Compare("flag", NE, True), Compare("flag", EQ, False)),
    (Compare("flag", GT, False), Compare("flag", EQ, True)),
    (Compare("flag", LE, True), NullTest("flag", negated=True)),
    (Compare("kind", GE, "Old"), In("kind", ("Old", "mid"))),
    (Compare("kind", NE, "new"), Compare("kind", GT, "new")),
    (Like("kind", "%d"), In("kind", ("Old", "mid"))),
    (Regex("kind", "^n"), Compare("kind", EQ, "new")),
    (Compare("text", GT, ""), Compare("text", NE, "")),
    (Compare("text", GE, ""), NullTest("text", negated=True)),
    (Between("whole", 1, 3), AllOf((Compare("whole", LE, 3), Compare("whole", GE, 1)))),
    (Between("whole", 5, 5), Compare("whole", EQ, 5)),
    (Between("whole", 5, 4), FALSE),
    (Between("whole", None, 4), Compare("whole", LE, 4)),
    (Negate(Between("whole", 1, 3)), AnyOf((Compare("whole", LE, 0), Compare("whole", GE, 4)))),
    (In("whole", (2,)), Compare("whole", EQ, 2)),
    (In("whole", (2,), negated=True), Compare("whole", NE, 2)),
    (In("whole", (3, 1, 2.0, 1)), In("whole", (1, 2, 3))),
    (In("whole", ()), FALSE),
    (In("whole", (), negated=True), NOT_NULL),
    (In("whole", (1, None)), Compare("whole", EQ, 1)),
    (In("whole", (1, None), negated=True), FALSE),
    (In("real", (1, math.nan)), AnyOf((Compare("real", EQ, 1.0), Compare("real", GT, math.inf)))),
    (AnyOf((Compare("whole", EQ, 2), Compare("whole", EQ, 1))), In("whole", (1, 2))),
    (AllOf((Compare("whole", NE, 2), Compare("whole", NE, 1))), In("whole", (1, 2), negated=True)),
    (AnyOf((In("whole", (1, 2), negated=True), Compare("whole", EQ, 1))), Compare("whole", NE, 2)),
    (AnyOf((In("whole", (1, 2), negated=True), Compare("whole", NE, 1))), Compare("whole", NE, 1)),
    (AllOf((In("whole", (1, 2, 3)), In("whole", (2, 3, 4)), Compare("whole", NE, 3))), Compare("whole", EQ, 2)),
    (AnyOf((Compare("flag", EQ, True), Compare("flag", EQ, False))), NullTest("flag", negated=True)),
    (AllOf((Compare("whole", GE, 3), Compare("whole", GT, 4), NOT_NULL)), Compare("whole", GE, 5)),
    (AnyOf((Compare("real", GE, 3), Compare("real", GT, 3.0))), Compare("real", GE, 3.0)),
    (AllOf((NullTest("whole"), Compare("whole", EQ, 1))), FALSE),
    (AnyOf((NullTest("whole"), NOT_NULL)), TRUE),
    (AnyOf((NOT_NULL, Compare("whole", EQ, 1))), NOT_NULL),
    (NullTest("must"), FALSE),
    (NullTest("key", negated=True), TRUE),
    (Like("text", "AD"), Like("text", "ad")),
    (Like("text", "%ad%"), Like("text", "ad")),
    (Like("text", "%%A%%B"), Like("text", "%a%b")),
    (Like("text", "%"), NullTest("text", negated=True)),
    (Like("must", ""), TRUE),
    (Negate(Like("text", "a")), Like("text", "a", negated=True)),
    (Negate(Regex("text", "a", negated=True)), Regex("text", "a")),
]


@pytest.mark.parametrize(("one", "other"), SAME, ids=str)
def test_same(one: f.Filter | None, other: f.Filter) -> None:
    assert normal(one) == normal(other)
    assert hash(normal(one)) == hash(normal(other))


def test_normal_forms_stand_as_written() -> None:
    """The right sides above that are meant to be the form itself."""
    for _, form in SAME:
        if not isinstance(form, (AllOf, AnyOf)) and form not in (
            Compare("kind", GT, "new"),
            Compare("text", NE, ""),
            Like("text", "%a%b"),
        ):
            assert normal(form) == form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Compare("real", GT, 3), Compare("real", GE, 3)),
        (Compare("text", EQ, "a"), Compare("text", EQ, "A")),
        (Regex("text", "a"), Regex("text", "a", case_insensitive=True)),
        (Like("text", "a%"), Like("text", "a")),
        (Like("text", "a\\%"), Like("text", "a%")),
        (Compare("whole", EQ, 1), Compare("key", EQ, 1)),
        (Compare("whole", EQ, 1), Compare("real", EQ, 1)),
        (NullTest("whole"), NullTest("real")),
        (AllOf((NOT_NULL, Compare("real", GE, 3))), Compare("real", GE, 3)),
    ],
)
def test_different(one: f.Filter, other: f.Filter) -> None:
    assert normal(one) != normal(other)
