"""Retention and limits of memory over the wire, in the log and in snapshots."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from tesseract_grpc._proto.tesseract.v1 import change_pb2, hub_service_pb2, query_pb2, schema_pb2
from tesseract_grpc.testing import ManualClock, check_stream
from tests.server.support import Api, insert, pb, refused, rows, serving, spb, user, user_columns

NOW = 1_000.0


def retention(**fields: Any) -> schema_pb2.Retention:
    spans: dict[str, Any] = {name: Duration() for name in ("max_age", "interval") if name in fields}
    for name, span in spans.items():
        span.FromMicroseconds(round(fields[name] * 1e6))
    return schema_pb2.Retention(**{**fields, **spans})


async def create(api: Api, **fields: Any) -> schema_pb2.Table:
    table = schema_pb2.Table(columns=user_columns(), **fields)
    return (await api.tables.CreateTable(pb.CreateTableRequest(table_id="users", table=table))).table


async def update(api: Api, *paths: str, validate_only: bool = False, **fields: Any) -> pb.UpdateTableResponse:
    table = schema_pb2.Table(name="users", **fields)
    return await api.tables.UpdateTable(
        pb.UpdateTableRequest(table=table, update_mask=FieldMask(paths=paths), validate_only=validate_only)
    )


async def ids(api: Api) -> list[int]:
    found = await api.all_rows()
    return list(found.rows.columns[0].int64s.values) if found.rows.row_count else []


def born(id: int, at: float) -> dict[str, Any]:
    return user(id, born=round(at * 1e6))


async def until(api: Api, expected: Sequence[int]) -> None:
    """Waits for ticks to leave these rows."""
    for _ in range(3_000):
        if await ids(api) == list(expected):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{await ids(api)} is not {expected}")


async def test_a_table_tells_its_retention_and_its_limit() -> None:
    async with serving() as (_, api):
        limit = schema_pb2.MemoryLimit(max_bytes=1 << 20)
        wanted = retention(max_age=60, age_column="born", max_records=5, interval=2.5)
        made = await create(api, retention=wanted, memory_limit=limit)
        limit.policy = schema_pb2.MEMORY_POLICY_REFUSE
        assert (made.retention, made.memory_limit) == (wanted, limit)
        changed = (await update(api, "retention", retention=retention(max_records=2))).table
        assert (changed.retention, changed.memory_limit) == (retention(max_records=2), limit)
        changed = (await update(api, "memory_limit")).table
        assert (changed.retention, changed.HasField("memory_limit")) == (retention(max_records=2), False)
        assert not (await update(api, "retention")).table.HasField("retention")


async def test_rows_leave_by_age_and_watchers_are_told() -> None:
    clock = ManualClock(NOW)
    async with serving(clock=clock, tick_interval=0.01) as (_, api):
        await create(api, retention=retention(max_age=10, age_column="born"))
        await api.open("all", query_pb2.Query(table="users"))
        session = api.sessions.WatchSession(spb.WatchSessionRequest(name="all"))
        table = api.tables.WatchTable(pb.WatchTableRequest(table="users"))
        await api.insert([born(id, NOW + id) for id in range(4)])
        clock.advance(12.5)
        await until(api, [3])
        for call in (session, table):
            told: dict[int, int] = {}
            heard: list[Any] = []
            async for message in call:
                heard.append(message)
                if message.WhichOneof("event") == "changes":
                    for removes in message.changes.removes:
                        told.update(dict.fromkeys(removes.keys.columns[0].int64s.values, removes.reason))
                    if len(told) == 3:
                        break
            assert told == dict.fromkeys(range(3), change_pb2.REMOVE_REASON_EXPIRED)
            call.cancel()
            if call is session:
                check_stream(heard)


async def test_too_many_rows_leave_in_the_commit_and_retries_get_the_first_answer() -> None:
    async with serving() as (_, api):
        await create(api, retention=retention(max_records=3))
        first = await api.insert([user(1)], request_id="one")
        await api.insert([user(id) for id in (2, 3, 4)])
        assert await ids(api) == [2, 3, 4]
        assert (await api.insert([user(1)], request_id="one")).version == first.version
        assert await ids(api) == [2, 3, 4], "what has expired does not come back by a retry"
        check = await api.write(insert([user(9)]), validate_only=True)
        assert check.results[0].inserted == 1 and await ids(api) == [2, 3, 4]
        hub = (await api.hubs.GetHub(hub_service_pb2.GetHubRequest())).hub
        assert hub.counters["rows_expired"] == 1


async def test_setting_it_is_one_version_and_validate_only_changes_nothing() -> None:
    async with serving() as (_, api):
        await create(api)
        before = (await api.insert([user(id) for id in range(6)])).version
        checked = await update(api, "retention", retention=retention(max_records=2), validate_only=True)
        assert checked.version == 0 and checked.table.retention.max_records == 2
        assert len(await ids(api)) == 6
        assert (await update(api, "retention", retention=retention(max_records=2))).version == before + 1
        assert await ids(api) == [4, 5]


@pytest.mark.parametrize(
    ("wanted", "reason", "field"),
    [
        (retention(max_age=1, age_column="gone"), "UNKNOWN_COLUMN", "table.retention.age_column"),
        (retention(max_age=1, age_column="age"), "WRONG_TYPE", "table.retention.age_column"),
        (retention(max_age=1), "MALFORMED_REQUEST", "table.retention.age_column"),
        (retention(max_age=-1, age_column="born"), "MALFORMED_REQUEST", "table.retention.max_age"),
        (retention(max_age=0, age_column="born"), "MALFORMED_REQUEST", "table.retention.max_age"),
        (retention(max_records=-1), "MALFORMED_REQUEST", "table.retention.max_records"),
        (retention(max_records=1, order_column="notes"), "WRONG_TYPE", "table.retention.order_column"),
        (retention(max_records=1, interval=0), "MALFORMED_REQUEST", "table.retention.interval"),
        (retention(interval=1), "MALFORMED_REQUEST", "table.retention.interval"),
    ],
)
async def test_what_is_refused(wanted: schema_pb2.Retention, reason: str, field: str) -> None:
    async with serving() as (_, api):
        found = await refused(create(api, retention=wanted))
        assert (found.reason, found.fields) == (reason, (field,))
        await create(api)
        for validate_only in (True, False):
            found = await refused(update(api, "retention", retention=wanted, validate_only=validate_only))
            assert (found.reason, found.fields) == (reason, (field,))


async def test_derived_tables_have_none() -> None:
    async with serving() as (_, api):
        await create(api)
        for path, fields in (
            ("retention", {"retention": retention(max_records=1)}),
            ("memory_limit", {"memory_limit": schema_pb2.MemoryLimit(max_bytes=1)}),
        ):
            table = schema_pb2.Table(query=query_pb2.Query(table="users"), **fields)
            found = await refused(api.tables.CreateTable(pb.CreateTableRequest(table_id="d", table=table)))
            assert found.fields == (f"table.{path}",)
        table = schema_pb2.Table(query=query_pb2.Query(table="users"))
        await api.tables.CreateTable(pb.CreateTableRequest(table_id="d", table=table))
        changed = schema_pb2.Table(name="d", retention=retention(max_records=1))
        request = pb.UpdateTableRequest(table=changed, update_mask=FieldMask(paths=["retention"]))
        assert (await refused(api.tables.UpdateTable(request))).reason == "NOT_WRITABLE"
        bad = schema_pb2.MemoryLimit(max_bytes=-1)
        found = await refused(update(api, "memory_limit", memory_limit=bad))
        assert found.fields == ("table.memory_limit.max_bytes",)


@pytest.mark.parametrize("snapshot_records", [3, 50_000])
async def test_a_restart_gives_the_same_rows_and_versions(tmp_path: Path, snapshot_records: int) -> None:
    clock = ManualClock(NOW)
    options: dict[str, Any] = {"data": tmp_path / "data", "snapshot_records": snapshot_records, "tick_interval": 0.01}
    options["history_commits"] = 1  # so that a start needs no record before its snapshot
    wanted = retention(max_age=10, age_column="born", max_records=6, order_column="score")
    limit = schema_pb2.MemoryLimit(max_bytes=1 << 30, policy=schema_pb2.MEMORY_POLICY_EVICT)
    seen: tuple[Any, ...] = ()
    for life in range(3):
        async with serving(clock=clock, **options) as (server, api):
            if not life:
                await create(api, retention=wanted, memory_limit=limit)
            hub = server.hubs["default"]
            recovered = server._hosts.by_name["default"].journal.recovery.snapshot_position
            assert (recovered > 0) == (life > 0 and snapshot_records == 3)
            table = (await api.tables.GetTable(pb.GetTableRequest(name="users"))).table
            assert (table.retention, table.memory_limit) == (wanted, limit)
            assert not seen or (await ids(api), hub.table("users").next_sequence) == seen
            for step in range(4):
                key = 100 * life + 10 * step
                await api.insert([born(key + id, clock() - 3 * id) for id in range(3)])
                clock.advance(1.5)
                for _ in range(1_000):
                    if hub.now == round(clock() * 1e6):
                        break
                    await asyncio.sleep(0.01)
            assert hub.counters.rows_expired > 0
            hub.check()
            seen = (await ids(api), hub.table("users").next_sequence)


async def write_until_refused(api: Api, most: int = 400) -> tuple[int, Any]:
    """Inserts batches until one is refused; returns how many were not, and the refusal."""
    for batch in range(most):
        try:
            await api.insert([user(batch * 100 + id, name=f"name {batch} {id}") for id in range(100)])
        except Exception:
            return batch, await refused(api.insert([user(batch * 100 + id) for id in range(100)]))
    raise AssertionError("nothing was refused")


async def test_a_write_for_which_a_table_would_have_to_grow_is_refused(tmp_path: Path) -> None:
    limit = schema_pb2.MemoryLimit(max_bytes=600_000)
    async with serving(data=tmp_path / "data") as (server, api):
        await create(api, memory_limit=limit)
        batches, found = await write_until_refused(api)
        host = server._hosts.by_name["default"]
        assert batches > 5
        assert (found.reason, found.code.name) == ("MEMORY_LIMIT", "RESOURCE_EXHAUSTED")
        assert found.metadata["maximum"] == "600000" and found.resource.endswith("users")
        assert 0.6 * 600_000 < host.hub.table("users").memory_bytes() <= 600_000
        position = host.journal.position
        await refused(api.insert([user(10**6 + id) for id in range(100)]))
        assert host.journal.position == position, "a refusal leaves no record"
        keys = rows([{"id": id} for id in range(100)])
        await api.write(pb.WriteOperation(table="users", delete=pb.Delete(keys=keys)))
        await api.insert([user(id, name=f"name 0 {id}") for id in range(100)])  # in the room of those that were removed
        for _ in range(3):  # an update of what is there takes no room
            update = pb.Update(rows=rows([{"id": 7, "age": 1}]))
            await api.write(pb.WriteOperation(table="users", update=update))
        expected = await ids(api)
    async with serving(data=tmp_path / "data") as (_, api):
        assert await ids(api) == expected
        assert (await refused(api.insert([user(10**6 + id) for id in range(1_000)]))).reason == "MEMORY_LIMIT"


async def test_rows_leave_to_make_room_and_the_log_says_how_many(tmp_path: Path) -> None:
    limit = schema_pb2.MemoryLimit(max_bytes=600_000, policy=schema_pb2.MEMORY_POLICY_EVICT)
    async with serving(data=tmp_path / "data") as (server, api):
        await create(api, memory_limit=limit, retention=retention(order_column="age"))
        writes = [api.insert([user(batch * 100 + id, name=f"name {id}") for id in range(100)]) for batch in range(100)]
        await asyncio.gather(*writes)  # all at once: what is on its way counts
        hub = server.hubs["default"]
        assert 4_000 < (await api.all_rows()).total_count == 10_000 - hub.counters.rows_expired
        for batch in range(100, 160):
            await api.insert([user(batch * 100 + id, name=f"name {id}") for id in range(100)])
        found, count = await ids(api), (await api.all_rows()).total_count
        assert count > 4_000 and found == list(range(16_000 - count, 17_000 - count)), "the least have left"
        assert 0.5 * 600_000 < hub.table("users").memory_bytes() < 1.3 * 600_000
        hub.check()
        version = hub.version
    async with serving(data=tmp_path / "data") as (server, api):
        assert (await ids(api), server.hubs["default"].version) == (found, version)
        too_much = [user(10**6 + id, name="x" * 5_000 + str(id)) for id in range(500)]
        assert (await refused(api.insert(too_much))).reason == "MEMORY_LIMIT"
        await api.insert([user(10**6)])


@pytest.mark.parametrize("policy", ["refuse", "evict"])
async def test_a_hub_has_a_limit_too(policy: str) -> None:
    async with serving(hub_memory_limit=1_500_000, hub_memory_policy=policy) as (server, api):
        await api.create_users("plain")
        await create(api, retention=retention(max_records=1_000_000))
        await api.insert([user(id) for id in range(5_000)], table="plain")
        for batch in range(200):
            operation = insert([user(batch * 100 + id, name=f"name {id}") for id in range(100)])
            if policy == "refuse" and batch > 150:
                assert (await refused(api.write(operation))).reason == "MEMORY_LIMIT"
            elif policy == "evict":
                await api.write(operation)
            else:
                try:
                    await api.write(operation)
                except Exception:
                    continue
        hub = (await api.hubs.GetHub(hub_service_pb2.GetHubRequest())).hub
        assert 1_000_000 < hub.memory_bytes < 1_650_000
        more = [user(10**6 + id) for id in range(5_000)]
        found = await refused(api.insert(more, table="plain"))
        assert found.reason == "MEMORY_LIMIT", "a table without a retention gives no rows"
        assert (policy == "evict") == (server.hubs["default"].counters.rows_expired > 0)
        assert (await api.all_rows("plain")).total_count == 5_000


async def test_far_from_its_limit_a_table_is_not_measured_at_every_write() -> None:
    limit = schema_pb2.MemoryLimit(max_bytes=50_000_000)
    async with serving() as (server, api):
        await create(api, memory_limit=limit)
        table = server.hubs["default"].table("users")
        measured = 0
        original = type(table).memory_bytes

        def counted(self: Any) -> int:
            nonlocal measured
            measured += 1
            return original(self)

        type(table).memory_bytes = counted  # type: ignore[method-assign]
        try:
            for id in range(200):
                await api.insert([user(id)])
        finally:
            type(table).memory_bytes = original  # type: ignore[method-assign]
        assert measured < 40


async def test_memory_is_told_part_by_part() -> None:
    async with serving() as (_, api):
        await api.create_users()
        await api.insert([user(id) for id in range(500)])
        table = (await api.tables.GetTable(pb.GetTableRequest(name="users"))).table
        memory = table.memory
        parts = sum(column.value_bytes + column.dictionary_bytes for column in memory.columns)
        parts += sum(index.bytes for index in memory.indexes)
        assert memory.total_bytes == parts + memory.key_bytes + memory.row_bytes + memory.history_bytes
        assert memory.total_bytes == table.memory_bytes + memory.history_bytes
        assert [column.column for column in memory.columns] == [column.name for column in table.columns]
        assert {column.column: column.dictionary_entries for column in memory.columns}["name"] == 500
        assert [index.column for index in memory.indexes] == ["age"]
        hub = (await api.hubs.GetHub(hub_service_pb2.GetHubRequest())).hub
        assert hub.memory_bytes == table.memory_bytes
        listed = (await api.tables.ListTables(pb.ListTablesRequest())).tables[0]
        assert not listed.HasField("memory")


async def test_texts_that_no_row_has_make_room_for_others() -> None:
    limit = schema_pb2.MemoryLimit(max_bytes=3_000_000, policy=schema_pb2.MEMORY_POLICY_REFUSE)
    async with serving() as (server, api):
        await create(api, retention=retention(max_records=200), memory_limit=limit)
        for batch in range(100):  # 100 kB of texts each: all of them would be 10 MB
            await api.insert([user(batch * 100 + id, name=f"{batch} {id} " + "x" * 1_000) for id in range(100)])
        hub = server.hubs["default"]
        assert hub.table("users").memory_bytes() < 3_100_000
        assert hub.counters.texts_dropped > 7_000
        assert (await api.all_rows()).total_count == 200
        hub.check()


async def test_texts_are_dropped_while_the_server_has_nothing_else_to_do() -> None:
    async with serving(tick_interval=0.01, history_commits=2, history_rows=100) as (server, api):
        await create(api, retention=retention(max_records=100))
        for batch in range(40):
            await api.insert([user(batch * 100 + id) for id in range(100)])
        hub = server.hubs["default"]
        for _ in range(1_500):
            if hub.counters.texts_dropped > 3_000:
                break
            await asyncio.sleep(0.02)
        table = (await api.tables.GetTable(pb.GetTableRequest(name="users"))).table
        entries = {column.column: column.dictionary_entries for column in table.memory.columns}
        assert entries["name"] < 1_100
        hub.check()
