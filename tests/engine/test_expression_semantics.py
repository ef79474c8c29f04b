"""The tables of expressions in docs/SEMANTICS.md are executed: every row, over a batch and for one row."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import EngineError
from tesseract_grpc.engine.data.schema import DataType, Scalar
from tesseract_grpc.engine.data.timestamps import parse_timestamp
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.operators.evaluate import compile_expression
from tesseract_grpc.engine.operators.evaluate_one import compile_one
from tesseract_grpc.engine.operators.evaluate_present import Present
from tesseract_grpc.engine.query.expression.check import check_expression
from tests.engine.expression_world import SCHEMA
from tests.engine.filter_notation import Line, lines, value
from tests.engine.test_filter_semantics import REASON, same

PRESENT = parse_timestamp("2024-03-01T00:00:00Z")
EXPRESSIONS = lines("row", "expression", "value")
CELL = re.compile(r"([a-z ]+?) = ('[^']*'|[^,]+)(?:, |\Z)")


def row(text: str) -> dict[str, Scalar]:
    """The values that the document gives a row."""
    found = {name: value(SCHEMA.column(name).type, item) for name, item in CELL.findall(text)}
    assert found, text
    return found


def test_the_document_has_expressions() -> None:
    assert len(EXPRESSIONS) > 350


@pytest.mark.parametrize("line", EXPRESSIONS, ids=str)
def test_expression_rows(line: Line) -> None:
    cells, text, wanted = line.cells
    if REASON.fullmatch(wanted):
        with pytest.raises(EngineError) as refused:
            check_expression(text, SCHEMA)
        assert refused.value.reason == wanted
        return
    root = check_expression(text, SCHEMA).root
    hub = Hub("test", epoch="test")
    hub.create_table("t", SCHEMA)
    hub.commit([Write("t", WriteKind.INSERT, Batch.of_rows(SCHEMA.columns, [{"id": 1, **row(cells)}]))])
    columns = list(hub.table("t").columns)

    def read(at: int) -> tuple[Any, Any]:
        vector = columns[at].read(slice(0, 1))
        return vector.values, vector.valid

    def get(at: int) -> Any:
        return columns[at].stored(0)

    batch = compile_expression(root, SCHEMA, columns).evaluate(read, 1, PRESENT)
    single = compile_one(root, SCHEMA, columns, Present(PRESENT))(get)
    # A number's type is told by its point; a text in the place of a time is the time.
    known = value(DataType.TIMESTAMP if batch.type is DataType.TIMESTAMP else DataType.STRING, wanted)
    for found in (batch.to_list()[0], single + 0.0 if isinstance(single, float) else single):
        assert same(found, known), (found, known)
