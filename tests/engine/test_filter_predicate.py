"""Predicates: one row and many rows agree, whatever the block, and no more is looked at than needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.schema import INT64_MAX, INT64_MIN
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.operators import predicate as module
from tesseract_grpc.engine.operators import predicate_leaf
from tesseract_grpc.engine.operators.code_table import CodeTable
from tesseract_grpc.engine.operators.predicate import Predicate, compile_predicate
from tesseract_grpc.engine.query import filter as f
from tesseract_grpc.engine.query.filter import (
    AllOf,
    AnyOf,
    Between,
    Compare,
    In,
    Like,
    Negate,
    NullTest,
    Regex,
    check_filter,
)
from tesseract_grpc.engine.query.text_pattern import text_test
from tests.engine.filter_world import SCHEMA, VALUES, Row, Stored, filters, holds, rows

EQ, NE, LT, LE, GT, GE = f.CompareOp
READS = {name: SCHEMA.position(name) for name in VALUES}


def compiled(filter: f.Filter | None, stored: Stored, *, intern: bool = False) -> Predicate:
    return compile_predicate(check_filter(filter, SCHEMA), SCHEMA, stored.columns, intern=intern)


def cycle(count: int, **fixed: Any) -> list[Row]:
    """Rows that run through the domains at different paces."""
    names = list(VALUES)
    made = [{n: VALUES[n][(i // (1 + names.index(n) % 3)) % len(VALUES[n])] for n in names} for i in range(count)]
    return [{**row, **fixed} for row in made]


@given(st.lists(filters(), min_size=4, max_size=4), rows(), st.booleans())
def test_differential_one_and_many(asked: list[f.Filter], found: list[Row], intern: bool) -> None:
    stored = Stored(found)
    for filter in asked:
        predicate = compiled(filter, stored, intern=intern)
        many = predicate.mask(stored.read, stored.count).tolist()
        assert many == [predicate.test(stored.row(slot)) for slot in range(stored.count)], filter


@given(st.lists(filters(), min_size=3, max_size=3), st.sampled_from([1, 2, 7]), st.sampled_from([1, 4, 10**9]))
def test_differential_blocks(asked: list[f.Filter], block: int, sparse: int) -> None:
    """Blocks, and looking at few rows alone, change nothing."""
    found = cycle(50)
    stored = Stored(found)
    for filter in asked:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "BLOCK", block)
            patch.setattr(module, "SPARSE", sparse)
            kept = compiled(filter, stored).mask(stored.read, stored.count).tolist()
        assert kept == [holds(filter, row) is True for row in found], filter


@given(st.lists(filters(), min_size=4, max_size=4), rows(), rows())
def test_differential_growth(asked: list[f.Filter], first: list[Row], later: list[Row]) -> None:
    """A predicate that was made before rows and their texts came is right for them."""
    stored = Stored([])
    predicates = [compiled(filter, stored, intern=True) for filter in asked]
    for batch in (first, later):
        start = stored.count
        stored.append(batch)
        for filter, predicate in zip(asked, predicates, strict=True):
            assert predicate.mask(stored.read, stored.count)[start:].tolist() == [
                holds(filter, row) is True for row in batch
            ]
            assert predicate.test(stored.row(stored.count - 1)) == (holds(filter, batch[-1]) is True)


@pytest.mark.parametrize("count", [3, 8, 9, 40])
@pytest.mark.parametrize("spread", [1, 10**9, 2**57])
@pytest.mark.parametrize("negated", [False, True])
def test_long_lists_of_whole_numbers(count: int, spread: int, negated: bool) -> None:
    """Compared one by one, through flags, by binary search: all exact, to the ends of INT64."""
    values = [INT64_MIN, INT64_MAX, *(spread * i for i in range(count))] if spread > 1 else list(range(-5, count))
    around = sorted({v + d for v in values for d in (-1, 0, 1) if INT64_MIN <= v + d <= INT64_MAX})
    stored = Stored([{**cycle(1)[0], "whole": value} for value in [*around, None]])
    predicate = compiled(In("whole", tuple(values), negated), stored)
    expected = [value is not None and (value in values) is not negated for value in [*around, None]]
    assert predicate.mask(stored.read).tolist() == expected
    assert [predicate.test(stored.row(slot)) for slot in range(stored.count)] == expected


@pytest.mark.parametrize("negated", [False, True])
@pytest.mark.parametrize("count", [2, 20])
def test_long_lists_of_doubles_and_texts(count: int, negated: bool) -> None:
    reals = [None, float("nan"), *(i / 2 for i in range(60)), float("inf")]
    texts = [None, "", *(f"t{i}" for i in range(61))]
    stored = Stored([{**cycle(1)[0], "real": r, "text": t} for r, t in zip(reals, texts, strict=False)])
    numbers = tuple(float(i) for i in range(count))
    names = tuple(f"t{2 * i}" for i in range(count))
    for name, listed, items in (("real", numbers, reals), ("text", names, texts)):
        predicate = compiled(In(name, listed, negated), stored)
        expected = [item is not None and (item in listed) is not negated for item in items[: stored.count]]
        assert predicate.mask(stored.read).tolist() == expected
        assert [predicate.test(stored.row(slot)) for slot in range(stored.count)] == expected


def test_constants() -> None:
    stored = Stored(cycle(5))
    for filter, kept in ((None, True), (AllOf(()), True), (AnyOf(()), False), (NullTest("must"), False)):
        predicate = compiled(filter, stored)
        assert predicate.always is kept
        assert predicate.columns == ()
        assert predicate.mask(stored.read).tolist() == [kept] * 5
        assert predicate.mask(stored.read, 3).tolist() == [kept] * 3
        assert predicate.test(lambda _: None) is kept


def test_no_rows() -> None:
    stored = Stored([])
    for filter in (Compare("whole", EQ, 1), Like("text", "a"), In("kind", ("new", "mid")), Compare("text", LT, "b")):
        assert compiled(filter, stored).mask(stored.read).tolist() == []


def test_only_nulls() -> None:
    """A text column that holds nulls alone has an empty dictionary."""
    stored = Stored(cycle(3, text=None))
    for filter in (Like("text", "a"), Negate(Like("text", "a")), Compare("text", LT, "b"), Compare("text", NE, "b")):
        assert compiled(filter, stored).mask(stored.read).tolist() == [False] * 3


def test_columns() -> None:
    stored = Stored(cycle(1))
    filter = AllOf((Compare("text", EQ, "a"), AnyOf((Compare("whole", LT, 3), Compare("text", GT, "b")))))
    assert compiled(filter, stored).columns == (READS["whole"], READS["text"])


def test_unchecked_filter_is_refused() -> None:
    stored = Stored([])
    for filter in (Negate(NullTest("whole")), Between("whole", 1, 2), f.Custom("x")):
        with pytest.raises(TypeError):
            compile_predicate(filter, SCHEMA, stored.columns, intern=False)


def test_interning() -> None:
    """A one-shot query leaves no text behind; a live one reserves codes for the texts that it names."""
    filter = AllOf((Compare("text", EQ, "new text"), In("must", ("x", "y")), Like("text", "new")))
    stored = Stored(cycle(1, text="a", must="a"))
    dictionaries = [stored.columns[READS[name]].dictionary for name in ("text", "must")]
    compiled(filter, stored, intern=False)
    assert [d.texts for d in dictionaries if d is not None] == [["a"], ["a"]]
    compiled(filter, stored, intern=True)
    assert [d.texts for d in dictionaries if d is not None] == [["a", "new text"], ["a", "x", "y"]]


def test_mask_is_new() -> None:
    """The caller may write to a mask; the column's validity must not change."""
    stored = Stored(cycle(20))
    for filter in (NullTest("whole", negated=True), Compare("flag", EQ, True), NullTest("whole")):
        mask = compiled(filter, stored).mask(stored.read)
        mask[:] = True
        again = compiled(filter, stored).mask(stored.read)
        assert not again.all()


# How much is looked at


class Reader:
    """Reads columns and notes which, and how often."""

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self.positions: list[int] = []

    def __call__(self, position: int) -> tuple[AnyArray, BoolArray | None]:
        self.positions.append(position)
        return self.stored.read(position)


def test_each_column_is_read_once() -> None:
    stored = Stored(cycle(100))
    reader = Reader(stored)
    filter = AnyOf((AllOf((Compare("whole", GE, 0), Compare("real", LE, 1))), Compare("whole", EQ, -2)))
    compiled(filter, stored).mask(reader, stored.count)
    assert sorted(reader.positions) == [READS["whole"], READS["real"]]


def test_nothing_is_read_when_no_row_is_left() -> None:
    stored = Stored(cycle(100))
    reader = Reader(stored)
    compiled(AllOf((Compare("key", EQ, 99), Like("text", "a"))), stored).mask(reader, stored.count)
    assert reader.positions == [READS["key"]]


def unique_texts(count: int) -> Stored:
    return Stored([{**row, "text": f"text {i}", "key": i} for i, row in enumerate(cycle(count))])


def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes every text that a pattern looks at."""
    looked: list[str] = []

    def counted(node: Like | Regex, field: str) -> Callable[[str], bool]:
        match = text_test(node, field)

        def test(text: str) -> bool:
            looked.append(text)
            return match(text)

        return test

    monkeypatch.setattr(predicate_leaf, "text_test", counted)
    return looked


def test_each_text_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = counting(monkeypatch)
    stored = Stored(cycle(200))
    predicate = compiled(Like("text", "a"), stored, intern=True)
    for _ in range(3):
        predicate.mask(stored.read)
        for slot in range(stored.count):
            predicate.test(stored.row(slot))
    assert sorted(looked) == sorted(text for text in map(str, VALUES["text"]) if text != "None")
    stored.append(cycle(10, text="came later"))
    predicate.mask(stored.read)
    assert looked.count("came later") == 1
    assert len(looked) == len(set(looked))


def test_texts_of_rows_that_are_ruled_out_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = counting(monkeypatch)
    stored = unique_texts(1000)
    predicate = compiled(AllOf((Compare("key", LT, 3), Like("text", "1"))), stored)
    assert np.flatnonzero(predicate.mask(stored.read)).tolist() == [1]
    assert looked == ["text 0", "text 1", "text 2"]


def test_code_table_counts() -> None:
    words = Dictionary()
    codes = words.encode([f"w{i}" for i in range(100)])
    table = CodeTable(words, lambda text: text.endswith("7"))
    assert table.test(17)
    assert table.judged == 1
    assert table.take(codes[15:20]).tolist() == [False, False, True, False, False]
    assert table.judged == 5
    assert np.flatnonzero(table.take(codes)).tolist() == list(range(7, 100, 10))
    assert table.judged == 100
    assert table.test(words.encode_one("x7"))
    assert table.judged == 101
