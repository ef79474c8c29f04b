"""The conversions of docs/SEMANTICS.md are executed: a column of one value gets another type, also with `using`."""

from __future__ import annotations

import re

import pytest

from tesseract_grpc.engine.data.alteration import ChangeColumn
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import EngineError
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.query import Query
from tests.engine.filter_notation import Line, column, lines, value
from tests.engine.test_filter_semantics import same

CONVERSIONS = lines("from", "value", "to", "becomes")
REASON = re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)+")


@pytest.mark.parametrize("line", CONVERSIONS, ids=str)
@pytest.mark.parametrize("using", ["", "x"], ids=["by itself", "using"])
def test_what_becomes_of_a_value(line: Line, using: str) -> None:
    before, shown, after, becomes = line.cells
    old, new = DataType[before], DataType[after]
    hub = Hub("test", epoch="test")
    hub.create_table("t", TableSchema((ColumnSchema("id", DataType.INT64, primary_key=True), column(old))))
    values = {"id": Vector.of(DataType.INT64, [1]), "x": Vector.of(old, [value(old, shown)])}
    hub.commit([Write("t", WriteKind.INSERT, Batch(1, values))])
    asked = ChangeColumn("x", column(new), frozenset({"type", "enum_values"}), using)
    if REASON.fullmatch(becomes):
        with pytest.raises(EngineError) as refused:
            hub.alter_table("t", [asked])
        assert refused.value.reason == becomes
        assert hub.table("t").schema.column("x").type is old
        return
    hub.alter_table("t", [asked])
    (found,) = hub.query(Query("t")).rows.columns["x"].to_list()
    assert same(found, value(new, becomes)), f"{found!r} and not {becomes}"
    hub.check()
