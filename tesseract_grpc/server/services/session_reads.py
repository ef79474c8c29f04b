"""SessionService: reading and watching sessions."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing

from tesseract_grpc.engine.live.session import QueryResult, Session
from tesseract_grpc.engine.query.query import Window
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.encode import encode_batch
from tesseract_grpc.server.codec.schemas import encode_columns
from tesseract_grpc.server.codec.windows import decode_page, decode_window
from tesseract_grpc.server.debug.subject import Subject
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.lookup import find_session
from tesseract_grpc.server.resuming import start_session, wait_for_token
from tesseract_grpc.server.services.reads import in_pieces
from tesseract_grpc.server.services.watching import frame, serve, tell_session, terms

pb = twin.session_service


class SessionReads:
    """Reads and watches of sessions."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def query_session(self, request: pb.QuerySessionRequest, call: Call) -> pb.QuerySessionResponse:
        """Returns a page of a session."""
        window = decode_page(request.window)
        host, session = await self._find(request.name, request.min_version, call)
        result = self._read(host, session, window)
        return pb.QuerySessionResponse(
            columns=encode_columns(result.columns),
            rows=encode_batch(result.rows),
            total_count=result.total_count,
            version=result.version,
        )

    async def query_session_stream(
        self, request: pb.QuerySessionStreamRequest, call: Call
    ) -> AsyncIterator[pb.QuerySessionStreamResponse]:
        """Streams all rows of a session."""
        window = decode_window(request.window)
        host, session = await self._find(request.name, request.min_version, call)
        result = self._read(host, session, window)
        first = pb.QuerySessionStreamResponse(
            columns=encode_columns(result.columns), total_count=result.total_count, version=result.version
        )
        async for response in in_pieces(first, result, self._hosts.config.piece_bytes):
            yield response

    def _read(self, host: Host, session: Session, window: Window) -> QueryResult:
        """The rows of a window now. A session that is read lives on."""
        host.lifetimes.touch(session.name)
        begun = time.perf_counter()
        result = session.read(window)
        if host.debug.recorder is not None:
            subject = Subject(host.name, session.query.table, session.name)
            host.debug.queried(session.name, subject, time.perf_counter() - begun, result)
        return result

    async def watch_session(self, request: pb.WatchSessionRequest, call: Call) -> AsyncIterator[bytes]:
        """Streams a snapshot and then every change."""
        window = decode_window(request.window)
        asked = terms(self._hosts.config, request.on_lag, request.min_interval, request.delivery)
        host, session = await self._find(request.name, request.min_version, call)
        if request.resume_token:
            maker = host.tokens.of_session(session, window)
            await wait_for_token(host, request.resume_token, maker, call.remaining())
            host, session = find_session(self._hosts, request.name, "name")
        self._hosts.room_for_watch()
        watch, start = start_session(host, session, window, request.resume_token, every_commit=asked.every_commit)
        framed = frame(host)
        story = tell_session(host, framed, session, watch, window, start, digest=request.include_digest)
        host.lifetimes.acquire(session.name)
        try:
            async with aclosing(serve(host, call, story, framed, asked, session, window=window)) as responses:
                async for response in responses:
                    yield response
        finally:
            host.lifetimes.release(session.name)

    async def _find(self, name: str, min_version: int, call: Call) -> tuple[Host, Session]:
        """The session, once the version is visible: it may end while we wait."""
        host, _ = find_session(self._hosts, name, "name")
        await host.versions.wait(min_version, call.remaining())
        return find_session(self._hosts, name, "name")
