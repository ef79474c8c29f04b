"""Random expressions: over batches, for one row and as a filter they give what the naive evaluator gives."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.operators.evaluate import compile_expression
from tesseract_grpc.engine.operators.evaluate_one import compile_one
from tesseract_grpc.engine.query.expression.check import check_expression
from tesseract_grpc.engine.query.expression.problem import BadExpression
from tesseract_grpc.engine.query.expression.typed import ColumnRef, Type, Typed
from tesseract_grpc.engine.query.filter import Custom, Negate
from tesseract_grpc.engine.query.query import Query
from tests.engine import expression_json
from tests.engine.expression_world import (
    CALLS,
    FUNCTIONS,
    KINDS,
    ROWS,
    SCHEMA,
    VALUES,
    NotKnown,
    Row,
    Tree,
    condition,
    kind_of,
    text,
    trees,
    truth,
)

TABLES = st.lists(ROWS, min_size=1, max_size=12)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    return type(one) is type(other) and one == other


def agrees(value: Any, wanted: Any, kind: str) -> bool:
    """Whether a value of the engine is what the naive evaluator says; JSON is its text."""
    if kind != "json":
        return same(value, wanted)
    found = None if value is None else json.loads(value)
    return expression_json.same(found, expression_json.plain(wanted)) and (value is None) is (wanted is None)


def hub_of(rows: list[Row]) -> Hub:
    hub = Hub("test", epoch="test")
    hub.create_table("t", SCHEMA)
    full = [{"id": number, **row} for number, row in enumerate(rows)]
    hub.commit([Write("t", WriteKind.INSERT, Batch.of_rows(SCHEMA.columns, full))])
    return hub


def checked(tree: Tree) -> Typed | None:
    """The checked expression; None when a constant in it has no value in INT64."""
    try:
        return check_expression(text(tree), SCHEMA).root
    except BadExpression as error:
        if {problem.reason for problem in error.problems} != {Reason.INT64_OVERFLOW}:
            raise
        return None


def expected(tree: Tree, rows: list[Row]) -> list[Any] | None:
    try:
        return [truth(tree, row) for row in rows]
    except NotKnown:
        return None


COLUMNS = {
    "int": "ij",
    "float": "fg",
    "text": ("s", "odd name"),
    "bool": "bc",
    "time": "tu",
    "enum": "e",
    "json": ("d", "items"),
}
BARE = (("col", "d"), ("col", "items"))
"""A JSON column alone is its text, as it was written."""
OPERATIONS = [(kind, call) for kind, calls in CALLS.items() for call in calls if not set(call) & set(FUNCTIONS)]


@pytest.mark.parametrize(("kind", "call"), OPERATIONS, ids=lambda part: "-".join(part) if part else "")
def test_every_operation_on_every_value(kind: str, call: tuple[str, ...]) -> None:
    """Columns against columns, and against each value as a constant."""
    op, *kinds = call
    used: dict[str, list[Any]] = {}
    parts: list[Tree] = []
    for each in kinds:
        name = next((name for name in COLUMNS[each] if name not in used), COLUMNS[each][0])
        used[name] = VALUES[each]
        parts.append(("col", name))
    blank = dict.fromkeys((column.name for column in SCHEMA.columns[1:]), None)
    rows = [{**blank, **dict(zip(used, values, strict=True))} for values in itertools.product(*used.values())]
    known = []
    for row in rows:
        with contextlib.suppress(NotKnown):
            truth((op, *parts), row)
            known.append(row)
    assert known
    agree((op, *parts), known)
    keep((op, *parts), known)
    if len(kinds) == 2 and kinds[1] not in ("time", "enum", "json"):
        for value in VALUES[kinds[1]]:
            if value is not None and value == value and abs(hash(value)) != hash(math.inf):
                some = [row for row in known if same(row[parts[1][1]], value)] or known
                agree((op, parts[0], ("lit", value)), some)


def test_there_is_one_zero() -> None:
    rows = [dict.fromkeys((c.name for c in SCHEMA.columns[1:]), None) | {"f": f, "g": g}
            for f in VALUES["float"] for g in VALUES["float"]]  # fmt: skip
    agree(("/", ("col", "g"), ("neg", ("col", "f"))), rows)
    agree(("/", ("col", "g"), ("*", ("lit", -2), ("col", "f"))), rows)


@pytest.mark.fuzz
@settings(max_examples=300, deadline=None)
@given(KINDS.flatmap(trees), TABLES)
def test_differential_batches_and_rows(tree: Tree, rows: list[Row]) -> None:
    agree(tree, rows)


def agree(tree: Tree, rows: list[Row]) -> None:
    """The evaluators give what the naive one gives."""
    root, wanted = checked(tree), expected(tree, rows)
    if root is None or wanted is None:
        return
    bare = root.name if isinstance(root, ColumnRef) and root.type is Type.JSON else tree[1] if tree in BARE else ""
    table = hub_of(rows).table("t")
    columns: list[Column] = list(table.columns)
    evaluator = compile_expression(root, SCHEMA, columns)
    one = compile_one(root, SCHEMA, columns)
    names = {"int": "INT64", "float": "FLOAT64", "text": "STRING", "bool": "BOOL", "time": "TIMESTAMP", "json": "JSON"}
    assert evaluator.type.name == names[kind_of(tree)]
    whole = slice(0, len(rows))
    for slots in (whole, np.arange(len(rows))[::-1], np.arange(1)):
        picked = np.arange(len(rows))[slots]

        def read(at: int, slots: Any = slots) -> tuple[Any, Any]:
            vector = columns[at].read(slots)
            return vector.values, vector.valid

        found = evaluator.evaluate(read, len(picked)).to_list()
        for place, value in zip(picked.tolist(), found, strict=True):
            if bare:  # what is left may be the column itself, whose documents are handed on as they are
                assert value == rows[place][bare]
                continue
            assert agrees(value, wanted[place], kind_of(tree)), (text(tree), rows[place], value, wanted[place])
    for place in range(len(rows)):

        def get(at: int, place: int = place) -> Any:
            return columns[at].stored(place)

        value = one(get)
        if bare:
            assert value == rows[place][bare]
            continue
        value = value + 0.0 if isinstance(value, float) else value
        assert agrees(value, wanted[place], kind_of(tree)), (text(tree), rows[place], value, wanted[place])


@pytest.mark.fuzz
@settings(max_examples=300, deadline=None)
@given(KINDS.flatmap(trees), TABLES, TABLES, st.booleans(), st.booleans())
def test_differential_filters(tree: Tree, rows: list[Row], later: list[Row], negated: bool, at_once: bool) -> None:
    wanted = expected(tree, [*rows, *later])
    if checked(tree) is None or wanted is None:
        return
    kept = [condition(tree, row) is (not negated) for row in (*rows, *later)]
    filter = Negate(Custom(text(tree))) if negated else Custom(text(tree))
    hub = hub_of(rows)
    session = hub.open_session(Query("t", filter), "live")
    new = [{"id": number, **row} for number, row in enumerate(later, len(rows))]
    for batch in [new] if at_once else [[row] for row in new]:
        hub.commit([Write("t", WriteKind.INSERT, Batch.of_rows(SCHEMA.columns, batch))])
    ids = [number for number, keep in enumerate(kept) if keep]
    assert hub.query(Query("t", filter)).rows.columns["id"].to_list() == ids, text(tree)
    assert session.read().rows.columns["id"].to_list() == ids, text(tree)
    hub.check()


def keep(tree: Tree, rows: list[Row]) -> None:
    """As filters, the expression and its negation keep the rows that they should."""
    if expected(tree, rows) is None or checked(tree) is None:
        return
    hub = hub_of(rows)
    held = [condition(tree, row) for row in rows]
    for filter, keeps in (
        (Custom(text(tree)), [each is True for each in held]),
        (Negate(Custom(text(tree))), [each is False for each in held]),
    ):
        found = hub.query(Query("t", filter)).rows.columns["id"].to_list()
        assert found == [number for number, each in enumerate(keeps) if each], (text(tree), filter)
