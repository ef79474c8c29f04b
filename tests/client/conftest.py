"""What the sync and the asyncio tests share: one real server for all of them, and a fake one for each test."""

import itertools
from collections.abc import Iterator

import pytest

from tesseract_grpc.testing import running_server
from tesseract_grpc.testing.serving import RunningServer
from tests.client.serving import FakeServer, fake_server

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    with running_server(progress_interval=0.5) as found:
        yield found


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with fake_server() as found:
        yield found


@pytest.fixture
def table_id() -> str:
    """An id that no other test uses."""
    return f"table{next(NUMBERS)}"
