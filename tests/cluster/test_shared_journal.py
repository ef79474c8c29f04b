"""Several nodes of one hub over a real Redis, in one process: one line of versions, whoever writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2
from tesseract_grpc.client import AlreadyExists, AsyncEventHorizon, NotFound, Retry, TesseractError, WriteBatch
from tesseract_grpc.engine.data.commit_log import HubLog, LogForked, LogGone
from tesseract_grpc.server import Server, ServerConfig
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.records import Kind, Record
from tesseract_grpc.server.shared_journal import SharedJournal
from tesseract_grpc.store.redis_log import RedisLog, life_of
from tesseract_grpc.store.redis_source import RedisSettings
from tests.cluster.servers import RedisProcess, plain
from tests.vectors.scene import insert

COLUMNS: list[Any] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "n", "type": "int64"},
    {"name": "text", "type": "string"},
]
ROW = {"id": 1, "n": 1, "text": ""}
T = TypeVar("T")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    with plain(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(shared: RedisProcess) -> RedisProcess:
    with shared.client() as client:
        client.flushall()
    return shared


@asynccontextmanager
async def node(redis: RedisProcess, name: str, **options: Any) -> AsyncIterator[tuple[Server, AsyncEventHorizon]]:
    """A node and a client of it."""

    def open_log(config: ServerConfig, hub: str) -> HubLog:
        return RedisLog(RedisSettings(redis.url, timeout=1), hub, life_of(name))

    config = ServerConfig(listen="127.0.0.1:0", progress_interval=0.3, **options)
    async with Server(config, open_log=open_log) as server:
        retry = Retry(initial_backoff=0.05, max_backoff=0.2)
        async with AsyncEventHorizon.connect(server.address, timeout=10, retry=retry) as hub:
            yield server, hub


def journal_of(server: Server) -> SharedJournal:
    journal = server._hosts.by_name["default"].journal
    assert isinstance(journal, SharedJournal)
    return journal


async def known(ask: Callable[[str], Awaitable[T]], name: str) -> T:
    """What a node knows as soon as it has heard of it."""
    async with asyncio.timeout(10):
        while True:
            with suppress(NotFound):
                return await ask(name)
            await asyncio.sleep(0.01)


async def until(done: Callable[[], bool], seconds: float = 20) -> None:
    """Waits until something is true."""
    async with asyncio.timeout(seconds):
        while not done():  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.02)


async def equal(*hubs: AsyncEventHorizon) -> list[dict[str, Any]]:
    """All nodes say the same at one version; what they say."""
    version = max([(await hub.info()).version for hub in hubs])
    found = [await (await known(hub.get_tesseract, "items")).query(sort=["id"], min_version=version) for hub in hubs]
    first = [dict(row) for row in found[0]]
    assert all([dict(row) for row in rows] == first for rows in found)
    return first


async def test_who_writes_makes_no_difference(redis: RedisProcess) -> None:
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(node(redis, name)) for name in "abc"]
        hubs = [hub for _, hub in nodes]
        assert len({(await hub.info()).epoch for hub in hubs}) == 1
        items = await hubs[0].create_tesseract("items", COLUMNS)
        session = await hubs[0].create_session("top", table=items, sort=[{"field": "n", "direction": "desc"}])
        others = [await known(hub.get_session, "top") for hub in hubs[1:]]
        mirrors = [await each.mirror().ready() for each in (session, *others)]

        async def write(number: int, hub: AsyncEventHorizon) -> None:
            table = await known(hub.get_tesseract, "items")
            for n in range(30):
                wrote = await table.add([{"id": number * 1000 + n, "n": n * 7 % 31, "text": f"{number}"}])
                rows = await table.query(filter=f"id == {number * 1000 + n}")
                assert [row["n"] for row in rows] == [n * 7 % 31], "a node reads what it has acknowledged"
                assert wrote.version > 0

        await asyncio.gather(*(write(number, hub) for number, hub in enumerate(hubs)))
        assert len(await equal(*hubs)) == 90
        version = (await hubs[0].info()).version
        for mirror in mirrors:
            await mirror.wait_for(version)
            assert [dict(row) for row in mirror.rows()] == [dict(row) for row in mirrors[0].rows()]
            await mirror.close()


async def test_a_key_goes_to_one_of_two_who_want_it(redis: RedisProcess) -> None:
    async with node(redis, "a") as (_, one), node(redis, "b") as (_, other):
        await one.create_tesseract("items", COLUMNS)
        tables = [await known(hub.get_tesseract, "items") for hub in (one, other)]

        async def insert(table: Any, text: str) -> list[int]:
            won = []
            for number in range(25):
                with suppress(AlreadyExists):
                    await table.add([{"id": number, "n": 0, "text": text}])
                    won.append(number)
            return won

        won = await asyncio.gather(insert(tables[0], "one"), insert(tables[1], "other"))
        assert sorted(won[0] + won[1]) == list(range(25))
        rows = await equal(one, other)
        assert [row["id"] for row in rows if row["text"] == "one"] == won[0]


async def test_a_request_that_is_sent_again_to_another_node_is_done_once(redis: RedisProcess) -> None:
    async with node(redis, "a") as (_, one), node(redis, "b") as (_, other):
        table = await one.create_tesseract("items", COLUMNS)
        first = await one.write(WriteBatch().add(table, ROW), request_id="again")
        there = await known(other.get_tesseract, "items")
        await there.query(min_version=first.version)
        again = await other.write(WriteBatch().add(there, ROW), request_id="again")
        assert again.version == first.version
        assert len(await equal(one, other)) == 1


async def test_a_new_node_begins_with_a_snapshot_and_what_follows_it(redis: RedisProcess) -> None:
    options = {"snapshot_records": 10, "history_commits": 5}
    async with node(redis, "a", **options) as (server, one):
        table = await one.create_tesseract("items", COLUMNS)
        for number in range(60):
            await table.add([{"id": number, "n": number, "text": "x"}])
        journal = journal_of(server)
        async with asyncio.timeout(20):
            while journal.shared.since == 0:
                await table.upsert([{"id": 0, "n": 1, "text": "y"}])
                await asyncio.sleep(0.05)
        async with node(redis, "b", **options) as (late, other):
            assert late.recoveries["default"].snapshot_position > 0
            assert len(await equal(one, other)) == 60
            assert late.hubs["default"].version == server.hubs["default"].version
            await (await known(other.get_tesseract, "items")).add([{"id": 99, "n": 1, "text": ""}])
            assert len(await equal(one, other)) == 61


async def test_a_token_of_one_node_is_good_on_another(redis: RedisProcess) -> None:
    async with node(redis, "a") as (_, one), node(redis, "b") as (_, other):
        table = await one.create_tesseract("items", COLUMNS)
        session = await one.create_session("all", table=table, sort=["id"])
        await table.add([{"id": 1, "n": 1, "text": ""}])
        mirror = await session.mirror().ready()
        version = (await one.info()).version
        await mirror.wait_for(version)
        bookmark = mirror.bookmark()
        await mirror.close()
        version = (await table.add([{"id": 2, "n": 2, "text": ""}])).version
        resumed: list[Any] = []
        there = (await known(other.get_session, "all")).mirror(resume=bookmark)
        there.on("resumed", resumed.append)
        await there.wait_for(version)
        assert [row["id"] for row in there.rows()] == [1, 2]
        assert len(resumed) == 1, "no snapshot was sent again"
        await there.close()


async def test_one_node_proposes_time(redis: RedisProcess) -> None:
    async with (
        node(redis, "a", tick_interval=0.05) as (first, one),
        node(redis, "b", tick_interval=0.05) as (second, other),
    ):
        table = await one.create_tesseract("items", [*COLUMNS, {"name": "at", "type": "timestamp"}])
        session = await one.create_session("recent", table=table, filter="at > now() - 400")
        await table.add([{"id": 1, "n": 1, "text": "", "at": datetime.now(UTC)}])
        mirrors = [
            await session.mirror().ready(),
            await (await known(other.get_session, "recent")).mirror().ready(),
        ]
        await until(lambda: not any(len(mirror) for mirror in mirrors))
        leading = [server for server in (first, second) if "clock" in journal_of(server).leases]
        assert len(leading) == 1
        await equal(one, other)
        for mirror in mirrors:
            await mirror.close()


async def test_without_redis_readers_go_on_and_writes_are_refused(tmp_path: Path) -> None:
    with plain(tmp_path) as redis:
        async with node(redis, "a") as (_, one), node(redis, "b") as (_, other):
            table = await one.create_tesseract("items", COLUMNS)
            wrote = await table.add([{"id": 1, "n": 1, "text": ""}])
            there = await known(other.get_tesseract, "items")
            mirror = await (await other.create_session(table=there, sort=["id"])).mirror().ready()
            redis.kill()
            with pytest.raises(TesseractError) as refused:
                await there.add([{"id": 2, "n": 2, "text": ""}])
            assert refused.value.reason == "HUB_READ_ONLY"
            assert refused.value.retry_after
            assert [row["id"] for row in await there.query()] == [1]
            assert str(mirror.state) == "live"
            redis.start()
            async with asyncio.timeout(20):
                wrote = await there.add([{"id": 3, "n": 3, "text": ""}])  # tried again until it is taken
            await mirror.wait_for(wrote.version)
            assert [row["id"] for row in mirror.rows()] == [1, 3]
            assert [row["id"] for row in await equal(one, other)] == [1, 3]
            await mirror.close()


def lose(redis: RedisProcess, log: RedisLog, count: int) -> None:
    """Takes the last entries away, as a fail-over does to a replica that had not got them yet."""
    with redis.client() as found:
        client: Any = found
        for name, fields in client.xrevrange(log.keys.log, count=count):
            client.xdel(log.keys.log, name)
            tip = fields[b"a"]
        last = int(client.hget(log.keys.line, "last")) - count
        client.hset(log.keys.line, mapping={"last": last, "tip": tip})
        client.execute_command("XSETID", log.keys.log, f"{last}-0")


@pytest.mark.parametrize("written_meanwhile", [0, 1, 2, 5])
async def test_what_a_fail_over_loses_is_told_and_all_agree_again(redis: RedisProcess, written_meanwhile: int) -> None:
    async with node(redis, "a") as (first, one), node(redis, "b") as (second, other):
        table = await one.create_tesseract("items", COLUMNS)
        session = await one.create_session("all", table=table, sort=["id"])
        await table.add([{"id": 1, "n": 1, "text": ""}])
        mirrors = [await session.mirror().ready(), await (await known(other.get_session, "all")).mirror().ready()]
        resets: list[Any] = []
        for mirror in mirrors:
            mirror.on("interrupted", resets.append)
        for number in (2, 3):
            wrote = await table.add([{"id": number, "n": 1, "text": ""}])
        for mirror in mirrors:
            await mirror.wait_for(wrote.version)
        epoch, log = (await one.info()).epoch, journal_of(first).shared
        assert isinstance(log, RedisLog)
        lose(redis, log, 2)
        if written_meanwhile:  # by a node that had not seen them
            row = {"id": 50, "n": 1, "text": ""}
            bare = RedisLog(RedisSettings(redis.url), "default", "d")
            payload = await payload_of(second, row)
            bare.send(1, [payload] + [(int(Kind.ADVANCE), payload[1][:9])] * (written_meanwhile - 1))
        await until(lambda: all(server.hubs["default"].epoch != epoch for server in (first, second)))
        assert first.hubs["default"].epoch == second.hubs["default"].epoch != epoch
        expected = [1, 50] if written_meanwhile else [1]
        assert [row["id"] for row in await equal(one, other)] == expected
        await until(lambda: all([row["id"] for row in mirror.rows()] == expected for mirror in mirrors))
        told = [each for each in resets if each.reason == "other_epoch"]
        assert len(told) == 2
        for each in told:
            assert f"lost 2 commits, versions {wrote.version - 1} to {wrote.version}" in each.message
        await table.add([{"id": 9, "n": 1, "text": ""}])
        assert [row["id"] for row in await equal(one, other)] == [1, 9, *expected[1:]]
        for mirror in mirrors:
            await mirror.close()


async def payload_of(server: Server, row: dict[str, Any]) -> tuple[int, bytes]:
    """A write as a node has it in the log."""
    host = server._hosts.by_name["default"]
    operation = insert(row, types={"id": "int64", "n": "int64", "text": "string"})
    request = twin.table_service.WriteRequest.FromString(
        table_service_pb2.WriteRequest(operations=[operation]).SerializeToString()
    )
    record = Record(host.journal.moment(), request)
    return int(record.kind), record.encode()


async def test_a_redis_that_is_full_refuses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with plain(tmp_path, "maxmemory 5mb", "maxmemory-policy noeviction") as redis:
        async with node(redis, "a") as (_, one), node(redis, "b") as (_, other):
            table = await one.create_tesseract("items", COLUMNS)
            number, refused = 0, None
            while refused is None:
                number += 1
                try:
                    await table.add([{"id": number, "n": 1, "text": "x" * 200_000}])
                except TesseractError as error:
                    refused = error
            assert refused.reason == "HUB_READ_ONLY"
            assert "memory limit" in refused.message
            assert [row["id"] for row in await table.query(columns=["id"])] == list(range(1, number))
            with redis.client() as client:
                client.config_set("maxmemory", "100mb")
            await table.add([{"id": 1_000, "n": 1, "text": ""}])  # tried again until it is taken
            assert [row["id"] for row in await equal(one, other)] == [*range(1, number), 1_000]


async def test_what_cannot_be_read_stops_a_node_and_is_said(redis: RedisProcess) -> None:
    async with node(redis, "a") as (server, one):
        table = await one.create_tesseract("items", COLUMNS)
        await table.add([ROW])
        stranger = RedisLog(RedisSettings(redis.url), "default", "later")
        stranger.send(1, [(200, b"of a later version")])
        await until(lambda: journal_of(server).lost is not None)
        with pytest.raises(TesseractError, match="a record of kind 200 cannot be read"):
            await table.add([{"id": 2, "n": 2, "text": ""}])
        assert [row["id"] for row in await table.query()] == [1]
        assert str(server.hubs["default"].version) == "2"


async def test_a_log_that_was_lost_is_not_gone_on_with(redis: RedisProcess) -> None:
    async with node(redis, "a") as (server, one):
        table = await one.create_tesseract("items", COLUMNS)
        await table.add([{"id": 1, "n": 1, "text": ""}])
        with redis.client() as client:
            client.flushall()
        await until(lambda: journal_of(server).lost is not None)
        assert isinstance(journal_of(server).lost, LogGone | LogForked)
        with pytest.raises(TesseractError) as refused:
            await table.add([{"id": 2, "n": 2, "text": ""}])
        assert refused.value.reason == "HUB_READ_ONLY"
        assert "was flushed" in refused.value.message
        assert [row["id"] for row in await table.query()] == [1]
        with redis.client() as client:
            assert client.keys("*:log") == []
