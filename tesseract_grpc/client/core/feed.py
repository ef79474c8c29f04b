"""One watch stream as a pure state machine: responses in, events out.

    opening --Begin--> loading --SnapshotRows*, SnapshotEnd--> live --Changes, Progress, Lagged--> live
                                                               live --SessionChanged--> live, Changes must follow
                                                               live --Reset--> opening
    opening --Begin (resumed, or a table watch without snapshot)--> live
    opening --Begin (a table watch whose token is refused)--> refused --Reset--> opening

A token that cannot be resumed is answered by Begin, Reset and Begin again, as every Reset is followed by Begin.

The feed trusts nothing. Every response must begin at the version where the one before ended, pieces must follow one
another without a hole, and a message must be one that its state allows. Whatever else happens raises `StreamBroken`,
and the watch starts again with a new feed: a mirror is then late, but never wrong.

What outlives a stream is its `Bookmark`. It is moved at consistent points only, so its token always stands for exactly
the rows that the reader has: a resumed stream neither repeats nor leaves out a change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tesseract_grpc._proto.tesseract.v1 import change_pb2, session_service_pb2, table_service_pb2

from .batch import Block, decode
from .events import (
    Delta,
    Edited,
    Event,
    Gap,
    Interrupted,
    Lagged,
    Notice,
    Placed,
    Progress,
    Removed,
    Resumed,
    Snapshot,
    Updated,
)
from .rows import Row, Rows
from .schema import Schema

Response: TypeAlias = "session_service_pb2.WatchSessionResponse | table_service_pb2.WatchTableResponse"

DEFAULT_PROGRESS_SECONDS = 5.0
"""What is assumed when Begin does not say how often Progress comes."""


class StreamBroken(Exception):
    """The stream cannot be trusted any more. `reason` is one word, for the snapshot that will heal it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(slots=True)
class Bookmark:
    """Where a watch is, over all its streams: the last consistent point, and the token that leads back to it."""

    epoch: str = ""
    version: int = 0
    began: bool = False
    schema: Schema = field(default_factory=lambda: Schema.of(()))
    """The columns of the rows at that point."""
    watch_id: str = ""
    """The server's name for the present stream."""
    _token: bytes = b""
    _token_version: int = 0

    @property
    def token(self) -> bytes:
        """What to resume with; empty when the server gave no token for exactly this point. A token of an earlier one
        would repeat changes that the reader has."""
        return self._token if self._token_version == self.version else b""

    def move(self, version: int, token: bytes) -> None:
        """A consistent point was reached."""
        self.version = version
        if token:
            self._token, self._token_version = token, version

    def forget(self) -> None:
        """The next stream begins with a snapshot: the token was refused, or the rows are in doubt."""
        self._token = b""


@dataclass(slots=True)
class Feed:
    """One stream. `reason` says why it was opened; `bookmark` outlives it."""

    bookmark: Bookmark
    reason: str = "first"
    snapshot: bool = True
    """Whether a snapshot comes after Begin, unless the stream is resumed."""
    dicts: bool = False
    """Whether the rows of a snapshot will be wanted as dicts: then they are made piece by piece as they come, and not
    all at the end, when a large snapshot would hold everybody else up."""
    resuming: bool = False
    """Whether the server was given a token."""
    state: str = "opening"
    progress_seconds: float = DEFAULT_PROGRESS_SECONDS
    schema: Schema = field(default_factory=lambda: Schema.of(()))
    version: int = 0
    _snapshot_version: int | None = None
    _blocks: list[Block] = field(default_factory=list)
    _loaded: int = 0
    _made: list[Row] = field(default_factory=list)
    _pieces: list[change_pb2.Changes] = field(default_factory=list)
    _pieces_version: int = 0
    _skipped: int = 0
    _edited: Edited | None = None

    def receive(self, response: Response) -> Event | Notice | None:
        """Takes one response; returns an event when a consistent point was reached that its reader should see, or what
        is to be told of the stream itself."""
        kind = response.WhichOneof("event")
        if kind is None:  # of a later version of the protocol
            raise StreamBroken("unknown_event", "the server sent an event that this client does not know")
        if (self._pieces or self._edited) and kind != "changes":
            raise StreamBroken("disorder", f"{kind} came between two pieces of one change")
        taker = _TAKERS[self.state].get(kind)
        if taker is None:
            raise StreamBroken("disorder", f"{kind} is not allowed while the stream is {self.state}")
        if self.state == "live":
            self._check_line(response, kind)
        try:
            event = taker(self, response)
        except (ValueError, KeyError, IndexError) as error:
            raise StreamBroken("malformed", f"{kind} cannot be read: {error}") from error
        if self.state == "live" and not self._pieces and not self._edited:
            self.version, self.bookmark.schema = response.to_version, self.schema
            self.bookmark.move(response.to_version, response.resume_token)
        return event

    def _check_line(self, response: Response, kind: str) -> None:
        if response.from_version != self.version:
            raise StreamBroken("gap", f"{kind} begins at version {response.from_version} and not at {self.version}")
        if response.to_version < response.from_version:
            raise StreamBroken("disorder", f"{kind} goes back to version {response.to_version}")
        if (self._pieces or self._edited) and response.to_version != self._pieces_version:
            message = f"a piece of a change is of version {response.to_version} and not {self._pieces_version}"
            raise StreamBroken("disorder", message)

    def _begin(self, response: Response) -> Event | Notice | None:
        begin = response.begin
        self.schema = Schema.of(begin.columns)
        if not self.schema.key:
            raise StreamBroken("malformed", "no column is marked as key")
        if begin.progress_interval_ms:
            self.progress_seconds = begin.progress_interval_ms / 1000
        before = Bookmark(self.bookmark.epoch, self.bookmark.version, self.bookmark.began, self.bookmark.schema)
        if begin.resumed:
            self._check_resumed(response, before)
        elif self.resuming and not self.snapshot:
            self.state = "refused"  # what was lost, and why, is known with the Reset and the Begin that follow
            return None
        self.bookmark.epoch, self.bookmark.began, self.bookmark.watch_id = begin.epoch, True, begin.watch_id
        if begin.resumed:
            self.state = "live"
            return Resumed(response.to_version)
        if self.snapshot:
            self.state, self._snapshot_version, self._blocks, self._loaded, self._made = "loading", None, [], 0, []
            return None
        self.state = "live"
        if not before.began or (before.epoch == begin.epoch and before.version == response.to_version):
            return None
        same_line = before.epoch == begin.epoch
        return Gap(before.version if same_line else 0, response.to_version, self.reason)

    def _check_resumed(self, response: Response, before: Bookmark) -> None:
        """A resumed stream goes on from the very rows that the reader has, or it is not to be trusted."""
        if not self.resuming:
            raise StreamBroken("disorder", "the server resumed a stream that gave no token")
        if response.begin.epoch != before.epoch or response.to_version != before.version:
            message = f"the server resumed at version {response.to_version} and not at {before.version}"
            raise StreamBroken("disorder", message)
        if (list(self.schema.types.items()), self.schema.key) != (list(before.schema.types.items()), before.schema.key):
            raise StreamBroken("disorder", "the server resumed with other columns")

    def _snapshot_rows(self, response: Response) -> None:
        self._same_snapshot(response)
        piece = response.snapshot_rows
        if piece.start_index != self._loaded:
            raise StreamBroken("gap", f"a piece of the snapshot starts at {piece.start_index} and not {self._loaded}")
        block = decode(piece.rows, self.schema.types)
        self._complete(block)
        self._blocks.append(block)
        self._loaded += len(block)
        if self.dicts:
            self._made += Rows([block], self.schema.types, total_count=0, version=0)

    def _snapshot_end(self, response: Response) -> Snapshot:
        self._same_snapshot(response)
        end = response.snapshot_end
        if end.row_count != self._loaded:
            raise StreamBroken("gap", f"the snapshot has {self._loaded} rows and should have {end.row_count}")
        version = response.to_version
        made = self._made if self.dicts else None
        rows = Rows(self._blocks, self.schema.types, total_count=end.total_count, version=version, dicts=made)
        self._blocks, self._made, self.state = [], [], "live"
        return Snapshot(version, rows, end.total_count, self.bookmark.epoch, self.schema.key, self.reason)

    def _same_snapshot(self, response: Response) -> None:
        if self._snapshot_version is None:
            self._snapshot_version = response.to_version
        if response.to_version != self._snapshot_version:
            message = f"a piece of the snapshot is of version {response.to_version} and not {self._snapshot_version}"
            raise StreamBroken("disorder", message)

    def _changes(self, response: Response) -> Delta | None:
        self._pieces.append(response.changes)
        self._pieces_version = response.to_version
        if response.continued:
            return None
        return self._joined(response.from_version, response.to_version)

    def flush(self, from_version: int, to_version: int) -> Delta | None:
        """Ends a change whose last piece did not say so, because more came after it: see `joint_feed`."""
        if not self._pieces and self._edited:
            raise StreamBroken("disorder", "the session was edited and no change follows")
        if self._pieces and self._pieces_version != to_version:
            raise StreamBroken("disorder", f"a change to {self._pieces_version} is told with others to {to_version}")
        found = self._joined(from_version, to_version) if self._pieces else None
        self.version, self.bookmark.schema = to_version, self.schema
        self.bookmark.move(to_version, b"")
        return found

    def _joined(self, from_version: int, to_version: int) -> Delta:
        """The pieces that have come as one change."""
        pieces, self._pieces = self._pieces, []
        skipped, self._skipped = self._skipped, 0
        edited, self._edited = self._edited, None
        return Delta(
            from_version,
            to_version,
            pieces[-1].total_count,
            self.schema.key,
            tuple(self._removed(removes) for piece in pieces for removes in piece.removes if removes.keys.row_count),
            tuple(self._updated(updates) for piece in pieces for updates in piece.updates if updates.rows.row_count),
            tuple(self._moved(piece.moves) for piece in pieces if piece.moves.keys.row_count),
            tuple(self._inserted(piece.inserts) for piece in pieces if piece.inserts.rows.row_count),
            skipped,
            edited,
        )

    def _progress(self, response: Response) -> Progress:
        return Progress(response.to_version, response.progress.digest)

    def _lagged(self, response: Response) -> Lagged:
        self._skipped += response.lagged.skipped_commits
        return Lagged(response.to_version, response.lagged.skipped_commits)

    def _reset(self, response: Response) -> Interrupted:
        self.reason = _word(change_pb2.ResetReason, "RESET_REASON_", response.reset.reason)
        self.state, self.resuming = "opening", False
        self.bookmark.forget()
        return Interrupted(self.reason, response.reset.message, self.bookmark.version, resumes=False)

    def _session_changed(self, response: Any) -> None:
        edit = response.session_changed
        self._columns_changed(response, edit.columns, edit.generation, "the session was edited")

    def _table_changed(self, response: Any) -> None:
        self._columns_changed(response, response.table_changed.columns, 0, "the table was altered")

    def _columns_changed(self, response: Any, columns: Any, generation: int, what: str) -> None:
        """Rows have other columns from here on; the change that follows is told with this."""
        if not response.continued:
            raise StreamBroken("disorder", f"{what} and no change follows")
        before, self.schema = self.schema, Schema.of(columns)
        types = self.schema.types
        if set(self.schema.key) != set(before.key) or any(types[name] != before.types[name] for name in before.key):
            raise StreamBroken("definition_changed", f"{what} and its rows are named by other columns")
        kept = frozenset(name for name in types if before.types.get(name) == types[name])
        self._edited = Edited(generation, tuple(types), kept, types)
        self._pieces_version = response.to_version

    def _removed(self, removes: change_pb2.Removes) -> Removed:
        reason = _word(change_pb2.RemoveReason, "REMOVE_REASON_", removes.reason)
        old = decode(removes.old_rows, self.schema.types) if removes.HasField("old_rows") else None
        return Removed(reason, self._keyed(removes.keys), old)

    def _updated(self, updates: change_pb2.Updates) -> Updated:
        old = decode(updates.old_values, self.schema.types) if updates.HasField("old_values") else None
        return Updated(self._keyed(updates.rows), old)

    def _moved(self, moves: change_pb2.Moves) -> Placed:
        return Placed(self._keyed(moves.keys), tuple(moves.indexes))

    def _inserted(self, inserts: change_pb2.Inserts) -> Placed:
        block = self._keyed(inserts.rows)
        self._complete(block)
        return Placed(block, tuple(inserts.indexes))

    def _keyed(self, batch: Any) -> Block:
        block = decode(batch, self.schema.types)
        if unknown := block.columns.keys() - self.schema.types.keys():
            raise ValueError(f"there is no column {min(unknown)!r}")
        missing = [name for name in self.schema.key if name not in block.columns]
        if missing and len(block):
            raise ValueError(f"rows without their key column {missing[0]!r}")
        return block

    def _complete(self, block: Block) -> None:
        if len(block) and block.columns.keys() != self.schema.types.keys():
            wrong = block.columns.keys() ^ self.schema.types.keys()
            raise ValueError(f"complete rows have other columns than the stream: {', '.join(sorted(wrong))}")


def _word(enum: Any, prefix: str, number: int) -> str:
    """The value of an enum in one word; "unknown" for one of a later version."""
    return str(enum.Name(number).removeprefix(prefix).lower()) if number in enum.values() else "unknown"


_Taker = Callable[[Feed, Any], Event | Notice | None]

_TAKERS: dict[str, dict[str, _Taker]] = {
    "opening": {"begin": Feed._begin},
    "refused": {"reset": Feed._reset},
    "loading": {
        "snapshot_rows": Feed._snapshot_rows,
        "snapshot_end": Feed._snapshot_end,
        "reset": Feed._reset,
    },
    "live": {
        "changes": Feed._changes,
        "progress": Feed._progress,
        "lagged": Feed._lagged,
        "reset": Feed._reset,
        "session_changed": Feed._session_changed,
        "table_changed": Feed._table_changed,
    },
}
"""What each state takes."""
