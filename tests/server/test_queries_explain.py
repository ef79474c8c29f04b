"""ExplainSession through the socket: the plan of a session and of a query, as a message and as text."""

from __future__ import annotations

from typing import Any

from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc.engine.live.explain import PlanStep
from tesseract_grpc.server.codec.plans import MAX_DEPTH, encode_plan
from tests.server.support import Api, compare, refused, sort, user

OF_AGE = q.Query(table="users", filter=compare("age", "EQUAL", int64_value=22), sort=[sort("name")])
COUNT = q.Aggregate(name="n", function=q.AGGREGATE_FUNCTION_COUNT)


async def explain(api: Api, **request: Any) -> spb.ExplainSessionResponse:
    return await api.sessions.ExplainSession(spb.ExplainSessionRequest(**request))


async def test_a_session_is_explained(api: Api) -> None:
    await api.open("one", OF_AGE)
    await api.open("two", OF_AGE)
    await api.insert([user(10, age=22)])
    await api.insert([user(11)])
    found = await explain(api, name="one")
    assert found.version == 4
    order = found.plan
    assert (order.kind, order.description, order.row_count) == ("order", "by name", 2)
    assert (list(order.shared_with), order.shared_count) == (["one", "two"], 2)
    # Routing may find that the second commit does not concern it; it need not, for so few sessions.
    assert order.commits == order.rows_offered
    assert order.commits in (1, 2)
    assert order.hydrate_us > 0
    (filter,) = order.inputs
    assert (filter.kind, filter.index, filter.routing_key) == ("filter", "age", "age in (22)")
    (table,) = filter.inputs
    assert (table.kind, table.description, table.row_count) == ("table", "users", 7)
    lines = found.text.splitlines()
    assert [line.strip().partition(":")[0] for line in lines] == ["order", "filter", "table"]
    assert lines[1].startswith("  filter: ")
    assert "shared by 2 sessions" in lines[0]


async def test_a_query_is_explained_and_not_kept(api: Api) -> None:
    query = q.Query(table="users", group=q.Grouping(by=["active"], aggregates=[COUNT]))
    found = await explain(api, query=query)
    kinds = []
    step = found.plan
    while True:
        kinds.append((step.kind, step.row_count))
        if not step.inputs:
            break
        (step,) = step.inputs
    assert kinds == [("order", 2), ("group", 2), ("table", 5)]
    assert found.plan.shared_count == 0
    assert not (await api.sessions.ListSessions(spb.ListSessionsRequest())).sessions


async def test_what_cannot_be_explained_is_refused(api: Api) -> None:
    for request, reason, field in (
        ({"name": "nobody"}, "UNKNOWN_SESSION", "name"),
        ({}, "BAD_NAME", "name"),
        ({"name": "one", "query": OF_AGE}, "MALFORMED_REQUEST", "query"),
        ({"query": q.Query()}, "BAD_NAME", "query.table"),
        ({"query": q.Query(table="users", columns=["nobody"])}, "UNKNOWN_COLUMN", "query.columns"),
        ({"query": OF_AGE, "parent": "hubs/other"}, "UNKNOWN_HUB", "parent"),
    ):
        refusal = await refused(explain(api, **request))
        assert (refusal.reason, refusal.fields or (field,)) == (reason, (field,))


def test_a_plan_that_is_too_deep_to_be_read_is_cut() -> None:
    step = PlanStep("table", "t", 1)
    for _ in range(200):
        step = PlanStep("filter", "x", 1, inputs=(step,))
    response = spb.ExplainSessionResponse.FromString(
        spb.ExplainSessionResponse(
            plan=spb.PlanStep.FromString(encode_plan(step).SerializeToString())
        ).SerializeToString()
    )
    depth, found = 1, response.plan
    while found.inputs:
        depth, found = depth + 1, found.inputs[0]
    assert depth == MAX_DEPTH
