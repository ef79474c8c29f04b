"""The HTTP port that Prometheus scrapes.

It runs in threads of its own. A scrape asks the event loop for a fresh sample and waits `PATIENCE` for it. A loop that
is held up for longer is answered for by the sample before, whose age is told, and by how overdue the loop is: what one
wants to know just then. A client that connects and says nothing is dropped after `SILENCE`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from tesseract_grpc.server.metrics.catalogue import CATALOGUE, Kind
from tesseract_grpc.server.metrics.catalogue import Metric as Family
from tesseract_grpc.server.metrics.histogram import Spread
from tesseract_grpc.server.metrics.loop_lag import LoopLag
from tesseract_grpc.server.metrics.sample import Labels, Sample

PATH = "/metrics"
PATIENCE = 2.0
"""Seconds that a scrape waits for the event loop."""

SILENCE = 10.0
"""Seconds after which a client that says nothing is dropped."""

Sampler = Callable[[], Coroutine[Any, Any, Sample]]


class SampleCollector(Collector):
    """Turns samples into Prometheus families. Called by the threads of the port."""

    def __init__(self, sampler: Sampler, lag: LoopLag, loop: asyncio.AbstractEventLoop) -> None:
        self._sampler = sampler
        self._lag = lag
        self._loop = loop
        self._last = Sample()
        self._turn = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        """Every family, also those that have no values yet."""
        with self._turn:  # so that the loop is asked by one scrape at a time
            sample = self._last = self._fresh() or self._last
        now = Sample(values=dict(sample.values))
        now.put("tesseract_event_loop_stall_seconds", self._lag.overdue())
        now.put("tesseract_sample_age_seconds", max(0.0, time.monotonic() - sample.taken))
        for family in CATALOGUE:
            yield _family(family, now.values.get(family.name, {}))

    def _fresh(self) -> Sample | None:
        coroutine = self._sampler()
        try:
            asked = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:  # the loop has ended, and this thread is about to
            coroutine.close()
            return None
        try:
            return asked.result(PATIENCE)
        except (TimeoutError, concurrent.futures.CancelledError):
            asked.cancel()
            return None


def _family(family: Family, values: dict[Labels, float | Spread]) -> Metric:
    match family.kind:
        case Kind.COUNTER:
            counter = CounterMetricFamily(family.name, family.about, labels=family.labels)
            for labels, value in values.items():
                counter.add_metric(labels, cast("float", value))
            return counter
        case Kind.GAUGE:
            gauge = GaugeMetricFamily(family.name, family.about, labels=family.labels)
            for labels, value in values.items():
                gauge.add_metric(labels, cast("float", value))
            return gauge
        case Kind.HISTOGRAM:
            histogram = HistogramMetricFamily(family.name, family.about, labels=family.labels)
            for labels, value in values.items():
                spread = cast("Spread", value)
                histogram.add_metric(labels, buckets=_buckets(spread), sum_value=spread.total)
            return histogram


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    """Cumulated counts, as Prometheus has them."""
    names = [*(f"{bound:g}" for bound in spread.bounds), "+Inf"]
    below, buckets = 0, []
    for name, count in zip(names, spread.counts, strict=True):
        below += count
        buckets.append((name, float(below)))
    return buckets


class Endpoint:
    """The port, from its creation to `close`."""

    def __init__(self, host: str, port: int, collector: SampleCollector) -> None:
        """Listens. Raises OSError when it cannot."""
        self._registry = CollectorRegistry()
        self._registry.register(collector)
        ProcessCollector(registry=self._registry)
        self._http = _HttpServer(host, port, self._registry)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.1,), name="metrics", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Stops listening. What is being answered may end by itself."""
        await asyncio.to_thread(self._http.shutdown)
        self._http.server_close()
        await asyncio.to_thread(self._thread.join)


class _HttpServer(ThreadingHTTPServer):
    """Knows the registry, and listens where the address says, IPv4 or IPv6."""

    daemon_threads = True

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.address_family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        super().__init__((str(where[0]), port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that goes away in the middle is nothing to write on the terminal."""


class _Handler(BaseHTTPRequestHandler):
    timeout = SILENCE

    def do_GET(self) -> None:
        """Answers a scrape."""
        if self.path.partition("?")[0] != PATH:
            self.send_error(HTTPStatus.NOT_FOUND, explain=f"metrics are at {PATH}")
            return
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        body = encode(cast("_HttpServer", self.server).registry)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes are not logged."""
