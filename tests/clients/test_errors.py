"""The error vectors: real servers refuse the calls so, the Python client shows it so, and no reason is forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tesseract_grpc.client.core.errors import TesseractError, error_of_call
from tesseract_grpc.server.errors import STATUS_OF
from tests.clients.errors import Scene, recorded
from tests.clients.servers import Zygote
from tests.vectors.errors import NOT_UNARY, Json, load


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    zygote = Zygote()
    made = Scene(zygote, tmp_path / "scene")
    try:
        await made.set_up()
        yield made
    finally:
        await made.close()
        await zygote.close()


def test_every_reason_is_there_or_has_a_cause_not_to_be() -> None:
    calls = load()
    real = {call.reason for call in calls if call.server != "player"}
    assert {str(reason) for reason in STATUS_OF} - real == set(NOT_UNARY)
    assert not real & set(NOT_UNARY)
    assert len({call.name for call in calls}) == len(calls) > 120
    for call in calls:
        if call.server != "player":
            assert call.error["code"] == next(code for reason, code in STATUS_OF.items() if reason == call.reason).name


async def test_servers_say_so_and_the_client_shows_it(scene: Scene) -> None:
    """What is written down is what servers say today; `python -m tests.clients record-errors` writes it anew."""
    assert await recorded(scene) == load()
    for call in await scene.calls():
        assert await _of_client(call) == call["error"], call["name"]


async def _of_client(call: Json) -> Json:
    metadata = (("authorization", f"Bearer {call['token']}"),) if call["token"] else ()
    name = call["name"]
    content = next(found for found in load() if found.name == name).content
    async with grpc.aio.insecure_channel(call["address"]) as channel:
        raw: Any = channel
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await raw.unary_unary(call["method"])(content, metadata=metadata, timeout=30)
    return shown(error_of_call(caught.value))


def shown(error: TesseractError) -> Json:
    """An error of the Python client in the form of the vectors."""
    assert error.code is not None
    names = ("operation", "row", "column", "reason", "message")
    return {
        "code": error.code.name,
        "reason": error.reason,
        "message": error.message,
        "field": error.field,
        "hint": error.hint,
        "resource": error.resource,
        "retry_after_ms": None if error.retry_after is None else round(error.retry_after * 1e3),
        "metadata": error.metadata,
        "row_errors": [{name: getattr(row, name) for name in names} for row in error.row_errors],
        "row_error_count": error.row_error_count,
    }
