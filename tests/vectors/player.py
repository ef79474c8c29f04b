"""A server on a real socket that says what was recorded, call by call, and holds the client to what it must ask.

A client watches the session `hubs/default/sessions/<vector>`, or `<vector>.<anything>`, so that several clients can go
through one vector. The first watch call is answered with the first stream of the vector, the next with the second. A
request that is not the one that the vector says ends the call, and the client's mirror, with VECTOR_MISMATCH.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2

from tesseract_grpc._proto.tesseract.v1 import (
    change_pb2,
    hub_service_pb2,
    hub_service_pb2_grpc,
    query_pb2,
    session_service_pb2,
    session_service_pb2_grpc,
    table_service_pb2_grpc,
)
from tests.vectors.errors import HAND_MADE, PLAYED
from tests.vectors.vector import Json, Stream, Vector, load_all, message

MISMATCH = "VECTOR_MISMATCH"
UNKNOWN_FIELDS = b"\xc0\x3e\x07\xca\x3e\x03new\xd1\x3e12345678\xdd\x3e1234"
"""Fields 1000 to 1003: a number, a text, eight bytes and four."""
spb, hpb = session_service_pb2, hub_service_pb2


class Player(
    session_service_pb2_grpc.SessionServiceServicer,
    hub_service_pb2_grpc.HubServiceServicer,
    table_service_pb2_grpc.TableServiceServicer,
):
    """Plays vectors."""

    def __init__(self, vectors: list[Vector]) -> None:
        self.address = ""
        self.calls: Counter[str] = Counter()
        self.mismatches: list[str] = []
        self._vectors = {vector.name: vector for vector in vectors}

    def finished(self) -> set[str]:
        """The vectors of which a client has opened every stream."""
        names = {name.partition(".")[0] for name, calls in self.calls.items() if calls >= self._streams(name)}
        return names & self._vectors.keys()

    def _streams(self, name: str) -> int:
        return len(self._vectors[name.partition(".")[0]].streams)

    async def GetServerInfo(self, request: Any, context: Any) -> hpb.GetServerInfoResponse:  # noqa: N802
        """What clients ask of every server."""
        features = ("resume", "watch_session", "digest", "every_commit", "request_progress", "on_lag")
        return hpb.GetServerInfoResponse(software_version="vectors", features=features)

    async def GetHub(self, request: Any, context: Any) -> hpb.GetHubResponse:  # noqa: N802
        """There is one."""
        return hpb.GetHubResponse(hub=hpb.Hub(name="hubs/default", epoch="epoch-1"))

    async def RequestProgress(self, request: Any, context: Any) -> hpb.RequestProgressResponse:  # noqa: N802
        """Nothing is said that the vector does not say."""
        return hpb.RequestProgressResponse(version=1)

    async def GetSession(self, request: Any, context: Any) -> spb.GetSessionResponse:  # noqa: N802
        """The session of a vector."""
        name, vector = await self._vector(request.name, context)
        said = (response for stream in vector.streams for response in stream.responses if "begin" in response)
        begin = message(spb.WatchSessionResponse, next(said, {})).begin
        session = spb.Session(name=f"hubs/default/sessions/{name}", columns=begin.columns, generation=1)
        session.query.table = "hubs/default/tables/items"
        return spb.GetSessionResponse(session=session)

    async def GetTable(self, request: Any, context: Any) -> Any:  # noqa: N802
        """There is none; but some names are refused as the error vectors say."""
        number = request.name.rpartition("/")[2].removeprefix(PLAYED)
        if not number.isdecimal() or int(number) >= len(HAND_MADE):
            await self._mismatch(context, f"there is no table '{request.name}'")
        status = list(HAND_MADE.values())[int(number)]
        await _abort_with(context, status)

    async def WatchSession(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        """The next stream of a vector."""
        name, vector = await self._vector(request.name, context)
        call = self.calls[name]
        self.calls[name] += 1
        if call >= len(vector.streams):
            await self._mismatch(context, f"{name}: a call too many, number {call + 1}")
        stream = vector.streams[call]
        wanted, given = _asked(message(spb.WatchSessionRequest, stream.request)), _asked(request)
        if wanted != given:
            await self._mismatch(context, f"{name}: call {call + 1} must ask for\n{wanted}and asks for\n{given}")
        for response in stream.responses:
            made = message(spb.WatchSessionResponse, response)
            if vector.server.get("unknown_fields"):
                _add_unknown_fields(made)
            yield made
        await self._end(stream, context)

    async def _end(self, stream: Stream, context: Any) -> None:
        code = stream.end.get("code")
        if code == 0:
            return
        if code is None:
            await asyncio.Event().wait()  # until the client has had enough
        await _abort(context, stream.end)

    async def _vector(self, name: str, context: Any) -> tuple[str, Vector]:
        found = name.rpartition("/")[2]
        vector = self._vectors.get(found.partition(".")[0])
        if vector is None:
            await self._mismatch(context, f"there is no vector '{found}'")
        assert vector is not None
        return found, vector

    async def _mismatch(self, context: Any, text: str) -> None:
        self.mismatches.append(text)
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": MISMATCH, "domain": "tesseract-grpc"}
        await _abort(
            context, {"code": grpc.StatusCode.FAILED_PRECONDITION.value[0], "message": text, "details": [info]}
        )


async def _abort(context: Any, end: Json) -> None:
    await _abort_with(context, message(status_pb2.Status, end))


async def _abort_with(context: Any, status: Any) -> None:
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    if status.details:
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    await context.abort(code, status.message)


def _asked(request: Any) -> Any:
    """A request without what means the same, and without the name."""
    found = spb.WatchSessionRequest()
    found.CopyFrom(request)
    found.name, found.min_version = "", 0
    if found.on_lag == change_pb2.ON_LAG_CONFLATE:
        found.on_lag = change_pb2.ON_LAG_UNSPECIFIED
    if found.delivery == change_pb2.DELIVERY_NET:
        found.delivery = change_pb2.DELIVERY_UNSPECIFIED
    if found.window == query_pb2.Window():
        found.ClearField("window")
    return found


def _add_unknown_fields(message: Message) -> None:
    """Adds what a later version of the protocol may have, to a message and all that are in it."""
    for descriptor, value in message.ListFields():
        if descriptor.type == descriptor.TYPE_MESSAGE:
            for inner in value if descriptor.is_repeated else [value]:
                _add_unknown_fields(inner)
    message.MergeFromString(UNKNOWN_FIELDS)


@asynccontextmanager
async def playing(vectors: list[Vector] | None = None) -> AsyncIterator[Player]:
    """A player on a free port."""
    player = Player(load_all() if vectors is None else vectors)  # type: ignore[abstract]  # the rest is UNIMPLEMENTED
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    session_service_pb2_grpc.add_SessionServiceServicer_to_server(player, server)
    hub_service_pb2_grpc.add_HubServiceServicer_to_server(player, server)
    table_service_pb2_grpc.add_TableServiceServicer_to_server(player, server)
    player.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield player
    finally:
        await server.stop(None)
