"""Start, port in use, drain, SIGTERM."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2 as hpb
from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.server import ServeError, Server, ServerConfig, serve
from tesseract_grpc.testing import check_stream
from tests.server.support import Api, refused, serving, take_apart, user

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_port_in_use_is_an_error_that_says_so() -> None:
    async with serving() as (server, _):
        second = Server(ServerConfig(listen=server.address))
        with pytest.raises(ServeError, match=r"cannot listen on 127\.0\.0\.1:\d+: address already in use"):
            await second.start()


async def test_a_port_of_another_program_is_one_too() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ServeError, match="already in use"):
            await Server(ServerConfig(listen=f"127.0.0.1:{other.getsockname()[1]}")).start()


async def test_a_unix_socket_serves(tmp_path: Path) -> None:
    async with Server(ServerConfig(listen=f"unix:{tmp_path}/s")) as server:
        assert server.address == f"unix:{tmp_path}/s"
        async with grpc.aio.insecure_channel(server.address) as channel:
            assert (await Api(channel).hubs.GetServerInfo(hpb.GetServerInfoRequest())).software_version


async def test_stopping_twice_and_never_started() -> None:
    server = Server(ServerConfig(listen="127.0.0.1:0"))
    await server.start()
    await asyncio.gather(server.stop(), server.stop())
    await server.wait_stopped()


async def test_a_drain_ends_watches_at_a_consistent_point() -> None:
    """The last commit before the drain reaches the watch, then the reason, quickly."""
    async with serving() as (server, client):
        await client.create_users()
        await client.open("all")
        call: Any = client.sessions.WatchSession(spb.WatchSessionRequest(name="all"))
        responses = [await call.read()]
        await client.insert([user(1)])
        started = time.monotonic()
        await server.stop()
        assert time.monotonic() - started < 1.5
        responses.append(await call.read())
        responses.append(await call.read())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        found = take_apart(caught.value)
        assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_SHUTTING_DOWN")
        assert found.retry_ms is not None
        assert responses[-1].changes.total_count == 1
        check_stream(responses)


async def test_a_drain_refuses_new_calls_and_ends_waiting_ones() -> None:
    async with serving(max_version_wait=60) as (server, api):
        await api.create_users()
        waiting = api.tables.Query(pb.QueryRequest(query=q.Query(table="users"), min_version=99))
        stream = api.tables.WriteStream()
        await stream.write(pb.WriteStreamRequest(sequence=1))
        await stream.read()
        await asyncio.sleep(0.05)
        stopping = asyncio.create_task(server.stop())
        for call in (waiting, stream.read()):
            found = await refused(call)
            assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_SHUTTING_DOWN")
        await stopping


async def test_calls_in_progress_finish_while_new_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(*_: object) -> hpb.CheckHubResponse:
        entered.set()
        await leave.wait()
        return hpb.CheckHubResponse(checked=42)

    monkeypatch.setattr("tesseract_grpc.server.services.hubs.Hubs.check_hub", slow)
    async with serving() as (server, api):
        checking = asyncio.ensure_future(api.hubs.CheckHub(hpb.CheckHubRequest()))
        await entered.wait()
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0.05)
        assert (await api.health.Check(health_pb2.HealthCheckRequest())).status == NOT_SERVING
        found = await refused(api.hubs.GetServerInfo(hpb.GetServerInfoRequest()))
        assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_SHUTTING_DOWN")
        assert not stopping.done()
        leave.set()
        assert (await checking).checked == 42
        await stopping


async def test_a_drain_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    entered = asyncio.Event()

    async def endless(*_: object) -> None:
        entered.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("tesseract_grpc.server.services.hubs.Hubs.check_hub", endless)
    async with serving(drain_timeout=0.2) as (server, api):
        checking = asyncio.ensure_future(api.hubs.CheckHub(hpb.CheckHubRequest()))
        await entered.wait()
        started = time.monotonic()
        await server.stop()
        assert 0.15 < time.monotonic() - started < 1.5
        with pytest.raises(grpc.aio.AioRpcError):
            await checking


async def test_a_second_signal_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    entered = asyncio.Event()

    async def endless(*_: object) -> None:
        entered.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("tesseract_grpc.server.services.hubs.Hubs.check_hub", endless)
    monkeypatch.setattr("tesseract_grpc.server.logs.configure", lambda _: None)
    started: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(ServerConfig(listen="127.0.0.1:0", drain_timeout=60), started=started))
    async with grpc.aio.insecure_channel((await started).address) as channel:
        checking = asyncio.ensure_future(Api(channel).hubs.CheckHub(hpb.CheckHubRequest()))
        await entered.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.2)
        assert not serving.done()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 5)
        with pytest.raises(grpc.aio.AioRpcError):
            await checking


async def test_health_is_told_to_those_who_watch() -> None:
    async with serving() as (server, api):
        for service in ("", "tesseract.v1.TableService", "tesseract.v1.SessionService", "tesseract.v1.HubService"):
            assert (await api.health.Check(health_pb2.HealthCheckRequest(service=service))).status == SERVING
        watch = api.health.Watch(health_pb2.HealthCheckRequest(service="tesseract.v1.HubService"))
        assert (await watch.read()).status == SERVING
        stopping = asyncio.create_task(server.stop())
        assert (await watch.read()).status == NOT_SERVING
        await stopping


async def start_process(folder: Path, *flags: str) -> tuple[asyncio.subprocess.Process, str]:
    """A serving process, and the address that it logs."""
    code = (
        "import asyncio, sys\n"
        "from tesseract_grpc.server import load, serve\n"
        "asyncio.run(serve(load(dict(flag.split('=', 1) for flag in sys.argv[1:]))))\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TESSERACT_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, "listen=127.0.0.1:0", "log_format=json", *flags,
        stderr=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    assert process.stderr is not None
    line = await asyncio.wait_for(process.stderr.readline(), 30)
    event = json.loads(line)
    assert event["event"] == "server.started"
    return process, event["address"]


async def test_sigterm_drains_the_process(tmp_path: Path) -> None:
    process, address = await start_process(tmp_path)
    async with grpc.aio.insecure_channel(address) as channel:
        api = Api(channel)
        await api.create_users()
        await api.open("all")
        call = api.sessions.WatchSession(spb.WatchSessionRequest(name="all"))
        await call.read()
        await call.read()
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert take_apart(caught.value).reason == "SERVER_SHUTTING_DOWN"
        assert await asyncio.wait_for(process.wait(), 10) == 0
        assert time.monotonic() - started < 5
    assert process.stderr is not None
    events = [json.loads(line)["event"] for line in (await process.stderr.read()).splitlines()]
    assert events[-2:] == ["server.stopping", "server.stopped"]


async def test_the_log_never_holds_values_of_rows(tmp_path: Path) -> None:
    process, address = await start_process(tmp_path, "log_level=debug")
    async with grpc.aio.insecure_channel(address) as channel:
        api = Api(channel)
        await api.create_users()
        await api.insert([user(1, name="a-secret-name")])
        await refused(api.insert([user(1, name="a-secret-name")]))
        await refused(api.tables.Query(pb.QueryRequest(query=q.Query(table="users", columns=["a-secret-column"]))))
        process.send_signal(signal.SIGTERM)
        await process.wait()
    assert process.stderr is not None
    log = (await process.stderr.read()).decode()
    assert "DUPLICATE_KEY" in log
    assert "a-secret" not in log
