"""Routing keys are sound: a row that the filter keeps satisfies every one of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tesseract_grpc.engine.data.schema import Scalar
from tesseract_grpc.engine.operators.predicate import compile_predicate
from tesseract_grpc.engine.operators.routing_keys import EqualKey, RangeKey, RoutingKey, routing_keys, unrouted_part
from tesseract_grpc.engine.query import filter as f
from tesseract_grpc.engine.query.filter import AllOf, AnyOf, Between, Compare, In, Like, Negate, NullTest, check_filter
from tests.engine.filter_world import SCHEMA, Row, Stored, filters, holds, rows

EQ, NE, LT, LE, GT, GE = f.CompareOp
AT = {column.name: position for position, column in enumerate(SCHEMA.columns)}


def keys(filter: f.Filter, stored: Stored, *, intern: bool = True) -> tuple[RoutingKey, ...]:
    return routing_keys(check_filter(filter, SCHEMA), SCHEMA, stored.columns, intern=intern)


def fits(key: RoutingKey, value: Scalar) -> bool:
    if value is None:
        return False
    if isinstance(key, EqualKey):
        return value in key.values
    assert isinstance(value, (int, float))
    if math.isnan(value):
        return key.high is None
    above = key.low is None or (value >= key.low if key.low_inclusive else value > key.low)
    return above and (key.high is None or (value <= key.high if key.high_inclusive else value < key.high))


@given(st.lists(filters(), min_size=5, max_size=5), rows(), st.booleans())
def test_rows_that_match_fit_every_key(asked: list[f.Filter], found: list[Row], intern: bool) -> None:
    stored = Stored(found)
    for filter in asked:
        routed = keys(filter, stored, intern=intern)
        assert len({key.column for key in routed}) == len(routed)
        for slot, row in enumerate(found):
            if holds(filter, row) is True:
                for key in routed:
                    assert fits(key, stored.columns[key.column].stored(slot)), (filter, key)


ROW: Row = {
    "key": 1,
    "whole": 1,
    "real": 1.0,
    "text": "a",
    "kind": "new",
    "flag": True,
    "time": 1,
    "must": "",
    "doc": None,
}


def chosen(column: str) -> st.SearchStrategy[f.Filter]:
    """Conjunctions and choices of lists on one column, and something else."""
    values = st.lists(st.sampled_from([-2, 0, 1, 2]), min_size=1, max_size=3)
    listed = values.map(lambda some: In(column, tuple(some)))
    others: list[f.Filter] = [Compare("flag", EQ, True), NullTest("real"), Compare("kind", EQ, "new")]
    other = st.sampled_from(others)
    branch = st.tuples(listed, other).map(AllOf)
    choice = st.lists(branch, min_size=1, max_size=3).map(tuple).map(AnyOf)
    return st.lists(listed | choice | other, min_size=1, max_size=4).map(tuple).map(AllOf)


@given(st.lists(chosen("whole") | filters(2), min_size=4, max_size=4), rows())
def test_what_the_key_leaves_open_decides(asked: list[f.Filter], found: list[Row]) -> None:
    """On rows that fit a routing key, the unrouted part says what the whole filter says."""
    stored = Stored(found)
    for filter in asked:
        form = check_filter(filter, SCHEMA)
        for key in routing_keys(form, SCHEMA, stored.columns):
            rest = unrouted_part(form, key, SCHEMA)
            predicate = compile_predicate(rest, SCHEMA, stored.columns, intern=True)
            for slot, row in enumerate(found):
                if fits(key, stored.columns[key.column].stored(slot)):
                    assert predicate.test(stored.row(slot)) == (holds(filter, row) is True), (filter, key)


@example(1)
@given(st.integers(-2, 4))
def test_key_of_lists_that_contradict_a_choice(whole: int) -> None:
    """The key is the intersection: what a list refuses, a choice cannot bring back."""
    flag, real = Compare("flag", EQ, True), NullTest("real", negated=True)
    choice = AnyOf((AllOf((Compare("whole", EQ, 1), flag)), AllOf((Compare("whole", EQ, 3), real))))
    filter = check_filter(AllOf((In("whole", (2, 3, 4)), choice)), SCHEMA)
    stored = Stored([{**ROW, "whole": whole}])
    (key,) = (key for key in routing_keys(filter, SCHEMA, stored.columns) if key.column == WHOLE)
    assert key == EqualKey(WHOLE, (3,))
    rest = compile_predicate(unrouted_part(filter, key, SCHEMA), SCHEMA, stored.columns, intern=True)
    assert (whole == 3) == (fits(key, whole) and rest.test(stored.row(0)))


WHOLE, REAL, TEXT, KIND, FLAG, TIME = (AT[name] for name in ("whole", "real", "text", "kind", "flag", "time"))

EXPECTED: list[tuple[f.Filter, tuple[RoutingKey, ...]]] = [
    (Compare("whole", EQ, 1), (EqualKey(WHOLE, (1,)),)),
    (In("whole", (2, 1)), (EqualKey(WHOLE, (1, 2)),)),
    (Compare("text", EQ, "a"), (EqualKey(TEXT, (0,)),)),
    (Compare("kind", GE, "Old"), (EqualKey(KIND, (1, 2)),)),
    (Compare("flag", NE, True), (EqualKey(FLAG, (False,)),)),
    (Compare("whole", GT, 2), (RangeKey(WHOLE, 3, None),)),
    (Between("whole", 1, 5), (RangeKey(WHOLE, 1, 5),)),
    (Between("time", "1970-01-01", None), (RangeKey(TIME, 0, None),)),
    (Compare("real", GT, 2), (RangeKey(REAL, 2.0, None, low_inclusive=False),)),
    (Compare("real", LT, 2), (RangeKey(REAL, None, 2.0, high_inclusive=False),)),
    (Compare("real", EQ, math.nan), (RangeKey(REAL, math.inf, None, low_inclusive=False),)),
    (Compare("real", NE, math.nan), (RangeKey(REAL, None, math.inf),)),
    (AnyOf(()), (EqualKey(0, ()),)),
    (AnyOf((Compare("whole", EQ, 1), Compare("whole", EQ, 3))), (EqualKey(WHOLE, (1, 3)),)),
    # Best first: fewest values, then ranges, closed on both sides first.
    (
        AllOf((Compare("real", GT, 2), Between("whole", 1, 5), In("text", ("a", "b")), Compare("flag", EQ, True))),
        (
            EqualKey(FLAG, (True,)),
            EqualKey(TEXT, (0, 1)),
            RangeKey(WHOLE, 1, 5),
            RangeKey(REAL, 2.0, None, low_inclusive=False),
        ),
    ),
    # A choice has the keys that all of its branches have.
    (
        AnyOf(
            (
                AllOf((Compare("whole", EQ, 1), Compare("real", GT, 5))),
                AllOf((Compare("whole", EQ, 2), Compare("real", GE, 3), Compare("flag", EQ, True))),
            )
        ),
        (EqualKey(WHOLE, (1, 2)), RangeKey(REAL, 3.0, None)),
    ),
    (
        AnyOf((AllOf((Compare("whole", EQ, 9), Compare("flag", EQ, True))), Between("whole", 1, 5))),
        (RangeKey(WHOLE, 1, 9),),
    ),
    (
        AnyOf(
            (
                AllOf((Compare("real", LT, 5), Compare("real", GT, 1), NullTest("whole"))),
                AllOf((Compare("real", LT, 5), Compare("real", GT, 1), NullTest("text"))),
            )
        ),
        (RangeKey(REAL, 1.0, 5.0, low_inclusive=False, high_inclusive=False),),
    ),
    (
        AnyOf(
            (
                AllOf((Compare("real", LT, 5), NullTest("whole"))),
                AllOf((Compare("real", LE, 5), NullTest("text"))),
            )
        ),
        (RangeKey(REAL, None, 5.0),),
    ),
    (AnyOf((Compare("whole", LE, 1), Compare("whole", GE, 5))), ()),
    (AnyOf((Compare("whole", EQ, 1), Compare("real", EQ, 1))), ()),
    (AnyOf((Compare("whole", EQ, 1), NullTest("whole"))), ()),
    (AllOf((Compare("whole", EQ, 1), NullTest("real"))), (EqualKey(WHOLE, (1,)),)),
    # These say too little, or match null rows.
    (AllOf(()), ()),
    (NullTest("whole"), ()),
    (NullTest("whole", negated=True), ()),
    (Compare("whole", NE, 1), ()),
    (In("whole", (1, 2), negated=True), ()),
    (Like("text", "a"), ()),
    (Compare("text", GT, "a"), ()),
    (Negate(Compare("text", EQ, "a")), ()),
]


@pytest.mark.parametrize(("filter", "expected"), EXPECTED, ids=str)
def test_keys(filter: f.Filter, expected: tuple[RoutingKey, ...]) -> None:
    assert keys(filter, Stored([ROW])) == expected


def test_no_filter() -> None:
    assert routing_keys(None, SCHEMA, Stored([ROW]).columns) == ()


def test_stored_types() -> None:
    """Keys hold plain stored values, not literals."""
    for filter in (Compare("time", EQ, "1970-01-01"), Between("time", "1970-01-01", "1970-01-02")):
        for key in keys(filter, Stored([ROW])):
            found = key.values if isinstance(key, EqualKey) else (key.low, key.high)
            assert all(type(value) is int for value in found)


def test_unknown_texts() -> None:
    """A one-shot query drops texts that no row has; a live one reserves their codes."""
    stored = Stored([])
    filter = In("text", ("nobody", "nothing"))
    assert keys(filter, stored, intern=False) == (EqualKey(TEXT, ()),)
    assert keys(filter, stored) == (EqualKey(TEXT, (0, 1)),)
