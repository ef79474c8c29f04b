"""The digest of a window: the server's is the reference's, for every type and every odd value."""

from __future__ import annotations

import asyncio
import math
import random
from typing import Any

import numpy as np
import pytest

from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.server.codec import digest as server_side
from tesseract_grpc.testing import AsyncRecordingWatcher, Row, digest_of
from tests.server.support import Api, serving, sort, user

VALUES: dict[DataType, list[Any]] = {
    DataType.BOOL: [True, False, None],
    DataType.INT64: [0, 1, -1, 2**63 - 1, -(2**63), None],
    DataType.FLOAT64: [0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, 5e-324, 1e308, None],
    DataType.TIMESTAMP: [0, -1, 1_700_000_000_000_000, None],
    DataType.STRING: ["", "a", "é", "e\u0301", "\U0001f600", "a" * 300, None],
    DataType.JSON: ["{}", '{"a": [1, null]}', "null", None],
    DataType.ENUM: ["low", "high", None],
}


def columns() -> tuple[ColumnSchema, ...]:
    return tuple(
        ColumnSchema(f"c\u00e9{kind.name}", kind, enum_values=("low", "high") if kind is DataType.ENUM else ())
        for kind in VALUES
    )


@pytest.mark.parametrize("count", [0, 1, 7, 500])
@pytest.mark.parametrize("seed", range(3))
def test_differential_the_server_digests_as_the_reference_does(seed: int, count: int) -> None:
    rng = random.Random(seed)
    schema = columns()
    found: list[Row] = [{column.name: rng.choice(VALUES[column.type]) for column in schema} for _ in range(count)]
    batch = Batch.of_rows(schema, found)
    if not count:
        batch = Batch(0, {column.name: Vector.of(column.type, []) for column in schema})
    types = {column.name: int(column.type) for column in schema}
    assert server_side.digest_of(schema, batch) == digest_of(types, found)


def test_zeros_and_nans_are_one_and_everything_else_is_told_apart() -> None:
    types = {"x": int(DataType.FLOAT64)}
    odd = float(np.frombuffer(b"\x01\x00\x00\x00\x00\x00\xf8\xff", "<f8")[0])
    assert digest_of(types, [{"x": 0.0}]) == digest_of(types, [{"x": -0.0}])
    assert digest_of(types, [{"x": math.nan}]) == digest_of(types, [{"x": odd}])
    different: list[tuple[dict[str, int], list[Row]]] = [
        ({"x": 3}, [{"x": "ab"}, {"x": "c"}]),
        ({"x": 5}, [{"x": "ab"}, {"x": "c"}]),
        ({"x": 5}, [{"x": "a"}, {"x": "bc"}]),
        ({"x": 5}, [{"x": "c"}, {"x": "ab"}]),
        ({"x": 5}, [{"x": "abc"}]),
        ({"x": 5}, [{"x": None}, {"x": "abc"}]),
        ({"x": 5}, [{"x": ""}, {"x": "abc"}]),
        ({"y": 5}, [{"x": "abc", "y": "abc"}]),
    ]
    assert len({digest_of(types, rows) for types, rows in different[1:]}) == len(different) - 1


async def test_progress_carries_it_when_asked_and_every_mirror_agrees() -> None:
    async with serving(progress_interval=0.1) as (_, api):
        await api.create_users()
        await api.insert([user(id, score=(None, -0.0, math.nan)[id % 3]) for id in range(50)])
        await api.open("all", q.Query(table="users", sort=[sort("age", descending=True)]))
        whole = spb.WatchSessionRequest(name="all", include_digest=True)
        part = spb.WatchSessionRequest(name="all", include_digest=True, window=q.Window(offset=3, limit=5))
        async with (
            AsyncRecordingWatcher.session(api.channel, request=whole) as first,
            AsyncRecordingWatcher.session(api.channel, request=part) as second,
            AsyncRecordingWatcher.session(api.channel, "all") as without,
        ):
            for number in range(8):
                await api.insert([user(100 + number, age=90 + number)])
                await asyncio.sleep(0.12)
            for watcher in (first, second):
                digests = [r.progress.digest for r in watcher.responses if r.WhichOneof("event") == "progress"]
                assert len(set(digests)) > 2
                assert {len(digest) for digest in digests} == {32}
                watcher.check()
            assert {r.progress.digest for r in without.responses} == {b""}


async def test_a_progress_that_holds_changes_back_has_none(api: Api) -> None:
    await api.open("all")
    request = spb.WatchSessionRequest(name="all", include_digest=True)
    request.min_interval.FromSeconds(30)
    async with serving(progress_interval=0.1) as (_, other):
        await other.create_users()
        await other.open("all")
        async with AsyncRecordingWatcher.session(other.channel, request=request) as watcher:
            await watcher.wait_for((await other.insert([user(1)])).version)
            version = (await other.insert([user(2)])).version
            await asyncio.sleep(0.4)
            held = [r for r in watcher.responses if r.WhichOneof("event") == "progress" and r.to_version < version]
            assert held[-1].progress.digest == b""
            watcher.check()
