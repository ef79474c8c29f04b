"""Following a database: late commits, deletions, and going on after an interruption."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from tesseract_grpc.client import EventHorizon, MigrationFailed, MigrationOptions, MigrationResult
from tesseract_grpc.testing.serving import RunningServer
from tests.migrate.conftest import Source
from tests.migrate.servers import PASSWORD

PATIENCE = 30.0


def make_jobs(source: Source, name: str) -> None:
    moment = "TIMESTAMP" if source.kind == "postgresql" else "DATETIME"
    source.run(
        f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, state VARCHAR(9), updated {moment})",
        f"INSERT INTO {name} VALUES (1, 'new', '2024-01-01 00:00:01'), (2, 'new', '2024-01-01 00:00:02')",
    )


class Following:
    """A migration that follows, in a thread of its own."""

    def __init__(self, server: RunningServer, url: str, name: str, options: MigrationOptions) -> None:
        self._stop = threading.Event()
        self.result: MigrationResult | None = None
        self.error: BaseException | None = None

        def main() -> None:
            try:
                with EventHorizon.connect(server.address) as hub:
                    given: MigrationOptions = {"every": 0.05, "stop": self._stop.is_set, **options}
                    self.result = hub.migrate_from(url, name, **given)
            except BaseException as error:  # is looked at by the test
                self.error = error

        self._thread = threading.Thread(target=main, daemon=True)
        self._thread.start()

    def end(self) -> MigrationResult:
        self._stop.set()
        self._thread.join(PATIENCE)
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result


@contextmanager
def following(server: RunningServer, url: str, name: str, **options: Any) -> Iterator[Following]:
    made = Following(server, url, name, MigrationOptions(**options))  # type: ignore[typeddict-item]
    try:
        yield made
    finally:
        made._stop.set()


def eventually(hub: EventHorizon, name: str, awaited: Callable[[dict[int, str]], bool]) -> None:
    """Waits for the rows of the hub."""
    deadline = time.monotonic() + PATIENCE
    found: dict[int, str] = {}
    while time.monotonic() < deadline:
        if name in [table.name for table in hub.list_tesseracts()]:
            found = {row["id"]: row["state"] for row in hub.get_tesseract(name).get_data()}
            if awaited(found):
                return
        time.sleep(0.05)
    raise AssertionError(found)


def test_new_and_changed_rows_follow(source: Source, name: str, server: RunningServer, hub: EventHorizon) -> None:
    make_jobs(source, name)
    with following(server, source.url, name, watch="updated") as found:
        eventually(hub, name, lambda rows: len(rows) == 2)
        source.run(f"INSERT INTO {name} VALUES (3, 'new', '2024-01-01 00:00:03')")
        eventually(hub, name, lambda rows: len(rows) == 3)
        source.run(f"UPDATE {name} SET state = 'done', updated = '2024-01-01 00:00:04' WHERE id = 1")
        eventually(hub, name, lambda rows: rows[1] == "done")
        source.run(f"DELETE FROM {name} WHERE id = 2")
        time.sleep(0.5)
        result = found.end()
    # The first look goes back over the copy; after that, what was seen is not sent again.
    assert (result.rows, result.followed, result.deleted) == (2, 2 + 1 + 1, 0)
    assert hub.get_tesseract(name).count() == 3


def test_a_commit_that_comes_late_is_seen_within_the_overlap(
    source: Source, name: str, server: RunningServer, hub: EventHorizon
) -> None:
    make_jobs(source, name)
    with following(server, source.url, name, watch="updated", overlap=5) as found:
        eventually(hub, name, lambda rows: len(rows) == 2)
        source.run(f"INSERT INTO {name} VALUES (3, 'new', '2024-01-01 00:00:20')")
        eventually(hub, name, lambda rows: len(rows) == 3)
        # Both begin before row 3 and are committed after it.
        source.run(f"INSERT INTO {name} VALUES (4, 'late', '2024-01-01 00:00:16')")
        source.run(f"INSERT INTO {name} VALUES (5, 'later', '2024-01-01 00:00:10')")
        eventually(hub, name, lambda rows: 4 in rows)
        time.sleep(0.3)
        found.end()
    assert hub.get_tesseract(name).get(5) is None, "it is older than the overlap"


def test_deletions_are_found_by_comparing_keys(
    source: Source, name: str, server: RunningServer, hub: EventHorizon
) -> None:
    make_jobs(source, name)
    with following(server, source.url, name, watch="updated", deletions_every=0.1) as found:
        eventually(hub, name, lambda rows: len(rows) == 2)
        source.run(f"DELETE FROM {name} WHERE id = 2", f"INSERT INTO {name} VALUES (9, 'new', '2024-01-01 00:00:09')")
        eventually(hub, name, lambda rows: set(rows) == {1, 9})
        assert found.end().deleted == 1


def test_following_goes_on_where_it_was(
    source: Source, name: str, server: RunningServer, hub: EventHorizon, tmp_path: Path
) -> None:
    make_jobs(source, name)
    state = tmp_path / "state.json"
    with following(server, source.url, name, watch="updated", state=state) as found:
        eventually(hub, name, lambda rows: len(rows) == 2)
        found.end()
    assert PASSWORD not in state.read_text()
    source.run(f"INSERT INTO {name} VALUES (3, 'new', '2024-01-01 00:00:03')")
    with following(server, source.url, name, watch="updated", state=state) as found:
        eventually(hub, name, lambda rows: len(rows) == 3)
        result = found.end()
    assert (result.resumed_at, result.rows) == (2, 2)


def test_a_transaction_that_is_open_during_the_copy_is_not_missed(
    postgres_server: Source, name: str, server: RunningServer, hub: EventHorizon
) -> None:
    make_jobs(postgres_server, name)
    url = sqlalchemy.make_url(postgres_server.url).set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.connect() as writer:
            writer.exec_driver_sql(f"INSERT INTO {name} VALUES (3, 'slow', '2024-01-01 00:00:01')")
            with following(server, postgres_server.url, name, watch="updated") as found:
                eventually(hub, name, lambda rows: len(rows) == 2)
                writer.commit()
                eventually(hub, name, lambda rows: rows.get(3) == "slow")
                found.end()
    finally:
        engine.dispose()


def test_numbers_can_be_followed_and_texts_cannot(
    sqlite_file: Source, name: str, server: RunningServer, hub: EventHorizon
) -> None:
    sqlite_file.run(
        f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, state TEXT, revision INTEGER)",
        f"INSERT INTO {name} VALUES (1, 'a', 1), (2, 'b', NULL)",
    )
    with pytest.raises(MigrationFailed, match="neither a time nor a number"):
        hub.migrate_from(sqlite_file.url, name, watch="state", stop=lambda: True)
    hub.remove_tesseract(name)
    with following(server, sqlite_file.url, name, watch="revision", overlap=0) as found:
        eventually(hub, name, lambda rows: len(rows) == 2)
        sqlite_file.run(f"INSERT INTO {name} VALUES (3, 'c', 2)")
        eventually(hub, name, lambda rows: len(rows) == 3)
        assert found.end().warnings == ("1 rows have no revision: changes of them cannot be followed",)
