"""Coming back: from any version that history reaches back to, the net change leads exactly to the present.

A history of the world (`world.py`) is played, and all along the rows of all sessions are kept as they were at many
versions, in several windows. After every step readers come back from versions chosen at random: what they held then,
with the change that they are given applied to it as a client does, must be the rows of now. Where the engine says that
it cannot tell, history must really not reach back so far.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub, Limits
from tesseract_grpc.engine.live import resume
from tesseract_grpc.engine.live.changes import Changes
from tesseract_grpc.engine.live.rewinds import NotResumable
from tesseract_grpc.engine.query.filter_tree import Compare, CompareOp
from tesseract_grpc.engine.query.query import Query, Window
from tesseract_grpc.testing import Mirror
from tesseract_grpc.testing.rows import key_of
from tests.engine import translate
from tests.engine.viewer import same, types_of
from tests.engine.world import World, play
from tests.oracle.answer import shape_of
from tests.world.spans import random_span

NEXT_TO_NO_HISTORY: dict[str, Any] = {
    "limits": Limits(history=HistoryLimits(commits=1, rows=6), result_history=HistoryLimits(commits=1, rows=4))
}


@dataclass
class Held:
    """What a reader held when it went away."""

    session: Any  # or the name of a table
    generation: int
    version: int
    now_us: int
    window: Window
    types: Any
    mirror: Mirror


def mirror_of(types: Any, keys: Sequence[str], snapshot: Any, generation: int) -> Mirror:
    mirror = Mirror()
    for response in translate.opening(types, keys, snapshot, generation):
        mirror.apply(response)
    return mirror


class Returns:
    """Readers who go away and come back, beside those of a world."""

    def __init__(self) -> None:
        self.held: dict[str, list[Held]] = {}
        self.tables: dict[tuple[str, int], list[Held]] = {}
        self.seen: Counter[str] = Counter()

    def also(self, world: World, rng: Random) -> None:
        """Asked after every step of a history."""
        for name in rng.sample(sorted(world.questions), min(6, len(world.questions))):
            session = world.hub.session(name)
            held = [each for each in self.held.get(name, ()) if each.session is session]
            self.held[name] = [each for each in held if each.generation == session.generation][-40:]
            for each in rng.sample(self.held[name], min(3, len(self.held[name]))):
                self.come_back(world.hub, each, exact=rng.random() < 0.5)
            self.go_away(world, rng, name)
        for name in world.hub.tables:
            self.table(world, rng, name)

    def go_away(self, world: World, rng: Random, name: str) -> None:
        session, question = world.hub.session(name), world.questions[name]
        window = translate.window(random_span(rng, world.model, question))
        shape = shape_of(world.model, question)
        watch = session.watch(window)
        snapshot = watch.snapshot()
        watch.close()
        types = types_of(shape, watch)
        mirror = mirror_of(types, shape.key, snapshot, session.generation)
        assert snapshot.now_us == session.clock
        self.held[name].append(
            Held(session, session.generation, snapshot.version, snapshot.now_us, window, types, mirror)
        )

    def come_back(self, hub: Hub, held: Held, *, exact: bool) -> None:
        session = held.session
        source = session.resolved.source
        try:
            watch = session.watch(held.window, held.version, now_us=held.now_us, exact=exact)
        except NotResumable:
            derived_anew = source.owner is not None and session.timely and source.owner.hydrate_version == held.version
            assert held.version < source.table.changelog.since or derived_anew, "history reaches back"
            self.seen["too old"] += 1
            return
        mirror = self.follow(watch, held)
        fresh = session.snapshot(held.window)
        same(mirror.rows, fresh.rows.to_rows(), session.query, held.window, "from", held.version, "to", hub.version)
        assert mirror.total_count == fresh.total_count
        watch.close()

    def follow(self, watch: Any, held: Held) -> Mirror:
        mirror = copy.deepcopy(held.mirror)
        version = held.version
        while watch.pending:
            changes = watch.take()
            if not changes:
                continue
            assert changes.from_version == version, "a gap"
            version = changes.to_version
            judge_old_values(changes, mirror)
            mirror.apply(translate.changed(held.types, changes, held.generation))
            self.seen["changes"] += 1
        self.seen["came back"] += 1
        return mirror

    def table(self, world: World, rng: Random, name: str) -> None:
        """Readers of a table have all its columns: they begin again where it was altered since, and nowhere else."""
        hub, altered = world.hub, world.altered.get(name, 0)
        table = hub.table(name)
        kept = self.tables.setdefault((name, table.create_version), [])
        keys = [column.name for column in table.schema.key_columns]
        types = {column.name: column.type.name.lower() for column in table.schema.visible}
        for held in rng.sample(kept, min(2, len(kept))):
            old_values = rng.random() < 0.5
            try:
                watch = hub.watch_table(name, held.version, old_values=old_values, exact=rng.random() < 0.5)
            except NotResumable:
                assert held.version < max(table.changelog.since, altered), "nothing that it has was touched"
                self.seen["altered"] += held.version >= table.changelog.since
                continue
            assert held.version >= altered, f"led on from {held.version}, with the columns of before {altered}"
            mirror = self.follow(watch, held)
            watch.close()
            mine = sorted(map(repr, (sorted(row.items()) for row in mirror.rows)))
            fresh = hub.watch_table(name)
            true = fresh.snapshot().rows.to_rows()
            fresh.close()
            assert mine == sorted(repr(sorted(row.items())) for row in true), f"table {name} from {held.version}"
        if len(kept) < 60:
            fresh = hub.watch_table(name)
            snapshot = fresh.snapshot()
            fresh.close()
            kept.append(Held(name, 0, snapshot.version, 0, Window(), types, mirror_of(types, keys, snapshot, 0)))


def judge_old_values(changes: Changes, mirror: Mirror) -> None:
    """Where old values are told they are those that the reader has."""
    held = mirror.by_key()

    def was(row: dict[str, Any]) -> dict[str, Any]:
        return held[key_of(row, mirror.key_names)]

    for removes in changes.removes:
        if removes.old_rows is not None:
            gone = removes.old_rows.to_rows()
            same(gone, [was(row) for row in removes.keys.to_rows()], "the old rows of removes")
    for updates in changes.updates:
        if updates.old_values is not None:
            for row, old in zip(updates.rows.to_rows(), updates.old_values.to_rows(), strict=True):
                assert set(old) == set(row) - set(mirror.key_names)
                same([old], [{name: was(row)[name] for name in old}], "the old values of an update")


@pytest.mark.parametrize("seed", range(6))
def test_from_any_version_the_change_leads_to_the_present(seed: int) -> None:
    returns = Returns()
    play(seed, steps=40, also=returns.also, small=seed % 2 == 0)
    assert returns.seen["came back"] > 100 and returns.seen["changes"] > 50, returns.seen


def test_from_a_history_of_few_commits() -> None:
    seen: Counter[str] = Counter()
    for seed in range(100, 103):
        returns = Returns()
        play(seed, steps=60, also=returns.also, small=True, **NEXT_TO_NO_HISTORY)
        seen += returns.seen
    assert seen["too old"] > 20 and seen["changes"] > 100, seen


def test_a_tree_that_is_too_large_is_not_worked_out_again_unless_it_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = Hub(epoch="e")
    columns = tuple(ColumnSchema(name, DataType.INT64, primary_key=name == "id") for name in ("id", "up", "n"))
    hub.create_table("t", TableSchema(columns))

    def put(*items: tuple[int, int | None, int]) -> None:
        written = [dict(zip(("id", "up", "n"), item, strict=True)) for item in items]
        hub.commit([Write("t", WriteKind.UPSERT, rows=Batch.of_rows(columns, written))])

    put((1, None, 0), (2, 1, 0), (3, 1, 0))
    session = hub.open_session(Query("t", filter=Compare("n", CompareOp.LESS, 5), tree="up"), "s")
    monkeypatch.setattr(resume, "TREE_ROWS", 2)
    since = hub.version
    put((4, None, 9))
    assert not session.watch(since=since).pending
    put((2, None, 0))
    with pytest.raises(NotResumable):
        session.watch(since=since, exact=True)
    monkeypatch.setattr(resume, "TREE_ROWS", 3)
    changes = session.watch(since=since, exact=True).take()
    assert changes.moves is not None and changes.moves.keys.length == 1
