"""What asks for the present: it is handed in, nothing that depends on it is folded, and time moves rows."""

from __future__ import annotations

from typing import Any

import pytest

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.timestamps import parse_timestamp
from tesseract_grpc.engine.operators.evaluate import compile_expression
from tesseract_grpc.engine.operators.evaluate_one import compile_one
from tesseract_grpc.engine.operators.evaluate_present import Present
from tesseract_grpc.engine.operators.predicate import Predicate, compile_predicate
from tesseract_grpc.engine.query.expression.check import check_expression
from tesseract_grpc.engine.query.filter import AllOf, Compare, Custom, Expression, Negate, check_filter
from tests.engine.expression_world import SCHEMA
from tests.engine.test_expression_oracle import hub_of

HOUR = 3_600_000_000
NOON = parse_timestamp("2024-02-29T12:00:00Z")
TIMES = [None, NOON - 2 * HOUR, NOON - HOUR, NOON - 1, NOON, NOON + HOUR]


def rows() -> list[dict[str, Any]]:
    blank = dict.fromkeys((column.name for column in SCHEMA.columns[1:]), None)
    return [{**blank, "t": time, "i": place} for place, time in enumerate(TIMES)]


def kept(predicate: Predicate, columns: list[Column], count: int) -> list[int]:
    """The rows that a predicate keeps, over arrays and one by one."""

    def read(at: int) -> tuple[Any, Any]:
        vector = columns[at].read(slice(0, count))
        return vector.values, vector.valid

    found: list[int] = predicate.mask(read, count).nonzero()[0].tolist()
    single = [row for row in range(count) if predicate.test(lambda at, row=row: columns[at].stored(row))]  # type: ignore[misc]
    assert found == single
    return found


def test_time_moves_rows() -> None:
    table = hub_of(rows()).table("t")
    columns = list(table.columns)
    predicate = compile_predicate(
        check_filter(Custom("t > now() - 1h"), SCHEMA), SCHEMA, columns, intern=True, now_us=NOON
    )
    assert predicate.timely
    assert (predicate.now_us, kept(predicate, columns, len(TIMES))) == (NOON, [3, 4, 5])
    predicate.now_us = NOON + HOUR - 1
    assert kept(predicate, columns, len(TIMES)) == [4, 5]
    predicate.now_us = NOON + 2 * HOUR
    assert kept(predicate, columns, len(TIMES)) == []


WITHIN: dict[str, list[int]] = {
    "t > now() - 1h": [3, 4, 5],
    "now() - 1h < t": [3, 4, 5],
    "t >= now() - 60m && t <= now()": [2, 3, 4],
    "t between now() - 3600s and now()": [2, 3, 4],
    "!(t > now() - 3600000)": [1, 2],
    "Date.now() - t.getTime() <= 3600000": [2, 3, 4, 5],
    "(Date.now() - t.getTime()) / (1000 * 60 * 60 * 24) > 0.08": [1],
    "new Date() == t": [4],
    "bucket(t, 1h) == bucket(now(), 1h)": [4],
    "now() > '2024-01-01'": [0, 1, 2, 3, 4, 5],
    "now() > '2024-01-01' && i > 3": [4, 5],
    "now() < '2024-01-01' || i == 2": [2],
    "now().getHours() == 12 && t == null": [0],
    "now()": [0, 1, 2, 3, 4, 5],
    "!now()": [],
}


@pytest.mark.parametrize("text", WITHIN)
def test_filters_with_the_present(text: str) -> None:
    columns = list(hub_of(rows()).table("t").columns)
    predicate = compile_predicate(check_filter(Custom(text), SCHEMA), SCHEMA, columns, intern=False, now_us=NOON)
    assert predicate.timely
    assert kept(predicate, columns, len(TIMES)) == WITHIN[text]
    opposite = check_filter(Negate(Negate(Custom(text))), SCHEMA)
    assert opposite == check_filter(Custom(text), SCHEMA)


def test_a_filter_without_the_present_is_not_timely() -> None:
    columns = list(hub_of(rows()).table("t").columns)
    for filter in (None, Custom("t > '2024-01-01'"), Custom("i * 2 > 4")):
        checked = None if filter is None else check_filter(filter, SCHEMA)
        assert not compile_predicate(checked, SCHEMA, columns, intern=True).timely


def test_the_present_becomes_no_bound() -> None:
    found = check_filter(Custom("t > now() - 1h && i == 2"), SCHEMA)
    assert isinstance(found, AllOf)
    assert [type(each) for each in found.filters] == [Compare, Expression]
    assert check_filter(Custom("now() - 1h < t && 2 == i"), SCHEMA) == found


def test_values_of_the_present() -> None:
    columns = list(hub_of(rows()[:1]).table("t").columns)
    for text, value in (
        ("now()", NOON),
        ("Date.now()", NOON // 1000),
        ("now() - 1d", NOON - 24 * HOUR),
        ("now() + 1.5h", NOON + HOUR + HOUR // 2),
        ("now() - 500ms - 2s", NOON - 2_500_000),
        ("now() - new Date('2024-02-29')", 12.0 * 3_600_000),
        ("(Date.now() - new Date('2024-02-28T12:00:00Z').getTime()) / (1000 * 60 * 60 * 24)", 1.0),
        ("`at ${now()}`", "at 2024-02-29T12:00:00.000Z"),
    ):
        found = check_expression(text, SCHEMA)
        assert found.uses_now
        batch = compile_expression(found.root, SCHEMA, columns).evaluate(lambda at: None, 2, NOON)  # type: ignore[arg-type, return-value]
        assert batch.to_list() == [value, value]
        assert compile_one(found.root, SCHEMA, columns, Present(NOON))(lambda at: None) == value
