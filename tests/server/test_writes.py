"""TableService: commits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc._proto.tesseract.v1 import value_pb2
from tesseract_grpc.server.services.writes import IN_FLIGHT
from tesseract_grpc.store.sqlite_log import SqliteLog
from tesseract_grpc.testing import rows_of
from tests.server.support import Api, compare, insert, refused, rows, serving, user


def counts(response: pb.WriteResponse) -> list[tuple[int, int, int, int]]:
    return [(done.inserted, done.updated, done.deleted, done.skipped) for done in response.results]


def keys(*ids: int) -> value_pb2.RowBatch:
    return rows([{"id": id} for id in ids])


async def held(api: Api) -> dict[int, dict[str, Any]]:
    return {row["id"]: row for row in rows_of((await api.all_rows()).rows)}


async def test_every_kind_of_write(api: Api) -> None:
    response = await api.write(
        insert([user(5)]),
        pb.WriteOperation(table="users", upsert=pb.Upsert(rows=rows([user(5, age=50), user(6)]))),
        pb.WriteOperation(table="users", update=pb.Update(rows=rows([{"id": 0, "name": "zero"}]))),
        pb.WriteOperation(
            table="users", update=pb.Update(rows=rows([{"id": 77, "age": 1}, {"id": 1, "age": 1}]), ignore_missing=True)
        ),
        pb.WriteOperation(table="users", increment=pb.Increment(rows=rows([{"id": 2, "age": 5, "score": 0.5}]))),
        pb.WriteOperation(table="users", delete=pb.Delete(keys=keys(3, 88))),
        pb.WriteOperation(table="users", delete=pb.Delete(filter=compare("name", "EQUAL", string_value="user 4"))),
    )
    assert counts(response) == [
        (1, 0, 0, 0), (1, 1, 0, 0), (0, 1, 0, 0), (0, 1, 0, 1), (0, 1, 0, 0), (0, 0, 1, 1), (0, 0, 1, 0),
    ]  # fmt: skip
    assert response.version == 3
    assert response.durability == pb.DURABILITY_MEMORY
    found = await held(api)
    assert sorted(found) == [0, 1, 2, 5, 6]
    assert (found[0]["name"], found[1]["age"], found[2]["age"], found[2]["score"]) == ("zero", 1, 27, 1.5)
    assert found[5]["age"] == 50


async def test_columns_that_are_not_named_take_defaults_or_stay(api: Api) -> None:
    await api.write(pb.WriteOperation(table="users", insert=pb.Insert(rows=rows([{"id": 9, "name": "nine"}]))))
    found = await held(api)
    assert found[9] == {"id": 9, "name": "nine"} | dict.fromkeys(["age", "score", "born", "active", "notes", "level"])
    null = value_pb2.RowBatch(row_count=1, columns=[*keys(1).columns, value_pb2.ColumnData(name="age")])
    await api.write(pb.WriteOperation(table="users", update=pb.Update(rows=null)))
    found = await held(api)
    assert (found[1]["age"], found[1]["name"]) == (None, "user 1")


async def test_conditions(api: Api) -> None:
    only_old = pb.WriteCondition(if_filter=compare("age", "GREATER", int64_value=22), skip_unmatched=True)
    everybody = rows([{"id": id, "name": "old"} for id in range(5)])
    response = await api.write(pb.WriteOperation(table="users", update=pb.Update(rows=everybody), condition=only_old))
    assert counts(response) == [(0, 2, 0, 3)]
    new = pb.WriteOperation(
        table="users",
        insert=pb.Insert(rows=rows([user(1), user(7)])),
        condition=pb.WriteCondition(if_absent=True, skip_unmatched=True),
    )
    assert counts(await api.write(new)) == [(1, 0, 0, 1)]
    read = await api.tables.GetRows(pb.GetRowsRequest(table="users", keys=keys(7)))
    operation = pb.WriteOperation(
        table="users",
        update=pb.Update(rows=rows([{"id": 7, "age": 1}])),
        condition=pb.WriteCondition(if_version=read.row_versions[0]),
    )
    await api.write(operation)
    assert (await refused(api.write(operation))).reason == "CONDITION_NOT_MET"


async def test_several_tables_commit_together_or_not_at_all(api: Api) -> None:
    await api.create_users("others")
    version = (await api.write(insert([user(10)]), insert([user(10)], "others"))).version
    assert (await refused(api.write(insert([user(11)], "others"), insert([user(10)])))).reason == "DUPLICATE_KEY"
    assert (await api.all_rows("others")).total_count == 1
    assert (await api.all_rows()).version == version


async def test_validate_only_says_what_would_happen(api: Api) -> None:
    before = await api.all_rows()
    response = await api.insert([user(9)], validate_only=True)
    assert (response.version, counts(response)) == (0, [(1, 0, 0, 0)])
    assert (await refused(api.insert([user(1)], validate_only=True))).reason == "DUPLICATE_KEY"
    assert await api.all_rows() == before


async def test_a_commit_that_changes_nothing_has_the_present_version(api: Api) -> None:
    response = await api.write(pb.WriteOperation(table="users", delete=pb.Delete(keys=keys(99))))
    assert (response.version, counts(response)) == (2, [(0, 0, 0, 1)])


async def test_a_retry_gets_the_first_answer(api: Api) -> None:
    first = await api.insert([user(9)], request_id="a")
    assert await api.insert([user(9)], request_id="a") == first
    assert (await refused(api.insert([user(10)], request_id="a"))).reason == "REQUEST_ID_REUSED"
    assert (await api.all_rows()).total_count == 6
    table = pb.DeleteTableRequest(name="users", request_id="a")
    assert (await refused(api.tables.DeleteTable(table))).reason == "REQUEST_ID_REUSED"


async def test_a_refused_request_and_a_dry_run_are_not_remembered(api: Api) -> None:
    assert (await refused(api.insert([user(1)], request_id="b"))).reason == "DUPLICATE_KEY"
    await api.write(pb.WriteOperation(table="users", delete=pb.Delete(keys=keys(1))))
    await api.insert([user(1)], request_id="b", validate_only=True)
    assert (await api.insert([user(1)], request_id="b")).version == 4


async def test_the_memory_of_requests_is_bounded() -> None:
    async with serving(request_id_memory=2) as (_, api):
        await api.create_users()
        for id in range(3):
            await api.insert([user(id)], request_id=str(id))
        assert (await api.insert([user(2)], request_id="2")).version == 4
        assert (await api.insert([user(1)], request_id="1")).version == 3
        assert (await refused(api.insert([user(0)], request_id="0"))).reason == "DUPLICATE_KEY"


async def test_a_write_stream_answers_each_request_in_order(api: Api) -> None:
    requests = [
        pb.WriteStreamRequest(sequence=7, write=pb.WriteRequest(operations=[insert([user(10)])])),
        pb.WriteStreamRequest(sequence=3, write=pb.WriteRequest(operations=[insert([user(10), user(11)])])),
        pb.WriteStreamRequest(sequence=9, write=pb.WriteRequest()),
        pb.WriteStreamRequest(sequence=4, write=pb.WriteRequest(operations=[insert([user(12)])], request_id="r")),
        pb.WriteStreamRequest(sequence=5, write=pb.WriteRequest(operations=[insert([user(12)])], request_id="r")),
    ]

    async def send() -> AsyncIterator[pb.WriteStreamRequest]:
        for request in requests:
            yield request

    answers = [answer async for answer in api.tables.WriteStream(send())]
    assert [answer.sequence for answer in answers] == [7, 3, 9, 4, 5]
    assert [answer.WhichOneof("outcome") for answer in answers] == [
        "committed", "refused", "refused", "committed", "committed",
    ]  # fmt: skip
    assert answers[1].refused.code == grpc.StatusCode.ALREADY_EXISTS.value[0]
    assert (answers[1].refused.reason, answers[2].refused.reason) == ("DUPLICATE_KEY", "MALFORMED_REQUEST")
    assert [(error.row, error.reason) for error in answers[1].refused.row_errors.errors] == [(0, "DUPLICATE_KEY")]
    assert answers[3].committed == answers[4].committed
    assert sorted(await held(api)) == [0, 1, 2, 3, 4, 10, 12]


async def test_a_message_that_is_none_ends_a_write_stream(api: Api) -> None:
    call = api.raw.stream_stream("/tesseract.v1.TableService/WriteStream")()
    await call.write(b"\xff\xff")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_ten_thousand_rows_with_dictionaries(api: Api) -> None:
    many = [user(id, name=f"name {id % 50}") for id in range(100, 10_100)]
    batch = rows(many)
    names = next(column for column in batch.columns if column.name == "name")
    texts = sorted(set(names.strings.values))
    codes = [texts.index(text) for text in names.strings.values]
    names.dictionary.CopyFrom(value_pb2.DictionaryValues(dictionary=texts, codes=codes))
    response = await api.write(pb.WriteOperation(table="users", insert=pb.Insert(rows=batch)))
    assert counts(response) == [(10_000, 0, 0, 0)]
    query = q.Query(table="users", filter=compare("name", "EQUAL", string_value="name 7"))
    assert (await api.tables.Query(pb.QueryRequest(query=query))).total_count == 200


async def test_a_write_stream_whose_client_goes_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where as many batches wait for the log as a stream may have there."""
    go_on = threading.Event()
    flush = SqliteLog.flush

    def waiting(log: SqliteLog) -> int:
        assert go_on.wait(20)
        return flush(log)

    async with serving(data=tmp_path) as (_, api):
        await api.create_users()
        before = asyncio.all_tasks()
        monkeypatch.setattr(SqliteLog, "flush", waiting)
        call: Any = api.tables.WriteStream()
        for number in range(3 * IN_FLIGHT):
            write = pb.WriteRequest(operations=[insert([user(number)])])
            await call.write(pb.WriteStreamRequest(sequence=number + 1, write=write))
        await asyncio.sleep(0.3)
        call.cancel()
        await asyncio.sleep(0.3)
        go_on.set()
        async with asyncio.timeout(10):
            while left := [task for task in asyncio.all_tasks() - before if "_read" in repr(task.get_coro())]:
                assert left
                await asyncio.sleep(0.05)
