"""The conformance vectors: a server says what they say, and the Python client makes of it what they say it must."""

from __future__ import annotations

import asyncio
import copy
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tesseract_grpc._proto.tesseract.v1 import change_pb2, session_service_pb2, value_pb2
from tesseract_grpc.client import AsyncEventHorizon, Interrupted, Retry, Snapshot, TesseractError, WatchState
from tests.vectors.by_hand import by_hand
from tests.vectors.player import playing
from tests.vectors.record import recorded
from tests.vectors.scenes import SCENES
from tests.vectors.vector import Json, Vector, load_all, message, plain
from tests.vectors.wrong import WRONG, WRONG_ONE, altered

VECTORS = {vector.name: vector for vector in load_all()}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_there_are_enough_and_none_is_left_over() -> None:
    assert {scene.name for scene in (*SCENES, *by_hand())} == set(VECTORS)
    assert {vector.name for vector in VECTORS.values() if "by hand" in vector.shows} == {
        made.name for made in by_hand()
    }
    assert len(VECTORS) >= 150
    for vector in VECTORS.values():  # a stream after which another one comes has an end
        assert all(stream.end for stream in vector.streams[:-1]), vector.name
    events = {
        kind
        for vector in VECTORS.values()
        for stream in vector.streams
        for response in stream.responses
        for kind in response
    }
    event = session_service_pb2.WatchSessionResponse.DESCRIPTOR.oneofs_by_name["event"]
    assert {field.name for field in event.fields} <= events
    text = "".join(vector.text() for vector in VECTORS.values())
    for reason in ("DELETED", "FILTERED", "WINDOW", "EXPIRED"):
        assert change_pb2.RemoveReason.Name(getattr(change_pb2, f"REMOVE_REASON_{reason}")) in text


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
async def test_a_server_says_so(scene: Vector) -> None:
    """What is written down is what a real server says today; `python -m tests.vectors record` writes it anew."""
    found = await recorded(scene)
    assert found.text() == VECTORS[scene.name].text()


def test_what_is_written_by_hand_is_made_of_what_was_recorded() -> None:
    for vector in by_hand():
        assert vector.text() == VECTORS[vector.name].text(), vector.name


class Reader:
    """A mirror of the Python client, and everything that it has shown."""

    def __init__(self, vector: Vector) -> None:
        self.vector = vector
        self.shown: list[Json] = []
        self.states: list[str] = []
        self.interrupted: list[Json] = []
        self.done = asyncio.Event()
        self._types: dict[str, int] = {}

    async def read(self, address: str) -> Json:
        """Goes through the vector; what a client shows of it."""
        retry = Retry(initial_backoff=0.01, max_backoff=0.02)
        wanted = self.vector.expect
        found: Json = {}
        async with AsyncEventHorizon.connect(address, timeout=10, retry=retry) as hub:
            session = await hub.get_session(self.vector.name)
            mirror = session.mirror(**_options(self.vector.watch))
            self._mirror = mirror
            mirror.on("change", self._change)
            mirror.on("state", lambda state: self.states.append(str(state)))
            mirror.on("interrupted", self._interruption)
            with suppress(TesseractError):  # it is kept
                await mirror.ready()
                async with asyncio.timeout(20):
                    while not self._over(wanted):  # noqa: ASYNC110 (several things together)
                        await asyncio.sleep(0.005)
            if mirror.error is not None:
                found["error"] = {"reason": mirror.error.reason, "message": mirror.error.message}
            found |= {"version": str(mirror.version)}
            await asyncio.sleep(0.05)  # nothing more may come
            shown, states, interrupted = list(self.shown), list(self.states), list(self.interrupted)
            await mirror.close()
        return {"shown": shown, "states": states, "interrupted": interrupted, **found}

    def _over(self, wanted: Json) -> bool:
        if self._mirror.state is WatchState.ENDED:
            return True
        there = len(self.shown) >= len(wanted["shown"]) and len(self.states) >= len(wanted["states"])
        return there and str(self._mirror.version) == wanted["version"] and "error" not in wanted

    def _change(self, event: Any) -> None:
        if isinstance(event, Snapshot):
            self._types = dict(event.rows.types)
        elif event.edited is not None:
            self._types = dict(event.edited.types)
        rows = self._mirror.rows()
        types = list(rows[0]) if rows else None
        wanted = self.vector.expect["shown"][min(len(self.shown), len(self.vector.expect["shown"]) - 1)]
        columns = types or wanted["columns"]
        self.shown.append(
            {
                "by": "snapshot_end" if isinstance(event, Snapshot) else "changes",
                "version": str(self._mirror.version),
                "total_count": str(self._mirror.total_count),
                "columns": columns,
                "key": list(event.key),
                "rows": [[self._value(name, row[name]) for name in columns] for row in rows],
            }
        )

    def _interruption(self, event: Interrupted) -> None:
        found = {"reason": event.reason, "version": str(event.version), "resumes": event.resumes}
        self.interrupted.append(found)

    def _value(self, name: str, value: Any) -> Json:
        kind = self._types[name]
        if value is None and kind != value_pb2.DATA_TYPE_JSON:
            return {}
        if kind == value_pb2.DATA_TYPE_TIMESTAMP:
            return {"timestamp_value": str((value - EPOCH) // timedelta(microseconds=1))}
        if kind == value_pb2.DATA_TYPE_JSON:
            return {"json": value}
        fields: dict[int, str] = {
            value_pb2.DATA_TYPE_BOOL: "bool_value",
            value_pb2.DATA_TYPE_INT64: "int64_value",
            value_pb2.DATA_TYPE_FLOAT64: "float64_value",
        }
        return plain(value_pb2.Value(**{fields.get(kind, "string_value"): value}))


def _options(watch: Json) -> dict[str, Any]:
    """What `mirror` takes, of what the request must be."""
    asked = message(session_service_pb2.WatchSessionRequest, watch)
    options: dict[str, Any] = {"verify": asked.include_digest}
    if asked.delivery:
        options["delivery"] = "every_commit"
    if asked.HasField("window"):
        window: dict[str, Any] = {"start": asked.window.offset}
        if asked.window.HasField("limit"):
            window["limit"] = asked.window.limit
        if asked.window.HasField("expansion"):
            window["depth"] = asked.window.expansion.depth
            window["expand"] = [node.values[0].string_value for node in asked.window.expansion.expanded]
        options["window"] = window
    return options


def _documents(shown: list[Json]) -> list[Json]:
    """The Python client hands out documents as what they mean, and null as None, whether of JSON or of none."""
    found = copy.deepcopy(shown)
    for point in found:
        for row in point["rows"]:
            for at, value in enumerate(row):
                if "json_value" in value:
                    row[at] = {"json": json.loads(value["json_value"])}
    return found


async def read(vector: Vector, played: Vector | None = None) -> tuple[Json, list[str]]:
    """What the client shows of a vector, and what the player had to say about it."""
    async with playing([played or vector]) as player:
        return await Reader(vector).read(player.address), player.mismatches


@pytest.mark.parametrize("name", sorted(VECTORS))
async def test_the_client_shows_it(name: str) -> None:
    vector = VECTORS[name]
    found, mismatches = await read(vector)
    assert mismatches == []
    wanted = copy.deepcopy(vector.expect)
    if "error" in wanted:
        wanted["error"] = {key: wanted["error"][key] for key in ("reason", "message")}
    for shown in (found, wanted):
        shown["shown"] = _documents(shown["shown"])
    assert _nulls(found) == _nulls(wanted)


def _nulls(found: Json) -> Json:
    """A JSON column's null and its document `null` are one in Python."""
    text = json.dumps(found, sort_keys=True)
    return dict(json.loads(text.replace('{"json": null}', "{}")))


async def test_a_client_that_is_wrong_is_found_out() -> None:
    """The runner can fail: other rows, another order, a change that is not told, a token that is not asked with."""
    vector = VECTORS[WRONG_ONE]
    for how in WRONG:
        found, mismatches = await read(vector, altered(vector, how))
        assert found != vector.expect or mismatches, how
        assert bool(mismatches) == (how == "another_token")
