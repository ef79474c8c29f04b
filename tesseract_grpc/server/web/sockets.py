"""The sockets of the port: where it listens, with which certificates, and how its connections are set up."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import suppress
from email.utils import formatdate

from tesseract_grpc.server.config import ConfigError, ServerConfig


def listening(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on every address of a host, all on one port. Raises OSError."""
    found: list[socket.socket] = []
    try:
        for family, kind, protocol, _, where in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            chosen = found[0].getsockname()[1] if found else port
            found.append(_bound(family, kind, protocol, (where[0], chosen, *where[2:])))
    except OSError:
        for one in found:
            one.close()
        raise
    return found


def _bound(family: int, kind: int, protocol: int, where: tuple[object, ...]) -> socket.socket:
    one = socket.socket(family, kind, protocol)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # as gRPC: all addresses of the machine are both kinds
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(where[0] != "::"))
        one.setblocking(False)
        one.bind(where)
    except OSError:
        one.close()
        raise
    return one


def tls_context(config: ServerConfig) -> ssl.SSLContext | None:
    """TLS with the server's own certificates, or None where it is off. Raises ConfigError."""
    if config.tls_cert is None or config.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
        if config.tls_client_ca is not None:
            context.load_verify_locations(config.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the TLS certificates cannot be used: {error.strerror or error}") from None
    return context


def prepare(transport: asyncio.Transport, unsent: int, stall: float, keepalive: tuple[float, float]) -> str:
    """Sets a new connection up and returns the address of its client, as gRPC writes it: what the system keeps unsent
    is little, and a peer that vanished is noticed, whether it was told something (`stall`) or nothing (`keepalive`)."""
    one: socket.socket = transport.get_extra_info("socket")
    silence, answer = (max(1, round(seconds)) for seconds in keepalive)
    settings = [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_NOTSENT_LOWAT", None), unsent),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_USER_TIMEOUT", None), round(1_000 * stall)),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", None), silence),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", None), answer),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", None), 1),
    ]
    with suppress(OSError):  # it may be gone already
        for level, name, value in settings:
            if name is not None:  # not every system has every one of them
                one.setsockopt(level, name, value)
    host, port, *rest = transport.get_extra_info("peername") or ("", 0)
    return f"ipv6:%5B{host}%5D:{port}" if rest else f"ipv4:{host}:{port}"


class _Date:
    at = 0
    text = ""


def date() -> str:
    """The time as HTTP writes it; made once a second."""
    now = int(time.time())
    if now != _Date.at:
        _Date.at, _Date.text = now, formatdate(now, usegmt=True)
    return _Date.text
