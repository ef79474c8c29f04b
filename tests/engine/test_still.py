"""What a still reads is what the table was, whatever happens while it is read.

A few rows are read, a history goes on, a few more are read. The record to compare with is all rows, read at once when
the still was made. With short histories, what is needed is about to be forgotten again and again.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.live.still import Still
from tests.engine.images import rows_in_order, seen
from tests.engine.limits import SHORT_HISTORY
from tests.engine.small import small_thresholds
from tests.engine.world import STEPS, World


def stored(hub: Hub) -> list[str]:
    """The tables that are not derived."""
    return [name for name in hub.tables if name not in hub.derived_tables]


def stills_of(hub: Hub) -> dict[str, Still]:
    found = hub.image().stills(stored(hub))
    for still in found.values():
        still.arrange()
    return found


def columns_of(rows: Any) -> list[tuple[str, str, list[str]]]:
    return [(name, type, list(values)) for name, type, values in rows]


class Record:
    """What a still has given so far."""

    def __init__(self, still: Still, hub: Hub, name: str) -> None:
        self.still, self.name = still, name
        self.awaited = columns_of(rows_in_order(hub.table(name))[0])
        self.found: list[tuple[str, str, list[str]]] = [(column, type, []) for column, type, _ in self.awaited]

    def read(self, most: int) -> None:
        for (_, _, values), (_, _, more) in zip(self.found, seen(self.still.read(most)), strict=True):
            values.extend(more)

    def finish(self, rng: Random) -> None:
        while self.still.left:
            self.read(rng.randint(1, 3))
        assert len(self.still.read(5)) == 0
        self.still.close()
        assert self.found == self.awaited, self.name


@pytest.mark.parametrize("seed", range(8))
def test_what_is_read_is_what_there_was(seed: int) -> None:
    rng = Random(seed)
    with small_thresholds():
        world = World(**(SHORT_HISTORY if seed % 2 else {}))
        world.start(rng)
        for _ in range(20):
            world.commit(rng)
        for _ in range(6):
            records = [Record(still, world.hub, name) for name, still in stills_of(world.hub).items()]
            for _ in range(rng.randint(2, 12)):
                step = World.recreate_table if rng.random() < 0.05 else rng.choices([*STEPS], [*STEPS.values()])[0]
                step(world, rng)
                for _ in range(rng.randint(0, 2)):
                    world.commit(rng)
                for record in records:
                    record.read(rng.randint(0, 2))
            for record in records:
                record.finish(rng)
        world.hub.check()


def table_of(rows: int) -> Hub:
    hub = Hub(epoch="e")
    columns = (ColumnSchema("id", DataType.INT64, primary_key=True), ColumnSchema("text", DataType.STRING))
    hub.create_table("t", TableSchema(columns))
    put(hub, range(rows), "old")
    return hub


def put(hub: Hub, ids: Any, text: str) -> None:
    batch = Batch.of_rows(hub.table("t").schema.columns, [{"id": each, "text": f"{text} {each}"} for each in ids])
    hub.commit([Write("t", WriteKind.UPSERT, batch)])


def test_what_is_kept_is_what_was_written_and_not_read_yet() -> None:
    hub = table_of(1_000)
    (still,) = stills_of(hub).values()
    assert len(still.read(600)) == 600
    put(hub, range(600), "new")
    still.keep()
    assert still.kept_bytes == 0, "rows that were read are nobody's concern any more"
    put(hub, range(600, 700), "new")
    put(hub, range(600, 700), "newer")
    still.keep()
    assert 0 < still.kept_bytes < 16_384
    assert seen(still.read(400))[1][2] == [repr(f"old {each}") for each in range(600, 1_000)]
    assert still.kept_bytes == 0, "what was read is let go"
    still.close()


def test_another_dictionary_changes_nothing() -> None:
    """Codes may be given anew while rows wait: each array of codes belongs to the list of texts beside it."""
    hub = table_of(300)
    (still,) = stills_of(hub).values()
    put(hub, range(0, 300, 3), "new")
    still.keep()
    column = hub.table("t").columns[1]
    assert column.dictionary is not None
    texts = column.dictionary.texts
    turned = np.arange(len(texts))[::-1].astype(np.int32)
    column.values[:300] = turned[column.values[:300]]
    column.dictionary.texts = texts[::-1]
    column.dictionary.codes = {text: code for code, text in enumerate(column.dictionary.texts)}
    hub.table("t").changelog.forget(hub.version)
    put(hub, range(1, 300, 3), "newer")
    still.keep()
    found = [seen(still.read(100))[1][2] for _ in range(3)]
    assert [text for part in found for text in part] == [repr(f"old {each}") for each in range(300)]
    still.close()


def test_a_table_that_is_dropped_is_read_to_its_end() -> None:
    hub = table_of(500)
    (still,) = stills_of(hub).values()
    still.read(100)
    put(hub, range(500), "new")
    key = Batch.of_rows(hub.table("t").schema.columns[:1], [{"id": 499}])
    hub.commit([Write("t", WriteKind.DELETE, key)])
    hub.drop_table("t")
    assert still.closed is not None
    assert seen(still.read(400))[1][2] == [repr(f"old {each}") for each in range(100, 500)]
