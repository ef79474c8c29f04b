"""One connection of a browser: HTTP/1.1 in and out, one request after the other.

h11 reads requests and checks them; what it refuses is answered with 400 and ends the connection. The body of a streamed
answer is written past it, for many connections are told the very same bytes, chunk and all (`framing.py`).

Back-pressure works both ways. `write` returns when the transport's buffer has room again, so a handler that writes to a
browser that does not read waits, as it does for gRPC; with TCP_NOTSENT_LOWAT the system does not hide that behind
megabytes of its own. And what a client sends is read no faster than it is used.

Whoever takes too long is cut off by `patrol`: for the head of a request, for its body, between two requests, and for
taking what was written.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import cast

import h11

from tesseract_grpc.server.logs import logger, trace_of
from tesseract_grpc.server.web import sockets
from tesseract_grpc.server.web.body import Body
from tesseract_grpc.server.web.head import HEAD_BYTES, NO_REQUEST, Head, problem_of
from tesseract_grpc.server.web.house import House
from tesseract_grpc.server.web.phase import BODY_SECONDS, HEAD_SECONDS, PATIENCE, Phase

AHEAD_BYTES = 65_536
"""What a client may send ahead of an answer before it is read no further."""

UNSENT_BYTES = 65_536
"""What may wait in the server, and as much again in the system, before a writer waits."""

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}

Headers = Iterable[tuple[str, str]]


class Connection(asyncio.Protocol):
    """A connection, from being accepted to being closed."""

    def __init__(self, house: House) -> None:
        self.peer = ""
        """The address of the client, as gRPC writes it."""
        self._house = house
        self._context = contextvars.copy_context()
        self._transport: asyncio.Transport
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self._phase = Phase.READING_HEAD
        self._since = time.monotonic()
        self._closing = False  # no request after this one
        self._task: asyncio.Task[None] | None = None
        self._body: Body | None = None
        self._body_since: float | None = None  # when somebody began to wait for the body
        self._discarded = 0
        self._full: asyncio.Future[None] | None = None  # done when there is room again
        self._full_since = 0.0  # when it was full, and less of it was taken than before
        self._unsent = 0

    # What the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=UNSENT_BYTES, low=UNSENT_BYTES // 4)
        self.peer = sockets.prepare(self._transport, UNSENT_BYTES, self._house.stall, self._house.keepalive)
        self._house.connections.enter(self)
        if len(self._house.connections) > self._house.most:
            self._refuse(503, f"the server has {self._house.most} connections, and takes no more")

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request."""
        if self._phase is Phase.LINGERING:
            return
        if self._phase is Phase.IDLE:
            self._turn_to(Phase.READING_HEAD)
        self._http.receive_data(data)
        self._read_on()

    def eof_received(self) -> None:
        """The client says no more. It is taken for gone, for nobody could tell the difference, and whoever is gone must
        not be told things until buffers are full."""
        if self._task is not None:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is no more."""
        self._house.connections.leave(self)
        self._closing = True
        if self._full is not None and not self._full.done():
            self._full.set_result(None)
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is written to."""
        self._full = asyncio.get_running_loop().create_future()
        self._full_since = time.monotonic()
        self._unsent = self._transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        """It has read."""
        if self._full is not None and not self._full.done():
            self._full.set_result(None)
        self._full = None

    # What is asked

    def _read_on(self) -> None:
        """Handles what h11 makes of the bytes that are there."""
        while self._phase is not Phase.LINGERING and not self._transport.is_closing():
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                self._misunderstand(error)
                return
            match event:
                case h11.Request() if (problem := problem_of(event)) is not None:
                    self._refuse(*problem)
                case h11.Request():
                    self._begin(Head.of(event))
                case h11.Data():
                    self._feed(bytes(event.data))
                case h11.EndOfMessage():
                    self._end_of_body()
                case h11.PAUSED:
                    if len(self._http.trailing_data[0]) > AHEAD_BYTES:
                        self._transport.pause_reading()
                    return
                case _:
                    return

    def _begin(self, head: Head) -> None:
        self._turn_to(Phase.ANSWERING)
        self._body = Body(self._wanted, self._pause_reading)
        # A context of its own: who made the request before must not be who makes this one.
        self._task = asyncio.create_task(self._answer(head, self._body), context=self._context.copy())

    async def _answer(self, head: Head, body: Body) -> None:
        try:
            await self.room()  # whoever asks, and asks again, and does not read
            await self._house.answer(self, head, body)
        except Exception as error:  # a bug: what can go wrong with a request has been answered
            logger().error("http.failed", path=head.path, error=type(error).__name__, trace=trace_of(error))
        finally:
            if self._task is asyncio.current_task():
                self._transport.abort()  # it was broken off: half an answer must not look like a whole one

    def _feed(self, data: bytes) -> None:
        if self._phase is Phase.READING_REST:
            self._discarded += len(data)
            if self._discarded > self._house.discard:
                self._linger()
        elif self._body is not None:
            self._body.feed(data)

    def _end_of_body(self) -> None:
        self._body_since = None
        if self._body is not None:
            self._body.end()
        if self._phase is Phase.READING_REST:
            self._next()

    def _wanted(self) -> None:
        """Somebody waits for the body."""
        if self._body_since is None:
            self._body_since = time.monotonic()
        if self._http.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))

    def _pause_reading(self, pause: bool) -> None:
        if pause:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _misunderstand(self, error: h11.RemoteProtocolError) -> None:
        """What came is no HTTP, or no more of it."""
        if self._task is not None and not self._task.done():
            if self._body is not None:
                self._body.lose("it is no HTTP")
            self._closing = True
            return
        why = str(error).partition(": bytearray(")[0]
        self._refuse(error.error_status_hint, f"{NO_REQUEST}: {why}")

    def _next(self) -> None:
        """The connection is free for another request, which may be there already."""
        self._http.start_next_cycle()
        self._body = None
        self._turn_to(Phase.IDLE)
        self._transport.resume_reading()
        if self._http.trailing_data[0]:
            self._turn_to(Phase.READING_HEAD)
        self._read_on()

    # What is answered

    @property
    def gone(self) -> bool:
        """Whether nobody is there to be answered."""
        return self._transport.is_closing()

    def begin(self, status: int, headers: Headers) -> None:
        """The head of an answer."""
        if self._http.they_are_waiting_for_100_continue:
            self._closing = True  # nobody could tell whether the body comes all the same
        every = [*headers, ("date", sockets.date()), *([("connection", "close")] if self._closing else [])]
        self._send(h11.Response(status_code=status, headers=every, reason=_REASONS.get(status, b"")))

    async def write(self, data: bytes) -> None:
        """A part of the body of an answer, framed as its head has said. Returns when the client takes what it is given;
        does nothing once it has gone."""
        self.put(data)
        await self.room()

    def put(self, data: bytes) -> None:
        """The same without waiting, for the little that ends an answer."""
        if data and not self._transport.is_closing():
            self._transport.write(data)

    async def room(self) -> None:
        """Waits until there is room for more."""
        while self._full is not None and not self._transport.is_closing():
            await asyncio.shield(self._full)

    def finish(self) -> None:
        """The end of an answer."""
        self._task, self._body_since = None, None
        if self._transport.is_closing():
            return
        self._send(h11.EndOfMessage())
        if self._body is not None:
            self._body.forget()
        keeps = self._http.our_state is h11.DONE and not self._closing
        match self._http.their_state:
            case h11.DONE if keeps:
                self._next()
            case h11.SEND_BODY if keeps:
                self._turn_to(Phase.READING_REST)
                self._discarded = 0
            case h11.DONE | h11.MUST_CLOSE | h11.CLOSED:
                self._transport.close()
            case _:
                self._linger()

    def respond(self, status: int, headers: Headers, body: bytes, *, bodiless: bool = False) -> None:
        """A whole answer. A `bodiless` one tells of its body only how long it would be."""
        size = [("content-length", str(len(body)))] if body or status != HTTPStatus.NO_CONTENT else []
        self.begin(status, [*headers, *size])
        if body and not bodiless:
            self._send(h11.Data(data=body))
        self.finish()

    def abort(self) -> None:
        """Ends the connection at once."""
        self._transport.abort()

    def last(self) -> None:
        """The request that is being answered is the last one; where there is none, the connection ends."""
        self._closing = True
        if self._phase in (Phase.READING_HEAD, Phase.IDLE, Phase.READING_REST):
            self._transport.close()

    # Patience

    def patrol(self, now: float) -> None:
        """Ends what takes too long. O(1)."""
        if self._full is not None:
            unsent = self._transport.get_write_buffer_size()
            if unsent < self._unsent:
                self._full_since = now  # slow, but it reads
            self._unsent = unsent
            if now - self._full_since >= self._house.stall:
                self._transport.abort()
                return
        if self._phase is Phase.ANSWERING:
            since = self._body_since
            if since is not None and now - since >= BODY_SECONDS and self._body is not None and not self._body.patient:
                self._body_since, self._closing = None, True
                self._body.lose(f"it did not arrive within {BODY_SECONDS:g} s")
        elif now - self._since >= PATIENCE[self._phase]:
            self._lose_patience()

    def _lose_patience(self) -> None:
        if self._phase is Phase.READING_HEAD and self._http.trailing_data[0]:
            self._refuse(408, f"the head of the request did not arrive within {HEAD_SECONDS:g} s")
        else:
            self._transport.close()

    def _turn_to(self, phase: Phase) -> None:
        self._phase, self._since = phase, time.monotonic()

    def _refuse(self, status: int, why: str) -> None:
        """Answers what is no request, and ends the connection."""
        self._closing = True
        headers, body = self._house.refuse(status, why)
        self.begin(status, [*headers, ("content-length", str(len(body)))])
        self._send(h11.Data(data=body))
        self._send(h11.EndOfMessage())
        self._linger()

    def _linger(self) -> None:
        """Ends the connection, but not before the client can have read the answer: what it sends meanwhile is dropped,
        for closing on unread bytes would take the answer from it."""
        self._closing = True
        self._turn_to(Phase.LINGERING)
        self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _send(self, event: h11.Event) -> None:
        if not self._transport.is_closing():
            self.put(self._http.send(event) or b"")
