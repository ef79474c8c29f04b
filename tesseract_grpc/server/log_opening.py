"""Which log a hub has, by the configuration."""

from __future__ import annotations

from pathlib import Path

from tesseract_grpc.engine.data.commit_log import CommitLog, Durability
from tesseract_grpc.server.config import ConfigError, ServerConfig
from tesseract_grpc.store.directory import begin_epoch
from tesseract_grpc.store.sqlite_log import SqliteLog

_DURABILITIES = {"memory": Durability.MEMORY, "normal": Durability.NORMAL, "fsync": Durability.FSYNC}


def open_log(config: ServerConfig, hub: str) -> CommitLog | None:
    """The log of a hub; None for one in memory. Raises LogFailed, LogDamaged."""
    if config.data is None:
        return None
    return SqliteLog(directory_of(config.data, hub), _DURABILITIES[config.durability])


def begin_epochs(config: ServerConfig) -> dict[str, str]:
    """Begins a new epoch for every hub; returns them by id. Raises LogFailed, LogDamaged, ConfigError."""
    if config.data is None:
        raise ConfigError("a new epoch needs data: hubs in memory begin one with every start")
    return {hub: begin_epoch(directory_of(config.data, hub)) for hub in config.hubs}


def directory_of(data: Path, hub: str) -> Path:
    """Where the data of a hub is. Ids of hubs may be `.` and `..`, which mean something else to a file system."""
    return data / f"hub-{hub}"
