"""What a session costs and who watches it, as messages: read off, in O(its watches)."""

from __future__ import annotations

from heapq import nlargest

from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.values import encode_time
from tesseract_grpc.server.codec.windows import encode_window
from tesseract_grpc.server.host import Host
from tesseract_grpc.server.streams.state import State
from tesseract_grpc.server.streams.stream import Stream

pb = twin.session_service

MOST_WATCHERS = 100
"""The most watches of a session that are named."""

_STATES = {
    State.CATCHING_UP: pb.WATCHER_STATE_CATCHING_UP,
    State.LIVE: pb.WATCHER_STATE_LIVE,
    State.CONFLATING: pb.WATCHER_STATE_CONFLATING,
}


def encode_statistics(host: Host, session: Session) -> pb.SessionStatistics:
    """What following commits has cost, and how its watches do."""
    result = session.result
    states = dict.fromkeys(State, 0)
    lag = 0
    for stream in host.audience.streams_of(session):
        states[stream.state] += 1
        lag = max(lag, stream.lag_versions)
    return pb.SessionStatistics(
        commits=result.commits,
        rows_examined=result.examined,
        rows_examined_per_commit=result.examined / result.commits if result.commits else 0.0,
        max_lag_versions=lag,
        conflations=host.audience.conflations_of(session),
        watchers_catching_up=states[State.CATCHING_UP],
        watchers_live=states[State.LIVE],
        watchers_conflating=states[State.CONFLATING],
    )


def encode_watchers(host: Host, session: Session) -> list[pb.Watcher]:
    """Its watches, those that lag most first."""
    streams = [(stream.lag_versions, stream) for stream in host.audience.streams_of(session)]
    lagging = nlargest(MOST_WATCHERS, streams, key=lambda each: (each[0], each[1].lag_bytes, each[1].watch_id))
    return [_encode(stream, lag) for lag, stream in lagging]


def _encode(stream: Stream, lag: int) -> pb.Watcher:
    message = pb.Watcher(
        watch_id=stream.watch_id,
        peer=stream.peer,
        state=_STATES[stream.state],
        lag_versions=lag,
        lag_bytes=stream.lag_bytes,
        conflations=stream.conflations,
        sent_bytes=stream.sent_bytes,
    )
    encode_time(stream.opened_at, message.create_time)
    if stream.window is not None:
        message.window.CopyFrom(encode_window(stream.window))
    return message
