"""Which results a commit can touch.

Every result demands something of one column of its rows: a value out of a few, a value within bounds, or nothing that
can be indexed. A predicate index a table keeps these demands the other way round: from values to results. A commit
looks up the old and the new values of the rows that it changed, and offers each result only the rows that may concern
it. So the cost of a commit follows the matches and not the number of sessions: ten thousand results that do not match
cost it one lookup a row and column.

* Equality: the demanded values of a column, sorted, with the results of each in one array (compressed sparse rows). A
  batch is looked up by binary search, a single row in a dict.
* Ranges: bounds as order words, compared with the row's word for all results at once.
* Everything else is offered every row.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import ChangeKind, Delta, HasColumns, RowChange, Stored, stored_at
from tesseract_grpc.engine.data.order import MAX_WORD, order_word, order_words
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.schema import Scalar
from tesseract_grpc.engine.data.vector import AnyArray
from tesseract_grpc.engine.operators.routing_keys import EqualKey, RangeKey, RoutingKey

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.node import Node
    from tesseract_grpc.engine.live.result import Result

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Followers (by number) and rows, pair by pair."""
_NO_PAIRS: Pairs = (np.empty(0, np.int64), np.empty(0, np.int64))
_PATIENCE = 64  # what building an index costs besides its size, in followers looked at
ReadOld = Callable[[HasColumns, int], Stored]
_BLOCK = 1 << 20  # comparisons at once: the temporary of a block of ranges stays at a megabyte


class Follower(Protocol):
    """Who follows a relation: a result, or an input of a node that derives another."""

    fingerprint: Hashable
    route: RoutingKey | None  # what it demands of its rows, if commits can be looked up by that
    left: bool  # whether it is no longer maintained

    @property
    def node(self) -> Node | None:
        """The node that it is an input of."""

    @property
    def timely(self) -> bool:
        """Whether it must hear of time."""

    def tick(self, version: int) -> Sequence[Result]:
        """The hub's clock has advanced; returns the results that changed."""

    def apply(self, delta: Delta, routed: bool) -> Sequence[Result]:
        """Follows a commit; returns the results that changed."""

    def apply_one(self, change: RowChange, routed: bool) -> Sequence[Result]:
        """The same for a commit of one row."""


class _EqualIndex:
    """From the stored values of one column to the results that demand them."""

    def __init__(self, column: Column, demands: Iterable[tuple[int, EqualKey]]) -> None:
        by_value: dict[Scalar, list[int]] = {}
        for number, key in demands:
            for value in key.values:
                by_value.setdefault(value, []).append(number)
        self.by_value: Mapping[Scalar, list[int]] = by_value
        self._values = np.array(sorted(by_value, key=_as_number), column.values.dtype)
        lists = [by_value[value] for value in self._values.tolist()]
        self._starts = np.concatenate(([0], np.cumsum([len(numbers) for numbers in lists]))).astype(np.int64)
        self._numbers = np.array([number for numbers in lists for number in numbers], np.int64)

    def pairs(self, stored: Stored) -> Pairs:
        """The results that each row's value may concern."""
        values, valid = stored
        if not len(self._values) or not len(values):
            return _NO_PAIRS
        at = np.searchsorted(self._values, values)
        at[at == len(self._values)] = 0
        known = self._values[at] == values
        if valid is not None:
            known &= valid
        rows = np.flatnonzero(known)
        at = at[rows]
        starts, counts = self._starts[at], self._starts[at + 1] - self._starts[at]
        # Expand (start, count) to start, start + 1, .. of every row in one array.
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        offsets = np.arange(total) - np.repeat(ends - counts, counts)
        return self._numbers[np.repeat(starts, counts) + offsets], np.repeat(rows, counts)


def _as_number(value: Scalar) -> float | int:
    assert value is not None and not isinstance(value, str)
    return value


class _RangeIndex:
    """Bounds on one column, as order words, both included."""

    def __init__(self, column: Column, demands: Iterable[tuple[int, RangeKey]]) -> None:
        self._column = column
        pairs = list(demands)
        self._numbers = np.array([number for number, _ in pairs], np.int64)
        bounds = [_range_words(column, key) for _, key in pairs]
        self._low = np.array([low for low, _ in bounds], np.uint64)
        self._high = np.array([high for _, high in bounds], np.uint64)

    def pairs(self, stored: Stored) -> Pairs:
        """The results within whose bounds each row's value lies."""
        values, valid = stored
        rows = np.arange(len(values)) if valid is None else np.flatnonzero(valid)
        words = order_words(self._column, values[rows])
        found: list[Pairs] = []
        stride = max(1, _BLOCK // max(1, len(self._numbers)))
        for start in range(0, len(words), stride):
            piece = words[start : start + stride, None]
            row, result = np.nonzero((self._low <= piece) & (piece <= self._high))
            found.append((self._numbers[result], rows[start + row]))
        return _concatenate(found)

    def of_one(self, value: Scalar) -> list[int]:
        """The results within whose bounds one stored value lies."""
        if value is None:
            return []
        word = np.uint64(order_word(self._column, value))
        numbers: list[int] = self._numbers[(self._low <= word) & (word <= self._high)].tolist()
        return numbers


def _range_words(column: Column, key: RangeKey) -> tuple[int, int]:
    low = 0 if key.low is None else order_word(column, key.low) + (not key.low_inclusive)
    high = MAX_WORD if key.high is None else order_word(column, key.high) - (not key.high_inclusive)
    return min(low, MAX_WORD), max(high, 0)


def _concatenate(pairs: list[Pairs]) -> Pairs:
    if not pairs:
        return _NO_PAIRS
    return np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])


class Router:
    """The predicate index of one table."""

    def __init__(self, table: Relation) -> None:
        self.table = table
        self.followers: dict[Hashable, Follower] = {}
        self._numbered: list[Follower] = []
        self._fresh: dict[Hashable, Follower] = {}  # joined since the index was built; offered everything until then
        self._left = 0  # results that left since the index was built
        self._paid = 0  # what commits have paid since for the index being out of date, in followers looked at
        self._everything: list[Follower] = []
        self._equal: dict[int, _EqualIndex] = {}
        self._range: dict[int, _RangeIndex] = {}

    def add(self, follower: Follower) -> None:
        """A follower joins. O(1) amortised: the index is built anew when enough has changed."""
        self.followers[follower.fingerprint] = self._fresh[follower.fingerprint] = follower

    def remove(self, follower: Follower) -> None:
        """A follower leaves; what the index still says of it is passed over. O(1) amortised."""
        del self.followers[follower.fingerprint]
        follower.left = True
        if self._fresh.pop(follower.fingerprint, None) is None:
            self._left += 1

    def rename(self, follower: Follower, fingerprint: Hashable) -> None:
        """A follower has another fingerprint from here on. O(1)."""
        for known in (self.followers, self._fresh):
            if known.get(follower.fingerprint) is follower:
                del known[follower.fingerprint]
                known[fingerprint] = follower
        follower.fingerprint = fingerprint

    def rebuild(self) -> None:
        """The columns of the table are others. O(followers)."""
        self._build()

    def _settle(self) -> None:
        """Builds the index anew when its being out of date has cost about as much as building it.

        Every commit pays for each follower that joined or left since, so joining often and waiting long are both cheap.
        """
        if self._fresh or self._left:
            self._paid += len(self._fresh) + self._left
            if self._paid > _PATIENCE + len(self.followers):
                self._build()

    def _build(self) -> None:
        self._numbered = list(self.followers.values())
        self._everything = []
        self._fresh = {}
        self._left = self._paid = 0
        equal: dict[int, list[tuple[int, EqualKey]]] = {}
        ranges: dict[int, list[tuple[int, RangeKey]]] = {}
        for number, result in enumerate(self._numbered):
            key = result.route
            if isinstance(key, EqualKey):
                equal.setdefault(key.column, []).append((number, key))
            elif isinstance(key, RangeKey):
                ranges.setdefault(key.column, []).append((number, key))
            else:
                self._everything.append(result)
        columns = self.table.columns
        self._equal = {position: _EqualIndex(columns[position], demands) for position, demands in equal.items()}
        self._range = {position: _RangeIndex(columns[position], demands) for position, demands in ranges.items()}

    def nodes(self) -> list[Node]:
        """The nodes among the followers."""
        found = [follower.node for follower in self.followers.values() if follower.node is not None]
        return list(dict.fromkeys(found))

    def unrouted(self) -> list[Follower]:
        """The results that every commit is offered to, whole."""
        results = list(self._fresh.values()) if self._fresh else []
        results.extend(result for result in self._everything if not result.left)
        return results

    def route(self, delta: Delta) -> Iterator[tuple[Follower, Delta, bool]]:
        """The results that a commit may touch, each with the rows that may concern it, and whether these are chosen by
        the routing key of the result. O(rows log values + matches).
        """
        self._settle()
        for result in self.unrouted():
            yield result, delta, False
        if not self._equal and not self._range:
            return
        inserted = self._matches(delta.inserted, None)
        removed = self._matches(delta.removed, delta.old_removed)
        updated = self._matches(delta.updated, None)
        written = [position for position in (*self._equal, *self._range) if position in delta.before]
        if written:
            old = self._matches(delta.updated, delta.old_updated, written)
            updated = _distinct(_concatenate([updated, old]), len(delta.updated))
        groups = [_Groups(pairs) for pairs in (inserted, removed, updated)]
        for number in np.unique(np.concatenate([group.numbers for group in groups])).tolist():
            if not self._numbered[number].left:
                yield self._numbered[number], delta.take(*[group.rows(number) for group in groups]), True

    def _matches(self, slots: AnyArray, read: ReadOld | None, positions: Iterable[int] | None = None) -> Pairs:
        """The results that rows may concern, by their present values, or by the old ones that `read` gives."""
        if not len(slots):
            return _NO_PAIRS
        table = self.table
        found: list[Pairs] = []
        indexes: list[tuple[int, _EqualIndex | _RangeIndex]] = [*self._equal.items(), *self._range.items()]
        for position, index in indexes:
            if positions is None or position in positions:
                stored = stored_at(table.columns[position], slots) if read is None else read(table, position)
                found.append(index.pairs(stored))
        return _concatenate(found)

    def route_one(self, change: RowChange) -> list[Follower]:
        """The results whose routing key the change of one row satisfies. O(columns + matches).

        Call it before `unrouted`, which has the others that the change may touch.
        """
        self._settle()
        numbers: list[int] = []
        columns, slot, before = self.table.columns, change.slot, change.before
        updated = change.kind is ChangeKind.UPDATED
        for position, equal in self._equal.items():
            now = columns[position].stored(slot)
            hit = equal.by_value.get(now) if now is not None else None
            if hit:
                numbers.extend(hit)
            if updated and position in before:
                was = before[position]
                hit = equal.by_value.get(was) if was is not None else None
                if hit:
                    numbers.extend(hit)
        for position, bounds in self._range.items():
            numbers.extend(bounds.of_one(columns[position].stored(slot)))
            if updated and position in before:
                numbers.extend(bounds.of_one(before[position]))
        numbered = self._numbered
        if len(numbers) > 1:
            numbers = list(dict.fromkeys(numbers))
        results = [numbered[number] for number in numbers]
        return [result for result in results if not result.left] if self._left else results

    def check(self) -> None:
        """Proves that every result is reachable."""
        known = {id(result) for result in (*self._numbered, *self._fresh.values()) if not result.left}
        assert known == set(map(id, self.followers.values())), "a result cannot be reached by commits, or has left"


class _Groups:
    """Rows by result."""

    def __init__(self, pairs: Pairs) -> None:
        numbers, rows = pairs
        order = np.argsort(numbers, kind="stable")
        self._rows = rows[order]
        self.numbers, self._starts = np.unique(numbers[order], return_index=True)
        self._ends = np.append(self._starts[1:], len(order))
        self._where = {number: index for index, number in enumerate(self.numbers.tolist())}

    def rows(self, number: int) -> NDArray[np.int64]:
        index = self._where.get(number)
        if index is None:
            return self._rows[:0]
        return self._rows[self._starts[index] : self._ends[index]]


def _distinct(pairs: Pairs, rows: int) -> Pairs:
    """Each pair once: a row may have matched by its old and by its new value."""
    both = np.unique(pairs[0] * max(1, rows) + pairs[1])
    return both // max(1, rows), both % max(1, rows)
