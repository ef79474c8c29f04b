"""Rows that leave by themselves: by age at ticks, by number in the commit that exceeds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
import pytest

from tesseract_grpc.engine.data.alteration import ChangeColumn, DropColumn, RenameColumn
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.delta import RemoveReason
from tesseract_grpc.engine.data.errors import EngineError, InvalidRequest, Reason
from tesseract_grpc.engine.data.retention import MemoryLimit, MemoryPolicy, Retention
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, IndexKind, IndexSchema, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.filter import Compare, CompareOp
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import Query

SECOND = 1_000_000
SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("at", DataType.TIMESTAMP),
        ColumnSchema("name", DataType.STRING),
        ColumnSchema("size", DataType.FLOAT64),
    )
)


def hub_with(retention: Retention | None, memory_limit: MemoryLimit | None = None) -> Hub:
    hub = Hub(epoch="e")
    hub.create_table("t", SCHEMA, retention=retention, memory_limit=memory_limit)
    return hub


def write(hub: Hub, rows: Sequence[Mapping[str, Scalar]], kind: WriteKind = WriteKind.UPSERT) -> Any:
    return hub.commit([Write("t", kind, Batch.of_rows(SCHEMA.columns, rows))])


def ids(hub: Hub) -> list[Scalar]:
    return [row["id"] for row in hub.query(Query("t")).rows.to_rows()]


def test_rows_leave_by_age_at_ticks() -> None:
    hub = hub_with(Retention(max_age_us=10 * SECOND, age_column="at"))
    assert hub.timely
    write(hub, [{"id": n, "at": n * SECOND} for n in range(5)] + [{"id": 9}])
    hub.tick(11 * SECOND)
    assert ids(hub) == [1, 2, 3, 4, 9], "a row exactly as old as max_age stays, and so does one without a time"
    hub.tick(13 * SECOND)
    assert ids(hub) == [3, 4, 9]
    write(hub, [{"id": 3, "at": 20 * SECOND}], WriteKind.UPDATE)
    hub.tick(30 * SECOND)
    assert ids(hub) == [3, 9]
    assert hub.counters.rows_expired == 4
    hub.check()


def test_who_comes_too_old_is_taken_and_leaves_at_the_next_tick() -> None:
    hub = hub_with(Retention(max_age_us=SECOND, age_column="at"))
    hub.tick(100 * SECOND)
    result = write(hub, [{"id": 1, "at": 0}])
    assert result.counts[0].inserted == 1 and ids(hub) == [1]
    hub.tick(100 * SECOND + 1)
    assert ids(hub) == []


def test_too_many_rows_leave_in_the_same_commit_and_watchers_are_told_expired() -> None:
    hub = hub_with(Retention(max_records=3))
    session = hub.open_session(Query("t"), "s")
    watch = session.watch()
    table = hub.watch_table("t")
    watch.snapshot()
    write(hub, [{"id": n} for n in range(3)])
    watch.take()
    table.take()
    before = hub.version
    write(hub, [{"id": 7}, {"id": 8}])
    assert hub.version == before + 1 and ids(hub) == [2, 7, 8]
    for reader in (watch, table):
        changes = reader.take()
        assert [(r.reason, r.keys.to_rows()) for r in changes.removes] == [
            (RemoveReason.EXPIRED, [{"id": 0}, {"id": 1}])
        ]
    hub.check()


def test_a_batch_larger_than_the_table_may_be() -> None:
    hub = hub_with(Retention(max_records=3))
    result = write(hub, [{"id": n} for n in range(10)])
    assert result.counts[0].inserted == 10
    assert ids(hub) == [7, 8, 9]
    hub.check()


def test_a_row_that_leaves_as_it_comes_changes_nothing() -> None:
    hub = hub_with(Retention(max_records=2, order_column="size"))
    write(hub, [{"id": 1, "size": 1.0}, {"id": 2, "size": 2.0}])
    before = hub.version
    result = write(hub, [{"id": 3, "size": 0.5}], WriteKind.INSERT)
    assert result.version == hub.version == before and ids(hub) == [1, 2]
    hub.check()


def test_nulls_leave_first_and_ties_as_they_came() -> None:
    hub = hub_with(Retention(max_records=4, order_column="name"))
    write(hub, [{"id": 1, "name": "b"}, {"id": 2}, {"id": 3, "name": "a"}, {"id": 4, "name": "a"}])
    write(hub, [{"id": 5, "name": "c"}])
    assert ids(hub) == [1, 3, 4, 5]
    write(hub, [{"id": 6, "name": "c"}])
    assert ids(hub) == [1, 4, 5, 6]
    write(hub, [{"id": 5, "name": "0"}], WriteKind.UPDATE)
    write(hub, [{"id": 7, "name": "c"}])
    assert ids(hub) == [1, 4, 6, 7]
    hub.check()


def test_with_an_interval_rows_leave_when_its_multiples_pass() -> None:
    hub = hub_with(Retention(max_records=2, max_age_us=SECOND, age_column="at", interval_us=10 * SECOND))
    hub.tick(SECOND)
    write(hub, [{"id": n, "at": n * SECOND} for n in range(4)])
    hub.tick(9 * SECOND)
    assert ids(hub) == [0, 1, 2, 3]
    hub.tick(10 * SECOND)
    assert ids(hub) == []
    write(hub, [{"id": n, "at": 30 * SECOND} for n in range(4)])
    hub.tick(19 * SECOND)
    assert ids(hub) == [0, 1, 2, 3]
    hub.tick(25 * SECOND)
    assert ids(hub) == [2, 3]


def test_setting_it_later_takes_one_version_with_the_rows_that_leave() -> None:
    hub = hub_with(None)
    write(hub, [{"id": n} for n in range(5)])
    watch = hub.watch_table("t")
    before = hub.version
    hub.set_retention("t", Retention(max_records=2), validate_only=True)
    assert (hub.version, len(ids(hub))) == (before, 5)
    hub.set_retention("t", Retention(max_records=2))
    assert (hub.version, ids(hub)) == (before + 1, [3, 4])
    assert [r.reason for r in watch.take().removes] == [RemoveReason.EXPIRED]
    hub.set_retention("t", None)
    write(hub, [{"id": n} for n in range(5)])
    assert len(ids(hub)) == 5 and not hub.timely
    hub.check()


def test_eviction_takes_those_that_leave_first_and_frees_their_room() -> None:
    hub = hub_with(Retention(order_column="size"), MemoryLimit(1 << 30, MemoryPolicy.EVICT))
    write(hub, [{"id": n, "size": float(-n)} for n in range(10)])
    hub.evict("t", 4)
    assert ids(hub) == [0, 1, 2, 3, 4, 5]
    water = hub.table("t").high_water
    write(hub, [{"id": n + 100, "size": 0.0} for n in range(4)])
    assert hub.table("t").high_water == water, "the room of rows that were evicted is used again at once"
    hub.check()


@pytest.mark.parametrize(
    ("retention", "reason", "field"),
    [
        (Retention(max_age_us=1, age_column="gone"), Reason.UNKNOWN_COLUMN, "retention.age_column"),
        (Retention(max_age_us=1, age_column="size"), Reason.WRONG_TYPE, "retention.age_column"),
        (Retention(max_age_us=1), Reason.MALFORMED_REQUEST, "retention.age_column"),
        (Retention(max_age_us=-1, age_column="at"), Reason.MALFORMED_REQUEST, "retention.max_age"),
        (Retention(max_records=-1), Reason.MALFORMED_REQUEST, "retention.max_records"),
        (Retention(max_records=1, order_column="gone"), Reason.UNKNOWN_COLUMN, "retention.order_column"),
        (Retention(interval_us=1), Reason.MALFORMED_REQUEST, "retention.interval"),
    ],
)
def test_what_cannot_be_kept_to_is_refused(retention: Retention, reason: Reason, field: str) -> None:
    hub = Hub(epoch="e")
    with pytest.raises(InvalidRequest) as refused:
        hub.create_table("t", SCHEMA, retention=retention)
    assert (refused.value.reason, refused.value.field) == (reason, field)
    hub.create_table("t", SCHEMA)
    with pytest.raises(InvalidRequest) as refused:
        hub.set_retention("t", retention)
    assert refused.value.field == field and hub.table("t").retention is None


def test_a_refused_commit_loses_no_row_of_an_index_or_queue() -> None:
    """A write that asked an index after a delete of the same commit made it forget the deleted rows for good."""
    hub = Hub(epoch="e")
    hub.create_table("t", SCHEMA, [IndexSchema("size", IndexKind.SORTED)], retention=Retention(max_records=9_999))
    write(hub, [{"id": n, "size": float(n)} for n in range(2_000)])
    keys = Batch.of_rows(SCHEMA.columns, [{"id": n} for n in range(1_500)])
    few = Compare("size", CompareOp.EQUAL, 1_999.0)
    with pytest.raises(EngineError):
        hub.commit(
            [
                Write("t", WriteKind.DELETE, keys),
                Write("t", WriteKind.DELETE, filter=few),
                Write("t", WriteKind.INSERT, Batch.of_rows(SCHEMA.columns, [{"id": 1_999}, {"id": 1_999}])),
            ]
        )
    hub.check()
    assert len(hub.query(Query("t", filter=Compare("size", CompareOp.EQUAL, 7.0))).rows) == 1


def test_a_row_is_not_taken_for_the_one_whose_slot_it_has() -> None:
    hub = hub_with(Retention(max_records=2_000, order_column="size"))
    write(hub, [{"id": n, "size": 1.0} for n in range(2_000)])  # so many that they stand in order at once
    write(hub, [{"id": 0}], WriteKind.DELETE)
    hub.forget_history("t")
    write(hub, [{"id": 5_000, "size": 1.0}])  # in the slot of 0, with its value
    assert hub.table("t").high_water == 2_000
    write(hub, [{"id": 5_001, "size": 1.0}])
    assert ids(hub) == [*range(2, 2_000), 5_000, 5_001]
    hub.check()


def test_what_is_derived_of_expired_rows_leaves_with_them() -> None:
    hub = hub_with(Retention(max_records=2))
    hub.create_derived_table("named", Query("t", filter=Compare("name", CompareOp.NOT_EQUAL, "z")))
    groups = hub.open_session(Query("t", group=Grouping(("name",), (Aggregate("rows", "count"),))), "groups").watch()
    below = hub.open_session(Query("named"), "below").watch()
    write(hub, [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])
    groups.snapshot()
    below.snapshot()
    write(hub, [{"id": 3, "name": "b"}])
    told = groups.take()
    assert [(r.reason, r.keys.to_rows()) for r in told.removes] == [(RemoveReason.DELETED, [{"name": "a"}])]
    told = below.take()
    assert [(r.reason, r.keys.to_rows()) for r in told.removes] == [(RemoveReason.EXPIRED, [{"id": 1}])]
    assert [row["id"] for row in hub.query(Query("named")).rows.to_rows()] == [2, 3]
    hub.check()


def test_alterations_follow_the_columns_of_a_retention_or_are_refused() -> None:
    hub = hub_with(Retention(max_age_us=SECOND, age_column="at", max_records=3, order_column="size"))
    for alteration in (
        DropColumn("at"),
        DropColumn("size"),
        ChangeColumn("at", ColumnSchema("at", DataType.INT64), frozenset({"type"}), "1"),
        ChangeColumn("size", ColumnSchema("size", DataType.JSON), frozenset({"type"})),
    ):
        with pytest.raises(EngineError):
            hub.alter_table("t", [alteration])
    hub.alter_table("t", [RenameColumn("at", "since"), RenameColumn("size", "weight"), DropColumn("name")])
    retention = hub.table("t").retention
    assert retention is not None and (retention.age_column, retention.order_column) == ("since", "weight")
    schema = hub.table("t").schema
    rows = [{"id": n, "since": n * SECOND, "weight": float(-n)} for n in range(5)]
    hub.commit([Write("t", WriteKind.INSERT, Batch.of_rows(schema.columns, rows))])
    assert ids(hub) == [0, 1, 2]
    hub.tick(2 * SECOND + 1)
    assert ids(hub) == [2]
    hub.check()


def test_exchanged_tables_keep_theirs() -> None:
    hub = hub_with(Retention(max_records=1))
    hub.create_table("u", SCHEMA)
    hub.swap_tables("t", "u")
    write(hub, [{"id": 1}, {"id": 2}])
    assert ids(hub) == [1, 2]
    hub.commit([Write("u", WriteKind.INSERT, Batch.of_rows(SCHEMA.columns, [{"id": 1}, {"id": 2}]))])
    assert hub.table("u").row_count == 1
    hub.rename_table("u", "v")
    assert hub.table("v").retention == Retention(max_records=1)
    hub.check()


def test_a_tick_takes_rows_of_several_tables_in_one_version() -> None:
    hub = hub_with(Retention(max_age_us=SECOND, age_column="at"))
    hub.create_table("u", SCHEMA, retention=Retention(max_age_us=2 * SECOND, age_column="at"))
    for table in ("t", "u"):
        hub.commit([Write(table, WriteKind.INSERT, Batch.of_rows(SCHEMA.columns, [{"id": 1, "at": 0}]))])
    before = hub.version
    result = hub.tick(3 * SECOND)
    assert hub.version == before + 1 and {table.name for table in result.tables} == {"t", "u"}
    assert hub.table("t").row_count == hub.table("u").row_count == 0


class Naive:
    """The same table as a list of dicts: the oracle."""

    def __init__(self, retention: Retention) -> None:
        self.retention, self.rows, self.now = retention, dict[int, dict[str, Any]](), 0
        self.came = 0

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            old = self.rows.get(row["id"])
            if old is None:
                self.came += 1
                old = self.rows[row["id"]] = {"at": None, "name": None, "size": None, "came": self.came}
            old.update(row)
        if not self.retention.interval_us:
            self.cut()

    def cut(self) -> None:
        most, by = self.retention.max_records, self.retention.order_column or self.retention.age_column
        if not most:
            return

        def turn(row: dict[str, Any]) -> tuple[Any, ...]:
            if not by:
                return (row["came"],)
            return (0, row["came"]) if row[by] is None else (1, row[by], row["came"])

        for row in sorted(self.rows.values(), key=turn)[: max(0, len(self.rows) - most)]:
            del self.rows[row["id"]]

    def tick(self, now: int) -> None:
        every = self.retention.interval_us
        if every and self.now // every == now // every:
            self.now = now
            return
        self.now = now
        if self.retention.max_age_us:
            for row in list(self.rows.values()):
                if row["at"] is not None and now - row["at"] > self.retention.max_age_us:
                    del self.rows[row["id"]]
        if every:
            self.cut()


@pytest.mark.parametrize("seed", range(40))
def test_oracle_of_any_history(seed: int) -> None:
    rng = Random(seed)
    retention = Retention(
        max_age_us=rng.choice([0, 5, 20]),
        age_column="at",
        max_records=rng.choice([0, 1, 4, 30]),
        order_column=rng.choice(["", "at", "name", "size", "id"]),
        interval_us=rng.choice([0, 0, 7]),
    )
    if retention.interval_us and not (retention.max_age_us or retention.max_records):
        retention = Retention(max_records=3)
    hub, naive = hub_with(retention), Naive(retention)
    now = 1
    for step in range(120):
        what = rng.random()
        if what < 0.6:
            rows = [
                {
                    "id": key,
                    "at": rng.choice([None, now, now - rng.randrange(30)]),
                    "name": rng.choice([None, "a", "b", str(step)]),
                    "size": rng.choice([None, 0.0, rng.random(), -1.0]),
                }
                for key in rng.sample(range(40), rng.choice([1, 1, 2, 6, 35]))
            ]
            write(hub, rows)
            naive.write(rows)
        elif what < 0.7 and naive.rows:
            key = rng.choice(list(naive.rows))
            edits: list[dict[str, Scalar]] = [{"at": now}, {"size": rng.random()}, {"name": "z"}, {"at": None}]
            edit = {"id": key, **rng.choice(edits)}
            write(hub, [edit], WriteKind.UPDATE)
            naive.write([edit])
        elif what < 0.8 and naive.rows:
            key = rng.choice(list(naive.rows))
            write(hub, [{"id": key}], WriteKind.DELETE)
            del naive.rows[key]
        else:
            now += rng.randrange(1, 9)
            hub.tick(now)
            naive.tick(now)
        assert ids(hub) == [row["id"] for row in sorted(naive.rows.values(), key=lambda row: row["came"])], step
        if step % 10 == 0:
            hub.check()
    hub.check()


def test_work_of_a_tick_follows_the_rows_that_leave() -> None:
    hub = hub_with(Retention(max_age_us=1_000_000, age_column="at", max_records=10_000_000))
    rng = np.random.default_rng(1)
    total, batch = 200_000, 2_000
    for start in range(0, total, batch):
        at = rng.integers(start, start + 3 * batch, batch)
        rows = [{"id": start + n, "at": int(at[n])} for n in range(batch)]
        write(hub, rows, WriteKind.INSERT)
    expiry = hub.table("t").expiry
    assert expiry is not None
    for now in range(1_000_000, 1_020_000, 500):
        before, gone = expiry.examined, hub.counters.rows_expired
        hub.tick(now)
        left = hub.counters.rows_expired - gone
        assert expiry.examined - before <= left + 40, "a tick looks at what leaves, and not at what stays"
    assert hub.counters.rows_expired > 10_000
    assert 0 < expiry.memory_bytes() < 30 * total
    hub.check()


def test_work_of_a_ring_follows_what_comes() -> None:
    hub = hub_with(Retention(max_records=50_000))
    write(hub, [{"id": n} for n in range(50_000)])
    expiry = hub.table("t").expiry
    assert expiry is not None
    before = expiry.examined
    for n in range(300):
        write(hub, [{"id": 100_000 + n}], WriteKind.INSERT)
    assert expiry.examined - before <= 300 * 40
    assert ids(hub)[0] == 300
    hub.check()
