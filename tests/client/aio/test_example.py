"""The example that users see first, from end to end, and a server that goes away and comes back."""

from typing import Any

from tesseract_grpc.client import AsyncEventHorizon, Delta, NotFound, Retry, Snapshot
from tesseract_grpc.testing import running_server
from tests.client.aio.support import eventually
from tests.client.serving import free_port


async def test_the_first_example(server: Any, table_id: str) -> None:
    added: list[Any] = []
    updated: list[Any] = []
    removed: list[Any] = []
    shown: list[Any] = []
    async with AsyncEventHorizon.connect(server.address) as hub:
        columns: list[dict[str, Any]] = [
            {"name": "id", "type": "int64", "primary_key": True},
            {"name": "name", "type": "string"},
            {"name": "age", "type": "number", "index": True},
            {"name": "label", "expression": 'name + " (" + age + ")"'},
        ]
        users = await hub.create_tesseract(table_id, columns=columns)
        await users.on("add", added.append)
        await users.on("update", updated.append)
        await users.on("remove", removed.append)
        await users.add([{"id": 1, "name": "Ada", "age": 36}, {"id": 2, "name": "Bob", "age": 12}])
        await users.update({"id": 1, "age": 37})
        await users.remove(filter=[{"field": "age", "comparison": "<", "value": 18}])
        adults = await hub.create_session(
            id=f"{table_id}-adults",
            table=table_id,
            filter=[{"field": "age", "comparison": ">=", "value": 18}],
            sort=[{"field": "age", "direction": "desc"}],
        )
        data = await adults.get_data(start=0, limit=50)
        assert data == [{"id": 1, "name": "Ada", "age": 37.0, "label": "Ada (37)"}]
        assert data.to_arrow().num_rows == len(data.to_pandas()) == len(data.to_polars()) == 1
        await adults.on("data", shown.append)
        events: list[Any] = []
        async for change in adults.watch(window=(0, 50)):
            events.append(change)
            if len(events) == 2:
                break
            await users.add({"id": 3, "name": "Cyd", "age": 40})
        assert isinstance(events[0], Snapshot)
        assert isinstance(events[1], Delta)
        await eventually(lambda: shown and [row["id"] for row in shown[-1]] == [3, 1])
        await eventually(lambda: removed and len(added) == 2)
        assert updated == [[{"id": 1, "age": 37.0, "label": "Ada (37)"}]]
        assert [row["name"] for row in removed[0]] == ["Bob"]


async def test_a_server_that_comes_back_with_other_rows() -> None:
    """The mirror says stale while nobody answers, and shows the rows of the new server when it is there."""
    port = free_port()
    columns: list[dict[str, Any]] = [{"name": "id", "type": "int64", "primary_key": True}]
    address = f"127.0.0.1:{port}"
    async with AsyncEventHorizon.connect(
        address, timeout=10, retry=Retry(initial_backoff=0.02, max_backoff=0.1)
    ) as hub:
        with running_server(listen=address):
            table = await hub.create_tesseract("t", columns)
            await table.add([{"id": 1}, {"id": 2}])
            session = await hub.create_session(id="s", table=table)
            mirror = await session.mirror().ready()
            assert (mirror.state, mirror.rows()) == ("live", [{"id": 1}, {"id": 2}])
            before = mirror.epoch
        await eventually(lambda: mirror.state == "stale")
        assert mirror.rows() == [{"id": 1}, {"id": 2}]
        with running_server(listen=address) as server:
            # A hub in memory has forgotten its tables, so that the session is gone for good.
            await eventually(lambda: mirror.state == "ended")
            assert isinstance(mirror.error, NotFound)
            assert server.server.port == port
            table = await hub.create_tesseract("t", columns)
            await table.add({"id": 7})
            session = await hub.create_session(id="s", table=table)
            async with session.mirror() as fresh:
                assert fresh.rows() == [{"id": 7}]
                assert fresh.epoch != before
