"""One connection that writes, and what it does not know when the server dies.

Some writers make calls, one after the other; some keep several writes in flight on a stream. When the server dies,
what was sent and not answered may have been made or not. After the next start a writer finds out: it sends the request
again with its id, or, if it was one call, looks its line of `ledger` up. Either way the write is in the books or has
never been.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from random import Random
from typing import cast

import grpc

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2_grpc
from tesseract_grpc.testing import rows_of
from tests import wire
from tests.crash import traffic
from tests.crash.books import Books, Lost, Wrote
from tests.crash.outcome import expect, refused
from tests.oracle.asks import Put

PATIENCE = 20.0
"""Seconds that an answer may take."""

MOST_IN_FLIGHT = 4


@dataclass(frozen=True)
class Sent:
    """A write on its way."""

    sequence: int
    puts: tuple[Put, ...]
    request: pb.WriteRequest


class Writer:
    """A writer of one directory, over many lives of its server."""

    def __init__(self, number: int, rng: Random, books: Books, *, streams: bool) -> None:
        self.number = number
        self.rng = rng
        self.books = books
        self.streams = streams
        self.sequence = 0
        self.unknown: deque[Sent] = deque()
        self.told: deque[tuple[pb.WriteRequest, pb.WriteResponse]] = deque(maxlen=20)
        self.refusals = self.found = self.repeated = 0

    def draw(self) -> Sent:
        self.sequence += 1
        puts = traffic.commit(self.rng, self.books.model.wrote, self.number, self.sequence)
        return Sent(self.sequence, tuple(puts), traffic.request_of(puts, f"{self.number}-{self.sequence}"))

    async def run(self, channel: grpc.aio.Channel, stop: asyncio.Event) -> None:
        """Writes until it is to stop, with everything answered, or until the server dies."""
        stub = table_service_pb2_grpc.TableServiceStub(channel)
        try:
            await (self._stream(stub, stop) if self.streams else self._call(stub, stop))
        except grpc.aio.AioRpcError as error:
            if refused(error):
                raise  # a stream of writes answers refusals and does not end

    async def _call(self, stub: table_service_pb2_grpc.TableServiceAsyncStub, stop: asyncio.Event) -> None:
        while not stop.is_set():
            sent = self.draw()
            self.unknown.append(sent)
            try:
                response = await stub.Write(sent.request, timeout=PATIENCE)
            except grpc.aio.AioRpcError as error:
                if not refused(error):
                    return
                self.refusals += 1
                self.unknown.popleft()
            else:
                self.committed(response)

    async def _stream(self, stub: table_service_pb2_grpc.TableServiceAsyncStub, stop: asyncio.Event) -> None:
        call = stub.WriteStream()
        try:
            while self.unknown or not stop.is_set():
                if len(self.unknown) < MOST_IN_FLIGHT and not stop.is_set():
                    sent = self.draw()
                    self.unknown.append(sent)
                    await call.write(pb.WriteStreamRequest(sequence=sent.sequence, write=sent.request))
                    if self.rng.random() < 0.7:
                        continue
                answer = await asyncio.wait_for(call.read(), PATIENCE)
                if answer is grpc.aio.EOF:
                    return
                self._answered(cast(pb.WriteStreamResponse, answer))
            await call.done_writing()
        except asyncio.InvalidStateError:  # the stream is over: so says gRPC of a write to it
            return

    def _answered(self, answer: pb.WriteStreamResponse) -> None:
        assert answer.sequence == self.unknown[0].sequence, "answers come in the order of the requests"
        if answer.WhichOneof("outcome") == "committed":
            self.committed(answer.committed)
            return
        expect(answer.refused.reason, answer.refused.message)
        self.refusals += 1
        self.unknown.popleft()

    def committed(self, response: pb.WriteResponse) -> None:
        """The oldest of what was unknown was acknowledged."""
        sent = self.unknown.popleft()
        kinds = ("inserted", "updated", "deleted", "skipped")
        counts = tuple({kind: getattr(result, kind) for kind in kinds} for result in response.results)
        self.books.enter(response.version, Wrote(sent.puts, counts, f"writer {self.number}"))
        self.books.told.wrote(response)
        self.told.append((sent.request, response))

    async def resolve(self, channel: grpc.aio.Channel) -> None:
        """After a start: what became of what was unknown. Raises if the server dies again; then it is asked again."""
        stub = table_service_pb2_grpc.TableServiceStub(channel)
        if len(self.unknown) == 1 and not self.streams and self.rng.random() < 0.5:
            await self._look_up(stub)
        while self.unknown:
            try:
                response = await stub.Write(self.unknown[0].request, timeout=PATIENCE)
            except grpc.aio.AioRpcError as error:
                if not refused(error):
                    raise
                self.unknown.popleft()
            else:
                self.repeated += 1
                self.committed(response)

    async def _look_up(self, stub: table_service_pb2_grpc.TableServiceAsyncStub) -> None:
        keys = wire.batch([{"writer": self.number}], {"writer": "int64"})
        answer = await stub.GetRows(pb.GetRowsRequest(table="ledger", keys=keys), timeout=PATIENCE)
        rows = rows_of(answer.rows)
        sent = self.unknown.popleft()
        written = rows[0]["sequence"] if rows else 0
        if written == sent.sequence:
            self.found += 1
            self.books.enter(answer.row_versions[0], Wrote(sent.puts, None, f"writer {self.number}, looked up"))

    async def ask_again(self, channel: grpc.aio.Channel) -> None:
        """A request that was answered before the server died gets the same answer, and has no other effect."""
        stub = table_service_pb2_grpc.TableServiceStub(channel)
        if self.told:
            request, told = self.rng.choice(self.told)
            again = await stub.Write(request, timeout=PATIENCE)
            again.durability = told.durability  # another start may promise more, or less
            if again != told:
                raise Lost(f"request {request.request_id} was answered with {told}, and now with {again}")
