"""hub.debug against a real server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc.client import AlreadyExists, AsyncEventHorizon, AsyncTesseract, InvalidRequest
from tests.client.aio.support import Aside, eventually, pause

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "name", "type": "string"},
]


@pytest.fixture
async def users(hub: AsyncEventHorizon, table_id: str) -> AsyncIterator[AsyncTesseract]:
    yield await hub.create_tesseract(table_id, COLUMNS)
    await hub.debug.disable()
    await hub.debug.enable(level="info", slow_query=0.1, include_values=False, capacity=10_000)
    await hub.debug.disable()
    await hub.debug.clear()


async def test_settings(hub: AsyncEventHorizon, users: AsyncTesseract) -> None:
    found = await hub.debug.enable(level="warning", slow_query=0, capacity=50)
    assert (found.enabled, found.level, found.slow_query, found.capacity, found.include_values) == (
        True,
        "warning",
        0.0,
        50,
        False,
    )
    kept = await hub.debug.enable(include_values=True)
    assert (kept.level, kept.slow_query, kept.capacity, kept.include_values) == ("warning", 0.0, 50, True)
    assert not (await hub.debug.disable()).enabled
    assert (await hub.debug.settings()).level == "warning"
    with pytest.raises(InvalidRequest, match="there is no level 'loud'"):
        await hub.debug.enable(level="loud")
    with pytest.raises(InvalidRequest):
        await hub.debug.logs(kind="calls")
    with pytest.raises(InvalidRequest):
        await hub.debug.logs(limit=-1)


async def test_logs_are_listed_and_filtered(hub: AsyncEventHorizon, users: AsyncTesseract) -> None:
    await hub.debug.enable(level="debug", slow_query=0)
    begun = datetime.now(UTC)
    await users.add({"id": 1, "name": "Ada"})
    await users.query([{"field": "name", "comparison": "==", "value": "Ada"}])
    with pytest.raises(AlreadyExists):
        await users.add({"id": 1, "name": "Ada"})
    await pause(0.05)
    commit, *_ = await hub.debug.logs(kind="commit", table=users.name)
    assert (commit.level, commit.kind, commit.table, commit.details["inserted"]) == ("debug", "commit", users.name, "1")
    assert commit.duration is not None
    assert commit.duration > 0
    assert commit.request_id
    assert abs((commit.time - begun).total_seconds()) < 5
    [slow] = await hub.debug.logs(kind=["slow_query"], table=users.name)
    assert "filter: name == ?" in slow.details["plan"]
    [refusal] = await hub.debug.logs(level="warning", kind="refusal", table=users.name)
    assert refusal.details["reason"] == "DUPLICATE_KEY"
    everything = await hub.debug.logs()
    assert await hub.debug.logs(limit=2) == everything[-2:]
    assert await hub.debug.logs(since=datetime(2200, 1, 1, tzinfo=UTC)) == []
    assert "Ada" not in str(everything)
    assert await hub.debug.clear() >= len(everything)
    assert await hub.debug.logs(table=users.name) == []


async def test_logs_are_exported(hub: AsyncEventHorizon, users: AsyncTesseract, tmp_path: Path) -> None:
    await hub.debug.enable(level="debug")
    await users.add({"id": 1, "name": "Ada"})
    with pytest.raises(AlreadyExists):
        await users.add({"id": 1, "name": "Ada"})
    path = tmp_path / "debug_logs.json"
    count = await hub.debug.export(path, table=users.name)
    content = json.loads(path.read_text("utf-8"))
    assert list(content) == ["exportDate", "logCount", "hub", "logs"]
    assert content["logCount"] == count == len(content["logs"]) > 2
    assert datetime.fromisoformat(content["exportDate"]).tzinfo is not None
    assert {log["type"] for log in content["logs"]} == {"log", "warn"}
    for log in content["logs"]:
        assert {"type", "timestamp", "message", "level", "kind", "sequence"} <= set(log)
        datetime.fromisoformat(log["timestamp"])


async def test_logs_are_followed(hub: AsyncEventHorizon, users: AsyncTesseract) -> None:
    await hub.debug.enable(level="debug")
    await users.add({"id": 1, "name": "Ada"})
    seen: list[Any] = []

    async def follow() -> None:
        async for record in hub.debug.follow(kind="commit", table=users.name, existing=True):
            seen.append(record)
            if len(seen) == 2:
                return

    following = Aside(follow)
    await eventually(lambda: len(seen) == 1)
    await users.add({"id": 2, "name": "Bob"})
    await following.result()
    assert seen[1].sequence > seen[0].sequence
    assert [record.missed for record in seen] == [0, 0]
