"""Limits of the server as a whole; those of single requests are among the refusals."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2 as hpb
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tests.server.support import Api, refused, serving, take_apart, user


async def test_watchers_are_limited_over_all_hubs_and_kinds() -> None:
    async with serving(max_watchers=2) as (_, api):
        await api.create_users()
        await api.open("all")
        session = api.sessions.WatchSession(spb.WatchSessionRequest(name="all"))
        table = api.tables.WatchTable(pb.WatchTableRequest(table="users"))
        await session.read()
        await table.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await api.sessions.WatchSession(spb.WatchSessionRequest(name="all")).read()
        found = take_apart(caught.value)
        assert (found.code, found.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED")
        assert "max_watchers is 2" in found.message
        table.cancel()
        await asyncio.sleep(0.1)
        assert await api.sessions.WatchSession(spb.WatchSessionRequest(name="all")).read()


async def test_the_limits_that_are_told_are_the_limits_that_hold(api: Api) -> None:
    limits = (await api.hubs.GetServerInfo(hpb.GetServerInfoRequest())).limits
    long = await refused(api.insert([user(9, name="x" * (limits.max_string_bytes + 1))]))
    assert str(limits.max_string_bytes) in long.message
    await api.insert([user(9, name="x" * limits.max_string_bytes)])


async def test_a_message_of_just_the_limit_is_read() -> None:
    async with serving(max_message_bytes=65_536) as (_, api):
        await api.create_users()
        request = pb.GetTableRequest(name="x" * (65_536 - 4)).SerializeToString()
        assert len(request) == 65_536
        call = api.raw.unary_unary("/tesseract.v1.TableService/GetTable")
        assert (await refused(call(request))).reason == "BAD_NAME"
        found = await refused(call(request + b"\x0a\x00"))
        assert found.reason == "LIMIT_EXCEEDED"
        assert "max_message_bytes is 65536" in found.message
