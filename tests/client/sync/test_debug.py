# Generated from tests/client/aio/test_debug.py by tools/generate_sync_client.py: edit that file and run it.
"""hub.debug against a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc.client import AlreadyExists, EventHorizon, InvalidRequest, Tesseract
from tests.client.sync.support import Aside, eventually, pause

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "name", "type": "string"},
]


@pytest.fixture
def users(hub: EventHorizon, table_id: str) -> Iterator[Tesseract]:
    yield hub.create_tesseract(table_id, COLUMNS)
    hub.debug.disable()
    hub.debug.enable(level="info", slow_query=0.1, include_values=False, capacity=10_000)
    hub.debug.disable()
    hub.debug.clear()


def test_settings(hub: EventHorizon, users: Tesseract) -> None:
    found = hub.debug.enable(level="warning", slow_query=0, capacity=50)
    assert (found.enabled, found.level, found.slow_query, found.capacity, found.include_values) == (
        True,
        "warning",
        0.0,
        50,
        False,
    )
    kept = hub.debug.enable(include_values=True)
    assert (kept.level, kept.slow_query, kept.capacity, kept.include_values) == ("warning", 0.0, 50, True)
    assert not (hub.debug.disable()).enabled
    assert (hub.debug.settings()).level == "warning"
    with pytest.raises(InvalidRequest, match="there is no level 'loud'"):
        hub.debug.enable(level="loud")
    with pytest.raises(InvalidRequest):
        hub.debug.logs(kind="calls")
    with pytest.raises(InvalidRequest):
        hub.debug.logs(limit=-1)


def test_logs_are_listed_and_filtered(hub: EventHorizon, users: Tesseract) -> None:
    hub.debug.enable(level="debug", slow_query=0)
    begun = datetime.now(UTC)
    users.add({"id": 1, "name": "Ada"})
    users.query([{"field": "name", "comparison": "==", "value": "Ada"}])
    with pytest.raises(AlreadyExists):
        users.add({"id": 1, "name": "Ada"})
    pause(0.05)
    commit, *_ = hub.debug.logs(kind="commit", table=users.name)
    assert (commit.level, commit.kind, commit.table, commit.details["inserted"]) == ("debug", "commit", users.name, "1")
    assert commit.duration is not None
    assert commit.duration > 0
    assert commit.request_id
    assert abs((commit.time - begun).total_seconds()) < 5
    [slow] = hub.debug.logs(kind=["slow_query"], table=users.name)
    assert "filter: name == ?" in slow.details["plan"]
    [refusal] = hub.debug.logs(level="warning", kind="refusal", table=users.name)
    assert refusal.details["reason"] == "DUPLICATE_KEY"
    everything = hub.debug.logs()
    assert hub.debug.logs(limit=2) == everything[-2:]
    assert hub.debug.logs(since=datetime(2200, 1, 1, tzinfo=UTC)) == []
    assert "Ada" not in str(everything)
    assert hub.debug.clear() >= len(everything)
    assert hub.debug.logs(table=users.name) == []


def test_logs_are_exported(hub: EventHorizon, users: Tesseract, tmp_path: Path) -> None:
    hub.debug.enable(level="debug")
    users.add({"id": 1, "name": "Ada"})
    with pytest.raises(AlreadyExists):
        users.add({"id": 1, "name": "Ada"})
    path = tmp_path / "debug_logs.json"
    count = hub.debug.export(path, table=users.name)
    content = json.loads(path.read_text("utf-8"))
    assert list(content) == ["exportDate", "logCount", "hub", "logs"]
    assert content["logCount"] == count == len(content["logs"]) > 2
    assert datetime.fromisoformat(content["exportDate"]).tzinfo is not None
    assert {log["type"] for log in content["logs"]} == {"log", "warn"}
    for log in content["logs"]:
        assert {"type", "timestamp", "message", "level", "kind", "sequence"} <= set(log)
        datetime.fromisoformat(log["timestamp"])


def test_logs_are_followed(hub: EventHorizon, users: Tesseract) -> None:
    hub.debug.enable(level="debug")
    users.add({"id": 1, "name": "Ada"})
    seen: list[Any] = []

    def follow() -> None:
        for record in hub.debug.follow(kind="commit", table=users.name, existing=True):
            seen.append(record)
            if len(seen) == 2:
                return

    following = Aside(follow)
    eventually(lambda: len(seen) == 1)
    users.add({"id": 2, "name": "Bob"})
    following.result()
    assert seen[1].sequence > seen[0].sequence
    assert [record.missed for record in seen] == [0, 0]
