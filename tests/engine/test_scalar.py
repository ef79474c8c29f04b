"""A commit of one row takes a scalar path of its own; the same row in a larger batch takes the vectorised one, which is
the reference. Both must give the same changes to every reader.

Two hubs are told the same history. The second gets, with every commit, writes to rows that no reader can see: they have
keys of their own, which every filter leaves out. So its commits are batches, and its readers must not notice.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.testing import rows_of
from tests.engine import translate
from tests.engine.viewer import Viewer
from tests.oracle.answer import shape_of
from tests.oracle.asks import AllOf, Compare, Definition, Put
from tests.oracle.model import Model
from tests.oracle.rows import Refused
from tests.world import domain, questions, writes

HIDDEN: dict[str, list[dict[str, Any]]] = {
    "items": [{"id": 100 + key} for key in range(3)],
    "pairs": [{"side": "buy", "part": f"~{key}"} for key in range(3)],
    "lines": [{"id": 100 + key} for key in range(3)],
}
VISIBLE = {"items": Compare("id", "<", 100), "pairs": Compare("part", "<", "~"), "lines": Compare("id", "<", 100)}


def hidden(rng: Random, definition: Definition, kind: Literal["upsert", "update"], stamp: int) -> Put:
    """A write of hidden rows that changes them for sure, for `stamp` is new each time."""
    extra = {"a" if definition is domain.LINES else "n": stamp, "s": rng.choice(domain.VALUES["string"])}
    if kind == "upsert" and definition is domain.ITEMS:
        extra["r"] = "a"
    return Put(definition.name, kind, tuple(key | extra for key in HIDDEN[definition.name]))


class Two:
    """The plain hub and the one whose commits are padded."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.stamp = 0
        self.model = Model()
        self.hubs = [Hub("test", epoch="test"), Hub("test", epoch="test")]
        self.viewers: list[list[Viewer]] = [[], []]
        for definition in domain.TABLES:
            self.model.create(definition)
            first = hidden(rng, definition, "upsert", 0)
            for hub in self.hubs:
                hub.create_table(definition.name, translate.schema(definition))
                hub.commit([translate.write(first, definition)])

    def open(self, count: int) -> None:
        for number in range(count):
            definition = self.rng.choice(domain.TABLES)
            question = questions.question(self.rng, definition)
            parts = (
                (VISIBLE[definition.name],) if question.filter is None else (question.filter, VISIBLE[definition.name])
            )
            question = replace(question, filter=AllOf(parts))
            span = questions.span(self.rng)
            for hub, viewers in zip(self.hubs, self.viewers, strict=True):
                session = hub.open_session(translate.query(question), f"s{number}")
                viewers.append(Viewer(session, question, shape_of(self.model, question), span))

    def commit(self, put: Put) -> bool:
        try:
            self.model.commit([put], self.hubs[0].version + 1)
        except Refused:
            return False
        definition = self.model.definitions[put.table]
        write = translate.write(put, definition)
        self.stamp += 1
        padding = translate.write(hidden(self.rng, definition, "update", self.stamp), definition)
        plain = self.hubs[0].commit([write])
        padded = self.hubs[1].commit([write, padding] if self.rng.random() < 0.5 else [padding, write])
        assert plain.counts[0] in padded.counts
        if plain.version < padded.version:
            # The plain commit changed nothing; a hidden one keeps the two lines of versions together.
            self.hubs[0].commit([padding])
        assert self.hubs[0].version == self.hubs[1].version
        return True

    def compare(self) -> None:
        for mine, theirs in zip(*self.viewers, strict=True):
            mine.take(self.hubs[0].version)
            theirs.take(self.hubs[1].version)
            one, other = (said(viewer) for viewer in (mine, theirs))
            assert one == other, f"{mine.question} in {mine.span}: alone\n{one}\nand in a batch\n{other}"
        for hub in self.hubs:
            hub.check()


def said(viewer: Viewer) -> dict[str, Any]:
    """The last response, without what means nothing: the order of rows within removes and updates."""
    response = viewer.stream[-1]
    changes = response.changes
    return {
        "event": response.WhichOneof("event"),
        "versions": (response.from_version, response.to_version),
        "removes": {part.reason: sorted(map(repr, rows_of(part.keys))) for part in changes.removes},
        "updates": sorted(sorted(map(repr, rows_of(part.rows))) for part in changes.updates),
        "moves": list(zip(changes.moves.indexes, map(repr, rows_of(changes.moves.keys)), strict=True)),
        "inserts": list(zip(changes.inserts.indexes, map(repr, rows_of(changes.inserts.rows)), strict=True)),
        "total": changes.total_count,
    }


@pytest.mark.fuzz
@given(st.integers(0, 2**32 - 1))
def test_a_row_alone_and_in_a_batch_give_the_same_changes(seed: int) -> None:
    rng = Random(seed)
    two = Two(rng)
    two.open(20)
    for _ in range(12):
        put = writes.put(rng, rng.choice(domain.TABLES), two.model.wrote, domain.KEYS)
        # Half of the commits one row: those are the ones that take the scalar path in the first hub.
        if put.rows and rng.random() < 0.8:
            put = replace(put, rows=put.rows[:1])
        if put.filter is not None:
            put = replace(put, filter=AllOf((put.filter, VISIBLE[put.table])))
        if put.only is not None and put.only.if_version is not None:
            continue  # versions of rows are compared in the machine
        if two.commit(put):
            two.compare()
