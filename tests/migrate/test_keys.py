"""Keys of every type and collation: pages follow one another without a row lost or given twice.

What decides is whether a database orders a column as it compares it. A page is read after the last key of the one
before, so where the two differ rows would be passed over.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tesseract_grpc.client import EventHorizon, MigrationFailed
from tesseract_grpc.client.migrate.state import MigrationState
from tests.migrate.conftest import Source

LETTERS = ("A", "b", "C", "a1", "é", "zß", "_", " x", "y z", "E2", "ab", "aB2", "Zz")
"""Distinct without regard to case and accents, and in another order by code point than by any language."""
TEXTS = tuple(f"'{text}'" for text in LETTERS)
NUMBERS = ("-3", "0", "1", "7", "10", "100", "9007199254740993", "9223372036854775807")
SMALL = ("0", "1", "2", "7", "10", "100", "255", "256", "1000")
MOMENTS = tuple(f"'2024-{month:02}-28 0{month % 9}:30:00'" for month in range(1, 13))
DATES = tuple(f"'2024-{month:02}-28'" for month in range(1, 13))
TIMES = tuple(f"'{hour:02}:30:00'" for hour in range(0, 24, 2))
UUIDS = tuple(f"'{at:08x}-0000-1000-8000-{12 - at:012x}'" for at in range(12))

KEYS: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "mysql": {
        **{
            collation: (f"VARCHAR(20) CHARACTER SET utf8mb4 COLLATE {collation}", TEXTS)
            for collation in ("utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_swedish_ci", "utf8mb4_bin")
        },
        "latin1": ("VARCHAR(20) CHARACTER SET latin1", TEXTS),
        "padded": ("CHAR(5)", TEXTS),
        "enum": ("ENUM('z', 'B', 'a', 'm')", ("'a'", "'m'", "'z'", "'B'")),
        "bit": ("BIT(10)", tuple(f"b'{int(number):b}'" for number in SMALL)),
        "bits": ("BIT(64)", tuple(f"b'{at ** 9:b}'" for at in range(12))),
        "unsigned": ("BIGINT UNSIGNED", NUMBERS[1:]),
        "bigint": ("BIGINT", NUMBERS),
        "decimal": ("DECIMAL(18, 0)", NUMBERS[:7]),
        "datetime": ("DATETIME(6)", (*MOMENTS, "'2024-01-28 01:30:00.000001'")),
        "timestamp": ("TIMESTAMP(3)", MOMENTS),
        "date": ("DATE", DATES),
        "time": ("TIME", TIMES),
        "year": ("YEAR", ("1901", "1999", "2024", "2155")),
        "bool": ("BOOLEAN", ("0", "1")),
        "uuid": ("UUID", UUIDS),
        "bytes": ("VARBINARY(8)", ("x'00'", "x'ff'", "x'61'", "x'41'", "x'0000'", "x'6100'", "x''")),
    },
    "postgresql": {
        "C": ('text COLLATE "C"', TEXTS),
        "database": ("varchar(20)", TEXTS),
        "icu": ('text COLLATE "und-x-icu"', (*TEXTS, "'a'", "'B'")),
        "swedish": ('text COLLATE "sv-x-icu"', TEXTS),
        "without case": ("text COLLATE nocase", TEXTS),
        "padded": ("char(5)", TEXTS),
        "enum": ("letter", ("'a'", "'m'", "'z'", "'B'")),
        "bigint": ("bigint", NUMBERS),
        "smallint": ("smallint", SMALL),
        "numeric": ("numeric(18)", NUMBERS[:7]),
        "timestamp": ("timestamp", MOMENTS),
        "timestamptz": ("timestamptz", tuple(f"{moment[:-1]}+05:30'" for moment in MOMENTS)),
        "date": ("date", DATES),
        "time": ("time", TIMES),
        "bool": ("boolean", ("true", "false")),
        "uuid": ("uuid", UUIDS),
        "inet": ("inet", ("'10.0.0.1'", "'9.0.0.1'", "'10.0.0.0/8'", "'::1'", "'100.0.0.1'")),
        "bytes": ("bytea", ("'\\x00'", "'\\xff'", "'\\x61'", "'\\x41'", "'\\x0000'", "'\\x'")),
    },
    "sqlite": {
        "binary": ("TEXT", TEXTS),
        "nocase": ("TEXT COLLATE NOCASE", TEXTS),
        "rtrim": ("TEXT COLLATE RTRIM", TEXTS),
        "integer": ("BIGINT", NUMBERS),
        "datetime": ("DATETIME", MOMENTS),
        "date": ("DATE", DATES),
        "bool": ("BOOLEAN", ("0", "1")),
        "bytes": ("BLOB", ("x'00'", "x'ff'", "x'61'", "x'41'", "x'0000'", "x''")),
    },
}  # fmt: skip

CASES = [
    pytest.param(fixture, kind, what, id=f"{kind}-{what}")
    for kind, fixture in (("mysql", "mariadb_server"), ("postgresql", "postgres_server"), ("sqlite", "sqlite_file"))
    for what in KEYS[kind]
]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch is a page."""
    monkeypatch.setattr("tesseract_grpc.client.migrate.reading.PAGE_BATCHES", 1)


def prepare(source: Source) -> None:
    """What the types of PostgreSQL need."""
    if source.kind == "postgresql":
        source.run(
            "DO $$ BEGIN CREATE TYPE letter AS ENUM ('z', 'B', 'a', 'm'); EXCEPTION WHEN duplicate_object THEN NULL; "
            "END $$",
            "CREATE COLLATION IF NOT EXISTS nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        )


@pytest.mark.parametrize(("fixture", "kind", "what"), CASES)
def test_no_row_is_lost_between_two_pages(
    request: pytest.FixtureRequest, hub: EventHorizon, name: str, fixture: str, kind: str, what: str
) -> None:
    source: Source = request.getfixturevalue(fixture)
    prepare(source)
    type, values = KEYS[kind][what]
    for table, key, rows in (
        (f"{name}_alone", "k", [f"({value}, 0)" for value in values]),
        (f"{name}_first", "k, n", [f"({value}, {n})" for value in values for n in range(3)]),
        (f"{name}_last", "n, k", [f"({value}, {n})" for value in values for n in range(3)]),
    ):
        source.run(
            f"CREATE TABLE {table} (k {type} NOT NULL, n INTEGER NOT NULL, PRIMARY KEY ({key}))",
            f"INSERT INTO {table} VALUES {', '.join(rows)}",
        )
        result = hub.migrate_from(source.url, table, batch=2, binary="base64")
        assert (result.rows, result.verified) == (len(rows), True)
        assert hub.get_tesseract(table).count() == len(rows)


def test_a_set_is_no_key(mariadb_server: Source, hub: EventHorizon, name: str) -> None:
    """It is ordered by its bits and compared as a text."""
    mariadb_server.run(f"CREATE TABLE {name} (k SET('z', 'a', 'm') NOT NULL PRIMARY KEY)")
    with pytest.raises(MigrationFailed, match="a SET cannot be a key"):
        hub.migrate_from(mariadb_server.url, name)


def test_a_null_in_a_key_is_told(sqlite_file: Source, hub: EventHorizon, name: str) -> None:
    """SQLite lets nulls into primary keys, and as many as there are."""
    sqlite_file.run(
        f"CREATE TABLE {name} (k TEXT PRIMARY KEY, n INTEGER)",
        f"INSERT INTO {name} VALUES (NULL, 1), (NULL, 2), ('a', 3)",
    )
    with pytest.raises(MigrationFailed, match=r"the key \(k\) is null in some rows"):
        hub.migrate_from(sqlite_file.url, name, batch=1)


def too_long_at(key: int, source: Source, name: str) -> None:
    """A table of ten rows, one of which has a text that is too long for the hub."""
    source.run(f"CREATE TABLE {name} (k INTEGER PRIMARY KEY, t TEXT)")
    rows = ((k, "x" * (2_000_000 if k == key else 1)) for k in range(10))
    source.run(*(f"INSERT INTO {name} VALUES ({k}, '{text}')" for k, text in rows))


def test_rows_that_the_hub_refuses_are_named_and_do_not_count_as_there(
    sqlite_file: Source, hub: EventHorizon, name: str, tmp_path: Path
) -> None:
    """The batch that is refused is the last, so that no other is on its way."""
    too_long_at(9, sqlite_file, name)
    state = tmp_path / "state.json"
    with pytest.raises(MigrationFailed, match="row k=9: column 't'"):
        hub.migrate_from(sqlite_file.url, name, batch=2, state=state)
    kept = MigrationState.load(state)
    assert kept is not None
    assert (kept.last, kept.checksum.count) == ((7,), 8)
    assert hub.get_tesseract(name).count() == 8


def test_after_a_refusal_it_goes_on_from_the_batch_that_was_refused(
    sqlite_file: Source, hub: EventHorizon, name: str, tmp_path: Path
) -> None:
    """The batch behind it may have been on its way and have arrived: it comes again, and nothing is lost or doubled."""
    too_long_at(7, sqlite_file, name)
    state = tmp_path / "state.json"
    with pytest.raises(MigrationFailed, match="row k=7: column 't'"):
        hub.migrate_from(sqlite_file.url, name, batch=2, state=state)
    kept = MigrationState.load(state)
    assert kept is not None
    assert (kept.last, kept.checksum.count) == ((5,), 6)
    there = {row["k"] for row in hub.get_tesseract(name).get_data()}
    assert there in ({*range(6)}, {*range(6), 8, 9})
    sqlite_file.run(f"UPDATE {name} SET t = 'short' WHERE k = 7")
    result = hub.migrate_from(sqlite_file.url, name, batch=2, state=state)
    assert (result.rows, result.verified) == (10, True)
    rows = {row["k"]: row["t"] for row in hub.get_tesseract(name).get_data()}
    assert rows == {k: "short" if k == 7 else "x" for k in range(10)}


def test_an_empty_table_comes_over(source: Source, hub: EventHorizon, name: str) -> None:
    source.run(f"CREATE TABLE {name} (k INTEGER PRIMARY KEY, t VARCHAR(5))")
    result = hub.migrate_from(source.url, name)
    assert (result.rows, result.verified) == (0, True)
    assert hub.get_tesseract(name).key == ("k",)
