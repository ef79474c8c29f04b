"""A key that was deleted and inserted again is one row to a reader.

Inside the engine a row is its place in the order of insertion, so a row that is inserted again is another row. A reader
knows rows by key, and the net change of a key that it holds and that is still there is an update and, where rows have
an order, a move; a key is never removed and inserted by one change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tesseract_grpc.engine.data.delta import Slots, join_stored
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.live.changes import Changes, Inserts, Moves, Removes, Updates


@dataclass(slots=True)
class _Split:
    """The removes that stay removes, and those whose keys are back: where they are now, and their old rows."""

    gone: list[Removes]
    slots: list[Slots]
    old: list[Batch | None]


def join_reborn(changes: Changes, table: Relation, slots: Slots) -> None:
    """Makes updates and moves of the keys that `changes` removes and inserts. `slots` are those of its inserts, row by
    row. O(removes), and O(inserts) where there are any."""
    inserts = changes.inserts
    if inserts is None or not changes.removes:
        return
    split = _split(changes.removes, table, slots)
    if not split.slots:
        return
    shown = [table.schema.position(name) for name in inserts.rows.columns]
    changes.removes = tuple(split.gone)
    if len(shown) > len(table.schema.key):
        changes.updates += tuple(
            Updates(table.batch(again, shown), _values(old, table))
            for again, old in zip(split.slots, split.old, strict=True)
        )
    back = np.isin(slots, np.concatenate(split.slots))
    stayed, came = np.flatnonzero(back), np.flatnonzero(~back)
    if inserts.indexes is not None:
        keys = table.batch(slots[stayed], table.schema.key)
        changes.moves = _moved(changes.moves, Moves(keys, inserts.indexes[stayed]))
    indexes = None if inserts.indexes is None else inserts.indexes[came]
    changes.inserts = Inserts(inserts.rows.take(came), indexes) if len(came) else None


def _split(removes: tuple[Removes, ...], table: Relation, slots: Slots) -> _Split:
    split = _Split([], [], [])
    for part in removes:
        now = table.find(_present_codes(part.keys, table))
        again = (now >= 0) & np.isin(now, slots)
        if not again.any():
            split.gone.append(part)
            continue
        back, rest = np.flatnonzero(again), np.flatnonzero(~again)
        split.slots.append(now[back])
        split.old.append(None if part.old_rows is None else part.old_rows.take(back))
        if len(rest):
            old = None if part.old_rows is None else part.old_rows.take(rest)
            split.gone.append(Removes(part.reason, part.keys.take(rest), old))
    return split


def _present_codes(keys: Batch, table: Relation) -> Batch:
    """Keys as the table has them now: a text that was let go since, and its code, may belong to another."""
    columns = dict(keys.columns)
    for column in table.key_columns:
        name, dictionary = column.schema.name, column.dictionary
        vector = columns[name]
        if dictionary is None or vector.texts is None or vector.texts is dictionary.texts:
            continue
        used, places = np.unique(vector.values, return_inverse=True)
        known = vector.texts or [""]  # nulls alone have codes of no text
        codes = dictionary.find_many([known[code] for code in used.tolist()])
        columns[name] = Vector(vector.type, codes[places], vector.valid, dictionary.texts)
    return Batch(keys.length, columns)


def _values(old: Batch | None, table: Relation) -> Batch | None:
    """Old rows without their keys, which do not change."""
    if old is None:
        return None
    keys = {column.schema.name for column in table.key_columns}
    return Batch(old.length, {name: vector for name, vector in old.columns.items() if name not in keys})


def _moved(moves: Moves | None, more: Moves) -> Moves:
    """Both, by rising position."""
    if moves is None:
        return more
    columns: dict[str, Vector] = {}
    for name, mine in moves.keys.columns.items():
        theirs = more.keys.columns[name]
        values, valid = join_stored((mine.values, mine.valid), (theirs.values, theirs.valid))
        columns[name] = Vector(mine.type, values, valid, mine.texts)
    indexes = np.concatenate((moves.indexes, more.indexes))
    order = np.argsort(indexes)
    return Moves(Batch(len(indexes), columns).take(order), indexes[order])
