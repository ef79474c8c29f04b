# Generated from tests/client/aio/test_example.py by tools/generate_sync_client.py: edit that file and run it.
"""The example that users see first, from end to end, and a server that goes away and comes back."""

from typing import Any

from tesseract_grpc.client import Delta, EventHorizon, NotFound, Retry, Snapshot
from tesseract_grpc.testing import running_server
from tests.client.serving import free_port
from tests.client.sync.support import eventually


def test_the_first_example(server: Any, table_id: str) -> None:
    added: list[Any] = []
    updated: list[Any] = []
    removed: list[Any] = []
    shown: list[Any] = []
    with EventHorizon.connect(server.address) as hub:
        columns: list[dict[str, Any]] = [
            {"name": "id", "type": "int64", "primary_key": True},
            {"name": "name", "type": "string"},
            {"name": "age", "type": "number", "index": True},
            {"name": "label", "expression": 'name + " (" + age + ")"'},
        ]
        users = hub.create_tesseract(table_id, columns=columns)
        users.on("add", added.append)
        users.on("update", updated.append)
        users.on("remove", removed.append)
        users.add([{"id": 1, "name": "Ada", "age": 36}, {"id": 2, "name": "Bob", "age": 12}])
        users.update({"id": 1, "age": 37})
        users.remove(filter=[{"field": "age", "comparison": "<", "value": 18}])
        adults = hub.create_session(
            id=f"{table_id}-adults",
            table=table_id,
            filter=[{"field": "age", "comparison": ">=", "value": 18}],
            sort=[{"field": "age", "direction": "desc"}],
        )
        data = adults.get_data(start=0, limit=50)
        assert data == [{"id": 1, "name": "Ada", "age": 37.0, "label": "Ada (37)"}]
        assert data.to_arrow().num_rows == len(data.to_pandas()) == len(data.to_polars()) == 1
        adults.on("data", shown.append)
        events: list[Any] = []
        for change in adults.watch(window=(0, 50)):
            events.append(change)
            if len(events) == 2:
                break
            users.add({"id": 3, "name": "Cyd", "age": 40})
        assert isinstance(events[0], Snapshot)
        assert isinstance(events[1], Delta)
        eventually(lambda: shown and [row["id"] for row in shown[-1]] == [3, 1])
        eventually(lambda: removed and len(added) == 2)
        assert updated == [[{"id": 1, "age": 37.0, "label": "Ada (37)"}]]
        assert [row["name"] for row in removed[0]] == ["Bob"]


def test_a_server_that_comes_back_with_other_rows() -> None:
    """The mirror says stale while nobody answers, and shows the rows of the new server when it is there."""
    port = free_port()
    columns: list[dict[str, Any]] = [{"name": "id", "type": "int64", "primary_key": True}]
    address = f"127.0.0.1:{port}"
    with EventHorizon.connect(address, timeout=10, retry=Retry(initial_backoff=0.02, max_backoff=0.1)) as hub:
        with running_server(listen=address):
            table = hub.create_tesseract("t", columns)
            table.add([{"id": 1}, {"id": 2}])
            session = hub.create_session(id="s", table=table)
            mirror = session.mirror().ready()
            assert (mirror.state, mirror.rows()) == ("live", [{"id": 1}, {"id": 2}])
            before = mirror.epoch
        eventually(lambda: mirror.state == "stale")
        assert mirror.rows() == [{"id": 1}, {"id": 2}]
        with running_server(listen=address) as server:
            # A hub in memory has forgotten its tables, so that the session is gone for good.
            eventually(lambda: mirror.state == "ended")
            assert isinstance(mirror.error, NotFound)
            assert server.server.port == port
            table = hub.create_tesseract("t", columns)
            table.add({"id": 7})
            session = hub.create_session(id="s", table=table)
            with session.mirror() as fresh:
                assert fresh.rows() == [{"id": 7}]
                assert fresh.epoch != before
