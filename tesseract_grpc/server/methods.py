"""From the services of the protos to gRPC handlers: parsing, answering, refusing.

Handlers are found by name: `CreateTable` of the proto is `create_table` of the object that serves it, a coroutine for
a unary response and an asynchronous generator for a stream. A method without a handler stops the server from starting.

Bytes are parsed and serialized here and not by gRPC, for three reasons: a message that cannot be parsed or is too
large is refused with a reason like any other; requests are read into the twin messages; and a stream may yield bytes
that were encoded once for many readers. Whatever a handler raises becomes a status in one place.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, cast

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message

from tesseract_grpc.engine.data.errors import EngineError, Reason
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.debug.calls import CallRecords
from tesseract_grpc.server.errors import Refusal, ServerReason, limit_exceeded, of_engine
from tesseract_grpc.server.gate import Gate, shutting_down
from tesseract_grpc.server.logs import logger, trace_of
from tesseract_grpc.server.metrics.meters import STATUS, CallMeters
from tesseract_grpc.server.status import status_of, trailing

PARKED = 60.0
"""Seconds that the status of a call is kept for a client that does not read."""

_WORD = re.compile(r"(?<!^)(?=[A-Z])")


def build_handlers(
    services: Mapping[str, Sequence[object]],
    gate: Gate,
    max_message_bytes: int,
    meters: CallMeters,
    records: CallRecords | None = None,
) -> list[grpc.GenericRpcHandler]:
    """The handlers of all services; `services` gives the objects that serve each of them."""
    found: list[grpc.GenericRpcHandler] = []
    for service in twin.SERVICES:
        objects = services[service.full_name]
        methods = {}
        for method in service.methods:
            behaviour = _behaviour(method.name, objects)
            guard = _Guard(method, behaviour, gate, max_message_bytes, records or CallRecords())
            methods[method.name] = _handler(method, guard, meters)
        found.append(grpc.method_handlers_generic_handler(service.full_name, methods))
    return found


def _behaviour(method: str, objects: Iterable[object]) -> Callable[..., Any]:
    name = _WORD.sub("_", method).lower()
    for candidate in objects:
        behaviour: Callable[..., Any] | None = getattr(candidate, name, None)
        if behaviour is not None:
            return behaviour
    raise NotImplementedError(f"nothing serves {method}")


def _handler(method: MethodDescriptor, guard: _Guard, meters: CallMeters) -> grpc.RpcMethodHandler[Any, Any]:
    if method.client_streaming:
        return grpc.stream_stream_rpc_method_handler(meters.measured(guard.name, guard.stream_stream))
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(meters.measured(guard.name, guard.unary_stream))
    return grpc.unary_unary_rpc_method_handler(meters.measured(guard.name, guard.unary_unary, timed=True))


class _Guard:
    """Stands around one handler."""

    def __init__(
        self, method: MethodDescriptor, behaviour: Callable[..., Any], gate: Gate, limit: int, records: CallRecords
    ) -> None:
        assert method.containing_service is not None
        self.name = f"/{method.containing_service.full_name}/{method.name}"
        self.request_class: Any = twin.message_class(method.input_type.full_name)
        self.behaviour = behaviour
        self.gate = gate
        self.limit = limit
        self.records = records

    async def unary_unary(self, raw: bytes, context: Any) -> bytes:
        """One request, one response."""
        call = Call(self.name, context)
        try:
            with self.gate.enter():
                request = self.parse(raw)
                if self.records.on:
                    self.records.begun(call, request)
                response = _serialize(await self.behaviour(request, call))
        except asyncio.CancelledError:
            self._told(call, "CANCELLED")
            raise
        except Exception as error:
            await self.end(context, error, call)
            raise
        self._told(call)
        return response

    async def unary_stream(self, raw: bytes, context: Any) -> None:
        """One request, many responses."""
        call = Call(self.name, context)
        try:
            with self.gate.enter():
                request = self.parse(raw)
                if self.records.on:
                    self.records.begun(call, request)
                async with aclosing(self.behaviour(request, call)) as responses:
                    async for response in responses:
                        await context.write(_serialize(response))
        except asyncio.CancelledError:
            if call.cut is None:
                self._told(call, "CANCELLED")
                raise
            cast(asyncio.Task[None], asyncio.current_task()).uncancel()
            response = b""  # the handler has let go of everything
            await self._end_slowly(context, call.cut, call)
        except Exception as error:
            await self.end(context, error, call)
            raise
        self._told(call)

    async def stream_stream(self, raws: AsyncIterator[bytes], context: Any) -> None:
        """Many requests, many responses."""
        call = Call(self.name, context)

        async def requests() -> AsyncGenerator[Message, None]:
            while (raw := await self._next(raws)) is not None:
                request = self.parse(raw)
                if self.records.on and call.subject is None:
                    self.records.begun(call, request)
                yield request

        try:
            with self.gate.enter():
                async with (
                    aclosing(requests()) as parsed,
                    aclosing(self.behaviour(parsed, call)) as responses,
                ):
                    async for response in responses:
                        await context.write(_serialize(response))
        except asyncio.CancelledError:
            self._told(call, "CANCELLED")
            raise
        except Exception as error:
            await self.end(context, error, call)
            raise
        self._told(call)

    def _told(self, call: Call, code: str = "OK") -> None:
        """Records how a call has ended, where somebody debugs."""
        if call.subject is not None:
            self.records.ended(call, code)

    async def _next(self, raws: AsyncIterator[bytes]) -> bytes | None:
        """The next request of a stream; None at its end. Raises Refusal when the server closes meanwhile, for a client
        that says nothing would otherwise hold the server up."""
        reading = asyncio.ensure_future(anext(raws, None))
        try:
            await asyncio.wait((reading, self.gate.closing), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return reading.result()
        finally:
            if not reading.done():  # also when the call is broken off: nobody would ever look at it again
                reading.cancel()
                await asyncio.wait((reading,))
        raise shutting_down()

    def parse(self, raw: bytes) -> Message:
        """The request in `raw`. Raises Refusal when there is none, or when it is too large."""
        if len(raw) > self.limit:
            raise limit_exceeded("max_message_bytes", self.limit, f"the request has {len(raw)} bytes")
        try:
            request: Message = self.request_class.FromString(raw)
        except DecodeError:
            raise Refusal(
                Reason.MALFORMED_REQUEST,
                f"the bytes are not a {self.request_class.DESCRIPTOR.full_name}: broken, not UTF-8, or nested too deep",
            ) from None
        return request

    async def _end_slowly(self, context: Any, error: Exception, call: Call) -> None:
        """Ends the call of a client that does not read: gRPC keeps the status until it does, but not for ever. A client
        that has not read by then hears of nothing."""
        try:
            async with asyncio.timeout(PARKED):
                await self.end(context, error, call)
        except TimeoutError:
            raise asyncio.CancelledError from None

    async def end(self, context: Any, error: Exception, call: Call) -> None:
        """Ends the call with the status that says what went wrong."""
        refusal = to_refusal(error, self.name)
        if call.subject is not None:
            self.records.refused(call, call.subject, refusal, error)
        status = status_of(refusal)
        STATUS.set(refusal.code.name)
        await context.abort(refusal.code, status.message, trailing(status))


def to_refusal(error: Exception, method: str) -> Refusal:
    """What a client is told about an exception. An unexpected one is logged under an id, and the client gets the id."""
    match error:
        case Refusal():
            refusal = error
        case EngineError():
            refusal = of_engine(error)
        case _:
            return _internal(error, method)
    logger().debug("call.refused", method=method, reason=str(refusal.reason))
    return refusal


def _internal(error: Exception, method: str) -> Refusal:
    error_id = secrets.token_hex(8)
    logger().error(
        "call.failed",
        method=method,
        error_id=error_id,
        error=type(error).__name__,
        trace=trace_of(error),
    )
    return Refusal(
        ServerReason.INTERNAL,
        f"the server failed to answer; its log has the cause under the id {error_id}",
        metadata={"error_id": error_id},
    )


def _serialize(response: Message | bytes) -> bytes:
    return response if isinstance(response, bytes) else response.SerializeToString()
