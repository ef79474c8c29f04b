"""The window columns of docs/SEMANTICS.md are executed: asked once, and in sessions that rows come to one by one."""

from __future__ import annotations

import re

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import EngineError
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.window_column import WindowColumn, WindowFunction
from tests.engine.filter_notation import Line, column, lines, tokens, value, values

LINES = lines("column", "values", "window column", "results")
REASON = re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)+")
NOTATION = re.compile(
    r"(?P<function>\w+)(?: (?P<offset>\d+))?(?P<of> of x)?(?: over (?P<rows>\d+))?(?P<by> by x)?"
    r"(?P<ordered> ordered)?(?P<descending> descending)?(?P<first> nulls first)?"
)
READS = ("lag", "lead", "sum", "avg", "min", "max")
NUMBERS = (WindowFunction.ROW_NUMBER, WindowFunction.RANK, WindowFunction.DENSE_RANK, WindowFunction.COUNT)


def asked(text: str) -> WindowColumn:
    match = NOTATION.fullmatch(text)
    assert match is not None, f"not in the notation: {text}"
    found = match.groupdict()
    return WindowColumn(
        "y",
        WindowFunction[found["function"].upper()],
        "x" if found["of"] or found["function"] in READS else "",
        ("x",) if found["by"] else (),
        (SortKey("x", bool(found["descending"]), bool(found["first"])),) if found["ordered"] else (),
        1 if found["offset"] is None else int(found["offset"]),
        None if found["rows"] is None else int(found["rows"]),
    )


def hub_of(type: DataType) -> Hub:
    hub = Hub("test", epoch="test")
    hub.create_table("t", TableSchema((ColumnSchema("id", DataType.INT64, primary_key=True), column(type))))
    return hub


def write(hub: Hub, type: DataType, start: int, items: list[Scalar]) -> tuple[EngineError, ...]:
    """Writes rows; returns why sessions ended."""
    ids = Vector.of(DataType.INT64, list(range(start, start + len(items))))
    batch = Batch(len(items), {"id": ids, "x": Vector.of(type, items)})
    return tuple(error for _, error in hub.commit([Write("t", WriteKind.INSERT, batch)]).ended)


@pytest.mark.parametrize("line", LINES, ids=str)
def test_window_columns(line: Line) -> None:
    type = DataType[line.cells[0]]
    items, results = values(type, line.cells[1]), line.cells[3]
    query = Query("t", window_columns=(asked(line.cells[2]),))
    hub = hub_of(type)
    if REASON.fullmatch(results) and results != "INT64_OVERFLOW":
        with pytest.raises(EngineError) as caught:
            hub.open_session(query, "s")
        assert caught.value.reason == results
        return
    session = hub.open_session(query, "s")
    ended = [error for at, item in enumerate(items) for error in write(hub, type, at, [item])]
    if results == "INT64_OVERFLOW":
        assert [error.reason for error in ended] == [results]
        with pytest.raises(EngineError) as caught:
            hub.query(query)
        assert caught.value.reason == results
        return
    function = query.window_columns[0].function
    kind = DataType.FLOAT64 if function is WindowFunction.AVG else DataType.INT64 if function in NUMBERS else type
    expected = [repr(value(kind, token)) for token in tokens(results) if token != ","]
    for rows in (session.read().rows, hub.query(query).rows):
        assert [repr(found) for found in rows.columns["y"].to_list()] == expected


@pytest.mark.parametrize("function", WindowFunction, ids=lambda function: function.name)
def test_every_function_says_what_nan_and_a_wrong_type_or_number_do(function: WindowFunction) -> None:
    about = [line for line in LINES if asked(line.cells[2]).function is function]
    assert any("NaN" in line.cells[1] for line in about)
    assert any("null" in line.cells[1] for line in about)
    assert any(REASON.fullmatch(line.cells[3]) for line in about)
