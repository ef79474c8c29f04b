"""What the watches of sessions and of tables have in common: what a client may ask of them, and how they are served."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator
from contextlib import aclosing, contextmanager

from google.protobuf.duration_pb2 import Duration

from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.live.watch import Watch
from tesseract_grpc.engine.query.query import Window
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.values import decode_duration
from tesseract_grpc.server.config import ServerConfig
from tesseract_grpc.server.debug.subject import Subject
from tesseract_grpc.server.errors import Refusal, invalid
from tesseract_grpc.server.host import Host
from tesseract_grpc.server.resuming import Start
from tesseract_grpc.server.streams.envelope import SESSION
from tesseract_grpc.server.streams.stream import OnLag, Story, Stream, Terms
from tesseract_grpc.server.streams.teller import Frame, Teller

_ON_LAG: dict[int, OnLag] = {
    twin.change.ON_LAG_UNSPECIFIED: OnLag.CONFLATE,
    twin.change.ON_LAG_CONFLATE: OnLag.CONFLATE,
    twin.change.ON_LAG_RESET: OnLag.RESET,
    twin.change.ON_LAG_CANCEL: OnLag.CANCEL,
}

_DELIVERIES: dict[int, bool] = {
    twin.change.DELIVERY_UNSPECIFIED: False,
    twin.change.DELIVERY_NET: False,
    twin.change.DELIVERY_EVERY_COMMIT: True,
}


def terms(config: ServerConfig, on_lag: int, min_interval: Duration, delivery: int = 0) -> Terms:
    """What a request asks of its stream. Raises Refusal."""
    if on_lag not in _ON_LAG:
        raise invalid(f"there is no on_lag {on_lag}", "on_lag")
    if delivery not in _DELIVERIES:
        raise invalid(f"there is no delivery {delivery}", "delivery")
    interval = decode_duration(min_interval, "min_interval")
    if interval and _DELIVERIES[delivery]:
        raise invalid("min_interval merges commits, and delivery asks for each of them", "min_interval")
    return Terms(interval, _ON_LAG[on_lag], _DELIVERIES[delivery], config.lag_after, config.slow_reader_timeout)


def frame(host: Host) -> Frame:
    """What the responses of one stream of a hub have in common."""
    hub, config = host.hub, host.config
    return Frame(
        epoch=hub.epoch,
        version=lambda: hub.version,
        watch_id=secrets.token_hex(8),
        progress_interval=config.progress_interval,
        piece_bytes=config.piece_bytes,
        clock=host.clock,
        tally=host.audience.tally,
        debug=host.debug,
    )


def tell_session(
    host: Host, framed: Frame, session: Session, watch: Watch, window: Window, start: Start, *, digest: bool
) -> Teller:
    """What tells a watch of a window of a session."""
    return Teller(
        watch,
        SESSION,
        framed,
        generation=lambda: session.generation,
        now_us=lambda: session.clock,
        since=start.since,
        since_us=start.since_us,
        reset=start.reset,
        tokens=lambda: host.tokens.of_session(session, window),
        digest=(lambda: host.digests.of(session, window)) if digest else None,
    )


async def serve(
    host: Host,
    call: Call,
    story: Story,
    framed: Frame,
    asked: Terms,
    *subjects: Hashable,
    window: Window | None = None,
    naming: Callable[[Refusal, Hashable], Refusal] | None = None,
) -> AsyncGenerator[bytes, None]:
    """The responses of a stream that tells `story`, which watches `subjects`."""
    stream = Stream(story, framed, asked, peer=call.peer, window=window, cut_off=call.cut_off, naming=naming)
    with host.audience.admit(stream, *subjects), record_watch(host, stream, subjects):
        async with aclosing(stream.responses()) as responses:
            async for response in responses:
                yield response


@contextmanager
def record_watch(host: Host, stream: Stream, subjects: tuple[Hashable, ...]) -> Iterator[None]:
    """Tells those who debug that a watch begins and ends."""
    begun = time.perf_counter()
    if (recorder := host.debug.recorder) is not None:
        recorder.watch_opened(stream.watch_id, stream.peer, _subject(host, subjects), len(subjects))
    try:
        yield
    finally:
        if (recorder := host.debug.recorder) is not None:
            seconds = time.perf_counter() - begun
            recorder.watch_closed(
                stream.watch_id, _subject(host, subjects), seconds, stream.sent_bytes, stream.conflations
            )


def _subject(host: Host, subjects: tuple[Hashable, ...]) -> Subject:
    """What a watch is of; of several the first."""
    match subjects:
        case (Session() as session, *_):
            return Subject(host.name, session.query.table, session.name)
        case (Relation() as table, *_):
            return Subject(host.name, table.name)
    return Subject(host.name)
