"""The order in which the parts of a filter are tested: what it is, why, and that no answer depends on it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import INT64_MAX, ColumnSchema, DataType, IndexSchema, Scalar, TableSchema
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.vector import Batch, BoolArray
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.operators.filter_order import filter_order
from tesseract_grpc.engine.operators.predicate import Get, compile_predicate
from tesseract_grpc.engine.query.filter import AllOf, Custom, check_filter
from tesseract_grpc.engine.query.filter_shape import shape_of
from tesseract_grpc.engine.query.query import Query

SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("n", DataType.INT64),
        ColumnSchema("f", DataType.FLOAT64),
        ColumnSchema("s", DataType.STRING),
        ColumnSchema("j", DataType.JSON),
    )
)
PARTS = (
    "n == 2",
    "n != 1",
    "f > 0.5",
    "s == 'b'",
    "s > 'a'",
    "s ~ 'B'",
    "j != null",
    "n in (0, 1, 2, 3, 5, 7, 8, 9, 11)",
    "f in (1, 2)",
    "n == 1 || f > 1",
    "n * 9223372036854775807 > 5",  # leaves INT64
    "n / f > 1",  # divides by zero, and by NaN
    "s.length > 1",
    "j.a.b == 1",
    "1 / n > 0 || s == 'b'",
    "id == 3",
)
VALUES: dict[str, tuple[Scalar, ...]] = {
    "n": (None, 0, 1, 2, -1, INT64_MAX),
    "f": (None, 0.0, 1.0, 2.0, float("nan"), float("inf")),
    "s": (None, "", "a", "b", "ab"),
    "j": (None, "{}", '{"a":{"b":1}}', "[1]"),
}


def make(rows: int = 400, indexes: tuple[str, ...] = ()) -> Hub:
    """Rows with every combination of odd values, as far as they go."""
    hub = Hub(epoch="test")
    hub.create_table("t", SCHEMA, [IndexSchema(name) for name in indexes])
    combined = itertools.islice(itertools.cycle(itertools.product(*VALUES.values())), rows)
    items: list[dict[str, Scalar]] = [
        {"id": id, **dict(zip(VALUES, values, strict=True))} for id, values in enumerate(combined)
    ]
    hub.commit([Write("t", WriteKind.INSERT, Batch.of_rows(SCHEMA.columns, items))])
    return hub


HUB = make(720)


def ids(hub: Hub, text: str) -> list[Scalar]:
    return [row["id"] for row in hub.query(Query("t", Custom(text), columns=("id",))).rows.to_rows()]


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=5, unique=True))
def test_the_order_of_parts_changes_no_answer(parts: list[str]) -> None:
    expected = set(range(720))
    for part in parts:
        expected &= {int(id) for id in ids(HUB, part) if id is not None}
    for order in itertools.islice(itertools.permutations(parts), 6):
        assert set(ids(HUB, " && ".join(f"({part})" for part in order))) == expected


@given(st.lists(st.sampled_from(PARTS), min_size=2, max_size=5, unique=True))
def test_one_row_is_judged_as_many_are(parts: list[str]) -> None:
    table = HUB.table("t")
    where = check_filter(AllOf(tuple(map(Custom, parts))), SCHEMA)
    predicate = compile_predicate(where, SCHEMA, table.columns, intern=False)
    mask = predicate.mask(lambda p: (table.columns[p].values[:720], _valid(table.columns[p].valid)), 720)
    alone = [bool(predicate.always or predicate.test(_of(table, slot))) for slot in range(720)]
    assert mask.tolist() == alone


def _of(table: Table, slot: int) -> Get:
    return lambda position: table.columns[position].stored(slot)


def _valid(valid: BoolArray | None) -> BoolArray | None:
    return None if valid is None else valid[:720]


@pytest.mark.parametrize(
    ("text", "index", "order"),
    [
        ("s.length > 1 && s ~ 'b' && n > 0 && id == 4", "id", ["index", "column", "texts", "expression"]),
        ("s ~ 'b' && f + n > 1", "", ["texts", "expression"]),
        ("(n == 1 || f > 1) && s > 'a' && n != null", "", ["column", "texts", "branches"]),
        ("(f + 1 > n || n == 1) && s ~ 'q' && n in (1, 2, 3)", "", ["list", "texts", "expression"]),
        ("n in (0, 1, 2, 3, 5, 7, 8, 9, 11) && s == 'b'", "", ["column", "list"]),
    ],
)
def test_cheap_parts_come_first_and_expressions_last(text: str, index: str, order: list[str]) -> None:
    plan = HUB.explain(Query("t", Custom(text)))
    (step,) = plan.inputs
    assert step.index == index
    assert [part.how for part in step.filter_order] == order
    assert all(part.why for part in step.filter_order)
    assert ", ".join(f"{part.condition} [{part.how}]" for part in step.filter_order) in plan.text()


def test_expressions_come_after_patterns_however_small_they_are() -> None:
    table = HUB.table("t")
    where = check_filter(Custom("n < f && s ~ 'a'"), SCHEMA)
    assert [part.how for part in filter_order(where, table)] == ["texts", "expression"]
    where = check_filter(Custom("n < f && (s ~ 'a' || s ~ 'b' || s ~ 'c' || f > 1)"), SCHEMA)
    assert [part.how for part in filter_order(where, table)] == ["branches", "expression"]


def test_a_filter_that_keeps_nothing_tests_nothing() -> None:
    for text in ("false", "n == 1 && n == 2"):
        (step,) = HUB.explain(Query("t", Custom(text))).inputs
        assert (step.row_count, step.filter_order) == (0, ())


def test_few_candidates_are_looked_at_for_a_key() -> None:
    hub = make(720)
    examined = hub.counters.rows_examined
    assert ids(hub, "id in (3, 5, 9999) && n != null") == [row for row in (3, 5) if row in ids(HUB, "n != null")]
    assert hub.counters.rows_examined - examined == 2
    assert hub.table("t").keys.uses == 1
    assert ids(hub, "id == 0") == [0]
    for text in ("id == 5", "id == -1", "id in (1, 2)"):
        assert ids(hub, text) == [id for id in ids(hub, "n == null || n != null") if f"{id}" in text.replace("-1", "")]


def test_shapes_hide_values_and_keep_what_is_asked() -> None:
    cases = {
        "n == 7": ("n == ?", ("n",), ("n",), ()),
        "n in (1, 2, 3)": ("n in (?)", ("n",), ("n",), ()),
        "n not in (1, 2)": ("n not in (?)", ("n",), (), ()),
        "f > 1.5 && s == 'secret'": ("f > ? && s == ?", ("f", "s"), ("s",), ("f",)),
        "s > 'secret'": ("s > ?", ("s",), (), ()),
        "s ~ 'secret'": ("s like ?", ("s",), (), ()),
        "n + 5 > 7": ("((n + ?) > ?)", ("n",), (), ()),
        "n == 1 || s == 'secret'": ("n == ? || s == ?", ("n", "s"), (), ()),
    }
    for text, (shape, columns, equal, bounded) in cases.items():
        found = shape_of(check_filter(Custom(text), SCHEMA))
        assert (found.text, found.columns, found.equal, found.bounded) == (shape, columns, equal, bounded)


def test_large_filters_have_short_shapes() -> None:
    many = " || ".join(f"(n == {number} && s == 'x{number}')" for number in range(200))
    assert shape_of(check_filter(Custom(many), SCHEMA)).text == "one of more than 100 conditions"
    long = " && ".join(f"f + {number} > n * {number}" for number in range(60))
    assert len(shape_of(check_filter(Custom(long), SCHEMA)).text) == 500


def test_uses_are_bounded_and_the_last_ones_stay() -> None:
    hub = make(10)
    for number in range(40):
        for sign in ("<", "<=", ">", ">=", "==", "!="):
            hub.query(Query("t", Custom(f"f {'+ n ' * number}{sign} id")))
            hub.query(Query("t", Custom("n != null")))
    uses = hub.table("t").uses
    assert uses is not None
    found = uses.most_used()
    assert len(found) == 200
    assert (found[0].shape.text, found[0].uses) == ("n is not null", 240), "what is asked for again and again stays"
