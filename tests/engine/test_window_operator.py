"""Window columns over random histories: the contract of operators, and the values that the oracle works out.

After every commit the delta is judged against a mirror (what it says was there was there, what it says changed did),
and the table is compared with the oracle row by row, down to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import CommitLimits, Write, WriteKind
from tesseract_grpc.engine.data.delta import LAST_BIT, ChangeKind, Delta, RowChange, Slots, row_change
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.transaction import Transaction
from tesseract_grpc.engine.data.vector import AnyArray, Batch, BoolArray
from tesseract_grpc.engine.operators.filter import routed_filter
from tesseract_grpc.engine.operators.window import WindowOperator
from tesseract_grpc.engine.query.filter import Compare, CompareOp, Filter, NullTest, check_filter
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.window_column import WindowColumn, WindowFunction
from tests.engine.small import small_thresholds
from tests.engine.window_oracle import Ask, Order, Row, Windows

Commit = tuple[list[Row], tuple[int, ...]]
NAN, INF = float("nan"), float("inf")
ENUM = ("low", "mid", "high")
SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("part", DataType.STRING),
        ColumnSchema("size", DataType.FLOAT64),
        ColumnSchema("count", DataType.INT64),
        ColumnSchema("name", DataType.STRING),
        ColumnSchema("kind", DataType.ENUM, enum_values=ENUM),
        ColumnSchema("flag", DataType.BOOL),
        ColumnSchema("idle", DataType.INT64),
    )
)
VALUES: dict[str, tuple[Any, ...]] = {
    "part": ("x", "y", "z", None),
    "size": (0.1, 0.2, -1.5, 1e17, 1e300, 5e-324, NAN, INF, -INF, None),
    "count": (1, -2, 3, 2**40, -(2**40), None),
    "name": ("b", "a", "c", "aa", "ab", "ba", None),
    "kind": (*ENUM, None),
    "flag": (True, False, None),
    "idle": (0, 1),
}
ENUMS = {"kind": {name: rank for rank, name in enumerate(ENUM)}}
FILTERS: dict[str, tuple[Filter | None, Callable[[Row], bool]]] = {
    "all": (None, lambda row: True),
    "some": (Compare("idle", CompareOp.EQUAL, 0), lambda row: row["idle"] == 0),
    "known": (NullTest("size", negated=True), lambda row: row["size"] is not None),
}


def column(ask: Ask) -> WindowColumn:
    order = tuple(SortKey(by.column, by.descending, by.nulls_first) for by in ask.order_by)
    function = WindowFunction[ask.function]
    return WindowColumn(ask.name, function, ask.column, ask.partition_by, order, ask.offset, ask.rows)


class CheckedWindow:
    """A window operator, with the contract asserted at every step."""

    def __init__(self, table: Table, where: str, asks: tuple[Ask, ...], *, single: bool = False) -> None:
        self.table = table
        self.where, self.keeps = FILTERS[where]
        self.asks = asks
        self.single = single  # whether commits of one row take the path for single rows
        self.operator = self.fresh()
        self.operator.hydrate(0)
        self.mirror = self.rows()

    def fresh(self) -> WindowOperator:
        where = None if self.where is None else check_filter(self.where, SCHEMA)
        source = routed_filter(self.table, where, frozenset(range(len(SCHEMA.columns))))
        return WindowOperator("w", source, tuple(map(column, self.asks)), 0, HistoryLimits())

    def rows(self) -> dict[int, list[str]]:
        """The rows by slot, as texts."""
        table = self.operator.table
        slots = table.live_slots()
        rows = table.batch(slots, range(len(table.columns))).to_rows()
        return {slot: list(map(repr, row.values())) for slot, row in zip(slots.tolist(), rows, strict=True)}

    def apply(self, delta: Delta) -> None:
        source = self.operator.inputs[0]
        arrays: list[AnyArray] = [delta.inserted, delta.removed, delta.updated, delta.changed]
        copies = [array.copy() for array in arrays]
        one = row_change(delta) if self.single else None
        if one is None:
            change = source.apply(delta)
            output = self.operator.apply([change], delta.version) if len(change) else Delta(delta.version)
        else:
            output = self.apply_one(one)
        for array, copy in zip(arrays, copies, strict=True):
            assert np.array_equal(array, copy), "the operator changed its input"
        self.judge(output)
        self.operator.table.check()
        self.operator.check()

    def apply_one(self, one: RowChange) -> Delta:
        kind = self.operator.inputs[0].apply_one(one)
        found = None if kind is None else self.operator.apply_one(0, kind, one)
        if isinstance(found, RowChange):
            assert found.kind is ChangeKind.UPDATED
            return found.to_delta(self.operator.table)
        return Delta(one.version) if found is None else found

    def judge(self, delta: Delta) -> None:
        """What the delta says is what happened to the mirror."""
        table, mirror, now = self.operator.table, self.mirror, self.rows()
        inserted, removed, updated = (set(s.tolist()) for s in (delta.inserted, delta.removed, delta.updated))
        assert len(inserted) + len(removed) + len(updated) == len(delta), "a slot stands twice in a delta"
        assert not (inserted & removed or inserted & updated or removed & updated)
        assert inserted == now.keys() - mirror.keys()
        assert removed == mirror.keys() - now.keys()
        differing = {slot for slot in now.keys() & mirror.keys() if now[slot] != mirror[slot]}
        assert differing <= updated, f"{differing - updated} changed, which is not told"
        assert len(delta.reasons) == len(delta.removed)
        for position, each in enumerate(table.columns):
            for slots, image in (
                (delta.removed, delta.old_removed(table, position)),
                (delta.updated, delta.old_updated(table, position)),
            ):
                told = each.vector(*image).to_list() if len(slots) else []
                for slot, old in zip(slots.tolist(), told, strict=True):
                    assert repr(old) == mirror[slot][position], f"the old {each.schema.name} of {slot}"
        own = range(len(SCHEMA.columns), len(table.columns))
        for slot, mask in zip(delta.updated.tolist(), delta.changed.tolist(), strict=True):
            for position in (p for p in own if p < LAST_BIT):
                changed = now[slot][position] != mirror[slot][position]
                assert bool(mask >> position & 1) == changed, f"column {position} of {slot}: {mask:b}"
        self.mirror = now

    def compare(self, rows: dict[int, Row]) -> None:
        """The law: what is maintained is what the oracle works out of the rows."""
        kept = [row for row in rows.values() if self.keeps(row)]
        windows = Windows(kept, ("id",), ENUMS)
        table = self.operator.table
        found: list[Row] = [dict(row) for row in table.batch(table.live_slots(), range(len(table.columns))).to_rows()]
        assert sorted(row["id"] for row in found) == sorted(row["id"] for row in kept)
        for ask in self.asks:
            true = windows.answer(ask)
            mine = {(row["id"],): row[ask.name] for row in found}
            assert {key: repr(mine[key]) for key in true} == {key: repr(value) for key, value in true.items()}, ask


class NoSelector:
    """The commits here name rows by key."""

    def rows(self, filter: object) -> Slots:
        raise AssertionError("no commit here has a filter")

    def matching(self, filter: object, slots: Slots) -> BoolArray:
        raise AssertionError("no commit here has a condition")


class World:
    """A table, the rows that it should hold, and window operators over it."""

    def __init__(self, history: HistoryLimits | None = None) -> None:
        self.table = Table("t", SCHEMA, 0, history or HistoryLimits(commits=3))
        self.rows: dict[int, Row] = {}
        self.version = 0
        self.checked: list[CheckedWindow] = []

    def watch(self, where: str, *asks: Ask, single: bool = False) -> CheckedWindow:
        checked = CheckedWindow(self.table, where, asks, single=single)
        self.checked.append(checked)
        return checked

    def commit(self, rows: list[Row], deletes: tuple[int, ...] = ()) -> None:
        """Upserts rows, of which each may name some columns, then deletes."""
        self.version += 1
        transaction = Transaction(self.table, self.version, NoSelector(), CommitLimits())
        for row in rows:
            kind = WriteKind.UPDATE if row["id"] in self.rows else WriteKind.INSERT
            transaction.apply(Write("t", kind, Batch.of_rows(SCHEMA.columns, [row])))
            empty = {each.name: None for each in SCHEMA.columns}
            self.rows.setdefault(row["id"], empty).update(row)
        for key in deletes:
            if self.rows.pop(key, None) is not None:
                transaction.apply(Write("t", WriteKind.DELETE, Batch.of_rows(SCHEMA.columns, [{"id": key}])))
        delta = transaction.finish()
        if not len(delta):
            return
        self.table.changelog.append(delta)
        for checked in self.checked:
            checked.apply(delta)
            checked.compare(self.rows)
        self.table.changelog.forget(self.table.changelog.trimmed_since())
        self.table.release()


def asks(index: int) -> st.SearchStrategy[Ask]:
    """One window column of any kind."""
    columns: dict[str, tuple[str, ...]] = {
        "ROW_NUMBER": ("",),
        "RANK": ("",),
        "DENSE_RANK": ("",),
        "LAG": tuple(VALUES),
        "LEAD": tuple(VALUES),
        "SUM": ("size", "count"),
        "AVG": ("size", "count"),
        "COUNT": ("", *VALUES),
        "MIN": tuple(VALUES),
        "MAX": tuple(VALUES),
    }
    order = st.builds(Order, st.sampled_from(("size", "name", "kind", "count", "part")), st.booleans(), st.booleans())

    def of(function: str) -> st.SearchStrategy[Ask]:
        aggregate = function in ("SUM", "AVG", "COUNT", "MIN", "MAX")
        return st.builds(
            Ask,
            st.just(f"w{index}"),
            st.just(function),
            st.sampled_from(columns[function]),
            st.sampled_from(((), ("part",), ("part", "flag"), ("size",), ("count", "kind"))),
            st.lists(order, max_size=2, unique_by=lambda by: by.column).map(tuple),
            st.sampled_from((1, 2, 3, 2**62)) if function in ("LAG", "LEAD") else st.just(1),
            st.sampled_from((None, 1, 2, 3, 2**62)) if aggregate else st.none(),
        )

    return st.sampled_from(tuple(columns)).flatmap(of)


KEYS = st.integers(0, 9)
CHANGES = st.fixed_dictionaries(
    {"id": KEYS}, optional={name: st.sampled_from(values) for name, values in VALUES.items()}
)
COMMITS = st.lists(
    st.tuples(st.lists(CHANGES, max_size=5), st.lists(KEYS, max_size=2).map(tuple)), min_size=2, max_size=12
)
SEVERAL = st.integers(3, 7).flatmap(lambda count: st.tuples(*(asks(index) for index in range(count))))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(SEVERAL, COMMITS, st.sampled_from(tuple(FILTERS)), st.booleans(), st.booleans())
def test_oracle_window_columns_follow_every_commit(
    several: tuple[Ask, ...],
    commits: list[Commit],
    where: str,
    single: bool,
    small: bool,
) -> None:
    """Maintained columns are those worked out anew, and every delta is what happened."""
    if small:
        with small_thresholds():
            follow(several, commits, where, single)
    else:
        follow(several, commits, where, single)


def follow(several: tuple[Ask, ...], commits: list[Commit], where: str, single: bool) -> None:
    world = World()
    world.commit(*commits[0])
    world.watch(where, *several, single=single)
    for rows, deletes in commits[1:]:
        world.commit(rows, deletes)
