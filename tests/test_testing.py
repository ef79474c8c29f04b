"""What is shipped for tests works as its documentation says."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import (
    hub_service_pb2,
    hub_service_pb2_grpc,
    query_pb2,
    schema_pb2,
    session_service_pb2,
    session_service_pb2_grpc,
    table_service_pb2,
    table_service_pb2_grpc,
    value_pb2,
)
from tesseract_grpc.client import EventHorizon
from tesseract_grpc.server import ServeError
from tesseract_grpc.testing import (
    Answer,
    AsyncRecordingWatcher,
    ContractViolation,
    ManualClock,
    RecordingWatcher,
    RunningServer,
    rows_of,
    running_async_server,
    running_server,
)
from tests import wire

TYPES = {"id": "int64", "name": "string"}


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with running_server(progress_interval=0.2) as running:
        yield running


def write(tables: table_service_pb2_grpc.TableServiceStub, *rows: dict[str, object]) -> int:
    upsert = table_service_pb2.Upsert(rows=wire.batch(rows, TYPES))
    operation = table_service_pb2.WriteOperation(table="users", upsert=upsert)
    return tables.Write(table_service_pb2.WriteRequest(operations=[operation])).version


def create(channel: grpc.Channel) -> table_service_pb2_grpc.TableServiceStub:
    tables = table_service_pb2_grpc.TableServiceStub(channel)
    columns = wire.columns(TYPES, ["id"])
    tables.CreateTable(table_service_pb2.CreateTableRequest(table_id="users", table=schema_pb2.Table(columns=columns)))
    session = session_service_pb2.Session(query=query_pb2.Query(table="users"))
    request = session_service_pb2.CreateSessionRequest(session_id="all", session=session)
    session_service_pb2_grpc.SessionServiceStub(channel).CreateSession(request)
    return tables


def test_a_server_in_a_thread_and_a_watcher(server: RunningServer) -> None:
    with server.channel() as channel:
        tables = create(channel)
        first = write(tables, {"id": 1, "name": "Ada"})
        with RecordingWatcher.session(channel, "all") as watcher:
            watcher.wait_for(first)
            second = write(tables, {"id": 2, "name": None}, {"id": 1, "name": "Eve"})
            watcher.wait_for(second)
            watcher.wait_until(lambda seen: seen.responses[-1].WhichOneof("event") == "progress")
        assert watcher.mirror.rows == [{"id": 1, "name": "Eve"}, {"id": 2, "name": None}]
        truth = {second: Answer(watcher.mirror.rows, 2)}
        watcher.check(truth)
        with pytest.raises(ContractViolation):
            watcher.check({second: Answer([], 0)})
        with RecordingWatcher.table(channel, "users") as table_watcher:
            table_watcher.wait_for(second)
        assert len(table_watcher.mirror.rows) == 2
        table_watcher.check()
    assert server.run(lambda inner: inner.hubs["default"].version) == second


def test_a_watcher_that_waits_in_vain_says_where_it_stands(server: RunningServer) -> None:
    with server.channel() as channel:
        tables = create(channel)
        version = write(tables, {"id": 1, "name": "Ada"})
        with RecordingWatcher.session(channel, "all") as watcher:
            watcher.wait_for(version)
            with pytest.raises(TimeoutError, match=f"the mirror is at version {version}"):
                watcher.wait_for(version + 1, timeout=0.1)
        with RecordingWatcher.session(channel, "no-such-session") as lost, pytest.raises(grpc.RpcError):
            lost.wait_for(version)


def test_a_server_that_cannot_listen_says_so(server: RunningServer) -> None:
    with pytest.raises(ServeError), running_server(listen=server.address):
        pass


def test_the_python_client_meets_the_server(server: RunningServer) -> None:
    with EventHorizon.connect(server.address) as hub:
        users = hub.create_tesseract("users", columns=[{"name": "id", "type": "int64", "primary_key": True}])
        users.add([{"id": 1}])
        assert users.get_data() == [{"id": 1}]


async def test_a_server_in_the_running_loop_and_an_async_watcher() -> None:
    async with (
        running_async_server(progress_interval=0.2) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        tables = table_service_pb2_grpc.TableServiceStub(channel)
        columns = wire.columns(TYPES, ["id"])
        table = schema_pb2.Table(columns=columns)
        await tables.CreateTable(table_service_pb2.CreateTableRequest(table_id="users", table=table))
        async with AsyncRecordingWatcher.table(channel, "users") as watcher:
            await watcher.wait_until(lambda seen: seen.mirror.anchored)
            insert = table_service_pb2.Insert(rows=wire.batch([{"id": 1, "name": "Ada"}], TYPES))
            operation = table_service_pb2.WriteOperation(table="users", insert=insert)
            response = await tables.Write(table_service_pb2.WriteRequest(operations=[operation]))
            await watcher.wait_for(response.version)
            with pytest.raises(TimeoutError):
                await watcher.wait_for(response.version + 1, timeout=0.1)
        assert watcher.mirror.rows == [{"id": 1, "name": "Ada"}]
        watcher.check()


def test_a_clock_moves_only_forward_and_only_when_told() -> None:
    clock = ManualClock(100.0)
    assert (clock(), clock()) == (100.0, 100.0)
    assert clock.advance(2.5) == clock() == 102.5
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)


def test_a_server_tells_the_time_of_its_clock() -> None:
    clock = ManualClock(1_000.0)
    with running_server(clock=clock) as server, server.channel() as channel:
        tables = create(channel)
        clock.advance(60)
        assert tables.GetTable(table_service_pb2.GetTableRequest(name="users")).table.create_time.seconds == 1_000
        hubs = hub_service_pb2_grpc.HubServiceStub(channel)
        assert hubs.GetServerInfo(hub_service_pb2.GetServerInfoRequest()).server_time.seconds == 1_060


def test_dictionary_and_null_columns_are_read() -> None:
    batch = value_pb2.RowBatch(
        row_count=2,
        columns=[
            value_pb2.ColumnData(name="nothing"),
            value_pb2.ColumnData(
                name="word",
                validity=b"\x02",
                dictionary=value_pb2.DictionaryValues(dictionary=["x", "y"], codes=[0, 1]),
            ),
        ],
    )
    assert rows_of(batch) == [{"nothing": None, "word": None}, {"nothing": None, "word": "y"}]
    with pytest.raises(ValueError, match="has 1 values"):
        rows_of(value_pb2.RowBatch(row_count=2, columns=[wire.column("id", "int64", [{"id": 1}])]))
