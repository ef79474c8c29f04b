"""A server for the tests of backups, and a hub of it that is empty."""

from collections.abc import Iterator

import pytest

from tesseract_grpc.client import EventHorizon
from tesseract_grpc.testing import RunningServer, running_server


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(hubs=("default", "other"), piece_bytes=4_096) as running:
        yield running


@pytest.fixture
def hub(server: RunningServer) -> Iterator[EventHorizon]:
    yield from _empty(server, "default")


@pytest.fixture
def other(server: RunningServer) -> Iterator[EventHorizon]:
    yield from _empty(server, "other")


def _empty(server: RunningServer, name: str) -> Iterator[EventHorizon]:
    with EventHorizon.connect(server.address, hub=name, timeout=10) as connected:
        clear(connected)
        yield connected
        clear(connected)


def clear(hub: EventHorizon) -> None:
    """Removes all that a hub has."""
    for session in hub.list_sessions():
        hub.remove_session(session.name, allow_missing=True)
    tables = hub.list_tesseracts()
    for table in sorted(tables, key=lambda table: not table.derived):
        hub.remove_tesseract(table.name)
