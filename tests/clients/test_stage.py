"""The stage does what tests in other languages ask of it."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from typing import Any
from urllib.error import HTTPError

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2 as hpb
from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2_grpc
from tesseract_grpc.client import AsyncEventHorizon, Retry, WatchState
from tests.clients.stage import staged

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "name", "type": "string"},
]


class Asker:
    """Asks the control port as other languages do."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def __call__(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._address + path, method=method, data=content)
        return await asyncio.to_thread(self._send, request)

    def _send(self, request: urllib.request.Request) -> Any:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except HTTPError as error:
            with error:
                return {"status": error.code, **json.load(error)}


@pytest.fixture
async def ask() -> AsyncIterator[Asker]:
    async with staged() as address:
        yield Asker(address)


async def test_a_player_plays_right_or_wrong(ask: Asker) -> None:
    for body in ({}, {"wrong": "another_value"}):
        made = await ask("POST", "/players", body)
        async with AsyncEventHorizon.connect(made["address"]) as hub:
            session = await hub.get_session("resume_net_change")
            mirror = session.mirror()
            interrupted: list[Any] = []
            mirror.on("interrupted", interrupted.append)
            await _until(lambda found=interrupted, of=mirror: bool(found) and of.version == 6)
            found = {row["id"]: row["qty"] for row in mirror.rows()}
            assert (999 in found.values()) == ("wrong" in body)
            await mirror.close()
        assert len(await ask("GET", f"/players/{made['id']}/mismatches")) == 0
        assert await ask("DELETE", f"/players/{made['id']}") == {}
    assert (await ask("GET", f"/players/{made['id']}/mismatches"))["status"] == 404
    assert (await ask("POST", "/players", {"wrong": "nothing"}))["status"] == 400


async def test_a_server_dies_and_comes_back_where_it_was(ask: Asker) -> None:
    made = await ask("POST", "/servers", {"args": ["--progress-interval", "0.2"]})
    path = f"/servers/{made['id']}"
    retry = Retry(initial_backoff=0.02, max_backoff=0.1)
    async with AsyncEventHorizon.connect(made["address"], retry=retry) as hub:
        table = await hub.create_tesseract("items", COLUMNS)
        await table.add({"id": 1, "name": "one"})
        mirror = (await hub.create_session("all", table="items")).mirror()
        await mirror.ready()
        resumed: list[Any] = []
        mirror.on("resumed", resumed.append)
        assert await ask("POST", f"{path}/kill") == {}
        assert (await ask("POST", f"{path}/kill"))["status"] == 400
        assert await ask("POST", f"{path}/start") == {}
        await table.add({"id": 2, "name": "two"})
        await _until(lambda: len(mirror.rows()) == 2)
        assert resumed
        assert await ask("POST", f"{path}/freeze") == {}
        await _until(lambda: mirror.state is WatchState.STALE)
        assert await ask("POST", f"{path}/thaw") == {}
        await _until(lambda: mirror.state is WatchState.LIVE)
        await mirror.close()
    assert await ask("DELETE", path) == {}
    assert (await ask("GET", path))["status"] == 404


async def test_a_proxy_falls_silent_and_breaks(ask: Asker) -> None:
    made = await ask("POST", "/servers", {"proxy": True, "args": ["--progress-interval", "0.2"]})
    path = f"/servers/{made['id']}"
    async with AsyncEventHorizon.connect(made["address"], retry=Retry(max_backoff=0.1)) as hub:
        table = await hub.create_tesseract("items", COLUMNS)
        mirror = (await hub.create_session("all", table="items")).mirror()
        await mirror.ready()
        before = (await ask("GET", path))["connections"]
        assert before >= 1
        for harm, mend in (("blackhole", "heal"), ("cut", None)):
            reasons: list[Any] = []
            mirror.on("interrupted", reasons.append)
            await ask("POST", f"{path}/{harm}")
            await _until(lambda found=reasons: bool(found))
            assert {reason.reason for reason in reasons} == {"silence" if harm == "blackhole" else "reconnected"}
            if mend:
                await ask("POST", f"{path}/{mend}")
            await _until(lambda: mirror.state is WatchState.LIVE)
        await table.add({"id": 1, "name": "one"})
        await _until(lambda: len(mirror.rows()) == 1)
        await mirror.close()
    assert (await ask("GET", path))["connections"] > before
    plain = await ask("POST", "/servers", {})
    assert (await ask("POST", f"/servers/{plain['id']}/cut"))["status"] == 400


async def test_a_server_with_certificates_and_tokens(ask: Asker) -> None:
    made = await ask("POST", "/servers", {"tls": "mutual", "token": True})
    ca, key, cert = await asyncio.to_thread(_read, made["tls"], "ca", "key", "cert")
    for chain, token, code in (
        ((key, cert), made["tokens"]["read"], None),
        ((key, cert), "nobodys", grpc.StatusCode.UNAUTHENTICATED),
        ((None, None), made["tokens"]["read"], grpc.StatusCode.UNAVAILABLE),
    ):
        credentials = grpc.ssl_channel_credentials(ca, *chain)
        async with grpc.aio.secure_channel(made["address"], credentials) as channel:
            call = hub_service_pb2_grpc.HubServiceStub(channel).GetHub(
                hpb.GetHubRequest(), metadata=(("authorization", f"Bearer {token}"),), timeout=10
            )
            if code is None:
                assert (await call).hub.name == "hubs/default"
            else:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call
                assert caught.value.code() == code


async def test_what_cannot_be_done_is_said(ask: Asker) -> None:
    for method, path, body, status in (
        ("POST", "/servers", {"arg": []}, 400),
        ("POST", "/servers", {"args": ["--nonsense"]}, 400),
        ("POST", "/servers", [], 400),
        ("POST", "/servers/server99/kill", {}, 404),
        ("GET", "/servers", None, 404),
        ("GET", "/nothing", None, 404),
    ):
        answer = await ask(method, path, body)
        assert answer["status"] == status, (method, path, answer)
        assert answer["error"]


def _read(files: dict[str, str], *names: str) -> list[bytes]:
    found = []
    for name in names:
        with open(files[name], "rb") as file:  # noqa: PTH123
            found.append(file.read())
    return found


async def _until(condition: Any, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event of its own)
            await asyncio.sleep(0.02)
