"""The query language as users write it in Python: what the words mean on the wire, and what is refused where."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from tesseract_grpc._proto.tesseract.v1 import query_pb2
from tesseract_grpc.client import InvalidRequest, Rows
from tesseract_grpc.client.core.datatype import INT64, STRING
from tesseract_grpc.client.core.queries import edit_of, query_of, source_of
from tesseract_grpc.client.core.trees import by_level, tree_of
from tesseract_grpc.client.core.windows import watch_window_of, window_of

T = "hubs/h/tables/"
S = "hubs/h/sessions/"


class Handle:
    """What a handle of a table or a session has."""

    def __init__(self, kind: str, name: str) -> None:
        self.source_kind = kind
        self.name = name


def wire(**words: Any) -> dict[str, Any]:
    """What a query says on the wire, the table left out."""
    found: dict[str, Any] = MessageToDict(query_of("h", {"table": "t", **words}))
    assert found.pop("table") == T + "t"
    return found


def test_the_words_of_a_query() -> None:
    assert wire(computed={"x": "a + 1"}) == {"computed": [{"name": "x", "expression": "a + 1"}]}
    assert wire(columns=["a", {"name": "x", "expression": "a + 1"}]) == {
        "columns": ["a", "x"],
        "computed": [{"name": "x", "expression": "a + 1"}],
    }
    assert wire(columns=[{"name": "who", "value": "${last}, ${first}"}, {"name": "one", "value": 1}]) == {
        "columns": ["who", "one"],
        "computed": [{"name": "who", "template": "${last}, ${first}"}, {"name": "one", "expression": "1"}],
    }
    assert wire(tree="boss") == wire(tree={"parent": "boss"}) == {"tree": {"parent": "boss"}}
    assert wire(filter=None, columns=None, sort=None, group_by=None) == {}


JOINED = {
    "joins": [
        {
            "source": {"table": T + "airlines"},
            "kind": "JOIN_KIND_LEFT",
            "on": [{"left": "carrier", "right": "code"}],
            "columns": [{"column": "name", "name": "airline"}, {"column": "country"}],
            "prefix": "a_",
        }
    ]
}


def test_joins() -> None:
    columns = [{"name": "airline", "column": "name"}, "country"]
    join = {"table": "airlines", "on": {"carrier": "code"}, "columns": columns, "prefix": "a_", "kind": "left"}
    assert wire(joins=[join]) == wire(joins=join) == JOINED
    assert wire(join=[{**join, "on": [("carrier", "code")]}]) == JOINED
    on_both = wire(joins={"session": "s", "on": ["a", "b"]})["joins"][0]
    assert on_both == {
        "source": {"session": S + "s"},
        "kind": "JOIN_KIND_INNER",
        "on": [{"left": "a", "right": "a"}, {"left": "b", "right": "b"}],
    }
    assert wire(joins={"table": "u", "on": "a", "columns": {"x": "y"}})["joins"][0]["columns"] == [
        {"column": "y", "name": "x"}
    ]


def test_sources() -> None:
    def source(given: Any, **more: Any) -> Any:
        return MessageToDict(query_of("h", {"source": given, **more}))["source"]

    assert source("s") == source({"session": "s"}) == source(Handle("session", "s")) == {"session": S + "s"}
    assert source({"table": "t"}) == source(Handle("table", "t")) == {"table": T + "t"}
    assert source("s", sub_sessions={"s": {"table": "t"}}) == {"subSession": "s"}
    assert source({"session": "s"}, sub_sessions={"s": {"table": "t"}}) == {"subSession": "s"}
    assert source({"table": "t", "sort": ["a"]}) == {
        "query": {
            "table": T + "t",
            "sort": [{"column": "a"}],
        }
    }
    assert source({"query": {"table": "t"}}) == {"query": {"table": T + "t"}}
    both = {"union": {"sources": [{"session": S + "a"}, {"table": T + "b"}]}}
    assert source(["a", {"table": "b"}]) == source({"union": ["a", {"table": "b"}]}) == both
    named = {"union": {**both["union"], "branchColumn": "n"}}
    assert source({"union": {"sources": ["a", {"table": "b"}], "branch_column": "n"}}) == named
    assert MessageToDict(source_of("h", "hubs/h/sessions/s")) == {"session": S + "s"}


LOOKUP = {
    "source": {"table": T + "people"},
    "on": [{"left": "seller", "right": "id"}],
    "column": "name",
}


def test_columns_that_resolve() -> None:
    resolve = {"underlying_field": "seller", "table": "people", "value_field": "id", "display_field": "name"}
    expected = {"columns": ["who"], "computed": [{"name": "who", "lookup": LOOKUP}]}
    assert wire(columns=[{"name": "who", "resolve": resolve}]) == expected
    humps = {"underlyingField": "seller", "childrenTable": "people", "valueField": "id", "displayField": "name"}
    assert wire(columns=[{"name": "who", "resolve": humps}]) == expected
    by_key = wire(columns=[{"name": "who", "resolve": {**resolve, "value_field": ""}}])
    assert by_key["computed"][0]["lookup"]["on"] == [{"left": "seller"}]
    del resolve["value_field"]
    assert wire(columns=[{"name": "who", "resolve": resolve}]) == by_key
    two = {"on": ["a", "b"], "value_field": ["c", "d"], "session": "s", "display_template": "${x}"}
    assert wire(computed={"y": {"resolve": two}})["computed"][0]["lookup"] == {
        "source": {"session": S + "s"},
        "on": [{"left": "a", "right": "c"}, {"left": "b", "right": "d"}],
        "template": "${x}",
    }


def test_grouping() -> None:
    expected = {
        "group": {
            "by": ["region"],
            "aggregates": [
                {"name": "n", "function": "AGGREGATE_FUNCTION_COUNT"},
                {"name": "total", "function": "AGGREGATE_FUNCTION_SUM", "column": "amount"},
                {"name": "worth", "function": "AGGREGATE_FUNCTION_SUM", "expression": "price * qty"},
            ],
        }
    }
    aggregates: dict[str, Any] = {"n": "count", "total": ("sum", "amount"), "worth": "sum(price * qty)"}
    assert wire(group_by="region", aggregates=aggregates) == expected
    assert wire(groupBy=[{"dataIndex": "region"}], aggregates={**aggregates, "total": "sum( amount )"}) == expected
    dicts = [
        {"name": "n", "aggregator": "count"},
        {"name": "total", "function": "sum", "field": "amount"},
        {"name": "worth", "function": "sum", "value": "price * qty"},
    ]
    assert wire(group_by=["region"], aggregates=dicts) == expected
    assert wire(group_by=["region"], columns=dicts) == {**expected, "columns": ["n", "total", "worth"]}


def test_groups_of_what_is_computed() -> None:
    found = wire(
        group_by=["region", {"name": "year", "expression": "ts.getFullYear()"}],
        columns=[
            "region",
            {"name": "net", "expression": "a - b"},
            {"name": "net_sum", "column": "net", "aggregator": "sum"},
        ],
    )
    assert [each["name"] for each in found["computed"]] == ["net", "year"]
    assert found["group"]["by"] == ["region", "year"]
    assert found["columns"] == ["region", "net_sum"], "what is computed for the groups is not shown"
    looked_up = {
        "name": "recent",
        "value": "orders || 0",
        "aggregator": "sum",
        "resolve": {"underlyingField": "id", "session": "stats", "valueField": "user", "displayField": "orders"},
    }
    found = wire(group_by="dept", columns=[looked_up])
    assert found["computed"][0]["name"] == "orders"
    assert found["group"]["aggregates"] == [
        {"name": "recent", "function": "AGGREGATE_FUNCTION_SUM", "expression": "orders || 0"}
    ]
    del looked_up["value"]
    found = wire(group_by="dept", columns=[looked_up])
    assert found["computed"][0]["name"] == found["group"]["aggregates"][0]["column"] == "recent"


def test_every_argument_of_an_aggregate() -> None:
    assert wire(
        aggregates={
            "p": {"function": "percentile", "column": "x", "percentile": 0.9, "filter": "y > 1"},
            "w": {"function": "weighted_avg", "column": "x", "weight": "z"},
            "j": {"function": "join", "column": "x", "order_by": "z", "separator": "", "limit": 5},
            "e": "expression(p / w)",
        }
    )["group"]["aggregates"] == [
        {
            "name": "p",
            "function": "AGGREGATE_FUNCTION_PERCENTILE",
            "column": "x",
            "percentile": 0.9,
            "filter": {"custom": "y > 1"},
        },
        {"name": "w", "function": "AGGREGATE_FUNCTION_WEIGHTED_AVG", "column": "x", "weight": "z"},
        {
            "name": "j",
            "function": "AGGREGATE_FUNCTION_JOIN",
            "column": "x",
            "orderBy": "z",
            "separator": "",
            "limit": 5,
        },
        {"name": "e", "function": "AGGREGATE_FUNCTION_EXPRESSION", "expression": "p / w"},
    ]


def test_levels_and_pivots() -> None:
    assert wire(group_by="a", mode="rollup")["group"] == {"by": ["a"], "mode": "GROUP_MODE_ROLLUP"}
    assert wire(group_by="a", include_leafs=True)["group"] == {
        "by": ["a"],
        "mode": "GROUP_MODE_ROLLUP",
        "includeLeafs": True,
    }
    assert wire(group_by="a", mode="total")["group"]["mode"] == "GROUP_MODE_TOTAL"
    assert wire(group_by="a", split_by="b")["group"]["splitBy"] == {"column": "b"}
    assert wire(group_by="a", pivot={"column": "b", "values": ["x", 1]})["group"]["splitBy"] == {
        "column": "b",
        "values": [{"stringValue": "x"}, {"int64Value": "1"}],
    }


def test_window_columns() -> None:
    assert wire(
        window_columns=[
            {"name": "place", "function": "rank", "partition_by": "a", "order_by": {"field": "x", "direction": "desc"}},
            {"name": "last", "function": "lag", "column": "x", "offset": 2},
            {"name": "mean", "function": "avg", "field": "x", "rows": 10, "partition_by": ["a", "b"]},
        ]
    ) == {
        "windowColumns": [
            {
                "name": "place",
                "function": "WINDOW_FUNCTION_RANK",
                "partitionBy": ["a"],
                "orderBy": [{"column": "x", "direction": "SORT_DIRECTION_DESCENDING", "nulls": "NULLS_ORDER_LAST"}],
            },
            {"name": "last", "function": "WINDOW_FUNCTION_LAG", "column": "x", "offset": "2"},
            {
                "name": "mean",
                "function": "WINDOW_FUNCTION_AVG",
                "column": "x",
                "partitionBy": ["a", "b"],
                "rows": "10",
            },
        ]
    }


def test_sub_sessions_are_seen_from_within_each_other() -> None:
    found = wire(
        sub_sessions={
            "paid": {"table": "orders", "filter": "paid"},
            "stats": {"source": "paid", "groupBy": "user", "aggregates": {"n": "count"}},
        },
        joins={"session": "stats", "on": {"id": "user"}},
    )
    assert found["joins"][0]["source"] == {"subSession": "stats"}
    assert found["subSessions"]["stats"]["source"] == {"subSession": "paid"}
    assert found["subSessions"]["paid"] == {"table": T + "orders", "filter": {"custom": "paid"}}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown word": ({"group": "a"}, "query.group"),
    "a word twice": ({"groupBy": "a", "group_by": "a"}, "query.group_by"),
    "an unknown word of a column": ({"columns": [{"name": "x", "expr": "1"}]}, "columns[0].expr"),
    "a column without a name": ({"columns": ["a", {"expression": "1"}]}, "columns[1].name"),
    "a column of two kinds": ({"columns": [{"name": "x", "expression": "1", "template": "a"}]}, "columns[0]"),
    "a computed column of nothing": ({"computed": [{"name": "x"}]}, "computed[0]"),
    "a column that is a number": ({"columns": [1]}, "columns[0]"),
    "an aggregated template": (
        {"columns": [{"name": "x", "template": "a", "aggregator": "sum"}]},
        "columns[0].template",
    ),
    "a join without a source": ({"joins": [{"on": "a"}]}, "joins[0]"),
    "a join of two sources": ({"joins": [{"table": "a", "session": "b", "on": "a"}]}, "joins[0]"),
    "a join on nothing": ({"joins": [{"table": "a"}]}, "joins[0].on"),
    "a join on half a pair": ({"joins": [{"table": "a", "on": [("a",)]}]}, "joins[0].on[0]"),
    "a join of another kind": ({"joins": [{"table": "a", "on": "a", "kind": "outer"}]}, "joins[0].kind"),
    "a join of no table": ({"joins": [{"table": 1, "on": "a"}]}, "joins[0].table"),
    "resolve of nothing": ({"columns": [{"name": "x", "resolve": {"table": "a", "on": "a"}}]}, "columns[0].resolve"),
    "resolve of uneven keys": (
        {"columns": [{"name": "x", "resolve": {"table": "a", "on": ["a", "b"], "value_field": "c", "column": "d"}}]},
        "columns[0].resolve.underlying_field",
    ),
    "an unknown aggregate": ({"aggregates": {"x": "mean(a)"}}, "aggregates['x']"),
    "half a call": ({"aggregates": {"x": "sum(a"}}, "aggregates['x']"),
    "an aggregate that is a number": ({"aggregates": {"x": 1}}, "aggregates['x']"),
    "a percentile that is a text": (
        {"aggregates": {"x": {"function": "percentile", "percentile": "half"}}},
        "aggregates['x'].percentile",
    ),
    "a filter in an aggregate": (
        {"aggregates": {"x": {"function": "sum", "column": "a", "filter": [{"field": "a", "comparison": "?"}]}}},
        "aggregates['x'].filter[0].comparison",
    ),
    "an unknown mode": ({"group_by": "a", "mode": "cube"}, "mode"),
    "leafs that are a text": ({"group_by": "a", "include_leafs": "yes"}, "include_leafs"),
    "group_by of a number": ({"group_by": 5}, "group_by"),
    "a window function that is none": (
        {"window_columns": [{"name": "x", "function": "first"}]},
        "window_columns[0].function",
    ),
    "an offset that is none": (
        {"window_columns": [{"name": "x", "function": "lag", "column": "a", "offset": 1.5}]},
        "window_columns[0].offset",
    ),
    "a tree of two parents": ({"tree": ["a", "b"]}, "tree"),
    "sub-sessions in a list": ({"sub_sessions": [{"table": "a"}]}, "sub_sessions"),
    "a sub-session of nothing": ({"sub_sessions": {"s": {"filter": "a"}}}, "sub_sessions['s'].table"),
    "a filter in a sub-session": (
        {"sub_sessions": {"s": {"table": "a", "filter": [{"field": 1}]}}},
        "sub_sessions['s'].filter[0].field",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_means_nothing_is_refused_where_it_stands(what: str) -> None:
    words, field = REFUSED[what]
    with pytest.raises(InvalidRequest) as refused:
        query_of("h", {"table": "t", **words})
    assert refused.value.field == field


def test_a_query_needs_rows() -> None:
    with pytest.raises(InvalidRequest) as refused:
        query_of("h", {"filter": "a"})
    assert refused.value.field == "table"


PRESENT = ParseDict(
    {
        "table": T + "t",
        "columns": ["a", "x"],
        "computed": [{"name": "x", "expression": "1"}, {"name": "y", "expression": "2"}],
        "group": {
            "by": ["a"],
            "aggregates": [{"name": "n", "function": "AGGREGATE_FUNCTION_COUNT"}],
            "mode": "GROUP_MODE_ROLLUP",
            "splitBy": {"column": "b"},
        },
        "subSessions": {"s": {"table": T + "u"}},
    },
    query_pb2.Query(),
)


def edited(**words: Any) -> tuple[dict[str, Any], list[str]]:
    query, paths = edit_of("h", PRESENT, words)
    return MessageToDict(query), sorted(paths)


def test_an_edit_names_what_is_given() -> None:
    assert edited(filter="a > 1") == ({"filter": {"custom": "a > 1"}}, ["query.filter"])
    assert edited(filter=None) == ({}, ["query.filter"])
    assert edited(sort=["a"], having=None)[1] == ["query.having", "query.sort"]
    assert edited(source="s") == ({"source": {"subSession": "s"}}, ["query.source"])
    assert edited(table="u") == ({"table": T + "u"}, ["query.table"])


def test_an_edit_of_the_columns_adds_what_is_computed() -> None:
    assert edited(columns=["a"]) == ({"columns": ["a"]}, ["query.columns"])
    found, paths = edited(columns=["a", {"name": "x", "expression": "3"}, {"name": "z", "expression": "4"}])
    assert paths == ["query.columns", "query.computed"]
    assert {each["name"]: each["expression"] for each in found["computed"]} == {"y": "2", "x": "3", "z": "4"}
    assert edited(computed={"z": "4"})[0] == {"computed": [{"name": "z", "expression": "4"}]}


def test_an_edit_of_the_grouping_keeps_what_it_does_not_say() -> None:
    before = MessageToDict(PRESENT)["group"]
    found, paths = edited(group_by=["a", "b"])
    assert (found, paths) == ({"group": {**before, "by": ["a", "b"]}}, ["query.group"])
    assert edited(aggregates={"m": "max(x)"})[0]["group"]["by"] == ["a"]
    assert edited(mode="flat")[0]["group"] == {**before, "mode": "GROUP_MODE_FLAT"}
    assert "splitBy" not in edited(split_by=None)[0]["group"]
    assert edited(group_by=None) == ({}, ["query.group"])
    assert edited(aggregates=None)[0]["group"] == {k: v for k, v in before.items() if k != "aggregates"}


def test_windows_of_trees() -> None:
    window = window_of(1, 5, 0, ["north", ("south", 3)], [[None]])
    assert MessageToDict(window) == {
        "offset": "1",
        "limit": "5",
        "expansion": {
            "depth": 0,
            "expanded": [
                {"values": [{"stringValue": "north"}]},
                {"values": [{"stringValue": "south"}, {"int64Value": "3"}]},
            ],
            "collapsed": [{"values": [{}]}],
        },
    }
    found = watch_window_of(
        {"start": 1, "limit": 5, "depth": 0, "expand": ["north", ("south", 3)], "collapse": [[None]]}
    )
    assert found == window
    assert not window_of(1, 5).HasField("expansion")
    assert window_of(expand=[]).HasField("expansion"), "a tree with everything open is still asked for as one"
    wrongs: list[dict[str, Any]] = [{"begin": 1}, {"depth": -1}, {"expand": "north"}, {"expand": [{}]}]
    for wrong in wrongs:
        with pytest.raises(InvalidRequest):
            watch_window_of(wrong)


def rows(*found: dict[str, Any]) -> Rows:
    return Rows([], {"id": INT64, "boss": INT64, "name": STRING}, total_count=len(found), version=1, dicts=list(found))


def test_rows_become_a_tree() -> None:
    levels = [{"level": 0, "n": 3}, {"level": 1, "n": 1}, {"level": 2, "n": 9}, {"level": 1, "n": 2}]
    assert by_level(levels) == [
        {
            "level": 0,
            "n": 3,
            "children": [
                {"level": 1, "n": 1, "children": [{"level": 2, "n": 9, "children": []}]},
                {"level": 1, "n": 2, "children": []},
            ],
        }
    ]
    assert [each["level"] for each in by_level(levels[2:])] == [2, 1], "a window may begin within a tree"
    people = rows({"id": 1, "boss": None}, {"id": 2, "boss": 1}, {"id": 4, "boss": 2}, {"id": 3, "boss": 9})
    query = query_pb2.Query(tree=query_pb2.Tree(parent="boss"))
    assert tree_of(people, query, ("id",)) == [
        {
            "id": 1,
            "boss": None,
            "children": [{"id": 2, "boss": 1, "children": [{"id": 4, "boss": 2, "children": []}]}],
        },
        {"id": 3, "boss": 9, "children": []},
    ]
    assert levels[0] == {"level": 0, "n": 3}, "the rows stay as they were"
    for other in (query_pb2.Query(), query_pb2.Query(tree=query_pb2.Tree(parent="nobody"))):
        with pytest.raises(InvalidRequest):
            tree_of(people, other, ("id",))
