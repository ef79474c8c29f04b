"""DuckDB says the same, wherever SQL can say it: logic with nulls, arithmetic that fits, comparisons, texts, times."""

from __future__ import annotations

import itertools
import math
from typing import Any

import duckdb
import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.operators.evaluate import compile_expression
from tesseract_grpc.engine.query.expression.check import check_expression
from tests.engine.expression_world import SCHEMA

LIST = "from_json(items, '[\"BIGINT\"]')"
NOON = 1_709_208_000_000_000


def there(sql: str) -> str:
    """The expression where there are items; SQL's functions of lists do not tell an empty list from none."""
    return f"case when items is not null then {sql} end"


# What we say, and what SQL says: the same text where None.
PAIRS: dict[str, str | None] = {
    "i + j * 2 - 1": None,
    "(i + j) * 2": None,
    "i - j - 1": None,
    "i % 3": None,
    "-i": None,
    "i / 2": "i::double / 2",
    "f * 2.0 + g": None,
    "f < g": None,
    "f <= g": None,
    "f == g": "f = g",
    "f != g": "f <> g",
    "i < f": "i::double < f",
    "i >= j": None,
    "s < row['odd name']": 's < "odd name"',
    "s == row['odd name']": 's = "odd name"',
    "b && c": "b and c",
    "b || c": "b or c",
    "!b || c": "not b or c",
    "!(b && c) == c": "(not (b and c)) = c",
    "i ?? j": "coalesce(i, j)",
    "b ? i : j": "case when b then i else j end",
    "i in [1, 2, null]": "i in (1, 2, null)",
    "i notin [1, 2]": "i not in (1, 2)",
    "i between j and 3": None,
    "i == null": "i is null",
    "s != null": "s is not null",
    "Math.abs(i)": "abs(i)",
    "Math.floor(f)": "floor(f)",
    "Math.ceil(f)": "ceil(f)",
    "Math.sqrt(f)": "case when f < 0 then 'nan'::double else sqrt(f) end",
    "Math.max(i, j)": "case when i is null or j is null then null else greatest(i, j) end",
    "s.length": "length(s)",
    "s.toUpperCase()": "upper(s)",
    "s + '-' + i": "s || '-' || i",
    "s.startsWith('a')": "starts_with(s, 'a')",
    "s.includes('b')": "contains(s, 'b')",
    "s.replaceAll('a', 'xy')": "replace(s, 'a', 'xy')",
    "s.indexOf('b')": "strpos(s, 'b') - 1",
    "s ~ 'A'": "s ilike '%A%'",
    "s like 'a%'": "s ilike 'a%'",
    "s ~ /^a.?$/": "regexp_matches(s, '^a.?$')",
    "t.getFullYear()": "year(t)",
    "t.getMonth()": "month(t) - 1",
    "t.getDate()": "day(t)",
    "t.getDay()": "dayofweek(t)",
    "t.getHours()": "hour(t)",
    "t.getTime()": "floor(epoch_us(t) / 1000)",
    "t > '2023-06-01'": "t > timestamp '2023-06-01'",
    "bucket(t, '1h')": "epoch_us(date_trunc('hour', t))",
    "bucket(t, '1w')": "epoch_us(date_trunc('week', t))",
    "t + 90m": "epoch_us(t + interval 90 minute)",
    "t > now() - 1d": "t > timestamp '2024-02-29 12:00:00' - interval 1 day",
    "Date.now() - t.getTime()": "1709208000000 - floor(epoch_us(t) / 1000)",
    "d.a + 1": "(d->'a')::double + 1",
    "d.a > i": "(d->'a')::double > i",
    "d.b.c": "d->'b'->'c'",
    "d.s ~ 'A'": "(d->>'s') ilike '%A%'",
    "d.s == 'Ab'": "(d->>'s') = 'Ab'",
    "d.s + '!'": "(d->>'s') || '!'",
    "d.b == null": "(d->'b') is null",
    "d.a ?? i * 1.0": "coalesce((d->'a')::double, i)",
    "items.length": "json_array_length(items)",
    "items[1] * 2": "(items->1)::double * 2",
    "items.filter(x => x > 1).length": f"len(list_filter({LIST}, lambda x: x > 1))",
    "items.filter(x => x > i).length": there(f"coalesce(len(list_filter({LIST}, lambda x: x > i)), 0)"),
    "items.some(x => x == i)": there(f"coalesce(list_contains({LIST}, i), false)"),
    "items.includes(i)": f"list_contains({LIST}, i)",
    "items.indexOf(2)": there(f"coalesce(list_position({LIST}, 2), 0) - 1"),
    "items.map(x => x * 2).join('-')": there(
        f"coalesce(array_to_string(list_transform({LIST}, lambda x: x * 2), '-'), '')"
    ),
    "items.reduce((a, b) => a + b, 0) > 3": there(f"coalesce(list_sum({LIST}), 0) > 3"),
    "items.reduce((a, b) => Math.max(a, b)) * 1": f"list_max({LIST})",
    "items.slice(1).length": f"len(({LIST})[2:])",
    "items.map((x, n) => x * n).reduce((a, b) => a + b, 0) * 1": there(
        f"coalesce(list_sum(list_transform({LIST}, lambda x, n: x * (n - 1))), 0)"
    ),
    "s.split('b').length": "len(string_split(s, 'b'))",
    "s.split('a').map(x => x.toUpperCase()).join('+')": (
        "array_to_string(list_transform(string_split(s, 'a'), lambda x: upper(x)), '+')"
    ),
}

VALUES: dict[str, list[Any]] = {
    "i": [None, 0, 1, -5, 2**40],
    "j": [None, 0, 3, -2],
    "f": [None, 0.0, 2.5, -1.5, math.nan, math.inf],
    "g": [None, 2.5, math.nan, -math.inf],
    "s": [None, "", "a", "ab", "bA"],
    "odd name": [None, "a", "b"],
    "b": [None, True, False],
    "c": [None, True, False],
    "t": [None, 0, 1_709_210_096_123_456, 1_672_531_200_000_000, -1],
    "d": [None, '{"a": 1, "s": "Ab"}', '{"a": 2.5, "b": {"c": "x"}}', "{}", '{"s": "xa"}'],
    "items": [None, "[]", "[1, 2, 3]", "[5]", "[2, 2]", "[1, -5, 0]"],
}


@pytest.fixture(scope="module")
def hub() -> Hub:
    made = Hub("test", epoch="test")
    made.create_table("t", SCHEMA)
    rows: list[dict[str, Any]] = []
    for names in (
        ("i", "j", "b"),
        ("f", "g", "i"),
        ("s", "odd name", "i"),
        ("b", "c", "j"),
        ("t", "b"),
        ("d", "i"),
        ("items", "i"),
    ):
        for values in itertools.product(*(VALUES[name] for name in names)):
            rows.append({"id": len(rows), **dict(zip(names, values, strict=True))})
    made.commit([Write("t", WriteKind.INSERT, Batch.of_rows(SCHEMA.columns, rows))])
    return made


@pytest.fixture(scope="module")
def sql(hub: Hub) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    types = 'id bigint, i bigint, j bigint, f double, g double, s text, "odd name" text, b bool, c bool, d json'
    types += ", items json, t timestamp"
    connection.execute(f"create table t ({types})")
    columns = [column.strip('" ').rsplit(" ", 1)[0].strip('"') for column in types.split(",")]
    table = hub.table("t")
    lists = [table.columns[SCHEMA.position(name)].read(slice(0, table.row_count)).to_list() for name in columns]
    marks = ", ".join(["?"] * (len(columns) - 1))
    connection.executemany(f"insert into t values ({marks}, make_timestamp(?))", list(zip(*lists, strict=True)))
    return connection


@pytest.mark.parametrize("text", PAIRS)
def test_differential_sql(text: str, hub: Hub, sql: duckdb.DuckDBPyConnection) -> None:
    table = hub.table("t")
    columns = list(table.columns)

    def read(at: int) -> tuple[Any, Any]:
        vector = columns[at].read(slice(0, table.row_count))
        return vector.values, vector.valid

    root = check_expression(text, SCHEMA).root
    ours = compile_expression(root, SCHEMA, columns).evaluate(read, table.row_count, NOON)
    theirs = [row[0] for row in sql.execute(f"select {PAIRS[text] or text} from t order by id").fetchall()]
    assert len(theirs) == table.row_count > 100
    for one, other in zip(ours.to_list(), theirs, strict=True):
        assert one == other or (one != one and other != other), (text, one, other)
