"""What tasks do differently from threads. The twin of this file, for threads, is `client/sync/runtime.py`."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import grpc
import grpc.aio

from ..core.connection import Connection
from ..core.watchdog import Timer

T = TypeVar("T")

Channel = grpc.aio.Channel
Semaphore = asyncio.Semaphore
Lock = contextlib.nullcontext
"""Tasks switch only where they await, so that what does not await needs no lock."""


class CallCancelled(Exception):
    """The call was cancelled by this side, and not the task that waits on it."""


def open_channel(connection: Connection, *, own_connection: bool = False) -> Channel:
    """A channel. Nothing is sent before the first call."""
    options = list(connection.options(own_connection=own_connection))
    if connection.tls is None:
        return grpc.aio.insecure_channel(connection.address, options)
    return grpc.aio.secure_channel(connection.address, connection.tls.credentials(), options)


async def receive(call: Any) -> Any | None:
    """The next message of a stream; None when it has ended well."""
    try:
        message = await call.read()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise CallCancelled from None
    return None if message is grpc.aio.EOF else message


def send(method: Any, request: Any, **options: Any) -> Any:
    """Starts a call that nobody waits for; it can be cancelled."""
    return method(request, **options)


def later(seconds: float, action: Callable[[], None]) -> Timer:
    """Does something after a time, unless it is called off."""
    return asyncio.get_running_loop().call_later(seconds, action)


async def call_handler(handler: Callable[..., Any], *values: Any) -> None:
    """Calls a user's function, which may be a coroutine function."""
    result = handler(*values)
    if inspect.isawaitable(result):
        await result


async def call_function(function: Callable[..., Any], *given: Any) -> Any:
    """Calls a user's function that has to wait for what it does."""
    result = function(*given)
    if not inspect.isawaitable(result):
        raise TypeError("with AsyncSchemaMigrator, write async def and await every call; def is for SchemaMigrator")
    return await result


async def pieces_of(data: Any) -> AsyncIterator[Any]:
    """The pieces of `data`: of an iterator, sync or async, each item; of anything else the thing itself."""
    if hasattr(data, "__anext__"):
        async for piece in data:
            yield piece
    elif hasattr(data, "__next__"):
        for piece in data:
            yield piece
    else:
        yield data


class Gate:
    """Lets tasks wait until something is true; whoever makes it true says so with `notify`."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """Something changed; everybody who waits looks again."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def wait_for(self, predicate: Callable[[], bool], seconds: float | None = None) -> bool:
        """Waits until the predicate is true; False when that took too long."""
        try:
            async with asyncio.timeout(seconds):
                while not predicate():
                    await self._changed.wait()
        except TimeoutError:
            return predicate()
        return True


class Background:
    """A coroutine function that runs beside the caller."""

    def __init__(self, main: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._task = asyncio.get_running_loop().create_task(main(), name=name)

    async def join(self) -> None:
        """Waits for its end, unless it is the one that asks."""
        if asyncio.current_task() is not self._task:
            await asyncio.wait([self._task])


async def in_thread(function: Callable[..., T], *given: Any) -> T:
    """Calls what blocks, in a thread, so that the loop goes on. A thread cannot be interrupted: when the task is
    cancelled, the end of the call is awaited first, so that nothing is closed that it still uses."""
    call = asyncio.ensure_future(asyncio.to_thread(function, *given))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        await asyncio.wait([call])
        if not call.cancelled():
            call.exception()  # nobody asks for it any more
        raise
