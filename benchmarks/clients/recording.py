"""Streams of a real server, recorded as bytes: a snapshot, and changes of a session in which much happens.

What is played to the clients is what a server says and no imitation of it. One commit after the other is made of a
hundred rows of the result, each by its own message (EVERY_COMMIT):

* half of them change a value that the order does not depend on;
* 30 change the price by which the rows are sorted, and move;
* 8 leave because of the filter and 8 come because of it;
* 2 are deleted and 2 are new.

A recording is a file, for it is played by another process: a line of JSON, and the messages behind one another.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import grpc

from benchmarks.wire.server import ServerProcess
from benchmarks.workload import Settings
from tesseract_grpc._proto.tesseract.v1 import change_pb2, hub_service_pb2, session_service_pb2
from tesseract_grpc._proto.tesseract.v1.hub_service_pb2_grpc import HubServiceStub
from tesseract_grpc._proto.tesseract.v1.session_service_pb2_grpc import SessionServiceStub
from tesseract_grpc.client import EventHorizon, Tesseract, WriteBatch

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "symbol", "type": "string"},
    {"name": "side", "type": "string"},
    {"name": "price", "type": "float64"},
    {"name": "qty", "type": "int64"},
    {"name": "ts", "type": "timestamp"},
    {"name": "trader", "type": "string"},
    {"name": "active", "type": "bool"},
]
START = 1_700_000_000_000_000
"""Microseconds since 1970 of row 0."""

SNAPSHOT, FOLD = "bench_snapshot", "bench_fold"
SNAPSHOT_ROWS, FOLD_ROWS, COMMITS = 100_000, 20_000, 2_000
LIMIT = 250.0
"""The session of the changes shows the rows that are cheaper: a quarter."""

WATCH = "/tesseract.v1.SessionService/WatchSession"


def row(i: int) -> dict[str, Any]:
    """The row with this id, as clients/BENCH.md defines it."""
    return {
        "id": i,
        "symbol": f"S{i % 1000}",
        "side": "sell" if i % 2 else "buy",
        "price": i * 7919 % 100_000 / 100,
        "qty": i % 1000 + 1,
        "ts": moment(i),
        "trader": f"T{i % 200}",
        "active": i % 3 == 0,
    }


def moment(i: int) -> str:
    """The time of a row, as a text."""
    seconds, micros = divmod(START + i, 1_000_000)
    hours, rest = divmod(seconds - 1_699_999_200, 3600)  # 2023-11-14T22:00:00Z
    return f"2023-11-14T{22 + hours:02}:{rest // 60:02}:{rest % 60:02}.{micros:06}Z"


@dataclass(frozen=True, slots=True)
class Recording:
    """One watch, and what a client must hold at its end."""

    session: bytes
    """What GetSession answers."""
    messages: tuple[bytes, ...]
    version: int
    """At the end."""
    rows: int
    digest: str
    changed_rows: int
    """How many rows the changes name, each once a message."""


@dataclass(frozen=True, slots=True)
class Recordings:
    """What a server of recordings says: watches by session, and who it is."""

    server_info: bytes
    watches: dict[str, Recording]

    def save(self, path: Path) -> None:
        """Writes them to a file."""
        parts = [self.server_info]
        head: dict[str, Any] = {"server_info": len(self.server_info), "watches": {}}
        for name, watch in self.watches.items():
            sizes = [len(message) for message in watch.messages]
            words = {"version": watch.version, "rows": watch.rows, "digest": watch.digest}
            head["watches"][name] = {
                **words, "changed_rows": watch.changed_rows, "session": len(watch.session), "sizes": sizes
            }  # fmt: skip
            parts += [watch.session, *watch.messages]
        path.write_bytes(json.dumps(head).encode() + b"\n" + b"".join(parts))

    @classmethod
    def load(cls, path: Path) -> Recordings:
        """Reads them from a file."""
        with path.open("rb") as file:
            head = json.loads(file.readline())
            info, watches = file.read(head["server_info"]), {}
            for name, words in head["watches"].items():
                session, sizes = file.read(words.pop("session")), words.pop("sizes")
                watches[name] = Recording(session, tuple(file.read(size) for size in sizes), **words)
        return cls(info, watches)


def record(settings: Settings) -> Recordings:
    """Asks a real server for a snapshot, and for a stream of changes."""
    with (
        ServerProcess("--log-level", "warning") as server,
        EventHorizon.connect(server.address) as hub,
        grpc.insecure_channel(server.address) as channel,
    ):
        info = HubServiceStub(channel).GetServerInfo(hub_service_pb2.GetServerInfoRequest())
        watches = {
            SNAPSHOT: _snapshot(hub, channel, settings.scaled(SNAPSHOT_ROWS, least=1_000)),
            FOLD: _changes(hub, channel, settings),
        }
    return Recordings(info.SerializeToString(), watches)


def _snapshot(hub: EventHorizon, channel: grpc.Channel, rows: int) -> Recording:
    table = hub.create_tesseract(SNAPSHOT, COLUMNS)
    _fill(table, rows)
    hub.create_session(SNAPSHOT, table=table)
    stream = _Stream(channel, SNAPSHOT)
    stream.read_snapshot()
    return stream.close()


def _changes(hub: EventHorizon, channel: grpc.Channel, settings: Settings) -> Recording:
    table = hub.create_tesseract(FOLD, COLUMNS)
    rows = settings.scaled(FOLD_ROWS, least=2_000)
    _fill(table, rows)
    hub.create_session(FOLD, table=table, filter=f"price < {LIMIT}", sort=[{"field": "price", "direction": "desc"}])
    stream = _Stream(channel, FOLD)
    stream.read_snapshot()
    commits = settings.scaled(COMMITS, least=20)
    with hub.write_stream() as writing:
        for commit in islice(_commits(table, rows, settings.seed), commits):
            writing.write(commit)
    stream.read_changes(commits)
    return stream.close()


def _fill(table: Tesseract, rows: int) -> None:
    for start in range(0, rows, 10_000):
        table.add([row(i) for i in range(start, min(start + 10_000, rows))])


def _commits(table: Tesseract, rows: int, seed: int) -> Iterator[WriteBatch]:
    """Commits of a hundred rows that the session shows, or comes to show."""
    choose = random.Random(seed)
    inside = [i for i in range(rows) if row(i)["price"] < LIMIT]
    outside = [i for i in range(rows) if row(i)["price"] >= LIMIT]
    new = rows
    while True:
        choose.shuffle(inside)
        bought, priced, leave, gone = inside[:50], inside[50:80], inside[80:88], inside[88:90]
        come = [outside.pop(choose.randrange(len(outside))) for _ in range(8)]
        fresh = [new, new + 1]
        new += 2
        yield (
            WriteBatch()
            .update(table, [{"id": i, "qty": choose.randint(1, 1000)} for i in bought])
            .update(table, [{"id": i, "price": choose.uniform(0, LIMIT)} for i in priced + come])
            .update(table, [{"id": i, "price": choose.uniform(500, 1000)} for i in leave])
            .remove(table, gone)
            .add(table, [{**row(i), "price": choose.uniform(0, LIMIT)} for i in fresh])
        )
        inside = [*inside[:80], *inside[90:], *come, *fresh]
        outside += leave


class _Stream:
    """A watch that keeps the bytes of its messages."""

    def __init__(self, channel: grpc.Channel, session: str) -> None:
        self._channel, self._name = channel, session
        self._call = self._watch(delivery=change_pb2.DELIVERY_EVERY_COMMIT)
        self._messages: list[bytes] = []
        self._changed = 0
        self._version = 0

    def _watch(self, **words: Any) -> Any:
        request = session_service_pb2.WatchSessionRequest(name=self._name, **words)
        method: Any = self._channel.unary_stream(WATCH)  # of bytes, in both directions
        return method(request.SerializeToString())

    def _read(self) -> session_service_pb2.WatchSessionResponse:
        message: bytes = next(self._call)
        response = session_service_pb2.WatchSessionResponse.FromString(message)
        if not response.HasField("progress"):
            self._messages.append(message)
            self._version = response.to_version
        return response

    def read_snapshot(self) -> None:
        while not self._read().HasField("snapshot_end"):
            pass

    def read_changes(self, commits: int) -> None:
        while commits:
            response = self._read()
            if response.HasField("changes"):
                commits -= not response.continued
                self._changed += _named(response.changes)
            elif not response.HasField("progress"):
                raise RuntimeError(f"the server said {response.WhichOneof('event')}")

    def close(self) -> Recording:
        """What was recorded, with what the server says that a client holds now."""
        self._call.cancel()
        asked = session_service_pb2.GetSessionRequest(name=self._name)
        session = SessionServiceStub(self._channel).GetSession(asked).SerializeToString()
        rows, digest = self._truth()
        return Recording(session, tuple(self._messages), self._version, rows, digest.hex(), self._changed)

    def _truth(self) -> tuple[int, bytes]:
        """The number of rows and their digest at the version of the last message."""
        call, rows = self._watch(include_digest=True), 0
        for message in call:
            response = session_service_pb2.WatchSessionResponse.FromString(message)
            rows += response.snapshot_rows.rows.row_count
            if response.HasField("begin"):
                watch_id = response.begin.watch_id
            elif response.HasField("snapshot_end"):
                HubServiceStub(self._channel).RequestProgress(hub_service_pb2.RequestProgressRequest(watch_id=watch_id))
            elif response.progress.digest:
                break
        call.cancel()
        if response.to_version != self._version:
            raise RuntimeError(
                f"the recording ends at version {self._version}, the session is at {response.to_version}"
            )
        return rows, response.progress.digest


def _named(changes: change_pb2.Changes) -> int:
    """How many rows a message names; one that is updated and moved counts once."""
    gone = sum(removes.keys.row_count for removes in changes.removes)
    updated = {key for updates in changes.updates for key in _ids(updates.rows)}
    return gone + changes.inserts.rows.row_count + len(updated | set(_ids(changes.moves.keys)))


def _ids(rows: Any) -> list[int]:
    return [key for column in rows.columns if column.name == "id" for key in column.int64s.values]
