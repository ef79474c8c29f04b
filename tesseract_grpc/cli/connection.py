"""The options that say which server and hub a command talks to, and the connection that they make."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

from tesseract_grpc.cli.errors import BadArgument
from tesseract_grpc.client import EventHorizon, Tls

Command = Callable[..., Any]

PREFIX = "target_"
SECONDS = click.FloatRange(min=0, min_open=True)
PEM_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect, and as whom."""

    address: str
    hub: str
    token: str | None
    timeout: float
    tls: bool
    ca: Path | None
    cert: Path | None
    cert_key: Path | None

    def connect(self) -> EventHorizon:
        """A connection; nothing is sent before the first call."""
        if (self.cert is None) != (self.cert_key is None):
            raise BadArgument("--cert and --cert-key belong together", field="--cert", hint="give both or none")
        encrypted = self.tls or self.ca is not None or self.cert is not None
        tls = Tls(ca_file=self.ca, cert_file=self.cert, key_file=self.cert_key) if encrypted else None
        return EventHorizon.connect(self.address, hub=self.hub, token=self.token, timeout=self.timeout, tls=tls)


def _option(name: str, text: str, **more: Any) -> Callable[[Command], Command]:
    shown: dict[str, Any] = {"show_default": "default" in more, "show_envvar": "envvar" in more}
    return click.option(f"--{name}", PREFIX + name.replace("-", "_"), help=text, **shown, **more)


OPTIONS = (
    _option("address", "The server.", default="localhost:50051", envvar="TESSERACT_ADDRESS"),
    _option("hub", "The hub on that server.", default="default"),
    _option("token", "The bearer token, where the server wants one.", envvar="TESSERACT_TOKEN"),
    _option("timeout", "Longest wait for an answer, in seconds.", default=30.0, type=SECONDS),
    _option("tls", "Encrypt; the system's authorities vouch for the server.", is_flag=True),
    _option("ca", "Encrypt; these authorities vouch for the server (PEM).", envvar="TESSERACT_CA", type=PEM_FILE),
    _option("cert", "The client's certificate (PEM), for mutual TLS.", type=PEM_FILE),
    _option("cert-key", "The key of --cert (PEM).", type=PEM_FILE),
)


def with_target(command: Command) -> Command:
    """Adds the connection's options to a command, which gets them as one `target: Target`."""

    @functools.wraps(command)
    def run(**given: Any) -> Any:
        target = Target(**{field.name: given.pop(PREFIX + field.name) for field in fields(Target)})
        return command(target=target, **given)

    decorated: Command = run
    for option in reversed(OPTIONS):
        decorated = option(decorated)
    return decorated
