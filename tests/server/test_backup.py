"""The stream of a backup: its order, its digests, what it waits for, what it refuses, and what is counted of it."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import aclosing

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2 as hpb
from tesseract_grpc._proto.tesseract.v1 import schema_pb2
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.server import Server
from tesseract_grpc.server.backup.transfer import PATROL
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.errors import Refusal, ServerReason
from tesseract_grpc.server.services.backups import begin_backup
from tesseract_grpc.testing import digest_of, rows_of
from tests.server.support import Api, insert, refused, rows, serving, user


async def all_of(api: Api, **asked: object) -> list[hpb.BackupResponse]:
    return [response async for response in api.hubs.Backup(hpb.BackupRequest(**asked))]  # type: ignore[arg-type]


async def test_the_order_and_the_digests() -> None:
    async with serving(piece_bytes=1_024) as (_, api):
        await api.create_users("b")
        await api.create_users("a")
        for start in range(0, 120, 40):
            await api.write(insert([user(number) for number in range(start, start + 40)], "b"))
        await api.sessions.CreateSession(
            spb.CreateSessionRequest(session_id="s", session=spb.Session(query={"table": "b"}))  # type: ignore[arg-type]
        )
        await api.tables.CreateTable(
            pb.CreateTableRequest(table_id="c", table=schema_pb2.Table(query={"source": {"session": "s"}}))  # type: ignore[arg-type]
        )
        found = await all_of(api)
        kinds = [str(response.WhichOneof("part")) for response in found]
        begin = found[0].begin
        assert [(table.name.rpartition("/")[2], table.row_count) for table in begin.tables] == [
            ("b", 120),
            ("a", 0),
            ("c", 0),
        ]
        assert [session.name for session in begin.sessions] == ["hubs/default/sessions/s"]
        hub = (await api.hubs.GetHub(hpb.GetHubRequest())).hub
        assert (begin.hub.version, begin.hub.epoch) == (hub.version, hub.epoch)
        pieces = kinds.index("table_end") - 1
        assert pieces > 3
        assert kinds == ["begin", *["rows"] * pieces, "table_end", "table_end", "end"]
        hashed = hashlib.sha256()
        found_rows = []
        for response in found[1 : pieces + 1]:
            some = rows_of(response.rows)
            hashed.update(digest_of({column.name: column.type for column in begin.tables[0].columns}, some))
            found_rows += some
        assert [row["id"] for row in found_rows] == list(range(120))
        ends = [response.table_end for response in found[pieces + 1 : pieces + 3]]
        assert [(end.table.rpartition("/")[2], end.row_count) for end in ends] == [("b", 120), ("a", 0)]
        assert [end.digest for end in ends] == [hashed.digest(), hashlib.sha256().digest()]
        assert found[-1].end.row_count == 120


def names_of(begin: hpb.BackupBegin) -> list[str]:
    return [table.name for table in begin.tables] + [session.name for session in begin.sessions]


async def test_what_is_asked_for_and_what_is_refused() -> None:
    async with serving() as (_, api):
        await api.create_users("t")
        await api.create_users("u")
        await api.sessions.CreateSession(
            spb.CreateSessionRequest(session_id="s", session=spb.Session(query={"table": "t"}))  # type: ignore[arg-type]
        )
        await api.tables.CreateTable(
            pb.CreateTableRequest(table_id="d", table=schema_pb2.Table(query={"table": "t"}))  # type: ignore[arg-type]
        )

        async def names(**asked: object) -> list[str]:
            begin = (await all_of(api, **asked))[0].begin
            return [name.rpartition("/")[2] for name in names_of(begin)]

        assert await names() == ["t", "u", "d", "s"]
        assert await names(include_sessions=False) == ["t", "u", "d"]
        assert await names(tables=["u"]) == ["u"]
        assert await names(tables=["t", "t"], include_sessions=True) == ["t", "s"]
        assert await names(tables=["u"], include_sessions=True) == ["u"]
        assert await names(tables=["d", "hubs/default/tables/t"]) == ["t", "d"]
        for asked, reason, field in (
            ({"tables": ["no"]}, "UNKNOWN_TABLE", "tables[0]"),
            ({"tables": ["d"]}, "MALFORMED_REQUEST", "tables"),
            ({"parent": "hubs/no"}, "UNKNOWN_HUB", "parent"),
        ):
            problem = await refused(all_of(api, **asked))
            assert (problem.reason, *problem.fields[:1]) == (reason, field)


async def test_it_waits_for_a_version_and_is_counted() -> None:
    async with serving(max_version_wait=0.2) as (server, api):
        await api.create_users("t")
        written = await api.write(insert([user(1)], "t"))
        begin = (await all_of(api, min_version=written.version))[0].begin
        assert begin.hub.version == written.version
        assert (await refused(all_of(api, min_version=written.version + 5))).reason == "VERSION_NOT_REACHED"
        assert isinstance(server, Server)
        host = server._hosts.by_name["default"]
        meters = host.meters.backups
        assert (dict(meters.ended), meters.rows, host.backups) == ({"complete": 1}, 1, set())
        assert meters.sent_bytes > 100
        call = api.hubs.Backup(hpb.BackupRequest())
        await call.read()
        call.cancel()
    assert not host.backups
    assert all(not source.watches for source in host.hub._sources.values())


class Waiting:
    """A call whose client does not read."""

    cut: Refusal | None = None

    def cut_off(self, refusal: Refusal) -> None:
        self.cut = self.cut or refusal


async def test_what_is_kept_for_a_client_that_does_not_read_is_bounded() -> None:
    async with serving(backup_bytes=20_000, max_rows_per_write=5_000) as (server, api):
        await api.create_users("t")
        await api.write(insert([user(number) for number in range(3_000)], "t"))
        host, call = server._hosts.by_name["default"], Waiting()
        begin, transfer = begin_backup(host, twin.hub_service.BackupRequest(), call)  # type: ignore[arg-type]
        async with transfer, aclosing(transfer.responses(begin)) as responses:
            await anext(responses)
            await asyncio.sleep(3 * PATROL)
            assert call.cut is None, "nothing was written, and nothing is kept"
            await api.write(insert([user(number + 10_000) for number in range(10)], "t"))
            await api.tables.Write(
                pb.WriteRequest(
                    operations=[
                        pb.WriteOperation(
                            table="t", upsert=pb.Upsert(rows=rows([user(number, age=1) for number in range(3_000)]))
                        )
                    ]
                )
            )
            async with asyncio.timeout(10):
                while call.cut is None:  # noqa: ASYNC110 - a patrol looks now and then
                    await asyncio.sleep(0.05)
        assert call.cut.reason is ServerReason.SLOW_READER and "backup_bytes is 20,000" in call.cut.message
        assert not host.backups
