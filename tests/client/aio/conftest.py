"""Connections of the asyncio client. The twin of this file is `tests/client/sync/conftest.py`."""

from collections.abc import AsyncIterator

import pytest

from tesseract_grpc.client import AsyncEventHorizon, Retry
from tesseract_grpc.testing.serving import RunningServer
from tests.client.serving import FakeServer


@pytest.fixture
async def hub(server: RunningServer) -> AsyncIterator[AsyncEventHorizon]:
    async with AsyncEventHorizon.connect(server.address, timeout=10) as found:
        yield found


@pytest.fixture
async def fake_hub(fake: FakeServer) -> AsyncIterator[AsyncEventHorizon]:
    retry = Retry(initial_backoff=0.01, max_backoff=0.05)
    async with AsyncEventHorizon.connect(fake.address, timeout=5, retry=retry) as found:
        yield found
