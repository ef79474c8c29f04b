"""Bad input: one line that says what is wrong, one that says what to do, and never a password."""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tesseract_grpc.cli.main import run as run_command
from tesseract_grpc.client import EventHorizon, MigrationFailed, MigrationProgress, TesseractError
from tesseract_grpc.client.migrate.database import Database
from tesseract_grpc.client.migrate.errors import packages_missing
from tesseract_grpc.testing.serving import RunningServer
from tests.migrate.conftest import Source
from tests.migrate.servers import PASSWORD, DatabaseMissing, free_port

SECRET = "sé/cr@t"
QUOTED = "s%C3%A9%2Fcr%40t"


@pytest.fixture
def command(server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`tesseract-grpc migrate`, in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TESSERACT_ADDRESS", server.address)

    def invoke(*given: str) -> Result:
        from tesseract_grpc.cli.main import cli

        return CliRunner().invoke(cli, ["migrate", *given], prog_name="tesseract-grpc")

    return invoke


@pytest.fixture
def users(sqlite_file: Source) -> Source:
    sqlite_file.run(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)",
        "INSERT INTO users VALUES (1, 'Ada'), (2, 'Alan')",
        "CREATE TABLE bare (a INTEGER, b INTEGER)",
        "INSERT INTO bare VALUES (1, 1), (1, 2), (2, NULL)",
        "CREATE VIEW seen AS SELECT * FROM users",
    )
    return sqlite_file


def refused(hub: EventHorizon, url: str, *given: Any, **options: Any) -> MigrationFailed:
    with pytest.raises(MigrationFailed) as failed:
        hub.migrate_from(url, *given, **options)
    assert "\n" not in failed.value.message
    return failed.value


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"nonsense {SECRET}", "BAD_DATABASE_URL"),
        (f"postgresql://reader:{QUOTED}@host:port/db", "BAD_DATABASE_URL"),
        (f"nodatabase://reader:{QUOTED}@host/db", "BAD_DATABASE_URL"),
        (f"oracle://reader:{QUOTED}@host/db", "PACKAGE_MISSING"),
        ("sqlite:///no/such/file.db", "BAD_DATABASE_URL"),
        ("sqlite://", "BAD_DATABASE_URL"),
        (f"postgresql://reader:{QUOTED}@127.0.0.1:1/db", "DATABASE_FAILED"),
        (f"mysql://reader:{QUOTED}@127.0.0.1:1/db", "DATABASE_FAILED"),
    ],
)
def test_a_wrong_url_is_told_without_the_password(hub: EventHorizon, url: str, reason: str) -> None:
    error = refused(hub, url, "users")
    assert error.reason == reason
    assert error.hint
    for part in (SECRET, QUOTED):
        assert part not in str(error) + repr(error) + error.hint
    assert error.__cause__ is None and (error.__context__ is None or error.__suppress_context__)


@pytest.mark.parametrize("server_fixture", ["postgres_server", "mariadb_server"])
def test_a_wrong_password_is_told_and_not_shown(
    request: pytest.FixtureRequest, server_fixture: str, hub: EventHorizon
) -> None:
    source: Source = request.getfixturevalue(server_fixture)
    error = refused(hub, source.url.replace(PASSWORD, QUOTED), "users")
    assert (error.reason, error.hint) == ("DATABASE_FAILED", "check user and password")
    assert SECRET not in str(error) and QUOTED not in str(error) and "reader:***@" in str(error)
    lost = refused(hub, source.url.replace("/source", "/nowhere"), "users")
    assert lost.reason == "DATABASE_FAILED" and "nowhere" in lost.message


def test_a_missing_table_is_told_with_names_like_it(source: Source, name: str, hub: EventHorizon) -> None:
    source.run(f"CREATE TABLE {name}_customers (id INTEGER PRIMARY KEY)")
    error = refused(hub, source.url, f"{name}_custmers")
    assert (error.reason, error.hint) == ("UNKNOWN_SOURCE", f"did you mean {name}_customers?")
    assert error.message == f"the database has no table '{name}_custmers'"


def test_tables_of_other_schemas_are_found(postgres_server: Source, name: str, hub: EventHorizon) -> None:
    postgres_server.run(f"CREATE SCHEMA {name}", f"CREATE TABLE {name}.users (id INTEGER PRIMARY KEY)")
    assert hub.migrate_from(postgres_server.url, f"{name}.users", to=name).table == name
    assert refused(hub, postgres_server.url, f"{name}.user").hint == "did you mean users?"


def test_a_key_is_needed_and_checked(users: Source, name: str, hub: EventHorizon) -> None:
    assert refused(hub, users.url, "bare").reason == "NO_KEY"
    assert "names several rows: 1" in refused(hub, users.url, "bare", key="a", to=name).message
    assert "is null in some rows" in refused(hub, users.url, "bare", key=("a", "b"), to=name).message
    assert refused(hub, users.url, "bare", key="c").hint == "its columns are a, b"
    assert hub.migrate_from(users.url, "seen", key="id", to=name).rows == 2


def test_a_unique_index_is_proposed_as_key(users: Source, hub: EventHorizon) -> None:
    users.run("CREATE TABLE coded (code TEXT NOT NULL, n INTEGER)", "CREATE UNIQUE INDEX one ON coded (code)")
    assert refused(hub, users.url, "coded").hint.startswith("--key code would do")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"batch": 0}, "batch"),
        ({"batch": True}, "batch"),
        ({"decimals": "maybe"}, "decimals"),
        ({"types": {"id": "money"}}, "types"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"deletions_every": 1.0}, "deletions_every"),
        ({"query": "SELECT 1"}, "table"),
        ({"colour": "red"}, "colour"),
        ({"rename": {"id": "name"}}, "rename"),
        ({"rename": {"ids": "name"}}, "rename"),
        ({"exclude": ["id"]}, "key"),
    ],
)
def test_options_that_cannot_be_meant(users: Source, hub: EventHorizon, options: dict[str, Any], field: str) -> None:
    assert refused(hub, users.url, "users", **options).field == field


def test_a_query_must_run_and_name_its_key(users: Source, name: str, hub: EventHorizon) -> None:
    assert "no such column" in refused(hub, users.url, query="SELECT absent FROM users", key="id", to=name).message
    assert refused(hub, users.url, query="SELECT 1 AS id", to=name).field == "key"
    assert refused(hub, users.url, query="SELECT 1 AS id", key="id").field == "to"


def test_a_query_with_two_columns_of_one_name_is_refused(postgres_server: Source, name: str, hub: EventHorizon) -> None:
    twice = refused(hub, postgres_server.url, query="SELECT 1 AS id, 2 AS id", key="id", to=name)
    assert twice.hint == "name them with AS" and twice.reason == "UNKNOWN_SOURCE"


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ({"source": "elsewhere"}, "is of another migration: its source is elsewhere"),
        ({"signature": {}}, "was begun with other columns or types"),
        ({"epoch": "older"}, "is not the one that"),
        ({"format": 7}, "is not the state of a migration"),
        ({"last": 3}, "is not the state of a migration"),
    ],
)
def test_a_state_that_does_not_lead_on_is_refused(
    users: Source, name: str, hub: EventHorizon, tmp_path: Path, harm: dict[str, Any], said: str
) -> None:
    state = tmp_path / "state"

    def stop(_: MigrationProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hub.migrate_from(users.url, "users", to=name, state=state, on_progress=stop)
    state.write_text(json.dumps(json.loads(state.read_text()) | harm))
    error = refused(hub, users.url, "users", to=name, state=state)
    assert error.reason == "NOT_RESUMABLE" and said in error.message and error.hint


def test_a_state_whose_table_is_gone_is_refused(users: Source, name: str, hub: EventHorizon, tmp_path: Path) -> None:
    def stop(_: MigrationProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hub.migrate_from(users.url, "users", to=name, state=tmp_path / "state", on_progress=stop)
    hub.remove_tesseract(name)
    assert "has no table" in refused(hub, users.url, "users", to=name, state=tmp_path / "state").message


def test_passwords_are_hidden_in_what_drivers_say(users: Source) -> None:
    database = Database(users.url)
    database._secrets = [QUOTED, SECRET]
    shown = database.failure("cannot read", ValueError(f"bad {SECRET} and\n{QUOTED}"))
    database.close()
    assert shown.message.endswith("bad *** and ***")


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch, hub: EventHorizon) -> None:
    for module in [each for each in sys.modules if each.startswith("tesseract_grpc.client.migrate.")]:
        if not module.endswith(("errors", "options", "report")):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, "tesseract_grpc.client.sync.migration", raising=False)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    error = refused(hub, "sqlite:///x.db", "users")
    assert (error.reason, error.hint) == ("PACKAGE_MISSING", "pip install 'tesseract-grpc[migrate]'")
    other = ImportError(name="elsewhere")
    assert packages_missing(other) is other
    importlib.invalidate_caches()


def test_the_command_copies_and_says_so(users: Source, name: str, command: Callable[..., Result]) -> None:
    done = command("--from", users.url, "--table", "users", "--to", name, "--rename", "name=label", "--batch", "1")
    assert done.exit_code == 0, done.output
    assert f"migrated 2 rows into {name}; both sides are equal at version" in done.stderr
    assert list(Path.cwd().glob("*.json")) == []


@pytest.mark.parametrize(
    ("given", "code", "reason"),
    [
        (["--table", "userz"], 1, "UNKNOWN_SOURCE"),
        (["--table", "bare"], 2, "NO_KEY"),
        (["--table", "users", "--timezone", "Mars"], 2, "BAD_OPTION"),
        (["--table", "users", "--rename", "name"], 2, "--rename"),
        (["--table", "users", "--watch"], 2, "--watch"),
        (["--table", "users", "--query", "SELECT 1"], 2, "--table"),
        (["--query", "SELECT 1 AS id", "--key", "id"], 2, "--to"),
    ],
)
def test_the_command_ends_like_the_others(
    users: Source, command: Callable[..., Result], given: list[str], code: int, reason: str, capsys: Any
) -> None:
    assert run_command(["migrate", "--from", users.url, *given]) == code
    told = capsys.readouterr().err
    assert told.startswith("error: ") and reason in told and "hint: " in told


def test_absent_databases_are_a_failure_in_ci_and_a_loud_skip_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.migrate import conftest

    def absent() -> Any:
        raise DatabaseMissing("X is not installed: apt-get install x")

    monkeypatch.setattr(conftest, "IN_CI", False)
    with pytest.raises(pytest.skip.Exception, match="DATABASE NOT TESTED: X is not installed"):
        next(conftest.started(absent))
    monkeypatch.setattr(conftest, "IN_CI", True)
    with pytest.raises(pytest.fail.Exception, match="X is not installed"):
        next(conftest.started(absent))
    assert 20_000 <= free_port() < 32_768


def test_migration_errors_are_errors_of_the_client() -> None:
    assert issubclass(MigrationFailed, TesseractError)
