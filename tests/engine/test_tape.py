"""Readers who are told every commit: each change by itself is exact, none is missing, and what is skipped is said.

The histories are those of the state machine (`world.py`). Beside its readers there are some who read commit by commit;
of those that stall, the truth after each commit is kept, and compared with their mirror commit by commit when they read
on. One world has a history of a few commits only, so that stalled readers fall from their tape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tesseract_grpc._proto.tesseract.v1 import change_pb2
from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub, Limits
from tesseract_grpc.engine.live import tape
from tesseract_grpc.engine.live.changes import Changes
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.query.query import WHOLE, Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.testing import Answer
from tests.engine import translate
from tests.engine.limits import SHORT_HISTORY
from tests.engine.small import small_thresholds
from tests.engine.viewer import TableViewer, Viewer, plain
from tests.engine.world import World, shape_of
from tests.oracle.asks import Definition


class OneByOne:
    """How a reader of a tape is driven: every change is told, and compared with the truth of its version."""

    watch: Any
    mirror: Any
    truth: dict[int, Answer]
    generation: int
    told = 0
    skips = 0

    def take(self, version: int) -> list[Changes]:
        taken: list[Changes] = []
        while self.watch.pending:
            changes: Changes = self.watch.take()
            if not changes and not changes.skipped:
                continue
            before, held = self.mirror.version, list(map(plain, self.mirror.rows))
            taken.append(replace(changes, from_version=before))
            self.tell(taken[-1])
            self.told += 1
            self.skips += bool(changes.skipped)
            if changes.session_changed is None and not changes.skipped:
                between = [v for v in self.truth if before < v < changes.to_version]
                assert all(self.same(self.truth[v], held) for v in between), "a commit was not told by itself"
                if changes.to_version in self.truth:
                    rows = list(map(plain, self.mirror.rows))
                    assert self.same(self.truth[changes.to_version], rows), f"inexact at {changes.to_version}"
        if version > self.mirror.version:
            begun = self.mirror.version
            self.record(translate.said(begun, version, self.generation, progress=change_pb2.Progress()))
        return taken

    def same(self, answer: Answer, rows: list[Any]) -> bool:
        true = list(map(plain, answer.rows))
        return sorted(true) == sorted(rows) if not answer.ordered else true == rows

    def tell(self, changes: Changes) -> None:
        raise NotImplementedError

    def record(self, response: Any) -> None:
        raise NotImplementedError


class CommitViewer(OneByOne, Viewer):
    """A reader of a window, commit by commit."""

    tell = Viewer.tell
    record = Viewer.record


class CommitTableViewer(OneByOne, TableViewer):
    """A reader of a table, commit by commit."""

    tell = TableViewer.tell
    record = TableViewer.record

    def catch_up(self, version: int) -> None:
        self.take(version)


class _EveryCommit:
    """A session whose watches are told every commit."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def watch(self, window: Window) -> Any:
        return self._session.watch(window, every_commit=True)


class TapeWorld(World):
    """A world in which half of the readers read commit by commit."""

    def open_watch(self, rng: Random, name: str | None = None) -> None:
        super().open_watch(rng, name)
        if rng.random() < 0.5:
            like = self.viewers[-1]
            self.viewers.append(CommitViewer(_EveryCommit(like.session), like.question, self.shape(like), like.span))
            self.viewers[-1].session = like.session
            self.streams.append(self.viewers[-1].stream)

    def shape(self, viewer: Viewer) -> Any:
        return shape_of(self.model, viewer.question)

    def watch_table(self, table: Definition) -> None:
        super().watch_table(table)
        watch = self.hub.watch_table(table.name, old_values=True, every_commit=True)
        self.table_viewers.append(CommitTableViewer(watch, table, derived=table.name in self.model.views))
        self.streams.append(self.table_viewers[-1].stream)

    def deliver(self, touched: set[str], tables: set[str], simple: bool) -> None:
        version = self.hub.version
        for viewer in self.viewers:
            if isinstance(viewer, CommitViewer) and not viewer.edits:
                viewer.truth[version] = Answer(*self.answer(viewer.question, viewer.span))
        for table_viewer in self.table_viewers:
            if isinstance(table_viewer, CommitTableViewer):
                rows = self.model.table(table_viewer.table.name).rows
                table_viewer.truth[version] = Answer(rows, len(rows), ordered=False)
        super().deliver(touched, tables, simple)


STEPS = ("commit", "commit", "commit", "commit", "commit", "stall", "drain", "open_watch", "edit_session", "fill")


@pytest.mark.parametrize("limits", [{}, SHORT_HISTORY], ids=["long", "short"])
@pytest.mark.parametrize("seed", range(4))
def test_oracle_every_commit_is_told_by_itself(seed: int, limits: Mapping[str, Any]) -> None:
    rng = Random(seed)
    with small_thresholds():
        world = TapeWorld(**limits)
        world.start(rng)
        for _ in range(40):
            step = rng.choice(STEPS)
            if hasattr(world, step):
                getattr(world, step)(rng)
            world.verify(rng)
        everybody: list[Viewer | TableViewer] = [*world.viewers, *world.table_viewers]
        for viewer in everybody:
            if viewer.stalled:
                world.wake(viewer)
        world.verify(rng)
        readers = [viewer for viewer in everybody if isinstance(viewer, OneByOne)]
        for viewer in everybody:
            viewer.finish()
        world.hub.check()
    assert sum(viewer.told for viewer in readers) >= 10


class Board:
    """Rows `id, n`, in the order of n, and readers of them."""

    def __init__(self, rows: int = 10, **limits: HistoryLimits) -> None:
        self.columns = (ColumnSchema("id", DataType.INT64, primary_key=True), ColumnSchema("n", DataType.INT64))
        self.hub = Hub(epoch="e", limits=Limits(**limits))  # type: ignore[arg-type]
        for name in ("t", "other"):
            self.hub.create_table(name, TableSchema(self.columns))
        self.put(*((id, id * 10) for id in range(rows)))
        self.session = self.hub.open_session(Query("t", sort=(SortKey("n"),)), "s")

    def put(self, *rows: tuple[int, int], table: str = "t") -> int:
        batch = Batch.of_rows(self.columns, [{"id": id, "n": n} for id, n in rows])
        return self.hub.commit([Write(table, WriteKind.UPSERT, rows=batch)]).version

    def watch(self, window: Window = WHOLE) -> Any:
        watch = self.session.watch(window, every_commit=True)
        watch.snapshot()
        return watch


def drained(watch: Any) -> list[Changes]:
    found = []
    while watch.pending:
        found.append(watch.take())
    return found


@pytest.mark.parametrize("window", [WHOLE, Window(0, 4)])
def test_positions_and_values_are_those_of_each_commit(window: Window) -> None:
    board = Board()
    watch = board.watch(window)
    board.put((3, 5))  # to the second place
    board.put((3, 15))  # to the third
    board.put((3, -1))  # to the first
    assert watch.lag == 3
    first, second, third = drained(watch)
    assert [c.moves.indexes.tolist() for c in (first, second, third) if c.moves is not None] == [[1], [2], [0]]
    assert [c.updates[0].rows.to_rows() for c in (first, second, third)] == [
        [{"id": 3, "n": 5}],
        [{"id": 3, "n": 15}],
        [{"id": 3, "n": -1}],
    ]
    assert watch.lag == 0
    board.hub.check()


def test_readers_of_one_window_are_given_the_same_objects() -> None:
    board = Board()
    first, second = board.watch(), board.watch()
    board.put((3, 5))
    board.put((3, 6))
    assert [a is b for a, b in zip(drained(first), drained(second), strict=True)] == [True, True]


def test_who_falls_is_told_how_much_is_skipped_and_reads_on() -> None:
    board = Board(history=HistoryLimits(4, 1_000))
    for window in (WHOLE, Window(0, 3)):
        slow, quick = board.watch(window), board.watch(window)
        for n in range(20):
            board.put((n % 3, -n - 1))
            assert len(drained(quick)) == 1
        assert slow.fallen
        assert slow.lag == 20
        (change,) = drained(slow)
        assert change.skipped == change.commits == 20
        board.put((1, 500 if window is WHOLE else -500))
        assert [change.skipped for change in drained(slow)] == [0]
        assert not quick.fallen
        slow.close()
        quick.close()
    board.hub.check()


@pytest.mark.parametrize("window", [WHOLE, Window(0, 3)])
def test_who_has_read_everything_does_not_fall_whatever_is_forgotten(window: Window) -> None:
    """Neither by commits that do not concern the window, nor by the one that concerns it and trims history at once."""
    board = Board(history=HistoryLimits(4, 1_000))
    narrow = board.hub.open_session(Query("t", sort=(SortKey("n"),), filter=None), "s2")
    watch: Any = narrow.watch(window, every_commit=True)
    watch.snapshot()
    for n in range(50):
        if window is not WHOLE:
            for _ in range(n % 7):
                board.put((9, 1_000 + n))
        board.put((n % 3, -n - 1))
        assert not watch.fallen
        assert [change.skipped for change in drained(watch)] == [0]


def test_a_tape_remembers_only_so_many_rows_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tape, "IMAGE_ROWS", 100)
    board = Board(rows=40)
    window = Window(0, 30)
    slow, quick = board.watch(window), board.watch(window)
    for n in range(10):
        board.put((20 + n % 2, -1 - n))
        assert [change.skipped for change in drained(quick)] == [0]
    assert slow.fallen
    assert [change.skipped for change in drained(slow)] == [10]
    board.hub.check()


def test_a_tape_goes_with_its_last_reader_and_with_its_session() -> None:
    board = Board()
    first, second = board.watch(), board.watch()
    tables = board.hub.watch_table("t", every_commit=True)
    first.close()
    assert len(board.session.tapes) == 1
    second.close()
    tables.close()
    assert not board.session.tapes
    assert not board.session.result.watches
    board.hub.check()
    board.watch()
    board.hub.watch_table("t", every_commit=True)
    board.hub.close_session("s")
    board.hub.drop_table("t")
    board.hub.check()
    assert not board.hub._wave.tapes


def test_a_table_is_read_commit_by_commit_with_old_values() -> None:
    board = Board(history=HistoryLimits(8, 1_000))
    watch = board.hub.watch_table("t", old_values=True, every_commit=True)
    board.put((3, 5))
    board.put((3, 6))
    first, second = drained(watch)
    assert [c.updates[0].old_values.to_rows() for c in (first, second) if c.updates[0].old_values] == [
        [{"n": 30}],
        [{"n": 5}],
    ]
    for n in range(20):
        board.put((3, 100 + n))
    (net,) = drained(watch)
    assert net.skipped == 20
    assert net.updates[0].old_values is not None
    assert net.updates[0].old_values.to_rows() == [{"n": 6}]


def test_a_tape_is_as_long_as_the_history_of_the_table_and_keeps_few_encodings() -> None:
    board = Board(history=HistoryLimits(300, 100_000), result_history=HistoryLimits(4, 1_000))
    slow, quick = board.watch(), board.watch()
    for n in range(250):
        board.put((n % 3, -n - 1))
        for change in drained(quick):
            change.encoded = b"of this commit"
    entries = [entry.changes for entry in board.session.tape(WHOLE)._entries]
    assert sum(change.encoded is not None for change in entries) == tape.FRESH
    found = []
    while slow.pending:
        change = slow.take()
        change.encoded = b"of this commit"
        found.append(change)
    assert [change.skipped for change in found] == [0] * 250
    assert sum(change.encoded is not None for change in entries) <= tape.FRESH + 1
