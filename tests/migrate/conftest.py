"""Databases and a hub for the tests of migrations.

PostgreSQL and MariaDB are started once a run. Where they are not installed, their tests are skipped, which a line at
the end of the run says; in CI (CI=true) that is a failure.
"""

import itertools
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tesseract_grpc.client import EventHorizon
from tesseract_grpc.testing import running_server
from tesseract_grpc.testing.serving import RunningServer
from tests.migrate.servers import DatabaseMissing, execute, mariadb, postgres

NUMBERS = itertools.count(1)
IN_CI = os.environ.get("CI", "").lower() in ("1", "true")


@dataclass(frozen=True)
class Source:
    """A database with room for tables."""

    url: str

    @property
    def kind(self) -> str:
        """postgresql, mysql or sqlite."""
        return self.url.partition(":")[0]

    def run(self, *statements: str) -> None:
        """Runs statements, each committed by itself."""
        execute(self.url, *statements)


def started(server: Callable[[], AbstractContextManager[str]]) -> Iterator[Source]:
    """A server for the run."""
    try:
        with server() as url:
            yield Source(url)
    except DatabaseMissing as missing:
        if IN_CI:
            pytest.fail(f"{missing} (in CI every database has to be there)")
        pytest.skip(f"DATABASE NOT TESTED: {missing}")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Source]:
    yield from started(postgres)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Source]:
    yield from started(mariadb)


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Source:
    path = tmp_path / "source.db"
    sqlite3.connect(path).close()
    path.touch()
    return Source(f"sqlite:///{path}")


@pytest.fixture(params=["sqlite_file", "postgres_server", "mariadb_server"], ids=["sqlite", "postgres", "mariadb"])
def source(request: pytest.FixtureRequest) -> Source:
    """Each of the databases."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Source)
    return found


@pytest.fixture
def name() -> str:
    """The name of a table that no other test uses."""
    return f"source{next(NUMBERS)}"


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    with running_server() as found:
        yield found


@pytest.fixture
def hub(server: RunningServer) -> Iterator[EventHorizon]:
    with EventHorizon.connect(server.address, timeout=30) as found:
        yield found
