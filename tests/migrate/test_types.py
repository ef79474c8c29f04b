"""Every type of every database becomes what the table in docs/MIGRATING.md says, with values at the edges."""

import re
import sqlite3
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc.client import EventHorizon, MigrationFailed
from tesseract_grpc.client.migrate.errors import MigrationReason
from tesseract_grpc.client.migrate.options import MigrationOptions
from tesseract_grpc.client.migrate.types import RULES
from tests.migrate.conftest import Source

PAGE = (Path(__file__).parents[2] / "docs" / "MIGRATING.md").read_text().partition("\n## From a database\n")[2]
PAGE = PAGE.partition("\n## ")[0]
DAY = datetime(2024, 2, 29, tzinfo=UTC)
NOON = datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC)
BIG = 2**63 - 1

# The type in the database, a value as SQL, the type in the hub, the value there.
Case = tuple[str, str, str, Any]

POSTGRES: tuple[Case, ...] = (
    ("boolean", "true", "bool", True),
    ("bit(3)", "B'101'", "string", "101"),
    ("smallint", "-32768", "int64", -32768),
    ("integer", "7", "int64", 7),
    ("bigint", str(BIG), "int64", BIG),
    ("oid", "12", "int64", 12),
    ("real", "1.5", "float64", 1.5),
    ("double precision", "'Infinity'", "float64", float("inf")),
    ("numeric(18)", "999999999999999999", "int64", 10**18 - 1),
    ("numeric(15, 3)", "123456789012.345", "float64", 123456789012.345),
    ("timestamptz", "'2024-02-29 14:00:00.123456+02'", "timestamp", NOON),
    ("timestamp", "'2024-02-29 12:00:00.123456'", "timestamp", NOON),
    ("timestamp", "'0001-01-01 00:00:00'", "timestamp", datetime(1, 1, 1, tzinfo=UTC)),
    ("date", "'2024-02-29'", "timestamp", DAY),
    ("time", "'07:30'", "string", "07:30:00"),
    ("mood", "'good'", "enum", "good"),
    ("positive", "5", "int64", 5),
    ("json", """'{"b": 1.0, "a": [null]}'""", "json", {"b": 1.0, "a": [None]}),
    ("jsonb", "'null'", "json", None),
    ("integer[]", "ARRAY[1, NULL, 3]", "json", [1, None, 3]),
    ("text[]", "ARRAY['a', 'b,\"c']", "json", ["a", 'b,"c']),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "string", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("inet", "'10.0.0.1/8'", "string", "10.0.0.1/8"),
    ("char(4)", "'ab'", "string", "ab  "),
    ("varchar(9)", "'ä€😀'", "string", "ä€😀"),
    ("text", "''", "string", ""),
)
MARIADB: tuple[Case, ...] = (
    ("tinyint(1)", "1", "bool", True),
    ("boolean", "0", "bool", False),
    ("bit(1)", "b'1'", "bool", True),
    ("bit(9)", "b'100000001'", "int64", 257),
    ("tinyint", "-128", "int64", -128),
    ("int unsigned", "4294967295", "int64", 2**32 - 1),
    ("bigint unsigned", str(BIG), "int64", BIG),
    ("year", "2024", "int64", 2024),
    ("float", "1.5", "float64", 1.5),
    ("double", "-0.0", "float64", 0.0),
    ("decimal(18)", "-999999999999999999", "int64", 1 - 10**18),
    ("decimal(15,2)", "0.07", "float64", 0.07),
    ("timestamp(6) null", "'2024-02-29 12:00:00.123456'", "timestamp", NOON),
    ("datetime(6)", "'2024-02-29 12:00:00.123456'", "timestamp", NOON),
    ("date", "'2024-02-29'", "timestamp", DAY),
    ("time", "'-101:00:01'", "string", "-101:00:01"),
    ("enum('a', 'b')", "'b'", "enum", "b"),
    ("json", """'{"a": [1, 2]}'""", "json", {"a": [1, 2]}),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "string", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("set('x', 'y')", "'x,y'", "string", "x,y"),
    ("varchar(9)", "'ä€😀'", "string", "ä€😀"),
    ("longtext", "''", "string", ""),
)
SQLITE: tuple[Case, ...] = (
    ("BOOLEAN", "1", "bool", True),
    ("INTEGER", str(-BIG - 1), "int64", -BIG - 1),
    ("REAL", "0.1", "float64", 0.1),
    ("NUMERIC(10, 2)", "1.25", "float64", 1.25),
    ("DATETIME", "'2024-02-29 12:00:00.123456'", "timestamp", NOON),
    ("DATETIME", "'2024-02-29T14:00:00.123456+02:00'", "timestamp", NOON),
    ("DATE", "'2024-02-29'", "timestamp", DAY),
    ("TEXT", "'ä€😀'", "string", "ä€😀"),
    ("JSON", """'{"a": 1}'""", "json", {"a": 1}),
    ("", "7", "int64", 7),
    ("", "'x'", "string", "x"),
)
CASES = {"postgresql": POSTGRES, "mysql": MARIADB, "sqlite": SQLITE}

# What is refused: the type, a value, the option that helps, and what the value is then.
REFUSED: dict[str, tuple[tuple[str, str, MigrationOptions, Any], ...]] = {
    "postgresql": (
        ("numeric", "0.1234567890123456789", {"decimals": "string"}, "0.1234567890123456789"),
        ("numeric(16, 2)", "1.25", {"decimals": "float"}, 1.25),
        ("bytea", "'\\x00ff'", {"binary": "base64"}, "AP8="),
        ("bytea", "'\\x00ff'", {"types": {"c0": "string"}}, "AP8="),
        ("interval", "'1 day 02:00'", {"types": {"c0": "string"}}, "1 day 02:00:00"),
        ("point", "'(1,2)'", {"types": {"c0": "string"}}, "(1,2)"),
        ("int4range", "'[1,5)'", {"types": {"c0": "string"}}, "[1,5)"),
    ),
    "mysql": (
        ("decimal(30, 10)", "1.5", {"decimals": "string"}, "1.5000000000"),
        ("varbinary(4)", "x'00ff'", {"binary": "base64"}, "AP8="),
        ("inet6", "'::1'", {"types": {"c0": "string"}}, "::1"),
        ("bigint unsigned", str(2**64 - 1), {"types": {"c0": "string"}}, str(2**64 - 1)),
        ("datetime", "'0000-00-00 00:00:00'", {"zero_dates": "null"}, None),
        ("date", "'0000-00-00'", {"zero_dates": "null"}, None),
    ),
    "sqlite": (
        ("DECIMAL", "1.5", {"decimals": "float"}, 1.5),
        ("BLOB", "x'00ff'", {"binary": "base64"}, "AP8="),
    ),
}


def prepare(source: Source) -> None:
    if source.kind == "postgresql":
        source.run(
            "DROP DOMAIN IF EXISTS positive CASCADE",
            "DROP TYPE IF EXISTS mood CASCADE",
            "CREATE TYPE mood AS ENUM ('bad', 'good')",
            "CREATE DOMAIN positive AS integer CHECK (value > 0)",
        )


def make(source: Source, name: str, cases: Any) -> None:
    """A table with one column a case, one row with the values and one with nulls."""
    columns = ", ".join(f"c{at} {case[0]}" for at, case in enumerate(cases))
    source.run(
        f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, {columns})",
        f"INSERT INTO {name} VALUES (1, {', '.join(case[1] for case in cases)})",
        f"INSERT INTO {name} (id) VALUES (2)",
    )


def test_every_type_comes_over(source: Source, name: str, hub: EventHorizon) -> None:
    prepare(source)
    cases = CASES[source.kind]
    make(source, name, cases)
    assert hub.migrate_from(source.url, name).verified
    table = hub.get_tesseract(name)
    types = {column["name"]: column["type"] for column in table.columns}
    full, empty = sorted(table.get_data(), key=lambda row: row["id"])
    for at, (sql, value, type, awaited) in enumerate(cases):
        assert types[f"c{at}"] == type, sql
        assert full[f"c{at}"] == awaited, (sql, value)
        if sql != "timestamp(6) null":
            assert empty[f"c{at}"] is None, sql


def test_a_query_finds_the_same_types(source: Source, name: str, hub: EventHorizon) -> None:
    prepare(source)
    without = ("bit(9)", "tinyint(1)", "boolean", "BOOLEAN", "enum('a', 'b')", "DATETIME", "DATE", "JSON", "json")
    cases = [case for case in CASES[source.kind] if case[0] not in without]
    make(source, name, cases)
    hub.migrate_from(source.url, query=f"SELECT * FROM {name}", key="id", to=name)
    table = hub.get_tesseract(name)
    full = next(row for row in table.get_data() if row["id"] == 1)
    for at, (sql, _, type, awaited) in enumerate(cases):
        assert full[f"c{at}"] == awaited, (sql, type)


def test_what_needs_a_decision_is_refused_with_the_option(source: Source, name: str, hub: EventHorizon) -> None:
    for at, (sql, value, options, awaited) in enumerate(REFUSED[source.kind]):
        table = f"{name}_{at}"
        make(source, table, [(sql, value)])
        with pytest.raises(MigrationFailed) as failed:
            hub.migrate_from(source.url, table)
        assert failed.value.reason in ("UNMAPPED_COLUMNS", "VALUE_REFUSED"), sql
        assert failed.value.hint, sql
        assert table not in [known.name for known in hub.list_tesseracts()]
        hub.migrate_from(source.url, table, **options)
        assert next(row for row in hub.get_tesseract(table).get_data() if row["id"] == 1)["c0"] == awaited, sql


def test_all_columns_that_cannot_be_carried_over_are_named(
    postgres_server: Source, name: str, hub: EventHorizon
) -> None:
    postgres_server.run(f"CREATE TABLE {name} (id int PRIMARY KEY, a bytea, b interval, c numeric, d text, e tsvector)")
    with pytest.raises(MigrationFailed) as failed:
        hub.migrate_from(postgres_server.url, name)
    assert failed.value.reason == "UNMAPPED_COLUMNS"
    assert failed.value.message.startswith("4 of 6 columns")
    for part in ("a (BYTEA)", "b (INTERVAL)", "c (NUMERIC)", "e (TSVECTOR)", "--decimals string"):
        assert part in failed.value.message
    assert hub.migrate_from(postgres_server.url, name, exclude=["a", "b", "c", "e"]).rows == 0


def test_times_without_a_zone_are_of_the_zone_that_is_named(source: Source, name: str, hub: EventHorizon) -> None:
    kind = "timestamp" if source.kind == "postgresql" else "datetime"
    source.run(
        f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, at {kind}, day DATE)",
        f"INSERT INTO {name} VALUES (1, '2024-07-01 12:00:00', '2024-07-01'), (2, '2024-01-01 12:00:00', NULL)",
    )
    hub.migrate_from(source.url, name, timezone="Europe/Berlin")
    summer, winter = sorted(hub.get_tesseract(name).get_data(), key=lambda row: row["id"])
    assert (summer["at"], winter["at"]) == (datetime(2024, 7, 1, 10, tzinfo=UTC), datetime(2024, 1, 1, 11, tzinfo=UTC))
    assert summer["day"] == datetime(2024, 6, 30, 22, tzinfo=UTC)


def test_a_value_that_does_not_fit_is_named_by_its_row(tmp_path: Path, name: str, hub: EventHorizon) -> None:
    with sqlite3.connect(tmp_path / "odd.db") as database:
        database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, j JSON)")
        database.executemany("INSERT INTO t VALUES (?, ?, ?)", [(1, 1, "{}"), (2, "many", "{}"), (3, 3, "{")])
    database.close()
    url = f"sqlite:///{tmp_path}/odd.db"
    with pytest.raises(MigrationFailed, match="row id=2: column 'n': 'many' is not a whole number"):
        hub.migrate_from(url, "t", to=name)
    with pytest.raises(MigrationFailed, match="row id=3: column 'j'"):
        hub.migrate_from(url, "t", to=name, exclude=["n"])


def test_decimals_of_fifteen_digits_survive_being_doubles() -> None:
    for text in ("123456789012.345", "0.07", "999999999999999", "1E-15"):
        assert Decimal(repr(float(Decimal(text)))) == Decimal(text)


def test_the_page_has_the_rules_of_the_code() -> None:
    section = PAGE[PAGE.index("### What becomes of a type") :]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1 : 1 + len(RULES)]
    assert rows == [f"| {rule.types} | {rule.becomes} | {rule.how} |" for rule in RULES]


def test_the_page_lists_the_reasons_and_the_options() -> None:
    errors = PAGE[PAGE.index("### Errors") :]
    listed = re.findall(r"^\| `([A-Z_]+)` \|", errors, re.MULTILINE)
    assert sorted(listed) == sorted(reason.value for reason in MigrationReason)
    options = set(re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE))
    assert options == set(MigrationOptions.__annotations__) | {"to"}
