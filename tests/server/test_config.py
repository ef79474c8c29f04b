"""Configuration: flags over environment over file over defaults; nothing unknown, nothing out of range."""

from __future__ import annotations

from pathlib import Path

import pytest

from tesseract_grpc.server import ConfigError, ServerConfig, load, options


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for option in options():
        monkeypatch.delenv(option.variable, raising=False)
    monkeypatch.delenv("TESSERACT_CONFIG", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "server.toml"
    path.write_text('listen = "127.0.0.1:1"\nidle_timeout = 1\nmax_tables = 1\nhubs = ["a", "b"]\n')
    return path


def test_the_order_of_precedence(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESSERACT_LISTEN", "127.0.0.1:2")
    monkeypatch.setenv("TESSERACT_IDLE_TIMEOUT", "2")
    config = load({"listen": "127.0.0.1:3", "insecure": None}, file)
    assert (config.listen, config.idle_timeout, config.max_tables, config.max_columns) == ("127.0.0.1:3", 2, 1, 1_000)
    assert config.hubs == ("a", "b")


def test_the_file_may_be_named_in_the_environment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESSERACT_CONFIG", str(file))
    assert load().max_tables == 1
    monkeypatch.setenv("TESSERACT_CONFIG", "/nowhere/server.toml")
    with pytest.raises(ConfigError, match="there is no configuration file"):
        load()


def test_defaults_alone() -> None:
    assert load() == ServerConfig()


def test_lists_and_switches_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESSERACT_HUBS", "east, west")
    monkeypatch.setenv("TESSERACT_INSECURE", "true")
    config = load()
    assert (config.hubs, config.insecure) == (("east", "west"), True)
    assert load({"hubs": "one"}).hubs == ("one",)


def test_what_a_program_makes_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESSERACT_MAX_TABLES", "7")
    assert ServerConfig().max_tables == 1_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("max_table = 1", "unknown option 'max_table'"),
        ("max_tables = 0", "'max_tables'"),
        ('max_tables = "many"', "'max_tables'"),
        ("idle_timeout = -1", "'idle_timeout'"),
        ('hubs = ["a b"]', "not a valid hub id"),
        ("hubs = []", "at least one hub"),
        ('hubs = ["a", "a"]', "named twice"),
        ('log_format = "xml"', "'log_format'"),
        ("piece_bytes = 100", "'piece_bytes'"),
        ("listen =", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "server.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        load(file=path)


def test_unknown_flags_and_variables_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="unknown option 'max_table'"):
        load({"max_table": 1})
    monkeypatch.setenv("TESSERACT_MAX_TABLE", "1")
    with pytest.raises(ConfigError, match="TESSERACT_MAX_TABLE"):
        load()


def test_variables_of_clients_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TESSERACT_ADDRESS", "TESSERACT_TOKEN", "TESSERACT_CA"):
        monkeypatch.setenv(name, "x")
    assert load() == ServerConfig()


def test_every_option_has_a_flag_a_variable_and_a_description() -> None:
    for option in options():
        assert option.flag == "--" + option.name.replace("_", "-")
        assert option.variable == "TESSERACT_" + option.name.upper()
        assert option.description.endswith(".")
    switches = [option.name for option in options() if option.is_switch]
    assert switches == ["insecure", "debug"]
    choices = {option.name: option.choices for option in options() if option.choices}
    assert choices == {
        "debug_level": ("debug", "info", "warning", "error"),
        "durability": ("memory", "normal", "fsync"),
        "hub_memory_policy": ("refuse", "evict"),
        "log_format": ("console", "json"),
        "log_level": ("debug", "info", "warning", "error"),
    }
