"""SessionService: reading and watching sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.encode import encode_batch
from tesseract_grpc.server.codec.schemas import encode_columns
from tesseract_grpc.server.codec.values import decode_duration
from tesseract_grpc.server.codec.windows import decode_page, decode_window
from tesseract_grpc.server.errors import invalid, not_available
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.services.lookup import find_session
from tesseract_grpc.server.services.reads import in_pieces
from tesseract_grpc.server.streams.envelope import SESSION
from tesseract_grpc.server.streams.stream import Stream

pb = twin.session_service


class SessionReads:
    """Reads and watches of sessions."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def query_session(self, request: pb.QuerySessionRequest, call: Call) -> pb.QuerySessionResponse:
        """Returns a page of a session."""
        window = decode_page(request.window)
        host, session = await self._find(request.name, request.min_version, call)
        host.lifetimes.touch(session.name)
        result = session.read(window)
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
        host.lifetimes.touch(session.name)
        result = session.read(window)
        first = pb.QuerySessionStreamResponse(
            columns=encode_columns(result.columns), total_count=result.total_count, version=result.version
        )
        async for response in in_pieces(first, result, self._hosts.config.piece_bytes):
            yield response

    async def watch_session(self, request: pb.WatchSessionRequest, call: Call) -> AsyncIterator[bytes]:
        """Streams a snapshot and then every change."""
        _refuse_later_features(request)
        window = decode_window(request.window)
        min_interval = decode_duration(request.min_interval, "min_interval")
        host, session = await self._find(request.name, request.min_version, call)
        self._hosts.room_for_watch()
        stream = Stream(
            session.watch(window),
            SESSION,
            epoch=host.hub.epoch,
            version=lambda: host.hub.version,
            generation=lambda: session.generation,
            min_interval=min_interval,
            progress_interval=self._hosts.config.progress_interval,
            piece_bytes=self._hosts.config.piece_bytes,
            clock=host.clock,
        )
        name = session.name
        host.lifetimes.acquire(name)
        try:
            with host.audience.admit(session, stream):
                async with aclosing(stream.responses()) as responses:
                    async for response in responses:
                        yield response
        finally:
            host.lifetimes.release(name)

    def watch_sessions(self, request: pb.WatchSessionsRequest, call: Call) -> AsyncIterator[bytes]:
        """Streams several sessions at one version."""
        raise not_available("watch_sessions", "watching several sessions on one stream", "sessions")

    async def _find(self, name: str, min_version: int, call: Call) -> tuple[Host, Session]:
        """The session, once the version is visible: it may end while we wait."""
        host, _ = find_session(self._hosts, name, "name")
        await host.versions.wait(min_version, call.remaining())
        return find_session(self._hosts, name, "name")


def _refuse_later_features(request: pb.WatchSessionRequest) -> None:
    if request.resume_token:
        raise not_available("resume", "going on from a resume token", "resume_token")
    if request.on_lag in (twin.change.ON_LAG_RESET, twin.change.ON_LAG_CANCEL):
        raise not_available("on_lag", "on_lag other than CONFLATE", "on_lag")
    if request.on_lag not in (twin.change.ON_LAG_UNSPECIFIED, twin.change.ON_LAG_CONFLATE):
        raise invalid(f"there is no on_lag {request.on_lag}", "on_lag")
    if request.delivery == twin.change.DELIVERY_EVERY_COMMIT:
        raise not_available("every_commit", "one change a commit", "delivery")
    if request.delivery not in (twin.change.DELIVERY_UNSPECIFIED, twin.change.DELIVERY_NET):
        raise invalid(f"there is no delivery {request.delivery}", "delivery")
