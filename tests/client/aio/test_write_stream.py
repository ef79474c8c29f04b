"""Write streams: pipelined, in order, refused by sequence, and sent again when the stream breaks."""

import threading
import time
from typing import Any

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import schema_pb2, table_service_pb2
from tesseract_grpc.client import (
    Ack,
    AlreadyExists,
    AsyncEventHorizon,
    AsyncTesseract,
    Closed,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    Unavailable,
    WriteBatch,
)
from tesseract_grpc.client.aio.write_stream import AsyncWriteStream
from tests.client.aio.support import Aside, eventually, pause
from tests.client.aio.test_faults import GONE, warnings_of
from tests.client.serving import Drain, Fail, FakeServer, Silence, Step, Take, Until
from tests.client.test_mirror_laws import COLUMNS

Response = table_service_pb2.WriteStreamResponse


async def table_of(fake: FakeServer, hub: AsyncEventHorizon) -> AsyncTesseract:
    described = schema_pb2.Table(name="hubs/default/tables/t", columns=COLUMNS)
    fake.script("GetTable", table_service_pb2.GetTableResponse(table=described))
    return await hub.get_tesseract("t")


def made(sequence: int) -> Response:
    result = table_service_pb2.OperationResult(inserted=2)
    durability = table_service_pb2.DURABILITY_FSYNC
    done = table_service_pb2.WriteResponse(version=sequence + 6, results=[result], durability=durability)
    return Response(sequence=sequence, committed=done)


def refused(sequence: int) -> Response:
    refusal = table_service_pb2.WriteRefusal(code=6, message="twice", reason="DUPLICATE_KEY")
    return Response(sequence=sequence, refused=refusal)


def batch_of(table: AsyncTesseract, key: int) -> WriteBatch:
    return WriteBatch().add(table, {"k": key})


async def test_bulk_writes_wait_for_room(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    table = await table_of(fake, fake_hub)
    go_on = threading.Event()
    answers = [made(at) for at in range(1, 6)]
    fake.script("WriteStream", Take(3), Until(go_on), *answers[:3], Take(2), *answers[3:], Drain())
    rows = [{"k": at, "a": "x", "b": 0.5} for at in range(10)]
    drawn: list[int] = []

    def pieces() -> Any:
        for at in range(0, 10, 2):
            drawn.append(at)
            yield rows[at : at + 2]

    sending = Aside(lambda: table.ingest(pieces(), batch_rows=2, in_flight=3))
    await eventually(lambda: fake.calls("WriteStream") == 3)
    await pause(0.1)
    assert len(drawn) <= 4  # three on their way, and the next one encoded
    go_on.set()
    result = await sending.result()
    assert (result.batches, result.version, result.total.inserted, result.durability) == (5, 11, 10, "fsync")
    requests = fake.requests["WriteStream"]
    assert [request.sequence for request in requests] == [1, 2, 3, 4, 5]
    assert len({request.write.request_id for request in requests} - {""}) == 5


async def test_a_bulk_write_ends_with_what_went_wrong(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    table = await table_of(fake, fake_hub)
    fake.script("WriteStream", Take(2), made(1), refused(2), Silence())
    with pytest.raises(AlreadyExists, match="twice") as caught:
        await table.ingest([{"k": at} for at in range(100)], batch_rows=1)
    assert caught.value.sequence == 2
    fake.script("WriteStream", Take(1), Fail(grpc.StatusCode.PERMISSION_DENIED, "no"))
    with pytest.raises(PermissionDenied):
        await table.ingest([{"k": 1}])
    fake.script("WriteStream", Take(1), made(1), Drain())
    with pytest.raises(InvalidRequest):
        await table.ingest([{"k": 1}, {"k": "x"}], batch_rows=1)

    def raising() -> Any:
        yield {"k": 1}
        raise RuntimeError("a bug of the user")

    fake.script("WriteStream", Take(1), made(1), Drain())
    with pytest.raises(RuntimeError, match="a bug of the user"):
        await table.ingest(raising())


BREAKS: dict[str, list[Step]] = {
    "an abrupt end": [GONE],
    "a quiet end": [],
    "a hub that takes no writes": [
        Response(sequence=2, refused=table_service_pb2.WriteRefusal(code=14, message="full", reason="HUB_READ_ONLY"))
    ],
    "too many writes": [
        Response(sequence=2, refused=table_service_pb2.WriteRefusal(code=8, message="x", reason="WRITES_OVERLOADED"))
    ],
    "an answer out of order": [made(3), Silence()],
    "an answer to nothing": [made(7), Silence()],
}


@pytest.mark.parametrize("what", BREAKS)
async def test_what_was_not_answered_is_sent_again(
    what: str, fake: FakeServer, fake_hub: AsyncEventHorizon, caplog: pytest.LogCaptureFixture
) -> None:
    table = await table_of(fake, fake_hub)
    fake.script("WriteStream", Take(3), made(1), *BREAKS[what])
    fake.script("WriteStream", Fail(grpc.StatusCode.UNAVAILABLE, "not yet", retry_after=0.05))
    fake.script("WriteStream", Take(2), made(2), refused(3), Take(1), made(4), Drain())
    acks: list[Ack] = []
    async with fake_hub.write_stream(in_flight=3) as stream:
        stream.on("ack", acks.append)
        for key in range(1, 5):
            assert await stream.write(batch_of(table, key)) == key
    assert [ack.sequence for ack in acks] == [1, 2, 3, 4]
    assert [ack.error is None for ack in acks] == [True, True, False, True]
    assert (stream.result.batches, list(stream.result.refused), stream.unanswered) == (3, [3], 0)
    requests = [(each.sequence, each.write.request_id) for each in fake.requests["WriteStream"]]
    assert [sequence for sequence, _ in requests] == [1, 2, 3, 2, 3, 4]
    assert len(set(requests)) == 4  # under the same names
    assert "go again" in warnings_of(caplog)


async def test_a_stream_that_stays_away_is_an_error(fake: FakeServer) -> None:
    async with AsyncEventHorizon.connect(fake.address, timeout=0.5) as hub:
        table = await table_of(fake, hub)
        for _ in range(100):
            fake.script("WriteStream", GONE)
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await table.ingest([{"k": 1}])
        assert time.monotonic() - began < 3


async def test_a_break_while_nothing_was_to_be_sent_does_not_count(fake: FakeServer) -> None:
    """Patience begins with the first batch that waits for an answer, however long ago the stream broke."""
    async with AsyncEventHorizon.connect(fake.address, timeout=0.5) as hub:
        table = await table_of(fake, hub)
        go_on = threading.Event()
        fake.script("WriteStream", Take(1), made(1), Until(go_on), GONE)
        fake.script("WriteStream", Fail(grpc.StatusCode.UNAVAILABLE, "not yet", retry_after=0.05))
        fake.script("WriteStream", Take(1), made(2), Drain())
        async with hub.write_stream() as stream:
            await stream.write(batch_of(table, 1))
            await stream.flush()
            go_on.set()
            await pause(0.8)
            await stream.write(batch_of(table, 2))
            assert (await stream.flush()).batches == 2


async def test_who_listens_hears_of_the_refusal_that_ends_a_stream(
    fake: FakeServer, fake_hub: AsyncEventHorizon
) -> None:
    table = await table_of(fake, fake_hub)
    fake.script("WriteStream", Take(2), made(1), refused(2), Silence())
    acks: list[Ack] = []
    stream = AsyncWriteStream(fake_hub._rpc, 4, stop_at_refusal=True)
    stream.on("ack", acks.append)
    await stream.write(batch_of(table, 1))
    await stream.write(batch_of(table, 2))
    with pytest.raises(AlreadyExists):
        await stream.flush()
    assert [(ack.sequence, ack.error is None) for ack in acks] == [(1, True), (2, False)]
    await stream.close()


async def test_an_answer_that_does_not_come_is_asked_for_again(fake: FakeServer) -> None:
    """On a connection of its own: the old one may be a hole."""
    async with AsyncEventHorizon.connect(fake.address, timeout=0.3) as hub:
        table = await table_of(fake, hub)
        fake.script("WriteStream", Take(1), Silence())
        fake.script("WriteStream", Take(1), made(1), Drain())
        assert (await table.ingest([{"k": 1}])).batches == 1
        assert hub._rpc.channel_number == 1


async def test_a_write_stream_that_was_closed_takes_nothing(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    table = await table_of(fake, fake_hub)
    fake.script("WriteStream", Take(1), Silence())
    stream = fake_hub.write_stream()
    await stream.write(batch_of(table, 1))
    await eventually(lambda: fake.calls("WriteStream") == 1)
    waiting = Aside(stream.flush)
    await stream.close()
    with pytest.raises(Closed):
        await waiting.result()
    with pytest.raises(Closed):
        await stream.write(batch_of(table, 2))
    other = fake_hub.write_stream()
    await fake_hub.close()
    with pytest.raises(Closed):
        await other.write(batch_of(table, 2))


async def test_a_block_that_raises_does_not_wait(fake: FakeServer, fake_hub: AsyncEventHorizon) -> None:
    table = await table_of(fake, fake_hub)
    fake.script("WriteStream", Take(1), Silence())
    stream = fake_hub.write_stream()

    async def body() -> None:
        async with stream:
            await stream.write(batch_of(table, 1))
            raise RuntimeError("a bug of the user")

    with pytest.raises(RuntimeError):
        await body()


async def test_many_commits_of_a_real_server(hub: AsyncEventHorizon, table_id: str) -> None:
    columns: list[dict[str, Any]] = [
        {"name": "id", "type": "int64", "primary_key": True},
        {"name": "n", "type": "int64"},
    ]
    table = await hub.create_tesseract(table_id, columns)
    versions: list[int] = []
    async with hub.write_stream(in_flight=8) as stream:
        stream.on("ack", lambda ack: versions.append(ack.result.version if ack.result else 0))
        for at in range(100):
            await stream.write(WriteBatch().add(table_id if at % 2 else table, {"id": at % 90, "n": at}))
        assert (await stream.flush()).batches == 90
        assert sorted(stream.result.refused) == list(range(91, 101))
        await stream.write(WriteBatch().increment(table, {"id": 1, "n": 5}))
    assert [version for version in versions if version] == sorted(set(versions) - {0})
    assert stream.result.total.updated == 1
    assert all(error.reason == "DUPLICATE_KEY" for error in stream.result.refused.values())
    row = await table.get(1, min_version=stream.result.version)
    assert row == {"id": 1, "n": 6}
    with pytest.raises(NotFound):
        await hub.write_stream().write(WriteBatch().add("nowhere", {"id": 1}))
