"""Traces by OpenTelemetry: its standard gRPC instrumentation around every call, and our own spans below.

The provider is the server's own and not the global one, which belongs to the program around us. What the OTEL_*
environment says of the service's name, of sampling, batches, headers and timeouts holds.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import grpc
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.grpc import aio_server_interceptor, filters
from opentelemetry.instrumentation.grpc._aio_server import OpenTelemetryAioServerInterceptor
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, Span, Status, StatusCode, Tracer

from tesseract_grpc import __version__
from tesseract_grpc.server.config import ConfigError
from tesseract_grpc.server.logs import Logger, logger
from tesseract_grpc.server.tracing import Attribute, Tracing

CLOSING = 5.0
"""Seconds that handing over the last spans may take."""

MOST_LINKS = 100
"""The most commits that a flush is linked to."""

_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def exporter_for(endpoint: str) -> SpanExporter:
    """What sends spans to an OTLP receiver. Raises ConfigError."""
    protocol = next((found for name in _PROTOCOLS if (found := os.environ.get(name))), "grpc")
    if protocol == "grpc":
        return OTLPSpanExporter(endpoint=endpoint)
    if protocol != "http/protobuf":
        raise ConfigError(f"the OTLP protocol '{protocol}' is not known: grpc or http/protobuf")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
    except ModuleNotFoundError:
        raise ConfigError(
            "the OTLP protocol http/protobuf needs another package: pip install opentelemetry-exporter-otlp-proto-http"
        ) from None
    exporter: SpanExporter = HttpExporter(endpoint if urlsplit(endpoint).path.strip("/") else f"{endpoint}/v1/traces")
    return exporter


class OtelTracing(Tracing):
    """Tracing that is on."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._problems = _Problems(logger())
        logging.getLogger("opentelemetry").addHandler(self._problems)
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("tesseract-grpc", __version__)

    def start(self, name: str, links: Sequence[Span | None] = (), **attributes: Attribute) -> Span | None:
        """Begins a span under the present one; one with links stands for itself."""
        linked = [Link(span.get_span_context()) for span in links[:MOST_LINKS] if span is not None]
        return self._tracer.start_span(name, links=linked, attributes=_named(attributes), start_time=time.time_ns())

    def end(self, span: Span | None, error: BaseException | None = None, **attributes: Attribute) -> None:
        """Ends a span."""
        if span is None:
            return
        span.set_attributes(_named(attributes))
        if error is not None:  # its message may hold the value of a row
            span.set_status(Status(StatusCode.ERROR, str(getattr(error, "reason", type(error).__name__))))
        span.end()

    @contextmanager
    def span(self, name: str, **attributes: Attribute) -> Iterator[None]:
        """A span around a block; spans that begin inside are below it."""
        span = self.start(name, (), **attributes)
        assert span is not None
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield
        except BaseException as error:
            self.end(span, error)
            raise
        self.end(span)

    def interceptors(self) -> list[grpc.aio.ServerInterceptor]:
        """What traces calls, those of health checks left out."""
        standard = aio_server_interceptor(self._provider, filters.negate(filters.health_check()))
        return [_WritingInterceptor(standard._tracer, standard._filter)]

    async def close(self) -> None:
        """Hands over what has not been sent yet, to a receiver that answers in time."""
        closing = threading.Thread(target=self._provider.shutdown, name="otel", daemon=True)
        closing.start()
        await asyncio.to_thread(closing.join, CLOSING)
        logging.getLogger("opentelemetry").removeHandler(self._problems)


class _WritingInterceptor(OpenTelemetryAioServerInterceptor):
    """The standard one, which takes streaming handlers for generators; ours write to their context."""

    def __init__(self, tracer: Tracer, condition: Any) -> None:
        super().__init__(tracer, filter_=condition)  # type: ignore[no-untyped-call]

    def _intercept_aio_server_stream(self, behavior: Any, handler_call_details: Any) -> Any:
        if inspect.isasyncgenfunction(behavior):
            return super()._intercept_aio_server_stream(behavior, handler_call_details)  # type: ignore[no-untyped-call]
        return self._intercept_aio_server_unary(behavior, handler_call_details)  # type: ignore[no-untyped-call]


class _Problems(logging.Handler):
    """Says in our log what OpenTelemetry has to complain about."""

    def __init__(self, log: Logger) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """One complaint."""
        self._log.warning("tracing.problem", message=record.getMessage())


def _resource() -> Resource:
    """What the environment says that we are, and otherwise our own name."""
    said = Resource.create()
    own = {SERVICE_VERSION: __version__}
    if str(said.attributes.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service"):
        own[SERVICE_NAME] = "tesseract-grpc"
    return said.merge(Resource(own))


def _named(attributes: dict[str, Attribute]) -> dict[str, Attribute]:
    return {f"tesseract.{name}": value for name, value in attributes.items()}
