"""What a query over relations is made of: names, refusals with their paths, shared steps, moved conditions."""

from __future__ import annotations

import random

import pytest

from tesseract_grpc.engine.data.commit import Write
from tesseract_grpc.engine.data.errors import EngineError, LimitExceeded, NotFound, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.live import resolve_relations
from tesseract_grpc.engine.live.node import Node
from tesseract_grpc.engine.query.computed import ComputedColumn, Lookup
from tesseract_grpc.engine.query.filter import AllOf, Compare, CompareOp, Custom, Filter, NullTest
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.source import (
    Join,
    JoinColumn,
    JoinKind,
    QuerySource,
    SessionSource,
    SubSession,
    TableSource,
    Union,
)
from tests.engine.relations_queries import AIRLINE, BY_CARRIER, LATE, QUERIES, lookup, on, table
from tests.engine.relations_world import Reader, Row, delete, hub, random_commit, upsert
from tests.engine.test_relations_sessions import conditions_stay

AIRLINES, ROUTES = TableSource("airlines"), TableSource("routes")


def _joined(*joins: Join, **parts: object) -> Query:
    return Query("flights", joins=joins, **parts)  # type: ignore[arg-type]


def _names(query: Query, tables: Hub | None = None) -> list[str]:
    return [column.name for column in (tables or hub()).query(query).columns]


# Names


def test_a_join_takes_all_but_what_is_compared() -> None:
    flights = ["id", "carrier", "plane", "delay", "ratio", "before"]
    assert _names(_joined(Join(AIRLINES, AIRLINE))) == [*flights, "name"]
    assert _names(_joined(Join(AIRLINES, AIRLINE, prefix="a_"))) == [*flights, "a_name"]
    chosen = (JoinColumn("code", "again"), JoinColumn("name"))
    assert _names(_joined(Join(AIRLINES, AIRLINE, columns=chosen, prefix="a_"))) == [*flights, "again", "a_name"]


def test_rows_of_a_join_are_named_by_the_keys_of_both_sides_where_several_can_match() -> None:
    tables = hub()
    session = tables.open_session(_joined(Join(ROUTES, on(("carrier", "carrier")))), "s")
    assert [column.name for column in session.key_columns] == ["id", "stop"]
    only = _joined(Join(ROUTES, on(("carrier", "carrier")), columns=(JoinColumn("place"),)), columns=("place",))
    assert _names(only) == ["id", "stop", "place"]
    one = tables.open_session(_joined(Join(ROUTES, on(("carrier", "carrier"), ("delay", "stop")))), "one")
    assert [column.name for column in one.key_columns] == ["id"]


def test_columns_that_do_not_show_cannot_be_named() -> None:
    inner = QuerySource(Query("flights", columns=("delay",)))
    assert _names(Query(source=inner)) == ["id", "delay"]
    for query, field in (
        (Query(source=inner, filter=NullTest("carrier")), "query.filter"),
        (Query(source=inner, sort=(SortKey("carrier"),)), "query.sort"),
        (Query(source=inner, columns=("carrier",)), "query.columns"),
        (Query(source=inner, group=Grouping(("carrier",))), "query.group"),
        (Query(source=inner, joins=(Join(AIRLINES, AIRLINE),)), "query.joins[0].on[0].left"),
    ):
        with pytest.raises(EngineError) as caught:
            hub().query(query)
        assert caught.value.reason is Reason.UNKNOWN_COLUMN
        assert caught.value.field.startswith(field)


def test_a_hidden_column_is_not_in_the_way_of_a_new_one() -> None:
    tables = hub()
    tables.commit([upsert("flights", {"id": 1, "carrier": "UA", "delay": 2}), upsert("airlines", {"code": "UA"})])
    inner = QuerySource(Query("flights", filter=NullTest("carrier", negated=True), columns=("delay",)))
    again = ComputedColumn("carrier", expression="delay + 1")
    query = Query(source=inner, computed=(again,), filter=Compare("carrier", CompareOp.GREATER, 2))
    assert tables.query(query).rows.to_rows() == [{"id": 1, "delay": 2, "carrier": 3}]


# Refusals

OTHER = Query("flights", filter=Compare("nobody", CompareOp.EQUAL, 1))
REFUSALS: list[tuple[Query, Reason, str]] = [
    (Query("flights", source=AIRLINES), Reason.MALFORMED_REQUEST, "query.source"),
    (Query(source=TableSource("none")), Reason.UNKNOWN_TABLE, "query.source.table"),
    (Query(source=SessionSource("none")), Reason.UNKNOWN_SESSION, "query.source.session"),
    (Query(source=SubSession("none")), Reason.UNKNOWN_SESSION, "query.source.sub_session"),
    (Query(source=QuerySource(OTHER)), Reason.UNKNOWN_COLUMN, "query.source.query.filter.comparison.column"),
    (
        Query(source=SubSession("x"), sub_sessions=(("x", OTHER),)),
        Reason.UNKNOWN_COLUMN,
        "query.sub_sessions[x].filter.comparison.column",
    ),
    (
        Query(source=SubSession("x"), sub_sessions=(("x", Query(source=SubSession("x"))),)),
        Reason.BAD_SCHEMA,
        "query.sub_sessions[x].source.sub_session",
    ),
    (
        Query(
            source=SubSession("x"),
            sub_sessions=(
                ("x", Query("flights", joins=(Join(SubSession("y"), AIRLINE),))),
                ("y", Query(source=QuerySource(Query(source=SubSession("x"))))),
            ),
        ),
        Reason.BAD_SCHEMA,
        "query.sub_sessions[y].source.query.source.sub_session",
    ),
    (_joined(Join(AIRLINES, ())), Reason.MALFORMED_REQUEST, "query.joins[0].on"),
    (_joined(Join(AIRLINES, on(("none", "code")))), Reason.UNKNOWN_COLUMN, "query.joins[0].on[0].left"),
    (_joined(Join(AIRLINES, on(("carrier", "none")))), Reason.UNKNOWN_COLUMN, "query.joins[0].on[0].right"),
    (_joined(Join(AIRLINES, on(("delay", "code")))), Reason.WRONG_TYPE, "query.joins[0].on[0]"),
    (_joined(Join(AIRLINES, AIRLINE, columns=(JoinColumn("none"),))), Reason.UNKNOWN_COLUMN, "query.joins[0].columns"),
    (_joined(Join(TableSource("flights"), AIRLINE)), Reason.UNKNOWN_COLUMN, "query.joins[0].on[0].right"),
    (
        _joined(Join(TableSource("flights"), on(("carrier", "carrier")))),
        Reason.DUPLICATE_COLUMN,
        "query.joins[0].columns",
    ),
    (_joined(Join(AIRLINES, AIRLINE), Join(AIRLINES, AIRLINE)), Reason.DUPLICATE_COLUMN, "query.joins[1].columns"),
    (
        _joined(Join(AIRLINES, AIRLINE), Join(QuerySource(OTHER), on(("id", "id")))),
        Reason.UNKNOWN_COLUMN,
        "query.joins[1].source.query.filter.comparison.column",
    ),
    (
        Query(source=Union((AIRLINES, TableSource("planes")))),
        Reason.UNKNOWN_COLUMN,
        "query.source.union.sources[1]",
    ),
    (Query(source=Union(())), Reason.MALFORMED_REQUEST, "query.source.union.sources"),
    (Query(source=Union((AIRLINES,), "name")), Reason.DUPLICATE_COLUMN, "query.source.union.branch_column"),
    (
        Query("flights", computed=(lookup("x", AIRLINES, AIRLINE),)),
        Reason.MALFORMED_REQUEST,
        "query.computed[0].lookup",
    ),
    (
        Query("flights", computed=(lookup("x", AIRLINES, AIRLINE, column="none"),)),
        Reason.UNKNOWN_COLUMN,
        "query.computed[0].lookup.column",
    ),
    (
        Query("flights", computed=(lookup("x", AIRLINES, AIRLINE, expression="none + 1"),)),
        Reason.UNKNOWN_COLUMN,
        "query.computed[0].lookup.expression",
    ),
    (
        Query("flights", computed=(lookup("delay", AIRLINES, AIRLINE, column="name"),)),
        Reason.DUPLICATE_COLUMN,
        "query.computed[0].name",
    ),
    (
        Query("flights", computed=(lookup("x", AIRLINES, on(("x", "code")), column="name"),)),
        Reason.BAD_SCHEMA,
        "query.computed",
    ),
]


@pytest.mark.parametrize(("query", "reason", "field"), REFUSALS)
def test_what_makes_no_sense_is_refused(query: Query, reason: Reason, field: str) -> None:
    tables = hub()
    for ask in (tables.query, lambda q: tables.open_session(q, "s"), lambda q: tables.create_derived_table("d", q)):
        with pytest.raises(EngineError) as caught:
            ask(query)
        assert caught.value.reason is reason, caught.value
        assert caught.value.field.startswith(field), caught.value.field
    assert (tables.version, set(tables.sessions)) == (4, set())
    assert "d" not in tables.tables
    tables.check()


def test_both_columns_and_their_types_are_named_when_they_cannot_be_compared() -> None:
    with pytest.raises(EngineError) as caught:
        hub().query(_joined(Join(AIRLINES, on(("delay", "code")))))
    assert caught.value.message == (
        "column 'delay' is INT64 and column 'code' is STRING; only columns of one type can be compared"
    )


def test_enums_are_compared_when_they_declare_the_same() -> None:
    tables = hub()
    for name, values in (("one", ("a", "b")), ("two", ("a", "b")), ("other", ("b", "a"))):
        key = ColumnSchema("key", DataType.ENUM, primary_key=True, enum_values=values)
        tables.create_table(name, TableSchema((key, ColumnSchema(f"of_{name}", DataType.INT64))))
    same = Query("one", joins=(Join(TableSource("two"), on(("key", "key"))),))
    assert _names(same, tables) == ["key", "of_one", "of_two"]
    with pytest.raises(EngineError) as caught:
        tables.query(Query("one", joins=(Join(TableSource("other"), on(("key", "key"))),)))
    assert "ENUM (a, b)" in caught.value.message
    assert "ENUM (b, a)" in caught.value.message


def test_queries_within_queries_are_limited() -> None:
    query = Query("flights")
    for _ in range(40):
        query = Query(source=QuerySource(query))
    with pytest.raises(LimitExceeded) as caught:
        hub().query(query)
    assert caught.value.metadata["limit"] == "max_query_levels"
    wide = Query("flights")
    for _ in range(10):
        wide = Query(source=Union((QuerySource(wide), QuerySource(wide))))
    with pytest.raises(LimitExceeded) as caught:
        hub().query(wide)
    assert caught.value.metadata["limit"] == "max_query_queries"


def test_the_work_of_planning_follows_the_size_of_the_query(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    true = resolve_relations._read

    def counting(*arguments: object) -> object:
        nonlocal reads
        reads += 1
        assert reads < 2_000, "every level of queries in queries doubles the work"
        return true(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(resolve_relations, "_read", counting)
    query = Query(source=Union((TableSource("flights"), TableSource("flights"))))
    for level in range(28):
        query = Query(source=QuerySource(query), filter=Compare("delay", CompareOp.GREATER, level))
    assert hub().query(query).total_count == 0
    assert reads > 28


# Sessions as sources


def test_a_session_is_taken_as_it_is_and_later_edits_do_not_disturb() -> None:
    tables = hub()
    rows: list[Row] = [{"id": i, "delay": i, "carrier": "UA"} for i in range(5)]
    tables.commit([upsert("flights", *rows)])
    tables.open_session(Query("flights", LATE, columns=("delay",)), "a")
    tables.open_session(Query(source=SessionSource("a"), filter=Compare("delay", CompareOp.LESS, 4)), "b")
    third = tables.open_session(
        Query(source=SessionSource("b"), group=Grouping((), (Aggregate("sum", "sum", "delay"),))), "c"
    )
    reader = Reader(third)
    tables.edit_session("a", Query("flights", LATE, columns=("carrier",)))
    tables.close_session("b")
    tables.rename_table("flights", "flown")
    tables.commit([_renamed_upsert({"id": 1, "delay": 3})])
    reader.take()
    assert reader.rows == [{"group": True, "sum": 8}]
    tables.open_session(Query(source=SessionSource("c"), filter=Compare("sum", CompareOp.GREATER, 0)), "d")
    assert tables.session("d").read().rows.to_rows() == reader.rows
    tables.close_session("a")
    tables.check()


def _renamed_upsert(row: Row) -> Write:
    write = upsert("flights", row)
    write.table = "flown"
    return write


def test_the_permanent_filter_of_a_session_holds_for_who_reads_it() -> None:
    tables = hub()
    tables.commit([upsert("flights", *({"id": i, "delay": i} for i in range(5)))])
    tables.open_session(Query("flights"), "a", permanent=LATE)
    assert tables.query(Query(source=SessionSource("a"))).total_count == 4
    tables.open_session(Query("flights", Compare("delay", CompareOp.LESS, 3)), "b", permanent=LATE)
    assert tables.query(Query(source=SessionSource("b"))).total_count == 2


# Sharing and independence


def _nodes(tables: Hub) -> set[Node]:
    found: set[Node] = set()
    waiting = [node for source in tables._sources.values() for node in source.nodes.values()]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.source.nodes.values())
    return found


def test_three_lookups_are_one_node_and_sessions_share_it() -> None:
    tables = hub()
    joins = (
        Join(AIRLINES, AIRLINE, JoinKind.LEFT),
        Join(TableSource("planes"), on(("plane", "tail")), columns=(JoinColumn("maker"),)),
        Join(table("flights"), on(("before", "id")), JoinKind.LEFT, (JoinColumn("delay", "delay_before"),)),
    )
    filters: tuple[Filter | None, ...] = (None, LATE, NullTest("maker"), Custom("name ~ 'a'"))
    for number, where in enumerate(filters):
        tables.open_session(_joined(*joins, filter=where), f"s{number}")
    (node,) = _nodes(tables)
    assert node.kind == "lookup"
    assert len(node.inputs) == 4
    tables.open_session(
        Query(
            "flights",
            computed=tuple(lookup(name, AIRLINES, AIRLINE, column=name) for name in ("code", "name")),
        ),
        "merged",
    )
    (merged,) = _nodes(tables) - {node}
    assert len(merged.inputs) == 2


def test_opening_and_closing_a_joined_session_disturbs_nobody() -> None:
    """tessio detached every other listener of the child table."""
    tables = hub()
    rows: list[Row] = [{"id": i, "carrier": "UA", "delay": 1} for i in range(4)]
    tables.commit([upsert("flights", *rows)])
    tables.commit([upsert("airlines", {"code": "UA", "name": "United"})])
    child = Reader(tables.open_session(Query("airlines"), "child"))
    parent = Reader(tables.open_session(Query("flights"), "parent"))
    mine = Reader(tables.open_session(_joined(Join(AIRLINES, AIRLINE)), "mine"))
    for name, query in (
        ("same", _joined(Join(AIRLINES, AIRLINE))),
        ("other", _joined(Join(AIRLINES, AIRLINE, JoinKind.LEFT, prefix="x_"))),
        ("pairs", Query("airlines", joins=(Join(TableSource("flights"), on(("code", "carrier"))),))),
    ):
        tables.open_session(query, name)
        tables.commit([upsert("airlines", {"code": "UA", "name": f"before {name} is closed"})])
        for reader in (child, mine):
            reader.take()
            assert {row["name"] for row in reader.rows} == {f"before {name} is closed"}
        tables.close_session(name)
        tables.commit([upsert("airlines", {"code": "UA", "name": f"after {name}"}), upsert("flights", {"id": 0})])
        for reader in (child, mine):
            reader.take()
            assert {row["name"] for row in reader.rows} == {f"after {name}"}
        tables.check()
    tables.commit([delete("airlines", {"code": "UA"}), upsert("flights", {"id": 1, "delay": 5})])
    for reader in (child, parent, mine):
        reader.take()
    assert (child.rows, mine.rows) == ([], [])
    assert parent.rows[1]["delay"] == 5


def test_a_change_of_a_child_touches_the_sessions_that_show_it_alone() -> None:
    tables = hub()
    tables.commit(
        [
            upsert("flights", *({"id": i, "carrier": ("UA", "AA")[i % 2]} for i in range(6))),
            upsert("airlines", {"code": "UA"}, {"code": "AA"}),
        ]
    )
    for code in ("UA", "AA"):
        where = Compare("carrier", CompareOp.EQUAL, code)
        tables.open_session(_joined(Join(AIRLINES, AIRLINE, JoinKind.LEFT), filter=where), code)
    result = tables.commit([upsert("airlines", {"code": "AA", "name": "American"})])
    assert [session.name for session in result.touched] == ["AA"]
    result = tables.commit([upsert("airlines", {"code": "none", "name": "?"})])
    assert result.touched == ()


# Moved conditions


@pytest.mark.parametrize("name", [name for name, asked in QUERIES.items() if asked.query.filter or asked.query.having])
def test_moved_conditions_change_nothing(name: str) -> None:
    choose = random.Random(name)
    moved, stayed = hub(), hub()
    query = QUERIES[name].query
    one = Reader(moved.open_session(query, "s"))
    with conditions_stay():
        other = Reader(stayed.open_session(query, "s"))
    for _ in range(60):
        state = choose.getstate()
        random_commit(choose, moved)
        choose.setstate(state)
        random_commit(choose, stayed)
        one.take()
        other.take()
        assert repr(one.rows) == repr(other.rows)
    assert one.changes > 3


def _kept_rows(tables: Hub, query: Query) -> int:
    """How many rows the nodes of a query hold."""
    before = _nodes(tables)
    tables.open_session(query, f"s{len(tables.sessions)}")
    return sum(
        node.source.table.row_count for node in _nodes(tables) - before if node.kind in ("join", "union", "group")
    )


def test_conditions_are_asked_where_rows_are_read() -> None:
    tables = hub()
    tables.commit(
        [
            upsert("flights", *({"id": i, "carrier": ("UA", "AA")[i % 2], "delay": i} for i in range(8))),
            upsert("routes", *({"carrier": c, "stop": s, "place": "JFK"} for c in ("UA", "AA") for s in range(3))),
        ]
    )
    joined = (Join(ROUTES, on(("carrier", "carrier"))),)
    outer = (Join(ROUTES, on(("carrier", "carrier")), JoinKind.LEFT),)
    high = Compare("delay", CompareOp.GREATER, 5)
    first = Compare("stop", CompareOp.EQUAL, 0)
    assert _kept_rows(tables, _joined(*joined)) == 24
    assert _kept_rows(tables, _joined(*joined, filter=high)) == 6
    assert _kept_rows(tables, _joined(*joined, filter=first)) == 8
    assert _kept_rows(tables, _joined(*joined, filter=AllOf((high, first)))) == 2
    assert _kept_rows(tables, _joined(*outer, filter=AllOf((high, first)))) == 6  # the right side is not narrowed
    both = Query(source=Union((TableSource("flights"), table("flights", filter=LATE))))
    assert _kept_rows(tables, both) == 15
    assert _kept_rows(tables, Query(source=both.source, filter=high)) == 4
    low = Compare("delay", CompareOp.LESS, 2)
    assert _kept_rows(tables, Query(source=QuerySource(both), filter=low, columns=("delay",))) == 3
    assert _kept_rows(tables, Query(source=QuerySource(both), filter=AllOf((low, low)))) == 0  # it is that node again
    assert _kept_rows(tables, Query(source=both.source, filter=Compare("branch", CompareOp.EQUAL, 1))) == 0
    assert _kept_rows(tables, BY_CARRIER) == 2
    ua = Compare("carrier", CompareOp.EQUAL, "UA")
    assert _kept_rows(tables, Query("flights", group=BY_CARRIER.group, having=ua)) == 1
    assert _kept_rows(tables, Query(source=QuerySource(BY_CARRIER), filter=ua)) == 0
    many = Compare("n", CompareOp.GREATER, 0)
    assert _kept_rows(tables, Query("flights", group=BY_CARRIER.group, having=AllOf((ua, many)))) == 0


def test_a_moved_condition_is_not_asked_twice() -> None:
    tables = hub()
    plain = tables.open_session(_joined(Join(ROUTES, on(("carrier", "carrier"))), filter=LATE), "s")
    assert plain.plan.filter is None
    lookups = Lookup(AIRLINES, AIRLINE, column="name")
    stays = tables.open_session(Query("flights", LATE, computed=(ComputedColumn("x", lookup=lookups),)), "t")
    assert stays.plan.filter is not None


def test_unknown_tables_are_refused_with_their_place() -> None:
    with pytest.raises(NotFound) as caught:
        hub().query(_joined(Join(TableSource("none"), on(("id", "id")))))
    assert caught.value.field == "query.joins[0].source.table"
