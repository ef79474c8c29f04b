"""A write stream: many commits on one call, pipelined.

Batches are sent while earlier ones are on their way, and at most `in_flight` of them wait for an answer, so neither
side piles rows up. Every batch is a commit of its own: what was acknowledged stays, whatever happens later, and one
that is refused does not stop the others. When the stream breaks, whatever was not answered is sent again on the next
one, in the same order and under the same request ids, so nothing is committed twice and nothing is left out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import grpc

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2

from ..core.arguments import whole_number
from ..core.connection import Backoff
from ..core.errors import Closed, ServerFailure, TesseractError, Unavailable, error_of_call
from ..core.feed import StreamBroken
from ..core.pipeline import Ack, Pipeline
from ..core.schema import Schema
from ..core.watchdog import Watchdog
from ..core.writes import Encoded, IngestResult, WriteBatch, encode_writes
from .handlers import AsyncHandlers, Handler
from .rpc import AsyncRpc
from .runtime import Background, CallCancelled, Gate, Lock, later, receive

logger = logging.getLogger("tesseract_grpc.client")

DEFAULT_IN_FLIGHT = 16
MOST_REFUSED = 1_000
"""How many refusals a result keeps; the handlers of "ack" are told all."""


class AsyncWriteStream:
    """Commits in a row. Made by `hub.write_stream`; its `with` block ends when all answers are there."""

    def __init__(self, rpc: AsyncRpc, in_flight: int, *, ask_schema: Any = None, stop_at_refusal: bool = False) -> None:
        self._rpc, self._ask_schema, self._stop_at_refusal = rpc, ask_schema, stop_at_refusal
        self._in_flight = whole_number(in_flight, "in_flight", 1)
        self._schemas: dict[str, Schema] = {}
        self._pipeline = Pipeline()
        self._lock = Lock()
        self._gate = Gate()
        self._handlers = AsyncHandlers("ack")
        self._stream = 0
        self._call: Any = None
        self._finishing = self._ended = False
        self._error: TesseractError | None = None
        self._backoff = Backoff(rpc.connection.retry)
        self._lost_since: float | None = None
        self._watchdog = Watchdog(later, time.monotonic, self._silent)
        self._went_silent = False
        self.result = IngestResult()
        """What was answered so far."""
        rpc.owns(self)
        self._background = Background(self._run, "tesseract-write-stream")

    @property
    def unanswered(self) -> int:
        """How many batches wait for their answer."""
        return len(self._pipeline)

    def on(self, event: str, handler: Handler) -> Callable[[], None]:
        """Calls `handler` with an Ack for every answer ("ack"), in the order of the batches. Returns the function to
        stop it."""
        return self._handlers.add(event, handler)

    async def write(self, batch: WriteBatch, *, request_id: str | None = None) -> int:
        """Sends a batch of operations as one commit, and returns its sequence, which counts from 1. Waits only while
        `in_flight` batches are unanswered. Raises what has ended the stream."""
        self._schemas.update(batch.schemas)
        for name in batch.unknown_tables:
            if name not in self._schemas:
                self._schemas[name] = await self._ask_schema(name)
        return await self.put(
            encode_writes(batch.operations, self._schemas, self._rpc.connection.hub, request_id=request_id)
        )

    async def put(self, encoded: Encoded) -> int:
        """The same with a request that is made already."""
        while True:
            self._check()
            with self._lock:
                if len(self._pipeline) < self._in_flight:
                    sequence = self._pipeline.put(encoded)
                    break
            await self._gate.wait_for(lambda: len(self._pipeline) < self._in_flight or self._ended)
        self._gate.notify()
        return sequence

    async def flush(self) -> IngestResult:
        """Waits for the answers to all batches so far. Raises what has ended the stream."""
        await self._gate.wait_for(lambda: not len(self._pipeline) or self._ended)
        if len(self._pipeline) or self._error is not None:
            self._check()
        return self.result

    async def finish(self) -> IngestResult:
        """Waits for all answers and ends the stream."""
        await self.flush()
        await self.close()
        return self.result

    async def close(self) -> None:
        """Ends the stream at once: what was not answered may have been committed or not."""
        self._finishing = True
        self._watchdog.stop()
        if self._call is not None:
            self._call.cancel()
        self._gate.notify()
        await self._background.join()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                await self.flush()
        finally:
            await self.close()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        if self._ended or self._finishing:
            raise Closed("the write stream was closed")

    async def _run(self) -> None:
        """The background: opens calls as long as there is something to send, and reads the answers."""
        try:
            while True:
                await self._gate.wait_for(lambda: len(self._pipeline) > 0 or self._finishing)
                if self._finishing:
                    return
                try:
                    await self._read()
                except (StreamBroken, CallCancelled, grpc.RpcError) as error:
                    await self._failed(error)
        except TesseractError as error:
            self._error = error
        except Exception as error:  # whoever writes has to hear of it
            logger.exception("a write stream ends")
            self._error = ServerFailure(f"the write stream cannot go on: {type(error).__name__}: {error}")
        finally:
            self._ended = True
            self._watchdog.stop()
            self._gate.notify()

    async def _read(self) -> None:
        """One call, until it ends."""
        self._rpc.check_open()
        self._went_silent, channel = False, self._rpc.channel_number
        requests = self._requests(self._stream)
        call = self._call = self._rpc.tables.WriteStream(requests, metadata=self._rpc.connection.metadata)
        try:
            while not self._finishing:
                self._watchdog.wait(self._rpc.connection.timeout)
                response = await receive(call)
                self._watchdog.heard()
                if response is None:
                    break
                await self._take(response)
        finally:
            self._watchdog.heard()
            call.cancel()
            with self._lock:  # before the pause, so that the old call takes nothing more
                self._stream += 1
                self._pipeline.again()
            self._gate.notify()
            if self._went_silent:
                await self._rpc.renew(channel)
        if len(self._pipeline) and not self._finishing:
            raise StreamBroken("ended", f"the server ended the stream early, after {self.result.batches} commits")

    async def _requests(self, stream: int) -> AsyncIterator[table_service_pb2.WriteStreamRequest]:
        """The requests of one call; gRPC asks for the next one when it has room."""
        while True:
            await self._gate.wait_for(lambda: self._stream != stream or self._pipeline.waiting or self._finishing)
            with self._lock:
                if self._stream != stream or not self._pipeline.waiting:
                    return
                request = self._pipeline.take()
            yield request

    async def _take(self, response: table_service_pb2.WriteStreamResponse) -> None:
        if self._pipeline.postponed(response):
            raise StreamBroken("refused", response.refused.message)
        with self._lock:
            ack = self._pipeline.answered(response)
        self._lost_since = None
        self._backoff.reset()
        result = self.result
        if ack.result is not None:
            result.batches += 1
            result.version, result.durability = ack.result.version, ack.result.durability
            result.total += ack.result.total
        elif ack.error is not None and len(result.refused) < MOST_REFUSED:
            result.refused[ack.sequence] = ack.error
        await self._tell(ack)
        if ack.error is not None and self._stop_at_refusal:
            raise ack.error
        self._gate.notify()

    async def _tell(self, ack: Ack) -> None:
        await self._handlers.emit("ack", ack)

    def _silent(self) -> None:
        """The watchdog's bark: no answer for as long as any other call may take."""
        if not len(self._pipeline):
            self._watchdog.wait(self._rpc.connection.timeout)
            return
        self._went_silent = True
        if self._call is not None:
            self._call.cancel()

    async def _failed(self, error: Exception) -> None:
        """Waits until it is time for the next call; raises what cannot be mended."""
        if self._finishing:
            return
        if self._rpc.closed:
            raise Closed("the hub was closed during a bulk write") from None
        known = error_of_call(error) if isinstance(error, grpc.RpcError) else None
        if known is not None and not known.passes:
            raise known from error
        now = time.monotonic()
        # Patience is for what waits for an answer; where nothing does, a break is none of anybody's.
        self._lost_since = (self._lost_since or now) if len(self._pipeline) else None
        pause = self._backoff.next(known.retry_after if known is not None else None)
        logger.warning("a write stream broke (%s); %d batches go again in %.2f s", error, self.unanswered, pause)
        if self._lost_since is not None and now + pause - self._lost_since > self._rpc.connection.timeout:
            raise known or Unavailable(str(error) or "the stream was cancelled", code=grpc.StatusCode.UNAVAILABLE)
        await self._gate.wait_for(lambda: self._finishing, pause)
