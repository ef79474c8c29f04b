"""A log that several nodes share: the entries of one hub in a Redis stream.

    node A ──send──►  Redis: 1 2 3 4 5 6  ──receive──► node A, node B, node C, each applies 1 2 3 4 5 6

Redis gives the positions, in the same step in which it appends (`redis_scripts.APPEND`), so the order of the stream is
the order in which every node applies. A node does not apply what it sends: it waits until it *receives* it, like
everybody else's.

**Sent twice, taken once.** A batch has a number that its node counts. One whose answer was lost is sent again under the
same number, however often; Redis remembers the last one it took of each node.

**What Redis forgets.** Its replication is asynchronous, and its file may be behind: after a fail-over or a crash the
last entries may be gone, and others may come to stand in their places. Every entry therefore names the one before it.
A node that has applied an entry which the line does not hold any more finds out (`receive`, `holds`) and raises
`LogForked`: its state is of a line that is no more, and is to be built anew, under a new epoch (`renew`). Where the
line itself is gone (`LogGone`) nothing is begun in its place by itself.

All calls block; they are for worker threads. `send`, `receive` and the rest may be called from one thread each.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar
from zlib import crc32

from redis import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from tesseract_grpc.engine.data.commit_log import (
    Durability,
    LogDamaged,
    LogFailed,
    LogForked,
    LogGone,
    LogTrimmed,
    SharedEntry,
    SnapshotInfo,
    StoredSnapshot,
)
from tesseract_grpc.store import redis_scripts as scripts
from tesseract_grpc.store.redis_keys import FORMAT, Keys
from tesseract_grpc.store.redis_source import RedisSettings, RedisSource

_PAGE = 500
"""Entries that are read at once."""
_KEPT = 2
"""So many snapshots are kept at least."""
_NAMES = 100_000
"""Of so many entries that were read last the names are known."""
_UNFINISHED_SECONDS = 600
"""After this time without a piece, a snapshot that was never kept is forgotten."""


def life_of(node: str) -> str:
    """A name for a node until it opens the log again: batches are counted anew then, and what was sent under the name
    before may still be on its way."""
    return f"{node}.{secrets.token_hex(4)}"


@dataclass(slots=True)
class Line:
    """The line of entries, as it was found."""

    epoch: str
    secret: bytes
    last: int
    since: int
    tip: str


class RedisLog:
    """The entries of one hub in Redis, for one node."""

    shared: ClassVar[bool] = True
    durability = Durability.NORMAL
    cut = 0

    def __init__(self, settings: RedisSettings, hub: str, node: str) -> None:
        """Finds the line, or makes it. `node` is a name that nobody had before, see `life_of`. Raises LogFailed,
        LogDamaged."""
        self.node = node
        self.newest_snapshot: SnapshotInfo | None = None
        """The newest snapshot that this node knows of; `snapshots` asks."""
        self.bytes = 0
        """What entries and snapshots take, as far as this node knows."""
        self._names: dict[int, str] = {}
        self.keys = Keys(hub)
        self._sending = RedisSource(settings, self.keys.log)
        self._receiving = RedisSource(settings, self.keys.log)
        self._others = RedisSource(settings, self.keys.log)
        self.line = self._begin()
        self.snapshots()

    def _begin(self) -> Line:
        epoch, secret = secrets.token_hex(8), secrets.token_hex(32)
        with _asking(self._others) as redis:
            found = scripts.BEGIN(redis, [self.keys.line], FORMAT, epoch, secret)
        written, epoch, secret, last, since, tip = (each.decode() for each in found)
        if int(written) > FORMAT:
            raise LogDamaged(
                f"the data in Redis are of format {written}, this program reads up to {FORMAT}: use a newer one"
            )
        return Line(epoch, bytes.fromhex(secret), int(last), int(since), tip)

    @property
    def epoch(self) -> str:
        """The identity of the line that this node follows."""
        return self.line.epoch

    @property
    def secret(self) -> bytes:
        """What signs the tokens of the line; all nodes have the same."""
        return self.line.secret

    @property
    def since(self) -> int:
        """The position after which entries can be read."""
        return self.line.since

    @property
    def last(self) -> int:
        """The position of the newest entry that this node has heard of."""
        return self.line.last

    @property
    def durable(self) -> int:
        """The same: an entry that was heard of is in Redis."""
        return self.line.last

    # Entries

    def send(self, number: int, batch: Sequence[tuple[int, bytes]]) -> int:
        """Appends a batch of (kind, payload); returns the position of its last entry, or of a later one when it had
        been taken before. `number` rises by one from batch to batch, and stays when one is sent again. O(bytes).

        Raises LogFailed (it may have been taken or not: send it again), LogForked, LogGone.
        """
        arguments = [each for entry in batch for each in entry]
        keys = [self.keys.line, self.keys.log, self.keys.sent(self.node)]
        with _asking(self._sending) as redis:
            found = scripts.APPEND(redis, keys, self.epoch, self.node, number, *arguments)
        return int(self._checked(found)[0])

    def acknowledged_by(self, replicas: int, seconds: float) -> int:
        """Waits until so many replicas have what was sent, at most some seconds; returns how many have. Raises
        LogFailed."""
        with _asking(self._sending) as redis:
            return int(redis.wait(replicas, max(1, round(seconds * 1000))))

    def receive(self, after: int, tip: str, seconds: float) -> list[SharedEntry]:
        """The entries after the one that was applied last, by its position and name; waits for some for a while.

        Raises LogFailed, LogForked, LogGone, LogTrimmed, LogDamaged.
        """
        with _asking(self._receiving) as redis:
            streams: Any = {self.keys.log: f"{after}-0"}
            patience = min(seconds, self._receiving.settings.timeout / 2)  # or the connection would take it for silence
            found: Any = redis.xread(streams, count=_PAGE, block=max(1, round(patience * 1000)))
        if not found:
            self.holds(after, tip)
            return []
        return list(self._entries(found[0][1], after, tip))

    def read(self, after: int, tip: str | None = None) -> Iterator[SharedEntry]:
        """All entries after a position that are there now. Raises as `receive`."""
        last = after
        while True:
            with _asking(self._receiving) as redis:
                rows: Any = redis.xrange(self.keys.log, min=f"{last + 1}-0", count=_PAGE)
            if not rows:
                return
            for shared in self._entries(rows, last, tip):
                last, tip = shared.position, shared.name
                yield shared

    def _entries(self, rows: Any, after: int, tip: str | None) -> Iterator[SharedEntry]:
        for name, fields in rows:
            shared = _decoded(name, fields)
            position = shared.position
            if position != after + 1:
                raise LogTrimmed(f"the entries after {after} are forgotten; the first that is there is {position}")
            if tip is not None and shared.before != tip:
                message = (
                    f"the entry {position} follows {shared.before or 'nothing'!r}, and {tip or 'nothing'!r} was applied"
                )
                raise LogForked(message, self.epoch, position)
            self._names[position] = shared.name
            self._names.pop(position - _NAMES, None)
            self.line.last = max(self.line.last, position)
            yield shared
            after, tip = position, shared.name

    def name_of(self, position: int) -> str:
        """The name of an entry that was read not long ago, or of that of a snapshot; empty for position 0. Raises
        LogFailed."""
        found = "" if not position else self._names.get(position)
        for info, about in self.snapshots() if found is None else ():
            if info.position == position:
                found = str(about["tip"])
        if found is None:
            raise LogFailed(f"the entry {position} is too old to be named")
        return found

    def holds(self, position: int, tip: str) -> int:
        """Makes sure that the line still holds an entry that was applied; returns the position of its last. O(1).

        Raises LogFailed, LogForked, LogGone."""
        with _asking(self._receiving) as redis:
            found = scripts.HOLDS(redis, [self.keys.line, self.keys.log], self.epoch, position, tip)
        return int(self._checked(found)[0])

    def renew(self) -> str:
        """Begins a new epoch over the entries that are there, unless another node has; returns it. Raises LogFailed,
        LogGone."""
        fresh = secrets.token_hex(8)
        with _asking(self._others) as redis:
            found = scripts.RENEW(redis, [self.keys.line], self.epoch, fresh)
        if found[0] == b"GONE":
            raise self._gone()
        self.line = self._begin()
        return self.line.epoch

    def _checked(self, found: list[Any]) -> list[Any]:
        """What a script answered after its first word. Raises LogForked, LogGone."""
        word = found[0].decode()
        if word in ("OK", "TRIMMED"):
            return found[1:]
        if word == "GONE":
            raise self._gone()
        if word == "EPOCH":
            raise LogForked("another node has begun a new epoch", found[1].decode(), 0)
        raise LogForked("Redis has lost entries that were applied here", self.epoch, int(found[1]))

    def _gone(self) -> LogGone:
        return LogGone(
            f"there is no log of hub '{self.keys.hub}' at {self._others.settings.shown} any more: it was flushed, or"
            " this is another Redis"
        )

    # Snapshots

    def begin_snapshot(self) -> RedisSnapshotWriter:
        """A new snapshot, which is kept as a whole or not at all."""
        return RedisSnapshotWriter(self)

    def snapshots(self) -> list[tuple[SnapshotInfo, dict[str, Any]]]:
        """The snapshots that are kept, the oldest first. Raises LogFailed."""
        with _asking(self._others) as redis:
            rows: Any = redis.zrange(self.keys.snapshots, 0, -1, withscores=True)
        found = [(json.loads(text), int(position)) for text, position in rows]
        kept = [(SnapshotInfo(position, info["time"], info["bytes"]), info) for info, position in found]
        self.newest_snapshot = kept[-1][0] if kept else None
        return kept

    def load_snapshot(self, at_most: int | None = None) -> StoredSnapshot | None:
        """The newest snapshot that is whole, at or before a position if there is such a one. None when there is none,
        and all entries are there. Raises LogFailed, LogDamaged."""
        kept = self.snapshots()
        if at_most is not None and not self.line.since and all(info.position > at_most for info, _ in kept):
            return None
        fitting = [each for each in kept if at_most is None or each[0].position <= at_most] or kept[:1]
        for info, about in reversed(fitting):
            if self._is_whole(about):
                return StoredSnapshot(info.position, self._pieces(about))
        if self.line.since:
            raise LogDamaged("no snapshot in Redis is whole, and the entries before them are forgotten")
        return None

    def _is_whole(self, about: dict[str, Any]) -> bool:
        with _asking(self._others) as redis:
            there: Any = redis.llen(self.keys.snapshot(about["name"]))
        return bool(int(there) == about["pieces"])

    def _pieces(self, about: dict[str, Any]) -> Iterator[bytes]:
        check = 0
        for index in range(about["pieces"]):
            with _asking(self._others) as redis:
                piece: Any = redis.lindex(self.keys.snapshot(about["name"]), index)
            if piece is None:
                raise LogDamaged(f"a piece of the snapshot {about['name']} was taken away while it was read")
            check = crc32(piece, check)
            yield piece
        if check != about["check"]:
            raise LogDamaged(f"the snapshot {about['name']} is damaged")

    def trim(self, position: int) -> None:
        """Forgets what nobody needs who asks for the states at `position` and later. Raises LogFailed."""
        kept = self.snapshots()
        older = [index for index, (info, _) in enumerate(kept) if info.position <= position]
        if not older or len(kept) < _KEPT:
            return
        first = min(older[-1], len(kept) - _KEPT)
        gone, since = [about for _, about in kept[:first]], kept[first][0].position
        keys = [
            self.keys.line,
            self.keys.log,
            self.keys.snapshots,
            *(self.keys.snapshot(each["name"]) for each in gone),
        ]
        with _asking(self._others) as redis:
            found = scripts.TRIM(redis, keys, self.epoch, since, *(_text(each) for each in gone))
        try:
            self._checked(found)
        except (LogForked, LogGone) as error:
            raise LogFailed(str(error)) from error
        self.line.since = since

    # Who does what only one may do

    def take(self, what: str, seconds: float) -> bool:
        """Takes or prolongs a lease; says whether this node has it. Raises LogFailed."""
        with _asking(self._others) as redis:
            found = scripts.TAKE(redis, [self.keys.lease(what)], self.node, round(seconds * 1000))
        return bool(found[0] == b"OK")

    def release(self, what: str) -> None:
        """Gives a lease back. Raises LogFailed."""
        with _asking(self._others) as redis:
            scripts.RELEASE(redis, [self.keys.lease(what)], self.node)

    def say(self, about: dict[str, Any], seconds: float) -> None:
        """What this node says of itself, for so long. Raises LogFailed."""
        with _asking(self._others) as redis:
            redis.set(self.keys.node(self.node), json.dumps(about), px=round(seconds * 1000))

    def nodes(self) -> dict[str, dict[str, Any]]:
        """What the nodes say that are there. O(keys of the server). Raises LogFailed."""
        with _asking(self._others) as redis:
            names = sorted(redis.scan_iter(match=self.keys.nodes, count=1000))
            texts: Any = redis.mget(names) if names else []
        prefix = len(self.keys.node(""))
        return {
            name.decode()[prefix:]: json.loads(text)
            for name, text in zip(names, texts, strict=True)
            if text is not None
        }

    def close(self) -> None:
        """Lets go of every connection; who waits in `receive` gets LogFailed."""
        for source in (self._sending, self._receiving, self._others):
            source.close()


class RedisSnapshotWriter:
    """A snapshot that is being written."""

    def __init__(self, log: RedisLog) -> None:
        self._log = log
        self._name = f"{log.node}-{secrets.token_hex(4)}"
        self._key = log.keys.snapshot(self._name)
        self._pieces = self._bytes = self._check = 0

    def add(self, piece: bytes) -> None:
        """Takes a piece of at least one byte. Raises LogFailed; then the snapshot can only be discarded."""
        with _asking(self._log._others) as redis:
            length: Any = redis.rpush(self._key, piece)
            redis.expire(self._key, _UNFINISHED_SECONDS)
        self._pieces += 1
        if length != self._pieces:
            raise LogFailed("Redis has lost pieces of a snapshot that was being written")
        self._bytes += len(piece)
        self._check = crc32(piece, self._check)

    def keep(self, position: int) -> None:
        """Keeps all of it as the state after an entry, unless the line does not hold that any more. Raises LogFailed,
        also for that."""
        tip = self._log.name_of(position)
        info = SnapshotInfo(position, time.time(), self._bytes)
        about = {"name": self._name, "tip": tip, "pieces": self._pieces, "check": self._check}
        text = _text({**about, "time": info.time, "bytes": info.bytes})
        keys = self._log.keys
        names = [keys.line, keys.log, keys.snapshots, self._key]
        with _asking(self._log._others) as redis:
            found = scripts.KEEP(redis, names, self._log.epoch, position, tip, text)
        try:
            self._log._checked(found)
        except (LogForked, LogGone) as error:
            raise LogFailed(f"a snapshot is of no use any more: {error}") from error
        self._log.newest_snapshot = info

    def discard(self) -> None:
        """Keeps nothing of it."""
        try:
            with _asking(self._log._others) as redis:
                redis.unlink(self._key)
        except LogFailed:  # it goes by itself
            return


@contextmanager
def _asking(source: RedisSource) -> Iterator[Redis]:
    """Says in the words of logs what goes wrong, and asks for the primary anew."""
    try:
        yield source.primary()
    except (RedisError, OSError) as error:
        source.forget()
        raise LogFailed(_reason(error, source.settings.shown)) from error


def _reason(error: Exception, where: str) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, OutOfMemoryError):
        return f"Redis at {where} has reached its memory limit"
    return f"Redis at {where} does not do it: {text}"


def _decoded(name: bytes, fields: Any) -> SharedEntry:
    try:
        position, _, rest = name.partition(b"-")
        if rest != b"0":
            raise ValueError(name)
        kind, whose, before = int(fields[b"k"]), fields[b"o"].decode(), fields[b"a"].decode()
        return SharedEntry(int(position), kind, bytes(fields[b"p"]), whose, before)
    except (KeyError, ValueError, TypeError) as error:
        raise LogDamaged(f"the entry {name!r} in Redis is none that this program knows: {error}") from error


def _text(about: dict[str, Any]) -> str:
    return json.dumps(about, sort_keys=True)
