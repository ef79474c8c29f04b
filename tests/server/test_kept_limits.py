"""A log means the same under other limits: what was refused stays refused, what was made stays made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.server.support import Api, serving, user


async def refused(api: Api, rows: list[dict[str, Any]], **options: Any) -> str:
    """The message of a refusal."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await api.insert(rows, **options)
    return error.value.details() or ""


@pytest.mark.parametrize("snapshot_records", [2, 50_000])
async def test_what_was_made_under_wider_limits_is_there_under_narrower_ones(
    tmp_path: Path, snapshot_records: int
) -> None:
    options: dict[str, Any] = {"data": tmp_path / "data", "snapshot_records": snapshot_records}
    async with serving(**options, max_rows_per_table=10) as (_, api):
        await api.create_users()
        await api.create_users("second")
        await api.insert([user(id) for id in range(8)])
        assert "the limit is 10" in await refused(api, [user(id) for id in range(8, 12)])
        await api.insert([user(20)], request_id="kept")
    narrow: dict[str, Any] = {"max_rows_per_table": 5, "max_rows_per_write": 3, "max_tables": 1, "request_id_memory": 0}
    for _ in range(2):
        async with serving(**options, **narrow) as (server, api):
            assert len((await api.all_rows()).rows.columns[0].int64s.values) == 9
            assert set(server.hubs["default"].tables) == {"users", "second"}
            assert "the limit is 5" in await refused(api, [user(30)])
            assert "max_rows_per_write is 3" in await refused(api, [user(id) for id in range(30, 35)])
    async with serving(**options, max_rows_per_table=100) as (_, api):
        assert (await api.all_rows()).total_count == 9
        await api.insert([user(id) for id in range(8, 12)])
    async with serving(**options, max_rows_per_table=1) as (_, api):
        assert (await api.all_rows()).total_count == 13


async def test_the_same_limits_are_logged_once(tmp_path: Path) -> None:
    for _ in range(3):
        async with serving(data=tmp_path / "data") as (server, _):
            assert server._hosts.by_name["default"].journal.position == 1
    async with serving(data=tmp_path / "data", max_tables=7) as (server, _):
        assert server._hosts.by_name["default"].journal.position == 2
