"""A checked filter as something that runs: over many rows at once, or on one row.

Normal forms have no negation of trees, and `and` and `or` of what is left are true exactly where two-valued logic says
so when unknown is read as false. So a predicate carries one truth mask and nothing for unknown.

Many rows are worked through in blocks that fit the processor's cache. Within a block the conditions of a conjunction
run cheapest first, expressions last (`filter_order.py` tells why); when a few rows are left, the other conditions look
at those alone, and at nothing when none is. One row is tested by nested closures, because array calls cost about a
microsecond each.

A predicate that asks for the present is *timely*: whoever owns it sets `now_us` before it is used, and knows that what
it says of a row changes with time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.schema import TableSchema
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray, IntArray
from tesseract_grpc.engine.operators.evaluate_present import Present
from tesseract_grpc.engine.operators.predicate_expression import compile_condition
from tesseract_grpc.engine.operators.predicate_leaf import (
    Get,
    MaskFunction,
    Rank,
    Read,
    Term,
    TestFunction,
    compile_leaf,
    in_order,
)
from tesseract_grpc.engine.query.filter import AllOf, AnyOf, Compare, Expression, Filter, In, Like, NullTest, Regex

__all__ = ["Get", "Predicate", "Read", "compile_predicate"]

BLOCK = 1 << 17
"""Rows worked on at once: few enough for the cache, enough to make the cost of the calls disappear."""

SPARSE = 16
"""When less than one row in so many is left, the remaining conditions look at those rows alone."""


class Predicate:
    """A condition on the rows of one table."""

    __slots__ = ("_mask", "_present", "always", "columns", "test", "timely")

    def __init__(
        self,
        columns: tuple[int, ...],
        mask: MaskFunction,
        test: TestFunction,
        always: bool | None,
        present: Present | None = None,
    ) -> None:
        self.columns = columns
        """The positions of the columns that it reads."""
        self.always = always
        """True or False when no row needs to be looked at; None otherwise."""
        self.test = test
        """Whether one row is kept, given its stored values. Costs a third of a microsecond for simple filters."""
        self._mask = mask
        self._present = present if present is not None else Present()
        self.timely = self._present.used
        """Whether it asks for the present."""

    @property
    def now_us(self) -> int:
        """The present, in microseconds since 1970 UTC: 0 until the owner sets it."""
        return self._present.now_us

    @now_us.setter
    def now_us(self, now_us: int) -> None:
        self._present.now_us = now_us

    def mask(self, read: Read, count: int | None = None) -> BoolArray:
        """Which of the candidate rows are kept, in a new array. O(rows x conditions).

        `count` is the number of candidate rows; without it the first column that is read tells.
        """
        if self.always is not None:
            rows = len(read(0)[0]) if count is None else count
            return np.full(rows, self.always)
        whole = _once(read)
        rows = len(whole(self.columns[0])[0]) if count is None else count
        if rows <= BLOCK:
            return self._mask(whole)
        result = np.empty(rows, np.bool_)
        for start in range(0, rows, BLOCK):
            stop = start + BLOCK
            result[start:stop] = self._mask(_slice(whole, start, stop))
        return result


def compile_predicate(
    filter: Filter | None, schema: TableSchema, columns: Sequence[Column], *, intern: bool, now_us: int = 0
) -> Predicate:
    """The predicate of a checked filter over a table's columns.

    With `intern`, texts that the filter names are added to their columns' dictionaries, so that the predicate stays
    right while rows come: for live sessions. Without, a text that no row has matches nothing: for one-shot queries.
    `now_us` is the present to begin with.
    """
    if filter is None or filter == AllOf(()):
        return Predicate((), _unused, lambda get: True, True)
    if filter == AnyOf(()):
        return Predicate((), _unused, lambda get: False, False)
    present = Present(now_us)
    term = _compile(filter, schema, columns, intern, present)
    return Predicate(tuple(sorted(term.columns)), term.mask, term.test, None, present)


def _unused(read: Read) -> BoolArray:
    raise AssertionError("a constant predicate looks at no row")


def _compile(node: Filter, schema: TableSchema, columns: Sequence[Column], intern: bool, present: Present) -> Term:
    if isinstance(node, Expression):
        return compile_condition(node.condition, schema, columns, present)
    if isinstance(node, (Compare, In, Like, Regex, NullTest)):
        at = schema.position(node.column)
        return compile_leaf(node, at, columns[at], intern=intern)
    if not isinstance(node, (AllOf, AnyOf)):
        raise TypeError(f"a {type(node).__name__} is no part of a normal form; check the filter first")
    terms = [_compile(each, schema, columns, intern, present) for each in node.filters]
    terms = [terms[place] for place in in_order(terms)]
    cost = sum(term.cost for term in terms)
    read = frozenset[int]().union(*(term.columns for term in terms))
    rank = max(Rank.BRANCHES, *(term.rank for term in terms))
    masks, tests = [term.mask for term in terms], [term.test for term in terms]
    if isinstance(node, AllOf):
        return Term(cost, read, _all_mask(masks), _all_test(tests), rank)
    return Term(cost, read, _any_mask(masks), _any_test(tests), rank)


def compile_term(part: Filter, schema: TableSchema, columns: Sequence[Column]) -> Term:
    """A part of a checked filter as it is tested, for telling what it costs."""
    return _compile(part, schema, columns, False, Present())


def _all_mask(masks: list[MaskFunction]) -> MaskFunction:
    first, rest = masks[0], tuple(masks[1:])

    def mask(read: Read) -> BoolArray:
        result = first(read)
        for index, other in enumerate(rest):
            left = int(np.count_nonzero(result))
            if not left:
                return result
            if left * SPARSE < len(result):
                _narrow(result, rest[index:], read)
                return result
            result &= other(read)
        return result

    return mask


def _narrow(result: BoolArray, masks: Sequence[MaskFunction], read: Read) -> None:
    """Keeps of the rows in `result` those that fulfil `masks`, reading only those rows."""
    rows = np.flatnonzero(result)
    few = _take(read, rows)
    kept = masks[0](few)
    for other in masks[1:]:
        kept &= other(few)
    result[rows] = kept


def _any_mask(masks: list[MaskFunction]) -> MaskFunction:
    first, rest = masks[0], tuple(masks[1:])

    def mask(read: Read) -> BoolArray:
        result = first(read)
        for other in rest:
            result |= other(read)
        return result

    return mask


def _all_test(tests: list[TestFunction]) -> TestFunction:
    if len(tests) == 2:
        first, second = tests
        return lambda get: first(get) and second(get)
    rest = tuple(tests)

    def test(get: Get) -> bool:
        for each in rest:  # noqa: SIM110 - a generator would cost more than the tests
            if not each(get):
                return False
        return True

    return test


def _any_test(tests: list[TestFunction]) -> TestFunction:
    if len(tests) == 2:
        first, second = tests
        return lambda get: first(get) or second(get)
    rest = tuple(tests)

    def test(get: Get) -> bool:
        for each in rest:  # noqa: SIM110 - as above
            if each(get):
                return True
        return False

    return test


def _once(read: Read) -> Read:
    """Reads each column at most once: reading may gather the candidate rows."""
    known: dict[int, tuple[AnyArray, BoolArray | None]] = {}

    def cached(at: int) -> tuple[AnyArray, BoolArray | None]:
        found = known.get(at)
        if found is None:
            found = known[at] = read(at)
        return found

    return cached


def _slice(read: Read, start: int, stop: int) -> Read:
    def part(at: int) -> tuple[AnyArray, BoolArray | None]:
        values, valid = read(at)
        return values[start:stop], None if valid is None else valid[start:stop]

    return part


def _take(read: Read, rows: IntArray) -> Read:
    def part(at: int) -> tuple[AnyArray, BoolArray | None]:
        values, valid = read(at)
        return values[rows], None if valid is None else valid[rows]

    return part
