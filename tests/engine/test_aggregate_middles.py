"""Medians of which only the middles are kept: while values come, go and drift, and when that no longer pays."""

from __future__ import annotations

import numpy as np
import pytest

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType
from tesseract_grpc.engine.operators.aggregate import percentile
from tesseract_grpc.engine.operators.aggregate.arrays import Int64Array
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped
from tesseract_grpc.engine.operators.aggregate.percentile import MANY, Percentile

GROUPS = 6


class Shares:
    """A state and the rows that it was told of."""

    def __init__(self, share: float, values: Int64Array, groups: Int64Array) -> None:
        self.state = Percentile(Column(ColumnSchema("v", DataType.INT64)), share)
        self.share, self.values, self.groups = share, values, groups
        self.rebuilt: list[int] = []
        self.state.reserve(GROUPS)
        self.state.enter(self.rows(np.arange(len(values))), [(values, None)])

    def rows(self, slots: Int64Array) -> Grouped:
        return Grouped(self.groups[slots], slots.astype(np.int32))

    def update(self, slots: Int64Array, values: Int64Array, groups: Int64Array | None = None) -> None:
        self.state.leave(self.rows(slots), [(self.values[slots], None)])
        self.values[slots] = values
        if groups is not None:
            self.groups[slots] = groups
        self.state.enter(self.rows(slots), [(values, None)])

    def compare(self) -> None:
        stale = self.state.stale()
        self.rebuilt.append(len(stale))
        if len(stale):
            slots = np.isin(self.groups, stale).nonzero()[0]
            self.state.rebuild(stale, self.rows(slots), [(self.values[slots], None)])
        there = np.unique(self.groups)
        found = self.state.result(there)[0]
        true = [np.quantile(self.values[self.groups == group], self.share) for group in there.tolist()]
        assert np.allclose(found, true, rtol=1e-12, atol=1e-12)
        every = np.arange(len(self.values))
        self.state.check(there, self.rows(every), [(self.values, None)])


def shares(share: float, rng: np.random.Generator, values: int) -> Shares:
    count = GROUPS * MANY
    return Shares(share, rng.integers(0, values, count), np.arange(count) % GROUPS)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("values", [3, 300, 1_000_000])
def test_oracle_values_come_and_go(share: float, values: int) -> None:
    rng = np.random.default_rng(values)
    held = shares(share, rng, values)
    for _ in range(60):
        slots = rng.choice(len(held.values), int(rng.choice((1, 7, 200))), replace=False)
        groups = rng.integers(0, GROUPS, len(slots)) if rng.random() < 0.3 else None
        held.update(slots, rng.integers(0, values, len(slots)), groups)
        held.compare()
    assert held.state._middles is not None, "middles are not what was tested"


def test_values_that_drift_away_are_put_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(percentile, "CALL", 0)
    monkeypatch.setattr(percentile, "ROW", 0)
    rng = np.random.default_rng(1)
    held = shares(0.5, rng, 1000)
    for step in range(120):
        slots = rng.choice(len(held.values), 400, replace=False)
        held.update(slots, rng.integers(0, 1000, 400) + 300 * step)
        held.compare()
    assert sum(held.rebuilt[:20]) > 0
    assert held.state._middles is None
    assert held.rebuilt[-1] == 0


def test_groups_that_become_many_and_small_are_put_in_order() -> None:
    rng = np.random.default_rng(2)
    held = shares(0.5, rng, 1000)
    held.compare()
    before = held.state.memory_bytes()
    held.state.reserve(100 * GROUPS)
    slots = np.arange(len(held.values) - 5)
    held.update(slots, held.values[slots] + 1, rng.integers(0, 100 * GROUPS, len(slots)))
    held.compare()
    assert held.state._middles is None
    assert held.state.memory_bytes() < 40 * before
    held.update(slots[:300], rng.integers(0, 1000, 300))
    held.compare()
