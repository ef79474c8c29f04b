"""Queries survive the wire: what the engine means is what a message says, and the other way round.

Any query that the engine can hold is written, sent through the generated classes that clients have, and read again.
What a message may not say is refused with the field that is wrong; each case is one message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1.value_pb2 import Value
from tesseract_grpc.engine.query.computed import ComputedColumn, Lookup
from tesseract_grpc.engine.query.filter_tree import AllOf, AnyOf, Compare, CompareOp, Custom, Filter, Negate, NullTest
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping, GroupMode, Pivot
from tesseract_grpc.engine.query.literal import Timestamp
from tesseract_grpc.engine.query.query import Expansion, Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.source import (
    Join,
    JoinColumn,
    JoinKey,
    JoinKind,
    QuerySource,
    RowSource,
    SessionSource,
    SubSession,
    TableSource,
    Union,
)
from tesseract_grpc.engine.query.window_column import WindowColumn, WindowFunction
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.filters import FilterLimits
from tesseract_grpc.server.codec.queries import QueryLimits, decode_query, encode_query
from tesseract_grpc.server.codec.windows import decode_window
from tesseract_grpc.server.errors import Refusal

LIMITS = QueryLimits(FilterLimits(32, 1_000), 8, 1_000)


class Names:
    """A hub in which every name means something."""

    def table(self, name: str, field: str) -> str:
        return name.removeprefix("hubs/h/tables/")

    def session(self, name: str, field: str) -> str:
        return name.removeprefix("hubs/h/sessions/")

    def key_of(self, source: RowSource) -> str:
        return "id" if source == TableSource("t") else ""

    def of_table(self, id: str) -> str:
        return f"hubs/h/tables/{id}"

    def of_session(self, id: str) -> str:
        return f"hubs/h/sessions/{id}"


name = st.sampled_from(["a", "b", "price", "${x}", "naïve"])
names = st.lists(name, max_size=3, unique=True).map(tuple)
text = st.sampled_from(["a + 1", "price * qty", "'x'"])
scalar = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=3),
    st.integers(0, 10**15).map(Timestamp),
)  # fmt: skip
leaves = st.one_of(
    st.builds(Compare, name, st.sampled_from(CompareOp), scalar),
    st.builds(NullTest, name, st.booleans()),
    st.builds(Custom, text),
)
filters: st.SearchStrategy[Filter] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(AllOf, st.lists(inner, max_size=2).map(tuple)),
        st.builds(AnyOf, st.lists(inner, max_size=2).map(tuple)),
        st.builds(Negate, inner),
    ),
    max_leaves=3,
)
sorts = st.lists(st.builds(SortKey, name, st.booleans(), st.booleans()), max_size=2).map(tuple)
keys = st.lists(st.builds(JoinKey, name, name), min_size=1, max_size=2).map(tuple)


@st.composite
def aggregates(draw: st.DrawFn) -> Aggregate:
    """Any aggregate that is whole."""
    function = draw(st.sampled_from(sorted(FUNCTIONS)))
    filter = draw(st.none() | filters) if function != "expression" else None
    if function == "count":
        return Aggregate(draw(name), function, filter=filter)
    on: dict[str, Any] = (
        {"expression": draw(text)} if function == "expression" or draw(st.booleans()) else {"column": draw(name)}
    )
    more = {each: draw(ARGUMENTS[each]) for each in FUNCTIONS[function]}
    return Aggregate(draw(name), function, **on, filter=filter, **more)


ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "percentile": st.floats(0, 1),
    "weight": name,
    "order_by": name,
    "separator": st.sampled_from([",", "", "; "]),
    "limit": st.none() | st.integers(1, 10_000),
}
FUNCTIONS: dict[str, tuple[str, ...]] = {
    "percentile": ("percentile",), "weighted_avg": ("weight",), "first": ("order_by",), "last": ("order_by",),
    "min_by": ("order_by",), "max_by": ("order_by",), "join": ("order_by", "separator", "limit"),
    "array": ("order_by", "limit"), "count": (), "count_values": (), "sum": (), "avg": (), "min": (), "max": (),
    "var": (), "stddev": (), "count_if": (), "distinct_count": (), "median": (), "unique": (), "any": (), "every": (),
    "expression": (),
}  # fmt: skip


@st.composite
def groupings(draw: st.DrawFn) -> Grouping:
    """Any grouping that is whole."""
    mode = draw(st.sampled_from(GroupMode))
    return Grouping(
        draw(names),
        tuple(draw(st.lists(aggregates(), max_size=2))),
        mode,
        mode is GroupMode.ROLLUP and draw(st.booleans()),
        draw(st.none() | st.builds(Pivot, name, st.lists(scalar, max_size=3).map(tuple))),
    )


@st.composite
def window_columns(draw: st.DrawFn) -> WindowColumn:
    """Any window column that is whole."""
    function = draw(st.sampled_from(WindowFunction))
    numbering = function <= WindowFunction.DENSE_RANK
    away = function in (WindowFunction.LAG, WindowFunction.LEAD)
    return WindowColumn(
        draw(name),
        function,
        "" if numbering else draw(name),
        draw(names),
        draw(sorts),
        draw(st.integers(1, 9)) if away else 1,
        draw(st.none() | st.integers(1, 9)) if not numbering and not away else None,
    )


plain = st.one_of(st.builds(TableSource, name), st.builds(SessionSource, name), st.builds(SubSession, name))


@st.composite
def queries(draw: st.DrawFn, depth: int = 1) -> Query:
    """Any query."""
    inner = queries(depth=depth + 1)
    sources: st.SearchStrategy[RowSource] = plain
    if depth < 2:
        sources = st.one_of(plain, st.builds(QuerySource, inner))
        sources |= st.builds(Union, st.lists(sources, min_size=1, max_size=2).map(tuple), name)
    lookups = st.builds(Lookup, sources, keys, name) | st.builds(Lookup, sources, keys, template=text)
    computed = st.one_of(
        st.builds(ComputedColumn, name, text),
        st.builds(ComputedColumn, name, template=text),
        st.builds(ComputedColumn, name, lookup=lookups),
    )
    join = st.builds(
        Join, sources, keys, st.sampled_from(JoinKind), st.just((JoinColumn("a", "b"), JoinColumn("c"))), name
    )
    from_table = draw(st.booleans())
    group = draw(st.none() | groupings())
    return Query(
        table=draw(name) if from_table else "",
        source=None if from_table else draw(sources),
        filter=draw(st.none() | filters),
        columns=draw(names),
        sort=draw(sorts),
        group=group,
        having=draw(st.none() | filters),
        joins=tuple(draw(st.lists(join, max_size=2))),
        computed=tuple(draw(st.lists(computed, max_size=2))),
        window_columns=tuple(draw(st.lists(window_columns(), max_size=2))),
        tree=draw(name) if group is None and draw(st.booleans()) else "",
        sub_sessions=tuple(sorted(draw(st.dictionaries(name, inner, max_size=2)).items())) if depth < 2 else (),
    )


def through_the_wire(message: twin.query.Query) -> twin.query.Query:
    """The message after a client has read and written it."""
    return twin.query.Query.FromString(q.Query.FromString(message.SerializeToString()).SerializeToString())


@settings(max_examples=60)
@given(queries())
def test_what_is_written_is_what_is_read(query: Query) -> None:
    found = decode_query(through_the_wire(encode_query(query, Names())), Names(), LIMITS)
    assert repr(found) == repr(query)  # 1 and 1.0 are equal, and not the same


def test_every_function_is_drawn() -> None:
    known = {key.removeprefix("AGGREGATE_FUNCTION_").lower() for key, number in q.AggregateFunction.items() if number}
    assert known == FUNCTIONS.keys()


def test_what_is_not_said_has_the_default_of_the_proto() -> None:
    message = twin.query.Query(
        table="t",
        joins=[twin.query.Join(source=table(), on=[twin.query.JoinKey(left="a", right="b")])],
        group=twin.query.Grouping(aggregates=[aggregate("JOIN", column="a"), aggregate("PERCENTILE", column="a")]),
        window_columns=[window("LAG", column="a"), window("SUM", column="a")],
    )
    found = decode_query(message, Names(), LIMITS)
    assert found.joins[0].kind is JoinKind.INNER
    assert found.group is not None and found.group.mode is GroupMode.FLAT
    assert (found.group.aggregates[0].separator, found.group.aggregates[0].limit) == (",", None)
    assert found.group.aggregates[1].percentile == 0
    assert (found.window_columns[0].offset, found.window_columns[1].rows) == (1, None)
    assert decode_query(
        query(source=twin.query.Source(union=twin.query.Union(sources=[table()]))), Names(), LIMITS
    ) == (Query(source=Union((TableSource("t"),), "branch")))


def test_a_lookup_is_by_the_key_of_its_source_unless_it_says_otherwise() -> None:
    lookup = twin.query.Lookup(source=table(), on=[twin.query.JoinKey(left="a")], column="b")
    found = decode_query(computed(lookup=lookup), Names(), LIMITS).computed[0].lookup
    assert found == Lookup(TableSource("t"), (JoinKey("a", "id"),), "b")
    lookup.source.table = "u"  # has two
    with pytest.raises(Refusal) as refused:
        decode_query(computed(lookup=lookup), Names(), LIMITS)
    assert refused.value.field == "query.computed[0].lookup.on[0].right"


def test_a_window_says_which_nodes_are_open() -> None:
    node = twin.query.NodeKey(values=[Value_(string_value="x"), Value_()])
    message = twin.query.Window(offset=1, expansion=twin.query.Expansion(depth=0, expanded=[node]))
    assert decode_window(message) == Window(1, None, Expansion(0, frozenset({("x", None)})))
    assert decode_window(twin.query.Window(limit=2)) == Window(0, 2, None)
    message.expansion.collapsed.append(node)
    with pytest.raises(Refusal) as refused:
        decode_window(message)
    assert (refused.value.reason, refused.value.field) == ("BAD_WINDOW", "window.expansion.collapsed")


Value_ = twin.value.Value


def table(name: str = "t") -> twin.query.Source:
    return twin.query.Source(table=name)


def query(**fields: Any) -> twin.query.Query:
    return twin.query.Query(**fields)


def aggregate(function: str, **fields: Any) -> twin.query.Aggregate:
    return twin.query.Aggregate(name="x", function=f"AGGREGATE_FUNCTION_{function}", **fields)  # type: ignore[arg-type]


def window(function: str, **fields: Any) -> twin.query.WindowColumn:
    return twin.query.WindowColumn(name="x", function=f"WINDOW_FUNCTION_{function}", **fields)  # type: ignore[arg-type]


def nested(levels: int) -> twin.query.Query:
    found = query(table="t")
    for _ in range(levels - 1):
        found = query(source=twin.query.Source(query=found))
    return found


def unions(levels: int) -> twin.query.Source:
    found = table()
    for _ in range(levels):
        found = twin.query.Source(union=twin.query.Union(sources=[found]))
    return found


@dataclass(frozen=True)
class Case:
    """One message that is refused."""

    field: str
    message: twin.query.Query
    reason: str = "MALFORMED_REQUEST"


ON = [twin.query.JoinKey(left="a", right="b")]
LOOKUP = twin.query.Lookup


def of(kind: str, part: Any, **fields: Any) -> twin.query.Query:
    return query(table="t", **{kind: [part]}, **fields)


def grouped(*parts: twin.query.Aggregate, **fields: Any) -> twin.query.Query:
    return query(table="t", group=twin.query.Grouping(by=["a"], aggregates=parts, **fields))


def computed(**fields: Any) -> twin.query.Query:
    return of("computed", twin.query.ComputedColumn(**{"name": "x", **fields}))


def join(**fields: Any) -> twin.query.Query:
    return of("joins", twin.query.Join(**{"source": table(), "on": ON, **fields}))


AGGREGATE = "query.group.aggregates[0]"
FILTER = twin.query.Filter(custom="a > 1")
CASES = {
    "table and source": Case("query.source", query(table="t", source=table())),
    "a source of nothing": Case("query.source", query(source=twin.query.Source())),
    "a sub-session without a name": Case("query.source.sub_session", query(source=twin.query.Source(sub_session=""))),
    "a union of nothing": Case("query.source.union.sources", query(source=twin.query.Source(union=twin.query.Union()))),
    "a source in a union": Case(
        "query.source.union.sources[1]",
        query(source=twin.query.Source(union=twin.query.Union(sources=[table(), twin.query.Source()]))),
    ),
    "too deep": Case(f"query{'.source.query' * 8}", nested(9), "LIMIT_EXCEEDED"),
    "unions too deep": Case(f"query.source{'.union.sources[0]' * 8}", query(source=unions(8)), "LIMIT_EXCEEDED"),
    "too many parts": Case("query", query(table="t", computed=[twin.query.ComputedColumn()] * 1_000), "LIMIT_EXCEEDED"),
    "in a sub-session": Case("query.sub_sessions[s].joins[0].on", query(table="t", sub_sessions={"s": join(on=[])})),
    "join of nothing": Case("query.joins[0].source", of("joins", twin.query.Join(on=ON))),
    "join on nothing": Case("query.joins[0].on", join(on=[])),
    "join on half a pair": Case("query.joins[0].on[0].right", join(on=[twin.query.JoinKey(left="a")])),
    "join of another kind": Case("query.joins[0].kind", join(kind=9)),
    "join column without a name": Case("query.joins[0].columns[0].column", join(columns=[twin.query.JoinColumn()])),
    "too many pairs": Case("query.joins[0].on", join(on=ON * 33), "LIMIT_EXCEEDED"),
    "computed without a name": Case("query.computed[0].name", computed(name="", expression="1"), "BAD_NAME"),
    "computed with a hidden name": Case("query.computed[0].name", computed(name="__x", expression="1"), "BAD_NAME"),
    "joined with a long name": Case(
        "query.joins[0].columns[0].name",
        join(columns=[twin.query.JoinColumn(column="a", name="x" * 129)]),
        "BAD_NAME",
    ),
    "branches with a hidden name": Case(
        "query.source.union.branch_column",
        query(source=twin.query.Source(union=twin.query.Union(sources=[table()], branch_column="__b"))),
        "BAD_NAME",
    ),
    "aggregate without a name": Case(
        f"{AGGREGATE}.name",
        grouped(twin.query.Aggregate(function="AGGREGATE_FUNCTION_COUNT")),  # type: ignore[arg-type]
        "BAD_NAME",
    ),
    "computed as nothing": Case("query.computed[0]", computed()),
    "computed as an empty text": Case("query.computed[0]", computed(expression="")),
    "lookup of nothing": Case("query.computed[0].lookup", computed(lookup=LOOKUP(source=table(), on=ON))),
    "lookup without a source": Case("query.computed[0].lookup.source", computed(lookup=LOOKUP(column="a", on=ON))),
    "lookup on nothing": Case("query.computed[0].lookup.on", computed(lookup=LOOKUP(source=table(), column="a"))),
    "no aggregate function": Case(f"{AGGREGATE}.function", grouped(twin.query.Aggregate(name="x"))),
    "another aggregate function": Case(f"{AGGREGATE}.function", grouped(twin.query.Aggregate(function=99))),  # type: ignore[arg-type]
    "count of a column": Case(f"{AGGREGATE}.column", grouped(aggregate("COUNT", column="a"))),
    "count of an expression": Case(f"{AGGREGATE}.expression", grouped(aggregate("COUNT", expression="a"))),
    "sum of nothing": Case(f"{AGGREGATE}.column", grouped(aggregate("SUM"))),
    "sum of two things": Case(f"{AGGREGATE}.expression", grouped(aggregate("SUM", column="a", expression="b"))),
    "expression of a column": Case(f"{AGGREGATE}.column", grouped(aggregate("EXPRESSION", column="a", expression="b"))),
    "expression of nothing": Case(f"{AGGREGATE}.expression", grouped(aggregate("EXPRESSION"))),
    "expression of some rows": Case(
        f"{AGGREGATE}.filter", grouped(aggregate("EXPRESSION", expression="a", filter=FILTER))
    ),
    "percentile beyond": Case(f"{AGGREGATE}.percentile", grouped(aggregate("PERCENTILE", column="a", percentile=1.5))),
    "percentile that is no number": Case(
        f"{AGGREGATE}.percentile", grouped(aggregate("PERCENTILE", column="a", percentile=float("nan")))
    ),
    "percentile of a sum": Case(f"{AGGREGATE}.percentile", grouped(aggregate("SUM", column="a", percentile=0.5))),
    "order of a sum": Case(f"{AGGREGATE}.order_by", grouped(aggregate("SUM", column="a", order_by="b"))),
    "min_by what": Case(f"{AGGREGATE}.order_by", grouped(aggregate("MIN_BY", column="a"))),
    "weight of a sum": Case(f"{AGGREGATE}.weight", grouped(aggregate("SUM", column="a", weight="b"))),
    "weighted by nothing": Case(f"{AGGREGATE}.weight", grouped(aggregate("WEIGHTED_AVG", column="a"))),
    "separator of an array": Case(f"{AGGREGATE}.separator", grouped(aggregate("ARRAY", column="a", separator=""))),
    "limit of a sum": Case(f"{AGGREGATE}.limit", grouped(aggregate("SUM", column="a", limit=1))),
    "limit beyond": Case(f"{AGGREGATE}.limit", grouped(aggregate("JOIN", column="a", limit=10_001))),
    "negative limit": Case(f"{AGGREGATE}.limit", grouped(aggregate("JOIN", column="a", limit=-1))),
    "filter of an aggregate": Case(
        f"{AGGREGATE}.filter.comparison.operator",
        grouped(aggregate("SUM", column="a", filter=twin.query.Filter(comparison=twin.query.Comparison(column="a")))),
        "MALFORMED_FILTER",
    ),
    "another mode": Case("query.group.mode", grouped(mode=9)),
    "leafs of flat groups": Case("query.group.include_leafs", grouped(include_leafs=True)),
    "pivot of nothing": Case("query.group.split_by.column", grouped(split_by=twin.query.Pivot())),
    "pivot of too much": Case(
        "query.group.split_by.values",
        grouped(split_by=twin.query.Pivot(column="a", values=[Value_(int64_value=1)] * 1_001)),
        "LIMIT_EXCEEDED",
    ),
    "window column without a name": Case(
        "query.window_columns[0].name", of("window_columns", twin.query.WindowColumn()), "BAD_NAME"
    ),
    "no window function": Case(
        "query.window_columns[0].function", of("window_columns", twin.query.WindowColumn(name="x"))
    ),
    "number of a column": Case(
        "query.window_columns[0].column", of("window_columns", window("ROW_NUMBER", column="a"))
    ),
    "lag of nothing": Case("query.window_columns[0].column", of("window_columns", window("LAG"))),
    "lag of none": Case("query.window_columns[0].offset", of("window_columns", window("LAG", column="a", offset=0))),
    "offset of a sum": Case(
        "query.window_columns[0].offset", of("window_columns", window("SUM", column="a", offset=1))
    ),
    "moving rank": Case("query.window_columns[0].rows", of("window_columns", window("RANK", rows=3))),
    "sum of no rows": Case("query.window_columns[0].rows", of("window_columns", window("SUM", column="a", rows=0))),
    "order of a window": Case(
        "query.window_columns[0].order_by[0].direction",
        of("window_columns", window("RANK", order_by=[twin.query.SortKey(column="a", direction=9)])),  # type: ignore[arg-type]
        "BAD_SORT",
    ),
    "tree of what": Case("query.tree.parent", query(table="t", tree=twin.query.Tree())),
    "tree of groups": Case(
        "query.tree", query(table="t", group=twin.query.Grouping(), tree=twin.query.Tree(parent="a"))
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_message_may_not_say_is_refused(name: str) -> None:
    case = CASES[name]
    with pytest.raises(Refusal) as refused:
        decode_query(case.message, Names(), LIMITS)
    assert (str(refused.value.reason), refused.value.field) == (case.reason, case.field)


def test_a_value_of_a_pivot_stays_what_it_is() -> None:
    values = [Value(int64_value=1), Value(float64_value=1.0), Value(string_value="1"), Value(timestamp_value=1)]
    message = q.Query(table="t", group=q.Grouping(split_by=q.Pivot(column="a", values=[*values, Value()])))
    found = decode_query(twin.query.Query.FromString(message.SerializeToString()), Names(), LIMITS)
    assert found.group is not None and found.group.split_by is not None
    assert [repr(value) for value in found.group.split_by.values] == ["1", "1.0", "'1'", "Timestamp(1)", "None"]
