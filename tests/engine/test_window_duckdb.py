"""Window columns agree with DuckDB, which was written by other people with other mistakes.

The values add up exactly in doubles, so that the order in which they are added makes no difference there either. After
a history of commits, what is maintained is compared with `function(...) OVER (PARTITION BY ... ORDER BY ... ROWS ...)`.
"""

from __future__ import annotations

import math
import random
from typing import Any

import duckdb
import pytest

from tests.engine.test_window_operator import World
from tests.engine.window_oracle import Ask, Order

VALUES: dict[str, tuple[Any, ...]] = {
    "part": ("x", "y", None),
    "size": (0.5, 0.25, -1.5, 1024.0, float("nan"), None),
    "count": (1, -2, 3, 2**40, None),
    "name": ("b", "a", "c", "aa", None),
    "flag": (True, False, None),
    "idle": (0, 1),
}
TYPES = {"part": "VARCHAR", "size": "DOUBLE", "count": "BIGINT", "name": "VARCHAR", "flag": "BOOLEAN", "idle": "BIGINT"}
COLUMNS = {
    "ROW_NUMBER": ("",),
    "RANK": ("",),
    "DENSE_RANK": ("",),
    "LAG": ("size", "count", "name", "flag"),
    "LEAD": ("size", "count", "name", "flag"),
    "SUM": ("size", "count"),
    "AVG": ("size", "count"),
    "COUNT": ("", "size", "name"),
    "MIN": ("size", "count", "name", "flag"),
    "MAX": ("size", "count", "name", "flag"),
}


def drawn(choose: random.Random, index: int) -> Ask:
    function = choose.choice(tuple(COLUMNS))
    aggregate = function in ("SUM", "AVG", "COUNT", "MIN", "MAX")
    ranked = function in ("RANK", "DENSE_RANK")
    keys = choose.sample(("size", "name", "count"), choose.choice((1, 2) if ranked else (0, 1, 2)))
    return Ask(
        f"w{index}",
        function,
        choose.choice(COLUMNS[function]),
        tuple(choose.sample(("part", "flag", "size"), choose.choice((0, 1, 1, 2)))),
        tuple(Order(key, choose.random() < 0.5, choose.random() < 0.5) for key in keys),
        choose.choice((1, 2, 5)) if function in ("LAG", "LEAD") else 1,
        choose.choice((None, 1, 2, 7)) if aggregate else None,
    )


def sql(ask: Ask) -> str:
    """The window column as SQL. Ranks are of equals, everything else of rows in a total order."""
    keys = [
        f'"{by.column}" {"DESC" if by.descending else "ASC"} NULLS {"FIRST" if by.nulls_first else "LAST"}'
        for by in ask.order_by
    ]
    if ask.function not in ("RANK", "DENSE_RANK"):
        keys.append("id" if keys else "place")
    by = f"PARTITION BY {', '.join(map(quoted, ask.partition_by))} " if ask.partition_by else ""
    frame, of = "", quoted(ask.column) if ask.column else ""
    if ask.function in ("LAG", "LEAD"):
        of = f"{of}, {ask.offset}"
    elif ask.function in ("SUM", "AVG", "COUNT", "MIN", "MAX"):
        of = of or "*"
        start = "UNBOUNDED" if ask.rows is None else ask.rows - 1
        frame = f" ROWS BETWEEN {start} PRECEDING AND CURRENT ROW"
    return f'{ask.function}({of}) OVER ({by}ORDER BY {", ".join(keys)}{frame}) AS "{ask.name}"'


def quoted(name: str) -> str:
    return f'"{name}"'


def alike(value: Any) -> Any:
    """A value as both sides write it: SUM of whole numbers is a HUGEINT there, and zero has a sign."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else value + 0.0
    return value


@pytest.mark.parametrize("seed", range(8))
def test_window_columns_agree_with_duckdb(seed: int) -> None:
    choose = random.Random(seed)
    asks = [drawn(choose, index) for index in range(10)]
    world = World()

    def row(key: int) -> dict[str, Any]:
        columns = choose.sample(tuple(VALUES), choose.randrange(1, 7))
        return {"id": key, **{name: choose.choice(VALUES[name]) for name in columns}}

    world.commit([row(key) for key in range(30)])
    checked = world.watch("all", *asks)
    for _ in range(10):
        world.commit([row(choose.randrange(45)) for _ in range(6)], (choose.randrange(45),))
    table = checked.operator.table
    mine = {row["id"]: row for row in table.batch(table.live_slots(), range(len(table.columns))).to_rows()}
    db = duckdb.connect(":memory:", config={"threads": 1})
    columns = ", ".join(f'"{name}" {kind}' for name, kind in TYPES.items())
    db.execute(f"CREATE TABLE t (place BIGINT, id BIGINT, {columns})")
    for place, each in enumerate(world.rows.values()):
        marks = ", ".join("?" * (2 + len(TYPES)))
        db.execute(f"INSERT INTO t VALUES ({marks})", [place, each["id"], *(each[name] for name in TYPES)])
    for ask in asks:
        theirs = db.execute(f"SELECT id, {sql(ask)} FROM t").fetchall()
        found = {key: alike(mine[key][ask.name]) for key in world.rows}
        assert found == {key: alike(value) for key, value in theirs}, ask
