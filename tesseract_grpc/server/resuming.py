"""Opening a watch where its reader left off, if it brought a token, and at the beginning otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.live.rewinds import NotResumable
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.live.table_watch import TableWatch
from tesseract_grpc.engine.live.watch import Watch
from tesseract_grpc.engine.query.query import Window
from tesseract_grpc.server.host import Host
from tesseract_grpc.server.resume_tokens import ResumePoint, TokenMaker, too_old
from tesseract_grpc.server.streams.teller import Anew


@dataclass(frozen=True, slots=True)
class Start:
    """Where a stream begins: after what the reader has, or anew."""

    since: int | None = None  # the version that the reader has
    since_us: int = 0  # the clock by which that was evaluated
    reset: Anew | None = None  # why a reader that brought a token has to begin anew


async def wait_for_token(host: Host, token: bytes, maker: TokenMaker, remaining: float | None) -> None:
    """Waits until the hub is as far as the reader. Raises Refusal: the token is bad, or the version does not come."""
    point = host.tokens.read(token, maker) if token else None
    if isinstance(point, ResumePoint):
        await host.versions.wait(point.version, remaining, "resume_token")


def start_session(
    host: Host, session: Session, window: Window, token: bytes, *, every_commit: bool = False
) -> tuple[Watch, Start]:
    """Opens a watch of a session where its reader left off. Raises Refusal, InvalidRequest."""
    point = host.tokens.read(token, host.tokens.of_session(session, window)) if token else None
    if isinstance(point, ResumePoint):
        try:
            watch = session.watch(window, point.version, now_us=point.now_us, every_commit=every_commit)
        except NotResumable as reason:
            point = too_old(str(reason))
        else:
            return watch, Start(point.version, point.now_us)
    return session.watch(window, every_commit=every_commit, returning=bool(token)), Start(reset=point)


def start_sessions(
    host: Host, watched: Sequence[tuple[Session, Window]], token: bytes
) -> tuple[list[Watch], Start, TokenMaker]:
    """Opens watches of several sessions, all where their reader left off or all at the beginning.

    Raises Refusal, InvalidRequest.
    """
    maker = host.tokens.of_sessions([host.tokens.of_session(session, window) for session, window in watched])
    point = host.tokens.read(token, maker) if token else None
    if isinstance(point, ResumePoint):
        watches: list[Watch] = []
        try:
            for session, window in watched:
                now_us = point.now_us if session.timely else 0
                watches.append(session.watch(window, point.version, now_us=now_us, exact=True))
        except NotResumable as reason:
            for watch in watches:
                watch.close()
            point = too_old(str(reason))
        else:
            return watches, Start(point.version, point.now_us), maker
    return [session.watch(window, returning=bool(token)) for session, window in watched], Start(reset=point), maker


def start_table(
    host: Host, table: Relation, token: bytes, *, old_values: bool, every_commit: bool = False
) -> tuple[TableWatch, Start]:
    """Opens a watch of a table where its reader left off. Raises Refusal, NotFound."""
    point = host.tokens.read(token, host.tokens.of_table(table)) if token else None
    if isinstance(point, ResumePoint):
        try:
            watch = host.hub.watch_table(table.name, point.version, old_values=old_values, every_commit=every_commit)
        except NotResumable as reason:
            point = too_old(str(reason))
        else:
            return watch, Start(point.version)
    return host.hub.watch_table(table.name, old_values=old_values, every_commit=every_commit), Start(reset=point)
