"""AlterTable through the socket: columns, keys and types change under writers and readers, also over a crash."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc._proto.tesseract.v1 import change_pb2, query_pb2, schema_pb2, value_pb2
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.testing import Mirror, check_resumed, check_sessions, check_stream, rows_of, split_cuts
from tests.server.support import Api, compare, refused, serving, sort, user
from tests.server.test_resume import Watching
from tests.wire import batch

T = value_pb2.DataType.Value
NAMED = query_pb2.Query(table="users", columns=["name"], filter=compare("age", "GREATER", int64_value=21))
SORTED = query_pb2.Query(table="users", sort=[sort("age", descending=True)])
BY_ACTIVE = query_pb2.Query(
    table="users",
    group=query_pb2.Grouping(
        by=["active"], aggregates=[query_pb2.Aggregate(name="n", function=query_pb2.AGGREGATE_FUNCTION_COUNT)]
    ),
)


def add(name: str, type: str = "STRING", *, backfill: str = "", after: str = "", **more: Any) -> pb.Alteration:
    column = schema_pb2.Column(name=name, type=T(f"DATA_TYPE_{type}"), **more)
    return pb.Alteration(add_column=pb.AddColumn(column=column, backfill=backfill, after=after))


def drop(name: str) -> pb.Alteration:
    return pb.Alteration(drop_column=pb.DropColumn(column=name))


def rename(name: str, new: str) -> pb.Alteration:
    return pb.Alteration(rename_column=pb.RenameColumn(column=name, new_name=new))


def change(name: str, *paths: str, using: str = "", **definition: Any) -> pb.Alteration:
    if "type" in definition:
        definition["type"] = T(f"DATA_TYPE_{definition['type']}")
    asked = pb.ChangeColumn(column=name, definition=schema_pb2.Column(**definition), using=using)
    asked.update_mask.paths.extend(paths)
    return pb.Alteration(change_column=asked)


async def alter(api: Api, *alterations: pb.Alteration, **fields: Any) -> pb.AlterTableResponse:
    return await api.tables.AlterTable(pb.AlterTableRequest(name="users", alterations=alterations, **fields))


async def put(api: Api, **row: Any) -> pb.WriteResponse:
    """Inserts a row, of the columns that there are now."""
    types = {"id": "int64", "name": "string", "note": "string", "years": "int64", "age": "int64", "active": "bool"}
    return await api.write(pb.WriteOperation(table="users", insert=pb.Insert(rows=batch([row], types))))


async def people(api: Api) -> None:
    await api.create_users()
    await api.insert([user(id, age=20 + id) for id in range(5)])


async def shown(api: Api, name: str) -> list[dict[str, Any]]:
    return rows_of((await api.sessions.QuerySession(spb.QuerySessionRequest(name=name))).rows)


async def test_columns_come_go_and_are_renamed_under_readers() -> None:
    async with serving() as (_, api):
        await people(api)
        for name, query in (("named", NAMED), ("sorted", SORTED), ("groups", BY_ACTIVE)):
            await api.open(name, query)
        watches = {
            "named": Watching(api, name="named"),
            "sorted": Watching(api, name="sorted", window=query_pb2.Window(offset=0, limit=3), include_digest=True),
            "commits": Watching(api, name="sorted", delivery=change_pb2.DELIVERY_EVERY_COMMIT),
            "groups": Watching(api, name="groups"),
            "table": Watching(api, table=True, include_snapshot=True, include_old_values=True),
            "changes": Watching(api, table=True, delivery=change_pb2.DELIVERY_EVERY_COMMIT),
        }
        for watch in watches.values():
            await watch.next()
        version = (await api.insert([user(9, age=50)])).version
        done = await alter(
            api,
            add("note", backfill='name + "!"', after="name"),
            rename("age", "years"),
            drop("born"),
            add("size", "INT64"),
        )
        assert (done.version, done.rewritten_rows, done.ended_session_count) == (version + 1, 6, 0)
        names = [column.name for column in done.table.columns]
        assert names[:4] == ["id", "name", "note", "years"] and names[-1] == "size" and "born" not in names
        assert (await api.tables.GetTable(pb.GetTableRequest(name="users"))).table.columns == done.table.columns
        old = await refused(api.insert([{"id": 11, "age": 30}]))
        assert old.reason == "UNKNOWN_COLUMN"
        last = (await put(api, id=10, name="z", note="n", years=30, active=True)).version
        for name, watch in watches.items():
            await watch.until(last)
            changed = {"table": "table_changed", "changes": "table_changed"}.get(name, "session_changed")
            assert watch.events().count(changed) == (name != "groups"), name
            assert "reset" not in watch.events()
            check_stream(watch.responses)
        assert watches["named"].mirror.rows == await shown(api, "named")
        assert watches["sorted"].mirror.rows == (await shown(api, "sorted"))[:3]
        assert watches["commits"].mirror.rows == await shown(api, "sorted")
        assert watches["groups"].mirror.rows == await shown(api, "groups")
        there = rows_of((await api.all_rows()).rows)
        assert sorted(watches["table"].mirror.rows, key=lambda row: str(row["id"])) == sorted(
            there, key=lambda row: str(row["id"])
        )
        session = (await api.sessions.GetSession(spb.GetSessionRequest(name="named"))).session
        assert session.query.filter.comparison.column == "years" and session.generation == 2
        assert (await api.sessions.GetSession(spb.GetSessionRequest(name="groups"))).session.generation == 1


async def test_a_session_that_misses_a_column_ends_and_says_which() -> None:
    async with serving() as (_, api):
        await people(api)
        await api.open("named", NAMED)
        watch = await Watching(api, name="named").until(2)
        request = {"keep_sessions": True}
        kept = await refused(alter(api, drop("age"), **request))
        assert (kept.reason, kept.fields) == ("TABLE_IN_USE", ("keep_sessions",)) and "named" in kept.message
        anonymous = (
            await api.sessions.CreateSession(spb.CreateSessionRequest(session=spb.Session(query=SORTED)))
        ).session
        foreseen = await alter(api, drop("age"), validate_only=True)
        assert foreseen.version == 0 and "age" not in [column.name for column in foreseen.table.columns]
        done = await alter(api, drop("age"))
        for response in (foreseen, done):
            (ended,) = response.ended_sessions
            assert (ended.name, ended.column, response.ended_session_count) == ("hubs/default/sessions/named", "age", 1)
        found = await refused(watch.next())
        assert (found.reason, found.metadata["column"]) == ("TABLE_ALTERED", "age") and "'age'" in found.message
        for name in ("named", anonymous.name):
            gone = await refused(api.sessions.GetSession(spb.GetSessionRequest(name=name)))
            assert gone.reason == "UNKNOWN_SESSION"


async def test_another_key_is_a_reset() -> None:
    async with serving() as (_, api):
        await people(api)
        await api.open("sorted", SORTED)
        watches = [Watching(api, name="sorted"), Watching(api, table=True, include_snapshot=True)]
        for watch in watches:
            await watch.next()
        await alter(api, pb.Alteration(set_key=pb.SetKey(columns=["name", "id"])))
        last = (await api.insert([user(9)])).version
        for watch in watches:
            await watch.until(last)
            (reset,) = [each.reset for each in watch.responses if each.WhichOneof("event") == "reset"]
            assert reset.reason == change_pb2.RESET_REASON_TABLE_CHANGED
            check_stream(watch.responses)
            assert len(watch.mirror.rows) == 6 and set(watch.mirror.key_names) == {"id", "name"}


async def test_what_does_not_fit_is_told_row_by_row() -> None:
    async with serving() as (_, api):
        await people(api)
        before = await api.all_rows()
        found = await refused(alter(api, rename("age", "years"), change("name", "type", type="INT64")))
        assert found.reason == "WRONG_TYPE" and found.row_errors is not None
        assert (found.row_errors.total, [each.row for each in found.row_errors.errors]) == (5, [0, 1, 2, 3, 4])
        assert all(each.operation == 1 for each in found.row_errors.errors)
        assert await api.all_rows() == before
        for alterations, reason, field in (
            ([], "MALFORMED_REQUEST", "alterations"),
            ([pb.Alteration()], "MALFORMED_REQUEST", "alterations[0]"),
            ([drop("age"), drop("zz")], "UNKNOWN_COLUMN", "alterations[1].drop_column.column"),
            ([add("a", backfill="1 +")], "BAD_EXPRESSION", "alterations[0].add_column.backfill"),
            ([change("age", "name")], "MALFORMED_REQUEST", "alterations[0].change_column.update_mask"),
            ([change("age", "type")], "BAD_SCHEMA", "alterations[0].change_column.definition.type"),
        ):
            bad = await refused(alter(api, *alterations))
            assert (bad.reason, bad.fields[0]) == (reason, field)
        missing = await refused(api.tables.AlterTable(pb.AlterTableRequest(name="nobody", alterations=[drop("a")])))
        assert missing.reason == "UNKNOWN_TABLE"


async def test_a_request_that_is_sent_again_alters_once() -> None:
    async with serving() as (_, api):
        await people(api)
        first = await alter(api, add("note"), request_id="once")
        assert await alter(api, add("note"), request_id="once") == first


async def test_readers_from_before_come_back_to_the_net_change_or_to_a_reset() -> None:
    async with serving() as (_, api):
        await people(api)
        queries = {"named": NAMED, "sorted": SORTED, "groups": BY_ACTIVE}
        for name, query in queries.items():
            await api.open(name, query)
        watches = {name: Watching(api, name=name) for name in queries}
        watches["table"] = Watching(api, table=True, include_snapshot=True)
        begun = (await api.insert([user(8)])).version
        for watch in watches.values():
            await watch.until(begun)
        tokens = {name: watch.responses[-1].resume_token for name, watch in watches.items()}
        await api.insert([user(9, age=40)])
        await alter(api, add("note"), drop("born"))
        last = (await put(api, id=10, name="z", age=41)).version
        for name, token in tokens.items():
            what: dict[str, Any] = {"table": True, "include_snapshot": True} if name == "table" else {"name": name}
            again = Watching(api, resume_token=token, mirror=watches[name].mirror, **what)
            await again.until(last)
            resumed = again.responses[0].begin.resumed
            assert resumed == (name in ("named", "groups")), name
            assert ("reset" in again.events()) == (not resumed)
            check_resumed(watches[name].responses, again.responses)
            rows = rows_of((await api.all_rows()).rows) if name == "table" else await shown(api, name)
            assert sorted(map(repr, again.mirror.rows)) == sorted(map(repr, rows))


async def content(api: Api) -> list[object]:
    """What there is."""
    described = (await api.tables.GetTable(pb.GetTableRequest(name="users"))).table
    described.memory_bytes = 0
    described.ClearField("memory")
    sessions = (await api.sessions.ListSessions(spb.ListSessionsRequest())).sessions
    for session in sessions:
        session.ClearField("statistics")
        session.watcher_count = 0
    kept = [session.SerializeToString(deterministic=True) for session in sessions]
    rows = [rows_of((await api.all_rows()).rows), *[await shown(api, session.name) for session in sessions]]
    return [rows, kept, described.SerializeToString(deterministic=True)]


@pytest.mark.parametrize("snapshot", [False, True], ids=["tail", "snapshot"])
async def test_a_restart_gives_the_same_hub_and_goes_on_with_its_readers(tmp_path: Path, snapshot: bool) -> None:
    options: dict[str, Any] = {"snapshot_records": 3, "history_commits": 1} if snapshot else {}
    async with serving(data=tmp_path / "data", **options) as (server, api):
        await people(api)
        for name, query in (("named", NAMED), ("sorted", SORTED), ("groups", BY_ACTIVE)):
            await api.open(name, query)
        await alter(api, add("note", backfill='"old " + id', after="id"), drop("born"), rename("age", "years"))
        await alter(
            api, change("years", "type", type="STRING"), drop("score"), add("late", "TIMESTAMP", backfill="now()")
        )
        watch = await Watching(api, name="groups").until(server.hubs["default"].version)
        await alter(api, add("more", "INT64", default_value=value_pb2.Value(int64_value=3)), request_id="once")
        await api.write(
            pb.WriteOperation(
                table="users",
                insert=pb.Insert(
                    rows=batch(
                        [{"id": 50, "name": "n", "years": "1"}], {"id": "int64", "name": "string", "years": "string"}
                    )
                ),
            )
        )
        true, version = await content(api), server.hubs["default"].version
        copy = shutil.copytree(tmp_path / "data", tmp_path / "copy", ignore=shutil.ignore_patterns("*.part"))
    async with serving(data=copy, **options) as (server, api):
        assert server.hubs["default"].version == version
        assert await content(api) == true
        again = await alter(api, add("more", "INT64", default_value=value_pb2.Value(int64_value=3)), request_id="once")
        assert again.version == version - 1 and server.hubs["default"].version == version
        back = await Watching(api, name="groups", resume_token=await watch.leave(), mirror=watch.mirror).until(version)
        assert back.events()[0] == "begin" and (back.responses[0].begin.resumed or snapshot)
        assert back.mirror.rows == await shown(api, "groups")
        assert server.hubs["default"].check() > 0


async def test_several_sessions_on_one_stream_are_altered_at_one_version() -> None:
    async with serving() as (_, api):
        await people(api)
        for name, query in (("named", NAMED), ("sorted", SORTED), ("groups", BY_ACTIVE)):
            await api.open(name, query)
        asked = [spb.WatchSessionRequest(name=name) for name in ("named", "sorted", "groups")]
        call: Any = api.sessions.WatchSessions(spb.WatchSessionsRequest(sessions=asked))
        responses: list[spb.WatchSessionsResponse] = []

        async def until(version: int) -> list[Mirror]:
            """What the reader holds of each session, once all are at a version."""
            while not responses or responses[-1].response.continued or responses[-1].response.to_version < version:
                responses.append(await asyncio.wait_for(call.read(), 10))
            mirrors = [Mirror() for _ in asked]
            for mirror, stream in zip(mirrors, split_cuts(responses, len(asked)), strict=True):
                for response in stream:
                    mirror.apply(response)
            return mirrors

        await until(2)
        altered = await alter(api, rename("age", "years"), add("note"), drop("born"))
        for version in (altered.version, (await put(api, id=10, name="z", note="n", years=30)).version):
            for mirror, each in zip(await until(version), asked, strict=True):
                if version == (await api.all_rows()).version:
                    assert mirror.rows == await shown(api, each.name)
        check_sessions(responses, [None] * len(asked))
        assert sum(each.response.HasField("session_changed") for each in responses) == 2
