"""`serve`: one flag for every option, and a process that starts, says where, and ends as it should."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from tesseract_grpc.cli.demo.server_process import free_port, server_process
from tesseract_grpc.cli.errors import BadArgument, CommandFailed
from tesseract_grpc.cli.main import cli
from tesseract_grpc.cli.serve import configure, serve
from tesseract_grpc.client import EventHorizon
from tesseract_grpc.server import ServerConfig, options
from tests.cli.conftest import Command, clean_environment


@contextmanager
def serving(*args: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A `serve` process and the first line that it prints; killed when it is still there at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "tesseract_grpc.cli", "serve", *args],
        env=clean_environment() | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.kill()


def test_there_is_a_flag_for_every_option_and_none_without() -> None:
    flags = {flag for parameter in serve.params for flag in parameter.opts}
    assert flags == {option.flag for option in options()} | {"--config", "--new-epoch"}
    out = CliRunner().invoke(cli, ["serve", "--help"]).stdout
    for option in options():
        assert option.flag in out


def test_flags_reach_the_configuration_and_what_is_not_given_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.startswith("TESSERACT_"):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("TESSERACT_MAX_TABLES", "7")
    flags = {option.name: None for option in options()}
    assert configure(flags, None) == ServerConfig(max_tables=7)
    given = flags | {"max_tables": "8", "progress_interval": "0.5", "hubs": "a,b", "insecure": True}
    found = configure(given, None)
    assert (found.max_tables, found.progress_interval, found.hubs, found.insecure) == (8, 0.5, ("a", "b"), True)
    with pytest.raises(BadArgument, match="max_tables"):
        configure(flags | {"max_tables": "many"}, None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_ends_quietly_on_a_signal(number: signal.Signals) -> None:
    with serving("--listen", "127.0.0.1:0", "--log-level", "warning") as (process, line):
        address = line.removeprefix("listening on ").strip()
        assert Command(address).run("tables").returncode == 0
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_file_and_the_environment_configure_it_and_a_flag_goes_first(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "tesseract.toml"
    file.write_text(f'listen = "127.0.0.1:{port}"\nhubs = ["from-file"]\nlog_level = "warning"\n')
    with serving("--config", str(file), "--hubs", "from-flag", TESSERACT_MAX_TABLES="5") as (_, line):
        assert line == f"listening on 127.0.0.1:{port}\n"
        with EventHorizon.connect(f"127.0.0.1:{port}", hub="from-flag") as hub:
            assert hub.server_info().limits.max_tables == 5
            assert [found.name for found in hub.list_hubs()] == ["from-flag"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--listen", "nonsense"], ["nonsense", "host:port"]),
        (["--listen", "0.0.0.0:50051"], ["--insecure"]),
        (["--max-tables", "0"], ["max_tables"]),
        (["--progress-interval", "soon"], ["progress_interval"]),
        (["--log-level", "loud"], ["--log-level", "warning"]),
        (["--config", "/no/such/file.toml"], ["/no/such/file.toml"]),
        (["--no-such-option", "1"], ["--no-such-option"]),
        (["--tls-cert", "/no/such.pem"], ["tls_key"]),
    ],
)
def test_a_configuration_that_cannot_be_used_is_a_usage_error(args: list[str], words: list[str]) -> None:
    ended = Command("").run("serve", *args)
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    for word in words:
        assert word in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken_is_a_failure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        ended = Command("").run("serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert ended.returncode == 1
    assert "address already in use" in ended.stderr
    assert "hint: choose another address" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_demos_server_ends_with_its_block_and_ignores_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESSERACT_HUBS", "somebody-elses")
    with server_process("--log-level", "warning") as address:
        port = int(address.rpartition(":")[2])
        assert 20_000 <= port < 32_768
        with EventHorizon.connect(address) as hub:
            assert hub.info().name == "default"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_server_that_cannot_start_is_said_with_its_last_words() -> None:
    with pytest.raises(CommandFailed) as caught, server_process("--max-tables", "none"):
        pass
    assert caught.value.reason == "SERVER_START"
    assert "max_tables" in caught.value.hint


def test_what_was_recovered_is_said(tmp_path: Path) -> None:
    args = ("--listen", f"127.0.0.1:{free_port()}", "--data", str(tmp_path))
    for records in (0, 3):  # the limits in force, the table, the row
        with serving(*args) as (process, first):
            assert process.stdout is not None
            assert process.stdout.readline().startswith(f"hub default: recovered {records} records in 0.")
            with EventHorizon.connect(first.split()[-1], timeout=20) as hub:
                if not records:
                    table = hub.create_tesseract("t", [{"name": "id", "type": "int64", "primary_key": True}])
                    table.add({"id": 1})
                else:
                    assert hub.query(table="t") == [{"id": 1}]
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
