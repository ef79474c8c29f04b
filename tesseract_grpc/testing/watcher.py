"""Watchers that keep every response of a watch, for tests that judge the stream itself.

    with running_server() as server, server.channel() as channel:
        with RecordingWatcher.session(channel, "adults") as watcher:
            ...                                  # write something; the answer says which version
            watcher.wait_for(version)
            assert watcher.mirror.rows == [...]
            watcher.check()                      # all promises, over everything recorded

`RecordingWatcher` reads in a thread of its own, `AsyncRecordingWatcher` in a task of the running loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self, cast

import grpc

from tesseract_grpc._proto.tesseract.v1 import (
    session_service_pb2,
    session_service_pb2_grpc,
    table_service_pb2,
    table_service_pb2_grpc,
)
from tesseract_grpc.testing.contract import Truth, check_stream
from tesseract_grpc.testing.mirror import Mirror, Response

SessionRequest = session_service_pb2.WatchSessionRequest
TableRequest = table_service_pb2.WatchTableRequest


class Record:
    """What was received: every response, the mirror after them, and how the stream ended."""

    def __init__(self) -> None:
        self.responses: list[Response] = []
        self.mirror = Mirror()
        self.error: BaseException | None = None
        self.ended = False

    def take(self, response: Response) -> None:
        """Keeps one response and applies it to the mirror."""
        self.responses.append(response)
        self.mirror.apply(response)

    def reached(self, version: int) -> bool:
        """Whether the mirror is at a consistent point at or after `version`, or the stream ended."""
        return self.ended or (self.mirror.consistent and self.mirror.version >= version)

    def check(self, truth: Truth | None = None) -> None:
        """Runs every validator over what was received; also raises what broke the mirror."""
        check_stream(list(self.responses), truth)
        if self.error is not None and not isinstance(self.error, grpc.RpcError):
            raise self.error


class RecordingWatcher(Record):
    """Reads a watch in a thread, from `with` to its end."""

    def __init__(self, call: Iterator[Response]) -> None:
        super().__init__()
        self._call = call
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="recording-watcher", daemon=True)
        self._thread.start()

    @classmethod
    def session(cls, channel: grpc.Channel, name: str = "", request: SessionRequest | None = None) -> Self:
        """Watches a session: all of it by `name`, or as `request` says."""
        stub = session_service_pb2_grpc.SessionServiceStub(channel)
        return cls(cast(Iterator[Response], stub.WatchSession(request or SessionRequest(name=name))))

    @classmethod
    def table(cls, channel: grpc.Channel, name: str = "", request: TableRequest | None = None) -> Self:
        """Watches a table, beginning with a snapshot, or as `request` says."""
        stub = table_service_pb2_grpc.TableServiceStub(channel)
        request = request or TableRequest(table=name, include_snapshot=True)
        return cls(cast(Iterator[Response], stub.WatchTable(request)))

    def _read(self) -> None:
        try:
            for response in self._call:
                with self._changed:
                    self.take(response)
                    self._changed.notify_all()
        except Exception as error:  # a status, or a response that does not fit: both belong to the record
            self.error = error
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def wait_until(self, ready: Callable[[Self], bool], timeout: float = 10.0) -> Self:
        """Waits until `ready(self)`. Raises TimeoutError, with the record's state in its message."""
        with self._changed:
            if not self._changed.wait_for(lambda: ready(self), timeout):
                raise TimeoutError(_state(self))
        return self

    def wait_for(self, version: int, timeout: float = 10.0) -> Self:
        """Waits until everything up to `version` has come. Raises TimeoutError, or what ended the stream."""
        self.wait_until(lambda _: self.reached(version), timeout)
        if self.ended and self.error is not None:
            raise self.error
        return self

    def stop(self) -> None:
        """Cancels the watch and waits for its end."""
        cast(Any, self._call).cancel()
        self._thread.join(10.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class AsyncRecordingWatcher(Record):
    """Reads a watch in a task of the running loop."""

    def __init__(self, call: AsyncIterator[Response]) -> None:
        super().__init__()
        self._call = call
        self._changed = asyncio.Condition()
        self._task = asyncio.create_task(self._read())

    @classmethod
    def session(cls, channel: grpc.aio.Channel, name: str = "", request: SessionRequest | None = None) -> Self:
        """Watches a session: all of it by `name`, or as `request` says."""
        stub: Any = session_service_pb2_grpc.SessionServiceStub(channel)
        return cls(stub.WatchSession(request or SessionRequest(name=name)))

    @classmethod
    def table(cls, channel: grpc.aio.Channel, name: str = "", request: TableRequest | None = None) -> Self:
        """Watches a table, beginning with a snapshot, or as `request` says."""
        stub: Any = table_service_pb2_grpc.TableServiceStub(channel)
        return cls(stub.WatchTable(request or TableRequest(table=name, include_snapshot=True)))

    async def _read(self) -> None:
        try:
            async for response in self._call:
                async with self._changed:
                    self.take(response)
                    self._changed.notify_all()
        except asyncio.CancelledError:  # by `stop`, or with the task
            pass
        except Exception as error:
            self.error = error
        async with self._changed:
            self.ended = True
            self._changed.notify_all()

    async def wait_until(self, ready: Callable[[Self], bool], timeout: float = 10.0) -> Self:
        """Waits until `ready(self)`. Raises TimeoutError, with the record's state in its message."""
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: ready(self))
        except TimeoutError:
            raise TimeoutError(_state(self)) from None
        return self

    async def wait_for(self, version: int, timeout: float = 10.0) -> Self:
        """Waits until everything up to `version` has come. Raises TimeoutError, or what ended the stream."""
        await self.wait_until(lambda _: self.reached(version), timeout)
        if self.ended and self.error is not None:
            raise self.error
        return self

    async def stop(self) -> None:
        """Cancels the watch and waits for its end."""
        cast(Any, self._call).cancel()
        await asyncio.wait([self._task], timeout=10.0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def _state(record: Record) -> str:
    last = record.responses[-1].WhichOneof("event") if record.responses else "nothing"
    return (
        f"waited in vain: {len(record.responses)} responses, the last {last}; the mirror is at version "
        f"{record.mirror.version} ({'consistent' if record.mirror.consistent else 'between two points'}); "
        f"{'ended with ' + repr(record.error) if record.ended else 'the stream is open'}"
    )
