"""The engine's thresholds made tiny, so that a world of eight rows takes the paths of millions.

Indexes merge after two writes, the router is built anew at once, searches give up after one tie, predicates work in
blocks of three rows, order labels run out after a few texts. Every name must exist: a threshold that is renamed fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

THRESHOLDS: dict[str, dict[str, int]] = {
    "data.changelog": {"_FEW_ROWS": 1},
    "data.dictionary": {"_STEP": 4},
    "data.index": {"_SMALLEST_OVERLAY": 2},
    "data.key_index": {"_SMALLEST": 8},
    "data.table": {"_SMALLEST": 4},
    "live.routing": {"_PATIENCE": 0, "_BLOCK": 4},
    "operators.aggregate.exact_sums": {"_MOST_ROWS": 8, "_FAR_MORE": 0},
    "operators.aggregate.extreme": {"CALL": 0, "ROW": 0, "PATIENCE": 0, "_FAR_MORE": 0, "_LATE": 3},
    "operators.aggregate.grouped": {"_MANY": 2},
    "operators.aggregate.middles": {"ROOM": 4},
    "operators.aggregate.percentile": {"MANY": 1, "TOO_MANY": 8, "CALL": 0, "ROW": 1},
    "operators.aggregate.state": {"BLOCK": 3},
    "operators.aggregate.value_counts": {"_PIECE": 3, "_SMALLEST": 8, "FEW": 1},
    "operators.aggregate.weighted": {"BLOCK": 3},
    "operators.order": {"_SEARCH_LIMIT": 1},
    "operators.predicate": {"BLOCK": 3, "SPARSE": 2},
    "operators.predicate_leaf": {"FEW": 1},
    "operators.tree_order_pages": {"_PAGE": 1, "_DEEP": 2},
    "operators.tree_order_shape": {"_FEW": 1, "_DEEP": 2},
    "operators.tree_order_siblings": {"_FEW": 1},
    "operators.window_extremes": {"FEW_HEADS": 1},
    "operators.window_partitions": {"FEW": 1, "NEAR": 3, "SLACK": 2},
    "query.combine": {"MERGED_VALUES": 3},
}


@contextmanager
def small_thresholds() -> Iterator[None]:
    """Tiny thresholds inside, the true ones again after it."""
    kept: list[tuple[ModuleType, str, int]] = []
    try:
        for name, values in THRESHOLDS.items():
            module = import_module(f"tesseract_grpc.engine.{name}")
            for constant, value in values.items():
                kept.append((module, constant, getattr(module, constant)))
                setattr(module, constant, value)
        yield
    finally:
        for module, constant, value in kept:
            setattr(module, constant, value)
