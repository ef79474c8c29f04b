"""TableService: queries and rows by key."""

from __future__ import annotations

import asyncio
import time

import pytest

from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc._proto.tesseract.v1 import value_pb2
from tesseract_grpc.testing import rows_of
from tests.server.support import TYPES, Api, compare, refused, rows, serving, sort, user

Filter, FilterList = q.Filter, q.FilterList


async def ids(api: Api, filter: q.Filter, **fields: object) -> list[int]:
    query = q.Query(table="users", filter=filter, **fields)  # type: ignore[arg-type]
    response = await api.tables.Query(pb.QueryRequest(query=query))
    return [row["id"] for row in rows_of(response.rows)]


async def test_a_query_returns_columns_rows_count_and_version(api: Api) -> None:
    query = q.Query(table="users", columns=["name", "age"], sort=[sort("age", descending=True)])
    response = await api.tables.Query(pb.QueryRequest(query=query, window=q.Window(offset=1, limit=2)))
    assert [column.name for column in response.columns] == ["id", "name", "age"]
    assert rows_of(response.rows) == [
        {"id": 3, "name": "user 3", "age": 23},
        {"id": 2, "name": "user 2", "age": 22},
    ]
    assert (response.total_count, response.version) == (5, 2)


async def test_every_kind_of_filter(api: Api) -> None:
    age = compare("age", "GREATER_OR_EQUAL", int64_value=22)
    values = [value_pb2.Value(int64_value=value) for value in (20, 23)]
    cases: list[tuple[q.Filter, list[int]]] = [
        (Filter(), [0, 1, 2, 3, 4]),
        (age, [2, 3, 4]),
        (Filter(negate=age), [0, 1]),
        (Filter(all_of=FilterList(filters=[age, compare("active", "EQUAL", bool_value=True)])), [2, 4]),
        (Filter(any_of=FilterList(filters=[compare("id", "EQUAL", int64_value=0), age])), [0, 2, 3, 4]),
        (Filter(membership=q.Membership(column="age", values=values)), [0, 3]),
        (Filter(membership=q.Membership(column="age", values=values, negated=True)), [1, 2, 4]),
        (Filter(between=q.Between(column="score", lower=value_pb2.Value(float64_value=1.5))), [3, 4]),
        (Filter(like=q.Like(column="name", pattern="R 3")), [3]),
        (Filter(regex=q.Regex(column="name", pattern="[12]$")), [1, 2]),
        (Filter(null_test=q.NullTest(column="age")), []),
        (Filter(null_test=q.NullTest(column="age", negated=True)), [0, 1, 2, 3, 4]),
        (compare("born", "LESS", string_value="1970-01-01T00:00:02Z"), [0, 1]),
        (compare("born", "LESS", timestamp_value=2_000_000), [0, 1]),
        (compare("level", "EQUAL", string_value="high"), []),
    ]
    for filter, wanted in cases:
        assert await ids(api, filter) == wanted, filter


async def test_the_page_of_a_query_is_bounded(api: Api) -> None:
    await api.write(*(pb.WriteOperation(table="users", upsert=pb.Upsert(rows=rows(part))) for part in chunks(12_000)))
    query = q.Query(table="users")
    response = await api.tables.Query(pb.QueryRequest(query=query))
    assert (response.rows.row_count, response.total_count) == (1_000, 12_000)
    response = await api.tables.Query(pb.QueryRequest(query=query, window=q.Window(limit=50_000)))
    assert response.rows.row_count == 10_000
    response = await api.tables.Query(pb.QueryRequest(query=query, window=q.Window(limit=0)))
    assert (response.rows.row_count, response.total_count) == (0, 12_000)


def chunks(count: int) -> list[list[dict[str, object]]]:
    return [[user(id) for id in range(start, min(count, start + 4_000))] for start in range(0, count, 4_000)]


async def test_a_query_stream_is_one_result_in_pieces() -> None:
    async with serving(piece_bytes=4_096) as (_, api):
        await api.create_users()
        await api.insert([user(id) for id in range(1_000)])
        query = q.Query(table="users", sort=[sort("age", descending=True)])
        request = pb.QueryStreamRequest(query=query, window=q.Window(offset=10))
        pieces = [piece async for piece in api.tables.QueryStream(request)]
        assert len(pieces) > 5
        assert [column.name for column in pieces[0].columns] == list(TYPES)
        assert not any(piece.columns for piece in pieces[1:])
        assert {(piece.version, piece.total_count) for piece in pieces} == {(2, 1_000)}
        assert max(piece.ByteSize() for piece in pieces) < 2 * 4_096
        assert [row["id"] for piece in pieces for row in rows_of(piece.rows)] == list(range(989, -1, -1))


async def test_an_empty_query_stream_has_its_columns(api: Api) -> None:
    query = q.Query(table="users", filter=compare("age", "LESS", int64_value=0))
    pieces = [piece async for piece in api.tables.QueryStream(pb.QueryStreamRequest(query=query))]
    assert len(pieces) == 1
    assert (len(pieces[0].columns), pieces[0].rows.row_count, pieces[0].version) == (len(TYPES), 0, 2)


async def test_rows_by_key_come_in_the_order_of_the_request(api: Api) -> None:
    await api.write(pb.WriteOperation(table="users", update=pb.Update(rows=rows([{"id": 1, "age": 99}]))))
    keys = rows([{"id": id} for id in (3, 77, 1)])
    response = await api.tables.GetRows(pb.GetRowsRequest(table="users", keys=keys, columns=["age"]))
    assert rows_of(response.rows) == [{"id": 3, "age": 23}, {"id": 1, "age": 99}]
    assert list(response.row_versions) == [2, 3]
    assert response.version == 3


async def test_min_version_waits_for_the_version(api: Api) -> None:
    query = pb.QueryRequest(query=q.Query(table="users"), min_version=3)
    call = api.tables.Query(query)
    await asyncio.sleep(0.05)
    assert not call.done()
    await api.insert([user(9)])
    response = await call
    assert (response.version, response.total_count) == (3, 6)


async def test_min_version_gives_up_before_the_deadline(api: Api) -> None:
    started = time.monotonic()
    found = await refused(api.tables.Query(pb.QueryRequest(query=q.Query(table="users"), min_version=9), timeout=0.5))
    assert time.monotonic() - started < 0.5
    assert (found.reason, found.metadata["version"]) == ("VERSION_NOT_REACHED", "2")
    assert found.retry_ms is not None
    assert found.retry_ms > 0


@pytest.mark.parametrize("table", ["users", "hubs/default/tables/users"])
async def test_a_table_may_be_named_in_two_ways(api: Api, table: str) -> None:
    response = await api.tables.Query(pb.QueryRequest(query=q.Query(table=table)))
    assert response.total_count == 5
