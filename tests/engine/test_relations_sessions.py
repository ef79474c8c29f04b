"""Sessions over joins, lookups, unions, and over each other.

After every commit they equal the query asked anew, whether conditions are moved or not, and DuckDB's answer in SQL.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tesseract_grpc.engine.data.schema import DataType, Scalar
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.live import resolve, resolve_relations
from tesseract_grpc.engine.query.filter import Filter
from tesseract_grpc.engine.query.query import WHOLE, Query, Window
from tests.engine.relations_queries import QUERIES, Asked
from tests.engine.relations_world import DOMAINS, TABLES, Reader, Row, hub, random_commit, random_write

SQL_TYPES = {DataType.INT64: "BIGINT", DataType.STRING: "VARCHAR", DataType.FLOAT64: "DOUBLE"}


@contextmanager
def conditions_stay() -> Iterator[None]:
    """Conditions are tested where the query asks them."""

    def nothing(filter: Filter | None) -> list[Filter]:
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolve, "movable", nothing)
        patch.setattr(resolve_relations, "movable", nothing)
        yield


class Duck:
    """The tables of a hub in DuckDB, with and without the place of each row."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        for name, schema in TABLES.items():
            columns = ", ".join(f"{column.name} {SQL_TYPES[column.type]}" for column in schema.columns)
            self.connection.execute(f"CREATE TABLE {name}_rows ({columns}, row BIGINT)")
            self.connection.execute(f"CREATE VIEW {name} AS SELECT * EXCLUDE row FROM {name}_rows")

    def load(self, tables: Hub) -> None:
        for name, schema in TABLES.items():
            self.connection.execute(f"DELETE FROM {name}_rows")
            rows = tables.query(Query(name)).rows.to_rows()
            if rows:
                values = [[*row.values(), place] for place, row in enumerate(rows)]
                marks = ", ".join("?" * (len(schema.columns) + 1))
                self.connection.executemany(f"INSERT INTO {name}_rows VALUES ({marks})", values)

    def answer(self, sql: str) -> list[str]:
        return sorted(map(_plain, self.connection.execute(sql).fetchall()))


def _plain(values: tuple[Scalar, ...]) -> str:
    return repr([None if v == "~" else math.nan if isinstance(v, float) and v != v else v for v in values])


def _rows(rows: list[Row]) -> list[str]:
    return [_plain(tuple(row.values())) for row in rows]


def _judge(asked: Asked, tables: Hub, reader: Reader, duck: Duck) -> None:
    fresh = tables.query(asked.query, reader.watch.window)
    assert repr(reader.rows) == repr(fresh.rows.to_rows())
    assert reader.total == fresh.total_count
    with conditions_stay():
        unmoved = tables.query(asked.query, reader.watch.window)
    assert repr(unmoved.rows.to_rows()) == repr(fresh.rows.to_rows())
    if reader.watch.window is WHOLE:
        assert sorted(_rows(reader.rows)) == duck.answer(asked.sql)


def _play(seed: int, commits: int) -> list[str]:
    """A random history with readers of everything at once; returns what the readers held at the end."""
    choose = random.Random(seed)
    tables, duck = hub(choose), Duck()
    for _ in range(3):
        random_commit(choose, tables)
    readers: list[tuple[Asked, Reader]] = []
    for number, (name, asked) in enumerate(QUERIES.items()):
        context = conditions_stay if choose.random() < 0.2 else _as_they_are
        with context():
            session = tables.open_session(asked.query, f"s{number}")
        assert session.total_count == tables.query(asked.query).total_count, name
        readers.append((asked, Reader(session, choose.choice((WHOLE, WHOLE, Window(1, 3))))))
    for _ in range(commits):
        random_commit(choose, tables)
        if choose.random() < 0.3:
            tables.check()
        duck.load(tables)
        for asked, reader in readers:
            if choose.random() < 0.6:
                reader.take()
                _judge(asked, tables, reader, duck)
    for _, reader in readers:
        reader.take()
    held = [repr(reader.rows) for _, reader in readers]
    for number in range(len(readers)):
        tables.close_session(f"s{number}")
    assert not any(source.nodes for source in tables._sources.values()), "a node is kept that nobody follows"
    tables.check()
    return held


@contextmanager
def _as_they_are() -> Iterator[None]:
    yield


@pytest.mark.parametrize("seed", range(4))
def test_sessions_over_relations_follow_every_commit(seed: int) -> None:
    _play(seed, 15)


def test_the_same_history_gives_the_same_rows() -> None:
    assert _play(11, 6) == _play(11, 6)


@given(st.randoms(use_true_random=False), st.lists(st.sampled_from(sorted(QUERIES)), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_histories_over_some_queries(choose: random.Random, names: list[str]) -> None:
    tables = hub(history=4)
    readers = [Reader(tables.open_session(QUERIES[name].query, f"s{i}")) for i, name in enumerate(names)]
    for _ in range(12):
        random_commit(choose, tables)
    tables.check()
    for name, reader in zip(names, readers, strict=True):
        reader.take()
        assert repr(reader.rows) == repr(tables.query(QUERIES[name].query).rows.to_rows())


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_opened_late_is_opened_early(name: str) -> None:
    choose = random.Random(name)
    tables = hub()
    early = tables.open_session(QUERIES[name].query, "early")
    for _ in range(40):
        random_commit(choose, tables)
    everything = [random_write(choose, table) for table in DOMAINS]
    tables.commit([write for write in everything if write.kind.value == "upsert"] or everything)
    with conditions_stay():
        late = tables.open_session(QUERIES[name].query, "late")
    assert repr(early.read().rows.to_rows()) == repr(late.read().rows.to_rows())
    assert tables.open_session(QUERIES[name].query, "again").result is early.result
