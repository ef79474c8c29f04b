"""docs/SEMANTICS.md is executed: every row of every table, through a hub."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import EngineError
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.filter import Filter, Negate
from tesseract_grpc.engine.query.literal import Literal
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.sort_key import SortKey
from tests.engine.filter_notation import DOCUMENT, Line, column, lines, literal, parse, value, values
from tests.engine.test_retention_semantics import ROWS as RETENTIONS

FILTERS = lines("column", "value", "filter", "result")
ORDERS = lines("column", "order", "rows in order")
WRITES = lines("column", "written as", "value", "stored")
INCREMENTS = lines("column", "stored", "added", "then")

ELSEWHERE: dict[str, list[tuple[str, ...]]] = {
    "test_expression_semantics.py": [("row", "expression", "value")],
    "test_aggregate_semantics.py": [
        ("column", "values", "aggregate", "value"),
        ("column", "values", "other column", "its values", "aggregate", "value"),
    ],
    "test_relations_semantics.py": [
        ("column", "left", "right", "inner", "left join", "looked up"),
        ("first", "second", "union"),
    ],
    "test_alter_semantics.py": [("from", "value", "to", "becomes")],
    "test_window_semantics.py": [("column", "values", "window column", "results")],
    "test_tree_semantics.py": [
        ("column", "values", "grouping", "shows"),
        ("column", "values", "pivot over", "counts"),
        ("rows", "open", "show"),
    ],
}
"""The tables that other tests execute, by the header of their columns."""

REASON = re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)+")


def hub_with(type: DataType) -> Hub:
    hub = Hub("test", epoch="test")
    hub.create_table("t", TableSchema((ColumnSchema("id", DataType.INT64, primary_key=True), column(type))))
    return hub


def write(hub: Hub, kind: WriteKind, type: DataType, items: list[Literal]) -> None:
    ids = Vector.of(DataType.INT64, list(range(len(items))))
    hub.commit([Write("t", kind, Batch(len(items), {"id": ids, "x": Vector.of(type, items)}))])


def stored(hub: Hub) -> list[Literal]:
    return hub.query(Query("t")).rows.columns["x"].to_list()


def same(one: Literal, other: Literal) -> bool:
    """Equality that tells types and the sign of zero apart and takes NaN for itself."""
    if isinstance(one, float) and isinstance(other, float):
        return repr(one) == repr(other)
    return type(one) is type(other) and one == other


def test_document_is_read() -> None:
    text = DOCUMENT.read_text()
    tables = sum(line.startswith("|---") for line in text.splitlines())
    rows = sum(line.startswith("|") for line in text.splitlines()) - 2 * tables
    elsewhere = [lines(*header) for headers in ELSEWHERE.values() for header in headers]
    assert all(elsewhere)
    assert rows == sum(map(len, (FILTERS, ORDERS, WRITES, INCREMENTS, RETENTIONS, *elsewhere)))
    for name, headers in ELSEWHERE.items():
        source = (Path(__file__).parent / name).read_text()
        assert all(f"lines({', '.join(map(json.dumps, header))})" in source for header in headers), name


def kept(hub: Hub, filter: Filter) -> bool:
    """Whether the row is kept, by a query and by a session that was open before the row came."""
    found = hub.query(Query("t", filter)).total_count == 1
    name = "before"
    assert (hub.session(name).total_count == 1) == found
    hub.close_session(name)
    return found


@pytest.mark.parametrize("line", FILTERS, ids=str)
def test_filter_rows(line: Line) -> None:
    kind, item, text, expected = line.cells
    type = DataType[kind]
    filter = parse(text)
    if REASON.fullmatch(expected):
        with pytest.raises(EngineError) as refused:
            hub_with(type).query(Query("t", filter))
        assert refused.value.reason == expected
        return
    results = []
    for asked in (filter, Negate(filter)):
        hub = hub_with(type)
        hub.open_session(Query("t", asked), "before")
        write(hub, WriteKind.INSERT, type, [value(type, item)])
        results.append(kept(hub, asked))
    assert {(True, False): "true", (False, True): "false", (False, False): "unknown"}[
        results[0], results[1]
    ] == expected


@pytest.mark.parametrize("line", ORDERS, ids=str)
def test_order_rows(line: Line) -> None:
    kind, order, text = line.cells
    type = DataType[kind]
    query = Query("t", sort=(SortKey("x", order.startswith("descending"), order.endswith("nulls first")),))
    hub = hub_with(type)
    if REASON.fullmatch(text):
        with pytest.raises(EngineError) as refused:
            hub.query(query)
        assert refused.value.reason == text
        return
    items = values(type, text)
    session = hub.open_session(query, "live")
    shuffled = items[1::2] + items[::-2] if len(items) % 2 else items[1::2] + items[::2]
    write(hub, WriteKind.INSERT, type, shuffled)
    for rows in (hub.query(query).rows, session.read().rows):
        found = rows.columns["x"].to_list()
        assert len(found) == len(items)
        assert all(same(*pair) for pair in zip(found, items, strict=True)), found


@pytest.mark.parametrize("line", WRITES, ids=str)
def test_write_rows(line: Line) -> None:
    kind, written, text, expected = line.cells
    hub = hub_with(DataType[kind])
    item = value(DataType[written], text)
    if REASON.fullmatch(expected):
        with pytest.raises(EngineError) as refused:
            write(hub, WriteKind.INSERT, DataType[written], [item])
        assert refused.value.reason == expected
        assert hub.table("t").row_count == 0
        return
    write(hub, WriteKind.INSERT, DataType[written], [item])
    assert same(stored(hub)[0], value(DataType[kind], expected))


@pytest.mark.parametrize("line", INCREMENTS, ids=str)
def test_increment_rows(line: Line) -> None:
    kind, before, added, expected = line.cells
    type = DataType[kind]
    hub = hub_with(type)
    write(hub, WriteKind.INSERT, type, [value(type, before)])
    if REASON.fullmatch(expected):
        with pytest.raises(EngineError) as refused:
            write(hub, WriteKind.INCREMENT, type, [value(type, added)])
        assert refused.value.reason == expected
        assert same(stored(hub)[0], value(type, before))
        return
    write(hub, WriteKind.INCREMENT, type, [value(type, added)])
    assert same(stored(hub)[0], value(type, expected))


def test_notation() -> None:
    assert literal("-Infinity") == -math.inf
    assert literal("9223372036854775808.0") == 2.0**63
    assert values(DataType.STRING, "'a, b', null") == ["a, b", None]
