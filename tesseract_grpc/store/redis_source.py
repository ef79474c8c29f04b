"""Where Redis is: one server, a primary that Sentinels know of, or the node of a Cluster that has a hub's slot.

    redis://[user:password@]host:port/db            one server; rediss:// with TLS, unix:///path for a socket
    redis+sentinel://host:port,host:port/service    the primary that Sentinels name; rediss+sentinel:// with TLS
    redis+cluster://host:port,host:port             the node that has the slot of a key; rediss+cluster:// with TLS

Everything of a hub is in one slot (its keys share a hash tag), so whatever the form, a hub talks to one server at a
time: its *primary*. A `RedisSource` finds it, and finds it anew after `forget`, which its users call after every error:
a primary that is gone, or is one no more, is then not asked again.

Nothing is sent again behind the caller's back. Whether a command that got no answer was carried out is a question that
only the log can answer, see `redis_log`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

_PLAIN = ("redis", "rediss", "unix")
_SCHEMES = (*_PLAIN, "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
_DEFAULT_PORTS = {"sentinel": 26379, "cluster": 6379}


class BadRedisUrl(ValueError):
    """The address of Redis is not one of the forms that are known. The message never holds a password."""


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """How Redis is reached. Seconds and paths; what is empty is not used."""

    url: str = field(repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    timeout: float = 5.0
    """The longest time for a connection, and for an answer, in seconds."""

    def __post_init__(self) -> None:
        """Raises BadRedisUrl."""
        _parsed(self.url)

    @property
    def shown(self) -> str:
        """The address without its password, for logs and people."""
        return _parsed(self.url).shown


@dataclass(frozen=True, slots=True)
class _Address:
    scheme: str
    hosts: tuple[tuple[str, int], ...]
    path: str
    username: str
    password: str = field(repr=False)

    @property
    def tls(self) -> bool:
        return self.scheme.startswith("rediss")

    @property
    def kind(self) -> str:
        """plain, sentinel or cluster."""
        return self.scheme.partition("+")[2] or "plain"

    @property
    def shown(self) -> str:
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return f"{self.scheme}://{hosts}{self.path}"


class RedisSource:
    """Connections to the primary of a hub. Safe in several threads; a `Redis` that it gives is, too."""

    def __init__(self, settings: RedisSettings, key: str) -> None:
        """`key` is any key of the hub. Nothing is connected yet."""
        self.settings = settings
        self._key = key
        self._address = _parsed(settings.url)
        self._lock = threading.Lock()
        self._primary: Redis | None = None
        self._behind: Any = None  # the Sentinels or the Cluster

    def primary(self) -> Redis:
        """The server to talk to. Raises RedisError (also as ConnectionError and TimeoutError of redis) when none is
        found."""
        with self._lock:
            if self._primary is None:
                self._primary = self._find()
            return self._primary

    def forget(self) -> None:
        """Asks again who the primary is, the next time; connections to the present one are closed."""
        with self._lock:
            primary, self._primary = self._primary, None
            behind, self._behind = self._behind, None
        for each in (primary, behind):
            if each is not None and hasattr(each, "close"):
                try:
                    each.close()
                except (RedisError, OSError):  # it is gone anyway
                    continue

    def close(self) -> None:
        """Lets go of every connection."""
        self.forget()

    def _find(self) -> Redis:
        address, options = self._address, self._options()
        if address.kind == "sentinel":
            apart = {key: value for key, value in options.items() if key not in ("username", "password", "db")}
            self._behind = None
            sentinel: Any = Sentinel(list(address.hosts), sentinel_kwargs=apart, **options)  # type: ignore[no-untyped-call]
            host, port = sentinel.discover_master(address.path.strip("/").split("/")[0])
            for client in sentinel.sentinels:
                client.close()
            return Redis(host=host, port=port, **options)
        if address.kind == "cluster":
            nodes: list[Any] = [ClusterNode(host, port) for host, port in address.hosts]  # type: ignore[no-untyped-call]
            cluster: Any = RedisCluster(startup_nodes=nodes, require_full_coverage=False, **options)
            self._behind = cluster
            node = cluster.get_node_from_key(self._key)
            if node is None:
                raise RedisError(f"no node of the cluster at {address.shown} has the slot of {self._key!r}")
            return Redis(host=node.host, port=node.port, **options)
        if address.scheme == "unix":
            return Redis(unix_socket_path=address.path, **options)
        (host, port) = address.hosts[0]
        return Redis(host=host, port=port, **options)

    def _options(self) -> dict[str, Any]:
        """What every connection is made with."""
        settings, address = self.settings, self._address
        options: dict[str, Any] = {
            "username": settings.username or address.username or None,
            "password": settings.password or address.password or None,
            "socket_timeout": settings.timeout,
            "socket_connect_timeout": settings.timeout,
            "socket_keepalive": True,
            "retry": Retry(NoBackoff(), 0),
            "client_name": "tesseract-grpc",
            "protocol": 2,  # whose answers have one form in every release
        }
        if address.kind == "plain":
            options["db"] = _database(address)
        if address.tls:
            options |= {
                "ssl": True,
                "ssl_ca_certs": settings.tls_ca or None,
                "ssl_certfile": settings.tls_cert or None,
                "ssl_keyfile": settings.tls_key or None,
            }
        return options


def _parsed(url: str) -> _Address:
    """Raises BadRedisUrl."""
    scheme, colon, _ = url.partition("://")
    if not colon or scheme not in _SCHEMES:
        raise BadRedisUrl(f"the address of Redis must begin with one of {', '.join(f'{each}://' for each in _SCHEMES)}")
    parts = urlsplit(f"redis://{url.partition('://')[2]}")
    if parts.query or parts.fragment or parse_qs(parts.query):
        raise BadRedisUrl("the address of Redis takes no options after '?'; give them as settings")
    login, _, hosts = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    kind = scheme.partition("+")[2]
    found = tuple(_host(each, _DEFAULT_PORTS.get(kind, 6379)) for each in hosts.split(",") if each)
    address = _Address(scheme, found, parts.path, unquote(username), unquote(password))
    if scheme == "unix":
        if not parts.path:
            raise BadRedisUrl("unix:// needs the path of a socket, as in unix:///run/redis/redis.sock")
        return address
    if not found:
        raise BadRedisUrl(f"the address of Redis names no host: {address.shown}")
    if kind == "" and len(found) > 1:
        raise BadRedisUrl(f"{scheme}:// names one server; several are redis+sentinel:// or redis+cluster://")
    if kind == "sentinel" and not address.path.strip("/"):
        raise BadRedisUrl(f"redis+sentinel:// needs the name of the service, as in {address.shown.rstrip('/')}/primary")
    if kind == "cluster" and address.path.strip("/"):
        raise BadRedisUrl("a Redis Cluster has no numbered databases")
    if kind == "":
        _database(address)
    return address


def _database(address: _Address) -> int:
    text = "" if address.scheme == "unix" else address.path.strip("/")
    if text and not text.isdecimal():
        raise BadRedisUrl(f"the database of {address.scheme}:// is a number, not {text!r}")
    return int(text or 0)


def _host(text: str, port: int) -> tuple[str, int]:
    """Raises BadRedisUrl."""
    try:
        parts = urlsplit(f"//{text}")
        found = parts.port if parts.port is not None else port
    except ValueError:
        raise BadRedisUrl(f"{text.rpartition(':')[2]!r} is no port") from None
    if not parts.hostname:
        raise BadRedisUrl("an address of Redis has an empty host")
    return parts.hostname, found
