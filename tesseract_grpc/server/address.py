"""Where the server listens, and whether it may: loopback by default, a public address only when it is protected."""

from __future__ import annotations

import ipaddress

from tesseract_grpc.server.config import ConfigError, ServerConfig


def is_loopback(listen: str) -> bool:
    """Whether only this machine can reach the address."""
    if listen.startswith(("unix:", "unix-abstract:")):
        return True
    host = split(listen)[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def split(listen: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[v6]:port`. Raises ConfigError."""
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(f"option 'listen': '{listen}' is not host:port, [host]:port or unix:/path")
    return host.removeprefix("[").removesuffix("]"), int(port)


def metrics_host(config: ServerConfig) -> str:
    """The host that metrics are served on: its own, that of listen, or of a socket's machine the loopback."""
    if config.metrics_host is not None:
        return config.metrics_host
    return "127.0.0.1" if config.listen.startswith("unix") else split(config.listen)[0]


def http_host(config: ServerConfig) -> str:
    """The host that browsers connect to, in the same way."""
    if config.http_host is not None:
        return config.http_host
    return "127.0.0.1" if config.listen.startswith("unix") else split(config.listen)[0]


def join(host: str, port: int) -> str:
    """`host:port`, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check(config: ServerConfig) -> None:
    """Raises ConfigError when the address would open the tables to the network unprotected."""
    if bool(config.tls_cert) != bool(config.tls_key):
        raise ConfigError("options 'tls_cert' and 'tls_key' belong together: give both or none")
    if config.tls_client_ca and not config.tls_cert:
        raise ConfigError("option 'tls_client_ca' needs tls_cert and tls_key")
    listens = [config.listen]
    if config.http_port is not None:
        listens.append(join(http_host(config), config.http_port))
    public = [listen for listen in listens if not is_loopback(listen)]
    if not public or config.insecure:
        return
    knows_clients = config.token_file is not None or config.tls_client_ca is not None
    if config.tls_cert is None or not knows_clients:
        raise ConfigError(
            f"{public[0]} can be reached from other machines: give tls_cert, tls_key and token_file "
            "(or tls_client_ca), or say --insecure if the network is trusted"
        )
