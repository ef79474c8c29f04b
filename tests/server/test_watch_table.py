"""WatchTable through the socket."""

from __future__ import annotations

import asyncio
from typing import Any

from google.protobuf.duration_pb2 import Duration

from tesseract_grpc._proto.tesseract.v1 import change_pb2
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.testing import Mirror, check_stream, rows_of
from tests.server.support import Api, insert, rows, serving, user


class Reader:
    """Reads one watch of `users` and keeps what came."""

    def __init__(self, api: Api, **fields: Any) -> None:
        self.call = api.tables.WatchTable(pb.WatchTableRequest(**{"table": "users", **fields}))
        self.responses: list[pb.WatchTableResponse] = []
        self.mirror = Mirror()

    async def next(self) -> pb.WatchTableResponse:
        response = await asyncio.wait_for(self.call.read(), 10)
        assert isinstance(response, pb.WatchTableResponse), "the stream ended"
        self.responses.append(response)
        self.mirror.apply(response)
        return response

    async def until(self, version: int) -> None:
        while not self.responses or self.responses[-1].continued or self.responses[-1].to_version < version:
            await self.next()


async def test_from_now_on_without_a_snapshot(api: Api) -> None:
    reader = Reader(api)
    begin = await reader.next()
    assert (begin.WhichOneof("event"), begin.from_version, begin.to_version) == ("begin", 2, 2)
    await api.insert([user(9)])
    response = await reader.next()
    assert (response.from_version, response.to_version) == (2, 3)
    assert [row["id"] for row in rows_of(response.changes.inserts.rows)] == [9]
    assert not response.changes.inserts.indexes
    assert response.changes.total_count == 6
    check_stream(reader.responses)


async def test_with_a_snapshot_it_is_a_mirror(api: Api) -> None:
    reader = Reader(api, include_snapshot=True)
    while not reader.mirror.anchored:
        await reader.next()
    assert [response.WhichOneof("event") for response in reader.responses] == ["begin", "snapshot_rows", "snapshot_end"]
    version = (
        await api.write(
            insert([user(7)]),
            pb.WriteOperation(table="users", update=pb.Update(rows=rows([{"id": 1, "age": 1}, {"id": 2, "age": 2}]))),
            pb.WriteOperation(table="users", delete=pb.Delete(keys=rows([{"id": 0}]))),
        )
    ).version
    await reader.until(version)
    assert sorted(reader.mirror.rows, key=lambda row: row["id"]) == sorted(
        rows_of((await api.all_rows()).rows), key=lambda row: row["id"]
    )
    check_stream(reader.responses)


async def test_old_values_come_on_request(api: Api) -> None:
    reader = Reader(api, include_old_values=True)
    await reader.next()
    await api.write(
        pb.WriteOperation(table="users", update=pb.Update(rows=rows([{"id": 1, "age": 1}]))),
        pb.WriteOperation(table="users", delete=pb.Delete(keys=rows([{"id": 0}]))),
    )
    changes = (await reader.next()).changes
    assert rows_of(changes.updates[0].rows) == [{"id": 1, "age": 1}]
    assert rows_of(changes.updates[0].old_values) == [{"age": 21}]
    assert changes.removes[0].reason == change_pb2.REMOVE_REASON_DELETED
    assert rows_of(changes.removes[0].keys) == [{"id": 0}]
    assert rows_of(changes.removes[0].old_rows) == [user(0)]
    without = Reader(api)
    await without.next()
    await api.write(pb.WriteOperation(table="users", update=pb.Update(rows=rows([{"id": 1, "age": 2}]))))
    changes = (await without.next()).changes
    assert not changes.updates[0].HasField("old_values")


async def test_large_changes_with_old_values_come_in_pieces() -> None:
    async with serving(piece_bytes=4_096) as (_, api):
        await api.create_users()
        await api.insert([user(id) for id in range(2_000)])
        reader = Reader(api, include_old_values=True)
        await reader.next()
        everybody = rows([{"id": id, "age": 0, "name": f"other {id}"} for id in range(1_000)])
        others = rows([{"id": id} for id in range(1_000, 2_000)])
        version = (
            await api.write(
                pb.WriteOperation(table="users", update=pb.Update(rows=everybody)),
                pb.WriteOperation(table="users", delete=pb.Delete(keys=others)),
            )
        ).version
        await reader.until(version)
        pieces = [response.changes for response in reader.responses[1:]]
        assert max(piece.ByteSize() for piece in pieces) < 2 * 4_096
        updates = [update for piece in pieces for update in piece.updates]
        new = [row for update in updates for row in rows_of(update.rows)]
        old = [row for update in updates for row in rows_of(update.old_values)]
        assert [row["id"] for row in new] == list(range(1_000))
        assert [row["name"] for row in old] == [f"user {id}" for id in range(1_000)]
        removes = [remove for piece in pieces for remove in piece.removes]
        assert sum(remove.keys.row_count for remove in removes) == 1_000
        assert [row for remove in removes for row in rows_of(remove.old_rows)] == [
            user(id) for id in range(1_000, 2_000)
        ]
        assert pieces[-1].total_count == 1_000
        check_stream(reader.responses)


async def test_commits_are_merged_to_their_net_effect(api: Api) -> None:
    reader = Reader(api, min_interval=Duration(nanos=200_000_000))
    await reader.next()
    await api.insert([user(20)])
    await reader.next()
    await api.insert([user(21)])
    await api.write(pb.WriteOperation(table="users", delete=pb.Delete(keys=rows([{"id": 21}]))))
    version = (await api.insert([user(22)])).version
    response = await reader.next()
    assert (response.from_version, response.to_version) == (3, version)
    assert [row["id"] for row in rows_of(response.changes.inserts.rows)] == [22]
    assert not response.changes.removes


async def test_a_watch_follows_a_renamed_table(api: Api) -> None:
    reader = Reader(api)
    await reader.next()
    await api.tables.RenameTable(pb.RenameTableRequest(name="users", new_table_id="people"))
    version = (await api.insert([user(30)], table="people")).version
    await reader.until(version)
    check_stream(reader.responses)
