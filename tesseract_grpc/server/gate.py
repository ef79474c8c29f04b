"""The door of the server: which calls are inside, and whether new ones may enter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from tesseract_grpc.server.errors import Refusal, ServerReason

RETRY_AFTER = 1.0
"""Seconds after which a client may try again, here or at another server."""


def shutting_down() -> Refusal:
    """The refusal of calls while the server ends."""
    return Refusal(
        ServerReason.SERVER_SHUTTING_DOWN,
        "the server is shutting down; connect again, the same server or another one",
        retry_after=RETRY_AFTER,
    )


class Gate:
    """Counts the calls inside. Once closed nobody enters, `closing` is done, and `empty` is set after the last left."""

    def __init__(self) -> None:
        self.closed = False
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.inside = 0
        self.empty = asyncio.Event()
        self.empty.set()

    def close(self) -> None:
        """Lets nobody in from now on."""
        self.closed = True
        if not self.closing.done():
            self.closing.set_result(None)

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Holds a place inside. Raises Refusal once the gate is closed."""
        if self.closed:
            raise shutting_down()
        self.inside += 1
        self.empty.clear()
        try:
            yield
        finally:
            self.inside -= 1
            if not self.inside:
                self.empty.set()
