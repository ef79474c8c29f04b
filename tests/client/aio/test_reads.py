"""Reads from a real server: by key, by query, in pages and in whole, at a version."""

from typing import Any

import numpy as np
import pytest

from tesseract_grpc.client import AsyncEventHorizon, AsyncTesseract, InvalidRequest, LimitExceeded

COLUMNS: list[dict[str, Any]] = [
    {"name": "symbol", "type": "string", "primary_key": True},
    {"name": "day", "type": "int64", "primary_key": True},
    {"name": "price", "type": "number", "index": True},
    {"name": "side", "enum": ["buy", "sell"]},
]
ROWS = [
    {"symbol": symbol, "day": day, "price": price, "side": side}
    for symbol, day, price, side in [
        ("A", 1, 5.0, "buy"),
        ("A", 2, None, "sell"),
        ("B", 1, 3.0, "sell"),
        ("B", 2, float("inf"), None),
        ("C", 1, -1.0, "buy"),
    ]
]


@pytest.fixture
async def table(hub: AsyncEventHorizon, table_id: str) -> AsyncTesseract:
    made = await hub.create_tesseract(table_id, COLUMNS)
    await made.add(ROWS)
    return made


async def test_by_key(table: AsyncTesseract) -> None:
    assert await table.get(("B", 1)) == ROWS[2]
    assert await table.get({"symbol": "B", "day": 1}) == ROWS[2]
    assert await table.get(("Z", 1)) is None
    many = await table.get_many([("C", 1), ("Z", 9), ("A", 1)], columns=["price"])
    assert many == [{"symbol": "C", "day": 1, "price": -1.0}, {"symbol": "A", "day": 1, "price": 5.0}]
    assert len(many.row_versions) == 2
    with pytest.raises(InvalidRequest):
        await table.get("B")
    with pytest.raises(InvalidRequest) as caught:
        await table.get(("B", 1), columns=["nope"])
    assert caught.value.reason == "UNKNOWN_COLUMN"


QUERIES: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [0, 1, 2, 3, 4]),
    ({"filter": [{"field": "price", "comparison": ">", "value": 0}]}, [0, 2, 3]),
    ({"filter": [{"field": "side", "comparison": "==", "value": "buy"}]}, [0, 4]),
    ({"filter": [{"field": "side", "value": None}]}, [3]),
    ({"filter": [{"not": {"field": "symbol", "comparison": "in", "value": ["A", "B"]}}]}, [4]),
    ({"filter": [{"any": [{"field": "day", "value": 2}, {"field": "symbol", "value": "C"}]}]}, [1, 3, 4]),
    ({"filter": [{"field": "price", "comparison": "between", "value": [-1, 3]}]}, [2, 4]),
    ({"filter": [{"field": "symbol", "comparison": "~", "value": "a"}]}, [0, 1]),
    ({"filter": [{"field": "symbol", "comparison": "regex", "value": "^[BC]$"}]}, [2, 3, 4]),
    ({"sort": [{"field": "price", "direction": "desc"}]}, [3, 0, 2, 4, 1]),
    ({"sort": [{"field": "price", "nulls": "first"}]}, [1, 4, 2, 0, 3]),
    ({"sort": ["day", {"field": "symbol", "direction": "desc"}]}, [4, 2, 0, 3, 1]),
    ({"sort": ["price"], "start": 1, "limit": 2}, [2, 0]),
    ({"start": 4}, [4]),
    ({"start": 9, "limit": 2}, []),
]


@pytest.mark.parametrize(("question", "expected"), QUERIES, ids=str)
async def test_queries(question: dict[str, Any], expected: list[int], table: AsyncTesseract) -> None:
    rows = await table.query(**question)
    assert rows == [ROWS[at] for at in expected]
    counted = {name: value for name, value in question.items() if name == "filter"}
    assert rows.total_count == await table.count(**counted)


async def test_some_columns(table: AsyncTesseract) -> None:
    rows = await table.query(columns=["price", "symbol", "day"], limit=1)
    assert rows.columns == ("price", "symbol", "day")
    assert rows == [{"price": 5.0, "symbol": "A", "day": 1}]
    assert list(rows[0]) == ["price", "symbol", "day"]


async def test_counting_reads_no_rows(table: AsyncTesseract) -> None:
    rows = await table.query(limit=0)
    assert (len(rows), rows.total_count) == (0, 5)
    assert await table.count([{"field": "day", "value": 1}]) == 3


async def test_large_results_are_of_one_version(hub: AsyncEventHorizon, table_id: str) -> None:
    table = await hub.create_tesseract(f"{table_id}_large", COLUMNS)
    count = 30_000
    made = await table.add({"symbol": [f"s{at}" for at in range(count)], "day": np.arange(count)})
    whole = await table.get_data(min_version=made.version)
    assert (len(whole), whole.total_count, whole.version) == (count, count, made.version)
    assert len(whole.blocks) > 1  # it came in pieces
    assert whole.to_numpy()["day"].tolist() == list(range(count))
    assert whole.to_arrow()["symbol"].to_pylist() == [f"s{at}" for at in range(count)]
    part = await table.get_data(start=5, limit=20_000)
    assert (len(part), part[0]["day"], part[-1]["day"]) == (20_000, 5, 20_004)


async def test_a_read_waits_for_the_version_that_it_asks_for(hub: AsyncEventHorizon, table: AsyncTesseract) -> None:
    written = await table.update({"symbol": "A", "day": 1, "price": 6.0})
    row = await table.get(("A", 1), min_version=written.version)
    assert row is not None
    assert row["price"] == 6.0


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({"filter": [{"field": "nope", "value": 1}]}, "UNKNOWN_COLUMN"),
        ({"filter": [{"field": "price", "value": "x"}]}, "WRONG_TYPE"),
        ({"sort": ["nope"]}, "UNKNOWN_COLUMN"),
        ({"columns": ["nope"]}, "UNKNOWN_COLUMN"),
        ({"filter": [{"field": "symbol", "comparison": "regex", "value": "("}]}, "BAD_REGEX"),
        ({"filter": [{"field": "price", "comparison": "=>", "value": 1}]}, "MALFORMED_FILTER"),
        ({"limit": -1}, "BAD_WINDOW"),
    ],
    ids=str,
)
async def test_questions_that_are_refused(question: dict[str, Any], reason: str, table: AsyncTesseract) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await table.query(**question)
    assert caught.value.reason == reason
    assert caught.value.field


async def test_expressions(table: AsyncTesseract) -> None:
    found = await table.query([{"type": "custom", "value": 'price * day + 1 > 3 && symbol ~ "b" || side == null'}])
    assert [(row["symbol"], row["day"]) for row in found] == [("B", 1), ("B", 2)]


async def test_a_mistake_in_an_expression_has_a_place(table: AsyncTesseract) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await table.query([{"type": "custom", "value": "price > 1 &&\n pric < 2 && day == 'x'"}])
    assert (caught.value.reason, caught.value.line) == ("UNKNOWN_COLUMN", 2)
    assert caught.value.metadata["column"] == "2"


async def test_an_expression_is_validated(table: AsyncTesseract) -> None:
    good = await table.validate_expression("price * day + 1 > 3")
    assert good
    assert (good.type, good.columns, good.uses_now) == ("bool", ("price", "day"), False)
    assert (await table.validate_expression("${symbol}: ${day}", template=True)).type == "string"
    assert (await table.validate_expression("Date.now()")).uses_now
    assert (await table.validate_expression("null")).type == ""
    bad = await table.validate_expression("pric > 1 &&\n day == 'x'")
    assert not bad
    assert [(p.reason, p.line, p.column) for p in bad.problems] == [("UNKNOWN_COLUMN", 1, 1), ("WRONG_TYPE", 2, 6)]
    assert bad.problems[0].hint == "did you mean 'price'?"
    with pytest.raises(LimitExceeded):
        await table.validate_expression("(" * 5_000)
