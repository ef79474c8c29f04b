"""Traces: a span a call and our own below it, in memory and through a real OTLP receiver; off unless configured."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from grpc_health.v1 import health_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2
from tesseract_grpc.server import ConfigError, Server, ServerConfig, app, load
from tesseract_grpc.server.otel import OtelTracing
from tesseract_grpc.server.tracing import COMMIT, FLUSH, HYDRATE, SNAPSHOT, SPANS
from tests.server.support import refused, serving, spb, user

WRITE = "/tesseract.v1.TableService/Write"


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Where the spans of every server of the test go."""
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(app, "open_tracing", lambda _: OtelTracing(exporter))
    return exporter


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name.lstrip("/") == name.lstrip("/")]


async def test_every_call_is_a_span(exporter: InMemorySpanExporter) -> None:
    async with serving() as (_, api):
        await api.create_users()
        await api.insert([user(1)])
        await refused(api.insert([user(1)]))
        await api.health.Check(health_pb2.HealthCheckRequest())
    good, bad = sorted(named(exporter, WRITE), key=lambda span: span.start_time or 0)
    assert good.attributes is not None
    assert good.attributes["rpc.method"] == "Write"
    assert good.attributes["rpc.grpc.status_code"] == 0
    assert bad.attributes is not None
    assert bad.attributes["rpc.grpc.status_code"] == grpc.StatusCode.ALREADY_EXISTS.value[0]
    assert not [span for span in exporter.get_finished_spans() if "Health" in span.name]


async def test_commits_and_flushes_are_spans_of_our_own(exporter: InMemorySpanExporter, tmp_path: Path) -> None:
    async with serving(data=tmp_path, durability="normal") as (_, api):
        await api.create_users()
        await api.insert([user(1)])
        await refused(api.insert([user(1)]))
    (call, refused_call), commits = named(exporter, WRITE), named(exporter, COMMIT)
    below = {span.parent.span_id: span for span in commits if span.parent is not None}
    assert call.context is not None
    assert refused_call.context is not None
    good, bad = below[call.context.span_id], below[refused_call.context.span_id]
    assert good.attributes == {"tesseract.hub": "default", "tesseract.version": 2}
    assert good.context is not None
    assert good.context.trace_id == call.context.trace_id
    assert (bad.status.status_code, bad.status.description) == (StatusCode.ERROR, "DUPLICATE_KEY")
    flushes = named(exporter, FLUSH)
    assert sum(cast(int, (span.attributes or {})["tesseract.records"]) for span in flushes) == len(commits)
    linked = {link.context.span_id for span in flushes for link in span.links}
    assert linked == {span.context.span_id for span in commits if span.context is not None}


async def test_sessions_and_snapshots_are_spans_of_our_own(exporter: InMemorySpanExporter, tmp_path: Path) -> None:
    async with serving(data=tmp_path, snapshot_records=5) as (_, api):
        await api.create_users()
        await api.open("all")
        for id in range(10):
            await api.insert([user(id)])
        for _ in range(100):
            if (await api.hubs.GetHub(hub_service_pb2.GetHubRequest())).hub.log.snapshot_position:
                break
            await asyncio.sleep(0.05)
    (hydrate,) = named(exporter, HYDRATE)
    assert hydrate.attributes == {"tesseract.hub": "default", "tesseract.session": "all"}
    assert named(exporter, SNAPSHOT)[0].attributes == {"tesseract.hub": "default"}


async def test_a_commit_in_memory_is_a_span_too(exporter: InMemorySpanExporter) -> None:
    async with serving() as (_, api):
        await api.create_users()
        await refused(api.insert([user(1), user(1)]))
    good, bad = named(exporter, COMMIT)
    assert (good.status.status_code, bad.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)


async def test_streams_are_traced_from_their_first_message_to_their_last(exporter: InMemorySpanExporter) -> None:
    async with serving() as (_, api):
        await api.create_users()
        await api.insert([user(id) for id in range(3)])
        await api.open("all")
        call = api.sessions.WatchSession(spb.WatchSessionRequest(name="all"))
        events = [cast(Any, await call.read()).WhichOneof("event") for _ in range(3)]
        call.cancel()
        await asyncio.sleep(0.05)
    assert events == ["begin", "snapshot_rows", "snapshot_end"]
    assert len(named(exporter, "/tesseract.v1.SessionService/WatchSession")) == 1


async def test_a_caller_s_trace_goes_on(exporter: InMemorySpanExporter) -> None:
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    metadata = (("traceparent", f"00-{trace}-{parent}-01"),)
    async with serving() as (_, api):
        await api.hubs.ListHubs(hub_service_pb2.ListHubsRequest(), metadata=metadata)
    (span,) = named(exporter, "/tesseract.v1.HubService/ListHubs")
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == trace
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == parent


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """A collector."""

    def __init__(self) -> None:
        self.requests: list[trace_service_pb2.ExportTraceServiceRequest] = []

    def Export(  # noqa: N802 - the method's name in its proto
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Keeps what comes."""
        self.requests.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()


async def test_spans_reach_an_otlp_receiver() -> None:
    receiver = Receiver()
    collector = grpc.server(ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, collector)
    port = collector.add_insecure_port("127.0.0.1:0")
    collector.start()
    try:
        async with serving(otel_endpoint=f"http://127.0.0.1:{port}") as (_, api):
            await api.create_users()
    finally:
        await asyncio.to_thread(collector.stop(None).wait)
    resources = [resource for request in receiver.requests for resource in request.resource_spans]
    service = {item.key: item.value.string_value for item in resources[0].resource.attributes}["service.name"]
    spans = [span.name for resource in resources for scope in resource.scope_spans for span in scope.spans]
    assert service == "tesseract-grpc"
    assert any(name.endswith("TableService/CreateTable") for name in spans)


class Unreachable(SpanExporter):
    """A receiver that never answers."""

    def export(self, spans: Sequence[ReadableSpan]) -> None:  # type: ignore[override]
        """Fails."""
        raise ConnectionError("nobody there")


async def test_a_receiver_that_is_not_there_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "open_tracing", lambda _: OtelTracing(Unreachable()))
    async with asyncio.timeout(10), serving() as (_, api):
        await api.create_users()
        await api.insert([user(1)])


async def test_without_the_packages_an_endpoint_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tesseract_grpc.server.otel")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    server = Server(ServerConfig(listen="127.0.0.1:0", otel_endpoint="http://127.0.0.1:4317"))
    with pytest.raises(ConfigError, match=r"no module opentelemetry.*pip install 'tesseract-grpc\[otel\]'"):
        await server.start()


async def test_a_protocol_that_is_not_known_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon")
    with pytest.raises(ConfigError, match="grpc or http/protobuf"):
        await Server(ServerConfig(listen="127.0.0.1:0", otel_endpoint="http://127.0.0.1:4317")).start()


@pytest.fixture(autouse=True)
def no_standard_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRACES_EXPORTER", "SDK_DISABLED", "SERVICE_NAME", "RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(f"OTEL_{name}", raising=False)
    for name in ("ENDPOINT", "TRACES_ENDPOINT", "PROTOCOL", "TRACES_PROTOCOL"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)


def test_the_standard_environment_turns_traces_on_and_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().otel_endpoint is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")
    assert load().otel_endpoint == "http://collector:4317"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4317")
    assert load().otel_endpoint == "http://traces:4317"
    assert load({"otel_endpoint": "https://ours:4317"}).otel_endpoint == "https://ours:4317"
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    assert load().otel_endpoint is None
    monkeypatch.delenv("OTEL_TRACES_EXPORTER")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert load().otel_endpoint is None
    assert ServerConfig().otel_endpoint is None  # what a program makes reads no environment
    with pytest.raises(ConfigError, match="otel_endpoint"):
        load({"otel_endpoint": "collector:4317"})
    monkeypatch.delenv("OTEL_SDK_DISABLED")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317")
    with pytest.raises(ConfigError, match="otel_endpoint"):
        load()


def test_opentelemetry_is_imported_by_one_module_alone() -> None:
    package = Path(app.__file__).parents[1]
    importers = {path.name for path in package.rglob("*.py") if "\nfrom opentelemetry" in path.read_text()}
    assert importers == {"otel.py"}


def test_the_documented_spans_are_those_that_there_are() -> None:
    page = (Path(app.__file__).parents[2] / "docs" / "OPERATIONS.md").read_text()
    assert re.findall(r"^\| `(tesseract\.[a-z.]+)` \|", page, re.MULTILINE) == list(SPANS)
