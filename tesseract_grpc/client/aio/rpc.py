"""One channel and its calls: metadata, deadlines, and errors as this client's exceptions."""

from __future__ import annotations

import logging
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeVar

import grpc

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2_grpc, session_service_pb2_grpc, table_service_pb2_grpc

from ..core.connection import Connection
from ..core.errors import Closed, error_of_call
from .runtime import CallCancelled, open_channel, receive

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
        self._channel = open_channel(connection)
        self.tables = table_service_pb2_grpc.TableServiceStub(self._channel)
        self.sessions = session_service_pb2_grpc.SessionServiceStub(self._channel)
        self.hubs = hub_service_pb2_grpc.HubServiceStub(self._channel)
        self._open: weakref.WeakSet[AsyncClosable] = weakref.WeakSet()
        self.closed = False

    async def call(
        self, method: Callable[..., Awaitable[Response]], request: Any, *, timeout: float | None = None
    ) -> Response:
        """One request, one response."""
        self.check_open()
        seconds = self.connection.timeout if timeout is None else timeout
        try:
            return await method(request, timeout=seconds, metadata=self.connection.metadata)
        except grpc.RpcError as error:
            raise error_of_call(error) from error

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
        for closable in list(self._open):
            await closable.close()
        await self._channel.close()
