"""Answers of queries that are kept: never out of date, bounded, counted, and given again."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tesseract_grpc._proto.tesseract.v1 import diagnosis_service_pb2 as dpb
from tesseract_grpc._proto.tesseract.v1 import schema_pb2, value_pb2
from tesseract_grpc.server.query_cache import OVERHEAD, at_version, question
from tests.diagnosis.asking import Asking, pb, q, spb, twin_of, write

COUNT = q.Aggregate(name="rows", function=q.AGGREGATE_FUNCTION_COUNT)
SUM = q.Aggregate(name="total", function=q.AGGREGATE_FUNCTION_SUM, column="n")
NAMES = ("a", "b", "c")
EXTRA = schema_pb2.Column(name="extra", type=value_pb2.DATA_TYPE_INT64)


def custom(text: str) -> q.Filter:
    return q.Filter(custom=text)


def of(table: str) -> q.Source:
    return q.Source(table=table)


def on(left: str, right: str) -> list[q.JoinKey]:
    return [q.JoinKey(left=left, right=right)]


QUERIES = (
    q.Query(table="a"),
    q.Query(table="b", filter=custom("n > 0")),
    q.Query(table="c", sort=[q.SortKey(column="n")]),
    q.Query(table="a", filter=custom("name ~ 'x'"), columns=["id"]),
    q.Query(table="a", group=q.Grouping(by=["name"], aggregates=[COUNT, SUM]), having=custom("rows > 1")),
    q.Query(table="a", joins=[q.Join(source=of("b"), on=on("n", "id"), prefix="b_")]),
    q.Query(source=q.Source(union=q.Union(sources=[of("a"), of("b")]))),
    q.Query(source=q.Source(session="s"), filter=custom("n != null")),
    q.Query(source=q.Source(query=q.Query(source=q.Source(session="s"), columns=["id", "n"]))),
    q.Query(table="a", filter=custom("at < now()")),
    q.Query(table="b", computed=[q.ComputedColumn(name="late", expression="now() - at")]),
    q.Query(
        table="b",
        computed=[
            q.ComputedColumn(name="found", lookup=q.Lookup(source=of("a"), on=on("n", "id"), column="name")),
        ],
    ),
    q.Query(source=q.Source(sub_session="x"), sub_sessions={"x": q.Query(table="b", filter=custom("n == 1"))}),
)
DEFINITIONS = (
    q.Query(table="a"),
    q.Query(table="a", filter=custom("n > 1")),
    q.Query(table="b"),
    q.Query(table="b", filter=custom("at < now()")),
)


class World:
    """Something that changes a hub, and asks it everything twice."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.hub = Asking(query_cache_bytes=self.random.choice((20_000, 1 << 20)))

    def row(self) -> dict[str, Any]:
        choose = self.random.choice
        return {
            "id": choose(range(5)),
            "n": choose((None, -1, 0, 1, 2)),
            "name": choose(("x", "xy", "z", "")),
            "at": round(self.hub.clock() * 1e6) + choose((-3, 0, 3)) * 1_000_000,
        }

    async def attempt(self, method: str, request: Any) -> str:
        """What is refused is no failure: it must be refused with the cache as without it."""
        try:
            await self.hub.ask(method, request)
        except Exception as error:
            return type(error).__name__
        return ""

    async def change(self) -> None:
        """One change of any kind."""
        pick, name = self.random.random(), self.random.choice(NAMES)
        if pick < 0.35:
            rows = {row["id"]: row for row in (self.row() for _ in range(self.random.randrange(1, 4)))}
            await self.attempt("write", write(name, list(rows.values())))
        elif pick < 0.45 and name in self.hub.host.hub.tables:
            await self.hub.delete(name, [self.random.randrange(5)])
        elif pick < 0.55:
            self.hub.clock.advance(self.random.choice((0.0, 1.0, 4.0)))
            await self.hub.host.tick()
        elif pick < 0.62:
            other = self.random.choice((*NAMES, "d"))
            await self.attempt("rename_table", pb.RenameTableRequest(name=name, new_table_id=other))
        elif pick < 0.66:
            await self.attempt("rename_table", pb.RenameTableRequest(name="d", new_table_id=name))
        elif pick < 0.74:
            await self.attempt("swap_tables", pb.SwapTablesRequest(name=name, other=self.random.choice(NAMES)))
        elif pick < 0.80:
            await self.attempt("delete_table", pb.DeleteTableRequest(name=name))
            await self.hub.create(name)
        elif pick < 0.82:
            await self.alter(name)
        elif pick < 0.86:
            index = [schema_pb2.Index(column=self.random.choice(("n", "name")))]
            mask = FieldMask(paths=["indexes"])
            table = schema_pb2.Table(name=name, indexes=index)
            await self.attempt("update_table", pb.UpdateTableRequest(table=table, update_mask=mask))
        elif pick < 0.92:
            query = self.random.choice(DEFINITIONS)
            session = spb.Session(query=query)
            await self.attempt("create_session", spb.CreateSessionRequest(session_id="s", session=session))
            session = spb.Session(name="s", query=query)
            request = spb.UpdateSessionRequest(session=session, update_mask=FieldMask(paths=["query"]))
            await self.attempt("update_session", request)
        elif pick < 0.95:
            await self.attempt("delete_session", spb.DeleteSessionRequest(name="s"))

    async def alter(self, name: str) -> None:
        """Gives the table another column, takes it away, or gives it another name."""
        alteration = self.random.choice(
            (
                pb.Alteration(add_column=pb.AddColumn(column=EXTRA)),
                pb.Alteration(drop_column=pb.DropColumn(column="extra")),
                pb.Alteration(rename_column=pb.RenameColumn(column="n", new_name="m")),
                pb.Alteration(rename_column=pb.RenameColumn(column="m", new_name="n")),
            )
        )
        await self.attempt("alter_table", pb.AlterTableRequest(name=name, alterations=[alteration]))

    async def answer(self, query: q.Query, window: q.Window, *, whole: bool) -> Any:
        """What a client is told, or the kind of its refusal and what it says."""
        try:
            if whole:
                return await self.hub.stream(pb.QueryStreamRequest(query=query, window=window))
            return await self.hub.ask("query", pb.QueryRequest(query=query, window=window))
        except Exception as error:
            return type(error).__name__, str(error)

    async def compare(self) -> None:
        """Every query, from the cache where it has it, and as it is."""
        cache = self.hub.host.queries
        for query in self.random.sample(QUERIES, 6):
            window = self.random.choice((q.Window(), q.Window(), q.Window(offset=1, limit=2)))
            whole = self.random.random() < 0.3
            found = [await self.answer(query, window, whole=whole) for _ in range(2)]
            capacity, cache.capacity = cache.capacity, 0
            true = await self.answer(query, window, whole=whole)
            cache.capacity = capacity
            assert found == [true, true], query
        cache.check()

    async def play(self, steps: int) -> tuple[int, int]:
        """A history; how many answers were given again, and how many were true no more."""
        for name in NAMES:
            await self.hub.create(name)
        for _ in range(steps):
            await self.change()
            if self.random.random() < 0.6:
                await self.compare()
        counts = self.hub.host.queries.counts
        await self.hub.close()
        return counts.hits, counts.invalidations


@settings(
    max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
)
@given(st.integers(0, 2**32))
def test_no_answer_is_ever_out_of_date(seed: int) -> None:
    hits, invalidations = asyncio.run(World(seed).play(40))
    assert hits > 30
    assert invalidations > 3


async def test_an_answer_is_given_again_at_the_present_version() -> None:
    hub = Asking()
    await hub.create("a")
    await hub.create("b")
    await hub.upsert("a", [{"id": 1, "n": 1, "name": "x", "at": 0}])
    first = await hub.query(q.Query(table="a"))
    version = await hub.upsert("b", [{"id": 1, "n": 1, "name": "x", "at": 0}])
    again = await hub.query(q.Query(table="a"))
    counts = hub.host.queries.counts
    assert (counts.hits, counts.misses, counts.invalidations) == (1, 1, 0)
    assert (first.version, again.version) == (version - 1, version)
    assert again.rows == first.rows and again.columns == first.columns
    await hub.upsert("a", [{"id": 1, "n": 2, "name": "x", "at": 0}])
    assert (await hub.query(q.Query(table="a"))).rows != first.rows
    assert (counts.hits, counts.misses, counts.invalidations) == (1, 2, 1)


async def test_what_is_asked_otherwise_is_another_question() -> None:
    hub = Asking()
    await hub.create("a")
    await hub.query(q.Query(table="a"))
    await hub.query(q.Query(table="a"), limit=5)
    await hub.query(q.Query(table="a"), offset=1)
    await hub.query(q.Query(table="a", columns=["id"]))
    await hub.stream(pb.QueryStreamRequest(query=q.Query(table="a")))
    assert (hub.host.queries.counts.hits, len(hub.host.queries)) == (0, 5)
    page = twin_of(pb.QueryRequest(query=q.Query(table="a"), min_version=1))
    assert question(page) == question(twin_of(pb.QueryRequest(query=q.Query(table="a"))))


async def test_a_question_about_the_present_is_asked_of_its_moment() -> None:
    hub = Asking()
    await hub.create("a")
    await hub.upsert("a", [{"id": 1, "n": 1, "name": "x", "at": 1_002_000_000}])
    late = q.Query(table="a", filter=custom("at < now()"))
    assert not (await hub.query(late)).total_count
    hub.clock.advance(3.0)  # nothing lives by the clock, which stands: the question is asked of this moment
    assert (await hub.query(late)).total_count == 1
    assert (len(hub.host.queries), hub.host.queries.counts.hits) == (0, 0)
    await hub.ask("create_session", spb.CreateSessionRequest(session_id="s", session=spb.Session(query=late)))
    for _ in range(3):
        assert (await hub.query(late)).total_count == 1
    assert hub.host.queries.counts.hits == 2, "until the clock moves"
    hub.clock.advance(1.0)
    await hub.host.tick()
    assert (await hub.query(late)).total_count == 1
    assert hub.host.queries.counts.invalidations == 1


async def test_what_was_not_asked_for_the_longest_leaves() -> None:
    hub = Asking(query_cache_bytes=8 * (OVERHEAD + 200))
    await hub.create("a")
    cache = hub.host.queries
    for limit in (1, 2, 1):
        await hub.query(q.Query(table="a"), limit=limit)
    limit = 3
    while not cache.counts.evictions:
        await hub.query(q.Query(table="a"), limit=limit)
        limit += 1
    cache.check()
    assert cache.counts.evictions == cache.counts.misses - len(cache) == 1
    await hub.query(q.Query(table="a"), limit=1)
    assert cache.counts.hits == 2, "it was asked for again, and so the other one has left"
    await hub.query(q.Query(table="a"), limit=2)
    assert cache.counts.hits == 2


async def test_an_answer_that_is_too_large_is_not_kept() -> None:
    hub = Asking(query_cache_bytes=100_000, piece_bytes=10_000)
    await hub.create("a")
    await hub.upsert("a", [{"id": id, "n": id, "name": f"name {id}", "at": id} for id in range(3_000)])
    request = pb.QueryStreamRequest(query=q.Query(table="a"))
    one, two = await hub.stream(request), await hub.stream(request)
    assert one == two and len(one) > 3
    assert (len(hub.host.queries), hub.host.queries.counts.hits) == (0, 0)
    small = pb.QueryStreamRequest(query=q.Query(table="a", filter=custom("id < 100")))
    assert await hub.stream(small) == await hub.stream(small)
    assert (len(hub.host.queries), hub.host.queries.counts.hits) == (1, 1)
    assert hub.host.queries._collected == 0


async def test_a_stream_that_is_broken_off_leaves_nothing() -> None:
    hub = Asking(piece_bytes=10_000)
    await hub.create("a")
    await hub.upsert("a", [{"id": id, "n": id, "name": f"name {id}", "at": id} for id in range(20_000)])
    answers = hub.handler("query_stream")(twin_of(pb.QueryStreamRequest(query=q.Query(table="a"))), _Call())
    await anext(answers)
    assert hub.host.queries._collected > 0
    await answers.aclose()
    assert (len(hub.host.queries), hub.host.queries._collected) == (0, 0)


class _Call:
    """A call without a deadline."""

    def remaining(self) -> None:
        return None


async def test_a_table_that_was_deleted_is_not_kept_for_an_answer() -> None:
    hub = Asking()
    await hub.create("a")
    await hub.query(q.Query(table="a"))
    table = weakref.ref(hub.host.hub.tables["a"])
    await hub.ask("delete_table", pb.DeleteTableRequest(name="a"))
    gc.collect()
    assert table() is None
    assert len(hub.host.queries) == 1, "the answer is there until somebody asks, and takes what it takes"


async def test_without_room_nothing_is_kept_or_counted() -> None:
    hub = Asking(query_cache_bytes=0)
    await hub.create("a")
    for _ in range(2):
        await hub.query(q.Query(table="a"))
        await hub.stream(pb.QueryStreamRequest(query=q.Query(table="a")))
    counts = hub.host.queries.counts
    assert (len(hub.host.queries), counts.hits, counts.misses) == (0, 0, 0)


@pytest.mark.parametrize("version", [0, 1, 127, 128, 300, 2**32, 2**64 - 1])
def test_the_version_is_written_as_protobuf_writes_it(version: int) -> None:
    for kind in (pb.QueryResponse, pb.QueryStreamResponse):
        message = kind(total_count=7)
        written = at_version(message.SerializeToString(), version)
        message.version = version
        assert written == message.SerializeToString()


async def statistics(hub: Asking) -> dict[str, dpb.CacheStatistics]:
    response = await hub.ask("get_cache_statistics", dpb.GetCacheStatisticsRequest())
    return {cache.cache: cache for cache in response.caches}


async def test_caches_are_counted_and_cleared() -> None:
    hub = Asking()
    await hub.create("a")
    await hub.ask("clear_caches", dpb.ClearCachesRequest())
    query = q.Query(table="a", filter=custom("n + 71 > 5"))
    for _ in range(4):
        await hub.query(query)
    for name in ("one", "two", "three"):
        await hub.ask("create_session", spb.CreateSessionRequest(session_id=name, session=spb.Session(query=query)))
    found = await statistics(hub)
    assert list(found) == ["queries", "plans", "expressions"]
    queries, plans, expressions = found.values()
    assert (queries.hits, queries.misses, queries.hit_rate, queries.entries) == (3, 1, 0.75, 1)
    assert queries.bytes > OVERHEAD
    assert (plans.hits, plans.misses, plans.entries) == (2, 1, 1)
    assert expressions.misses == 1 and expressions.hits >= 3 and expressions.entries == 1
    cleared = await hub.ask("clear_caches", dpb.ClearCachesRequest())
    assert cleared.cleared == 2
    for name, cache in (await statistics(hub)).items():
        assert (cache.hits, cache.misses, cache.hit_rate, cache.evictions) == (0, 0, 0.0, 0), name
    assert hub.host.queries.total.hits == 3, "metrics go on"
    await hub.query(query)
    assert (await statistics(hub))["expressions"].misses == 1


async def test_expressions_that_leave_are_counted() -> None:
    hub = Asking()
    await hub.create("a")
    await hub.ask("clear_caches", dpb.ClearCachesRequest())
    for number in range(520):
        await hub.query(q.Query(table="a", filter=custom(f"n + {number} > 2")))
    found = (await statistics(hub))["expressions"]
    assert (found.entries, found.evictions) == (512, 8)
