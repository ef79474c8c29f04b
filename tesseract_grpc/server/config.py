"""The server's configuration: one frozen value, every option described where it is declared.

`ServerConfig(...)` is the plain value, as tests and embedding programs make it. `load` is what the command uses: flags
over environment (`TESSERACT_LISTEN`) over TOML file over defaults. An option that does not exist is refused wherever
it is written, so a typing error cannot silently leave a default in place.

docs/CONFIGURATION.md lists the same options for people; a test compares the two.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tesseract_grpc.engine.data.schema import NAME_PATTERN

ENV_PREFIX = "TESSERACT_"
FILE_VARIABLE = "TESSERACT_CONFIG"
"""The environment variable that names the TOML file when no flag does."""

OTHER_VARIABLES = frozenset({FILE_VARIABLE, "TESSERACT_ADDRESS", "TESSERACT_TARGET", "TESSERACT_TOKEN", "TESSERACT_CA"})
"""Variables with our prefix that are not options of the server: those of clients."""


class ConfigError(ValueError):
    """The configuration cannot be used; the message says which option and why."""


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _check_hubs(hubs: tuple[str, ...]) -> tuple[str, ...]:
    if not hubs:
        raise ValueError("at least one hub is needed")
    for name in hubs:
        if not NAME_PATTERN.match(name):
            raise ValueError(f"'{name}' is not a valid hub id: 1 to 128 characters of [A-Za-z0-9_.-]")
    if len(set(hubs)) != len(hubs):
        raise ValueError("a hub is named twice")
    return hubs


def _check_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise ValueError(f"'{origin}' is not an origin: * or scheme://host[:port], in lower case, without a path")
    return origins


def _check_node(name: str) -> str:
    if not NAME_PATTERN.match(name):
        raise ValueError(f"'{name}' is not a valid name of a node: 1 to 128 characters of [A-Za-z0-9_.-]")
    return name


_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9_.:\[\]-]+")

HubNames = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_check_hubs)]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_check_origins)]
NodeName = Annotated[str, AfterValidator(_check_node)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1, le=2_147_483_647)]


class ServerConfig(BaseModel):
    """Everything that can be set. Times are in seconds, sizes in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: str = Field(
        default="127.0.0.1:50051", description="Address to serve on: host:port, or unix:/path. Port 0 takes a free one."
    )
    insecure: bool = Field(default=False, description="Allow a public address without TLS and tokens.")
    tls_cert: Path | None = Field(
        default=None, description="PEM file with the server's certificate chain. Turns TLS on."
    )
    tls_key: Path | None = Field(default=None, description="PEM file with the private key of tls_cert.")
    tls_client_ca: Path | None = Field(
        default=None,
        description="PEM file with the authorities that client certificates must be signed by. Turns mutual TLS on.",
    )
    token_file: Path | None = Field(
        default=None, description="TOML file with bearer tokens and their roles. Turns tokens on."
    )
    hubs: HubNames = Field(default=("default",), description="Ids of the hubs to serve, separated by commas.")

    http_port: Annotated[int, Field(ge=0, le=65_535)] | None = Field(
        default=None,
        description="Port for browsers and curl: the same services over HTTP/1.1. Port 0 takes a free one."
        " None by default.",
    )
    http_host: str | None = Field(
        default=None, description="Address that http_port is served on. Not set means the host of listen."
    )
    http_connections: Count = Field(default=10_000, description="Most open connections of http_port.")
    http_cors_origins: Origins = Field(
        default=(),
        description="Origins of the pages that may use http_port, separated by commas, or * for all. None by default.",
    )
    http_cors_max_age: Seconds = Field(
        default=7_200.0, description="How long a browser may remember that a page may use http_port."
    )

    data: Path | None = Field(
        default=None, description="Directory of the log: what was acknowledged survives. Without it hubs are in memory."
    )
    durability: Literal["memory", "normal", "fsync"] = Field(
        default="fsync",
        description="What an acknowledged write survives where there is data: fsync the machine, normal the process,"
        " memory nothing (the log is written behind).",
    )
    max_pending_writes: Count = Field(
        default=10_000, description="Most changes of a hub that wait for its log; more are refused."
    )
    max_pending_bytes: Count = Field(
        default=67_108_864, description="Size of the changes that wait for the log at which more are refused."
    )
    snapshot_records: Count = Field(
        default=50_000, description="Changes in the log after which a hub writes its next snapshot."
    )
    snapshot_bytes: Count = Field(
        default=268_435_456, description="Size of the changes in the log after which a hub writes its next snapshot."
    )

    redis: str | None = Field(
        default=None,
        repr=False,
        description="Address of the Redis through which several nodes share their hubs: redis://, rediss://, unix://,"
        " redis+sentinel://hosts/service, redis+cluster://hosts.",
    )
    redis_username: str | None = Field(default=None, description="User of Redis, where it is not part of the address.")
    redis_password_file: Path | None = Field(
        default=None, description="File with the password of Redis, where it is not part of the address."
    )
    redis_tls_ca: Path | None = Field(
        default=None, description="PEM file with the authorities that the certificate of rediss:// must be signed by."
    )
    redis_tls_cert: Path | None = Field(default=None, description="PEM file with this node's certificate for Redis.")
    redis_tls_key: Path | None = Field(default=None, description="PEM file with the private key of redis_tls_cert.")
    redis_timeout: Seconds = Field(default=5.0, description="Longest time that Redis may take for an answer.")
    node: NodeName | None = Field(
        default=None, description="Name of this node among those that share a Redis. Not set means the host's name."
    )

    progress_interval: Seconds = Field(default=5.0, description="Longest silence of a watch before it sends Progress.")
    tick_interval: Annotated[float, Field(ge=0.01, le=86_400)] = Field(
        default=1.0,
        description="How often the clock moves to which now() is evaluated. A commit where rows depend on it.",
    )
    idle_timeout: Seconds = Field(
        default=30.0,
        description="How long an anonymous session lives without a watcher; the most that a client can ask for.",
    )
    max_version_wait: Seconds = Field(default=10.0, description="Longest wait of a read for its min_version.")
    drain_timeout: Seconds = Field(default=10.0, description="Longest time that a shutdown waits for open calls.")
    lag_after: Seconds = Field(
        default=1.0,
        description="How long a response may wait to be taken, while commits go on, before its reader counts as slow.",
    )
    slow_reader_timeout: Seconds = Field(
        default=60.0, description="How long a response may wait to be taken before its watch is ended."
    )
    keepalive_time: Seconds = Field(
        default=8.0, description="Silence of a connection before the server pings the peer."
    )
    keepalive_timeout: Seconds = Field(
        default=4.0, description="How long a ping may stay unanswered before the connection is closed."
    )
    request_id_memory: int = Field(
        default=10_000, ge=0, le=10_000_000, description="Request ids remembered for retries, for each hub."
    )
    history_commits: Count = Field(
        default=16_384, description="Commits of each table and step of a query from which watches can be resumed."
    )
    history_rows: Count = Field(default=262_144, description="Changed rows that this history holds at the most.")
    backup_bytes: Count = Field(
        default=268_435_456,
        description="Memory for rows as they were, which a backup keeps until its client has them; above, it is ended.",
    )
    piece_bytes: int = Field(
        default=1_048_576, ge=1_024, le=3_145_728, description="Size at which results and changes are cut into pieces."
    )

    max_message_bytes: int = Field(
        default=16_777_216, ge=65_536, le=1_073_741_824, description="Largest request message."
    )
    max_rows_per_write: Count = Field(default=100_000, description="Most rows in one write request.")
    max_rows_per_table: Count = Field(default=50_000_000, description="Most rows in a table.")
    hub_memory_limit: int = Field(
        default=0,
        ge=0,
        description="Most memory of the tables of a hub, in bytes. 0 is no limit.",
    )
    hub_memory_policy: Literal["refuse", "evict"] = Field(
        default="refuse",
        description="At hub_memory_limit: refuse writes that need more, or evict rows of tables with a retention.",
    )
    max_tables: Count = Field(default=1_000, description="Most tables in a hub.")
    max_sessions: Count = Field(default=100_000, description="Most sessions in a hub.")
    max_watchers: Count = Field(default=20_000, description="Most open watches on the server.")
    max_string_bytes: Count = Field(
        default=1_048_576, description="Longest text in a STRING or JSON value, in bytes of UTF-8."
    )
    max_columns: Count = Field(default=1_000, description="Most columns in a table.")
    # A filter node is two messages deep, and protobuf reads at most 100 messages deep.
    max_filter_depth: int = Field(default=32, ge=1, le=40, description="Deepest nesting of a filter.")
    max_filter_nodes: Count = Field(default=10_000, description="Most nodes in a filter.")
    max_query_depth: int = Field(default=8, ge=1, le=12, description="Deepest nesting of queries in each other.")
    max_query_parts: Count = Field(
        default=1_000, description="Most sources, joins, columns and aggregates in a query, with those in it."
    )

    query_cache_bytes: int = Field(
        default=67_108_864,
        ge=0,
        le=1 << 40,
        description="Size of the answers of one-shot queries that are kept, for each hub, until what they read changes."
        " 0 keeps none.",
    )

    metrics_port: int = Field(
        default=0, ge=0, le=65_535, description="Port of the HTTP server for Prometheus metrics. 0 turns it off."
    )
    metrics_host: str | None = Field(
        default=None, description="Address that metrics are served on. Not set means the host of listen."
    )

    otel_endpoint: Annotated[str, Field(pattern="^https?://")] | None = Field(
        default=None, description="URL of the OTLP receiver that traces are sent to. Turns traces on."
    )

    debug: bool = Field(
        default=False, description="Turn the debug mode of all hubs on from the start. It can be changed at run time."
    )
    debug_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity of what debug mode records, from the start."
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="Form of the log: console for people, json for machines."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is logged."
    )


class _Settings(ServerConfig, BaseSettings):
    """The same options, read from flags, environment and file."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load(flags: Mapping[str, Any] | None = None, file: Path | None = None) -> ServerConfig:
    """The configuration from flags, environment and file. A flag that is None was not given. Raises ConfigError."""
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    unknown = sorted(
        name
        for name in os.environ
        if name.startswith(ENV_PREFIX)
        and name not in OTHER_VARIABLES
        and name.removeprefix(ENV_PREFIX).lower() not in ServerConfig.model_fields
    )
    if unknown:
        raise ConfigError(f"unknown environment variable {', '.join(unknown)}; docs/CONFIGURATION.md lists the options")
    if file is None and os.environ.get(FILE_VARIABLE):
        file = Path(os.environ[FILE_VARIABLE])
    if file is not None and not file.is_file():
        raise ConfigError(f"there is no configuration file {file}")

    class Settings(_Settings):
        model_config = SettingsConfigDict(toml_file=file)

    try:
        found = Settings(**given)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(problem) for problem in error.errors())) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not TOML: {error}") from None
    options = found.model_dump()
    options["otel_endpoint"] = found.otel_endpoint or _standard_endpoint()
    try:
        return ServerConfig.model_validate(options)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(problem) for problem in error.errors())) from None


def _standard_endpoint() -> str | None:
    """The receiver of traces that the environment names as OpenTelemetry has it; None where it turns them off."""
    environ = os.environ
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return None
    return environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or None


def _explain(problem: Any) -> str:
    option = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown option '{option}'; docs/CONFIGURATION.md lists the options"
    return f"option '{option}': {problem['msg'].removeprefix('Value error, ')}"


@dataclass(frozen=True, slots=True)
class Option:
    """One option, as a command line or a document shows it."""

    name: str
    flag: str
    variable: str
    default: Any
    is_switch: bool
    choices: tuple[str, ...]
    description: str


def options() -> tuple[Option, ...]:
    """Every option, in the order of the declaration."""
    return tuple(
        Option(
            name=name,
            flag="--" + name.replace("_", "-"),
            variable=ENV_PREFIX + name.upper(),
            default=field.default,
            is_switch=field.annotation is bool,
            choices=tuple(str(choice) for choice in get_args(field.annotation))
            if get_origin(field.annotation) is Literal
            else (),
            description=field.description or "",
        )
        for name, field in ServerConfig.model_fields.items()
    )
