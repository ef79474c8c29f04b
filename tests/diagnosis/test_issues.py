"""Every recommendation: seen after the workload that it is about, and not without it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from tesseract_grpc._proto.tesseract.v1 import diagnosis_service_pb2 as dpb
from tesseract_grpc._proto.tesseract.v1 import schema_pb2, value_pb2
from tesseract_grpc.engine.data.retention import MemoryLimit, MemoryPolicy, Retention
from tesseract_grpc.server.diagnosis import issues
from tests.diagnosis.asking import TYPES, Asking, pb, q, spb

LATE = "at > '1970-01-01T00:49:50Z'"
MANY = issues.MANY_ROWS + 1_000


async def found(hub: Asking, table: str = "a") -> dict[str, dpb.Issue]:
    """The issues of a table by kind; of two of a kind the more severe one."""
    response = await hub.ask("diagnose_table", dpb.DiagnoseTableRequest(table=table))
    by_kind: dict[str, dpb.Issue] = {}
    for issue in response.issues:
        by_kind.setdefault(issue.kind, issue)
    return by_kind


def row(id: int, **values: Any) -> dict[str, Any]:
    return {"id": id, "n": id % 50, "name": f"name {id % 3}", "at": id * 1_000_000, **values}


async def table(rows: int = MANY, types: Mapping[str, str] = TYPES, **fields: Any) -> Asking:
    """A hub with one table, loaded at once: that is no growth."""
    hub = Asking(query_cache_bytes=0)
    await hub.create("a", types, **fields)
    if rows:
        await hub.upsert("a", [row(id) for id in range(rows)], types)
    return hub


async def ask(hub: Asking, text: str, times: int) -> None:
    for _ in range(times):
        await hub.query(q.Query(table="a", filter=q.Filter(custom=text)), limit=1)


@pytest.mark.parametrize(
    ("texts", "column", "kind"),
    [
        (["n == {}"], "n", "hash"),
        (["n in ({}, 49)"], "n", "hash"),
        (["n == {} && at > '1970-01-01T00:00:05Z'"], "n", "hash"),
        (["at > '1970-01-01T00:48:0{}Z'"], "at", "sorted"),
        (["n == {} && name == 'name 1'"], "n", "hash"),
    ],
)
async def test_a_filter_that_runs_often_over_many_rows_asks_for_an_index(
    texts: list[str], column: str, kind: str
) -> None:
    hub = await table()
    assert "index" not in await found(hub)
    for number in range(issues.OFTEN - 1):
        await ask(hub, texts[0].format(number), 1)
    assert "index" not in await found(hub), "not yet often"
    await ask(hub, texts[0].format(0), 1)
    issue = (await found(hub))["index"]
    assert (issue.column, issue.severity) == (column, dpb.SEVERITY_WARNING)
    assert f"table.add_index('{column}', '{kind}')" in issue.recommendation
    assert "?" in issue.message


async def test_with_the_index_that_was_asked_for_nothing_is_asked_for() -> None:
    hub = await table(indexes=[schema_pb2.Index(column="n")])
    await ask(hub, "n == 7", issues.OFTEN * 2)
    response = await hub.ask("diagnose_table", dpb.DiagnoseTableRequest(table="a"))
    assert not response.issues
    (use,) = response.filters
    assert (use.filter, use.uses, use.indexed_uses) == ("n == ?", issues.OFTEN * 2, issues.OFTEN * 2)
    assert use.rows_examined < 100 * use.uses
    keys, index = response.indexes
    assert (keys.primary, keys.uses, index.column, index.uses) == (True, 0, "n", issues.OFTEN * 2)


async def test_an_index_that_was_passed_over_is_not_asked_for_again() -> None:
    hub = await table(indexes=[schema_pb2.Index(column="at")])
    await ask(hub, "at > '1970-01-01T00:00:05Z' && n >= 48", issues.OFTEN)
    assert (await found(hub))["index"].column == "n"


@pytest.mark.parametrize(
    "text", ["n >= 0", "name ~ 'x'", "n + id > 100000", "id == 7", "at > '1970-01-01T00:00:05Z' && n * 2 == 4"]
)
async def test_no_index_is_asked_for_that_would_not_help(text: str) -> None:
    hub = await table()
    await ask(hub, text, issues.OFTEN * 2)
    assert "index" not in await found(hub)


async def test_small_tables_need_no_index() -> None:
    hub = await table(issues.MANY_ROWS // 2)
    await ask(hub, "n == 7", issues.OFTEN * 2)
    assert "index" not in await found(hub)


async def test_an_index_that_nothing_uses_is_told() -> None:
    hub = await table(indexes=[schema_pb2.Index(column="n"), schema_pb2.Index(column="at")])
    await ask(hub, LATE, issues.READS - 1)
    assert "index" not in await found(hub)
    await ask(hub, LATE, 1)
    issue = (await found(hub))["index"]
    assert (issue.column, issue.severity) == ("n", dpb.SEVERITY_INFO)
    assert "drop_index('n')" in issue.recommendation
    await ask(hub, "n == 1", 1)
    assert "index" not in await found(hub)


async def test_a_column_of_few_values_that_is_filtered_is_told() -> None:
    hub = await table()
    await ask(hub, "name == 'name 1'", issues.OFTEN - 1)
    assert "cardinality" not in await found(hub)
    await ask(hub, "name == 'name 2'", 1)
    issue = (await found(hub))["cardinality"]
    assert issue.column == "name" and "3 different values" in issue.message


async def open_sessions(hub: Asking, queries: Iterable[q.Query]) -> None:
    for number, query in enumerate(queries):
        session = spb.Session(query=query)
        await hub.ask("create_session", spb.CreateSessionRequest(session_id=f"s{number}", session=session))


GROUPED = q.Query(
    table="a",
    group=q.Grouping(by=["n"], aggregates=[q.Aggregate(name="m", function=q.AGGREGATE_FUNCTION_MEDIAN, column="id")]),
)


async def test_the_session_with_most_of_the_cost_is_told() -> None:
    hub = await table(2_000)
    one = q.Query(table="a", filter=q.Filter(custom="id == -1"))
    await open_sessions(hub, [GROUPED, one])
    assert "session" not in await found(hub)
    for number in range(3):
        await hub.upsert("a", [row(id, n=(id + number) % 40) for id in range(600)])
    issue = (await found(hub))["session"]
    assert "'s0'" in issue.message and "explain" in issue.recommendation
    response = await hub.ask("diagnose_table", dpb.DiagnoseTableRequest(table="a"))
    first, second = response.sessions
    assert first.session.endswith("/s0") and first.share > 0.5 > second.share
    assert first.rows_examined > 1_500 and first.commits == 3
    assert first.duration.ToNanoseconds() > second.duration.ToNanoseconds()


async def test_a_session_alone_is_no_issue() -> None:
    hub = await table(2_000)
    await open_sessions(hub, [GROUPED])
    for number in range(3):
        await hub.upsert("a", [row(id, n=(id + number) % 40) for id in range(600)])
    assert "session" not in await found(hub)


async def test_a_column_that_is_mostly_null_is_told() -> None:
    hub = await table(0)
    await hub.upsert("a", [row(id, n=None if id % 10 else 1, name=None) for id in range(200)])
    response = await hub.ask("diagnose_table", dpb.DiagnoseTableRequest(table="a"))
    nulls = {issue.column: issue for issue in response.issues if issue.kind == "nulls"}
    assert set(nulls) == {"n", "name"}
    assert nulls["name"].severity == dpb.SEVERITY_WARNING and "drop_column('name')" in nulls["name"].recommendation
    assert nulls["n"].severity == dpb.SEVERITY_INFO and "90%" in nulls["n"].message
    hub = await table(200)
    assert "nulls" not in await found(hub)


async def grow(hub: Asking, commits: int) -> None:
    for commit in range(commits):
        await hub.upsert("a", [row(commit * 20 + at) for at in range(20)])


async def test_a_table_that_grows_is_told() -> None:
    hub = await table(0)
    await grow(hub, issues.INSERTIONS - 1)
    assert "retention" not in await found(hub)
    await grow(hub, issues.INSERTIONS + 1)
    issue = (await found(hub))["retention"]
    assert "age_column='at'" in issue.recommendation


async def test_a_table_that_is_limited_or_whose_rows_leave_does_not_grow() -> None:
    hub = await table(0)
    hub.host.hub.set_retention("a", Retention(max_records=1_000_000), None)
    await grow(hub, issues.INSERTIONS + 1)
    assert "retention" not in await found(hub)
    hub = await table(0)
    for commit in range(issues.INSERTIONS + 1):
        await hub.upsert("a", [row(commit * 20 + at) for at in range(20)])
        await hub.delete("a", list(range(commit * 20, commit * 20 + 10)))
    assert "retention" not in await found(hub)


async def test_a_dictionary_of_dead_texts_is_told() -> None:
    hub = Asking(query_cache_bytes=0, history_commits=1_000)
    await hub.create("a")
    for commit in range(4):
        await hub.upsert("a", [row(id, name=f"{commit} {id}") for id in range(issues.DEAD_TEXTS // 2)])
    issue = (await found(hub))["dictionary"]
    assert issue.column == "name" and "1,500 of 2,000" in issue.message
    hub = await table(2_000)
    assert "dictionary" not in await found(hub)


async def test_huge_documents_are_told() -> None:
    types = {**TYPES, "doc": "json"}
    hub = Asking(query_cache_bytes=0)
    await hub.create("a", types)
    await hub.upsert("a", [row(id, doc=f'{{"x":"{id}{"y" * 12_000}"}}') for id in range(110)], types)
    issue = (await found(hub))["json"]
    assert issue.column == "doc" and "columns of its own" in issue.recommendation
    hub = Asking(query_cache_bytes=0)
    await hub.create("a", types)
    await hub.upsert("a", [row(id, doc="{}") for id in range(110)], types)
    assert "json" not in await found(hub)


@pytest.mark.parametrize(("length", "told"), [(60, True), (4, False)])
async def test_long_keys_are_told(length: int, told: bool) -> None:
    types = {"id": "string"}
    hub = Asking(query_cache_bytes=0)
    await hub.create("a", types)
    await hub.upsert("a", [{"id": f"{number:0{length}}"} for number in range(1_000)], types)
    assert ("key" in await found(hub)) is told


async def test_keys_of_many_columns_are_told() -> None:
    hub = Asking(query_cache_bytes=0)
    names = ("b", "c", "d", "e")
    columns = [schema_pb2.Column(name=name, type=value_pb2.DATA_TYPE_INT64, primary_key=True) for name in names]
    await hub.ask("create_table", pb.CreateTableRequest(table_id="a", table=schema_pb2.Table(columns=columns)))
    await hub.upsert("a", [dict.fromkeys(names, number) for number in range(200)], dict.fromkeys(names, "int64"))
    assert "4 columns" in (await found(hub))["key"].message


async def test_large_results_that_are_taken_whole_are_told() -> None:
    hub = await table(issues.LARGE_ROWS)
    request = pb.QueryStreamRequest(query=q.Query(table="a"))
    for _ in range(issues.OFTEN - 1):
        await hub.stream(request)
    assert "window" not in await found(hub)
    await hub.stream(pb.QueryStreamRequest(query=q.Query(table="a"), window=q.Window(limit=issues.LARGE_ROWS)))
    assert "window" not in await found(hub), "a limit was given"
    await hub.stream(request)
    issue = (await found(hub))["window"]
    assert "10,000 rows" in issue.message


@pytest.mark.parametrize(("part", "severity"), [(0.5, None), (1.1, 2), (1.01, 3)])
async def test_a_table_near_its_limit_of_memory_is_told(part: float, severity: int | None) -> None:
    hub = await table(1_000)
    response = await hub.ask("diagnose_table", dpb.DiagnoseTableRequest(table="a"))
    total = response.table.memory.total_bytes
    limit = round(total * part) if part > 1 else total * 2
    hub.host.hub.set_retention("a", None, MemoryLimit(limit, MemoryPolicy.REFUSE))
    issue = (await found(hub)).get("memory")
    assert (issue.severity if issue is not None else None) == severity


async def test_places_of_rows_that_left_are_told() -> None:
    hub = await table(0)
    count = issues.LARGE_ROWS + 100
    await hub.upsert("a", [row(id) for id in range(count)])
    assert "memory" not in await found(hub)
    await hub.delete("a", list(range(count - 10)))
    assert "places" in (await found(hub))["memory"].message


async def test_an_empty_table_is_diagnosed() -> None:
    hub = await table(0)
    response = await hub.ask("diagnose_table", dpb.DiagnoseTableRequest(table="a"))
    assert not response.issues
    assert [column.distinct_count for column in response.columns] == [0, 0, 0, 0]
