"""The real data, read once."""

from typing import Any

import pytest

from tesseract_grpc.cli.demo.flights import build_flights
from tesseract_grpc.cli.demo.source import Source


@pytest.fixture(scope="session")
def source() -> Source:
    """The installed data package."""
    return Source.find()


@pytest.fixture(scope="session")
def raw(source: Source) -> Any:
    """The flights file as it is."""
    return source.read("flights")


@pytest.fixture(scope="session")
def flights(source: Source, raw: Any) -> Any:
    """The flights table of the demo."""
    return build_flights(raw, source.read("airports"))
