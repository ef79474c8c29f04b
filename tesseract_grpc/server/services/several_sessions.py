"""SessionService: watching several sessions on one stream, always at one version."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from contextlib import ExitStack, aclosing

from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.query.query import Window
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.windows import decode_window
from tesseract_grpc.server.errors import Refusal, invalid, limit_exceeded
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.lookup import find_session
from tesseract_grpc.server.names import of_session
from tesseract_grpc.server.resuming import start_sessions, wait_for_token
from tesseract_grpc.server.services.watching import frame, serve, tell_session, terms
from tesseract_grpc.server.streams.cut import Cut

pb = twin.session_service

MOST_SESSIONS = 100
"""The most sessions on one stream."""

_OF_ALL = ("resume_token", "min_version", "min_interval", "on_lag", "delivery")
"""What is asked for all sessions, and so not for one."""


class SeveralSessions:
    """Watches of several sessions at one version."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def watch_sessions(self, request: pb.WatchSessionsRequest, call: Call) -> AsyncIterator[bytes]:
        """Streams the snapshots of several sessions and then every change, always all at one version."""
        windows = _windows(request)
        asked = terms(self._hosts.config, request.on_lag, request.min_interval)
        host, watched = self._find(request, windows)
        await host.versions.wait(request.min_version, call.remaining())
        host, watched = self._find(request, windows)
        tokens = host.tokens
        if request.resume_token:
            maker = tokens.of_sessions([tokens.of_session(session, window) for session, window in watched])
            await wait_for_token(host, request.resume_token, maker, call.remaining())
            host, watched = self._find(request, windows)
        self._hosts.room_for_watch()
        watches, start, _ = start_sessions(host, watched, request.resume_token)
        framed = frame(host)
        tellers = [
            tell_session(host, framed, session, watch, window, start, digest=each.include_digest)
            for each, (session, window), watch in zip(request.sessions, watched, watches, strict=True)
        ]
        story = Cut(
            tellers, framed, lambda: tokens.of_sessions([tokens.of_session(each, window) for each, window in watched])
        )
        sessions = list(dict.fromkeys(session for session, _ in watched))

        def named(refusal: Refusal, subject: Hashable) -> Refusal:
            """The refusal, with which of the sessions it is about."""
            ended = next((index for index, (session, _) in enumerate(watched) if session is subject), None)
            if ended is None:
                return refusal
            return refusal.about(f"sessions[{ended}].name", session=of_session(host.name, watched[ended][0].name))

        with ExitStack() as held:
            for session in sessions:
                host.lifetimes.acquire(session.name)
                held.callback(host.lifetimes.release, session.name)
            async with aclosing(serve(host, call, story, framed, asked, *sessions, naming=named)) as responses:
                async for response in responses:
                    yield response

    def _find(
        self, request: pb.WatchSessionsRequest, windows: list[Window]
    ) -> tuple[Host, list[tuple[Session, Window]]]:
        """The sessions with their windows, and their hub. Raises Refusal."""
        found = [
            find_session(self._hosts, each.name, f"sessions[{at}].name") for at, each in enumerate(request.sessions)
        ]
        host = found[0][0]
        for at, (other, _) in enumerate(found):
            if other is not host:
                raise invalid("the sessions of one stream are of one hub", f"sessions[{at}].name")
        return host, [(session, window) for (_, session), window in zip(found, windows, strict=True)]


def _windows(request: pb.WatchSessionsRequest) -> list[Window]:
    """What of each session is watched. Raises Refusal."""
    if not request.sessions:
        raise invalid("a watch of several sessions names at least one", "sessions")
    if len(request.sessions) > MOST_SESSIONS:
        raise limit_exceeded(
            "max_sessions_per_watch", MOST_SESSIONS, f"{len(request.sessions)} sessions on one stream", field="sessions"
        )
    windows: list[Window] = []
    for at, each in enumerate(request.sessions):
        for name in _OF_ALL:
            if each.HasField("min_interval") if name == "min_interval" else getattr(each, name):
                raise invalid(f"{name} is asked for all sessions together", f"sessions[{at}].{name}")
        try:
            windows.append(decode_window(each.window))
        except Refusal as refusal:
            raise refusal.about(f"sessions[{at}].{refusal.field}") from None
    return windows
