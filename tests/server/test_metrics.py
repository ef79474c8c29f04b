"""Metrics: what a scrape over HTTP says, that it is what the documents list, and that it holds nothing up."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from benchmarks.wire.port import free_port
from tesseract_grpc.server import ServeError, Server, ServerConfig
from tesseract_grpc.server.metrics.catalogue import CATALOGUE, PROCESS_METRICS, Kind
from tesseract_grpc.server.metrics.histogram import Histogram
from tests.server.support import insert, pb, refused, serving, spb, user

OPERATIONS = Path(__file__).resolve().parents[2] / "docs" / "OPERATIONS.md"

Values = dict[str, dict[frozenset[tuple[str, str]], float]]


def get(port: int, path: str = "/metrics", accept: str = "text/plain") -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.read().decode())


async def scrape(port: int) -> Values:
    return parsed(await asyncio.to_thread(get, port))


def parsed(text: str) -> Values:
    """Every sample by its name and its labels, through the official parser."""
    found: Values = {}
    for family in parse(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


async def scrape_until(port: int, name: str, wanted: float, **labels: str) -> Values:
    """A scrape that says so: a client may have its answer before the server has counted the call."""
    for _ in range(200):
        values = await scrape(port)
        if values.get(name, {}).get(frozenset(labels.items())) == wanted:
            return values
        await asyncio.sleep(0.02)
    raise AssertionError(f"{name} {labels} is not {wanted}: {values.get(name)}")


def value(values: Values, name: str, **labels: str) -> float:
    return values[name][frozenset(labels.items())]


async def test_a_scrape_says_what_happened() -> None:
    port = free_port()
    async with serving(metrics_port=port) as (_, api):
        await api.create_users()
        await api.insert([user(id) for id in range(5)])
        await api.open("all")
        await refused(api.insert([user(1)]))
        write = "/tesseract.v1.TableService/Write"
        values = await scrape_until(port, "tesseract_grpc_calls_total", 1, method=write, code="ALREADY_EXISTS")
    assert value(values, "tesseract_table_rows", hub="default", table="users") == 5
    assert value(values, "tesseract_table_memory_bytes", hub="default", table="users") > 1_000
    assert value(values, "tesseract_hub_version", hub="default") == 2
    assert value(values, "tesseract_commits_total", hub="default") == 1
    assert value(values, "tesseract_rows_written_total", hub="default") == 5
    assert value(values, "tesseract_sessions", hub="default") == 1
    assert value(values, "tesseract_grpc_calls_total", method=write, code="OK") == 1
    assert value(values, "tesseract_grpc_calls_total", method=write, code="ALREADY_EXISTS") == 1
    assert value(values, "tesseract_grpc_call_seconds_count", method=write) == 2
    assert value(values, "tesseract_grpc_call_seconds_bucket", method=write, le="+Inf") == 2
    assert value(values, "tesseract_writes_refused_total", hub="default", reason="DUPLICATE_KEY") == 1
    assert value(values, "tesseract_hub_writable", hub="default") == 1
    assert value(values, "tesseract_records_total", hub="default") == 4
    assert value(values, "tesseract_commit_apply_seconds_count", hub="default") == 3
    assert value(values, "tesseract_sample_age_seconds") < 1
    assert value(values, "process_open_fds") > 5


async def test_a_durable_hub_says_how_its_log_does(tmp_path: Path) -> None:
    port = free_port()
    async with serving(metrics_port=port, data=tmp_path, durability="normal") as (_, api):
        await api.create_users()
        await asyncio.gather(*(api.insert([user(id)]) for id in range(50)))
        await refused(api.insert([user(1)]))
        values = await scrape(port)
    changes = value(values, "tesseract_commit_flush_seconds_count", hub="default")
    flushes = value(values, "tesseract_log_flush_seconds_count", hub="default")
    assert changes == value(values, "tesseract_log_flush_records_sum", hub="default")
    assert changes >= 52  # and what a start writes itself
    assert 3 <= flushes <= changes
    assert value(values, "tesseract_records_total", hub="default") == changes
    assert value(values, "tesseract_commit_apply_seconds_count", hub="default") == changes
    assert value(values, "tesseract_writes_refused_total", hub="default", reason="DUPLICATE_KEY") == 1
    assert value(values, "tesseract_records_pending", hub="default") == 0
    assert value(values, "tesseract_log_position", hub="default") == changes
    assert value(values, "tesseract_log_bytes", hub="default") > 1_000


async def test_writes_of_streams_that_are_refused_are_counted() -> None:
    port = free_port()
    async with serving(metrics_port=port) as (_, api):
        await api.create_users()

        async def requests() -> AsyncIterator[pb.WriteStreamRequest]:
            for operation in (insert([user(1)]), insert([user(1)]), insert([user(2)], "nothing")):
                yield pb.WriteStreamRequest(write=pb.WriteRequest(operations=[operation]))

        responses = [response async for response in api.tables.WriteStream(requests())]
        values = await scrape(port)
    assert [response.WhichOneof("outcome") for response in responses] == ["committed", "refused", "refused"]
    assert value(values, "tesseract_writes_refused_total", hub="default", reason="DUPLICATE_KEY") == 1
    assert value(values, "tesseract_writes_refused_total", hub="default", reason="UNKNOWN_TABLE") == 1


async def test_the_documented_metrics_are_those_of_a_scrape() -> None:
    listed = re.findall(r"^\| `(tesseract_\w+)` \| (\w+) \| ([\w, ]*) \|", OPERATIONS.read_text(), re.MULTILINE)
    port = free_port()
    async with serving(metrics_port=port) as (_, api):
        await api.create_users()
        text = await asyncio.to_thread(get, port)
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    assert {name: kind for name, kind, _ in listed} == {
        name: kind for name, kind in types.items() if name.startswith("tesseract_")
    }
    assert [(name, tuple(filter(None, labels.split(", ")))) for name, _, labels in listed] == [
        (metric.name, metric.labels) for metric in CATALOGUE
    ]
    assert {name for name in types if not name.startswith("tesseract_")} == set(PROCESS_METRICS)


def test_names_follow_the_conventions() -> None:
    for metric in CATALOGUE:
        assert re.fullmatch(r"tesseract(_[a-z]+)+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER), metric.name
        assert metric.about.endswith("."), metric.name


async def test_openmetrics_parses_too() -> None:
    port = free_port()
    async with serving(metrics_port=port):
        text = await asyncio.to_thread(get, port, accept="application/openmetrics-text; version=1.0.0")
    names = {family.name for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call]
    assert {metric.name.removesuffix("_total") for metric in CATALOGUE} <= names


async def test_there_is_nothing_else_on_the_port() -> None:
    port = free_port()
    async with serving(metrics_port=port):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            await asyncio.to_thread(get, port, "/secrets")


async def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        server = Server(ServerConfig(listen="127.0.0.1:0", metrics_port=port))
        with pytest.raises(ServeError, match=rf"cannot serve metrics on 127.0.0.1:{port}: address already in use"):
            await server.start()
        with pytest.raises(ServeError, match=r"cannot serve metrics on nowhere\.invalid"):
            await Server(ServerConfig(listen="127.0.0.1:0", metrics_port=port, metrics_host="nowhere.invalid")).start()


async def test_a_server_that_cannot_listen_lets_the_metrics_port_go() -> None:
    port = free_port()
    async with serving() as (server, _):
        with pytest.raises(ServeError, match="cannot listen"):
            await Server(ServerConfig(listen=server.address, metrics_port=port)).start()
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", port))


async def test_the_port_ends_with_the_server_even_when_a_scraper_hangs() -> None:
    port = free_port()
    async with serving(metrics_port=port):
        mute = socket.create_connection(("127.0.0.1", port))
        await scrape(port)
    with mute, pytest.raises(urllib.error.URLError, match="refused"):
        await asyncio.to_thread(get, port)
    assert not [thread for thread in threading.enumerate() if thread.name == "metrics"]


async def test_a_held_up_loop_is_answered_for_by_the_last_sample() -> None:
    port = free_port()
    async with serving(metrics_port=port) as (_, api):
        await api.create_users()
        await scrape(port)
        texts: list[str] = []
        scraper = threading.Thread(target=lambda: texts.append(get(port)))
        scraper.start()
        time.sleep(3.0)  # noqa: ASYNC251 - the loop is held up on purpose
        scraper.join()
        await asyncio.sleep(0.2)
        assert (await scrape(port))["tesseract_event_loop_lag_seconds_sum"][frozenset()] > 2.5
    held = parsed(texts[0])
    assert value(held, "tesseract_event_loop_stall_seconds") > 1.5
    assert value(held, "tesseract_sample_age_seconds") > 1.5
    assert value(held, "tesseract_hub_version", hub="default") == 1


async def test_broken_off_calls_are_counted() -> None:
    port = free_port()
    watch_session = "/tesseract.v1.SessionService/WatchSession"
    async with serving(metrics_port=port) as (_, api):
        await api.create_users()
        await api.open("all")
        call = api.sessions.WatchSession(spb.WatchSessionRequest(name="all"))
        await call.read()
        values = await scrape(port)
        assert value(values, "tesseract_grpc_calls_open", method=watch_session) == 1
        assert value(values, "tesseract_watchers", hub="default", state="live") == 1
        assert value(values, "tesseract_watcher_messages_total", hub="default", event="begin") == 1
        assert value(values, "tesseract_watcher_sent_bytes_total", hub="default") > 10
        call.cancel()
        values = await scrape_until(port, "tesseract_grpc_calls_open", 0, method=watch_session)
    assert value(values, "tesseract_grpc_calls_total", method=watch_session, code="CANCELLED") == 1


async def test_many_tables_and_watches_hold_the_loop_only_for_moments() -> None:
    port = free_port()
    async with serving(metrics_port=port) as (_, api):
        for number in range(400):
            await api.create_users(f"t{number}")
        longest, done = 0.0, False
        holds: list[float] = []

        async def feel() -> None:
            nonlocal longest
            while not done:
                begun = time.perf_counter()
                await asyncio.sleep(0)
                longest = max(longest, time.perf_counter() - begun)

        feeling = asyncio.create_task(feel())
        for _ in range(5):
            longest = 0.0
            values = await scrape(port)
            holds.append(longest)
        done = True
        await feeling
    assert len(values["tesseract_table_rows"]) == 400
    assert min(holds) < 0.1


def test_histograms_count_by_bounds() -> None:
    histogram = Histogram((1.0, 10.0))
    for number in (0.5, 1.0, 5.0, 11.0):
        histogram.observe(number)
    spread = histogram.read()
    assert (spread.counts, spread.total) == ((2, 1, 1), 17.5)
