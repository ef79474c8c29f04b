"""A hub that looks at itself: diagnoses, caches, measurements."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tesseract_grpc.client import AsyncEventHorizon, AsyncTesseract, InvalidRequest, NotFound

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "symbol", "type": "string", "index": True},
    {"name": "price", "type": "number"},
    {"name": "at", "type": "timestamp"},
    {"name": "side", "enum": ["buy", "sell"]},
    {"name": "doc", "type": "object"},
    {"name": "note", "type": "string"},
]
START = datetime(2026, 1, 1, tzinfo=UTC)


def rows() -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "symbol": f"S{number % 10}",
            "price": number / 4 if number else float("nan"),
            "at": START + timedelta(minutes=number),
            "side": ("buy", "sell")[number % 2],
            "doc": {"n": number % 3},
        }
        for number in range(200)
    ]


@pytest.fixture
async def table(hub: AsyncEventHorizon, table_id: str) -> AsyncTesseract:
    made = await hub.create_tesseract(table_id, COLUMNS)
    await made.add(rows())
    return made


async def test_a_table_is_diagnosed(hub: AsyncEventHorizon, table: AsyncTesseract) -> None:
    for number in range(3):
        await hub.query(table=table, filter=[{"field": "price", "comparison": ">", "value": number}])
    await hub.create_session(
        id=f"{table.name}-s", table=table, filter=[{"field": "price", "comparison": ">", "value": 1}]
    )
    found = await hub.diagnose(table, top_values=2, samples=3)
    assert (found.table, found.row_count, found.version) == (table.name, 200, (await table.info()).update_version)
    assert found.memory_bytes == found.memory.total > 10_000
    by_name = {column.name: column for column in found.columns}
    assert by_name["side"].top_values == (("buy", 100), ("sell", 100))
    assert by_name["doc"].samples == ({"n": 0}, {"n": 1}, {"n": 2})
    assert (by_name["at"].min, by_name["at"].max) == (START, START + timedelta(minutes=199))
    assert by_name["at"].histogram_range == (START, START + timedelta(minutes=199))
    assert sum(by_name["price"].histogram) == 199, "NaN is no number"
    assert by_name["id"].mean == 99.5 and by_name["id"].primary_key
    assert by_name["note"].null_count == 200
    assert [index.columns for index in found.indexes] == [("id",), ("symbol",)]
    (use,) = found.filters
    assert (use.filter, use.uses, use.columns) == ("price > ?", 4, ("price",))
    assert [cost.session for cost in found.sessions] == [f"{table.name}-s"]
    (issue,) = [issue for issue in found.issues if issue.kind == "nulls"]
    assert (issue.severity, issue.column) == ("warning", "note")
    assert issue.recommendation in found.recommendations
    few = await hub.diagnose(table.name, top_values=0, samples=0)
    assert not any(column.samples or column.top_values for column in few.columns)
    await hub.remove_session(f"{table.name}-s")


async def test_a_diagnosis_is_told_in_four_ways(hub: AsyncEventHorizon, table: AsyncTesseract) -> None:
    found = await hub.diagnose(table)
    told = json.loads(found.to_json())
    assert told == found.to_dict()
    assert told["columns"][2]["max"] == "NaN" and told["columns"][3]["min"] == "2026-01-01T00:00:00Z"
    assert told["recommendations"] == list(found.recommendations)
    text, page = found.to_text(), found.to_html()
    for part in (table.name, "symbol", "warning", "200"):
        assert part in text and part in page
    assert page.startswith("<!doctype html>")


async def test_a_hub_is_diagnosed(hub: AsyncEventHorizon, table: AsyncTesseract) -> None:
    report = await hub.diagnose_all()
    names = [diagnosis.table for diagnosis in report.tables]
    assert table.name in names and names == sorted(names)
    assert set(report.caches) == {"queries", "plans", "expressions"}
    ranks = [("info", "warning", "critical").index(issue.severity) for _, issue in report.issues]
    assert ranks and ranks == sorted(ranks, reverse=True)
    assert json.loads(report.to_json()) == report.to_dict()
    assert table.name in report.to_text() and table.name in report.to_html()


async def test_what_cannot_be_diagnosed(hub: AsyncEventHorizon, table: AsyncTesseract) -> None:
    with pytest.raises(NotFound):
        await hub.diagnose("nothing")
    for wrong in ({"top_values": -1}, {"samples": "many"}):
        with pytest.raises(InvalidRequest):
            await hub.diagnose(table, **wrong)
    with pytest.raises(InvalidRequest):
        await hub.performance_test(table, 0)


async def test_caches(hub: AsyncEventHorizon, table: AsyncTesseract) -> None:
    await hub.clear_cache()
    for _ in range(4):
        assert len(await hub.query(table=table, limit=7)) == 7
    assert len(await hub.query(table=table)) == 200
    queries = (await hub.cache_stats())["queries"]
    assert (queries.hits, queries.misses, queries.hit_rate, queries.entries) == (3, 2, 0.6, 2)
    await table.update({"id": 1, "price": -1.0})
    rows = await hub.query(table=table, limit=7)
    assert rows[1]["price"] == -1.0
    assert (await hub.cache_stats())["queries"].invalidations == 1
    assert await hub.clear_cache() >= 2
    assert (await hub.cache_stats())["queries"].entries == 0


async def test_a_query_that_is_answered_again_has_read_what_was_written(
    hub: AsyncEventHorizon, table: AsyncTesseract, table_id: str
) -> None:
    other = await hub.create_tesseract(f"{table_id}-other", COLUMNS[:1])
    await hub.query(table=table, limit=7)
    written = await other.add({"id": 1})
    again = await hub.query(table=table, limit=7, min_version=written.version)
    assert again.version >= written.version


async def test_performance(hub: AsyncEventHorizon, table: AsyncTesseract) -> None:
    before = await table.info()
    report = await hub.performance_test(table, 20, max_rows=150)
    after = await table.info()
    assert (after.row_count, after.update_version) == (before.row_count, before.update_version)
    assert (report.table, report.copied_rows) == (table.name, 150)
    kinds = [result.operation for result in report.results]
    assert kinds == ["insert", "upsert", "update", "get", "filter", "sort", "group", "session"]
    assert [trip.operation for trip in report.round_trips] == ["GetRows", "Query", "Query again"]
    for result in (*report.results, *report.round_trips):
        assert result.operations == 20 and 0 < result.p50_us <= result.p99_us
    assert json.loads(report.to_json()) == json.loads(json.dumps(report.to_dict()))
    text = report.to_text()
    assert "private copy of 150 rows" in text and "round trips" in text and "µs" in text


async def test_filters_are_tested_in_order(hub: AsyncEventHorizon, table: AsyncTesseract) -> None:
    filter = "price * 2 > 1 && note ~ 'x' && id == 7 && price > 3"
    plan = await hub.explain(table=table, filter=filter)
    parts = plan.step.inputs[0].filter_order
    assert [part.how for part in parts] == ["index", "column", "texts", "expression"]
    assert parts[0].condition == "id == 7" and "index over id" in parts[0].why
    assert "tested in this order" in str(plan)
