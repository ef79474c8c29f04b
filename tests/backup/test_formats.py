"""What each format keeps: everything in the container, Parquet and JSON; in the others all that text can say."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.ipc
import pyarrow.parquet
import pytest

from tesseract_grpc.client import AsyncEventHorizon, BackupFailed, BackupProgress, EventHorizon, check_backup
from tesseract_grpc.client.core.batch import Block
from tesseract_grpc.client.core.datatype import INT64, JSON, TIMESTAMP
from tesseract_grpc.client.core.rows import Rows
from tesseract_grpc.client.core.vector import Vector
from tesseract_grpc.testing import RunningServer
from tests.backup.everything import COLUMNS, ROWS, TEXTS, definition, make, raw

EXACT = ("all.tesseract", "all.parquet", "all.json", "all.json.gz")
BY_VALUE = ("all.csv", "all.csv.gz", "all.jsonl", "all.jsonl.gz")


def without_documents(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """JSON keeps what a document says, and not how it was written."""
    return [{**row, "doc": row["doc"] and repr(json.loads(eval(row["doc"]) or "0"))} for row in rows]


@pytest.mark.parametrize("name", EXACT)
def test_a_format_with_a_schema_keeps_everything(hub: EventHorizon, tmp_path: Path, name: str) -> None:
    table = make(hub)
    result = hub.backup(tmp_path / name, ["everything"])
    assert (result.rows, result.warnings, result.bytes) == (ROWS, (), (tmp_path / name).stat().st_size)
    restored = hub.restore(tmp_path / name, rename="again", verify=True)
    assert (restored.rows, dict(restored.tables), restored.inferred) == (ROWS, {"again": ROWS}, None)
    again = hub.get_tesseract("again")
    assert definition(again) == definition(table)
    if "json" in name:
        assert without_documents(raw(again)) == without_documents(raw(table))
    else:
        assert raw(again) == raw(table)


@pytest.mark.parametrize("name", BY_VALUE)
def test_a_format_without_a_schema_keeps_the_values(hub: EventHorizon, tmp_path: Path, name: str) -> None:
    """Given what the columns are, the rows are the same; what cannot be inferred again is warned of."""
    table = make(hub)
    result = table.backup(tmp_path / name)
    assert any("doc (json)" in warning for warning in result.warnings)
    plain = [{k: v for k, v in column.items() if k not in ("expression", "default_expression")} for column in COLUMNS]
    for column in plain:
        column.setdefault("type", "int64")
    hub.restore(tmp_path / name, rename="again", columns=plain, verify=True)
    found, awaited = raw(hub.get_tesseract("again")), raw(table)
    assert without_documents(found) == without_documents(awaited)
    if "csv" in name:
        assert found == awaited, "a document is its text there"


@pytest.mark.parametrize("name", BY_VALUE)
def test_what_is_inferred_is_what_the_values_say(hub: EventHorizon, tmp_path: Path, name: str) -> None:
    make(hub).backup(tmp_path / name)
    inferred = hub.restore(tmp_path / name, rename="again", key=["region", "number"]).inferred
    assert inferred is not None
    types = {column.name: column.type for column in inferred.columns}
    lines = "jsonl" in name
    assert types == {
        "region": "string",
        "number": "int64",
        "whole": "int64",
        "double": "float64",
        "text": "string",
        "at": "timestamp",
        "flag": "bool",
        "doc": "json" if lines else "string",
        "kind": "string",
        "twice": "int64",
        "stamp": "timestamp",
        'a,b "c"\n': "string",
        "=1+ü": "bool",
        "nothing": "string",
    }
    assert hub.get_tesseract("again").key == ("region", "number")
    doubts = {column.name: column.doubts for column in inferred.columns if column.doubts}
    assert doubts["nothing"] == ("every row is null: any type would do",)
    assert [row["text"] for row in hub.get_tesseract("again").get_data()].count("") == ROWS // len(TEXTS) + 1


def test_a_document_null_is_refused_where_it_would_be_no_document(hub: EventHorizon, tmp_path: Path) -> None:
    table = hub.create_tesseract(
        "docs", [{"name": "id", "type": "int64", "primary_key": True}, {"name": "doc", "type": "json"}]
    )
    # The client makes null of None; a document null has to come as its text.
    columns = {"id": Vector(INT64, np.array([1, 2])), "doc": Vector.of_texts(JSON, ["null", "[null]"])}
    table.add(Rows([Block(2, columns)], {"id": INT64, "doc": JSON}, total_count=2, version=0))
    for name in ("docs.json", "docs.jsonl"):
        with pytest.raises(BackupFailed) as failed:
            table.backup(tmp_path / name)
        assert failed.value.reason == "NOT_KEPT"
    assert list(tmp_path.iterdir()) == []
    for name in ("docs.tesseract", "docs.parquet"):
        table.backup(tmp_path / name)
        hub.restore(tmp_path / name, rename="again")
        assert raw(hub.get_tesseract("again")) == raw(table)
        hub.remove_tesseract("again")


def test_a_moment_without_a_text_is_refused_in_texts(hub: EventHorizon, tmp_path: Path) -> None:
    table = hub.create_tesseract(
        "moments", [{"name": "id", "type": "int64", "primary_key": True}, {"name": "at", "type": "timestamp"}]
    )
    table.add({"id": [1], "at": Vector(TIMESTAMP, np.array([-(2**63)]))})
    with pytest.raises(BackupFailed) as failed:
        table.backup(tmp_path / "moments.csv")
    assert failed.value.reason == "NOT_KEPT"
    table.backup(tmp_path / "moments.parquet")
    hub.restore(tmp_path / "moments.parquet", rename="again")
    assert raw(hub.get_tesseract("again")) == raw(table)


def test_others_can_read_the_files(hub: EventHorizon, tmp_path: Path) -> None:
    make(hub)
    hub.backup(tmp_path / "all.tesseract")
    with zipfile.ZipFile(tmp_path / "all.tesseract") as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        (table,) = manifest["tables"]
        part = table["part"]
        with pyarrow.ipc.open_stream(archive.open(part["name"])) as stream:
            assert stream.read_all().num_rows == part["rows"] == ROWS
    assert (manifest["format"], manifest["format_version"]) == ("tesseract-backup", 1)
    assert len(part["sha256"]) == 64
    hub.get_tesseract("everything").backup(tmp_path / "all.parquet")
    parquet = pyarrow.parquet.read_table(tmp_path / "all.parquet")
    assert parquet.column("text").to_pylist()[:3] == [TEXTS[1], TEXTS[2], TEXTS[3]]
    assert parquet.schema.field("at").type == pyarrow.timestamp("us", "UTC")


def test_the_layout_of_the_guide(hub: EventHorizon, tmp_path: Path) -> None:
    users = hub.create_tesseract(
        "users", [{"name": "id", "type": "int64", "primary_key": True}, {"name": "name", "type": "string"}]
    )
    users.add([{"id": 1, "name": "Ada"}, {"id": 2, "name": None}])
    users.backup(tmp_path / "users.json")
    found = json.loads((tmp_path / "users.json").read_text())
    assert found["data"] == [{"id": 1, "name": "Ada"}, {"id": 2, "name": None}]
    metadata = found["metadata"]
    assert (metadata["tableName"], metadata["version"], metadata["recordCount"]) == ("users", "2.0", 2)
    assert metadata["backupDate"].endswith("Z")
    assert found["schema"]["columns"] == users.columns
    guides = {
        "metadata": {
            "tableName": "people",
            "backupDate": "2024-01-01T00:00:00.000Z",
            "version": "2.0",
            "recordCount": 2,
        },
        "schema": None,
        "data": [
            {"id": 1, "born": "2001-02-03T04:05:06.789Z", "score": 1.5, "tags": ["a"], "ok": True},
            {"id": 2, "born": None, "score": 2, "tags": [], "ok": None, "late": "x"},
        ],
    }
    path = tmp_path / "guide.json"
    path.write_text(json.dumps(guides, indent=2))
    result = hub.restore(path)
    assert result.inferred is not None
    types = [(column.name, column.type) for column in result.inferred.columns]
    assert types == [
        ("id", "int64"),
        ("born", "timestamp"),
        ("score", "float64"),
        ("tags", "json"),
        ("ok", "bool"),
        ("late", "string"),
    ]
    assert hub.get_tesseract("people").count() == 2
    guides["schema"] = {
        "columns": [{"name": "id", "primaryKey": True, "type": "number"}, {"name": "born", "type": "date"}]
    }
    guides["data"] = [{"id": 1, "born": "2001-02-03T04:05:06.789Z"}, {"id": 2, "born": None}]
    path.write_text(json.dumps(guides))
    with pytest.raises(Exception, match="cannot be"):  # a double is no key here
        hub.restore(path, rename="people2")
    assert [table.name for table in hub.list_tesseracts()] == ["people", "users"]


def test_a_whole_hub(hub: EventHorizon, other: EventHorizon, tmp_path: Path) -> None:
    """Tables, derived tables over sessions over derived tables, sessions: all of it, in another hub."""
    table = make(hub)
    hub.create_session(
        "loud", table="everything", filter="whole != null", sort=[{"field": "number", "direction": "desc"}]
    )
    hub.create_tesseract_from_session("loudest", hub.get_session("loud"))
    hub.create_session(
        "top", table="loudest", filter="number > 0", description="of what is loud", permanent_filter="number < 200"
    )
    hub.create_session("by", table="everything", group_by="region", aggregates={"n": "count"})
    hub.create_session(table="everything", filter="number > 3")  # without an id: of this process alone
    hub.create_tesseract("empty", [{"name": "id", "type": "string", "primary_key": True}])
    told: list[BackupProgress] = []
    result = hub.backup(tmp_path / "hub.tesseract", on_progress=told.append)
    assert dict(result.tables) == {"everything": ROWS, "empty": 0, "loudest": 0}
    assert sorted(result.sessions) == ["by", "loud", "top"]
    assert told[-1].rows == told[-1].total == ROWS
    assert (result.version, result.epoch) == (hub.info().version, hub.info().epoch)
    info = check_backup(tmp_path / "hub.tesseract")
    assert (info.hub, info.version, info.epoch, info.checked) == ("default", result.version, result.epoch, True)
    restored = other.restore(tmp_path / "hub.tesseract", verify=True)
    assert dict(restored.tables) == dict(result.tables)
    assert raw(other.get_tesseract("everything")) == raw(table)
    for name in ("loud", "top", "by"):
        assert list(map(repr, other.get_session(name).get_data())) == list(map(repr, hub.get_session(name).get_data()))
    assert other.get_session("top")._session.description == "of what is loud"
    other.get_tesseract("everything").add({"region": "n", "number": 150, "text": "new", "whole": 1})
    assert other.get_session("top").get_data().total_count == hub.get_session("top").get_data().total_count + 1


def test_a_session_that_means_something_else_by_now(hub: EventHorizon, other: EventHorizon, tmp_path: Path) -> None:
    """What reads a session reads it as it was then: after an edit it is told in other words, and means the same."""
    make(hub)
    low = hub.create_session("low", table="everything", filter="number < 0")
    hub.create_session("lowest", source="low", filter="number < -50")
    low.update(filter="number > 0")
    hub.create_tesseract_from_session("positive", hub.get_session("low"))
    hub.create_session("gone", table="everything", filter="number < -60")
    hub.create_session("over", source="gone")
    hub.remove_session("gone")
    hub.backup(tmp_path / "hub.tesseract")
    other.restore(tmp_path / "hub.tesseract")
    for name in ("low", "lowest", "over"):
        assert list(map(repr, other.get_session(name).get_data())) == list(
            map(repr, hub.get_session(name).get_data())
        ), name
    assert other.get_tesseract("positive").count() == hub.get_tesseract("positive").count() > 0


def test_some_tables(hub: EventHorizon, other: EventHorizon, tmp_path: Path) -> None:
    make(hub)
    make(hub, "second", 5)
    hub.create_session("s", table="second")
    derived = hub.create_tesseract_from_session("derived", hub.get_session("s"))
    path = tmp_path / "some.tesseract"
    assert dict(hub.backup(path, ["second"]).tables) == {"second": 5}
    with pytest.raises(Exception, match="'derived' reads the session 's'"):
        hub.backup(path, ["derived", "second"], overwrite=True)
    hub.backup(path, ["derived", "second"], sessions=True, overwrite=True)
    assert dict(other.restore(path, tables=["second"]).tables) == {"second": 5}
    assert other.list_sessions() == []
    derived.backup(tmp_path / "derived.csv")
    assert dict(other.restore(tmp_path / "derived.csv", key=["region", "number"]).tables) == {"derived": 5}
    with pytest.raises(BackupFailed) as failed:
        hub.backup(tmp_path / "two.csv", ["everything", "second"])
    assert failed.value.reason == "BAD_OPTION"


async def test_asyncio_does_the_same(server: RunningServer, hub: EventHorizon, tmp_path: Path) -> None:
    table = make(hub)
    async with AsyncEventHorizon.connect(server.address, timeout=10) as connected:
        result = await connected.backup(tmp_path / "a.tesseract")
        assert result.rows == ROWS
        restored = await connected.restore(tmp_path / "a.tesseract", rename={"everything": "again"}, verify=True)
        assert restored.verified
        assert await (await connected.get_tesseract("again")).count() == ROWS
        await (await connected.get_tesseract("again")).backup(tmp_path / "a.parquet")
    assert raw(hub.get_tesseract("again")) == raw(table)
