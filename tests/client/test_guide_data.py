"""The guide of the ancestor, "Data Migration": backups, restores and the evolution of a schema, in Python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc.client import BackupFailed, BackupProgress, EventHorizon, NotFound, SchemaMigrator, Tesseract
from tesseract_grpc.client import compat as tesseract
from tesseract_grpc.testing.serving import RunningServer

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "name", "type": "string"},
    {"name": "created_at", "type": "date"},
]
DAY = datetime(2024, 5, 1, tzinfo=UTC)
ROWS = [{"id": n, "name": f"User Nr{n}", "created_at": DAY + timedelta(days=n)} for n in range(1, 1201)]


@pytest.fixture
def hub(server: RunningServer) -> Iterator[EventHorizon]:
    with EventHorizon.connect(server.address, timeout=10) as found:
        yield found


@pytest.fixture
def users(hub: EventHorizon, table_id: str) -> Tesseract:
    table = hub.create_tesseract(table_id, COLUMNS)
    table.add(ROWS)
    return table


# --- Backup and Restore


def test_a_table_is_backed_up_in_the_layout_of_the_guide(users: Tesseract, tmp_path: Path) -> None:
    """backupTable(tableName, filePath): {metadata: {tableName, backupDate, version, recordCount}, schema, data}."""
    path = tmp_path / "users_backup.json"
    result = users.backup(path)
    assert result.rows == 1200
    written = json.loads(path.read_text())
    assert written.keys() >= {"metadata", "schema", "data"}
    assert written["metadata"]["tableName"] == users.name
    assert written["metadata"]["recordCount"] == len(written["data"]) == 1200
    assert written["metadata"].keys() >= {"tableName", "backupDate", "version", "recordCount"}
    assert [column["name"] for column in written["schema"]["columns"]] == ["id", "name", "created_at"]


def test_a_table_is_restored_under_a_new_name(hub: EventHorizon, users: Tesseract, tmp_path: Path) -> None:
    """restoreTable(filePath, newTableName), in batches and with progress."""
    path = tmp_path / "users_backup.json"
    users.backup(path)
    told: list[BackupProgress] = []
    hub.restore(path, rename=f"{users.name}_restored", on_progress=told.append)
    restored = hub.get_tesseract(f"{users.name}_restored")
    assert restored.columns == users.columns
    assert restored.get_data() == users.get_data()
    assert {each.phase for each in told} >= {"restoring"}


def test_a_table_that_does_not_exist_has_no_backup(hub: EventHorizon, tmp_path: Path) -> None:
    """throw new Error(`Table ${tableName} not found`)."""
    with pytest.raises(NotFound):
        hub.get_tesseract("nobody").backup(tmp_path / "nobody.json")
    with pytest.raises((NotFound, BackupFailed)):
        hub.backup(tmp_path / "nobody.tesseract", tables=["nobody"])
    assert list(tmp_path.iterdir()) == []


def test_a_schema_is_inferred_where_the_file_has_none(hub: EventHorizon, table_id: str, tmp_path: Path) -> None:
    """inferSchema(data): types from the values, `id` is the key; and what was inferred is told."""
    path = tmp_path / "rows.json"
    data = [{"id": n, "name": f"n{n}", "score": n / 2, "ok": n > 1, "at": f"2024-05-0{n}T10:00:00Z"} for n in (1, 2, 3)]
    path.write_text(json.dumps({"metadata": {"tableName": "x", "recordCount": 3}, "schema": None, "data": data}))
    result = hub.restore(path, rename=table_id)
    table = hub.get_tesseract(table_id)
    assert {column["name"]: column["type"] for column in table.columns} == {
        "id": "int64",
        "name": "string",
        "score": "float64",
        "ok": "bool",
        "at": "timestamp",
    }
    assert table.key == ("id",)
    assert table.count() == 3
    assert result.inferred


# --- Schema Evolution


def add_email(table: Any, event_horizon: Any) -> Any:
    """Migration v1 -> v2 of the guide, word for word: a new table with one column more, in the place of the old one."""
    name = table.name
    current = table.getData()
    new = event_horizon.createTesseract(
        name + "_v2",
        {
            "columns": [
                {"name": "id", "primaryKey": True, "type": "number"},
                {"name": "name", "type": "string"},
                {"name": "email", "type": "string"},
                {"name": "created_at", "type": "date"},
            ]
        },
    )
    new.add([{**row, "email": row["name"].lower().replace(" ", ".") + "@example.com"} for row in current])
    event_horizon.removeTesseract(name)
    return event_horizon.renameTesseract(name + "_v2", name)


def add_computed(table: Any, event_horizon: Any) -> Any:
    """Migration v2 -> v3 of the guide: columns that are worked out."""
    name = table.name
    enhanced = event_horizon.createTesseract(
        name + "_v3",
        {
            "columns": [
                {"name": "id", "primaryKey": True, "type": "number"},
                {"name": "name", "type": "string"},
                {"name": "email", "type": "string"},
                {"name": "created_at", "type": "date"},
                {
                    "name": "account_age_days",
                    "expression": "(Date.now() - created_at.getTime()) / (1000 * 60 * 60 * 24)",
                },
                {"name": "display_name", "expression": 'name + " <" + email + ">"'},
            ]
        },
    )
    enhanced.add(table.getData().to_list())
    event_horizon.removeTesseract(name)
    return event_horizon.renameTesseract(name + "_v3", name)


def test_the_migrator_of_the_guide(server: RunningServer, users: Tesseract) -> None:
    """class SchemaMigrator: addMigration(2, ...), addMigration(3, ...), migrate('users', 1, 3)."""
    with tesseract.EventHorizon(server.address) as event_horizon:
        migrator = tesseract.SchemaMigrator(event_horizon, history=f"{users.name}_history")
        migrator.addMigration(3, add_computed)  # sorted by their versions
        migrator.addMigration(2, add_email)
        table = migrator.migrate(users.name, 1, 3)
        row = table.get(7)
        assert row is not None
        assert row["email"] == "user.nr7@example.com"
        assert row["display_name"] == "User Nr7 <user.nr7@example.com>"
        assert row["account_age_days"] > 300
        assert table.count() == 1200
        assert [each.state for each in migrator.status(table=users.name)] == ["applied", "applied"]


def test_a_column_is_added_in_place(hub: EventHorizon, users: Tesseract) -> None:
    """Migration v1 -> v2, as it is done here: one version, while the table is in use; and back."""
    session = hub.create_session(id=f"{users.name}_live", table=users, sort="id")
    with session.mirror(window=(0, 1)) as mirror:
        migrator = SchemaMigrator(hub, history=f"{users.name}_history")
        backfill = 'name.toLowerCase().replace(" ", ".") + "@example.com"'
        email = {"name": "email", "type": "string", "backfill": backfill, "after": "name"}
        migrator.add_migration(2, [{"add_column": email}], table=users.name, name="email")
        migrator.up()
        mirror.wait_for(hub.info().version)
        assert mirror.rows()[0]["email"] == "user.nr1@example.com"
        migrator.down()
        mirror.wait_for(hub.info().version)
        assert mirror.rows()[0] == {**ROWS[0]}


def test_computed_columns_are_added_in_place(hub: EventHorizon, users: Tesseract) -> None:
    """Migration v2 -> v3, as it is done here."""
    migrator = SchemaMigrator(hub, history=f"{users.name}_history")
    age = "(Date.now() - created_at.getTime()) / (1000 * 60 * 60 * 24)"
    steps = [
        {"add_column": {"name": "account_age_days", "expression": age}},
        {"add_column": {"name": "display_name", "expression": 'name + " (" + id + ")"'}},
    ]
    migrator.add_migration(3, steps, table=users.name)
    before = hub.info().version
    planned = migrator.dry_run()
    assert [step.problem for each in planned for step in each.steps] == [""]
    assert hub.info().version == before
    migrator.up()
    row = users.get(7)
    assert row is not None
    assert row["display_name"] == "User Nr7 (7)"
    assert row["account_age_days"] > 300
    assert "expression" in hub.get_tesseract(users.name).columns[-1]


def test_migrations_in_files(hub: EventHorizon, users: Tesseract, tmp_path: Path) -> None:
    """A directory of numbered files, and the swap of two tables instead of removing and renaming."""
    (tmp_path / "0001_email.toml").write_text(
        f'table = "{users.name}"\n[[up]]\nadd_column = {{ name = "email", type = "string", backfill = "name" }}\n'
    )
    (tmp_path / "0002_narrow.py").write_text(
        f'''
def up(hub):
    table = hub.get_tesseract("{users.name}")
    new = hub.create_tesseract("{users.name}_new", [c for c in table.columns if c["name"] != "created_at"])
    new.add([{{"id": row["id"], "name": row["name"], "email": row["email"]}} for row in table.get_data()])
    hub.swap_tesseracts(table, new)

def down(hub):
    hub.swap_tesseracts("{users.name}", "{users.name}_new")
    hub.remove_tesseract("{users.name}_new")
'''
    )
    migrator = SchemaMigrator(hub, tmp_path, history=f"{users.name}_history")
    assert [each.version for each in migrator.up()] == [1, 2]
    table = hub.get_tesseract(users.name)
    assert [column["name"] for column in table.columns] == ["id", "name", "email"]
    migrator.down(0)
    table = hub.get_tesseract(users.name)
    assert (table.columns, table.count()) == (users.columns, 1200)
