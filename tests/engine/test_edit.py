"""Editing a session in place: its readers get the minimal difference, and then the new query's changes.

A mirror that applies what a reader is given, in the order of the contract, must equal the session read from scratch
after every step, whatever was edited, however late it takes.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import InvalidRequest
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.live.changes import Changes
from tesseract_grpc.engine.live.moved import _one_pass, staying
from tesseract_grpc.engine.live.watch import Watch
from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.filter import Custom
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import WHOLE, Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey

SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("name", DataType.STRING),
        ColumnSchema("n", DataType.INT64),
    )
)
Row = dict[str, Any]


class Mirror:
    """What a client makes of a watch."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.begin()

    def begin(self) -> None:
        snapshot = self.watch.snapshot()
        self.columns = [column.name for column in self.watch.columns]
        self.rows = snapshot.rows.to_rows()
        self.total, self.version = snapshot.total_count, snapshot.version

    def catch_up(self) -> list[Changes]:
        taken = []
        while self.watch.pending:
            change = self.watch.take()
            taken.append(change)
            assert change.from_version == self.version, "a gap between two changes"
            self.version = change.to_version
            edit = change.session_changed
            if edit is not None and edit.reset:
                assert not (change.removes or change.updates or change.moves or change.inserts)
                self.begin()
                continue
            if edit is not None:
                self.columns = [column.name for column in edit.columns]
                self.rows = [{name: row[name] for name in self.columns if name in row} for row in self.rows]
            self.apply(change)
        return taken

    def key(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[column.name] for column in self.watch.session.key_columns)

    def apply(self, change: Changes) -> None:
        for part in change.removes:
            gone = {self.key(row) for row in part.keys.to_rows()}
            assert gone <= {self.key(row) for row in self.rows}, "a row is removed that is not there"
            self.rows = [row for row in self.rows if self.key(row) not in gone]
        by_key = {self.key(row): row for row in self.rows}
        for update in change.updates:
            for row in update.rows.to_rows():
                by_key[self.key(row)].update(row)
        placed: list[tuple[int, Row]] = []
        if change.moves is not None:
            keys = [self.key(row) for row in change.moves.keys.to_rows()]
            placed += zip(change.moves.indexes.tolist(), [by_key[key] for key in keys], strict=True)
            self.rows = [row for row in self.rows if self.key(row) not in set(keys)]
        if change.inserts is not None:
            assert change.inserts.indexes is not None
            placed += zip(change.inserts.indexes.tolist(), change.inserts.rows.to_rows(), strict=True)
        for at, row in sorted(placed, key=lambda each: each[0]):
            self.rows.insert(at, row)
        self.total = change.total_count

    def verify(self) -> None:
        self.catch_up()
        session = self.watch.session
        found = session.read(self.watch.window)
        assert self.columns == [column.name for column in session.columns]
        assert self.rows == found.rows.to_rows()
        assert self.total == found.total_count


def make() -> Hub:
    hub = Hub(epoch="test")
    hub.create_table("t", SCHEMA)
    return hub


def put(hub: Hub, *rows: Row) -> None:
    hub.commit([Write("t", WriteKind.UPSERT, Batch.of_rows(SCHEMA.columns, rows))])


def drop(hub: Hub, *keys: int) -> None:
    hub.commit([Write("t", WriteKind.DELETE, Batch.of_rows(SCHEMA.columns[:1], [{"id": key} for key in keys]))])


FILTERS = (None, "n > 0", "n < 1", "name ~ 'a'", "n == null", "false")
SORTS: tuple[tuple[SortKey, ...], ...] = (
    (),
    (SortKey("n"),),
    (SortKey("name", True), SortKey("n")),
    (SortKey("id", True),),
)
COLUMNS: tuple[tuple[str, ...], ...] = ((), ("n",), ("name", "id"))
COMPUTED = ((), (ComputedColumn("m", expression="n * 2"),), (ComputedColumn("m", expression="-n"),))
WINDOWS = (WHOLE, Window(0, 3), Window(2, 2), Window(0, 0))


def question(rng: Random) -> Query:
    if rng.random() < 0.25:
        by = rng.choice((("name",), ("n",), ()))
        return Query("t", group=Grouping(by, (Aggregate("total", rng.choice(("sum", "max", "count_values")), "n"),)))
    where = rng.choice(FILTERS)
    computed = rng.choice(COMPUTED)
    columns = rng.choice(COLUMNS)
    if computed and columns:
        columns = (*columns, "m")
    return Query("t", None if where is None else Custom(where), columns, rng.choice(SORTS), computed=computed)


@pytest.mark.parametrize("seed", range(150))
def test_mirrors_follow_edits(seed: int) -> None:
    rng = Random(seed)
    hub = make()
    sessions = [hub.open_session(question(rng), f"s{number}") for number in range(6)]
    mirrors: list[Mirror] = []
    for _ in range(40):
        session = rng.choice(sessions)
        step = rng.random()
        if step < 0.15:
            mirrors.append(Mirror(session.watch(rng.choice(WINDOWS))))
        elif step < 0.4:
            hub.edit_session(session.name, question(rng))
        elif step < 0.85:
            rows = {rng.randrange(8): rng.choice((None, -1, 0, 1, 2)) for _ in range(rng.randint(1, 3))}
            put(hub, *[{"id": key, "name": rng.choice(("a", "b", None)), "n": n} for key, n in rows.items()])
        else:
            drop(hub, *rng.sample(range(8), 2))
        hub.check()
        for mirror in mirrors:
            if rng.random() < 0.6:
                mirror.verify()
    for mirror in mirrors:
        mirror.verify()


def test_only_the_difference_is_sent() -> None:
    hub = make()
    put(hub, *[{"id": key, "name": "ab"[key % 2], "n": key} for key in range(10)])
    hub.open_session(Query("t", Custom("n >= 2")), "s")
    mirror = Mirror(hub.session("s").watch())
    hub.edit_session("s", Query("t", Custom("n >= 3"), sort=(SortKey("n", True),)))
    (change,) = mirror.catch_up()
    assert [part.keys.to_rows() for part in change.removes] == [[{"id": 2}]]
    assert not change.updates and change.inserts is None
    assert change.moves is not None and change.moves.keys.length == 6  # one of seven stays where it is
    assert change.session_changed is not None and change.session_changed.generation == 2


def test_a_new_column_comes_for_every_row_and_nothing_else_does() -> None:
    hub = make()
    put(hub, {"id": 1, "name": "a", "n": 1}, {"id": 2, "name": "b", "n": 2})
    hub.open_session(Query("t", columns=("name",)), "s")
    mirror = Mirror(hub.session("s").watch())
    hub.edit_session("s", Query("t", columns=("name", "n")))
    (change,) = mirror.catch_up()
    assert [part.rows.to_rows() for part in change.updates] == [[{"id": 1, "n": 1}, {"id": 2, "n": 2}]]
    assert change.moves is None and change.inserts is None and not change.removes


def test_what_was_owed_before_the_edit_is_given_first() -> None:
    hub = make()
    put(hub, {"id": 1, "name": "a", "n": 1})
    hub.open_session(Query("t"), "s")
    mirror = Mirror(hub.session("s").watch())
    put(hub, {"id": 2, "name": "b", "n": 2})
    hub.edit_session("s", Query("t", Custom("n > 1")))
    first, second = mirror.catch_up()
    assert first.session_changed is None and first.inserts is not None
    assert second.session_changed is not None and len(second.removes) == 1


def test_an_edit_that_is_refused_changes_nothing() -> None:
    hub = make()
    put(hub, {"id": 1, "name": "a", "n": 1})
    session = hub.open_session(Query("t"), "s")
    mirror, version = Mirror(session.watch()), hub.version
    with pytest.raises(InvalidRequest):
        hub.edit_session("s", Query("t", Custom("nothing > 1")))
    assert (hub.version, session.generation, session.query) == (version, 1, Query("t"))
    assert not mirror.watch.pending
    hub.check()


def test_a_permanent_filter_can_be_narrowed_and_never_widened() -> None:
    hub = make()
    put(hub, *[{"id": key, "name": "a", "n": key} for key in range(10)])
    session = hub.open_session(Query("t", Custom("n < 8")), "s", permanent=Custom("n >= 5"))
    assert [row["n"] for row in session.read().rows.to_rows()] == [5, 6, 7]
    hub.edit_session("s", Query("t"))
    assert [row["n"] for row in session.read().rows.to_rows()] == [5, 6, 7, 8, 9]
    hub.edit_session("s", Query("t", Custom("n < 6 || n >= 0")))
    assert session.read().total_count == 5
    hub.edit_session("s", Query("t", group=Grouping((), (Aggregate("rows", "count"),))))
    assert [row["rows"] for row in session.read().rows.to_rows()] == [5]


def test_other_sessions_on_the_same_result_are_not_disturbed() -> None:
    hub = make()
    put(hub, *[{"id": key, "name": "a", "n": key} for key in range(4)])
    one, other = (
        hub.open_session(Query("t", Custom("n > 1")), "one"),
        hub.open_session(Query("t", Custom("n > 1")), "other"),
    )
    assert one.result is other.result
    mirror = Mirror(other.watch())
    hub.edit_session("one", Query("t"))
    assert not mirror.watch.pending and other.generation == 1
    put(hub, {"id": 9, "name": "b", "n": 9})
    mirror.verify()


@pytest.mark.parametrize("seed", range(50))
def test_rows_that_stay_in_place_rise(seed: int) -> None:
    ranks = np.random.default_rng(seed).permutation(seed)
    for kept in (staying(ranks), _one_pass(ranks)):
        assert bool(np.all(np.diff(ranks[kept]) > 0))
    assert np.count_nonzero(staying(ranks)) >= np.count_nonzero(_one_pass(ranks))
