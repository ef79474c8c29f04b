"""A session that ends is freed with its rows at once: nothing of it waits for the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.filter import Custom
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import WHOLE, Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tests.engine.test_edit import SCHEMA


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub(epoch="test")
    hub.create_table("t", SCHEMA)
    write(hub, 0, 50)
    gc.collect()
    gc.disable()
    try:
        yield hub
    finally:
        gc.enable()


def write(hub: Hub, start: int, stop: int) -> None:
    rows: list[dict[str, Any]] = [{"id": id, "name": f"name {id % 7}", "n": id} for id in range(start, stop)]
    hub.commit([Write("t", WriteKind.UPSERT, Batch.of_rows(SCHEMA.columns, rows))])


@pytest.mark.parametrize(
    "query",
    [
        Query("t"),
        Query("t", filter=Custom("n > 10 && name ~ 'name'"), sort=(SortKey("n"),)),
        Query("t", columns=("name",), sort=(SortKey("name"), SortKey("n"))),
    ],
    ids=["whole", "filtered", "sorted"],
)
def test_what_a_session_held_is_freed_when_it_ends(hub: Hub, query: Query) -> None:
    session = hub.open_session(query, "s")
    watches = [session.watch(WHOLE), session.watch(Window(2, 5))]
    for watch in watches:
        watch.snapshot()
    write(hub, 40, 60)
    for watch in watches:
        watch.take()
    version = hub.version
    write(hub, 3, 5)
    back = session.watch(WHOLE, since=version)  # what was worked out for one who comes back goes, too
    held: list[Callable[[], object]] = [ref(session), ref(session.result), ref(session.result.order)]
    back.close()
    hub.close_session("s")
    del session, watches, watch, back
    assert [which() for which in held] == [None, None, None]


def test_relations_that_end_are_counted_for_the_collector(hub: Hub) -> None:
    """Those know each other: who runs the collector hears of them."""
    grouping = Grouping(("name",), (Aggregate("total", "sum", "n"),))
    for _ in range(3):
        hub.open_session(Query("t", group=grouping), "s")
        before = hub.counters.relations_ended
        hub.close_session("s")
        assert hub.counters.relations_ended == before + 1
    hub.open_session(Query("t"), "s")
    hub.close_session("s")
    assert hub.counters.relations_ended == 3
