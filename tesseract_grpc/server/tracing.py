"""Traces: where the time of a call went, for those who collect them.

Off unless an endpoint is configured; then `otel.py` takes over, which alone imports OpenTelemetry, an optional extra.
What is off costs a method call that returns nothing.

The spans of our own, beside the ones of each call:

| span | what it is around | attributes |
|---|---|---|
| tesseract.commit | a change, from being proposed to being answered | tesseract.hub, tesseract.version |
| tesseract.log.flush | one flush of the log, linked to the commits that share it | tesseract.hub, tesseract.records |
| tesseract.hydrate | the first evaluation of a session | tesseract.hub, tesseract.session |
| tesseract.sort | before that, of a large one: sorting in a worker thread | tesseract.hub |
| tesseract.snapshot | making a snapshot of a hub | tesseract.hub |
| tesseract.backup | sending a backup of a hub | tesseract.hub |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc

from tesseract_grpc.server.config import ConfigError, ServerConfig

if TYPE_CHECKING:
    from opentelemetry.trace import Span

COMMIT = "tesseract.commit"
FLUSH = "tesseract.log.flush"
HYDRATE = "tesseract.hydrate"
SORT = "tesseract.sort"
SNAPSHOT = "tesseract.snapshot"
BACKUP = "tesseract.backup"
SPANS = (COMMIT, FLUSH, HYDRATE, SORT, SNAPSHOT, BACKUP)
"""The names of our own spans."""

Attribute = str | int | float | bool


class Tracing:
    """Tracing that is off."""

    def start(self, name: str, links: Sequence[Span | None] = (), **attributes: Attribute) -> Span | None:
        """Begins a span under the present one; whoever gets one ends it. None where nobody traces."""
        return None

    def end(self, span: Span | None, error: BaseException | None = None, **attributes: Attribute) -> None:
        """Ends a span that `start` gave."""

    @contextmanager
    def span(self, name: str, **attributes: Attribute) -> Iterator[None]:
        """A span around a block."""
        yield

    def interceptors(self) -> list[grpc.aio.ServerInterceptor]:
        """What traces calls."""
        return []

    async def close(self) -> None:
        """Hands over what has not been sent yet."""


OFF = Tracing()


def open_tracing(config: ServerConfig) -> Tracing:
    """Tracing as configured. Raises ConfigError when OpenTelemetry is not installed, or has no way to the endpoint."""
    if not config.otel_endpoint:
        return OFF
    try:
        from tesseract_grpc.server.otel import OtelTracing, exporter_for
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"option 'otel_endpoint' needs OpenTelemetry, and there is no module {error.name}:"
            " pip install 'tesseract-grpc[otel]'"
        ) from None
    return OtelTracing(exporter_for(config.otel_endpoint))
