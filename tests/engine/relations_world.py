"""Tiny tables that refer to each other, readers of sessions over them, and random commits to several tables at once."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import CommitRefused
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import CommitResult, Hub, Limits
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.query.query import WHOLE, Window

Row = dict[str, Scalar]
INT, TEXT, FLOAT = DataType.INT64, DataType.STRING, DataType.FLOAT64


def schema(key: int, **columns: DataType) -> TableSchema:
    """A schema whose first columns are the key."""
    return TableSchema(tuple(ColumnSchema(n, t, primary_key=i < key) for i, (n, t) in enumerate(columns.items())))


TABLES = {
    "flights": schema(1, id=INT, carrier=TEXT, plane=INT, delay=INT, ratio=FLOAT, before=INT),
    "airlines": schema(1, code=TEXT, name=TEXT),
    "planes": schema(1, tail=INT, maker=TEXT, owner=TEXT, ratio=FLOAT),
    "routes": schema(2, carrier=TEXT, stop=INT, place=TEXT),
}
NAN = float("nan")
DOMAINS: dict[str, dict[str, tuple[Scalar, ...]]] = {
    "flights": {
        "id": tuple(range(8)),
        "carrier": ("AA", "UA", "B6", "XX", None),
        "plane": (1, 2, 3, 9, None),
        "delay": (-1, 0, 2, None),
        "ratio": (0.5, NAN, 1.5, None),
        "before": (0, 1, 2, 3, None),
    },
    "airlines": {"code": ("AA", "B6", "UA"), "name": ("American", "Blue", "United", None)},
    "planes": {
        "tail": (1, 2, 3),
        "maker": ("Boeing", "Airbus", None),
        "owner": ("UA", "AA", None),
        "ratio": (0.5, NAN, None),
    },
    "routes": {"carrier": ("UA", "AA", "B6"), "stop": (0, 1, 2), "place": ("JFK", "LGA", None)},
}


def hub(choose: random.Random | None = None, *, history: int = 4096) -> Hub:
    """A hub with the tables; with `choose`, with histories so short that readers lag."""
    keep = HistoryLimits(history, 65_536)
    if choose is not None:
        keep = HistoryLimits(commits=choose.choice((1, 3, 100)), rows=choose.choice((4, 1000)))
    made = Hub(epoch="e", limits=Limits(history=keep, result_history=keep))
    for name, columns in TABLES.items():
        made.create_table(name, columns)
    return made


def upsert(table: str, *rows: Mapping[str, Scalar]) -> Write:
    """A write of rows."""
    return Write(table, WriteKind.UPSERT, Batch.of_rows(TABLES[table].columns, rows))


def delete(table: str, *keys: Mapping[str, Scalar]) -> Write:
    """A removal of rows."""
    return Write(table, WriteKind.DELETE, Batch.of_rows(TABLES[table].columns, keys))


def random_write(choose: random.Random, name: str) -> Write:
    """An upsert of some columns of some rows, or a removal."""
    domain, columns = DOMAINS[name], TABLES[name]
    keys = [
        {column.name: choose.choice(domain[column.name]) for column in columns.key_columns}
        for _ in range(choose.choice((1, 1, 2, 4)))
    ]
    if choose.random() < 0.25:
        return delete(name, *keys)
    others = [column.name for column in columns.columns if not column.primary_key]
    names = choose.sample(others, choose.randint(1, len(others)))
    return upsert(name, *[{**key, **{each: choose.choice(domain[each]) for each in names}} for key in keys])


def random_commit(choose: random.Random, into: Hub) -> CommitResult | None:
    """A commit to one table, or to several of them; None when it is refused."""
    names = [name for name in TABLES for _ in range(3 if name == "flights" else 1)]
    writes = [random_write(choose, choose.choice(names)) for _ in range(choose.choice((1, 1, 2, 4)))]
    with suppress(CommitRefused):
        return into.commit(writes)
    return None


class Reader:
    """A reader of a session, and what it holds after following every change by the letter of the contract."""

    def __init__(self, session: Session, window: Window = WHOLE) -> None:
        self.session = session
        self.watch = session.watch(window)
        self.names = [column.name for column in session.key_columns]
        snapshot = self.watch.snapshot()
        self.rows: list[Row] = snapshot.rows.to_rows()
        self.total = snapshot.total_count
        self.changes = 0

    def _key(self, row: Row) -> str:
        return repr([row[name] for name in self.names])

    def take(self) -> None:
        """Takes what is owed and applies it."""
        changes = self.watch.take()
        if not changes:
            return
        self.changes += 1
        for removes in changes.removes:
            gone = {self._key(row) for row in removes.keys.to_rows()}
            assert gone <= {self._key(row) for row in self.rows}, "a row is removed that was not there"
            self.rows = [row for row in self.rows if self._key(row) not in gone]
        held = {self._key(row): row for row in self.rows}
        for updates in changes.updates:
            for row in updates.rows.to_rows():
                held[self._key(row)].update(row)
        put: list[tuple[int, Row]] = []
        if changes.moves is not None:
            moved = [self._key(row) for row in changes.moves.keys.to_rows()]
            put += zip(changes.moves.indexes.tolist(), [held[key] for key in moved], strict=True)
            self.rows = [row for row in self.rows if self._key(row) not in set(moved)]
        if changes.inserts is not None:
            assert changes.inserts.indexes is not None
            came = changes.inserts.rows.to_rows()
            assert not {self._key(row) for row in came} & {self._key(row) for row in self.rows}
            put += zip(changes.inserts.indexes.tolist(), came, strict=True)
        for at, row in sorted(put, key=lambda pair: pair[0]):
            self.rows.insert(at, row)
        self.total = changes.total_count
