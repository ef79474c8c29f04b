"""One watch that goes on with its token after every start, and everything that it was ever told.

Responses are taken when a consistent point has come: what came after the last one when the connection broke is dropped,
as the token of that point says nothing of it. So the joined recording is one stream, in which a `Begin` says `resumed`
wherever the connection broke.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import grpc

from tesseract_grpc._proto.tesseract.v1 import (
    change_pb2,
    schema_pb2,
    session_service_pb2,
    session_service_pb2_grpc,
    table_service_pb2,
    table_service_pb2_grpc,
    value_pb2,
)
from tesseract_grpc.testing import Answer, ContractViolation, Mirror, Response, check_stream
from tests import wire
from tests.crash.books import Lost, Past
from tests.crash.outcome import refused
from tests.engine.viewer import same
from tests.oracle.question import Question, Span
from tests.server import wire_asks

Session = session_service_pb2.WatchSessionResponse

TOO_OLD = change_pb2.RESET_REASON_TOO_OLD
HISTORY = 200
"""So many commits back a watch can be resumed; a slow machine may leave one behind further, which begins anew then."""

LOOKED_AT = 3
"""Consistent points of a recording that are compared with the oracle, beside the last."""


class Follower:
    """A reader of a session in a window, or (span None) of a table."""

    def __init__(self, name: str, question: Question, span: Span | None, rng: Random) -> None:
        self.name, self.span, self.rng = name, span, rng
        self.asked = [(0, question)]  # from which version on the session asks what
        self.edited = False
        """Whether its session may have been edited since its last token: then it may be told everything anew."""
        self.interval = rng.choice((0, 0, 20, 100))
        self.mirror = Mirror()
        self.token = b""
        self.recording: list[Response] = []
        self.resumes = self.too_late = 0
        self.broken: BaseException | None = None
        self._pending: list[Response] = []
        self._columns: list[schema_pb2.Column] = []

    @property
    def question(self) -> Question:
        return self.asked[-1][1]

    def truth(self, past: Past, version: int) -> Answer | None:
        """What it must hold at a version."""
        question = [question for begins, question in self.asked if begins <= version][-1]
        return past.truth(version, question, self.span)

    def __repr__(self) -> str:
        return f"the watch of {self.name} ({self.question}) in {self.span}"

    async def run(self, channel: grpc.aio.Channel) -> None:
        """Follows until it is cancelled or the server dies. What it must not be told is kept in `broken`."""
        call = self._open(channel)
        self._pending.clear()
        begun = not self.token
        try:
            async for response in call:
                self._pending.append(response)
                if not begun:
                    begun = self._resumed()
                if self.is_point(response):
                    self._settle(response.resume_token)
        except asyncio.CancelledError:
            call.cancel()
            raise
        except grpc.aio.AioRpcError as error:
            if refused(error):
                self.broken = error
        except Exception as error:
            self.broken = error

    def _open(self, channel: grpc.aio.Channel) -> Any:
        if self.span is None:
            table = table_service_pb2.WatchTableRequest(
                table=self.name, include_snapshot=not self.token, include_old_values=True, resume_token=self.token
            )
            table.min_interval.FromMilliseconds(self.interval)
            return table_service_pb2_grpc.TableServiceStub(channel).WatchTable(table)
        session = wire_asks.watch_of(self.name, self.span, self.interval)
        session.resume_token = self.token
        return session_service_pb2_grpc.SessionServiceStub(channel).WatchSession(session)

    def _resumed(self) -> bool:
        """Looks at how a stream with a token begins; whether enough has come to say."""
        first, *more = self._pending
        if self.edited:
            return True
        if not first.begin.resumed:
            if not more:
                return False  # a Reset follows, which says why
            if more[0].reset.reason == TOO_OLD and first.to_version - self.mirror.version > HISTORY:
                self.too_late += 1
                return True
            raise Lost(f"{self} was not resumed from {self.mirror.version}: {first} {more}")
        if first.to_version != self.mirror.version:
            raise Lost(f"{self} was resumed at {first.to_version}, and its token was of {self.mirror.version}")
        self.resumes += 1
        return True

    def is_point(self, response: Response) -> bool:
        """Whether all of it may be shown. That of a `Begin` is what it was before."""
        return bool(response.resume_token) and response.WhichOneof("event") != "begin"

    def _settle(self, token: bytes) -> None:
        """A consistent point: what came since the last one counts."""
        for response in self._pending:
            self.mirror.apply(response)
            if response.WhichOneof("event") == "begin":
                self._columns = list(response.begin.columns)
            elif isinstance(response, Session) and response.WhichOneof("event") == "session_changed":
                self._columns = list(response.session_changed.columns)
        if not self.mirror.consistent:
            raise Lost(f"{self}: a token where nothing may be shown: {self._pending[-1]}")
        self.recording += self._pending
        self._pending.clear()
        self.token = token

    def at(self, version: int) -> bool:
        return self.broken is not None or (self.mirror.consistent and self.mirror.version >= version)

    def compare(self, past: Past) -> None:
        """The law, at the present version."""
        if self.broken is not None:
            raise Lost(f"{self} broke: {self.broken}") from self.broken
        answer = self.truth(past, self.mirror.version)
        if answer is None:
            raise Lost(f"{self} is at {self.mirror.version}, of which the books know nothing")
        mine, true = list(self.mirror.rows), list(answer.rows)
        if self.span is None:
            mine, true = sorted(mine, key=repr), sorted(true, key=repr)
        same(mine, true, f"at {self.mirror.version} {self}")
        if self.span is not None and self.mirror.total_count != answer.total_count:
            raise Lost(f"{self} counts {self.mirror.total_count}, in truth {answer.total_count}")

    def turn_the_page(self, past: Past) -> Callable[[], None]:
        """Begins a recording that leads to the mirror as it is; returns the judgement of the one until now: all
        promises, with the truth at some versions."""
        recording, self.recording = self.recording, self._as_snapshot()
        points = [response.to_version for response in recording if not response.continued]
        chosen = {*self.rng.sample(points, min(LOOKED_AT, len(points))), *points[-1:]}

        def judge() -> None:
            known = {version: self.truth(past, version) for version in chosen}
            try:
                check_stream(recording, {version: answer for version, answer in known.items() if answer is not None})
            except ContractViolation as error:
                around = recording[max(0, error.index - 3) : error.index + 2]
                raise Lost(f"{self}: {error}; around it: {around}") from error

        return judge

    def _as_snapshot(self) -> list[Response]:
        """A stream that leads to the mirror as it is, for the recording that follows."""
        mirror, of_table = self.mirror, self.span is None
        made: Any = table_service_pb2.WatchTableResponse if of_table else Session
        about = {"to_version": mirror.version} | ({} if of_table else {"generation": mirror.generation})
        types = {c.name: value_pb2.DataType.Name(c.type).removeprefix("DATA_TYPE_").lower() for c in self._columns}
        rows = change_pb2.SnapshotRows(rows=wire.batch(mirror.rows, types))
        end = change_pb2.SnapshotEnd(row_count=len(mirror.rows), total_count=mirror.total_count)
        return [
            made(begin=change_pb2.Begin(epoch=mirror.epoch, columns=self._columns), **about),
            made(snapshot_rows=rows, from_version=mirror.version, continued=True, **about),
            made(snapshot_end=end, from_version=mirror.version, **about),
        ]
