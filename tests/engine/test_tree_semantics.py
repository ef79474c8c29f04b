"""Levels, pivots and trees of docs/SEMANTICS.md are executed: asked once, and in sessions open before the rows came."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import EngineError
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.filter import Custom, Filter
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping, GroupMode, Pivot
from tesseract_grpc.engine.query.query import WHOLE, Expansion, Query, Window
from tests.engine.filter_notation import Line, column, lines, literal, parse, tokens, value, values

LEVELS = lines("column", "values", "grouping", "shows")
PIVOTS = lines("column", "values", "pivot over", "counts")
TREES = lines("rows", "open", "show")
REASON = re.compile(r"[A-Z]+(_[A-Z]+)+")
COUNT = Aggregate("n", "count")


def test_the_tables_are_found() -> None:
    assert min(len(LEVELS), len(PIVOTS), len(TREES)) > 10


def levels(text: str) -> Query:
    """A rollup by x, or the total; with leafs, or a condition, or an aggregate of the name `n`."""
    mode, leafs, having = GroupMode.TOTAL if text == "total" else GroupMode.ROLLUP, text == "rollup with leafs", None
    aggregates: tuple[Aggregate, ...] = (COUNT,)
    if text.startswith("rollup having "):
        having = Custom(text.removeprefix("rollup having "))
    elif text.startswith("expression "):
        aggregates = (COUNT, Aggregate("y", "expression", expression=text.removeprefix("expression ")))
    elif " where " in text or " of " in text:
        aggregates = (narrowed(text),)
    else:
        assert text in ("rollup", "total", "rollup with leafs"), f"not in the notation: {text}"
    return Query("t", group=Grouping(("x",), aggregates, mode, leafs), having=having)


def narrowed(text: str) -> Aggregate:
    function, _, rest = text.partition(" ")
    word, _, rest = rest.partition(" ")
    if word == "of":
        return Aggregate("n", function, expression=rest)
    where: Filter = parse(rest)
    return Aggregate("n", function, "" if function == "count" else "x", filter=where)


def answers(type: DataType, items: list[Scalar], query: Query) -> list[list[dict[str, Any]]]:
    """What is asked once, and what a session shows that was open before its rows came."""
    hub = Hub("test", epoch="test")
    hub.create_table("t", TableSchema((ColumnSchema("id", DataType.INT64, primary_key=True), column(type))))
    early = query.group is None or query.group.split_by is None
    session = hub.open_session(query, "s") if early else None
    for at, item in enumerate(items):
        batch = Batch(1, {"id": Vector.of(DataType.INT64, [at]), "x": Vector.of(type, [item])})
        hub.commit([Write("t", WriteKind.INSERT, batch)])
    session = session or hub.open_session(query, "s")
    hub.check()
    return [session.read().rows.to_rows(), hub.query(query).rows.to_rows()]


def expected(line: Line) -> str | None:
    """Why the query is refused, if it is."""
    match = REASON.fullmatch(line.cells[3])
    return None if match is None else match[0]


def check_refused(type: DataType, items: list[Scalar], query: Query, reason: str) -> None:
    with pytest.raises(EngineError) as caught:
        answers(type, items, query)
    assert caught.value.reason == reason


@pytest.mark.parametrize("line", LEVELS, ids=str)
def test_levels(line: Line) -> None:
    type, query = DataType[line.cells[0]], levels(line.cells[2])
    items = values(type, line.cells[1])
    if reason := expected(line):
        check_refused(type, items, query, reason)
        return
    assert query.group is not None
    last = query.group.aggregates[-1].name
    wanted = [tokens(part) for part in line.cells[3].split(";") if part]
    for rows in answers(type, items, query):
        found = [
            [row["level"], row["x"], row[last], *([row["id"]] if row.get("id") is not None else [])] for row in rows
        ]
        true = [[literal(level), value(type, x), *(literal(token) for token in rest)] for level, x, *rest in wanted]
        assert repr(found) == repr(true)


@pytest.mark.parametrize("line", PIVOTS, ids=str)
def test_pivots(line: Line) -> None:
    type = DataType[line.cells[0]]
    items = values(type, line.cells[1])
    over = tuple(literal(token) for token in tokens(line.cells[2]) if token != ",")
    query = Query("t", group=Grouping((), (COUNT,), split_by=Pivot("x", over)))
    if reason := expected(line):
        check_refused(type, items, query, reason)
        return
    true = [tuple(part.strip().rsplit(" ", 1)) for part in line.cells[3].split(";")]
    for (row,) in answers(type, items, query):
        del row["group"]
        assert [(name, str(count)) for name, count in row.items()] == true


def opened(text: str) -> Window:
    match = re.fullmatch(r"(?:all|depth (\d+))(?: expanded ([a-z ]+?))?(?: collapsed ([a-z ]+))?", text)
    assert match is not None, f"not in the notation: {text}"
    depth, expanded, collapsed = match.groups()
    names = [frozenset((name,) for name in (part or "").split()) for part in (expanded, collapsed)]
    return Window(expansion=Expansion(None if depth is None else int(depth), names[0], names[1]))


@pytest.mark.parametrize("line", TREES, ids=str)
def test_trees(line: Line) -> None:
    schema = TableSchema(
        (ColumnSchema("id", DataType.STRING, primary_key=True), ColumnSchema("parent", DataType.STRING))
    )
    hub = Hub("test", epoch="test")
    hub.create_table("t", schema)
    query, window = Query("t", tree="parent"), opened(line.cells[1])
    session = hub.open_session(query, "s")
    for part in line.cells[0].split(","):
        key, _, parent = part.strip().partition("<")
        rows = [{"id": key, "parent": parent or None}]
        hub.commit([Write("t", WriteKind.INSERT, Batch.of_rows(schema.columns, rows))])
    hub.check()
    for found in (session.read(window), hub.query(query, window)):
        assert " ".join(str(row["id"]) for row in found.rows.to_rows()) == line.cells[2]
        assert found.total_count == len(line.cells[2].split())
    assert session.read(WHOLE).total_count == len(line.cells[0].split(","))
