"""The aggregates of docs/SEMANTICS.md are executed: asked once, and in a session that was open before the rows came."""

from __future__ import annotations

import re

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import EngineError
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import Query
from tests.engine.filter_notation import Line, column, lines, value, values

AGGREGATES = lines("column", "values", "aggregate", "value")
REASON = re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)+")


def _hub(type: DataType) -> Hub:
    hub = Hub("test", epoch="test")
    hub.create_table("t", TableSchema((ColumnSchema("id", DataType.INT64, primary_key=True), column(type))))
    return hub


def _write(hub: Hub, type: DataType, items: list[Scalar]) -> tuple[EngineError, ...]:
    """Writes the rows; returns why sessions ended."""
    ids = Vector.of(DataType.INT64, list(range(len(items))))
    batch = Batch(len(items), {"id": ids, "x": Vector.of(type, items)})
    return tuple(error for _, error in hub.commit([Write("t", WriteKind.INSERT, batch)]).ended)


def _query(function: str) -> Query:
    return Query("t", group=Grouping((), (Aggregate("y", function, "" if function == "count" else "x"),)))


@pytest.mark.parametrize("line", AGGREGATES, ids=str)
def test_aggregates(line: Line) -> None:
    type = DataType[line.cells[0]]
    items, query = values(type, line.cells[1]), _query(line.cells[2])
    hub = _hub(type)
    if REASON.fullmatch(line.cells[3]) and line.cells[3] != "INT64_OVERFLOW":
        with pytest.raises(EngineError) as caught:
            hub.open_session(query, "s")
        assert caught.value.reason == line.cells[3]
        return
    session = hub.open_session(query, "s")
    ended = _write(hub, type, items)
    if line.cells[3] == "INT64_OVERFLOW":
        assert [error.reason for error in ended] == [line.cells[3]]
        with pytest.raises(EngineError) as caught:
            hub.query(query)
        assert caught.value.reason == line.cells[3]
        return
    expected = _expected(type, line.cells[2], line.cells[3])
    for rows in (session.read().rows, hub.query(query).rows):
        (found,) = rows.columns["y"].to_list()
        assert repr(found) == repr(expected)


def _expected(type: DataType, function: str, text: str) -> Scalar:
    """The result as Python has it: counts are whole, means and variances doubles, the others of the column's type."""
    if function in ("count", "count_values"):
        kind = DataType.INT64
    elif function in ("avg", "var", "stddev"):
        kind = DataType.FLOAT64
    else:
        kind = type
    return value(kind, text)
