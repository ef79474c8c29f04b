"""SwapTables through the socket: whoever asks for a name goes on with the other table, also after a crash."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import change_pb2, query_pb2, schema_pb2, value_pb2
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.testing import Answer, check_resumed, check_stream, rows_of
from tests.server.support import Api, refused, rows, serving, sort, user, user_columns
from tests.server.test_resume import Watching

SORTED = query_pb2.Query(table="users", sort=[sort("id")])
NAMED = query_pb2.Query(table="users", columns=["id", "name"])
BY_AGE = query_pb2.Query(
    table="users",
    group=query_pb2.Grouping(
        by=["active"], aggregates=[query_pb2.Aggregate(name="n", function=query_pb2.AGGREGATE_FUNCTION_COUNT)]
    ),
)


async def two_tables(api: Api, *, without: str = "", key: str = "id") -> None:
    """`users` with rows 0 to 4, and `fresh` with rows 2 to 6 of whom some are older."""
    await api.create_users()
    columns = [column for column in user_columns() if column.name != without]
    for column in columns:
        column.primary_key = column.name == key
    table = schema_pb2.Table(columns=columns, description="the fresh one")
    await api.tables.CreateTable(pb.CreateTableRequest(table_id="fresh", table=table))
    await api.insert([user(id) for id in range(5)])
    fresh = [user(id, age=20 + id + id % 2) for id in range(2, 7)]
    await api.insert([{name: value for name, value in row.items() if name != without} for row in fresh], "fresh")


def swapping(**fields: Any) -> pb.SwapTablesRequest:
    return pb.SwapTablesRequest(name="users", other="fresh", **fields)


async def swap(api: Api, **fields: Any) -> pb.SwapTablesResponse:
    return await api.tables.SwapTables(swapping(**fields))


async def shown(api: Api, name: str) -> list[dict[str, Any]]:
    return rows_of((await api.sessions.QuerySession(spb.QuerySessionRequest(name=name))).rows)


async def test_sessions_and_readers_are_told_the_difference() -> None:
    async with serving() as (_, api):
        await two_tables(api)
        await api.open("s", SORTED)
        await api.open("groups", BY_AGE)
        described = (await api.tables.GetTable(pb.GetTableRequest(name="fresh"))).table
        watches = {
            "s": Watching(api, window=query_pb2.Window(offset=0, limit=4), include_digest=True),
            "groups": Watching(api, name="groups"),
            "table": Watching(api, table=True, include_snapshot=True, include_old_values=True),
            "changes": Watching(api, table=True, delivery=change_pb2.DELIVERY_EVERY_COMMIT),
        }
        for watch in watches.values():
            await watch.next()
        version = (await api.insert([user(9)])).version
        done = await swap(api)
        assert done.version == version + 1
        assert (done.ended_session_count, len(done.ended_sessions)) == (0, 0)
        described.name, described.memory_bytes = done.table.name, done.table.memory_bytes
        described.ClearField("memory")
        assert done.table == described
        last = (await api.insert([user(10)])).version
        for name, watch in watches.items():
            await watch.until(last)
            changed = "table_changed" if name in ("table", "changes") else "session_changed"
            assert watch.events().count(changed) == 1
            assert "reset" not in watch.events()
            check_stream(watch.responses)
        assert watches["s"].mirror.rows == (await shown(api, "s"))[:4]
        assert watches["groups"].mirror.rows == await shown(api, "groups")
        there = rows_of((await api.all_rows()).rows)
        assert sorted(watches["table"].mirror.rows, key=lambda row: str(row["id"])) == sorted(
            there, key=lambda row: str(row["id"])
        )
        assert len(rows_of((await api.all_rows("fresh")).rows)) == 6


async def test_a_stream_of_the_table_follows_the_name_and_ends_with_it() -> None:
    """Not with the table that it began with: that one is deleted, and nobody hears of it."""
    async with serving() as (_, api):
        await two_tables(api)
        watch, other = (
            Watching(api, table=True, include_snapshot=True),
            Watching(api, table=True, include_snapshot=True),
        )
        for each in (watch, other):
            await each.next()
        other.call.cancel()
        await swap(api)
        await api.tables.DeleteTable(pb.DeleteTableRequest(name="fresh"))
        version = (await api.insert([user(8)])).version
        await watch.until(version)
        assert len(watch.mirror.rows) == 6
        await api.tables.DeleteTable(pb.DeleteTableRequest(name="users"))
        assert (await refused(to_the_end(watch))).reason == "TABLE_DELETED"
        check_stream(watch.responses)


async def test_rows_with_other_keys_are_a_reset() -> None:
    async with serving() as (_, api):
        await two_tables(api, key="name")
        await api.open("s", NAMED)
        watches = [Watching(api), Watching(api, table=True, include_snapshot=True)]
        for watch in watches:
            await watch.next()
        version = (await swap(api)).version
        for watch in watches:
            await watch.until(version)
            (reset,) = [response.reset for response in watch.responses if response.WhichOneof("event") == "reset"]
            assert reset.reason == change_pb2.RESET_REASON_TABLE_CHANGED
            assert watch.mirror.key_names == ("name",)
            assert len(watch.mirror.rows) == 5
            check_stream(watch.responses)


async def test_sessions_that_miss_a_column_end() -> None:
    async with serving() as (server, api):
        await two_tables(api, without="level")
        await api.open("levels", query_pb2.Query(table="users", sort=[sort("level")]))
        await api.open("s", NAMED)
        anonymous = await api.open("", query_pb2.Query(table="users", columns=["level"]))
        watch = Watching(api, name="levels")
        await watch.next()
        for name in (anonymous.name, "levels"):  # an anonymous session is looked at before, others whenever it is made
            refusal = await refused(swap(api, keep_sessions=True))
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TABLE_IN_USE")
            assert name.rpartition("/")[2] in refusal.message
            assert "'level'" in refusal.message
            if name == anonymous.name:
                await api.sessions.DeleteSession(spb.DeleteSessionRequest(name=name))
        again = await api.open("", query_pb2.Query(table="users", columns=["level"]))
        done = await swap(api)
        assert [(end.name, end.column) for end in done.ended_sessions] == [("hubs/default/sessions/levels", "level")]
        assert done.ended_session_count == 1
        refusal = await refused(to_the_end(watch))
        assert (refusal.reason, refusal.metadata["column"]) == ("TABLE_ALTERED", "level")
        assert refusal.resource == "hubs/default/sessions/levels"
        assert again.name.rpartition("/")[2] not in server.hubs["default"].sessions
        assert len(await shown(api, "s")) == 5


async def to_the_end(watch: Watching) -> None:
    """Reads until the stream ends, which raises why."""
    while True:
        await watch.next()


async def test_derived_tables_are_derived_anew_or_stand_in_the_way() -> None:
    async with serving() as (_, api):
        await two_tables(api, without="level")
        derived = schema_pb2.Table(query=query_pb2.Query(table="users", columns=["age"]))
        await api.tables.CreateTable(pb.CreateTableRequest(table_id="ages", table=derived))
        watch = Watching(api, table=True, include_snapshot=True)
        ages = Watching(api, table=True, include_snapshot=True)
        ages.call.cancel()
        ages.call = api.tables.WatchTable(pb.WatchTableRequest(table="ages", include_snapshot=True))
        for each in (watch, ages):
            await each.next()
        version = (await swap(api)).version
        await ages.until(version)
        await watch.until(version)
        assert sorted(row["age"] for row in ages.mirror.rows) == [22, 24, 24, 26, 26]
        check_stream(ages.responses)
        version = (await api.write(pb.WriteOperation(table="users", delete=pb.Delete(keys=rows([{"id": 2}]))))).version
        await ages.until(version)
        assert len(ages.mirror.rows) == 4
        await swap(api)
        levels = schema_pb2.Table(query=query_pb2.Query(table="users", columns=["level"]))
        await api.tables.CreateTable(pb.CreateTableRequest(table_id="levels", table=levels))
        refusal = await refused(swap(api))
        assert refusal.reason == "TABLE_IN_USE"
        assert "'levels'" in refusal.message
        for name, other in (("ages", "users"), ("users", "ages")):
            refusal = await refused(api.tables.SwapTables(pb.SwapTablesRequest(name=name, other=other)))
            assert refusal.reason == "NOT_WRITABLE"


async def test_what_cannot_be_swapped() -> None:
    async with serving() as (_, api):
        await two_tables(api)
        for other, reason in (
            ("none", "UNKNOWN_TABLE"),
            ("users", "MALFORMED_REQUEST"),
            ("hubs/x/tables/y", "BAD_NAME"),
        ):
            refusal = await refused(api.tables.SwapTables(pb.SwapTablesRequest(name="users", other=other)))
            assert (refusal.reason, refusal.fields) in ((reason, ("other",)), (reason, ()))


async def test_tokens_from_before_a_swap_are_never_taken_for_the_other_table() -> None:
    """Of sessions and of tables. What is told after it leads on; two swaps are none, and old tokens serve again."""
    async with serving(progress_interval=0.05) as (_, api):
        await two_tables(api)
        await api.open("s", SORTED)
        kinds: list[dict[str, Any]] = [{}, {"table": True, "include_snapshot": True}]
        before = []
        for kind in kinds:
            watch = await Watching(api, **kind).until(4)
            before.append((watch, await watch.leave()))
        version = (await swap(api)).version
        after = []
        for kind, (_, token) in zip(kinds, before, strict=True):
            watch = await Watching(api, resume_token=token, **kind).until(version)
            assert watch.events()[:3] == ["begin", "reset", "begin"]
            assert not watch.responses[0].begin.resumed
            assert len(watch.mirror.rows) == 5
            after.append((watch, await watch.leave()))
        last = (await api.insert([user(11)])).version
        for kind, (old, token) in zip(kinds, after, strict=True):
            watch = await Watching(api, resume_token=token, mirror=old.mirror, **kind).until(last)
            assert watch.events()[:2] == ["begin", "changes"]
            assert len(watch.mirror.rows) == 6
        await api.insert([user(12)], "fresh")
        back = (await swap(api)).version
        for kind, (old, token) in zip(kinds, before, strict=True):
            watch = await Watching(api, resume_token=token, mirror=old.mirror, **kind).until(back)
            assert watch.events()[:2] == ["begin", "changes"]
            page = await api.all_rows()
            assert sorted(row["id"] for row in watch.mirror.rows) == sorted(row["id"] for row in rows_of(page.rows))
            truth = {page.version: Answer(rows_of(page.rows), page.total_count, ordered=False)}
            check_resumed(old.responses, watch.responses, truth)


async def test_tokens_outlive_a_new_name() -> None:
    async with serving() as (_, api):
        await two_tables(api)
        await api.open("s", SORTED)
        joined = query_pb2.Query(
            table="fresh",
            joins=[
                query_pb2.Join(
                    source=query_pb2.Source(table="users"),
                    on=[query_pb2.JoinKey(left="id", right="id")],
                    prefix="u_",
                )
            ],
        )
        await api.open("joined", joined)
        watches = [Watching(api), Watching(api, name="joined"), Watching(api, table=True, include_snapshot=True)]
        tokens = [await (await watch.until(4)).leave() for watch in watches]
        await api.tables.RenameTable(pb.RenameTableRequest(name="users", new_table_id="people"))
        version = (await api.insert([user(6)], "people")).version
        fields: list[dict[str, Any]] = [{}, {"name": "joined"}, {"table": True, "include_snapshot": True}]
        for old, token, field in zip(watches, tokens, fields, strict=True):
            if "table" in field:
                watch = Watching(api, mirror=old.mirror)
                watch.call.cancel()
                asked = pb.WatchTableRequest(table="people", include_snapshot=True, resume_token=token)
                watch.call = api.tables.WatchTable(asked)
            else:
                watch = Watching(api, mirror=old.mirror, resume_token=token, **field)
            await watch.until(version)
            assert watch.events()[:2] == ["begin", "changes"], watch.events()
            assert watch.responses[0].begin.resumed


@pytest.mark.parametrize("options", [{}, {"snapshot_records": 3, "history_commits": 1}], ids=["replayed", "snapshot"])
async def test_a_swap_outlives_a_crash(tmp_path: Path, options: dict[str, Any]) -> None:
    """Rows, notes, sessions, derived tables, the answer to a retry; commits after it go to the right tables."""
    async with serving(data=tmp_path / "data", **options) as (server, api):
        await two_tables(api)
        await api.open("s", SORTED)
        await api.open("levels", query_pb2.Query(table="users", filter=query_pb2.Filter(custom="level == 'low'")))
        derived = schema_pb2.Table(query=query_pb2.Query(table="users", columns=["age"]))
        await api.tables.CreateTable(pb.CreateTableRequest(table_id="ages", table=derived))
        first = await swap(api, request_id="once")
        for id in range(20, 26):
            await api.insert([user(id)])
        await api.insert([user(40)], "fresh")
        true = await content(api)
        version = server.hubs["default"].version
        copy = shutil.copytree(tmp_path / "data", tmp_path / "copy", ignore=shutil.ignore_patterns("*.part"))
    async with serving(data=copy, **options) as (server, api):
        assert server.hubs["default"].version == version
        assert await content(api) == true
        again = await swap(api, request_id="once")
        assert again.version == first.version
        assert server.hubs["default"].version == version
        assert server.hubs["default"].check() > 0
        await swap(api)
        assert (await api.tables.GetTable(pb.GetTableRequest(name="fresh"))).table.description == "the fresh one"


async def content(api: Api) -> list[object]:
    """What there is."""
    tables = [await api.all_rows(name) for name in ("users", "fresh", "ages")]
    described = [
        (await api.tables.GetTable(pb.GetTableRequest(name=name))).table for name in ("users", "fresh", "ages")
    ]
    for table in described:
        table.memory_bytes = 0
        table.ClearField("memory")
    found = [rows_of(page.rows) for page in tables], [await shown(api, name) for name in ("s", "levels")]
    return [found, [table.SerializeToString(deterministic=True) for table in described]]


async def test_a_refused_swap_is_refused_by_a_replay(tmp_path: Path) -> None:
    """Also when an anonymous session stands in the way of nobody any more."""
    async with serving(data=tmp_path / "data") as (server, api):
        await two_tables(api, without="level")
        await api.open("levels", query_pb2.Query(table="users", sort=[sort("level")]))
        await refused(swap(api, keep_sessions=True))
        await api.sessions.DeleteSession(spb.DeleteSessionRequest(name="levels"))
        done = await swap(api, keep_sessions=True, request_id="b")
        version = (await api.insert([{k: v for k, v in user(50).items() if k != "level"}])).version
        assert version == done.version + 1
        copy = shutil.copytree(tmp_path / "data", tmp_path / "copy", ignore=shutil.ignore_patterns("*.part"))
    async with serving(data=copy) as (server, api):
        assert server.hubs["default"].version == version
        assert len(rows_of((await api.all_rows()).rows)) == 6
        columns = (await api.tables.GetTable(pb.GetTableRequest(name="users"))).table.columns
        assert value_pb2.DATA_TYPE_ENUM not in [column.type for column in columns]
