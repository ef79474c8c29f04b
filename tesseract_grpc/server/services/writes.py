"""TableService: commits, one by one and as a stream.

A stream is pipelined: while the first batches wait for the log, further ones are read, at most `IN_FLIGHT` of them, and
all are acknowledged in their order. A client that sends more is held back by the flow control of its connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from tesseract_grpc.server.call import Call
from tesseract_grpc.server.changes.writes import check_write, decode_write
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.debug.subject import Subject
from tesseract_grpc.server.errors import Refusal, ServerReason
from tesseract_grpc.server.host import Hosts
from tesseract_grpc.server.methods import to_refusal
from tesseract_grpc.server.names import hub_id
from tesseract_grpc.server.status import cut, row_errors

pb = twin.table_service

IN_FLIGHT = 64
"""The most batches of one stream that wait for their acknowledgement."""


class Outcome:
    """What has become of one request of a stream: the response, a future of it, or the exception."""

    __slots__ = ("found", "parent", "request_id", "sequence")

    def __init__(self, request: pb.WriteStreamRequest, found: Any) -> None:
        self.sequence = request.sequence
        self.parent = request.write.parent
        self.request_id = request.write.request_id
        self.found = found


class Writes:
    """Commits."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def write(self, request: pb.WriteRequest, call: Call) -> pb.WriteResponse:
        """Makes one commit."""
        try:
            answer = self._offer(request)
            response: pb.WriteResponse = await answer if isinstance(answer, asyncio.Future) else answer
        except Exception as error:
            self._count(request.parent, error)
            raise
        return response

    async def write_stream(
        self, requests: AsyncIterator[pb.WriteStreamRequest], call: Call
    ) -> AsyncIterator[pb.WriteStreamResponse]:
        """Makes one commit for each request. A refused one is answered and does not end the stream."""
        if self._hosts.immediate:
            async for request in requests:
                yield await self._acknowledge(Outcome(request, await self._offered(request)), call)
            return
        waiting: asyncio.Queue[Outcome | None] = asyncio.Queue(IN_FLIGHT)
        reader = asyncio.create_task(self._read(requests, waiting))
        try:
            while (item := await waiting.get()) is not None:
                yield await self._acknowledge(item, call)
            await reader  # raises what ended the stream
        finally:
            reader.cancel()

    async def _read(
        self, requests: AsyncIterator[pb.WriteStreamRequest], waiting: asyncio.Queue[Outcome | None]
    ) -> None:
        try:
            async for request in requests:
                await waiting.put(Outcome(request, await self._offered(request)))
        except asyncio.CancelledError:  # nobody waits for acknowledgements any more, and nobody makes room here
            if waiting.full():
                waiting.get_nowait()
            waiting.put_nowait(None)
            raise
        except BaseException:
            await waiting.put(None)
            raise
        await waiting.put(None)

    async def _offered(self, request: pb.WriteStreamRequest) -> Any:
        """The response, a future of it, or the exception. Where a unary write would be one too many, this waits."""
        while True:
            try:
                return self._offer(request.write)
            except Refusal as refusal:
                if refusal.reason is not ServerReason.WRITES_OVERLOADED:
                    return refusal
            except Exception as error:
                return error
            await self._hosts.find(hub_id(request.write.parent, "parent"), "parent").journal.room()

    async def _acknowledge(self, outcome: Outcome, call: Call) -> pb.WriteStreamResponse:
        response, found = pb.WriteStreamResponse(sequence=outcome.sequence), outcome.found
        try:
            if isinstance(found, Exception):
                raise found
            response.committed.CopyFrom(await found if isinstance(found, asyncio.Future) else found)
        except Exception as error:
            self._count(outcome.parent, error)
            refusal = _put_refusal(error, call.method, response.refused)
            if call.subject is not None:
                subject = Subject(call.subject.hub, request_id=outcome.request_id)
                self._hosts.calls.refused(call, subject, refusal, error)
        return response

    def _count(self, parent: str, error: Exception) -> None:
        """Counts a refused write where its hub is known."""
        with suppress(Refusal):
            self._hosts.find(hub_id(parent, "parent"), "parent").meters.refuse(error)

    def _offer(self, request: pb.WriteRequest) -> Any:
        """The response of a commit, or a future of it. Raises Refusal, and what is wrong with the request by itself."""
        host = self._hosts.find(hub_id(request.parent, "parent"), "parent")
        if request.validate_only:
            return check_write(host, request)
        decoded, admitted = None, None
        if not (request.request_id and host.memory.knows(request.request_id)):
            decoded = decode_write(host, request)  # what cannot be read need not be logged
            admitted = host.memory_guard.admit(decoded.writes, request)
        if admitted is None:
            return host.journal.offer(request, aside=decoded)
        return admitted.until(lambda: host.journal.offer(request, aside=decoded))


def _put_refusal(error: Exception, method: str, message: pb.WriteRefusal) -> Refusal:
    """What the status of Write would have said."""
    refusal = to_refusal(error, method)
    message.code = refusal.code.value[0]
    message.message = cut(refusal.message)
    message.reason = str(refusal.reason)
    if refusal.rows is not None:
        message.row_errors.CopyFrom(row_errors(refusal.rows))
    return refusal
