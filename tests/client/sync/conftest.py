"""Connections of the sync client. The twin of this file is `tests/client/aio/conftest.py`."""

from collections.abc import Iterator

import pytest

from tesseract_grpc.client import EventHorizon, Retry
from tesseract_grpc.testing.serving import RunningServer
from tests.client.serving import FakeServer


@pytest.fixture
def hub(server: RunningServer) -> Iterator[EventHorizon]:
    with EventHorizon.connect(server.address, timeout=10) as found:
        yield found


@pytest.fixture
def fake_hub(fake: FakeServer) -> Iterator[EventHorizon]:
    retry = Retry(initial_backoff=0.01, max_backoff=0.05)
    with EventHorizon.connect(fake.address, timeout=5, retry=retry) as found:
        yield found
