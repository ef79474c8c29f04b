"""`alter`, `rename`, `swap`, `remove` and `schema` against a real server."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner

from tesseract_grpc.cli.alteration import FORMS, alterations_of
from tesseract_grpc.cli.errors import BadArgument
from tesseract_grpc.cli.main import cli
from tesseract_grpc.client import EventHorizon, NotFound, Tesseract
from tests.cli.conftest import Command

ID = {"name": "id", "type": "int64", "primary_key": True}


@pytest.fixture
def name() -> str:
    return f"t{uuid4().hex[:8]}"


def test_alterations_as_words() -> None:
    texts = [
        'add email string required = name.toLowerCase() + "=@example.com"',
        "add n int64",
        "type age string = age + ''",
        "rename mail email2",
        "drop note",
        "key a b",
        "index age sorted",
        "index name",
        "unindex x",
    ]
    found = repr(alterations_of(texts))
    for part in (
        'from name.toLowerCase() + "=@example.com"',
        "add int64 n",
        "change type of column age using age + ''",
        "set key a, b",
    ):
        assert part in found
    assert len(alterations_of(texts)) == 9


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ad x string",
        "add x",
        "add x string 5",
        "drop",
        "drop a b",
        "drop a = b",
        "rename a",
        "key",
        "index x tree",
        "type a",
        "unindex",
    ],
)
def test_words_that_mean_nothing(text: str) -> None:
    with pytest.raises(BadArgument) as caught:
        alterations_of([text])
    assert any(form in caught.value.hint for form in FORMS.values())


def test_renaming_swapping_and_removing(command: Command, hub: EventHorizon, name: str) -> None:
    hub.create_tesseract(name, [ID]).add([{"id": 1}])
    hub.create_tesseract(f"{name}_b", [ID])
    assert command.invoke("rename", name, f"{name}_a").exit_code == 0
    ended = command.invoke("swap", f"{name}_a", f"{name}_b")
    assert ended.exit_code == 0, ended.stderr
    assert "at version" in ended.stderr
    assert hub.get_tesseract(f"{name}_b").count() == 1
    asked = CliRunner().invoke(cli, ["remove", f"{name}_b", "--address", command.address], input="n\n")
    assert "1 rows?" in asked.stderr
    assert asked.exit_code != 0
    assert hub.get_tesseract(f"{name}_b").count() == 1
    assert command.invoke("remove", f"{name}_b", "--yes").exit_code == 0
    with pytest.raises(NotFound):
        hub.get_tesseract(f"{name}_b")
    assert "UNKNOWN_TABLE" in command.invoke("remove", f"{name}_b", "--yes").stderr


def test_altering(command: Command, users: Tesseract, tmp_path: Path) -> None:
    before = users.columns
    dry = command.invoke("alter", users.name, 'add email string = name.toLowerCase() + "@x"', "--dry-run")
    assert dry.exit_code == 0, dry.stderr
    assert "would alter" in dry.stderr
    users.info()
    assert users.columns == before
    more = tmp_path / "more.json"
    more.write_text(json.dumps([{"change_column": {"column": "age", "description": "in years"}}]))
    ended = command.invoke(
        "alter", users.name, 'add email string = name.toLowerCase() + "@x"', "rename role job", "--file", str(more)
    )
    assert ended.exit_code == 0, ended.stderr
    assert "altered" in ended.stderr
    users.info()
    assert [column["name"] for column in users.columns] == ["id", "name", "age", "job", "email"]
    assert users.columns[2]["description"] == "in years"
    row = users.get(1)
    assert row is not None
    assert row["email"] == f"{row['name'].lower()}@x"
    refused = command.invoke("alter", users.name, "drop id")
    assert refused.exit_code != 0
    assert command.invoke("alter", users.name).exit_code == 2


def test_a_directory_of_migrations(command: Command, hub: EventHorizon, name: str, tmp_path: Path) -> None:
    def schema(*args: str) -> tuple[int, str]:
        ended = command.invoke("schema", *args)
        return ended.exit_code, ended.output + ended.stderr

    directory, history = str(tmp_path / "migrations"), ("--history", f"{name}_history")
    assert schema("new", directory, "Make teams", "--format", "json")[0] == 0
    assert schema("new", directory, "more", "--table", name)[0] == 0
    assert schema("new", directory, "even more", "--format", "toml")[1].strip().endswith("0003_even_more.toml")
    teams, more, _ = sorted(Path(directory).iterdir())
    assert (teams.name, more.name) == ("0001_make_teams.json", "0002_more.py")
    teams.write_text(json.dumps({"up": [{"create_table": {"id": name, "columns": [ID]}}]}))
    code, text = schema("dry-run", directory, *history)
    assert code == 0, text
    assert f"create table {name} (id)  [fits]" in text
    code, text = schema("up", directory, "--to", "1", *history)
    assert code == 0, text
    assert "applied 1 make_teams in" in text
    code, text = schema("status", directory, *history)
    assert code == 0
    assert [line.split()[:3] for line in text.splitlines()[1:4]] == [
        ["1", "make_teams", "applied"],
        ["2", "more", "pending"],
        ["3", "even_more", "pending"],
    ]
    assert schema("up", directory, *history)[0] == 0
    assert "nothing to do" in schema("up", directory, *history)[1]
    teams.write_text(json.dumps({"up": [{"create_table": {"id": name, "columns": [ID, ID]}}]}))
    code, text = schema("up", directory, *history)
    assert code == 1
    assert "CHECKSUM_DRIFT" in text
    assert "hint: put the text back" in text
    assert schema("status", directory, "--json", *history)[0] == 1
    assert schema("mark", directory, "1", "applied", *history)[0] == 0
    code, text = schema("down", directory, "--to", "0", *history)
    assert code == 0, text
    assert "took back 1 make_teams" in text
    with pytest.raises(NotFound):
        hub.get_tesseract(name)
    assert "BAD_MIGRATION" in schema("status", str(tmp_path / "nowhere"), *history)[1]
