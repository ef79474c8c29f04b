"""`tables` and `query` against a real server: what they print, and how they fail."""

import csv
import io
import json
import subprocess
import sys
from typing import Any

import pytest

from tesseract_grpc.cli.demo.server_process import free_port
from tesseract_grpc.client import EventHorizon, Tesseract
from tests.cli.conftest import Command, clean_environment


def lines(text: str) -> list[Any]:
    """JSON lines as objects."""
    return [json.loads(line) for line in text.splitlines()]


def test_tables_lists_what_is_there(command: Command, users: Tesseract) -> None:
    ended = command.invoke("tables")
    assert ended.exit_code == 0
    (line,) = [line for line in ended.stdout.splitlines() if users.name in line]
    assert line.split()[:4] == [users.name, "4", "4", "id"]
    (found,) = [one for one in lines(command.invoke("tables", "--json").stdout) if one["table"] == users.name]
    assert found["rows"] == 4
    assert found["key"] == ["id"]
    assert found["columns"] == users.columns
    assert found["memory_bytes"] > 0


def test_tables_shows_the_columns_of_one(command: Command, users: Tesseract) -> None:
    out = command.invoke("tables", users.name).stdout
    rows = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert list(rows) == ["id", "name", "age", "role"]
    assert "key" in rows["id"]
    assert "enum (reader, writer)" in rows["role"]
    assert lines(command.invoke("tables", users.name, "--json").stdout)[0]["table"] == users.name


def ids(command: Command, *args: str) -> list[int]:
    """The ids that a query shows, in order."""
    ended = command.invoke("query", *args, "--json")
    assert ended.exit_code == 0, ended.stderr
    return [row["id"] for row in lines(ended.stdout)]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], [1, 2, 3, 4]),
        (["--filter", "age >= 18"], [1, 4]),
        (["--filter", "age == null"], [3]),
        (["--filter", "age is_not_null", "--filter", "name is_not_null"], [1, 2]),
        (["--filter", "age between 17 and 36"], [1, 2]),
        (["--filter", "id in 4, 1"], [1, 4]),
        (["--filter", 'name == "Grace, H."'], [3]),
        (["--filter", "name ~ a"], [1, 2, 3]),
        (["--filter", "name like a%"], [1, 2]),
        (["--filter", "role != reader"], [2]),
        (
            ["--filter", '{"any": [{"field": "id", "value": 1}, {"field": "age", "comparison": ">", "value": 80}]}'],
            [1, 4],
        ),
        (["--filter", '{"not": {"field": "id", "value": 1}}', "--filter", "age is_not_null"], [2, 4]),
        (["--sort", "-age"], [4, 1, 2, 3]),
        (["--sort", "age:nulls_first", "--limit", "2"], [3, 2]),
        (["--sort", "role:desc,name"], [2, 1, 3, 4]),
        (["--sort", "id", "--offset", "1", "--limit", "2"], [2, 3]),
        (["--limit", "0"], []),
    ],
)
def test_query_filters_sorts_and_limits(
    command: Command, users: Tesseract, args: list[str], expected: list[int]
) -> None:
    assert ids(command, users.name, *args) == expected


def test_query_formats(command: Command, users: Tesseract) -> None:
    columns = ["--columns", "name,age", "--sort", "id"]
    ended = command.invoke("query", users.name, *columns)
    assert [line.split() for line in ended.stdout.splitlines()][:2] == [["name", "age"], ["Ada", "36"]]
    assert "4 of 4 rows at version" in ended.stderr, "what is not a result goes to stderr"
    assert "4 of 4 rows" not in ended.stdout
    as_json = lines(command.invoke("query", users.name, *columns, "--json").stdout)
    assert as_json[2:] == [{"name": "Grace, H.", "age": None}, {"name": None, "age": 85}]
    as_csv = list(csv.reader(io.StringIO(command.invoke("query", users.name, *columns, "--csv").stdout)))
    assert as_csv == [["name", "age"], ["Ada", "36"], ["Alan", "17"], ["Grace, H.", ""], ["", "85"]]


def test_a_table_shows_a_hundred_rows_and_says_how_many_there_are(command: Command, hub: EventHorizon) -> None:
    table = hub.create_tesseract("many", [{"name": "id", "type": "int64", "primary_key": True}])
    table.add({"id": list(range(250))})
    ended = command.invoke("query", "many")
    assert len(ended.stdout.splitlines()) == 101
    assert "100 of 250 rows" in ended.stderr
    assert len(command.invoke("query", "many", "--csv").stdout.splitlines()) == 251
    hub.remove_tesseract(table)


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["query", "NAME", "--filter", "agee > 3"], 2, ['no column "agee"', "UNKNOWN_COLUMN", 'did you mean "age"?']),
        (["query", "NAME", "--filter", "age > old"], 2, ["not a whole number", "WRONG_TYPE", "in: --filter"]),
        (["query", "NAME", "--filter", "age"], 2, ["cannot read", "MALFORMED_FILTER", "hint:"]),
        (["query", "NAME", "--filter", '{"every": []}'], 2, ["MALFORMED_FILTER", "every"]),
        (["query", "NAME", "--filter", '{"field": "agee", "value": 1}'], 2, ["UNKNOWN_COLUMN", "agee"]),
        (["query", "NAME", "--filter", '{"field": "age", "value": "old"}'], 1, ["WRONG_TYPE", "age"]),
        (["query", "NAME", "--filter", '{"type": "custom", "value": "agee > 3"}'], 2, ["UNKNOWN_COLUMN", "line 1"]),
        (["query", "NAME", "--sort", "agee"], 2, ["UNKNOWN_COLUMN", "in: --sort"]),
        (["query", "NAME", "--columns", "agee"], 2, ["UNKNOWN_COLUMN", "in: --columns"]),
        (["query", "NAME", "--limit", "-1"], 2, ["--limit"]),
        (["query", "NAME", "--json", "--csv"], 2, ["exclude"]),
        (["query", "no-such-table"], 1, ["no-such-table", "UNKNOWN_TABLE", "hint: `tesseract-grpc tables`"]),
        (["tables", "no-such-table"], 1, ["UNKNOWN_TABLE"]),
        (["tables", "--hub", "elsewhere"], 1, ["elsewhere", "UNKNOWN_HUB"]),
        (["query"], 2, ["Usage"]),
        (["nonsense"], 2, ["nonsense"]),
    ],
)
def test_failures_say_what_is_wrong_on_stderr(
    command: Command, users: Tesseract, args: list[str], code: int, words: list[str]
) -> None:
    ended = command.invoke(*[users.name if arg == "NAME" else arg for arg in args])
    assert ended.exit_code == code, ended.output
    assert ended.stdout == ""
    for word in words:
        assert word in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_server_that_is_not_there_is_said_soon() -> None:
    ended = Command(f"127.0.0.1:{free_port()}").run("tables")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "hint: start a server with `tesseract-grpc serve`" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_reader_that_stops_reading_is_no_failure(command: Command, hub: EventHorizon) -> None:
    table = hub.create_tesseract(
        "long", [{"name": "id", "type": "int64", "primary_key": True}, {"name": "text", "type": "string"}]
    )
    table.add({"id": list(range(50_000)), "text": ["x" * 50] * 50_000})
    process = subprocess.Popen(
        [sys.executable, "-m", "tesseract_grpc.cli", "query", "long", "--csv"],
        env=clean_environment(command.address),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "id,text\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(30) == 0
    hub.remove_tesseract(table)


def test_a_full_disk_is_a_failure_without_a_traceback(command: Command) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        ended = subprocess.run(
            [sys.executable, "-m", "tesseract_grpc.cli", "version"],
            env=clean_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert "error:" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_version_names_the_libraries(command: Command) -> None:
    assert command.invoke("version").stdout.startswith("tesseract-grpc ")
    versions = lines(command.invoke("version", "--json").stdout)[0]
    assert {"tesseract-grpc", "python", "grpcio", "protobuf", "numpy"} <= versions.keys()
    assert all(versions.values())
    assert "server" not in versions
    with_server = lines(command.invoke("version", "--server", "--json").stdout)[0]
    assert with_server["server"] == versions["tesseract-grpc"]
    assert (with_server["hub"], with_server["durability"]) == ("default", "memory")
    assert "features" in command.invoke("version", "--server").stdout


def test_help_is_there_for_every_command(command: Command) -> None:
    out = command.invoke("--help").stdout
    for name in ("demo", "import", "query", "serve", "tables", "version", "watch"):
        assert f"  {name} " in out
        ended = command.invoke(name, "--help")
        assert ended.exit_code == 0
        assert "Usage" in ended.stdout


def test_retain_says_which_rows_leave(command: Command, hub: EventHorizon) -> None:
    columns: list[dict[str, Any]] = [
        {"name": "id", "type": "int64", "primary_key": True},
        {"name": "at", "type": "timestamp"},
    ]
    table = hub.create_tesseract("retained", columns)
    table.add([{"id": id} for id in range(10)])
    assert command.invoke("retain", "retained").stdout == "all rows stay\n"
    out = command.invoke("retain", "retained", "--max-age", "24h", "--age-column", "at", "--max-records", "4").stdout
    assert out == "rows leave when at is 86400 s ago, at most 4 rows\n"
    assert table.info().row_count == 4
    out = command.invoke("retain", "retained", "--interval", "60", "--memory-limit", "1000000").stdout
    assert "looked at every 60 s, at most 1000000 bytes (refuse)" in out and "at most 4 rows" in out
    assert "at most 4 rows" in command.invoke("tables", "retained").stdout
    assert "at most 4 rows" in command.invoke("tables").stdout
    shown = command.invoke("tables", "retained", "--memory").stdout.splitlines()
    parts = {" ".join(line.split()[:-2]): int(line.split()[-2]) for line in shown[1:]}
    assert parts["all"] == sum(size for part, size in parts.items() if part != "all") > 0
    assert command.invoke("retain", "retained", "--off", "--memory-limit", "0").stdout == "all rows stay\n"
    assert command.invoke("retain", "retained", "--off", "--max-records", "4").exit_code == 2
    assert command.invoke("tables", "--memory").exit_code == 2
    failed = command.invoke("retain", "retained", "--max-age", "soon")
    assert failed.exit_code == 1 and "24h" in failed.stderr
