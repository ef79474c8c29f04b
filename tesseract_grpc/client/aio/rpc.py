"""The connection and its calls: metadata, deadlines, retries, and errors as this client's exceptions.

Calls that may be sent twice are sent again while the server is away, until their deadline. A connection that went
silent is replaced: what hangs in it would hang until TCP gives up, and every new call behind it.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeVar

import grpc

from tesseract_grpc._proto.tesseract.v1 import (
    diagnosis_service_pb2_grpc,
    hub_service_pb2_grpc,
    session_service_pb2_grpc,
    table_service_pb2_grpc,
)

from ..core.connection import Backoff, Connection, may_be_sent_twice
from ..core.errors import Closed, TesseractError, Unavailable, error_of_call
from .runtime import CallCancelled, Channel, Gate, open_channel, receive

logger = logging.getLogger("tesseract_grpc.client")

Response = TypeVar("Response")


class AsyncClosable(Protocol):
    """Something that is open on a channel and has to end before it."""

    async def close(self) -> None: ...


class AsyncRpc:
    """The services of one server, and what is open on them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        if connection.exposes_token:
            logger.warning("the token travels to %s unencrypted; connect with tls=Tls(...)", connection.address)
        self._open: weakref.WeakSet[AsyncClosable] = weakref.WeakSet()
        self._gate = Gate()
        self._retired: Channel | None = None
        self._reached = False
        self.closed = False
        self.channel_number = 0
        """Which channel this is: rises by one when a silent one is replaced."""
        self._connect(open_channel(connection))

    def _connect(self, channel: Channel) -> None:
        self._channel = channel
        self.tables = table_service_pb2_grpc.TableServiceStub(channel)
        self.sessions = session_service_pb2_grpc.SessionServiceStub(channel)
        self.hubs = hub_service_pb2_grpc.HubServiceStub(channel)
        self.diagnosis = diagnosis_service_pb2_grpc.DiagnosisServiceStub(channel)

    async def renew(self, number: int) -> None:
        """Replaces the channel with this number by one with a connection of its own, unless that has happened. What is
        still open on the old one may go on until the next is replaced."""
        if self.closed or number != self.channel_number:
            return
        self.channel_number += 1
        retired, self._retired = self._retired, self._channel
        self._connect(open_channel(self.connection, own_connection=True))
        if retired is not None:
            await retired.close()

    async def call(
        self, method: Callable[..., Awaitable[Response]], request: Any, *, timeout: float | None = None
    ) -> Response:
        """One request, one response."""
        seconds = self.connection.timeout if timeout is None else timeout
        deadline = time.monotonic() + seconds
        backoff = Backoff(self.connection.retry)
        attempts = 1
        while True:
            self.check_open()
            try:
                response = await method(request, timeout=seconds, metadata=self.connection.metadata)
            except grpc.RpcError as failure:
                error = error_of_call(failure)
                self._reached = self._reached or not isinstance(error, Unavailable)
                pause = backoff.next(error.retry_after)
                seconds = deadline - time.monotonic() - pause
                if seconds <= 0 or not self._again(request, error, attempts):
                    raise error from failure
                await self._gate.wait_for(lambda: self.closed, pause)
                attempts += 1
            else:
                self._reached = True
                return response

    def _again(self, request: Any, error: TesseractError, attempts: int) -> bool:
        """Whether a call is worth sending once more."""
        most = self.connection.retry.attempts
        return error.passes and most > 1 and (self._reached or attempts < most) and may_be_sent_twice(request)

    async def stream(self, method: Callable[..., Any], request: Any) -> AsyncIterator[Any]:
        """One request, many responses."""
        call = self.start(method, request)
        try:
            while (response := await receive(call)) is not None:
                yield response
        except grpc.RpcError as error:
            raise error_of_call(error) from error
        except CallCancelled:
            raise Closed("the hub was closed during a read") from None
        finally:
            call.cancel()

    def start(self, method: Callable[..., Any], request: Any) -> Any:
        """A stream that the caller reads; it has no deadline."""
        self.check_open()
        return method(request, metadata=self.connection.metadata)

    def check_open(self) -> None:
        """Refuses calls on a closed hub, which the channel would refuse less kindly."""
        if self.closed:
            raise Closed("the hub was closed")

    def owns(self, closable: AsyncClosable) -> None:
        """Ends `closable` before the channel."""
        self._open.add(closable)

    async def close(self) -> None:
        """Ends everything that is open, and the channel."""
        self.closed = True
        self._gate.notify()
        for closable in list(self._open):
            await closable.close()
        if self._retired is not None:
            await self._retired.close()
        await self._channel.close()
