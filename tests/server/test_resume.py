"""Promise 6 through the socket: a watch goes on where its token says, or says why not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import change_pb2, query_pb2
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.engine.query.query import Window
from tesseract_grpc.server import Server
from tesseract_grpc.testing import Answer, ManualClock, Mirror, check_resumed, key_of, last_token, rows_of
from tesseract_grpc.testing.mirror import Response
from tests.server.support import Api, compare, insert, refused, rows, serving, sort, user

QUERY = query_pb2.Query(
    table="users", filter=compare("age", "GREATER_OR_EQUAL", int64_value=22), sort=[sort("score", descending=True)]
)
WINDOWS = [None, query_pb2.Window(offset=0, limit=3), query_pb2.Window(offset=2, limit=2)]


class Watching:
    """Reads one watch, of session `s` or of the table, until a version; keeps what came."""

    def __init__(self, api: Api, *, table: bool = False, mirror: Mirror | None = None, **fields: Any) -> None:
        if table:
            self.call: Any = api.tables.WatchTable(pb.WatchTableRequest(**{"table": "users", **fields}))
        else:
            self.call = api.sessions.WatchSession(spb.WatchSessionRequest(**{"name": "s", **fields}))
        self.responses: list[Response] = []
        self.mirror = mirror or Mirror()

    async def next(self) -> Any:
        response = await asyncio.wait_for(self.call.read(), 10)
        assert response is not grpc.aio.EOF, "the stream ended"
        self.responses.append(response)
        self.mirror.apply(response)
        return response

    async def until(self, version: int) -> Watching:
        while not self.mirror.consistent or self.mirror.version < version:
            await self.next()
        return self

    async def leave(self) -> bytes:
        self.call.cancel()
        token = last_token(self.responses)
        assert token, "no token came"
        return token

    def events(self) -> list[str]:
        return [str(response.WhichOneof("event")) for response in self.responses]


async def change_everything(api: Api) -> int:
    """Rows come, leave, move, and are deleted and inserted again; in several commits. Returns the last version."""
    await api.write(pb.WriteOperation(table="users", update=pb.Update(rows=rows([{"id": 1, "score": 9.0}]))))
    await api.insert([user(20), user(21, age=3)])
    await api.write(pb.WriteOperation(table="users", delete=pb.Delete(keys=rows([{"id": 3}]))))
    await api.write(insert([user(3, score=0.1, name="again")]))
    for step in range(4):
        parts = [{"id": 4, "score": float(step)}], [{"id": 2, "age": 10 * step}]
        updates = [pb.WriteOperation(table="users", update=pb.Update(rows=rows(part))) for part in parts]
        version = (await api.write(*updates)).version
    return version


async def truth(api: Api, window: query_pb2.Window | None) -> dict[int, Answer]:
    page = await api.sessions.QuerySession(spb.QuerySessionRequest(name="s", window=window))
    return {page.version: Answer(rows_of(page.rows), page.total_count)}


@pytest.mark.parametrize("window", WINDOWS)
async def test_a_session_goes_on_where_it_was(api: Api, window: query_pb2.Window | None) -> None:
    await api.open("s", QUERY)
    before = await Watching(api, window=window).until(2)
    token = await before.leave()
    version = await change_everything(api)
    after = await Watching(api, window=window, resume_token=token, mirror=before.mirror).until(version)
    assert after.events()[:2] == ["begin", "changes"]
    known = await truth(api, window)
    check_resumed(before.responses, after.responses, known)
    assert after.mirror.rows == list(known[version].rows)


async def test_it_can_be_left_again_and_again(api: Api) -> None:
    await api.open("s", QUERY)
    watching = await Watching(api, window=WINDOWS[1]).until(2)
    told = watching.responses
    for number in range(6):
        token = await watching.leave()
        version = (await api.insert([user(100 + number, score=100.0 + number % 3)])).version
        watching = await Watching(api, window=WINDOWS[1], resume_token=token, mirror=watching.mirror).until(version)
        check_resumed(told, watching.responses, await truth(api, WINDOWS[1]))
        told = [*told, *watching.responses]
    assert [str(response.WhichOneof("event")) for response in told].count("snapshot_end") == 1


@pytest.mark.parametrize("old_values", [False, True])
@pytest.mark.parametrize("snapshot", [False, True])
async def test_a_table_goes_on_where_it_was(api: Api, old_values: bool, snapshot: bool) -> None:
    asked: dict[str, Any] = {"table": True, "include_old_values": old_values, "include_snapshot": snapshot}
    before = Watching(api, **asked)
    while not last_token(before.responses):
        await before.next()
    token = await before.leave()
    version = await change_everything(api)
    after = Watching(api, **asked, resume_token=token, mirror=before.mirror)
    while not after.responses or after.responses[-1].to_version < version or after.responses[-1].continued:
        await after.next()
    assert after.events() == ["begin", "changes"]
    changes = after.responses[1].changes
    assert sorted(row["id"] for row in rows_of(changes.inserts.rows)) == [20, 21]
    assert all(updates.HasField("old_values") == old_values for updates in changes.updates)
    if snapshot:
        true = rows_of((await api.all_rows()).rows)
        check_resumed(before.responses, after.responses, {version: Answer(true, len(true), ordered=False)})


async def test_where_nothing_happened_it_says_so_at_once(api: Api) -> None:
    await api.open("s", QUERY)
    before = await Watching(api).until(2)
    token = await before.leave()
    await api.insert([user(50, age=1)])  # no row of the session
    after = Watching(api, resume_token=token, mirror=before.mirror)
    assert (await after.next()).begin.resumed
    progress = await asyncio.wait_for(after.next(), 2)
    assert progress.WhichOneof("event") == "progress" and progress.to_version == 3
    check_resumed(before.responses, after.responses)
    assert await after.leave() != token


async def test_readers_at_one_place_have_one_token_and_are_given_one_change(api: Api) -> None:
    await api.open("s", QUERY)
    readers = [await Watching(api, window=WINDOWS[1]).until(2) for _ in range(20)]
    tokens = {await reader.leave() for reader in readers}
    assert len(tokens) == 1
    version = await change_everything(api)
    again = [Watching(api, window=WINDOWS[1], resume_token=tokens.copy().pop()) for _ in readers]
    for old, reader in zip(readers, again, strict=True):
        reader.mirror = old.mirror
        await reader.until(version)
    assert len({reader.responses[1].SerializeToString() for reader in again}) == 1
    known = await truth(api, WINDOWS[1])
    for old, reader in zip(readers, again, strict=True):
        check_resumed(old.responses, reader.responses, known)


async def refuse(api: Api, **fields: Any) -> Any:
    return await refused(Watching(api, **fields).call.read())


async def test_a_token_that_this_hub_has_not_written_is_refused(api: Api) -> None:
    await api.open("s", QUERY)
    token = await (await Watching(api).until(2)).leave()
    table = Watching(api, table=True, include_snapshot=True)
    other = await (await table.until(2)).leave()
    wrong = [token[:-1], token + b"\0", b"x", other, b"\2" + token[1:]]
    wrong += [token[:at] + bytes([token[at] ^ 1]) + token[at + 1 :] for at in (1, 17, 20, 33, 45, len(token) - 1)]
    for forged in wrong:
        refusal = await refuse(api, resume_token=forged)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_RESUME_TOKEN"), forged
    refusal = await refuse(api, table=True, resume_token=token)
    assert refusal.reason == "BAD_RESUME_TOKEN"


async def test_a_token_of_another_hub_is_refused() -> None:
    async with serving(hubs=("default", "other")) as (_, api):
        for hub in ("default", "other"):
            parent = f"hubs/{hub}"
            await api.create_users(parent=parent)
            session = spb.Session(query=query_pb2.Query(table="users"))
            await api.sessions.CreateSession(spb.CreateSessionRequest(parent=parent, session_id="s", session=session))
        token = await (await Watching(api).until(1)).leave()
        refusal = await refuse(api, name="hubs/other/sessions/s", resume_token=token)
        assert refusal.reason == "BAD_RESUME_TOKEN"


async def reset_of(api: Api, before: Watching, token: bytes, **fields: Any) -> change_pb2.Reset:
    """Begins with a token that does not serve; returns the Reset, after which a snapshot has come."""
    after = Watching(api, resume_token=token, **fields)
    while not after.mirror.anchored:
        await after.next()
    assert not after.responses[0].begin.resumed
    check_resumed(before.responses, after.responses)
    after.call.cancel()
    resets = [response.reset for response in after.responses if response.WhichOneof("event") == "reset"]
    assert len(resets) == 1
    return resets[0]


async def test_an_earlier_life_of_the_hub_is_a_reset() -> None:
    async with serving() as (_, api):
        await api.create_users()
        await api.open("s", query_pb2.Query(table="users"))
        before = await Watching(api).until(1)
        token = await before.leave()
    async with serving() as (_, api):
        await api.create_users()
        await api.open("s", query_pb2.Query(table="users"))
        reset = await reset_of(api, before, token)
        assert reset.reason == change_pb2.RESET_REASON_OTHER_EPOCH and reset.message


async def test_a_token_from_before_the_history_is_a_reset() -> None:
    async with serving(history_commits=4) as (_, api):
        await api.create_users()
        await api.insert([user(id) for id in range(5)])
        await api.open("s", QUERY)
        before = await Watching(api, window=WINDOWS[1]).until(2)
        token = await before.leave()
        table = await Watching(api, table=True, include_snapshot=True).until(2)
        of_table = await table.leave()
        for id in range(100, 110):
            await api.insert([user(id)])
        reset = await reset_of(api, before, token, window=WINDOWS[1])
        assert reset.reason == change_pb2.RESET_REASON_TOO_OLD
        reset = await reset_of(api, table, of_table, table=True, include_snapshot=True)
        assert reset.reason == change_pb2.RESET_REASON_TOO_OLD
        without = Watching(api, table=True, resume_token=of_table)
        while not last_token(without.responses):
            await without.next()
        assert "snapshot_end" not in without.events() and "reset" in without.events()


async def test_another_window_or_definition_is_a_reset_and_the_same_one_again_is_not(api: Api) -> None:
    await api.open("s", QUERY)
    before = await Watching(api, window=WINDOWS[1]).until(2)
    token = await before.leave()
    reset = await reset_of(api, before, token, window=WINDOWS[2])
    assert reset.reason == change_pb2.RESET_REASON_DEFINITION_CHANGED

    async def edit(query: query_pb2.Query) -> int:
        request = spb.UpdateSessionRequest(session=spb.Session(name="s", query=query))
        request.update_mask.paths.append("query")
        return (await api.sessions.UpdateSession(request)).version

    await edit(query_pb2.Query(table="users", sort=[sort("age")]))
    reset = await reset_of(api, before, token, window=WINDOWS[1])
    assert reset.reason == change_pb2.RESET_REASON_DEFINITION_CHANGED
    version = await edit(QUERY)
    after = await Watching(api, window=WINDOWS[1], resume_token=token, mirror=before.mirror).until(version)
    assert after.responses[0].begin.resumed
    check_resumed(before.responses, after.responses, await truth(api, WINDOWS[1]))


async def test_a_token_told_between_an_edit_and_its_change_is_of_the_old_definition(api: Api) -> None:
    """Whoever was told all of the old definition and nothing of the edit begins anew."""
    await api.open("s", QUERY)
    before = await Watching(api).until(2)
    version = await change_everything(api)
    await before.until(version)
    token = last_token(before.responses)
    request = spb.UpdateSessionRequest(
        session=spb.Session(name="s", query=query_pb2.Query(table="users", sort=[sort("id")]))
    )
    request.update_mask.paths.append("query")
    edited = (await api.sessions.UpdateSession(request)).version
    await before.until(edited)
    reset = await reset_of(api, before, token)
    assert reset.reason == change_pb2.RESET_REASON_DEFINITION_CHANGED
    after = Watching(api, resume_token=await before.leave(), mirror=before.mirror)
    assert (await after.next()).begin.resumed


async def test_another_table_of_the_name_is_a_reset(api: Api) -> None:
    before = await Watching(api, table=True, include_snapshot=True).until(2)
    token = await before.leave()
    await api.tables.DeleteTable(pb.DeleteTableRequest(name="users"))
    await api.create_users()
    reset = await reset_of(api, before, token, table=True, include_snapshot=True)
    assert reset.reason == change_pb2.RESET_REASON_TABLE_CHANGED


async def test_a_session_made_again_is_the_same_to_a_token(api: Api) -> None:
    """An anonymous session that has gone, say: what a token is of is what is shown, and not its name."""
    await api.open("s", QUERY)
    before = await Watching(api, window=WINDOWS[1]).until(2)
    token = await before.leave()
    await api.sessions.DeleteSession(spb.DeleteSessionRequest(name="s"))
    version = await change_everything(api)
    anonymous = await api.open("", QUERY)
    after = Watching(api, name=anonymous.name, window=WINDOWS[1], resume_token=token, mirror=before.mirror)
    await after.until(version)
    check_resumed(before.responses, after.responses)
    page = await api.sessions.QuerySession(spb.QuerySessionRequest(name=anonymous.name, window=WINDOWS[1]))
    assert after.mirror.rows == rows_of(page.rows)


def token_of_the_future(server: Server, ahead: int) -> bytes:
    host = server._hosts.by_name["default"]
    return host.tokens.of_session(host.session("s"), Window()).at(host.hub.version + ahead, 0)


async def test_a_token_from_the_future_waits() -> None:
    async with serving(max_version_wait=0.3) as (server, api):
        await api.create_users()
        await api.open("s", QUERY)
        refusal = await refuse(api, resume_token=token_of_the_future(server, 2))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "VERSION_NOT_REACHED")
        assert refusal.retry_ms and refusal.metadata["version"] == "1"
    async with serving(max_version_wait=10) as (server, api):
        await api.create_users()
        await api.open("s", QUERY)
        after = Watching(api, resume_token=token_of_the_future(server, 2))
        reading = asyncio.create_task(after.call.read())
        await asyncio.sleep(0.1)
        assert not reading.done()
        for id in range(3):
            await api.insert([user(id + 50)])
        begin = await asyncio.wait_for(reading, 5)
        assert begin.begin.resumed and (begin.from_version, begin.to_version) == (3, 3)
        changes = await after.call.read()
        if changes.WhichOneof("event") == "progress":  # it was let in before the last commit
            assert (changes.from_version, changes.to_version) == (3, 3)
            changes = await after.call.read()
        assert (changes.from_version, changes.to_version) == (3, 4), "old events are never told again"


async def test_what_time_has_done_meanwhile_is_told() -> None:
    clock = ManualClock(1_000.0)
    async with serving(clock=clock, tick_interval=0.02) as (_, api):
        await api.create_users()
        await api.insert([user(id, born=(900 + 20 * id) * 1_000_000) for id in range(10)])
        query = query_pb2.Query(table="users", filter=query_pb2.Filter(custom="born >= now() - 1m"))
        await api.open("s", query)
        before = await Watching(api).until(2)
        while not before.mirror.rows:
            await before.next()
        token = await before.leave()
        held = [row["id"] for row in before.mirror.rows]
        clock.advance(45.0)
        await api.insert([user(30, born=1_040_000_000)])
        await asyncio.sleep(0.2)
        page = await api.sessions.QuerySession(spb.QuerySessionRequest(name="s"))
        after = await Watching(api, resume_token=token, mirror=before.mirror).until(page.version)
        check_resumed(before.responses, after.responses)
        page = await api.sessions.QuerySession(spb.QuerySessionRequest(name="s"))
        assert [row["id"] for row in after.mirror.rows] == [row["id"] for row in rows_of(page.rows)] != held


async def test_several_sessions_go_on_together(api: Api) -> None:
    await api.open("s", QUERY)
    await api.open("other", query_pb2.Query(table="users", sort=[sort("age")]))
    asked = [spb.WatchSessionRequest(name="s", window=WINDOWS[1]), spb.WatchSessionRequest(name="other")]
    mirrors: Sequence[Mirror] = (Mirror(), Mirror())

    async def read(call: Any, version: int) -> tuple[list[Any], bytes]:
        responses: list[Any] = []
        while not responses or responses[-1].response.continued or responses[-1].response.to_version < version:
            responses.append(await asyncio.wait_for(call.read(), 5))
        call.cancel()
        token = responses[-1].response.resume_token
        for each, following in zip(responses, [*responses[1:], None], strict=True):
            alone = type(each.response).FromString(each.response.SerializeToString())
            if following is None or following.index != each.index:
                alone.continued = False  # what is continued is the cut, of which the other sessions are parts
            mirrors[each.index].apply(alone)
        return responses, token

    _, token = await read(api.sessions.WatchSessions(spb.WatchSessionsRequest(sessions=asked)), 2)
    assert token
    version = await change_everything(api)
    request = spb.WatchSessionsRequest(sessions=asked, resume_token=token)
    responses, token = await read(api.sessions.WatchSessions(request), version)
    events = [response.response.WhichOneof("event") for response in responses]
    assert events == ["begin", "begin", "changes", "changes"]
    assert all(response.response.begin.resumed for response in responses[:2])
    for mirror, (name, window) in zip(mirrors, (("s", WINDOWS[1]), ("other", None)), strict=True):
        page = await api.sessions.QuerySession(spb.QuerySessionRequest(name=name, window=window))
        assert mirror.rows == rows_of(page.rows), name
        assert len({key_of(row, ("id",)) for row in mirror.rows}) == len(mirror.rows)
    swapped = spb.WatchSessionsRequest(sessions=asked[::-1], resume_token=token)
    call: Any = api.sessions.WatchSessions(swapped)
    kinds = [(await asyncio.wait_for(call.read(), 5)).response.WhichOneof("event") for _ in range(2)]
    assert kinds == ["begin", "reset"]


async def test_a_window_of_a_tree_that_is_none_any_more_goes_on(api: Api) -> None:
    """Which nodes are open is passed over by who comes back, as by who stayed; who asks for it anew is told."""
    await api.open("s", query_pb2.Query(table="users", tree=query_pb2.Tree(parent="age")))
    window = query_pb2.Window(offset=1, expansion=query_pb2.Expansion(depth=0))
    before = await Watching(api, window=window).until(2)
    edit = spb.UpdateSessionRequest(session=spb.Session(name="s", query=query_pb2.Query(table="users")))
    edit.update_mask.paths.append("query")
    await before.until((await api.sessions.UpdateSession(edit)).version)
    token = await before.leave()
    version = await change_everything(api)
    after = Watching(api, window=window, resume_token=token, mirror=before.mirror)
    assert (await after.next()).begin.resumed
    await after.until(version)
    fresh = await api.sessions.QuerySession(spb.QuerySessionRequest(name="s", window=query_pb2.Window(offset=1)))
    assert list(after.mirror.rows) == rows_of(fresh.rows)
    assert (await refused(Watching(api, window=window).next())).reason == "BAD_WINDOW"
    await after.leave()
