"""New epochs for data that were put back from an older copy."""

from __future__ import annotations

from collections.abc import Mapping

from tesseract_grpc.engine.data.commit_log import LogDamaged, LogFailed
from tesseract_grpc.server.app import ServeError
from tesseract_grpc.server.config import ServerConfig
from tesseract_grpc.server.log_opening import begin_epochs


def new_epochs(config: ServerConfig) -> Mapping[str, str]:
    """Begins a new epoch for every hub of a data directory that is not served; returns them by id. To be called once,
    when an older copy of the data was put in their place. Raises ServeError, ConfigError."""
    try:
        return begin_epochs(config)
    except (LogFailed, LogDamaged) as error:
        raise ServeError(str(error)) from error
