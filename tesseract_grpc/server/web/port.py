"""The port: where browsers connect, from its opening to its end.

It lives in the server's loop, as gRPC does. Its end comes in two steps. While the server drains, the port still
answers (that the server is shutting down) and ends each connection after what it is answering; `close` then ends what
is left.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import grpc

from tesseract_grpc.server import address
from tesseract_grpc.server.auth import TokenInterceptor
from tesseract_grpc.server.config import ServerConfig
from tesseract_grpc.server.methods import PARKED
from tesseract_grpc.server.web import sockets
from tesseract_grpc.server.web.connection import Connection
from tesseract_grpc.server.web.cors import Cors
from tesseract_grpc.server.web.house import Connections, House
from tesseract_grpc.server.web.methods import Method
from tesseract_grpc.server.web.phase import HEAD_SECONDS
from tesseract_grpc.server.web.rpc import Calls
from tesseract_grpc.server.web.site import Site, refusal_of

PATROL = 0.5
"""Seconds between two looks at who takes too long."""


class WebPort:
    """The port for browsers and curl."""

    def __init__(self, config: ServerConfig) -> None:
        """Reads the certificates. Raises ConfigError."""
        self.port = config.http_port or 0
        self._config = config
        self._host = address.http_host(config)
        self._tls = sockets.tls_context(config)
        self._connections = Connections()
        self._listeners: list[asyncio.Server] = []
        self._sockets: list[socket.socket] = []
        self._patrol: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """What a browser connects to, for example `http://127.0.0.1:8080`; the port is known after `bind`."""
        return f"{self._scheme}://{address.join(self._host, self.port)}"

    @property
    def _scheme(self) -> str:
        return "https" if self._tls is not None else "http"

    def bind(self) -> None:
        """Takes the port. Raises OSError."""
        self._sockets = sockets.listening(self._host, self.port)
        self.port = self._sockets[0].getsockname()[1]

    async def serve(
        self,
        methods: Mapping[str, Method],
        interceptors: Sequence[grpc.aio.ServerInterceptor],
        tokens: TokenInterceptor | None,
        healthy: Callable[[], bool],
    ) -> None:
        """Answers from now on."""
        config = self._config
        cors = Cors(frozenset(config.http_cors_origins), round(config.http_cors_max_age))
        calls = Calls(interceptors, tokens, config.max_message_bytes)
        house = House(
            answer=Site(methods, calls, cors, healthy, self._scheme).answer,
            refuse=refusal_of,
            connections=self._connections,
            most=config.http_connections,
            stall=config.slow_reader_timeout + PARKED,
            discard=config.max_message_bytes,
            keepalive=(config.keepalive_time, config.keepalive_timeout),
        )
        loop = asyncio.get_running_loop()
        for one in self._sockets:
            patience = HEAD_SECONDS if self._tls is not None else None
            listener = await loop.create_server(
                partial(Connection, house), sock=one, ssl=self._tls, ssl_handshake_timeout=patience
            )
            self._listeners.append(listener)
        self._patrol = asyncio.create_task(self._keep_patrolling())

    def drain(self) -> None:
        """Connections end after what they are answering."""
        for connection in list(self._connections):
            connection.last()

    async def close(self, patience: float) -> None:
        """Ends everything, but gives last words so long to be read."""
        for listener in self._listeners:
            listener.close()
        for one in self._sockets:
            one.close()
        self.drain()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._connections.empty.wait(), patience)
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)  # their calls hear of it
        if self._patrol is not None:
            self._patrol.cancel()

    async def _keep_patrolling(self) -> None:
        while True:
            await asyncio.sleep(PATROL)
            now = time.monotonic()
            for connection in list(self._connections):
                connection.patrol(now)
