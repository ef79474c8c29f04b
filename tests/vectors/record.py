"""Plays the steps of a vector against a real server, over a socket, and writes down what is said and what it means.

The recorder is the client: it reads the stream until the version that a step leads to, so that what is recorded does
not depend on who is quicker. What a client must show is worked out by the literal mirror of `tesseract_grpc.testing`,
and wherever the mirror is at the server's version it is compared with the answer to the same question asked once.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2

from tesseract_grpc._proto.tesseract.v1 import (
    change_pb2,
    hub_service_pb2,
    session_service_pb2,
    table_service_pb2,
)
from tesseract_grpc.server import Server, ServerConfig
from tesseract_grpc.server.log_opening import begin_epochs
from tesseract_grpc.testing import ManualClock, Mirror
from tests.server.support import Api
from tests.vectors.damage import DAMAGES, RESUMES, Damage
from tests.vectors.vector import Json, Stream, Vector, message, plain, shown

PATIENCE = 20.0
START = 1_000.0
OPTIONS = {"listen": "127.0.0.1:0", "drain_timeout": 2.0, "tick_interval": 0.02, "progress_interval": 3_600.0}

_RESTARTS = ("restart", "new_epoch")
spb, pb = session_service_pb2, table_service_pb2


async def recorded(vector: Vector) -> Vector:
    """The vector with what a server says and what a client must make of it."""
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            recorder = Recorder(vector, Path(folder), stack)
            await recorder.play()
            return replace(vector, streams=recorder.streams, expect=recorder.expect())


class Names:
    """What chance decides, by the order in which it is first seen."""

    def __init__(self, word: str) -> None:
        self._word, self._seen = word, dict[Any, str]()

    def __call__(self, found: Any) -> str:
        return self._seen.setdefault(found, f"{self._word}-{len(self._seen) + 1}") if found else ""


class Recorder:
    """One vector being recorded."""

    def __init__(self, vector: Vector, folder: Path, stack: AsyncExitStack) -> None:
        self._vector, self._folder, self._stack = vector, folder, stack
        self._clock = ManualClock(START)
        self._epochs, self._watches, self._tokens = Names("epoch"), Names("watch"), Names("token")
        self._server: Server | None = None
        self._call: Any = None
        self._token = b""
        self._version = 0
        self._watch_id = ""
        self._mirror = Mirror()
        self.streams: list[Stream] = []
        self._shown: list[Json] = []
        self._states: list[str] = []
        self._interrupted: list[Json] = []
        self._error: Json = {}
        self._steps: dict[str, Callable[[Any], Any]] = {
            "write": self._write,
            "update_session": self._edit,
            "alter_table": self._alter,
            "advance": self._advance,
            "progress": self._progress,
            "away": self._away,
            "delete_session": self._delete_session,
            "delete_table": self._delete_table,
            "swap_tables": self._swap,
            "remove_session": self._remove_session,
            "ends": self._ends,
        }

    async def play(self) -> None:
        """Goes through the vector."""
        await self._start()
        for step in self._vector.setup:
            await self._set_up(step)
        await self._watch()
        for step in self._vector.steps:
            before = self._version
            await self._do(step)
            if self._version > before and not self._error:
                await self._quietly_until(self._version)
        self._call.cancel()

    async def _do(self, step: Json) -> None:
        ((kind, what),) = step.items()
        await self._steps[kind](what)

    def expect(self) -> Json:
        """What a client must have shown in the end."""
        found: Json = {"shown": self._shown, "states": self._states, "interrupted": self._interrupted}
        found["version"] = str(self._mirror.version)
        return {**found, **({"error": self._error} if self._error else {})}

    # The server

    async def _start(self) -> None:
        options = {**OPTIONS, **self._vector.server}
        if any(step.get("away", {}).get("how") in _RESTARTS for step in self._vector.steps):
            options |= {"data": self._folder, "durability": "normal"}
        self._config = ServerConfig(**options)
        self._server = await self._stack.enter_async_context(Server(self._config, clock=self._clock))
        channel = await self._stack.enter_async_context(grpc.aio.insecure_channel(self._server.address))
        self._api = Api(channel, self._server.address)

    async def _set_up(self, step: Json) -> None:
        ((kind, what),) = step.items()
        if kind == "create_table":
            created = await self._api.tables.CreateTable(message(pb.CreateTableRequest, what))
            self._version = created.version
        elif kind == "create_session":
            await self._api.sessions.CreateSession(message(spb.CreateSessionRequest, what))
        else:
            self._version = (await self._api.tables.Write(message(pb.WriteRequest, what))).version

    # Streams

    async def _watch(self) -> None:
        self._call_up()
        while not self._mirror.consistent or self._state != "live":
            await self._next()

    def _call_up(self, sent: bytes = b"") -> None:
        """Opens the next stream with the token, or with what is sent in its place."""
        request, said = (message(spb.WatchSessionRequest, self._vector.watch) for _ in range(2))
        request.resume_token, said.resume_token = sent or self._token, self._tokens(self._token).encode()
        self._call = self._api.sessions.WatchSession(request)
        self.streams.append(Stream(plain(said)))

    @property
    def _state(self) -> str:
        return self._states[-1] if self._states else "connecting"

    def _turn(self, state: str) -> None:
        if self._state != state:
            self._states.append(state)

    async def _next(self) -> Any:
        """Reads one response, and writes down what it does."""
        response = await self._read()
        self._tell(response)
        return response

    async def _read(self) -> Any:
        response = await asyncio.wait_for(self._call.read(), PATIENCE)
        assert response is not grpc.aio.EOF, "the stream ended"
        return response

    def _tell(self, response: Any) -> None:
        self._record(response)
        event = response.WhichOneof("event")
        consistent = self._mirror.apply(response)
        if event == "reset":
            name = change_pb2.ResetReason.Name(response.reset.reason).removeprefix("RESET_REASON_").lower()
            self._interrupt(name, resumes=False)
        if event == "begin" and response.begin.resumed:
            assert response.to_version == self._mirror.version
            self._turn("live")
            self._mirror.consistent = True
        if consistent:
            self._version = max(self._version, response.to_version)
            self._token = response.resume_token
            self._turn("live")
            if event in ("snapshot_end", "changes"):
                self._shown.append({"by": event, **shown(self._mirror)})

    def _record(self, response: Any) -> None:
        if response.HasField("begin"):
            self._watch_id = response.begin.watch_id
        self.streams[-1].responses.append(plain(self._canonical(response)))

    def _canonical(self, response: Any) -> Any:
        copy = type(response)()
        copy.CopyFrom(response)
        copy.resume_token = self._tokens(response.resume_token).encode()
        if copy.HasField("begin"):
            copy.begin.epoch, copy.begin.watch_id = self._epochs(copy.begin.epoch), self._watches(copy.begin.watch_id)
            copy.begin.progress_interval_ms = 200 if self._goes_silent else 5_000
        if copy.HasField("progress"):
            copy.progress.ClearField("server_time")
        return copy

    @property
    def _goes_silent(self) -> bool:
        return any(step.get("away", {}).get("how") == "silence" for step in self._vector.steps)

    async def _until(self, version: int) -> None:
        """Reads until everything up to a version was told; asks for Progress, in case nothing is to be told."""
        while self._mirror.version < version or not self._mirror.consistent:
            await self._next()

    async def _quietly_until(self, version: int) -> None:
        """As `_until`, where the commit may not concern the session: then Progress is the answer."""
        reading = asyncio.ensure_future(self._until(version))
        done, _ = await asyncio.wait((reading,), timeout=0.3)
        if not done:
            await self._ask_progress(version)
        await reading

    def _interrupt(self, reason: str, *, resumes: bool) -> None:
        self._interrupted.append({"reason": reason, "version": str(self._mirror.version), "resumes": resumes})
        if self._states:
            self._turn("stale")

    def _leave(self, end: Json, reason: str, *, token: bool = True) -> None:
        self._call.cancel()
        self.streams[-1].end = end
        if not token:
            self._token = b""
        self._interrupt(reason, resumes=bool(self._token))
        self._mirror.consistent = False

    # What happens

    async def _write(self, what: Json) -> None:
        self._version = (await self._api.tables.Write(message(pb.WriteRequest, what))).version

    async def _edit(self, what: Json) -> None:
        self._version = (await self._api.sessions.UpdateSession(message(spb.UpdateSessionRequest, what))).version

    async def _alter(self, what: Json) -> None:
        self._version = (await self._api.tables.AlterTable(message(pb.AlterTableRequest, what))).version

    async def _swap(self, what: Json) -> None:
        self._version = (await self._api.tables.SwapTables(message(pb.SwapTablesRequest, what))).version

    async def _remove_session(self, _: Any) -> None:
        await self._api.sessions.DeleteSession(spb.DeleteSessionRequest(name=self._vector.name))

    async def _ends(self, step: Json) -> None:
        """What a step leads to is the end of the stream."""
        await self._do(step)
        await self._end()

    async def _advance(self, seconds: float) -> None:
        assert self._server is not None
        hub, until = self._server.hubs["default"], int((self._clock.advance(seconds)) * 1_000_000)
        while hub.now < until:  # noqa: ASYNC110 (the hub tells nobody)
            await asyncio.sleep(0.01)
        self._version = hub.version

    async def _progress(self, _: Any) -> None:
        await self._ask_progress(self._version)
        while (await self._next()).WhichOneof("event") != "progress":
            pass

    async def _ask_progress(self, version: int) -> None:
        request = hub_service_pb2.RequestProgressRequest(watch_id=self._watch_id, min_version=version)
        await self._api.hubs.RequestProgress(request)

    async def _delete_session(self, _: Any) -> None:
        await self._api.sessions.DeleteSession(spb.DeleteSessionRequest(name=self._vector.name))
        await self._end()

    async def _delete_table(self, name: str) -> None:
        await self._api.tables.DeleteTable(pb.DeleteTableRequest(name=name))
        await self._end()

    async def _end(self) -> None:
        """The stream ends with an error, which the client must show."""
        try:
            while True:
                await self._next()
        except grpc.aio.AioRpcError as error:
            self.streams[-1].end, self._error = status_of(error)
        self._turn("ended")

    async def _away(self, what: Json) -> None:
        """The client is away for some steps: because of the network, the server, or of what it was told."""
        how, meanwhile = what["how"], list(what.get("meanwhile", ()))
        end: Json = {"code": 14, "message": "connection reset"}
        token, reason = True, "reconnected"
        if how == "silence":
            end, reason = {"silence": True}, "silence"
        elif how == "ended":
            end, reason = {"code": 0}, "ended"
        elif how in ("no_token", "resumed_unasked"):
            self.streams[-1].responses[-1].pop("resume_token")
            token = False
        elif how == "lose":
            end, reason = {"client": True}, "gap"
            await self._lose(meanwhile.pop(0), meanwhile.pop(0))
        elif how in DAMAGES:
            end, reason, token = {"client": True}, DAMAGES[how].reason, False
            await self._damage(DAMAGES[how], meanwhile.pop(0))
        self._leave(end, reason, token=token)
        for step in meanwhile:
            await self._do(step)
        if how in _RESTARTS:
            await self._restart(how)
        if how in RESUMES:
            await self._resume_damaged(RESUMES[how])  # of which nothing is told: there is no stream, as before
            self.streams[-1].end, self._token = {"client": True}, b""
            self._call.cancel()
        if how == "forged":
            await self._refused()
        if how == "gone":
            self._call_up()
            await self._end()
        else:
            await self._watch()

    async def _restart(self, how: str) -> None:
        """The server ends and starts again over its data, perhaps in another epoch."""
        assert self._server is not None
        await self._server.stop()
        if how == "new_epoch":
            await asyncio.to_thread(begin_epochs, self._config)
        await self._start()

    async def _refused(self) -> None:
        """The token is not what the server has given, so it is refused, and not used again."""
        self._call_up(self._token[:-1] + bytes((self._token[-1] ^ 1,)))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self._read()
        end, shown = status_of(caught.value)
        assert shown["reason"] == "BAD_RESUME_TOKEN"
        self._leave(end, "token_refused", token=False)

    async def _lose(self, lost: Json, seen: Json) -> None:
        """What a first step leads to does not arrive; what a second one leads to does."""
        await self._do(lost)
        while (await self._read()).to_version < self._version:
            pass
        await self._do(seen)
        self._record(await self._read())

    async def _damage(self, damage: Damage, step: Json) -> None:
        """What a step leads to arrives damaged."""
        await self._do(step)
        if damage.reason == "digest":
            await self._ask_progress(self._version)
        for _ in range(damage.at):
            self._record(await self._read())
        response = await self._read()
        while damage.reason == "digest" and not response.HasField("progress"):
            self._tell(response)
            response = await self._read()
        self._record_damaged(damage, response)

    async def _resume_damaged(self, damage: Damage) -> None:
        """The next stream begins with a word that cannot be right."""
        self._call_up()
        self._record_damaged(damage, await self._read())

    def _record_damaged(self, damage: Damage, response: Any) -> None:
        damaged = self._canonical(response)
        damage.do(damaged)
        self.streams[-1].responses.append(plain(damaged))


def status_of(error: grpc.aio.AioRpcError) -> tuple[Json, Json]:
    """How a call ended, as it is played, and as a client must show it."""
    raw = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    assert isinstance(raw, bytes)
    status = plain(status_pb2.Status.FromString(raw))
    found: Json = {"code": error.code().name, "message": error.details(), "reason": "", "fields": []}
    for detail in status["details"]:
        kind = detail["@type"].rpartition("/")[2]
        if kind == "google.rpc.ErrorInfo":
            found |= {"reason": detail["reason"], "metadata": detail.get("metadata", {})}
        elif kind == "google.rpc.BadRequest":
            found["fields"] = [violation["field"] for violation in detail["field_violations"]]
        elif kind == "google.rpc.RetryInfo":
            found["retry_delay"] = detail["retry_delay"]
        elif kind == "tesseract.v1.RowErrors":
            found["row_errors"] = detail["errors"]
    return status, found
