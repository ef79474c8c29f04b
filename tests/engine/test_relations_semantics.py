"""Joins, lookups and unions of docs/SEMANTICS.md are executed: asked once, and in sessions open before rows came."""

from __future__ import annotations

import re

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.delta import RemoveReason
from tesseract_grpc.engine.data.errors import EngineError
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.computed import ComputedColumn, Lookup
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import Join, JoinKey, JoinKind, TableSource, Union
from tests.engine.filter_notation import Line, column, lines, literal, value, values

JOINS = lines("column", "left", "right", "inner", "left join", "looked up")
UNIONS = lines("first", "second", "union")
REASON = re.compile(r"[A-Z]+_[A-Z_]+")
ON = (JoinKey("x", "x"),)
INNER = Query("left", joins=(Join(TableSource("right"), ON, JoinKind.INNER, prefix="r_"),))
LEFT = Query("left", joins=(Join(TableSource("right"), ON, JoinKind.LEFT, prefix="r_"),))
LOOKED_UP = Query("left", computed=(ComputedColumn("found", lookup=Lookup(TableSource("right"), ON, "id")),))
TOGETHER = Query(source=Union((TableSource("left"), TableSource("right"))))


def test_the_tables_are_found() -> None:
    assert (len(JOINS), len(UNIONS)) == (16, 7)


def _hub(left: DataType, right: DataType) -> Hub:
    hub = Hub("test", epoch="test")
    for name, kind in (("left", left), ("right", right)):
        hub.create_table(name, TableSchema((ColumnSchema("id", DataType.INT64, primary_key=True), column(kind))))
    return hub


def _fill(hub: Hub, name: str, kind: DataType, text: str) -> None:
    items: list[Scalar] = list(values(kind, text))
    batch = Batch(len(items), {"id": Vector.of(DataType.INT64, range(len(items))), "x": Vector.of(kind, items)})
    hub.commit([Write(name, WriteKind.INSERT, batch)])


def _answers(hub: Hub, query: Query, fill: list[tuple[str, DataType, str]]) -> list[list[dict[str, Scalar]]]:
    """What a session shows that was open before the rows came, one that was made after them, and what is asked once."""
    early = hub.open_session(query, "early")
    for name, kind, text in fill:
        _fill(hub, name, kind, text)
    hub.check()
    followed = early.read().rows.to_rows()
    hub.close_session("early")
    late = hub.open_session(query, "late").read().rows.to_rows()
    return [followed, late, hub.query(query).rows.to_rows()]


@pytest.mark.parametrize("line", JOINS, ids=str)
@pytest.mark.parametrize("swapped", [False, True])
def test_joins(line: Line, swapped: bool) -> None:
    kind = DataType[line.cells[0]]
    fill = [("left", kind, line.cells[1]), ("right", kind, line.cells[2])]
    if swapped:
        fill.reverse()
    for query, wanted in zip((INNER, LEFT, LOOKED_UP), line.cells[3:], strict=True):
        if REASON.fullmatch(wanted):
            with pytest.raises(EngineError) as caught:
                _answers(_hub(kind, kind), query, fill)
            assert caught.value.reason == wanted
            continue
        parts = [part.strip() for part in wanted.split(",") if part]
        for rows in _answers(_hub(kind, kind), query, fill):
            if query is LOOKED_UP:
                assert [row["found"] for row in rows] == [literal(part) for part in parts]
            else:
                pairs = [f"{row['id']}-{'null' if row['r_id'] is None else row['r_id']}" for row in rows]
                assert pairs == parts


SEVERAL = Query("left", joins=(Join(TableSource("right"), ON, prefix="r_"),))
ONE = Query("left", joins=(Join(TableSource("right"), (JoinKey("x", "id"),), prefix="r_"),))
GONE, OTHER = {"id": 0}, {"id": 0, "x": 9}


@pytest.mark.parametrize(
    ("query", "table", "row", "reason"),
    [
        (SEVERAL, "left", GONE, RemoveReason.DELETED),
        (SEVERAL, "right", GONE, RemoveReason.DELETED),
        (SEVERAL, "left", OTHER, RemoveReason.FILTERED),
        (SEVERAL, "right", OTHER, RemoveReason.FILTERED),
        (ONE, "left", GONE, RemoveReason.DELETED),
        (ONE, "right", GONE, RemoveReason.FILTERED),
        (ONE, "left", OTHER, RemoveReason.FILTERED),
        (TOGETHER, "left", GONE, RemoveReason.DELETED),
    ],
)
def test_reasons(query: Query, table: str, row: dict[str, Scalar], reason: RemoveReason) -> None:
    hub = _hub(DataType.INT64, DataType.INT64)
    watch = hub.open_session(query, "s").watch()
    for name in ("left", "right"):
        _fill(hub, name, DataType.INT64, "0")
    watch.snapshot()
    kind = WriteKind.DELETE if row is GONE else WriteKind.UPSERT
    hub.commit([Write(table, kind, Batch.of_rows(hub.table(table).schema.columns, [row]))])
    (removes,) = watch.take().removes
    assert (removes.reason, removes.keys.length) == (reason, 1)


@pytest.mark.parametrize("line", UNIONS, ids=str)
def test_unions(line: Line) -> None:
    sides: list[tuple[DataType, str]] = []
    for cell in line.cells[:2]:
        kind, _, text = cell.partition(": ")
        sides.append((DataType[kind], text.strip("`")))
    fill = [(name, *side) for name, side in zip(("left", "right"), sides, strict=True)]
    hub = _hub(sides[0][0], sides[1][0])
    if REASON.fullmatch(line.cells[2]):
        with pytest.raises(EngineError) as caught:
            _answers(hub, TOGETHER, fill)
        assert caught.value.reason == line.cells[2]
        return
    wanted = [part.strip().split(" ", 1) for part in line.cells[2].split(",")]
    true = [[int(branch), value(sides[0][0], x)] for branch, x in wanted]
    for rows in _answers(hub, TOGETHER, fill):
        assert repr([[row["branch"], row["x"]] for row in rows]) == repr(true)
