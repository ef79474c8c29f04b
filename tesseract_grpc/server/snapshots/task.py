"""When snapshots are written, and how: beside everything else.

A snapshot is due when so many records, or so many bytes of them, have come since the last one. It is taken on the loop,
in steps of some milliseconds between which everything else goes on; what a step has copied is encoded and written in a
worker thread, and the next step waits for that, so no more than one step is held beside the hub. When the snapshot is
kept, the log forgets what no start needs that makes histories again: see `asked_from`.

A snapshot that cannot be written, on a full disk for example, is no harm but to the size of the log: it is told, and
tried again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from tesseract_grpc.engine.data.commit_log import HubLog, LogFailed, SnapshotInfo, SnapshotWriter
from tesseract_grpc.engine.live.image import Ending, Piece
from tesseract_grpc.server.logs import logger, trace_of
from tesseract_grpc.server.snapshots.definitions import KeptNote
from tesseract_grpc.server.snapshots.restore import asked_from
from tesseract_grpc.server.snapshots.rows import encode_piece
from tesseract_grpc.server.snapshots.state import LastStep, encode_head, encode_last
from tesseract_grpc.server.tracing import SNAPSHOT

if TYPE_CHECKING:
    from tesseract_grpc.server.host import Host, Note

R = TypeVar("R")

STEP = 0.002
"""Seconds after which a step hands over what it has copied; the piece that it is at takes a millisecond more."""
RETRY = 30.0
"""Seconds until a snapshot that failed is tried again."""


def _nothing() -> Mapping[str, bytes]:
    return {}


class Snapshots:
    """Writes the snapshots of one hub. All of it is for the loop's thread."""

    def __init__(
        self,
        host: Host,
        log: HubLog,
        position: Callable[[], int],
        extra: Callable[[], Mapping[str, bytes]] = _nothing,
        *,
        retry: float = RETRY,
    ) -> None:
        """`position` tells the last record that the hub has applied; `extra` what else is to be kept."""
        self._host = host
        self._log = log
        self._position = position
        self._extra = extra
        self._retry = retry
        self.newest: SnapshotInfo | None = log.newest_snapshot
        self.failure = ""
        """Why the last one could not be written; empty when it could."""
        self.written = 0
        self.seconds = 0.0
        """How long the last one took."""
        self._since = 0 if self.newest is None else self.newest.position
        self._bytes = 0
        self._counted = 0  # those of them that the snapshot holds which is being written
        self._begun: SnapshotWriter | None = None  # for the worker's thread alone
        self._due = asyncio.Event()
        self._writing = asyncio.Lock()
        self._worker = ThreadPoolExecutor(1, f"snapshot-{host.name}")

    def applied(self, size: int) -> None:
        """A record of so many bytes was applied. O(1)."""
        self._bytes += size
        config = self._host.config
        if self._bytes >= config.snapshot_bytes or self._position() - self._since >= config.snapshot_records:
            self._due.set()

    async def run(self) -> None:
        """Writes snapshots when they are due, until it is cancelled."""
        while True:
            await self._due.wait()
            try:
                await self.write()
            except LogFailed:
                await asyncio.sleep(self._retry)
            except Exception as error:  # a bug; the log keeps everything, and the next attempt may go well
                self.failure = f"{type(error).__name__}: {error}"
                logger().error("snapshot.bug", hub=self._host.name, error=type(error).__name__, trace=trace_of(error))
                await asyncio.sleep(self._retry)

    async def write(self) -> int:
        """Writes one now, and lets the log forget what is no longer needed; returns its position. Raises LogFailed."""
        async with self._writing:
            begun = time.perf_counter()
            try:
                with self._host.tracing.span(SNAPSHOT, hub=self._host.name):
                    last = await self._write()
            except LogFailed as error:
                self.failure = str(error)
                if (recorder := self._host.debug.recorder) is not None:
                    recorder.not_written("snapshot", error)
                logger().error("snapshot.failed", hub=self._host.name, error=self.failure)
                raise
            self.failure = ""
            await self._trim(last.position)
            self.written += 1
            self.seconds = time.perf_counter() - begun
            self._host.meters.snapshot_seconds.observe(self.seconds)
            if (recorder := self._host.debug.recorder) is not None:
                size = 0 if self.newest is None else self.newest.bytes
                recorder.snapshot(last.position, last.ending.version, size, self.seconds)
            logger().info(
                "snapshot.written",
                hub=self._host.name,
                position=last.position,
                version=last.ending.version,
                bytes=0 if self.newest is None else self.newest.bytes,
                seconds=round(self.seconds, 3),
            )
            return last.position

    async def _write(self) -> LastStep:
        pieces = self._host.hub.image().pieces()
        done = False
        try:
            writer = await self._aside(self._begin)
            while True:
                found, last = self._step(pieces)
                await self._aside(_write, writer, found)
                if last is not None:
                    break
            await self._aside(_write_last, writer, last)
            done = True
            self._since = last.position
            self._bytes -= self._counted
            self._due.clear()
            self.applied(0)  # what has come since the last step
            self.newest = await self._aside(lambda: self._log.newest_snapshot)
            return last
        finally:
            pieces.close()
            if not done:
                self._worker.submit(self._discard)  # behind what the thread is at, which may be the beginning

    async def _trim(self, position: int) -> None:
        try:
            await self._aside(self._log.trim, asked_from(self._host, position))
        except LogFailed as error:  # it is done after the next snapshot
            logger().error("log.not_trimmed", hub=self._host.name, error=str(error))

    def _begin(self) -> SnapshotWriter:
        writer = self._log.begin_snapshot()
        try:
            writer.add(encode_head(self._host.name))
        except BaseException:
            writer.discard()
            raise
        self._begun = writer
        return writer

    def _discard(self) -> None:
        """Keeps nothing of what was begun last."""
        if self._begun is not None:
            self._begun.discard()
            self._begun = None

    def _step(self, pieces: Generator[Piece | Ending, None, None]) -> tuple[list[Piece], LastStep | None]:
        """Copies for some milliseconds; the last step also copies what the server knows."""
        found: list[Piece] = []
        until = time.perf_counter() + STEP
        for piece in pieces:
            if isinstance(piece, Ending):
                return found, self._last_step(piece)
            found.append(piece)
            if time.perf_counter() > until:
                break
        return found, None

    def _last_step(self, ending: Ending) -> LastStep:
        host = self._host
        self._counted = self._bytes
        kept = tuple(session for session in ending.sessions if host.lifetimes.idle_timeout(session.name) is None)
        return LastStep(
            host.name,
            self._position(),
            replace(ending, sessions=kept),
            _kept_notes(host.table_notes),
            _kept_notes(host.session_notes),
            host.memory.answers(),
            dict(self._extra()),
        )

    async def _aside(self, work: Callable[..., R], *args: object) -> R:
        """Does something in the worker thread, after what it is at."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, work, *args)

    async def close(self) -> None:
        """Waits for what the worker is at. The task must have been cancelled."""
        await asyncio.to_thread(self._worker.shutdown)


def _write(writer: SnapshotWriter, found: list[Piece]) -> None:
    for piece in found:
        for content in encode_piece(piece):
            writer.add(content)


def _write_last(writer: SnapshotWriter, last: LastStep) -> None:
    for content in encode_last(last):
        writer.add(content)
    writer.keep(last.position)


def _kept_notes(notes: Mapping[str, Note]) -> dict[str, KeptNote]:
    return {name: KeptNote(note.description, note.create_time) for name, note in notes.items()}
