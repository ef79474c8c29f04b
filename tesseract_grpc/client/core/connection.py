"""How to reach a server: the address, and the options of the channel.

What is set here and why:

* Calls that may be sent twice (reads, and writes, because every write carries a request id) are sent again while the
  server is away, until their deadline. That is done here and not by gRPC's service config, which knows neither the
  server's RetryInfo nor more than five attempts. Streams know better how to start again.
* Bandwidth probing is off. With it a client that reads slowly lets megabytes pile up on its side, and the server
  cannot tell that it is slow.
* Keepalive finds dead peers, but only together with a ping timeout.
* The channel itself reconnects with pauses of at most a few seconds instead of gRPC's two minutes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from google.protobuf.message import Message

from .errors import invalid

Option = tuple[str, str | int]

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""The largest message that is accepted from the server, unless told otherwise."""

READS = ("Get", "List", "Query", "Explain", "Validate", "RequestProgress")
"""How the requests begin that change nothing."""


def may_be_sent_twice(request: Message) -> bool:
    """Whether a request that is sent again does nothing more: it reads, or it carries a request id."""
    return request.DESCRIPTOR.name.startswith(READS) or bool(getattr(request, "request_id", ""))


@dataclass(frozen=True, slots=True)
class Tls:
    """Encryption. With nothing given, the server's certificate must be signed by an authority of the system."""

    ca_file: str | Path | None = None
    """The authorities that may sign the server's certificate (PEM)."""
    cert_file: str | Path | None = None
    """The client's certificate (PEM), where the server asks for one."""
    key_file: str | Path | None = None
    """Its key (PEM)."""
    server_name: str | None = None
    """The name that the server's certificate must have, when it is not that of the address."""

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files."""
        if (self.cert_file is None) != (self.key_file is None):
            raise invalid("MALFORMED_REQUEST", "a client certificate needs both cert_file and key_file", "tls")
        return grpc.ssl_channel_credentials(_read(self.ca_file), _read(self.key_file), _read(self.cert_file))


def _read(path: str | Path | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how patiently calls and watches are tried again while the server cannot be reached."""

    attempts: int = 4
    """How often a call is sent at most before the server has ever answered, so that a wrong address is soon told; 1
    turns retries off. A server that has answered once is waited for until the deadline of the call."""
    initial_backoff: float = 0.1
    """The first pause of a call and of a watch, at most, in seconds. Pauses are random below a limit that doubles."""
    max_backoff: float = 5.0
    """The longest pause, in seconds. What the server asks for (RetryInfo) comes on top."""
    give_up_after: float | None = None
    """After how many seconds without a stream a watch ends with Unavailable. Default: it tries for ever."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything that `connect` was told."""

    address: str
    tls: Tls | None = None
    token: str | None = field(default=None, repr=False)
    timeout: float = 30.0
    keepalive: float = 20.0
    keepalive_timeout: float = 10.0
    retry: Retry = Retry()
    max_message_bytes: int = MAX_MESSAGE_BYTES
    hub: str = "default"

    def __post_init__(self) -> None:
        positive = ("timeout", "keepalive", "keepalive_timeout", "max_message_bytes")
        wrong = [name for name in positive if not getattr(self, name) > 0]
        address: object = self.address
        if not isinstance(address, str) or not address:
            raise invalid("MALFORMED_REQUEST", "an address is a text such as localhost:50051", "address")
        if wrong:
            raise invalid("MALFORMED_REQUEST", f"{wrong[0]} must be above 0", wrong[0])
        if self.retry.attempts < 1:
            raise invalid("MALFORMED_REQUEST", "attempts must be from 1 on", "retry.attempts")

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with every call."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    @property
    def exposes_token(self) -> bool:
        """Whether the token would leave this machine unencrypted."""
        host = self.address.rpartition("://")[2].rpartition(":")[0].strip("[]")
        local = host in ("localhost", "::1") or host.startswith("127.") or self.address.startswith("unix")
        return self.token is not None and self.tls is None and not local

    def options(self, *, own_connection: bool = False) -> Sequence[Option]:
        """The options of the channel. With `own_connection` it does not share the connection that other channels of
        this process have to the same server."""
        found: list[Option] = [
            ("grpc.http2.bdp_probe", 0),
            ("grpc.keepalive_time_ms", round(self.keepalive * 1000)),
            ("grpc.keepalive_timeout_ms", round(self.keepalive_timeout * 1000)),
            ("grpc.http2.ping_timeout_ms", round(self.keepalive_timeout * 1000)),
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.initial_reconnect_backoff_ms", round(self.retry.initial_backoff * 1000)),
            ("grpc.max_reconnect_backoff_ms", round(self.retry.max_backoff * 1000)),
        ]
        if own_connection:
            found.append(("grpc.use_local_subchannel_pool", 1))
        if self.tls is not None and self.tls.server_name:
            found.append(("grpc.ssl_target_name_override", self.tls.server_name))
        return found


class Backoff:
    """Pauses between attempts: exponential, with full jitter, so that a thousand clients do not return at once."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._failures = 0

    def next(self, at_least: float | None = None) -> float:
        """The seconds to wait after one more failure; never less than the server asked for, and then too not the same
        for everybody."""
        limit = min(self._retry.max_backoff, self._retry.initial_backoff * 2**self._failures)
        self._failures = min(self._failures + 1, 30)
        return random.uniform(0, limit) + (at_least or 0.0)

    def reset(self) -> None:
        """After a success."""
        self._failures = 0
