"""One call: from its head to the handler that gRPC would call, and back.

The order is that of gRPC: the method, then the caller's role, and only then the request, so whoever may not call a
method is not read. The handler, with all that stands around it (`server/methods.py`), is the very one that gRPC calls,
under the same interceptors that trace.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.server.auth import TokenInterceptor, refusing
from tesseract_grpc.server.errors import Refusal
from tesseract_grpc.server.logs import logger
from tesseract_grpc.server.methods import PARKED, to_refusal
from tesseract_grpc.server.web.body import Body
from tesseract_grpc.server.web.compression import check_encoding
from tesseract_grpc.server.web.connection import Connection
from tesseract_grpc.server.web.context import WebContext
from tesseract_grpc.server.web.ending import Ending
from tesseract_grpc.server.web.formats import Format
from tesseract_grpc.server.web.framing import Framings
from tesseract_grpc.server.web.head import Head
from tesseract_grpc.server.web.methods import Details, Method
from tesseract_grpc.server.web.reply import Reply
from tesseract_grpc.server.web.requests import Requests
from tesseract_grpc.server.web.timeouts import timeout_of

Handler = Any
"""An RpcMethodHandler; one is called with our own context, which grpc's types do not foresee."""


class Calls:
    """Answers calls."""

    def __init__(
        self,
        interceptors: Sequence[grpc.aio.ServerInterceptor],
        tokens: TokenInterceptor | None,
        max_message_bytes: int,
    ) -> None:
        """`interceptors` are those of gRPC but for `tokens`, which is asked before the request is read."""
        self._interceptors = tuple(interceptors)
        self._tokens = tokens
        self._limit = max_message_bytes
        self._framings = Framings()

    async def answer(
        self, connection: Connection, head: Head, body: Body, method: Method, format: Format, own: list[tuple[str, str]]
    ) -> None:
        """Answers a call; `own` are headers of the answer."""
        reply = Reply(connection, head, format, self._framings, method.response_class, own)
        try:
            async with asyncio.timeout(timeout_of(head, format.shape)) as limit:
                response = await self._call(connection, head, body, method, format, reply, limit.when())
            if response is not None:
                await reply.message(response)
            ending = Ending()
        except grpc.aio.AbortError:
            return  # it has been told
        except TimeoutError:
            ending = Ending(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline of the call has passed")
        except Exception as error:
            ending = Ending.of(to_refusal(error, method.path))
        with suppress(TimeoutError):  # then the connection ends, and says as much
            async with asyncio.timeout(PARKED):
                await reply.end(ending)

    async def _call(
        self,
        connection: Connection,
        head: Head,
        body: Body,
        method: Method,
        format: Format,
        reply: Reply,
        deadline: float | None,
    ) -> bytes | None:
        """Calls the handler; returns the only response, or none where it has told them itself."""
        handler, admitted = await self._handler(method, head)
        context = WebContext(reply, connection.peer, head.headers, deadline, handler.response_serializer)
        request: Any = b""
        if admitted:
            packed = check_encoding(head.get(format.compression_header))
            requests = Requests(body, format, method.request_class, self._limit, packed=packed)
            if handler.request_streaming:
                body.patient = True
                async with aclosing(_parsed(requests.many(), handler)) as parsed:
                    return await _answered(handler, parsed, context)
            request = _parse(await requests.one(), handler)
        return await _answered(handler, request, context)

    async def _handler(self, method: Method, head: Head) -> tuple[Handler, bool]:
        """What answers the call, and whether it may be made at all."""
        handler, admitted = method.handler, True
        if self._tokens is not None:
            try:
                self._tokens.admit(method.path, head.headers)
            except Refusal as refusal:
                logger().warning("call.refused", method=method.path, reason=str(refusal.reason))
                handler, admitted = refusing(handler, refusal), False
        details: Any = Details(method.path, head.headers)
        for interceptor in reversed(self._interceptors):
            handler = await interceptor.intercept_service(_gives(handler), details)
        return handler, admitted


async def _answered(handler: Handler, request: Any, context: WebContext) -> bytes | None:
    """Lets the handler answer; returns the only response, or none where it has told them itself."""
    if not handler.response_streaming:
        found = await handler.unary_unary(request, context)
        serialized: bytes = found if handler.response_serializer is None else handler.response_serializer(found)
        return serialized
    answer = (handler.stream_stream if handler.request_streaming else handler.unary_stream)(request, context)
    if not inspect.isasyncgen(answer):
        await answer  # ours write to their context
        return None
    async with aclosing(answer):
        async for response in answer:
            await context.write(response)
    return None


def _gives(handler: Handler) -> Callable[[Any], Awaitable[Handler]]:
    """The continuation of an interceptor."""

    async def give(_: Any) -> Handler:
        return handler

    return give


def _parse(raw: bytes, handler: Handler) -> Any:
    """What the handler takes: bytes, but for the services that are not ours. Raises Refusal."""
    if handler.request_deserializer is None:
        return raw
    try:
        return handler.request_deserializer(raw)
    except DecodeError:
        raise Refusal(Reason.MALFORMED_REQUEST, "the bytes are not the message of this method") from None


async def _parsed(raws: AsyncGenerator[bytes, None], handler: Handler) -> AsyncGenerator[Any, None]:
    async with aclosing(raws):
        async for raw in raws:
            yield _parse(raw, handler)
