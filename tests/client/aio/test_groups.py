"""Grouped queries and sessions against the real server."""

from __future__ import annotations

from typing import Any

import pytest

from tesseract_grpc.client import AsyncEventHorizon, AsyncTesseract, InvalidRequest, NotFound

TRADES = [
    {"id": 1, "symbol": "A", "qty": 10, "price": 1.5},
    {"id": 2, "symbol": "A", "qty": 20, "price": 2.5},
    {"id": 3, "symbol": "B", "qty": 5, "price": None},
    {"id": 4, "symbol": None, "qty": 1, "price": 9.0},
]
AGGREGATES: dict[str, Any] = {
    "trades": "count",
    "volume": ("sum", "qty"),
    "worst": {"function": "min", "column": "price"},
}


@pytest.fixture
async def trades(hub: AsyncEventHorizon, table_id: str) -> AsyncTesseract:
    made = await hub.create_tesseract(
        table_id,
        [
            {"name": "id", "type": "int64", "primary_key": True},
            {"name": "symbol", "type": "string"},
            {"name": "qty", "type": "int64"},
            {"name": "price", "type": "float64"},
        ],
    )
    await made.add(TRADES)
    return made


async def test_a_grouped_query(trades: AsyncTesseract) -> None:
    rows = await trades.query(group_by="symbol", aggregates=AGGREGATES)
    assert list(rows) == [
        {"symbol": "A", "trades": 2, "volume": 30, "worst": 1.5},
        {"symbol": "B", "trades": 1, "volume": 5, "worst": None},
        {"symbol": None, "trades": 1, "volume": 1, "worst": 9.0},
    ]
    some = [{"field": "qty", "comparison": ">", "value": 4}]
    total = await trades.query(some, aggregates={"n": "count"})
    assert list(total) == [{"group": True, "n": 3}]


async def test_a_mirror_of_groups_follows(hub: AsyncEventHorizon, trades: AsyncTesseract) -> None:
    session = await hub.create_session(
        f"{trades.name}-volumes",
        table=trades,
        group_by=["symbol"],
        aggregates=AGGREGATES,
        having=[{"field": "volume", "comparison": ">", "value": 1}],
        sort=[{"field": "volume", "direction": "desc"}],
    )
    async with session.mirror() as mirror:
        assert [row["symbol"] for row in mirror.rows()] == ["A", "B"]
        written = await trades.update([{"id": 3, "qty": 50}, {"id": 4, "symbol": "A"}])
        await mirror.wait_for(written.version)
        assert list(mirror.rows()) == [
            {"symbol": "B", "trades": 1, "volume": 50, "worst": None},
            {"symbol": "A", "trades": 3, "volume": 31, "worst": 1.5},
        ]
        removed = await trades.remove([1, 2, 4])
        await mirror.wait_for(removed.version)
        assert [row["symbol"] for row in mirror.rows()] == ["B"]
        assert mirror.total_count == 1


async def test_a_session_whose_sum_leaves_int64_ends(hub: AsyncEventHorizon, trades: AsyncTesseract) -> None:
    name = f"{trades.name}-sums"
    session = await hub.create_session(name, table=trades, group_by="symbol", aggregates={"volume": ("sum", "qty")})
    assert (await session.get_data())[0]["volume"] == 30
    await trades.update([{"id": 1, "qty": 2**62}, {"id": 2, "qty": 2**62}])
    with pytest.raises(NotFound):
        await hub.get_session(name)
    assert await trades.count() == 4


@pytest.mark.parametrize(
    "arguments",
    [
        {"group_by": "nobody", "aggregates": {"n": "count"}},
        {"group_by": "symbol", "aggregates": {"n": ("sum", "symbol")}},
        {"group_by": "symbol", "aggregates": {"n": ("guess", "qty")}},
        {"group_by": "symbol", "aggregates": {"n": 3}},
        {"having": [{"field": "qty", "comparison": ">", "value": 1}]},
    ],
)
async def test_a_grouping_that_makes_no_sense_is_refused(trades: AsyncTesseract, arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        await trades.query(**arguments)  # type: ignore[arg-type]  # wrong on purpose
