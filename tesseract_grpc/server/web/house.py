"""What all connections of a port have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tesseract_grpc.server.web.body import Body
from tesseract_grpc.server.web.head import Head

if TYPE_CHECKING:
    from tesseract_grpc.server.web.connection import Connection


class Connections(set["Connection"]):
    """Those that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.empty = asyncio.Event()
        """Set while there are none."""
        self.empty.set()

    def enter(self, connection: Connection) -> None:
        """It is open."""
        self.add(connection)
        self.empty.clear()

    def leave(self, connection: Connection) -> None:
        """It is closed."""
        self.discard(connection)
        if not self:
            self.empty.set()


@dataclass(frozen=True, slots=True)
class House:
    """What all connections of a port have in common."""

    answer: Callable[[Connection, Head, Body], Awaitable[None]]
    """Answers a request, whatever happens."""
    refuse: Callable[[int, str], tuple[list[tuple[str, str]], bytes]]
    """Headers and body of the answer to what is no request: of an HTTP status, and why."""
    connections: Connections
    most: int
    """How many connections there may be."""
    stall: float
    """Seconds that a client may take nothing of what was written."""
    discard: int
    """Bytes of an unwanted body that are read and forgotten, so that the connection can be used again."""
    keepalive: tuple[float, float]
    """Seconds of silence before the peer is asked whether it is there, and that it may take to say so."""
