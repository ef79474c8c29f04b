"""The guide of the ancestor, "Version Compatibility" and "Migration Strategies": its snippets, in Python."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc.client import EventHorizon, MigrationProgress
from tesseract_grpc.client import compat as tesseract
from tesseract_grpc.client.compat import TesseractV1Compatibility, compare
from tesseract_grpc.testing.serving import RunningServer

CONFIG: dict[str, Any] = {
    "columns": [
        {"name": "id", "primaryKey": True},
        {"name": "name", "type": "string"},
        {"name": "email", "type": "string"},
    ]
}
JOHN = {"id": 1, "name": "John Doe", "email": "john@example.com"}
JANE = {"id": 2, "name": "Jane Roe", "email": "jane@example.com"}


@pytest.fixture
def hub(server: RunningServer) -> Iterator[EventHorizon]:
    with EventHorizon.connect(server.address, timeout=10) as found:
        yield found


def test_direct_table_access(server: RunningServer, table_id: str) -> None:
    """OLD (v1.x): new tesseract.Table('users', config)."""
    with tesseract.EventHorizon(server.address) as horizon:
        table = tesseract.Table(table_id, CONFIG, horizon)
        table.add([JOHN, JANE])
        assert [row["name"] for row in table.getData()] == ["John Doe", "Jane Roe"]


def test_the_hub_pattern(server: RunningServer, table_id: str) -> None:
    """NEW (v2.x): new EventHorizon(), eventHorizon.createTesseract('users', config); in both spellings."""
    with tesseract.EventHorizon(server.address) as event_horizon:
        table = event_horizon.createTesseract(table_id, CONFIG)
        table.add(JOHN)
    with EventHorizon.connect(server.address) as hub:
        users = hub.get_tesseract(table_id)
        assert users.get_data() == [JOHN]
        fresh = hub.create_tesseract(
            f"{table_id}_new",
            columns=[{"name": "id", "type": "int64", "primary_key": True}, *CONFIG["columns"][1:]],
        )
        assert fresh.columns == users.columns


def test_direct_session_creation(server: RunningServer, table_id: str) -> None:
    """OLD: table.createSession(config)."""
    with TesseractV1Compatibility(server.address) as compat:
        table = compat.createTable(table_id, CONFIG)
        table.add([JOHN, JANE])
        session = table.createSession({"sort": [{"field": "name", "direction": "asc"}]})
        assert [row["name"] for row in session.getData()] == ["Jane Roe", "John Doe"]


def test_sessions_through_the_hub(server: RunningServer, table_id: str) -> None:
    """NEW: eventHorizon.createSession({id, table, ...config})."""
    config: dict[str, Any] = {"filter": [{"field": "name", "comparison": "like", "value": "jane"}]}
    with tesseract.EventHorizon(server.address) as event_horizon:
        event_horizon.createTesseract(table_id, CONFIG).add([JOHN, JANE])
        session = event_horizon.createSession({"id": f"{table_id}-session", "table": table_id, **config})
        assert session.getData() == [JANE]
        in_python = event_horizon.hub.create_session(id=f"{table_id}-other", table=table_id, **config)
        assert in_python.get_data() == [JANE]
        assert event_horizon.getSession(f"{table_id}-session") is not None


def test_the_compatibility_layer(server: RunningServer, table_id: str) -> None:
    """class TesseractV1Compatibility, and its usage."""
    compat = TesseractV1Compatibility(server.address)
    users_table = compat.createTable(table_id, CONFIG)
    users_table.add([JOHN, JANE])
    session = users_table.createSession({"filter": [{"field": "name", "comparison": "like", "value": "John"}]})
    assert session.getData() == [JOHN]
    assert session.id.startswith(f"{table_id}_")
    assert compat.getTable(table_id) is users_table
    assert compat.getTable("nobody") is None
    assert compat.tables[table_id] is users_table
    assert compat.eventHorizon.getTesseract(table_id) is users_table
    compat.close()


def test_a_column_without_a_type_gets_it_from_the_rows(server: RunningServer, table_id: str) -> None:
    """`{ name: 'id', primaryKey: true }`, where the ids turn out to be texts, as `test_${i}` in the guide."""
    with TesseractV1Compatibility(server.address) as compat:
        columns = [{"name": "id", "primaryKey": True}, "value", "flag", "at", "note", "empty"]
        table = compat.createTable(table_id, {"columns": columns})
        session = table.createSession({"filter": [{"field": "id", "comparison": "!=", "value": 0}]})
        now = datetime(2024, 5, 1, tzinfo=UTC)
        table.add([{"id": f"test_{i}", "value": i, "flag": i == 1, "at": now, "note": {"n": i}} for i in range(2)])
        types = {column["name"]: column["type"] for column in table.tesseract.columns}
        assert types == {
            "id": "string",
            "value": "float64",
            "flag": "bool",
            "at": "timestamp",
            "note": "json",
            "empty": "string",
        }
        assert table.getData()[1]["value"] == 1.0
        table.add({"id": "test_2", "empty": 5})  # the first value of its column
        assert table.getData()[2]["empty"] == 5.0
        assert compat.eventHorizon.getSession(session.id) is None  # it compared ids with a number


# --- Database-first migration


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = tmp_path / "app.db"
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT, created_at DATETIME, is_active BOOLEAN)"
    )
    rows = [(n, f"User {n}", f"u{n}@x", "2024-05-01 09:30:00", n % 2) for n in range(1, 2501)]
    connection.executemany("INSERT INTO users VALUES (?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    return f"sqlite:///{path}"


def test_a_table_of_a_database_is_migrated(hub: EventHorizon, database: str, table_id: str) -> None:
    """class DatabaseMigrator, migrateTable(tableName, config, batchSize = 1000): in batches, with progress."""
    told: list[MigrationProgress] = []
    result = hub.migrate_from(database, "users", to=table_id, batch=1000, on_progress=told.append)
    assert (result.rows, result.verified) == (2500, True)
    assert told[-1].rows == told[-1].total == 2500
    assert hub.get_tesseract(table_id).count() == 2500


def test_values_are_converted_by_type(hub: EventHorizon, database: str, table_id: str) -> None:
    """transformData(rows, config): dates, numbers, booleans and texts, by the types of the catalogue."""
    hub.migrate_from(database, "users", to=table_id)
    users = hub.get_tesseract(table_id)
    assert {column["name"]: column["type"] for column in users.columns} == {
        "id": "int64",
        "name": "string",
        "email": "string",
        "created_at": "timestamp",
        "is_active": "bool",
    }
    assert users.get(1) == {
        "id": 1,
        "name": "User 1",
        "email": "u1@x",
        "created_at": datetime(2024, 5, 1, 9, 30, tzinfo=UTC),
        "is_active": True,
    }


# --- Updated Sorting API: the utility


def test_sorting_by_hand_is_sorting_by_the_server(hub: EventHorizon, table_id: str) -> None:
    """const { compare } = require('./lib/utils'): by name, then the newest first."""
    table = hub.create_tesseract(
        table_id,
        [
            {"name": "id", "type": "int64", "primary_key": True},
            {"name": "name", "type": "string"},
            {"name": "score", "type": "number"},
            {"name": "created_at", "type": "date"},
        ],
    )
    days = [datetime(2024, 5, day, tzinfo=UTC) for day in (3, 1, 2)]
    names = ["Zoë", "ada", None, "Ada", "ada", "Zoe"]
    scores = [2.0, float("nan"), None, -1.0, 2.0, 0.0]
    table.add([{"id": n, "name": names[n], "score": scores[n], "created_at": days[n % 3]} for n in range(6)])

    def by_name(a: dict[str, Any], b: dict[str, Any]) -> int:
        return compare(a["name"], b["name"]) or compare(b["created_at"], a["created_at"])

    def by_score(a: dict[str, Any], b: dict[str, Any]) -> int:
        return compare(a["score"], b["score"]) or compare(a["id"], b["id"])

    rows = table.get_data().to_list()
    for by, sort in ((by_name, [{"field": "name"}, {"field": "created_at", "direction": "desc"}]), (by_score, "score")):
        by_hand = sorted(rows, key=functools.cmp_to_key(by))
        assert [row["id"] for row in by_hand] == [row["id"] for row in table.query(sort=sort)]
    assert (compare(1, 2), compare(2, 2), compare("b", "a"), compare(None, 1)) == (-1, 0, 1, 1)
    with pytest.raises(TypeError):
        compare(1, "a")
