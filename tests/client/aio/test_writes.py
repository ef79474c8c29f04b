"""Writes to a real server: every operation in every form, atomic batches, conditions, bulk, and what is refused."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tesseract_grpc.client import (
    AlreadyExists,
    AsyncEventHorizon,
    AsyncTesseract,
    Condition,
    InvalidRequest,
    NotFound,
    OutOfRange,
    PreconditionFailed,
    TesseractError,
    WriteBatch,
)

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "name", "type": "string"},
    {"name": "count", "type": "int64"},
    {"name": "value", "type": "number"},
    {"name": "at", "type": "date"},
    {"name": "meta", "type": "object"},
]


@pytest.fixture
async def table(hub: AsyncEventHorizon, table_id: str) -> AsyncTesseract:
    return await hub.create_tesseract(table_id, COLUMNS)


async def ids(table: AsyncTesseract) -> list[int]:
    return [row["id"] for row in await table.get_data()]


async def test_the_life_of_a_row(table: AsyncTesseract) -> None:
    when = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    made = await table.add({"id": 1, "name": "Ada", "count": 2**63 - 1, "at": when, "meta": {"a": [1, None]}})
    assert (made.inserted, made.updated, made.durability) == (1, 0, "memory")
    changed = await table.update({"id": 1, "value": float("nan"), "name": None})
    assert (changed.updated, changed.version) == (1, made.version + 1)
    row = await table.get(1, min_version=changed.version)
    assert row is not None
    assert row["value"] != row["value"]
    del row["value"]
    assert row == {"id": 1, "name": None, "count": 2**63 - 1, "at": when, "meta": {"a": [1, None]}}
    both = await table.upsert([{"id": 1, "count": 1}, {"id": 2, "count": 5}])
    assert (both.inserted, both.updated) == (1, 1)
    await table.increment([{"id": 1, "count": 2}, {"id": 2, "count": -7, "value": 0.5}])
    assert [(row["count"], row["value"]) for row in (await table.get_data())[1:]] == [(-2, 0.5)]
    assert (await table.remove(1)).deleted == 1
    assert await table.get(1) is None


FORMS: dict[str, Any] = {
    "dicts": [{"id": 1, "name": "a", "value": 0.5}, {"id": 2, "name": None, "value": 1.5}],
    "columns": {"id": np.array([1, 2]), "name": ["a", None], "value": np.array([0.5, 1.5])},
    "pandas": pd.DataFrame({"id": [1, 2], "name": ["a", None], "value": [0.5, 1.5]}),
    "polars": pl.DataFrame({"id": [1, 2], "name": ["a", None], "value": [0.5, 1.5]}),
    "arrow": pa.table({"id": [1, 2], "name": ["a", None], "value": [0.5, 1.5]}),
    "a generator": lambda: ({"id": at, "name": "a" if at == 1 else None, "value": at - 0.5} for at in (1, 2)),
}


@pytest.mark.parametrize("form", FORMS)
async def test_rows_in_every_form(form: str, table: AsyncTesseract) -> None:
    data = FORMS[form]
    assert (await table.add(data() if callable(data) else data)).inserted == 2
    rows = await table.query(columns=["id", "name", "value"])
    assert rows == FORMS["dicts"]
    assert rows.to_pandas()["value"].tolist() == [0.5, 1.5]
    assert rows.to_polars()["name"].to_list() == ["a", None]
    assert rows.to_arrow()["id"].to_pylist() == [1, 2]


async def test_what_was_read_can_be_written(hub: AsyncEventHorizon, table: AsyncTesseract, table_id: str) -> None:
    await table.add([{"id": at, "meta": {"n": at}, "at": datetime(2024, 1, at, tzinfo=UTC)} for at in (1, 2, 3)])
    copy = await hub.create_tesseract(f"{table_id}_copy", COLUMNS)
    await copy.add(await table.get_data())
    assert await copy.get_data() == await table.get_data()


async def test_removing_by_key_and_by_filter(table: AsyncTesseract) -> None:
    await table.add([{"id": at, "count": at % 3} for at in range(10)])
    assert (await table.remove([0, 1, 99])).deleted == 2
    assert (await table.remove(filter=[{"field": "count", "comparison": "==", "value": 2}])).deleted == 3
    assert (await table.remove([{"id": 3, "name": "whatever"}])).deleted == 1
    assert (await table.remove(np.array([4, 6]))).deleted == 2
    assert await ids(table) == [7, 9]
    with pytest.raises(NotFound):
        await table.remove([7, 99], must_exist=True)
    assert await ids(table) == [7, 9]
    assert (await table.remove(filter=[])).deleted == 2


async def test_nothing_is_a_write_too(table: AsyncTesseract) -> None:
    for write in (table.add, table.upsert, table.update, table.remove):
        result = await write([])
        assert (result.inserted, result.updated, result.deleted) == (0, 0, 0)


async def test_a_batch_is_all_or_nothing(hub: AsyncEventHorizon, table: AsyncTesseract, table_id: str) -> None:
    other = await hub.create_tesseract(f"{table_id}_other", COLUMNS)
    before = (await hub.info()).version
    made = await hub.write(
        WriteBatch()
        .add(table, [{"id": 1, "count": 1}])
        .add(f"{table_id}_other", {"id": 1})
        .increment(table, {"id": 1, "count": 41})
    )
    assert made.version == before + 1
    assert [counts.inserted for counts in made.operations] == [1, 1, 0]
    assert (await table.get(1) or {})["count"] == 42
    with pytest.raises(AlreadyExists) as caught:
        await hub.write(WriteBatch().remove(table, 1).add(other, [{"id": 2}, {"id": 1}]))
    [problem] = caught.value.row_errors
    assert (problem.operation, problem.row, problem.column, problem.reason) == (1, 1, "id", "DUPLICATE_KEY")
    assert await ids(table) == await ids(other) == [1]


async def test_a_batch_can_be_checked_without_being_made(hub: AsyncEventHorizon, table: AsyncTesseract) -> None:
    await hub.write(WriteBatch().add(table, {"id": 1}), validate_only=True)
    assert await ids(table) == []
    with pytest.raises(NotFound):
        await hub.write(WriteBatch().update(table, {"id": 1, "count": 1}), validate_only=True)


async def test_a_request_id_is_committed_once(hub: AsyncEventHorizon, table: AsyncTesseract, table_id: str) -> None:
    await table.add({"id": 1, "count": 0})
    batch = WriteBatch().increment(table, {"id": 1, "count": 1})
    first = await hub.write(batch, request_id=f"{table_id}-once")
    second = await hub.write(batch, request_id=f"{table_id}-once")
    assert first == second
    assert (await table.get(1) or {})["count"] == 1


async def test_conditions(table: AsyncTesseract) -> None:
    first = await table.add({"id": 1, "count": 1})
    rows = await table.get_many([1])
    assert rows.row_versions == (first.version,)
    await table.update({"id": 1, "count": 2}, condition=Condition(if_version=first.version))
    with pytest.raises(PreconditionFailed) as caught:
        await table.update({"id": 1, "count": 3}, condition=Condition(if_version=first.version))
    assert caught.value.row_errors[0].reason == "CONDITION_NOT_MET"
    low = [{"field": "count", "comparison": "<", "value": 2}]
    kept = await table.update({"id": 1, "count": 9}, condition=Condition(if_filter=low, skip_unmatched=True))
    assert (kept.updated, kept.skipped) == (0, 1)
    both = [{"id": 1}, {"id": 2}]
    assert (await table.add(both, condition=Condition(if_absent=True, skip_unmatched=True))).inserted == 1
    assert (await table.update({"id": 7, "count": 1}, ignore_missing=True)).skipped == 1


async def test_rows_with_different_columns_are_one_commit(table: AsyncTesseract) -> None:
    await table.add([{"id": 1, "name": "a"}, {"id": 2, "count": 5}, {"id": 3}])
    changed = await table.update([{"id": 1, "count": 1}, {"id": 2, "name": "b"}, {"id": 3, "name": "c"}])
    assert changed.updated == 3
    assert [(row["name"], row["count"]) for row in await table.get_data()] == [("a", 1), ("b", 5), ("c", None)]
    with pytest.raises(NotFound) as caught:
        await table.update([{"id": 1, "count": 9}, {"id": 2, "name": "x"}, {"id": 8, "name": "c"}])
    assert (caught.value.row_errors[0].operation, caught.value.row_errors[0].row) == (0, 2)


REFUSED: dict[str, tuple[Any, type[TesseractError], str]] = {
    "a key twice": ([{"id": 1}, {"id": 1}], AlreadyExists, "DUPLICATE_KEY"),
    "no key": ([{"name": "a"}], InvalidRequest, "MISSING_KEY"),
    "a null key": ([{"id": None}], InvalidRequest, "NULL_KEY"),
    "an unknown column": ([{"id": 1, "nope": 1}], InvalidRequest, "UNKNOWN_COLUMN"),
    "an unknown column of nulls": ([{"id": 1, "nope": None}], InvalidRequest, "UNKNOWN_COLUMN"),
    "a wrong type": ([{"id": 1, "name": 5}], InvalidRequest, "WRONG_TYPE"),
    "a number that is too large": ([{"id": 2**63}], InvalidRequest, "INT64_OVERFLOW"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_rows_that_are_refused(what: str, table: AsyncTesseract) -> None:
    data, error, reason = REFUSED[what]
    with pytest.raises(error) as caught:
        await table.add(data)
    assert caught.value.reason == reason
    assert await table.count() == 0


async def test_a_sum_that_leaves_int64_is_refused(table: AsyncTesseract) -> None:
    await table.add({"id": 1, "count": 2**63 - 1})
    with pytest.raises(OutOfRange) as caught:
        await table.increment({"id": 1, "count": 1})
    assert caught.value.row_errors[0].column == "count"


async def test_bulk(table: AsyncTesseract) -> None:
    def pieces() -> Any:
        for start in range(0, 50_000, 10_000):
            yield {
                "id": np.arange(start, start + 10_000),
                "name": [f"n{at % 100}" for at in range(10_000)],
                "value": np.full(10_000, 0.5),
                "at": np.full(10_000, np.datetime64("2024-01-01")),
            }

    result = await table.ingest(pieces(), in_flight=2)
    assert (result.batches, result.total.inserted) == (5, 50_000)
    rows = await table.get_data(min_version=result.version)
    assert (len(rows), rows.total_count, rows.version >= result.version) == (50_000, 50_000, True)
    assert rows[49_999] == {
        "id": 49_999,
        "name": "n99",
        "count": None,
        "value": 0.5,
        "at": datetime(2024, 1, 1, tzinfo=UTC),
        "meta": None,
    }
    again = await table.ingest({"id": np.arange(25_000), "count": np.arange(25_000)}, kind="update")
    assert (again.batches, again.total.updated) == (3, 25_000)
    assert (await table.get(24_999) or {})["count"] == 24_999


async def test_bulk_keeps_what_was_committed_before_a_refusal(table: AsyncTesseract) -> None:
    with pytest.raises(AlreadyExists) as caught:
        await table.ingest([{"id": at} for at in (1, 2, 3, 1, 4, 5)], kind="insert", batch_rows=2)
    assert (caught.value.reason, caught.value.row_errors[0].row) == ("DUPLICATE_KEY", 1)
    assert (await ids(table))[:2] == [1, 2]
    with pytest.raises(InvalidRequest):
        await table.ingest([], kind="replace")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest):
        await table.ingest([], batch_rows=0)
    with pytest.raises(InvalidRequest):
        await table.ingest([], in_flight=0)
    assert (await table.ingest([])).batches == 0
