"""TableService: commits, one by one and as a stream.

A stream is pipelined: while the first batches wait for the log, further ones are read, at most `IN_FLIGHT` of them, and
all are acknowledged in their order. A client that sends more is held back by the flow control of its connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from tesseract_grpc.server.call import Call
from tesseract_grpc.server.changes.writes import check_write, decode_write
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.errors import Refusal, ServerReason
from tesseract_grpc.server.host import Hosts
from tesseract_grpc.server.methods import to_refusal
from tesseract_grpc.server.names import hub_id
from tesseract_grpc.server.status import cut, row_errors

pb = twin.table_service

IN_FLIGHT = 64
"""The most batches of one stream that wait for their acknowledgement."""


class Writes:
    """Commits."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def write(self, request: pb.WriteRequest, call: Call) -> pb.WriteResponse:
        """Makes one commit."""
        answer = self._offer(request)
        response: pb.WriteResponse = await answer if isinstance(answer, asyncio.Future) else answer
        return response

    async def write_stream(
        self, requests: AsyncIterator[pb.WriteStreamRequest], call: Call
    ) -> AsyncIterator[pb.WriteStreamResponse]:
        """Makes one commit for each request. A refused one is answered and does not end the stream."""
        if self._hosts.immediate:
            async for request in requests:
                yield await self._acknowledge(request.sequence, await self._offered(request), call)
            return
        waiting: asyncio.Queue[tuple[int, Any] | None] = asyncio.Queue(IN_FLIGHT)
        reader = asyncio.create_task(self._read(requests, waiting))
        try:
            while (item := await waiting.get()) is not None:
                yield await self._acknowledge(*item, call)
            await reader  # raises what ended the stream
        finally:
            reader.cancel()

    async def _read(
        self, requests: AsyncIterator[pb.WriteStreamRequest], waiting: asyncio.Queue[tuple[int, Any] | None]
    ) -> None:
        try:
            async for request in requests:
                outcome = await self._offered(request)
                await waiting.put((request.sequence, outcome))
        finally:
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

    async def _acknowledge(self, sequence: int, outcome: Any, call: Call) -> pb.WriteStreamResponse:
        response = pb.WriteStreamResponse(sequence=sequence)
        try:
            if isinstance(outcome, Exception):
                raise outcome
            response.committed.CopyFrom(await outcome if isinstance(outcome, asyncio.Future) else outcome)
        except Exception as error:
            _put_refusal(error, call.method, response.refused)
        return response

    def _offer(self, request: pb.WriteRequest) -> Any:
        """The response of a commit, or a future of it. Raises Refusal, and what is wrong with the request by itself."""
        host = self._hosts.find(hub_id(request.parent, "parent"), "parent")
        if request.validate_only:
            return check_write(host, request)
        decoded = None
        if not (request.request_id and host.memory.knows(request.request_id)):
            decoded = decode_write(host, request)  # what cannot be read need not be logged
        return host.journal.offer(request, aside=decoded)


def _put_refusal(error: Exception, method: str, message: pb.WriteRefusal) -> None:
    """What the status of Write would have said."""
    refusal = to_refusal(error, method)
    message.code = refusal.code.value[0]
    message.message = cut(refusal.message)
    message.reason = str(refusal.reason)
    if refusal.rows is not None:
        message.row_errors.CopyFrom(row_errors(refusal.rows))
