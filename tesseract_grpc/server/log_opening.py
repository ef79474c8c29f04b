"""Which log a hub has, by the configuration."""

from __future__ import annotations

import socket
from pathlib import Path

from tesseract_grpc.engine.data.commit_log import Durability, HubLog
from tesseract_grpc.server.config import ConfigError, ServerConfig
from tesseract_grpc.store.directory import begin_epoch
from tesseract_grpc.store.redis_log import RedisLog, life_of
from tesseract_grpc.store.redis_source import BadRedisUrl, RedisSettings
from tesseract_grpc.store.sqlite_log import SqliteLog

_DURABILITIES = {"memory": Durability.MEMORY, "normal": Durability.NORMAL, "fsync": Durability.FSYNC}


def check(config: ServerConfig) -> None:
    """Raises ConfigError where it does not say where hubs are kept."""
    if config.redis is None:
        return
    if config.data is not None:
        raise ConfigError("hubs are kept either in a directory (data) or in Redis (redis), not in both")
    redis_settings(config)


def open_log(config: ServerConfig, hub: str) -> HubLog | None:
    """The log of a hub; None for one in memory. Raises LogFailed, LogDamaged."""
    if config.redis is not None:
        return RedisLog(redis_settings(config), hub, life_of(config.node or socket.gethostname()))
    if config.data is None:
        return None
    return SqliteLog(directory_of(config.data, hub), _DURABILITIES[config.durability])


def redis_settings(config: ServerConfig) -> RedisSettings:
    """How Redis is reached. Raises ConfigError."""
    assert config.redis is not None
    password = ""
    if config.redis_password_file is not None:
        try:
            password = config.redis_password_file.read_text().rstrip("\n")
        except (OSError, ValueError) as error:
            raise ConfigError(f"the file {config.redis_password_file} cannot be read: {error}") from None
    try:
        return RedisSettings(
            config.redis,
            config.redis_username or "",
            password,
            str(config.redis_tls_ca or ""),
            str(config.redis_tls_cert or ""),
            str(config.redis_tls_key or ""),
            config.redis_timeout,
        )
    except BadRedisUrl as error:
        raise ConfigError(f"option 'redis': {error}") from None


def begin_epochs(config: ServerConfig) -> dict[str, str]:
    """Begins a new epoch for every hub; returns them by id. Raises LogFailed, LogDamaged, ConfigError."""
    if config.data is None:
        raise ConfigError("a new epoch needs data: hubs in memory begin one with every start")
    return {hub: begin_epoch(directory_of(config.data, hub)) for hub in config.hubs}


def directory_of(data: Path, hub: str) -> Path:
    """Where the data of a hub is. Ids of hubs may be `.` and `..`, which mean something else to a file system."""
    return data / f"hub-{hub}"
