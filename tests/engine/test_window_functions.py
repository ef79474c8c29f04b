"""Window columns case by case: what is refused, what overflows, exact sums, columns beyond the mask, work done."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import CommitLimits, Write, WriteKind
from tesseract_grpc.engine.data.delta import LAST_BIT, Delta, RemoveReason
from tesseract_grpc.engine.data.errors import EngineError, OutOfRange, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.transaction import Transaction
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.operators.filter import routed_filter
from tesseract_grpc.engine.operators.window import WindowOperator
from tesseract_grpc.engine.operators.window_schema import window_schema
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.window_column import WindowColumn, WindowFunction
from tests.engine.small import small_thresholds
from tests.engine.test_window_operator import SCHEMA, NoSelector, World
from tests.engine.window_oracle import Ask, Order

F = WindowFunction
JSON_SCHEMA = TableSchema((*SCHEMA.columns, ColumnSchema("doc", DataType.JSON)))


@pytest.mark.parametrize(
    ("column", "reason", "field"),
    [
        (WindowColumn("w", F.SUM), Reason.MALFORMED_REQUEST, "column"),
        (WindowColumn("w", F.LAG), Reason.MALFORMED_REQUEST, "column"),
        (WindowColumn("w", F.RANK, "size"), Reason.MALFORMED_REQUEST, "column"),
        (WindowColumn("w", F.SUM, "nothing"), Reason.UNKNOWN_COLUMN, "column"),
        (WindowColumn("w", F.SUM, "name"), Reason.WRONG_TYPE, "column"),
        (WindowColumn("w", F.AVG, "flag"), Reason.WRONG_TYPE, "column"),
        (WindowColumn("w", F.MAX, "doc"), Reason.WRONG_TYPE, "column"),
        (WindowColumn("size", F.ROW_NUMBER), Reason.DUPLICATE_COLUMN, "name"),
        (WindowColumn("first", F.ROW_NUMBER), Reason.DUPLICATE_COLUMN, "name"),
        (WindowColumn("", F.ROW_NUMBER), Reason.BAD_NAME, "name"),
        (WindowColumn("__w", F.ROW_NUMBER), Reason.BAD_NAME, "name"),
        (WindowColumn("w", F.ROW_NUMBER, "", ("part", "no")), Reason.UNKNOWN_COLUMN, "partition_by[1]"),
        (WindowColumn("w", F.ROW_NUMBER, "", ("doc",)), Reason.WRONG_TYPE, "partition_by[0]"),
        (WindowColumn("w", F.ROW_NUMBER, "", ("part", "part")), Reason.DUPLICATE_COLUMN, "partition_by[1]"),
        (WindowColumn("w", F.RANK, "", (), (SortKey("no"),)), Reason.UNKNOWN_COLUMN, "order_by[0].column"),
        (WindowColumn("w", F.RANK, "", (), (SortKey("id"), SortKey("doc"))), Reason.BAD_SORT, "order_by[1].column"),
        (WindowColumn("w", F.RANK, "", (), (SortKey("id"),) * 17), Reason.BAD_SORT, "order_by"),
        (WindowColumn("w", F.LAG, "size", offset=-1), Reason.MALFORMED_REQUEST, "offset"),
        (WindowColumn("w", F.LEAD, "size", offset=0), Reason.MALFORMED_REQUEST, "offset"),
        (WindowColumn("w", F.SUM, "size", offset=2), Reason.MALFORMED_REQUEST, "offset"),
        (WindowColumn("w", F.SUM, "size", rows=0), Reason.MALFORMED_REQUEST, "rows"),
        (WindowColumn("w", F.SUM, "size", rows=-3), Reason.MALFORMED_REQUEST, "rows"),
        (WindowColumn("w", F.LEAD, "size", rows=2), Reason.MALFORMED_REQUEST, "rows"),
        (WindowColumn("w", F.SUM, "first"), Reason.UNKNOWN_COLUMN, "column"),
    ],
)
def test_what_is_wrong_is_refused_with_its_field(column: WindowColumn, reason: Reason, field: str) -> None:
    with pytest.raises(EngineError) as caught:
        window_schema((WindowColumn("first", F.ROW_NUMBER), column), JSON_SCHEMA)
    assert caught.value.reason is reason
    assert caught.value.field == f"query.window_columns[1].{field}"


def test_results_have_the_types_of_their_functions() -> None:
    types = {
        WindowColumn("a", F.RANK): DataType.INT64,
        WindowColumn("b", F.COUNT): DataType.INT64,
        WindowColumn("c", F.COUNT, "doc"): DataType.INT64,
        WindowColumn("d", F.LAG, "doc"): DataType.JSON,
        WindowColumn("e", F.LEAD, "kind"): DataType.ENUM,
        WindowColumn("f", F.SUM, "count"): DataType.INT64,
        WindowColumn("g", F.SUM, "size"): DataType.FLOAT64,
        WindowColumn("h", F.AVG, "count"): DataType.FLOAT64,
        WindowColumn("i", F.MAX, "name"): DataType.STRING,
    }
    found = window_schema(tuple(types), JSON_SCHEMA)
    assert [column.type for column in found] == list(types.values())
    assert found[4].enum_values == JSON_SCHEMA.column("kind").enum_values
    assert all(column.nullable for column in found)


BIG = 2**63 - 1


def test_a_sum_that_leaves_int64_is_refused_and_comes_back_within_a_window() -> None:
    world = World()
    world.commit([{"id": 1, "count": BIG}, {"id": 2, "count": -1}, {"id": 3, "count": 1}, {"id": 4, "count": 0}])
    checked = world.watch("all", Ask("w", "SUM", "count"), Ask("v", "SUM", "count", rows=2), Ask("u", "AVG", "count"))
    world.commit([{"id": 4, "count": -BIG}])
    with pytest.raises(OutOfRange) as caught:
        world.commit([{"id": 2, "count": 1}])
    assert caught.value.reason is Reason.INT64_OVERFLOW
    assert caught.value.field == "count"
    assert "'w'" in caught.value.message and str(BIG + 1) in caught.value.message
    with pytest.raises(OutOfRange):
        checked.fresh().hydrate(0)


def test_sums_of_long_windows_are_exact() -> None:
    """Also where so many digits are added that they are added in halves."""
    choose = random.Random(5)
    values = (1e17, -1e17, 0.1, 1e300, -1e300, 5e-324, -7.25, None, 3.0)
    several = (Ask("a", "SUM", "size"), Ask("b", "AVG", "size"), Ask("c", "SUM", "size", rows=12))
    with small_thresholds():
        world = World()
        world.commit([{"id": number, "size": choose.choice(values)} for number in range(40)])
        world.watch("all", *several)
        for _ in range(20):
            world.commit([{"id": choose.randrange(40), "size": choose.choice(values)}])


def test_an_average_of_sums_that_are_too_large_is_a_double() -> None:
    world = World()
    world.commit([{"id": number, "size": 1.5e308} for number in range(3)])
    world.watch("all", Ask("a", "AVG", "size"), Ask("s", "SUM", "size"), Ask("m", "AVG", "size", rows=2))
    world.commit([{"id": 1, "size": -1.5e308}])


WIDE = TableSchema(
    (ColumnSchema("id", DataType.INT64, primary_key=True), *(ColumnSchema(f"c{n}", DataType.INT64) for n in range(70)))
)


class Plain:
    """A table and a window operator over it, without an oracle."""

    def __init__(self, schema: TableSchema, rows: list[dict[str, Any]], *columns: WindowColumn) -> None:
        self.schema = schema
        self.table = Table("t", schema, 0, HistoryLimits())
        self.version = 0
        self.write(WriteKind.INSERT, rows)
        source = routed_filter(self.table, None, frozenset(range(len(schema.columns))))
        self.operator = WindowOperator("w", source, columns, 0, HistoryLimits())
        self.operator.hydrate(0)

    def write(self, kind: WriteKind, rows: list[dict[str, Any]]) -> Delta:
        self.version += 1
        transaction = Transaction(self.table, self.version, NoSelector(), CommitLimits())
        transaction.apply(Write("t", kind, Batch.of_rows(self.schema.columns, rows)))
        return transaction.finish()

    def examined(self, kind: WriteKind, rows: list[dict[str, Any]]) -> int:
        """How many rows a commit makes the operator look at."""
        before = self.operator.examined
        self.operator.apply([self.operator.inputs[0].apply(self.write(kind, rows))], self.version)
        return self.operator.examined - before


def test_columns_beyond_the_mask_are_followed_and_told() -> None:
    rows = [{"id": number, "c68": 10 - number, "c69": number} for number in range(6)]
    order = (SortKey("c68"),)
    columns = WindowColumn("w", F.ROW_NUMBER, "", (), order), WindowColumn("v", F.SUM, "c69", (), order)
    plain = Plain(WIDE, rows, *columns)
    source = plain.operator.inputs[0]
    delta = plain.operator.apply([source.apply(plain.write(WriteKind.UPDATE, [{"id": 0, "c68": 0}]))], plain.version)
    assert sorted(delta.updated.tolist()) == [0, 1, 2, 3, 4, 5]
    assert (delta.changed == np.uint64(1 << LAST_BIT)).all()
    table = plain.operator.table
    assert table.columns[71].values[:6].tolist() == [1, 6, 5, 4, 3, 2]
    assert table.columns[72].values[:6].tolist() == [0, 15, 14, 12, 9, 5]
    assert {position: delta.before[position][0].tolist()[0] for position in (71, 72)} == {71: 6, 72: 15}


def test_the_old_values_of_rows_that_a_filter_lets_go_are_told() -> None:
    world = World()
    world.commit([{"id": number, "idle": 0, "count": number} for number in range(4)])
    checked = world.watch("some", Ask("w", "SUM", "count"))
    world.commit([{"id": 1, "idle": 1, "count": 50}])
    world.commit([{"id": 1, "count": 60}])
    world.commit([{"id": 1, "idle": 0}])
    net = checked.operator.table
    assert net.columns[-1].values[:4].tolist() == [0, 60, 62, 65]
    change = checked.operator.inputs[0].apply(
        Delta(9, removed=np.array([1], np.int32), reasons=np.array([RemoveReason.EXPIRED], np.uint8))
    )
    gone = checked.operator.apply([change], 9)
    assert gone.reasons.tolist() == [RemoveReason.EXPIRED]
    assert {position: image[0].tolist() for position, image in gone.removed_before.items()}[len(SCHEMA.columns)] == [60]


PARTS, EACH = 50, 40


def partitioned() -> list[dict[str, Any]]:
    return [
        {"id": number, "part": str(number % PARTS), "size": float(number), "count": number, "idle": 0}
        for number in range(PARTS * EACH)
    ]


BY, ORDER = ("part",), (SortKey("size"),)


@pytest.mark.parametrize(
    ("column", "write", "most"),
    [
        (WindowColumn("w", F.SUM, "count", BY, ORDER), {"idle": 7}, 0),
        (WindowColumn("w", F.SUM, "count", BY, ORDER), {"name": "a"}, 0),
        (WindowColumn("w", F.SUM, "count", BY, ORDER), {"count": 7}, EACH + 2),
        (WindowColumn("w", F.SUM, "count", BY, ORDER), {"size": -7.0}, EACH + 5),
        (WindowColumn("w", F.SUM, "count", BY, ORDER), {"part": "3"}, 2 * EACH + 8),
        (WindowColumn("w", F.SUM, "count", BY, ORDER, rows=3), {"count": 7}, 5),
        (WindowColumn("w", F.LAG, "count", BY, ORDER), {"count": 7}, 3),
        (WindowColumn("w", F.LEAD, "count", BY, ORDER, offset=2), {"count": 7}, 5),
        (WindowColumn("w", F.LAG, "count", (), ORDER), {"count": 7}, 3),
        (WindowColumn("w", F.ROW_NUMBER, "", BY, ORDER), {"count": 7}, 0),
        (WindowColumn("w", F.ROW_NUMBER, "", BY, ORDER), {"size": 5.5}, EACH),
        (WindowColumn("w", F.ROW_NUMBER, "", (), ORDER), {"size": 110.5}, 20),
        (WindowColumn("w", F.RANK, "", (), ORDER), {"size": 110.5}, 24),
        (WindowColumn("w", F.DENSE_RANK, "", (), ORDER), {"size": 110.5}, 24),
        (WindowColumn("w", F.MAX, "count", (), ORDER), {"count": 90}, 4),
        (WindowColumn("w", F.MIN, "count", (), ORDER), {"count": 7}, 4),
        (WindowColumn("w", F.SUM, "count", (), ORDER), {"size": 110.5}, 24),
        (WindowColumn("w", F.COUNT, "name", (), ORDER), {"size": 110.5}, 24),
        (WindowColumn("w", F.COUNT, "", (), ORDER, rows=30), {"size": 110.5}, 20),
    ],
    ids=str,
)
def test_only_the_rows_that_a_commit_can_concern_are_examined(
    column: WindowColumn, write: dict[str, Any], most: int
) -> None:
    plain = Plain(SCHEMA, partitioned(), column)
    examined = plain.examined(WriteKind.UPDATE, [{"id": 101, **write}])
    assert examined <= most
    assert examined > 0 or not most


def test_partitions_give_back_the_room_of_rows_that_left() -> None:
    world = World()
    world.commit([{"id": number, "part": "x"} for number in range(10)])
    with small_thresholds():
        checked = world.watch("all", Ask("w", "ROW_NUMBER", "", ("part",), (Order("id", descending=True),)))
        before = checked.operator.memory_bytes()
        for turn in range(40):
            world.commit([{"id": number, "part": "xyz"[(turn + number) % 3]} for number in range(10)])
        assert checked.operator.memory_bytes() < before + 2000
