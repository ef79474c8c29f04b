"""TLS and mutual TLS from PEM files."""

from __future__ import annotations

from pathlib import Path

import grpc

from tesseract_grpc.server.config import ConfigError, ServerConfig


def credentials(config: ServerConfig) -> grpc.ServerCredentials | None:
    """The server's credentials, or None when TLS is off. With client authorities, a client without a certificate of
    theirs cannot connect. Raises ConfigError when a file cannot be read."""
    if config.tls_cert is None or config.tls_key is None:
        return None
    pair = (_read(config.tls_key, "tls_key"), _read(config.tls_cert, "tls_cert"))
    authorities = _read(config.tls_client_ca, "tls_client_ca") if config.tls_client_ca else None
    return grpc.ssl_server_credentials(
        [pair], root_certificates=authorities, require_client_auth=authorities is not None
    )


def _read(path: Path, option: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"option '{option}': cannot read {path}: {error.strerror}") from None
    if b"-----BEGIN" not in content:
        raise ConfigError(f"option '{option}': {path} is not a PEM file")
    return content
