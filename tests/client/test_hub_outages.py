"""Events of a hub over the death of its server: what happened meanwhile is told, in both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc.client import AsyncEventHorizon, EventHorizon, HubEvent, Retry
from tesseract_grpc.testing import running_server
from tests.client.aio.support import eventually as async_eventually
from tests.client.outages import Mortal
from tests.client.serving import free_port
from tests.client.sync.support import eventually

COLUMNS: list[dict[str, Any]] = [{"name": "id", "type": "int64", "primary_key": True}]
RETRY = Retry(initial_backoff=0.02, max_backoff=0.2)


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Mortal]:
    found = Mortal(tmp_path / "data", "--progress-interval", "0.5")
    found.start()
    yield found
    found.kill()


def prepare(address: str) -> None:
    with EventHorizon.connect(address, retry=RETRY) as hub:
        for name in ("stays", "goes", "changes", "is_renamed", "one", "other"):
            hub.create_tesseract(name, COLUMNS)
        for name in ("stays", "closes", "is_edited"):
            hub.create_session(name, table="stays")


def change(address: str) -> None:
    """What happens while nobody watches."""
    with EventHorizon.connect(address, retry=RETRY) as hub:
        hub.remove_tesseract("goes")
        hub.get_tesseract("changes").create_index("id")
        hub.rename_tesseract("is_renamed", "renamed")
        hub.swap_tesseracts("one", "other")
        hub.create_tesseract("comes", COLUMNS)
        hub.remove_session("closes")
        hub.get_session("is_edited").update_sort([{"field": "id", "direction": "desc"}])
        hub.create_session("opens", table="comes")


def change_elsewhere(folder: Path) -> None:
    """The same, on a server at another address, where those who watch do not find it."""
    server = Mortal(folder / "data")
    server.start()
    try:
        change(server.address)
    finally:
        server.kill()


def told(events: list[HubEvent]) -> set[tuple[str, ...]]:
    assert all(event.missed for event in events)
    return {
        (event.kind, *sorted((event.table, event.other))) if event.other else (event.kind, event.session or event.table)
        for event in events
    }


EXPECTED = {
    ("table_removed", "goes"),
    ("table_altered", "changes"),
    ("table_renamed", "renamed"),
    ("tables_swapped", "one", "other"),
    ("table_created", "comes"),
    ("session_closed", "closes"),
    ("session_edited", "is_edited"),
    ("session_opened", "opens"),
}


@pytest.mark.slow
def test_what_happened_while_the_server_was_killed_and_started_again(mortal: Mortal, tmp_path: Path) -> None:
    prepare(mortal.address)
    seen: list[HubEvent] = []
    states: list[str] = []
    with EventHorizon.connect(mortal.address, timeout=30, retry=RETRY) as hub:
        hub.on("any", seen.append)
        hub.on("state", lambda state: states.append(str(state)))
        mortal.kill()
        eventually(lambda: states == ["stale"])
        change_elsewhere(tmp_path)
        mortal.start()
        eventually(lambda: len(seen) >= len(EXPECTED), 30)
        assert told(seen) == EXPECTED
        assert len(seen) == len(EXPECTED)
        seen.clear()
        hub.remove_session("opens")
        eventually(lambda: [event.kind for event in seen] == ["session_closed"])
        assert (seen[0].reason, seen[0].missed) == ("SESSION_DELETED", False)


@pytest.mark.slow
async def test_the_same_in_tasks(mortal: Mortal, tmp_path: Path) -> None:
    await asyncio.to_thread(prepare, mortal.address)
    seen: list[HubEvent] = []
    states: list[str] = []
    async with AsyncEventHorizon.connect(mortal.address, timeout=30, retry=RETRY) as hub:

        async def note(event: HubEvent) -> None:
            await asyncio.sleep(0)
            seen.append(event)

        await hub.on("any", note)
        await hub.on("state", lambda state: states.append(str(state)))
        await asyncio.to_thread(mortal.kill)
        await async_eventually(lambda: states == ["stale"])
        await asyncio.to_thread(change_elsewhere, tmp_path)
        await asyncio.to_thread(mortal.start)
        await async_eventually(lambda: len(seen) >= len(EXPECTED), 30)
        assert told(seen) == EXPECTED


@pytest.mark.slow
def test_a_hub_in_memory_that_starts_again_has_lost_everything() -> None:
    listen = f"127.0.0.1:{free_port()}"
    seen: list[HubEvent] = []
    with EventHorizon.connect(listen, timeout=30, retry=RETRY) as hub:
        with running_server(listen=listen):
            hub.create_tesseract("t", COLUMNS)
            hub.create_session("s", table="t")
            hub.on("any", seen.append)
        with running_server(listen=listen):
            eventually(lambda: len(seen) >= 2, 20)
            assert [(event.kind, event.missed) for event in seen] == [("session_closed", True), ("table_removed", True)]
            hub.create_tesseract("t", COLUMNS)
            eventually(lambda: len(seen) == 3)
            assert (seen[2].kind, seen[2].missed) == ("table_created", False)
