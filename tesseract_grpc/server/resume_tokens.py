"""Resume tokens: what a client holds, in a form that only this hub can have written.

A token says up to which version a client has been told everything, by which clock, and of what: the digest of a
session's definition and of the window, or the version that made a table. What a session shows follows from those, so a
token says nothing of names or of processes, and two clients that hold the same have the same token.

    format 1 · hub 8 · epoch 8 · kind 1 · version 8 · clock 8 · digest 16 · signature 16        (bytes)

Hub and epoch can be read without a key: a token of another hub is refused, and one of an earlier life of this hub leads
to a Reset, which nobody gains anything by. Everything else is believed only when the signature (HMAC-SHA256) is right.
The key is the hub's and outlives the process where the hub does.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias
from weakref import WeakKeyDictionary

from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.query.query import Window
from tesseract_grpc.engine.query.reads import tables_read
from tesseract_grpc.engine.query.rename import renamed
from tesseract_grpc.server.canonical import canonical
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.errors import Refusal, ServerReason
from tesseract_grpc.server.streams.teller import Anew

FORMAT = 1
_HEAD = struct.Struct(">B8s8s")
_BODY = struct.Struct(">BQq16s")
_SIGNATURE = 16
LENGTH = _HEAD.size + _BODY.size + _SIGNATURE


class Kind(IntEnum):
    """What a token is of."""

    SESSION = 1
    TABLE = 2
    SESSIONS = 3


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a stream goes on: the version that the client has, and the clock by which rows were evaluated."""

    version: int
    now_us: int


class TokenMaker:
    """Writes the tokens of what one kind of reader holds: a window of a session as it is defined, or a table."""

    __slots__ = ("__weakref__", "_head", "_key", "_last", "_point", "digest", "kind")

    def __init__(self, head: bytes, key: bytes, kind: Kind, digest: bytes) -> None:
        self.kind = kind
        self.digest = digest
        self._head = head
        self._key = key
        self._point = (-1, -1)
        self._last = b""

    def at(self, version: int, now_us: int) -> bytes:
        """The token of a version. O(1); readers at one version, one after the other, get the very same bytes."""
        if self._point != (version, now_us):
            content = self._head + _BODY.pack(self.kind, version, now_us, self.digest)
            self._last = content + _signature(self._key, content)
            self._point = (version, now_us)
        return self._last


_Makers: TypeAlias = dict[tuple[int, Window], TokenMaker]


class ResumeTokens:
    """Writes and reads the tokens of one hub."""

    def __init__(self, hub: str, epoch: str, key: bytes, made: Callable[[str], int] = lambda table: 0) -> None:
        """`key` has to outlive the process where the hub does. `made` tells the version that made a table."""
        self.before = "the token is of an earlier life of this hub"
        """What is told to who brings a token of another epoch."""
        self._made = made
        self._epoch = _short(epoch)
        self._head = _HEAD.pack(FORMAT, _short(hub), self._epoch)
        self._key = key
        self._sessions: WeakKeyDictionary[Session, _Makers] = WeakKeyDictionary()
        self._definitions: WeakKeyDictionary[Session, tuple[int, bytes]] = WeakKeyDictionary()

    def of_session(self, session: Session, window: Window) -> TokenMaker:
        """Writes tokens for readers of a window of a session as it is defined now. O(definition) the first time."""
        makers = self._sessions.setdefault(session, {})
        maker = makers.get((session.generation, window))
        if maker is None:
            for old in [key for key in makers if key[0] != session.generation or len(makers) > 1_000]:
                del makers[old]  # readers that have one keep it
            digest = hashlib.sha256(self._definition(session) + canonical(window)).digest()[:16]
            maker = makers[session.generation, window] = self._maker(Kind.SESSION, digest)
        return maker

    def of_table(self, table: Relation) -> TokenMaker:
        """Writes tokens for readers of a table. A version has made one table at most, so that says which it is; and its
        columns are what readers hold, which an alteration changes. O(columns)."""
        columns = tuple((each.name, int(each.type), each.primary_key) for each in table.schema.visible)
        return self._maker(Kind.TABLE, hashlib.sha256(canonical((table.create_version, columns))).digest()[:16])

    def of_sessions(self, makers: Sequence[TokenMaker]) -> TokenMaker:
        """Writes tokens for readers of several sessions on one stream, in this order."""
        return self._maker(Kind.SESSIONS, hashlib.sha256(b"".join(maker.digest for maker in makers)).digest()[:16])

    def _maker(self, kind: Kind, digest: bytes) -> TokenMaker:
        return TokenMaker(self._head, self._key, kind, digest)

    def _definition(self, session: Session) -> bytes:
        """A digest of what a session shows: its query as it stands on its own, what always holds beside it, and its
        columns, which may have been found among the values of rows. The tables that it reads stand there as what they
        are and not as what they are called: a token outlives a new name, and is of no use when a name means another."""
        known = self._definitions.get(session)
        if known is None or known[0] != session.generation:
            columns = tuple((column.name, int(column.type), column.primary_key) for column in session.columns)
            tables = {name: f"table {self._made(name)}" for name in tables_read(session.resolved.query)}
            content = canonical((renamed(session.resolved.query, tables), session.permanent, columns))
            known = (session.generation, hashlib.sha256(content).digest())
            self._definitions[session] = known
        return known[1]

    def read(self, token: bytes, maker: TokenMaker) -> ResumePoint | Anew:
        """What a token means for a reader for whom `maker` writes tokens. Raises Refusal: BAD_RESUME_TOKEN. O(1)."""
        if len(token) != LENGTH or token[0] != FORMAT:
            raise _bad("it was not made by this server, or is not whole")
        _, hub, epoch = _HEAD.unpack_from(token)
        if hub != self._head[1:9]:
            raise _bad("it is of another hub")
        if epoch != self._epoch:
            return Anew(twin.change.RESET_REASON_OTHER_EPOCH, self.before)
        content, signature = token[:-_SIGNATURE], token[-_SIGNATURE:]
        if not hmac.compare_digest(signature, _signature(self._key, content)):
            raise _bad("its signature is wrong")
        kind, version, now_us, digest = _BODY.unpack_from(token, _HEAD.size)
        if kind != maker.kind:
            raise _bad("it is of another kind of watch")
        if digest == maker.digest:
            return ResumePoint(version, now_us)
        if kind == Kind.TABLE:
            return Anew(twin.change.RESET_REASON_TABLE_CHANGED, "the table is another one than that of the token")
        message = (
            "the session or its window is not the one of the token: another query, other columns or another window"
        )
        return Anew(twin.change.RESET_REASON_DEFINITION_CHANGED, message)


def too_old(message: str) -> Anew:
    """What the client has cannot be told any more."""
    return Anew(twin.change.RESET_REASON_TOO_OLD, message)


def _short(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:8]


def _signature(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")[:_SIGNATURE]


def _bad(why: str) -> Refusal:
    return Refusal(
        ServerReason.BAD_RESUME_TOKEN,
        f"this resume token cannot be used: {why}",
        field="resume_token",
        hint="watch without a token; the stream then begins with a snapshot",
    )
