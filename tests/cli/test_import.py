"""`import` against a real server: what is shown, what is loaded, what is refused, and what a refusal leaves."""

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from pyarrow import parquet

from tesseract_grpc.client import EventHorizon, NotFound
from tests.cli.conftest import Command, clean_environment
from tests.cli.terminal import on_a_terminal


@pytest.fixture
def name() -> str:
    """A table that is not there yet."""
    return f"loaded_{uuid4().hex[:8]}"


def write(folder: Path, name: str, text: str) -> str:
    """A file with this text; its path."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def rows(hub: EventHorizon, table: str) -> list[dict[str, Any]]:
    """What is in the table."""
    return hub.get_tesseract(table).get_data().to_list()


def test_csv_into_a_new_table(command: Command, hub: EventHorizon, tmp_path: Path, name: str) -> None:
    text = "id,name,x,at\n1,Ada,1.5,2013-03-08T14:05:00Z\n2,,NaN,\n"
    ended = command.invoke("import", write(tmp_path, f"{name}.csv", text))
    assert ended.exit_code == 0, ended.output
    assert ended.stdout == ""
    announced, loaded = ended.stderr.split("loaded ")
    assert "timestamp" in announced
    assert "key: id (no nulls, no duplicates)" in announced
    assert f"2 rows into {name}" in loaded
    table = hub.get_tesseract(name)
    assert [(column["name"], column["type"]) for column in table.columns] == [
        *[("id", "int64"), ("name", "string")],
        *[("x", "float64"), ("at", "timestamp")],
    ]
    first, second = rows(hub, name)
    assert first == {"id": 1, "name": "Ada", "x": 1.5, "at": datetime(2013, 3, 8, 14, 5, tzinfo=UTC)}
    assert (second["name"], second["at"]) == (None, None)
    assert math.isnan(second["x"])


def test_json_lines_with_nested_values(command: Command, hub: EventHorizon, tmp_path: Path, name: str) -> None:
    path = write(tmp_path, "any.jsonl", '{"code": "a", "tags": ["x", "y"]}\n{"code": "b", "more": true}\n')
    assert command.invoke("import", path, "--table", name).exit_code == 0
    first, second = rows(hub, name)
    assert first["tags"] == ["x", "y"]
    assert (first["more"], second["more"], second["tags"]) == (None, True, None)
    assert hub.get_tesseract(name).key == ("code",)


def test_parquet_in_many_batches(command: Command, hub: EventHorizon, tmp_path: Path, name: str) -> None:
    count = 25_000
    table = pa.table({"n": range(count), "text": [f"t{n % 7}" for n in range(count)]})
    parquet.write_table(table, tmp_path / f"{name}.parquet")
    before = hub.info().version
    ended = command.invoke("import", str(tmp_path / f"{name}.parquet"), "--batch-rows", "4000")
    assert ended.exit_code == 0, ended.output
    assert hub.info().version == before + 1 + 7, "one commit for the table and one for each batch"
    assert (
        hub.get_tesseract(name)
        .get_data()
        .to_arrow()
        .equals(table.cast(pa.schema([("n", "int64"), ("text", "string")])))
    )


def test_a_file_without_a_key_is_numbered(command: Command, hub: EventHorizon, tmp_path: Path, name: str) -> None:
    ended = command.invoke("import", write(tmp_path, f"{name}.csv", "a\n7\n7\n"))
    assert ended.exit_code == 0, ended.output
    assert rows(hub, name) == [{"row": 1, "a": 7}, {"row": 2, "a": 7}]


def test_key_type_and_columns_can_be_chosen(command: Command, hub: EventHorizon, tmp_path: Path, name: str) -> None:
    path = write(tmp_path, f"{name}.csv", "zip,day,n,junk\n01234,2013-03-08,1,x\n01234,2013-03-09,2,y\n")
    args = ["--key", "day,zip", "--type", "zip=string", "--exclude", "junk"]
    assert command.invoke("import", path, *args).exit_code == 0
    assert hub.get_tesseract(name).key == ("day", "zip")
    assert rows(hub, name)[0] == {"day": datetime(2013, 3, 8, tzinfo=UTC), "zip": "01234", "n": 1}


def test_the_files_name_becomes_a_table_id(command: Command, tmp_path: Path) -> None:
    ended = command.invoke("import", write(tmp_path, "2013 flights (New York).csv", "id\n1\n"), "--dry-run")
    assert "into table _2013_flights__New_York_\n" in ended.stderr


def test_a_file_without_rows_makes_an_empty_table(
    command: Command, hub: EventHorizon, tmp_path: Path, name: str
) -> None:
    assert command.invoke("import", write(tmp_path, f"{name}.csv", "id,x\n"), "--type", "id=int64").exit_code == 0
    assert [column["type"] for column in hub.get_tesseract(name).columns] == ["int64", "string"]
    assert rows(hub, name) == []


def test_dry_run_shows_and_changes_nothing(command: Command, hub: EventHorizon, tmp_path: Path, name: str) -> None:
    ended = command.invoke("import", write(tmp_path, f"{name}.csv", "id\n1\n"), "--dry-run")
    assert ended.exit_code == 0
    assert "id  int64" in ended.stderr
    with pytest.raises(NotFound):
        hub.get_tesseract(name)


def test_a_table_that_exists_keeps_its_types(command: Command, hub: EventHorizon, tmp_path: Path, name: str) -> None:
    columns: list[dict[str, Any]] = [
        {"name": "id", "type": "string", "primary_key": True},
        {"name": "state", "type": "enum", "enum": ["on", "off"], "default": "off"},
        {"name": "n", "type": "float64"},
    ]
    hub.create_tesseract(name, columns)
    assert command.invoke("import", write(tmp_path, "a.csv", "id,n\n1,2\n"), "--table", name).exit_code == 0
    assert rows(hub, name) == [{"id": "1", "state": "off", "n": 2.0}]
    ended = command.invoke(
        "import", write(tmp_path, "b.csv", "id,state\n1,on\n2,off\n"), "--table", name, "--mode", "upsert"
    )
    assert ended.exit_code == 0, ended.output
    assert rows(hub, name) == [{"id": "1", "state": "on", "n": 2.0}, {"id": "2", "state": "off", "n": None}]
    refused = command.invoke("import", write(tmp_path, "c.csv", "id,state\n3,broken\n"), "--table", name)
    assert refused.exit_code == 1
    assert "BAD_ENUM_VALUE" in refused.stderr
    unknown = command.invoke("import", write(tmp_path, "d.csv", "id,other\n3,1\n"), "--table", name)
    assert unknown.exit_code == 1
    assert 'has no column "other"' in unknown.stderr
    assert len(rows(hub, name)) == 2


def test_a_refused_batch_leaves_the_ones_before_and_says_so(
    command: Command, hub: EventHorizon, tmp_path: Path, name: str
) -> None:
    path = write(tmp_path, f"{name}.csv", "id\n" + "".join(f"{n}\n" for n in [*range(25), 3, *range(25, 40)]))
    ended = command.invoke("import", path, "--key", "id", "--batch-rows", "10")
    assert ended.exit_code == 1
    assert "loaded 20 rows" in ended.stderr
    assert "DUPLICATE_KEY" in ended.stderr
    assert "hint:" in ended.stderr
    assert len(rows(hub, name)) == 20


@pytest.mark.parametrize(
    ("file", "text", "args", "code", "words"),
    [
        ("a.xlsx", "x", [], 2, ["cannot tell the format"]),
        ("a.parquet", "x", [], 1, ["UNREADABLE_FILE"]),
        ("a.csv", "", [], 1, ["UNREADABLE_FILE"]),
        ("a.csv", "a,b\n1\n", [], 1, ["UNREADABLE_FILE", "Expected 2 columns"]),
        ("a.json", '[{"a": 1}]', [], 1, ["UNREADABLE_FILE", "one JSON object"]),
        ("a.csv", "a\n1\n", ["--key", "b"], 2, ["UNKNOWN_COLUMN", "in: --key"]),
        ("a.csv", "a\n1\n", ["--exclude", "b"], 2, ["UNKNOWN_COLUMN", "in: --exclude"]),
        ("a.csv", "a\n1\n", ["--type", "a"], 2, ["COLUMN=TYPE"]),
        ("a.csv", "a\n1\n", ["--type", "a=money"], 2, ["in: --type"]),
        ("a.csv", "a\n1\n", ["--mode", "merge"], 2, ["--mode"]),
        ("a.csv", "a,b\n1,1\n,2\n", ["--key", "a"], 1, ["NULL_KEY"]),
    ],
)
def test_failures_say_what_is_wrong(
    command: Command,
    hub: EventHorizon,
    tmp_path: Path,
    name: str,
    file: str,
    text: str,
    args: list[str],
    code: int,
    words: list[str],
) -> None:
    ended = command.invoke("import", write(tmp_path, file, text), "--table", name, *args)
    assert ended.exit_code == code, ended.output
    for word in words:
        assert word in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_file_that_is_not_there(command: Command) -> None:
    ended = command.invoke("import", "/no/such/file.csv")
    assert ended.exit_code == 2
    assert "does not exist" in ended.stderr


def test_a_terminal_shows_a_bar(command: Command, hub: EventHorizon, tmp_path: Path, name: str) -> None:
    path = write(tmp_path, f"{name}.csv", "id,x\n" + "".join(f"{n},{n / 7}\n" for n in range(300_000)))
    with on_a_terminal("import", path, "--batch-rows", "2000", env=clean_environment(command.address)) as terminal:
        terminal.wait_for("/300000", "rows/s", "loaded 300,000 rows")
        assert terminal.end() == 0
    assert hub.get_tesseract(name).info().row_count == 300_000
