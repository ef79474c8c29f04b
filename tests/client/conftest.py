"""What the sync and the asyncio tests share: one real server for all of them, and a fake one for each test."""

import itertools
from collections.abc import Iterator

import pytest

from tesseract_grpc.server.app import Server
from tests.client.serving import FakeServer, fake_server, real_server

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with real_server() as found:
        yield found


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with fake_server() as found:
        yield found


@pytest.fixture
def table_id() -> str:
    """An id that no other test uses."""
    return f"table{next(NUMBERS)}"
