"""`query` with groups and computed columns, whole queries from files, and `explain`, against a real server."""

import json
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc.client import EventHorizon, Tesseract
from tests.cli.conftest import Command
from tests.cli.test_tables_and_query import lines


def asked(command: Command, *args: str) -> list[Any]:
    """What a query gives."""
    ended = command.invoke("query", *args, "--json")
    assert ended.exit_code == 0, ended.stderr
    return lines(ended.stdout)


def test_query_computes(command: Command, users: Tesseract) -> None:
    args = ("--compute", "older=age + 1", "--compute", "half = older / 2", "--columns", "half,id")
    found = asked(command, users.name, *args, "--where", "half > 10", "--sort", "half:desc")
    assert found == [{"half": 43.0, "id": 4}, {"half": 18.5, "id": 1}]
    assert list(found[0]) == ["half", "id"]


def test_query_groups(command: Command, users: Tesseract) -> None:
    groups = ("--group-by", "role", "--aggregate", "n=count", "--aggregate", "oldest=max(age)")
    assert asked(command, users.name, *groups) == [
        {"role": "reader", "n": 3, "oldest": 85.0},
        {"role": "writer", "n": 1, "oldest": 17.0},
    ]
    assert asked(command, users.name, *groups, "--sort", "n", "--columns", "n", "--limit", "1") == [{"n": 1}]
    assert asked(command, users.name, *groups, "--having", "n > 1", "--columns", "role") == [{"role": "reader"}]
    by_age = ("--compute", "known=age != null", "--group-by", "known", "--aggregate", "n=count")
    assert [row["n"] for row in asked(command, users.name, *by_age)] == [1, 3]
    assert asked(command, users.name, "--aggregate", "total=sum(age * 2)", "--columns", "total") == [{"total": 276.0}]


def test_query_rolls_up(command: Command, users: Tesseract) -> None:
    found = asked(command, users.name, "--group-by", "role", "--aggregate", "n=count", "--rollup", "--sort", "level")
    assert [(row["level"], row["role"], row["n"]) for row in found] == [
        (0, None, 4),
        (1, "reader", 3),
        (1, "writer", 1),
    ]


def test_query_takes_a_whole_query_from_a_file(command: Command, users: Tesseract, tmp_path: Path) -> None:
    file = tmp_path / "query.json"
    query = {
        "source": {"table": users.name, "filter": "age > 18"},
        "groupBy": ["role"],
        "aggregates": {"n": "count"},
    }
    file.write_text(json.dumps(query))
    assert asked(command, "--json-query", str(file)) == [{"role": "reader", "n": 2}]
    ended = command.invoke("query", "--json-query", str(file))
    assert ended.stdout.split() == ["role", "n", "reader", "2"]
    assert "1 of 1 rows" in ended.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--compute", "age"], "NAME=WHAT"),
        (["--compute", "a=1", "--compute", "a=2"], "DUPLICATE_COLUMN"),
        (["--aggregate", "n=mean(age)"], "mean"),
        (["--having", "n > 1"], "--having need"),
        (["--group-by", "nobody"], "UNKNOWN_COLUMN"),
        (["--group-by", "role", "--aggregate", "n=count", "--sort", "age"], "UNKNOWN_COLUMN"),
        (["--where", "age >"], "BAD_EXPRESSION"),
        (["--compute", "x=nobody + 1"], "UNKNOWN_COLUMN"),
    ],
)
def test_what_cannot_be_asked_is_said(command: Command, users: Tesseract, args: list[str], said: str) -> None:
    ended = command.invoke("query", users.name, *args)
    assert ended.exit_code in (1, 2)
    assert said in ended.stderr + ended.output
    assert not ended.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a query"),
        ('{"table": "t", "limit": 5}', "--limit"),
        ('{"table": "t", "rows": 5}', "rows"),
        ('{"filter": "a"}', "needs a table or a source"),
    ],
)
def test_files_that_hold_no_query_are_refused(command: Command, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "query.json"
    file.write_text(text)
    for name in ("query", "explain"):
        ended = command.invoke(name, "--json-query", str(file))
        assert ended.exit_code in (1, 2)
        assert said in ended.stderr
    assert command.invoke("query", "t", "--json-query", str(file)).exit_code == 2
    assert command.invoke("query", "--json-query", str(file), "--sort", "a").exit_code == 2
    assert command.invoke("query").exit_code == command.invoke("explain").exit_code == 2


def test_explain_shows_a_plan(command: Command, users: Tesseract, address: str) -> None:
    ended = command.invoke("explain", users.name, "--filter", "age >= 18", "--sort", "-age")
    assert ended.exit_code == 0, ended.stderr
    first, *rest = ended.stdout.splitlines()
    assert first.startswith("order: by age descending (2 rows")
    assert [line.split(":")[0].strip() for line in rest] == ["filter", "table"]
    name = f"{users.name}-adults"
    with EventHorizon.connect(address) as hub:
        hub.create_session(name, table=users.name, filter="age >= 18", group_by="role", aggregates={"n": "count"})
    told = json.loads(command.invoke("explain", name, "--json").stdout)["plan"]
    assert (told["kind"], told["shared_with"]) == ("order", [name])
    assert told["inputs"][0]["kind"] == "group"
    ended = command.invoke("explain", "nobody")
    assert ended.exit_code == 1
    assert 'no session or table "nobody"' in ended.stderr


def test_explain_of_a_file(command: Command, users: Tesseract, tmp_path: Path) -> None:
    file = tmp_path / "query.json"
    file.write_text(json.dumps({"table": users.name, "computed": {"x": "age + 1"}}))
    assert "compute" in command.invoke("explain", "--json-query", str(file)).stdout
