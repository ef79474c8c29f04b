"""Groups with every aggregate under the contract of derivers: random histories, judged step by step against a naive
evaluation; and what DuckDB says of the same rows.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import CommitLimits, Write, WriteKind
from tesseract_grpc.engine.data.delta import Delta
from tesseract_grpc.engine.data.schema import DataType, TableSchema
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.transaction import Transaction
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.operators.aggregate import extreme
from tesseract_grpc.engine.operators.aggregate.contract import AggregateFunction
from tesseract_grpc.engine.operators.aggregate.extreme import Minimum
from tesseract_grpc.engine.operators.filter import routed_filter
from tesseract_grpc.engine.operators.group import GroupOperator, columns_read
from tesseract_grpc.engine.operators.select import TableSelector
from tesseract_grpc.engine.query.filter import Compare, CompareOp, Filter
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tests.engine.aggregate_oracle import Item, above_numbers, aggregate_rows
from tests.engine.deriver_world import CheckedDeriver, Domain, Row, play, rows_of
from tests.engine.deriver_world import table as table_of
from tests.engine.listed_oracle import array_of, joined
from tests.engine.small import small_thresholds

COLUMNS = {
    "id": DataType.INT64,
    "s": DataType.STRING,
    "f": DataType.FLOAT64,
    "i": DataType.INT64,
    "b": DataType.BOOL,
}
DOMAIN: Domain = {
    "id": range(10),
    "s": ("a", "b", "c", "aa", None),
    "f": (-1.0, 0.5, 2.5, 1e17, math.nan, None),
    "i": (-2, 0, 1, 3, None),
    "b": (True, False, None),
}
NUMBERS = ("sum", "avg", "var", "stddev", "median", "percentile", "weighted_avg")
OF_ANY = (
    "count_values",
    "distinct_count",
    "unique",
    "first",
    "last",
    "min",
    "max",
    "min_by",
    "max_by",
    "join",
    "array",
)
NOBODY: Filter | None = None
FILTERS: tuple[Filter | None, ...] = (NOBODY, NOBODY, Compare("i", CompareOp.GREATER_OR_EQUAL, 0))


def drawn(choose: random.Random, name: str) -> Aggregate:
    """An aggregate of any kind."""
    column = choose.choice(("s", "f", "i", "b"))
    functions = [
        *OF_ANY,
        *(NUMBERS if column in "fi" else ()),
        *(("count_if", "any", "every") if column == "b" else ()),
    ]
    function = choose.choice(functions)
    ordered = function in ("min_by", "max_by") or (
        function in ("first", "last", "join", "array") and choose.random() < 0.5
    )
    return Aggregate(
        name,
        function,
        column,
        percentile=choose.choice((0.0, 0.25, 0.9)) if function == "percentile" else 0.5,
        order_by=choose.choice(("s", "f", "i")) if ordered else "",
        weight=choose.choice(("f", "i")) if function == "weighted_avg" else "",
        limit=choose.choice((None, 2)) if function in ("join", "array") else None,
    )


def naive(table: Table, grouping: Grouping, where: Filter | None) -> list[Row]:
    """The groups in plain Python."""
    slots = table.live_slots()
    rows = table.batch(slots, range(len(table.columns))).to_rows()
    groups: dict[str, list[tuple[Row, int]]] = {}
    for row, place in zip(rows, table.sequence[slots].tolist(), strict=True):
        if where is None or (isinstance(row["i"], int) and row["i"] >= 0):
            groups.setdefault(repr([row[name] for name in grouping.by]), []).append((row, place))
    found: list[Row] = []
    for members in groups.values():
        group: Row = {name: members[0][0][name] for name in grouping.by} if grouping.by else {"group": True}
        for aggregate in grouping.aggregates:
            group[aggregate.name] = value(aggregate, members)
        found.append(group)
    return found


def value(aggregate: Aggregate, members: Sequence[tuple[Row, int]]) -> Any:
    """One aggregate of the rows of one group."""
    other = aggregate.order_by or aggregate.weight
    items = [Item(row[aggregate.column], row[other] if other else None, place) for row, place in members]
    found = aggregate_rows(AggregateFunction(aggregate.function), items, aggregate.percentile)
    if aggregate.function in ("join", "array") and found is not None:
        kind = COLUMNS[aggregate.column]
        return (joined if aggregate.function == "join" else array_of)(kind, found[: aggregate.limit])
    return found


def operator(table: Table, grouping: Grouping, where: Filter | None) -> GroupOperator:
    """The groups of a table."""
    reads = frozenset(table.schema.position(name) for name in columns_read(grouping))
    return GroupOperator("groups", routed_filter(table, where, reads), grouping, 0, HistoryLimits(commits=3, rows=6))


@pytest.mark.parametrize("small", [False, True], ids=["plain", "small"])
@pytest.mark.parametrize("seed", range(8))
def test_groups_keep_the_contract_of_derivers(seed: int, small: bool) -> None:
    def run() -> None:
        choose = random.Random(seed)
        limits = HistoryLimits(commits=choose.choice((1, 4)), rows=8)
        table = Table("t", _schema(), 0, limits)
        derivers = []
        for _ in range(6):
            by = tuple(choose.sample(("s", "f", "i", "b"), choose.choice((0, 1, 1, 2, 3))))
            grouping = Grouping(by, tuple(drawn(choose, f"a{index}") for index in range(5)))
            where = choose.choice(FILTERS)
            derivers.append(
                CheckedDeriver(
                    lambda grouping=grouping, where=where: operator(table, grouping, where),  # type: ignore[misc]
                    lambda grouping=grouping, where=where: naive(table, grouping, where),  # type: ignore[misc]
                )
            )
        play(choose, [table], {"t": DOMAIN}, derivers, 40)
        assert sum(deriver.alone for deriver in derivers) > 10

    if small:
        with small_thresholds():
            run()
    else:
        run()


def _schema() -> TableSchema:
    return table_of("t", HistoryLimits(), **COLUMNS).schema


# Numbers of groups


def test_numbers_of_groups_that_vanished_are_given_again() -> None:
    """A key of endless new values: what is held stays bounded, and every group has the values that it should have."""
    for column, values in (("i", range(10_000)), ("f", [float(each) for each in range(10_000)])):
        table = Table("t", _schema(), 0, HistoryLimits(commits=2, rows=8))
        grouping = Grouping(
            (column,), (Aggregate("n", "count"), Aggregate("m", "median", "i"), Aggregate("s", "last", "s"))
        )
        groups = operator(table, grouping, None)
        groups.hydrate(0)
        for version in range(1, 301):
            rows = [{"id": key, column: values[version * 4 + key], "s": "a"} for key in range(4)]
            delta = written(table, Write("t", WriteKind.UPSERT, Batch.of_rows(table.schema.columns, rows)), version)
            change = followed(groups, delta, version)
            groups.table.changelog.append(change)
            groups.table.changelog.forget(groups.table.changelog.trimmed_since())
            groups.table.release()
            groups.check()
            mine = {row[column] for row in rows_of(groups.table)}
            assert mine == {row[column] for row in rows}
        assert groups.keys.count <= 24, "numbers are not given again"
        assert groups.memory_bytes() < 100_000


def test_a_group_that_comes_back_before_it_is_forgotten_keeps_its_number() -> None:
    table = Table("t", _schema(), 0, HistoryLimits())
    groups = operator(table, Grouping(("s",), (Aggregate("n", "count"),)), None)
    groups.hydrate(0)

    def write(version: int, since: int, **values: Any) -> int:
        row = {"id": 1, **values}
        delta = written(table, Write("t", WriteKind.UPSERT, Batch.of_rows(table.schema.columns, [row])), version)
        groups.table.changelog.append(followed(groups, delta, version))
        groups.table.changelog.forget(since)
        groups.table.release()
        groups.check()
        found = groups.keys.numbers([(table.columns[1].values[:1], None)], 1, add=False)
        return int(found[0])

    first = write(1, 0, s="a")
    assert write(2, 0, s="b") != first  # a vanishes at 2
    assert write(3, 0, s="a") == first  # and is back
    assert write(4, 2, s="c") != first  # vanishes again at 4, and what happened at 2 is forgotten
    assert write(5, 2, s="d") != first  # so its number is not free yet
    assert write(6, 4, s="e") != first  # 4 is forgotten after this commit
    assert write(7, 4, s="f") in (first, 1)
    assert rows_of(groups.table) == [{"s": "f", "n": 1}]
    write(8, 4, s="a")  # a group like any other now, and not the one that has its number
    assert rows_of(groups.table) == [{"s": "a", "n": 1}]


def written(table: Table, write: Write, version: int) -> Delta:
    """What a write did."""
    transaction = Transaction(table, version, TableSelector(table, 0), CommitLimits())
    transaction.apply(write)
    delta = transaction.finish()
    table.changelog.append(delta)
    return delta


def followed(groups: GroupOperator, delta: Delta, version: int) -> Delta:
    """What groups make of a change. Only then is it forgotten: until that, removed rows can be read in their slots."""
    change = groups.apply([groups.filter.apply(delta)], version)
    groups.source.changelog.forget(version)
    groups.source.release()
    return change


def test_extremes_that_keep_leaving_are_found_without_looking_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows expire in the order of their times: the least one always leaves. Soon nobody looks at all rows any more."""
    looked: list[int] = []
    rebuild = Minimum.rebuild

    def counted(self: Minimum, *rows: Any) -> None:
        looked.append(version)
        rebuild(self, *rows)

    monkeypatch.setattr(Minimum, "rebuild", counted)
    monkeypatch.setattr(extreme, "CALL", 2)
    monkeypatch.setattr(extreme, "ROW", 1)
    table = Table("t", _schema(), 0, HistoryLimits(commits=2, rows=8))
    groups = operator(table, Grouping(("b",), (Aggregate("least", "min", "i"), Aggregate("name", "min", "s"))), None)
    version = 0
    groups.hydrate(version)
    for version in range(1, 120):
        oldest, fresh = max(0, version - 30) * 2, (version * 2, version * 2 + 1)
        rows: list[Row] = [{"id": k, "i": k, "s": f"{k:05}", "b": k % 4 < 2} for k in fresh]
        batch = Batch.of_rows(table.schema.columns, rows)
        followed(groups, written(table, Write("t", WriteKind.INSERT, batch), version), version)
        gone = Batch.of_rows(table.schema.columns, [{"id": oldest}, {"id": oldest + 1}])
        left = written(table, Write("t", WriteKind.DELETE, gone), version)
        if len(left):
            followed(groups, left, version)
        held = table.batch(table.live_slots(), range(5)).to_rows()
        for group in rows_of(groups.table):
            assert group["least"] == min(row["i"] for row in held if row["b"] == group["b"])  # type: ignore[type-var]
            assert group["name"] == min(row["s"] for row in held if row["b"] == group["b"])  # type: ignore[type-var]
    assert looked[0] >= 31 and looked[-1] < 80, "the rows were looked at again and again"


# DuckDB

SQL = {
    "count": "count(*)",
    "count_values": "count({x})",
    "count_if": "count(*) FILTER ({x})",
    "distinct_count": "count(DISTINCT {x})",
    "min": "min({x})",
    "max": "max({x})",
    "median": "quantile_cont({x}::DOUBLE, 0.5)",
    "percentile": "quantile_cont({x}::DOUBLE, 0.3)",
    "var": "var_samp({x})",
    "stddev": "stddev_samp({x})",
    "any": "bool_or({x})",
    "every": "bool_and({x})",
    "first": "first({x} ORDER BY {o} NULLS LAST, n) FILTER ({x} IS NOT NULL)",
    "last": "last({x} ORDER BY {o} NULLS LAST, n) FILTER ({x} IS NOT NULL)",
    "join": "string_agg({x}, ',' ORDER BY {o} NULLS LAST, n)",
    "min_by": "first({x} ORDER BY {o}, n) FILTER ({x} IS NOT NULL AND {o} IS NOT NULL)",
    "max_by": "first({x} ORDER BY {o} DESC, n) FILTER ({x} IS NOT NULL AND {o} IS NOT NULL)",
    "weighted_avg": "sum({x} * {o}) FILTER ({x} IS NOT NULL) / nullif(sum({o}) FILTER ({x} IS NOT NULL), 0)",
    "unique": "CASE WHEN count(DISTINCT {x}) = 1 THEN any_value({x}) END",
}
ASKED = (
    *(Aggregate(f"{f}_{x}", f, x) for f in ("count_values", "distinct_count", "min", "max", "unique") for x in "sfib"),
    *(Aggregate(f"{f}_{x}", f, x) for f in ("median", "var", "stddev") for x in "fi"),
    *(Aggregate(f"percentile_{x}", "percentile", x, percentile=0.3) for x in "fi"),
    *(Aggregate(f, f, "b") for f in ("count_if", "any", "every")),
    *(
        Aggregate(f"{f}_{x}_{o}", f, x, order_by=o)
        for f in ("first", "last", "min_by", "max_by")
        for x in "sfi"
        for o in "sfi"
    ),
    *(Aggregate(f"join_{o}", "join", "s", order_by=o) for o in "sfi"),
    *(Aggregate(f"weighted_{x}", "weighted_avg", x, weight="i") for x in "fi"),
    Aggregate("rows", "count"),
)
NICE: Domain = {**DOMAIN, "id": range(60), "f": (-1.0, 0.5, 2.5, 1024.0, math.nan, None)}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("by", [(), ("s",), ("i", "b")], ids=str)
def test_duckdb_says_the_same(seed: int, by: tuple[str, ...]) -> None:
    """After a history, maintained groups are those of SQL. The numbers add up exactly in doubles, too."""
    choose = random.Random(seed)
    table = Table("t", _schema(), 0, HistoryLimits())
    groups = operator(table, Grouping(by, ASKED), None)
    groups.hydrate(0)
    for version in range(1, 30):
        keys = choose.sample(range(60), 20)
        names = choose.sample("sfib", 2)
        rows = [{"id": key, **{name: choose.choice(NICE[name]) for name in names}} for key in keys]
        kind = WriteKind.UPSERT if choose.random() < 0.8 else WriteKind.DELETE
        batch = Batch.of_rows(table.schema.columns, rows if kind is WriteKind.UPSERT else [{"id": k} for k in keys])
        delta = written(table, Write("t", kind, batch, ignore_missing=True), version)
        if len(delta):
            groups.table.changelog.append(followed(groups, delta, version))
            groups.table.changelog.forget(version)
            groups.table.release()
    slots = table.live_slots()
    held = table.batch(slots, range(len(table.columns))).to_rows()
    database = duckdb.connect()
    database.execute("CREATE TABLE t (id BIGINT, s VARCHAR, f DOUBLE, i BIGINT, b BOOLEAN, n BIGINT)")
    inserted = [[*row.values(), place] for row, place in zip(held, table.sequence[slots].tolist(), strict=True)]
    database.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", inserted)
    asked = [SQL[each.function].format(x=each.column, o=each.order_by or each.weight or "n") for each in ASKED]
    keys_of = ", ".join(by)
    query = f"SELECT {', '.join([*by, *asked])} FROM t" + (f" GROUP BY {keys_of}" if by else "")
    theirs = {repr(row[: len(by)]): row[len(by) :] for row in database.execute(query).fetchall()}
    mine = rows_of(groups.table)
    assert len(mine) == len(theirs)
    for row in mine:
        found = theirs[repr(tuple(row[name] for name in by))]
        for aggregate, got, want in zip(ASKED, [row[each.name] for each in ASKED], found, strict=True):
            assert alike(got, want), (aggregate, got, want)


def alike(got: Any, want: Any) -> bool:
    """Equal, or as near as rounding more than once comes."""
    if isinstance(got, float) and isinstance(want, (float, int)):
        both_nan = math.isnan(got) and math.isnan(want)
        return both_nan or math.isclose(got, want, rel_tol=1e-12, abs_tol=1e-12)
    return bool(got == want)


def test_a_naive_order_is_that_of_the_engine() -> None:
    """The oracle's order of doubles, which this file relies on."""
    values = [math.nan, 1.0, -math.inf, math.inf, 0.0]
    assert repr(sorted(values, key=above_numbers)) == repr(np.sort(np.array(values)).tolist())
