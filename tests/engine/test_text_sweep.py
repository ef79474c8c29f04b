"""Texts that no row has any more: dropped when nobody holds them, given again without anybody being mistaken."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.retention import Retention
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, IndexKind, IndexSchema, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.live.text_sweep import SMALLEST
from tesseract_grpc.engine.query.filter import Compare, CompareOp, Like
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.sort_key import SortKey
from tests.engine import world as worlds
from tests.engine.keeping import sweep_texts
from tests.engine.limits import SHORT_HISTORY

SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.STRING, primary_key=True),
        ColumnSchema("name", DataType.STRING),
        ColumnSchema("loud", DataType.STRING, expression='name + "!"'),
    )
)


def hub_with(indexes: Sequence[IndexSchema] = (), retention: Retention | None = None) -> Hub:
    hub = Hub(epoch="e")
    hub.create_table("t", SCHEMA, indexes, retention=retention)
    return hub


def put(hub: Hub, *names: str) -> None:
    rows = [{"id": f"key {name}", "name": name} for name in names]
    hub.commit([Write("t", WriteKind.UPSERT, Batch.of_rows(SCHEMA.columns, rows))])


def remove(hub: Hub, *names: str) -> None:
    keys = [{"id": f"key {name}"} for name in names]
    hub.commit([Write("t", WriteKind.DELETE, Batch.of_rows(SCHEMA.columns, keys))])


def words(hub: Hub) -> Dictionary:
    found = hub.table("t").columns[1].dictionary
    assert found is not None
    return found


def names(hub: Hub) -> list[object]:
    return [row["name"] for row in hub.query(Query("t")).rows.to_rows()]


def test_texts_go_when_history_has_forgotten_their_rows() -> None:
    hub = hub_with()
    put(hub, *(str(n) for n in range(20)))
    remove(hub, *(str(n) for n in range(1, 20)))
    assert hub.drop_texts("t") == 0, "history can still tell what the rows were"
    hub.forget_history("t")
    assert hub.drop_texts("t") == 3 * 19, "keys, names, and what is computed of them"
    assert words(hub).count == 1 and names(hub) == ["0"]
    put(hub, "new", "1")
    assert names(hub) == ["0", "new", "1"]
    assert len(words(hub)) == 20, "codes are given again"
    hub.check()


def test_what_was_read_before_stays_what_it_was() -> None:
    hub = hub_with()
    put(hub, "a", "b", "c")
    before = hub.query(Query("t")).rows
    watch = hub.watch_table("t", old_values=True)
    remove(hub, "b", "c")
    hub.forget_history("t")
    assert hub.drop_texts("t") == 6
    put(hub, "x", "y", "z")
    assert [row["name"] for row in before.to_rows()] == ["a", "b", "c"]
    told = watch.take()
    assert [removes.keys.to_rows() for removes in told.removes] == [[{"id": "key b"}, {"id": "key c"}]]
    hub.check()


def test_before_images_hold_their_texts() -> None:
    hub = hub_with()
    put(hub, "b", "a")
    watch = hub.watch_table("t", old_values=True)
    hub.commit([Write("t", WriteKind.UPDATE, Batch.of_rows(SCHEMA.columns, [{"id": "key a", "name": "later"}]))])
    assert hub.drop_texts("t") == 0
    told = watch.take()
    assert "'a'" in repr(told.updates)
    hub.forget_history("t")
    assert hub.drop_texts("t") == 2
    hub.check()


def test_filters_do_not_take_a_text_for_another_that_has_its_code() -> None:
    hub = hub_with([IndexSchema("name", IndexKind.SORTED)])
    put(hub, *(f"old {n}" for n in range(10)), "kept")
    sessions = {
        "like": hub.open_session(Query("t", filter=Like("name", "old")), "like"),
        "equal": hub.open_session(Query("t", filter=Compare("name", CompareOp.EQUAL, "old 3")), "equal"),
        "less": hub.open_session(Query("t", filter=Compare("loud", CompareOp.LESS, "l")), "less"),
        "sorted": hub.open_session(Query("t", sort=(SortKey("name"),)), "sorted"),
    }
    remove(hub, *(f"old {n}" for n in range(10)))
    hub.forget_history("t")
    assert hub.drop_texts("t") > 20
    put(hub, *(f"new {n}" for n in range(10)), "old 3")
    found = {name: sorted(row["name"] for row in s.read().rows.to_rows()) for name, s in sessions.items()}  # type: ignore[type-var]
    assert found["like"] == found["equal"] == ["old 3"]
    assert found["less"] == ["kept"]
    assert found["sorted"] == sorted(["kept", "old 3", *(f"new {n}" for n in range(10))])
    hub.check()


def test_a_free_code_that_was_judged_is_judged_again() -> None:
    hub = hub_with()
    put(hub, "kept", *(f"old {n}" for n in range(10)))
    session = hub.open_session(Query("t", filter=Like("name", "old")), "like")
    remove(hub, *(f"old {n}" for n in range(10)))
    hub.forget_history("t")
    assert hub.drop_texts("t") == 30
    rows = [{"id": f"many {n}", "name": "kept"} for n in range(40)]  # all codes are judged at once, free ones too
    hub.commit([Write("t", WriteKind.UPSERT, Batch.of_rows(SCHEMA.columns, rows))])
    put(hub, "old 3", "old 7")
    assert sorted(str(row["name"]) for row in session.read().rows.to_rows()) == ["old 3", "old 7"]
    hub.check()


def test_it_is_done_where_it_is_worth_it_and_in_slices() -> None:
    hub = hub_with(retention=Retention(max_records=100))
    assert hub.drop_texts() == 0
    for start in range(0, 10 * SMALLEST, 512):
        put(hub, *(str(n) for n in range(start, start + 512)))
    hub.forget_history("t")
    assert words(hub).count == 10 * SMALLEST
    dropped = [hub.drop_texts(budget=2_000) for _ in range(25)]
    assert max(dropped) <= 2_000 and sum(dropped) >= 3 * (10 * SMALLEST - 700)
    assert words(hub).count < 700 and dropped[-1] == 0
    assert hub.counters.texts_dropped == sum(dropped)
    before = words(hub).memory_bytes()
    put(hub, *(str(n) for n in range(20_000, 20_100)))
    assert words(hub).memory_bytes() < 1.5 * before
    hub.check()


@pytest.mark.parametrize("seed", range(6))
def test_dictionary_with_labels_against_a_plain_dict(seed: int) -> None:
    rng, words, held = Random(seed), Dictionary(), dict[str, int]()

    class Owner:
        def mark_codes(self, dictionary: Dictionary, used: object) -> None:
            for code in held.values():
                used[code] = True  # type: ignore[index]

    owner = Owner()
    words.holders.add(owner)
    if seed % 2:
        words.labels()
    for _ in range(200):
        texts = [str(rng.randrange(40)) for _ in range(rng.randrange(5))]
        for text, code in zip(texts, words.encode(texts).tolist(), strict=True):
            assert held.setdefault(text, code) == code, "a code that is held has changed"
        for text in rng.sample(sorted(held), min(len(held), rng.randrange(4))):
            del held[text]
        if rng.random() < 0.4:
            before = words.texts
            kept = list(before)
            words.let_go(words.unheld()[: rng.choice((1, 3, 100))])
            assert before == kept or words.texts is before
        assert all(words.texts[code] == text for text, code in held.items())
        words.check()


@pytest.mark.parametrize("seed", range(3))
def test_histories_that_are_swept_after_every_step(seed: int) -> None:
    def also(world: worlds.World, rng: Random) -> None:
        sweep_texts(world, rng)
        world.verify(rng)

    worlds.play(400 + seed, 20, also, small=True, **(SHORT_HISTORY if seed % 2 else {}))
