"""What threads do differently from tasks. The twin of this file, for tasks, is `client/aio/runtime.py`."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc

from ..core.connection import Connection
from ..core.watchdog import Timer

T = TypeVar("T")

Channel = grpc.Channel
Semaphore = threading.Semaphore
Lock = threading.Lock


class CallCancelled(Exception):
    """The call was cancelled, most likely by this side."""


def open_channel(connection: Connection, *, own_connection: bool = False) -> Channel:
    """A channel. Nothing is sent before the first call."""
    options = list(connection.options(own_connection=own_connection))
    if connection.tls is None:
        return grpc.insecure_channel(connection.address, options)
    return grpc.secure_channel(connection.address, connection.tls.credentials(), options)


def receive(call: Any) -> Any | None:
    """The next message of a stream; None when it has ended well."""
    try:
        return next(call, None)
    except grpc.RpcError as error:
        if call.code() == grpc.StatusCode.CANCELLED:
            raise CallCancelled from error
        raise


def send(method: Any, request: Any, **options: Any) -> Any:
    """Starts a call that nobody waits for; it can be cancelled."""
    return method.future(request, **options)


def later(seconds: float, action: Callable[[], None]) -> Timer:
    """Does something after a time, unless it is called off."""
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()
    return timer


def call_handler(handler: Callable[..., Any], *values: Any) -> None:
    """Calls a user's function."""
    handler(*values)


def call_function(function: Callable[..., Any], *given: Any) -> Any:
    """Calls a user's function."""
    result = function(*given)
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError("async def is for AsyncSchemaMigrator; with SchemaMigrator, write def")
    return result


def pieces_of(data: Any) -> Iterator[Any]:
    """The pieces of `data`: of an iterator each item, of anything else the thing itself."""
    if hasattr(data, "__next__"):
        yield from data
    else:
        yield data


class Gate:
    """Lets threads wait until something is true; whoever makes it true says so with `notify`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()

    def notify(self) -> None:
        """Something changed; everybody who waits looks again."""
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, predicate: Callable[[], bool], seconds: float | None = None) -> bool:
        """Waits until the predicate is true; False when that took too long."""
        with self._changed:
            return self._changed.wait_for(predicate, seconds)


class Background:
    """A function that runs beside the caller, in a thread that does not keep the program alive."""

    def __init__(self, main: Callable[[], None], name: str) -> None:
        self._thread = threading.Thread(target=main, name=name, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Waits for its end, unless it is the one that asks."""
        if threading.current_thread() is not self._thread:
            self._thread.join()


def in_thread(function: Callable[..., T], *given: Any) -> T:
    """Calls what blocks; here the caller waits anyway."""
    return function(*given)
