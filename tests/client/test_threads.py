"""What only threads can get wrong: reading a mirror while it changes, closing from elsewhere, letting go."""

import gc
import threading
import weakref
from typing import Any

from tesseract_grpc.client import EventHorizon
from tesseract_grpc.testing.serving import RunningServer
from tests.client.sync.support import eventually

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "pair", "type": "int64"},
    {"name": "value", "type": "int64"},
]


def test_every_look_at_a_mirror_is_of_one_version(server: RunningServer, table_id: str) -> None:
    """Commits keep the sum of all rows at zero, so that a look which mixes two versions is seen."""
    with EventHorizon.connect(server.address) as hub:
        table = hub.create_tesseract(table_id, COLUMNS)
        table.add([{"id": at, "value": 0} for at in range(20)])
        session = hub.create_session(table=table, sort=[{"field": "value"}])
        sums: list[int] = []
        done = threading.Event()
        with session.mirror() as mirror:

            def look() -> None:
                while not done.is_set():
                    sums.append(sum(row["value"] for row in mirror.rows()))

            readers = [threading.Thread(target=look) for _ in range(3)]
            for reader in readers:
                reader.start()
            for step in range(1, 60):
                written = table.update([{"id": step % 20, "value": step}, {"id": (step + 1) % 20, "value": -step}])
                others = [{"id": at, "value": 0} for at in range(20) if at not in (step % 20, (step + 1) % 20)]
                written = table.update(others) if step % 7 == 0 else written
                reset = [{"id": at, "value": 0} for at in range(20)]
                written = table.update(reset)
            mirror.wait_for(written.version)
            done.set()
            for reader in readers:
                reader.join()
        assert len(sums) > 50
        assert set(sums) == {0}


def test_a_handler_may_close_its_own_mirror(server: RunningServer, table_id: str) -> None:
    with EventHorizon.connect(server.address) as hub:
        table = hub.create_tesseract(table_id, COLUMNS)
        mirror = hub.create_session(table=table).mirror().ready()
        mirror.on("data", lambda rows: mirror.close())
        table.add({"id": 1})
        eventually(lambda: mirror.state == "ended")
        assert mirror.error is None


def test_a_watch_that_nobody_holds_any_more_ends(server: RunningServer, table_id: str) -> None:
    with EventHorizon.connect(server.address) as hub:
        table = hub.create_tesseract(table_id, COLUMNS)
        before = hub.info().watcher_count
        watch = table.watch(snapshot=True)
        next(watch)
        assert hub.info().watcher_count == before + 1
        alive = weakref.ref(watch)
        del watch
        gc.collect()
        assert alive() is None
        eventually(lambda: hub.info().watcher_count == before)


def test_no_threads_are_left(server: RunningServer, table_id: str) -> None:
    def ours() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("tesseract-")]

    before = ours()
    with EventHorizon.connect(server.address) as hub:
        table = hub.create_tesseract(table_id, COLUMNS)
        table.on("add", print)
        session = hub.create_session(table=table)
        mirror = session.mirror().ready()
        session.on("data", print)
        assert len(ours()) == len(before) + 3
        mirror.close()
    eventually(lambda: ours() == before)
