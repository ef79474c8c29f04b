"""Lookups and joins: the operators under their contract, against nested loops over the rows."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import CommitLimits, Write, WriteKind
from tesseract_grpc.engine.data.delta import Delta, RowChange, Slots, Stored, row_change
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.transaction import Transaction
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.operators import join_index
from tesseract_grpc.engine.operators.filter import FilterOperator, routed_filter
from tesseract_grpc.engine.operators.join import JoinedColumn, JoinOperator
from tesseract_grpc.engine.operators.lookup import LookupOperator, LookupSpec, Taken
from tesseract_grpc.engine.operators.writing import BY_SLOT
from tesseract_grpc.engine.query.filter import Compare, CompareOp, Filter, check_filter
from tests.engine.deriver_world import CheckedDeriver, Domain, Row, play, rows_of, table

NAN = float("nan")
DOMAINS: dict[str, Domain] = {
    "left": {"id": range(8), "k": ("x", "y", "z", None), "f": (0.5, -1.0, NAN, None), "v": (1, 2, None)},
    "right": {"key": range(6), "k": ("z", "y", "x", "w", None), "f": (0.5, -1.0, NAN, None), "w": ("one", "two", None)},
}
ALL = frozenset(range(4))


def _tables(choose: random.Random) -> tuple[Table, Table]:
    limits = HistoryLimits(commits=choose.choice((1, 3, 50)))
    left = table("left", limits, id=DataType.INT64, k=DataType.STRING, f=DataType.FLOAT64, v=DataType.INT64)
    right = table("right", limits, key=DataType.INT64, k=DataType.STRING, f=DataType.FLOAT64, w=DataType.STRING)
    return left, right


def _above(choose: random.Random, table: Table) -> Filter | None:
    where = choose.choice((None, Compare("f", CompareOp.GREATER, 0.0)))
    return None if where is None else check_filter(where, table.schema)


def _kept(table: Table, where: Filter | None) -> list[Row]:
    """The rows that a filter keeps, in the order of insertion. NaN stands above every number."""
    slots = table.live_slots()
    rows = table.batch(slots[np.argsort(table.sequence[slots])], range(len(table.columns))).to_rows()
    return [r for r in rows if where is None or (isinstance(r["f"], float) and not r["f"] <= 0)]


def _equal(mine: Row, theirs: Row, on: tuple[tuple[str, str], ...]) -> bool:
    return all(
        mine[a] is not None and (mine[a] == theirs[b] or (mine[a] != mine[a] and theirs[b] != theirs[b])) for a, b in on
    )


def _positions(left: Table, right: Table, on: tuple[tuple[str, str], ...]) -> tuple[tuple[int, int], ...]:
    return tuple((left.schema.position(a), right.schema.position(b)) for a, b in on)


ONS: tuple[tuple[tuple[str, str], ...], ...] = ((("k", "k"),), (("v", "key"),), (("f", "f"), ("k", "k")), (("k", "w"),))


def _lookup(choose: random.Random, left: Table, right: Table) -> CheckedDeriver:
    """A random lookup operator with up to three lookups, one of them in the left table itself."""
    chosen = choose.sample(ONS, choose.randint(1, 3))
    wheres = [_above(choose, right) for _ in chosen]
    mine = choose.choice((None, _above(choose, left)))
    inner = [choose.random() < 0.4 for _ in chosen]
    itself = choose.random() < 0.3

    def make() -> LookupOperator:
        inputs = [routed_filter(left, mine, ALL)]
        specs: list[LookupSpec] = []
        for number, (on, where) in enumerate(zip(chosen, wheres, strict=True)):
            taken = (
                Taken(3, ColumnSchema(f"w{number}", DataType.STRING)),
                Taken(0, ColumnSchema(f"key{number}", DataType.INT64)),
            )
            specs.append(LookupSpec(_positions(left, right, on), taken, inner[number]))
            inputs.append(routed_filter(right, where, frozenset()))
        if itself:
            specs.append(LookupSpec(((3, 0),), (Taken(1, ColumnSchema("parent", DataType.STRING)),)))
            inputs.append(routed_filter(left, None, frozenset()))
        return LookupOperator("l", inputs, specs, 0, HistoryLimits(commits=3))

    def oracle() -> list[Row]:
        found: list[Row] = []
        for row in _kept(left, mine):
            result, there = dict(row), True
            for number, (on, where) in enumerate(zip(chosen, wheres, strict=True)):
                match = next((other for other in _kept(right, where) if _equal(row, other, on)), None)
                there &= match is not None or not inner[number]
                result |= {f"w{number}": match["w"] if match else None, f"key{number}": match["key"] if match else None}
            if itself:
                parent = next((other for other in _kept(left, None) if other["id"] == row["v"]), None)
                result["parent"] = parent["k"] if parent else None
            if there:
                found.append(result)
        return found

    return CheckedDeriver(make, oracle)


def _join(choose: random.Random, left: Table, right: Table) -> CheckedDeriver:
    """A random join of two tables, or of a table with itself."""
    right = choose.choice((right, right, left))
    on = (("k", "k"),) if right is left else choose.choice(ONS)
    if right is left and choose.random() < 0.5:
        on = (("v", "id"),)
    mine, theirs, outer = _above(choose, left), _above(choose, right), choose.random() < 0.5
    names = [column.name for column in right.schema.columns]

    def make() -> JoinOperator:
        columns = [JoinedColumn(0, p, column) for p, column in enumerate(left.schema.columns)]
        columns += [
            JoinedColumn(1, p, ColumnSchema(f"r_{column.name}", column.type, primary_key=p == 0))
            for p, column in enumerate(right.schema.columns)
        ]
        inputs = [routed_filter(left, mine, frozenset()), routed_filter(right, theirs, frozenset())]
        positions = _positions(left, right, on)
        return JoinOperator("j", inputs, positions, columns, 0, HistoryLimits(commits=3), outer=outer)

    def oracle() -> list[Row]:
        found: list[Row] = []
        for row in _kept(left, mine):
            matches = [other for other in _kept(right, theirs) if _equal(row, other, on)]
            if not matches and outer:
                matches = [dict.fromkeys(names)]
            found += [row | {f"r_{name}": other[name] for name in names} for other in matches]
        return found

    return CheckedDeriver(make, oracle)


@pytest.mark.parametrize(("seed", "least"), [(seed, 1024 * (seed % 2)) for seed in range(12)])
def test_lookups_and_joins_follow_every_commit(seed: int, least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join_index, "_LEAST", least)  # with 0, the pairs that came last are merged at every commit
    choose = random.Random(seed)
    tables = _tables(choose)
    derivers = [_lookup(choose, *tables) for _ in range(4)] + [_join(choose, *tables) for _ in range(4)]
    play(choose, tables, DOMAINS, derivers, 40)
    assert sum(deriver.alone for deriver in derivers) > 10


def _filters(*tables: Table) -> list[FilterOperator]:
    return [routed_filter(each, None, ALL) for each in tables]


def _one_lookup(left: Table, right: Table, on: tuple[int, int] = (3, 0)) -> LookupOperator:
    taken = (Taken(3, ColumnSchema("shown", DataType.STRING)),)
    operator = LookupOperator("l", _filters(left, right), [LookupSpec((on,), taken)], 0, HistoryLimits())
    operator.hydrate(0)
    return operator


def _filled(seed: int = 1) -> tuple[Table, Table]:
    choose = random.Random(seed)
    left, right = _tables(choose)
    play(choose, (left, right), DOMAINS, [], 40)
    return left, right


def _updated(relation: Table, slot: int, position: int, old: object) -> RowChange:
    mask, image = np.array([1 << position], np.uint64), np.array([old], relation.columns[position].values.dtype)
    delta = Delta(2, updated=np.array([slot], np.int32), changed=mask, before={position: (image, None)})
    change = row_change(delta)
    assert change is not None
    return change


def test_what_nobody_looks_at_ends_at_the_lookup() -> None:
    left, right = _filled()
    operator = _one_lookup(left, right)
    slot = int(right.live_slots()[0])
    change = _updated(right, slot, 2, 7.5)  # neither the key nor what is taken
    kind = operator.inputs[1].apply_one(change)
    assert kind is not None
    assert operator.apply_one(1, kind, change) is None
    assert not len(operator.apply([Delta(2), change.to_delta(right)], 2))


def test_a_left_change_that_concerns_no_key_is_handed_on_as_it_is() -> None:
    left, right = _filled()
    operator = _one_lookup(left, right)
    change = _updated(left, int(left.live_slots()[0]), 2, 7.5)
    kind = operator.inputs[0].apply_one(change)
    assert kind is not None
    assert operator.apply_one(0, kind, change) is change


def test_a_right_change_looks_at_the_left_rows_that_show_it_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = _filled()
    operator = _one_lookup(left, right)
    shown = rows_of(operator.table)
    asked: list[int] = []
    values = operator.lookups[0].values

    def counting(slots: Slots) -> list[Stored]:
        asked.append(len(slots))
        return values(slots)

    monkeypatch.setattr(operator.lookups[0], "values", counting)
    for slot in right.live_slots().tolist():
        key = right.columns[0].value(slot)
        asked.clear()
        operator.apply([Delta(2), _updated(right, slot, 3, 0).to_delta(right)], 2)
        assert sum(asked) == sum(row["v"] == key for row in shown)
    assert repr(rows_of(operator.table)) == repr(shown)


def test_numbers_of_keys_are_given_again_when_no_row_has_them() -> None:
    left, right = _tables(random.Random(5))
    columns = [JoinedColumn(0, p, column) for p, column in enumerate(left.schema.columns)]
    columns.append(JoinedColumn(1, 0, ColumnSchema("key", DataType.INT64, primary_key=True)))
    join = JoinOperator("j", _filters(left, right), ((3, 0),), columns, 0, HistoryLimits(commits=1), outer=True)
    join.hydrate(0)
    lookup = _one_lookup(left, right)
    for version in range(1, 100):
        deltas: list[Delta] = []
        values: tuple[Row, Row] = ({"id": version, "v": version}, {"key": version, "w": "a"})
        for each, row in zip((left, right), values, strict=True):
            transaction = Transaction(each, version, BY_SLOT, CommitLimits())
            transaction.erase(each.live_slots())
            transaction.apply(Write(each.name, WriteKind.INSERT, Batch.of_rows(each.schema.columns, [row])))
            deltas.append(transaction.finish())
        for operator in (join, lookup):
            operator.apply(deltas, version)
            operator.check()
            assert operator.table.row_count == 1
    assert join.index.keys.count <= 4
    assert lookup.lookups[0].index.keys.count <= 4


def test_rows_of_a_join_are_found_by_the_keys_of_both_sides() -> None:
    left, right = _filled()
    columns = [JoinedColumn(0, p, column) for p, column in enumerate(left.schema.columns)]
    columns.append(JoinedColumn(1, 0, ColumnSchema("key", DataType.INT64, primary_key=True)))
    join = JoinOperator("j", _filters(left, right), ((1, 1),), columns, 0, HistoryLimits(), outer=True)
    join.hydrate(0)
    held = {(row["id"], row["key"]) for row in rows_of(join.table)}
    wanted = [(id, key) for id in range(9) for key in (*range(7), None)]
    keys = Batch.of_rows(join.table.schema.columns, [{"id": id, "key": key} for id, key in wanted])
    slots = join.table.find(keys)
    assert [slot >= 0 for slot in slots.tolist()] == [pair in held for pair in wanted]
    found = join.table.batch(slots[slots >= 0], join.table.schema.key).to_rows()
    assert [(row["id"], row["key"]) for row in found] == [pair for pair in wanted if pair in held]
    assert any(key is None for _, key in held)
