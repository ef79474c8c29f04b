"""The sync client on grpcio-testing's channel: no socket, no server, every step in the hands of the test."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc_testing
import pytest

from tesseract_grpc._proto.tesseract.v1 import schema_pb2, session_service_pb2, table_service_pb2
from tesseract_grpc.client import EventHorizon, NotFound, Retry, Session, Snapshot, Tesseract, Unavailable
from tesseract_grpc.client.sync import rpc as sync_rpc
from tests.client.test_mirror_laws import COLUMNS, snapshot

TABLES = table_service_pb2.DESCRIPTOR.services_by_name["TableService"]
SESSIONS = session_service_pb2.DESCRIPTOR.services_by_name["SessionService"]
WRITE = TABLES.methods_by_name["Write"]
WATCH = SESSIONS.methods_by_name["WatchSession"]


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Any:
    channel = grpc_testing.channel([TABLES, SESSIONS], grpc_testing.strict_real_time())
    monkeypatch.setattr(sync_rpc, "open_channel", lambda connection: channel)
    return channel


@pytest.fixture
def hub(channel: Any) -> Iterator[EventHorizon]:
    found = EventHorizon.connect("nowhere:1", timeout=7, token="secret", retry=Retry(attempts=1, initial_backoff=0.01))
    yield found
    found._rpc.closed = True


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as found:
        yield found


def test_a_write_is_one_request_with_an_id(hub: EventHorizon, channel: Any, pool: ThreadPoolExecutor) -> None:
    table = Tesseract(hub._rpc, schema_pb2.Table(name="hubs/default/tables/t", columns=COLUMNS))
    writing = pool.submit(table.upsert, [{"k": 1, "a": "x"}, {"k": 2, "a": None}])
    metadata, request, rpc = channel.take_unary_unary(WRITE)
    assert ("authorization", "Bearer secret") in tuple(metadata)
    assert request.parent == "hubs/default"
    assert len(request.request_id) == 32
    [operation] = request.operations
    assert operation.table == "hubs/default/tables/t"
    assert operation.upsert.rows.row_count == 2
    response = table_service_pb2.WriteResponse(
        version=5, durability=table_service_pb2.DURABILITY_FSYNC, results=[table_service_pb2.OperationResult(updated=2)]
    )
    rpc.terminate(response, (), grpc.StatusCode.OK, "")
    result = writing.result(5)
    assert (result.version, result.updated, result.durability) == (5, 2, "fsync")


def test_a_failed_write_is_an_exception(hub: EventHorizon, channel: Any, pool: ThreadPoolExecutor) -> None:
    table = Tesseract(hub._rpc, schema_pb2.Table(name="hubs/default/tables/t", columns=COLUMNS))
    writing = pool.submit(table.remove, 1)
    _, _, rpc = channel.take_unary_unary(WRITE)
    rpc.terminate(None, (), grpc.StatusCode.UNAVAILABLE, "away")
    with pytest.raises(Unavailable, match="away"):
        writing.result(5)


def test_a_watch_goes_on_after_an_abrupt_end(hub: EventHorizon, channel: Any, pool: ThreadPoolExecutor) -> None:
    session = Session(hub._rpc, session_service_pb2.Session(name="hubs/default/sessions/s"))
    watch = session.watch(window=(2, 3))
    reading = pool.submit(next, watch)
    _, request, rpc = channel.take_unary_stream(WATCH)
    assert (request.name, request.window.offset, request.window.limit) == ("hubs/default/sessions/s", 2, 3)
    rpc.send_initial_metadata(())
    half, *_ = snapshot(3, [{"k": 1, "a": "x", "b": 0.5}])
    rpc.send_response(half)
    rpc.terminate((), grpc.StatusCode.UNAVAILABLE, "the connection broke")
    _, _, again = channel.take_unary_stream(WATCH)
    again.send_initial_metadata(())
    for response in snapshot(4, [{"k": 1, "a": "y", "b": 0.5}]):
        again.send_response(response)
    event = reading.result(5)
    assert isinstance(event, Snapshot)
    assert (event.version, event.reason) == (4, "reconnected")
    assert event.rows == [{"k": 1, "a": "y", "b": 0.5}]
    reading = pool.submit(next, watch)
    again.terminate((), grpc.StatusCode.NOT_FOUND, "gone")
    with pytest.raises(NotFound):
        reading.result(5)
    assert watch.state == "ended"
