"""The aggregates of docs/SEMANTICS.md are executed: asked once, and in a session that was open before the rows came."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import EngineError
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.operators.aggregate.contract import AggregateFunction, result_type
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import Query
from tests.engine.filter_notation import Line, column, lines, value, values

AGGREGATES = lines("column", "values", "aggregate", "value")
OF_TWO = lines("column", "values", "other column", "its values", "aggregate", "value")
REASON = re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)+")


def _hub(type: DataType, other: DataType | None = None) -> Hub:
    hub = Hub("test", epoch="test")
    columns = [ColumnSchema("id", DataType.INT64, primary_key=True), column(type)]
    hub.create_table("t", TableSchema((*columns, *([] if other is None else [column(other, "o")]))))
    return hub


def _write(hub: Hub, columns: dict[str, tuple[DataType, list[Scalar]]]) -> tuple[EngineError, ...]:
    """Writes the rows; returns why sessions ended."""
    count = len(columns["x"][1])
    vectors = {name: Vector.of(type, items) for name, (type, items) in columns.items()}
    batch = Batch(count, {"id": Vector.of(DataType.INT64, list(range(count))), **vectors})
    return tuple(error for _, error in hub.commit([Write("t", WriteKind.INSERT, batch)]).ended)


def _query(text: str, other: bool) -> Query:
    function, _, share = text.partition(" ")
    weight, order = ("o", "") if function == "weighted_avg" else ("", "o")
    of = "" if function == "count" else "x"
    made = Aggregate("y", function, of, weight=weight, order_by=order) if other else Aggregate("y", function, of)
    return Query("t", group=Grouping((), (replace(made, percentile=float(share)) if share else made,)))


@pytest.mark.parametrize("line", [*AGGREGATES, *OF_TWO], ids=str)
def test_aggregates(line: Line) -> None:
    type, other = DataType[line.cells[0]], DataType[line.cells[2]] if len(line.cells) == 6 else None
    columns = {"x": (type, values(type, line.cells[1]))}
    if other is not None:
        columns["o"] = (other, values(other, line.cells[3]))
    function, wanted = line.cells[-2:]
    query, hub = _query(function, other is not None), _hub(type, other)
    if REASON.fullmatch(wanted) and wanted != "INT64_OVERFLOW":
        with pytest.raises(EngineError) as caught:
            hub.open_session(query, "s")
        assert caught.value.reason == wanted
        return
    session = hub.open_session(query, "s")
    ended = _write(hub, columns)
    if wanted == "INT64_OVERFLOW":
        assert [error.reason for error in ended] == [wanted]
        with pytest.raises(EngineError) as caught:
            hub.query(query)
        assert caught.value.reason == wanted
        return
    expected = _expected(type, function, wanted)
    for rows in (session.read().rows, hub.query(query).rows):
        (found,) = rows.columns["y"].to_list()
        assert repr(found) == repr(expected)


def test_every_aggregate_is_described() -> None:
    described = {line.cells[-2].partition(" ")[0] for line in [*AGGREGATES, *OF_TWO]}
    assert described == set(AggregateFunction)


def _expected(type: DataType, text: str, wanted: str) -> Scalar:
    """The result as Python has it."""
    kind = result_type(AggregateFunction(text.partition(" ")[0]), column(type))
    return value(kind, wanted)
