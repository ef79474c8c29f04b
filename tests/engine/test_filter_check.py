"""What `check_filter` refuses: with which reason, naming which field, and how fast."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest

from tesseract_grpc.engine.data.errors import EngineError, InvalidRequest, LimitExceeded, Reason
from tesseract_grpc.engine.query import filter as f
from tesseract_grpc.engine.query.filter import (
    MAX_DEPTH,
    MAX_MEMBERS,
    MAX_NODES,
    MAX_PATTERNS,
    AllOf,
    AnyOf,
    Between,
    Compare,
    In,
    Like,
    Negate,
    NullTest,
    Regex,
    check_filter,
)
from tesseract_grpc.engine.query.literal import Timestamp
from tests.engine.filter_world import SCHEMA

EQ, NE, LT, LE, GT, GE = f.CompareOp


@dataclass(frozen=True)
class Wrong:
    filter: f.Filter
    reason: Reason
    field: str
    says: str  # a part of the message

    def __str__(self) -> str:
        return f"{self.reason.value}-{self.field}"


def unspecified() -> Any:
    return 0


WRONG = [
    Wrong(Compare("nothing", EQ, 1), Reason.UNKNOWN_COLUMN, "filter.comparison.column", "'nothing'"),
    Wrong(In("nothing", ()), Reason.UNKNOWN_COLUMN, "filter.membership.column", "'nothing'"),
    Wrong(Between("nothing", 1, 2), Reason.UNKNOWN_COLUMN, "filter.between.column", "'nothing'"),
    Wrong(Like("nothing", "a"), Reason.UNKNOWN_COLUMN, "filter.like.column", "'nothing'"),
    Wrong(Regex("nothing", "a"), Reason.UNKNOWN_COLUMN, "filter.regex.column", "'nothing'"),
    Wrong(NullTest("nothing"), Reason.UNKNOWN_COLUMN, "filter.null_test.column", "'nothing'"),
    Wrong(Compare("whole", unspecified(), 1), Reason.MALFORMED_FILTER, "filter.comparison.operator", "operator"),
    Wrong(Compare("whole", LT, None), Reason.MALFORMED_FILTER, "filter.comparison.value", "'whole'"),
    Wrong(Compare("whole", EQ, "1"), Reason.WRONG_TYPE, "filter.comparison.value", "'whole' is INT64"),
    Wrong(Compare("whole", EQ, True), Reason.WRONG_TYPE, "filter.comparison.value", "BOOL"),
    Wrong(Compare("whole", EQ, Timestamp(1)), Reason.WRONG_TYPE, "filter.comparison.value", "TIMESTAMP"),
    Wrong(Compare("text", EQ, 1), Reason.WRONG_TYPE, "filter.comparison.value", "'text' is STRING"),
    Wrong(Compare("flag", EQ, 1), Reason.WRONG_TYPE, "filter.comparison.value", "'flag' is BOOL"),
    Wrong(Compare("time", EQ, 1), Reason.WRONG_TYPE, "filter.comparison.value", "'time' is TIMESTAMP"),
    Wrong(Compare("time", EQ, "now"), Reason.BAD_TIMESTAMP, "filter.comparison.value", "'time'"),
    Wrong(Compare("kind", EQ, "NEW"), Reason.BAD_ENUM_VALUE, "filter.comparison.value", "new, Old, mid"),
    Wrong(Compare("doc", EQ, "{}"), Reason.WRONG_TYPE, "filter.comparison.value", "null tests"),
    Wrong(Compare("doc", LT, None), Reason.MALFORMED_FILTER, "filter.comparison.value", "'doc'"),
    Wrong(In("doc", ()), Reason.WRONG_TYPE, "filter.membership.column", "null tests"),
    Wrong(In("whole", (1, "a")), Reason.WRONG_TYPE, "filter.membership.values[1]", "'whole'"),
    Wrong(In("kind", ("new", "x")), Reason.BAD_ENUM_VALUE, "filter.membership.values[1]", "'x'"),
    Wrong(In("kind", ("new", 1)), Reason.WRONG_TYPE, "filter.membership.values[1]", "'kind' is ENUM"),
    Wrong(In("flag", (True, 0)), Reason.WRONG_TYPE, "filter.membership.values[1]", "'flag'"),
    Wrong(Between("whole", None, None), Reason.MALFORMED_FILTER, "filter.between", "bound"),
    Wrong(Between("whole", "a", 1), Reason.WRONG_TYPE, "filter.between.lower", "'whole'"),
    Wrong(Between("time", None, "x"), Reason.BAD_TIMESTAMP, "filter.between.upper", "'time'"),
    Wrong(Between("doc", 1, None), Reason.WRONG_TYPE, "filter.between.lower", "null tests"),
    Wrong(Like("whole", "1"), Reason.WRONG_TYPE, "filter.like.column", "'whole' is INT64"),
    Wrong(Like("doc", "1"), Reason.WRONG_TYPE, "filter.like.column", "'doc' is JSON"),
    Wrong(Like("text", "%\\"), Reason.MALFORMED_FILTER, "filter.like.pattern", "backslash"),
    Wrong(Regex("time", "1"), Reason.WRONG_TYPE, "filter.regex.column", "'time'"),
    Wrong(Regex("text", "("), Reason.BAD_REGEX, "filter.regex.pattern", "missing )"),
    Wrong(Regex("text", "\ud800"), Reason.BAD_REGEX, "filter.regex.pattern", "Unicode"),
    Wrong(Regex("kind", "a**"), Reason.BAD_REGEX, "filter.regex.pattern", "repetition"),
    Wrong(
        AllOf((NullTest("whole"), AnyOf((Negate(Compare("whole", EQ, "x")),)))),
        Reason.WRONG_TYPE,
        "filter.all_of.filters[1].any_of.filters[0].negate.comparison.value",
        "'whole'",
    ),
    # A part that cannot decide the result is judged all the same.
    Wrong(
        AllOf((AnyOf(()), Compare("no", EQ, 1))),
        Reason.UNKNOWN_COLUMN,
        "filter.all_of.filters[1].comparison.column",
        "'no'",
    ),
    Wrong(In("whole", (None, "a"), negated=True), Reason.WRONG_TYPE, "filter.membership.values[1]", "'whole'"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_refused(wrong: Wrong) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_filter(wrong.filter, SCHEMA)
    assert refused.value.reason is wrong.reason
    assert refused.value.field == wrong.field
    assert wrong.says in refused.value.message
    (violation,) = refused.value.violations
    assert (violation.field, violation.reason) == (wrong.field, wrong.reason)


def test_field_prefix() -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_filter(AnyOf((Compare("whole", EQ, "x"),)), SCHEMA, field="query.filter")
    assert refused.value.field == "query.filter.any_of.filters[0].comparison.value"


def test_the_present_stays_an_expression() -> None:
    found = check_filter(AllOf((f.Custom("whole > 18 &&\n now() > '2026-01-01'"),)), SCHEMA)
    assert isinstance(found, AllOf)
    assert [type(each) for each in found.filters] == [Compare, f.Expression]


# Limits


def deep(levels: int) -> f.Filter:
    filter: f.Filter = NullTest("whole")
    for _ in range(levels - 1):
        filter = Negate(filter)
    return filter


def test_depth() -> None:
    assert check_filter(deep(MAX_DEPTH), SCHEMA) == NullTest("whole", negated=True)
    with pytest.raises(LimitExceeded) as refused:
        check_filter(deep(MAX_DEPTH + 1), SCHEMA)
    assert refused.value.reason is Reason.LIMIT_EXCEEDED
    assert refused.value.metadata == {"limit": "max_filter_depth", "maximum": str(MAX_DEPTH)}
    with pytest.raises(LimitExceeded, match="at most 3 levels"):
        check_filter(deep(4), SCHEMA, max_depth=3)


def test_nodes() -> None:
    leaf = NullTest("whole")
    assert check_filter(AllOf((leaf,) * (MAX_NODES - 1)), SCHEMA) == leaf
    with pytest.raises(LimitExceeded) as refused:
        check_filter(AllOf((leaf,) * MAX_NODES), SCHEMA)
    assert refused.value.reason is Reason.LIMIT_EXCEEDED
    with pytest.raises(LimitExceeded, match="at most 3 nodes"):
        check_filter(AllOf((leaf,) * 3), SCHEMA, max_nodes=3)


def test_members() -> None:
    form = check_filter(In("whole", tuple(range(MAX_MEMBERS))), SCHEMA)
    assert isinstance(form, In)
    assert len(form.values) == MAX_MEMBERS
    with pytest.raises(LimitExceeded) as refused:
        check_filter(In("whole", tuple(range(MAX_MEMBERS + 1))), SCHEMA)
    assert refused.value.reason is Reason.LIMIT_EXCEEDED
    assert refused.value.field == "filter.membership.values"


def test_pattern_lengths_and_number() -> None:
    check_filter(Regex("text", "a" * 1000), SCHEMA)
    check_filter(Like("text", "a" * 10_000), SCHEMA)
    check_filter(AnyOf(tuple(Like("text", f"a{i}") for i in range(MAX_PATTERNS))), SCHEMA)
    too_much: list[f.Filter] = [
        Regex("text", "a" * 1001),
        Like("text", "a" * 10_001),
        AnyOf(tuple(Like("text", f"a{i}") for i in range(MAX_PATTERNS + 1))),
    ]
    for filter in too_much:
        with pytest.raises(LimitExceeded) as refused:
            check_filter(filter, SCHEMA)
        assert refused.value.reason is Reason.LIMIT_EXCEEDED


def alternating(levels: int, values: int) -> f.Filter:
    """A list that `and` and `or` in turn would change a little at each level."""
    filter: f.Filter = In("whole", tuple(range(values)))
    for level in range(levels):
        one = Compare("whole", NE, level) if level % 2 else Compare("whole", EQ, -level)
        filter = AllOf((filter, one)) if level % 2 else AnyOf((filter, one))
    return filter


HOSTILE: dict[str, f.Filter] = {
    "deep negation": deep(20_000),
    "wide": AllOf((NullTest("whole"),) * 1_000_000),
    "many values": In("whole", tuple(range(1_000_000))),
    "large repetition": Regex("text", "((a{100}){100}){100}"),
    "large classes": Regex("text", r"(\pL{50}){20}"),
    "long pattern": Regex("text", "(a*)*" * 100_000),
    "parentheses": Regex("text", "(" * 1000),
    "large like": Like("text", "_" * 9_000 + "%"),
    "long like": Like("text", "%_" * 1_000_000),
    "many patterns": AnyOf(tuple(Regex("text", f"[[:alpha:]]{{900}}{i}") for i in range(5_000))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_filters_are_refused_at_once(name: str) -> None:
    started = time.process_time()
    with pytest.raises(EngineError):
        check_filter(HOSTILE[name], SCHEMA)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "filter",
    [
        alternating(60, 90_000),
        AnyOf(tuple(AllOf((Compare("whole", GE, i), Compare("real", LE, i))) for i in range(3_000))),
        AllOf(tuple(AnyOf((Compare("text", EQ, str(i)), Compare("must", EQ, str(-i)))) for i in range(3_000))),
        Like("text", "%a" * 4_000),
    ],
    ids=["alternating lists", "many ranges", "many choices", "many literals"],
)
def test_large_filters_take_bounded_time(filter: f.Filter) -> None:
    started = time.process_time()
    check_filter(filter, SCHEMA)
    assert time.process_time() - started < 1.0
