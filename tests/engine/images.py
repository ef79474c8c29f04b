"""Two hubs that must be one: what can be seen of them, and what they do next.

Everything that anybody can observe is brought into a form that compares by type and value, so that null is not NaN, 1
is not True, and an order is an order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

import numpy as np

from tesseract_grpc.engine.data.commit import Write
from tesseract_grpc.engine.data.errors import EngineError
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import CommitResult, Hub
from tesseract_grpc.engine.live.changes import Changes
from tesseract_grpc.engine.live.image import Ending, Piece

_NOT_SEEN = {"encoded"}
"""Fields of what readers are given that only its carrier uses."""


def seen(value: Any) -> Any:
    """A value as somebody sees it."""
    if isinstance(value, Batch):
        return [(name, vector.type.name, list(map(repr, vector.to_list()))) for name, vector in value.columns.items()]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if is_dataclass(value):
        return {each.name: seen(getattr(value, each.name)) for each in fields(value) if each.name not in _NOT_SEEN}
    if isinstance(value, (tuple, list)):
        return [seen(each) for each in value]
    return repr(value)


def told(changes: Changes, derived: bool) -> Any:
    """What a reader is told. Removes and updates have no order: it is that of slots, which an image does not keep. Nor
    have inserts where rows are derived and have no places."""
    found = seen(changes)
    groups = [*found["removes"], *found["updates"]]
    if derived and isinstance(found["inserts"], dict) and found["inserts"]["indexes"] == "None":
        groups.append(found["inserts"])
    for group in groups:
        for name, rows in group.items():
            if isinstance(rows, list):
                names = [column for column, _, _ in rows]
                group[name] = [names, sorted(zip(*(values for _, _, values in rows), strict=True))]
    return found


def rows_in_order(table: Table) -> Any:
    """The rows in the order of insertion, and their versions."""
    slots = table.live_slots()
    slots = slots[np.argsort(table.sequence[slots])]
    rows, versions = seen(table.batch(slots, table.schema.shown)), table.row_version[slots].tolist()
    if table.keyed_order:  # their order of coming is nobody's
        return sorted(zip(*(values for _, _, values in rows), map(repr, versions), strict=True))
    return rows, versions


def state_of(hub: Hub) -> dict[str, Any]:
    """All that a hub shows."""
    return {
        "version": hub.version,
        "now": hub.now,
        "tables": [
            {
                "name": name,
                "called": table.name,
                "schema": repr(table.schema.compact),
                "indexes": [repr(index.schema) for index in table.indexes.values()],
                "versions": (table.create_version, table.update_version),
                "next": None if table.keyed_order else table.next_sequence,
                "rows": rows_in_order(table),
            }
            for name, table in hub.tables.items()
        ],
        "derived": repr(hub.derived_tables),
        "sessions": [
            {
                "name": name,
                "query": repr(session.query),
                "closed": repr(session.resolved.query),
                "permanent": repr(session.permanent),
                "generation": session.generation,
                "columns": repr(session.columns),
                "rows": seen(session.read().rows),
                "total": session.total_count,
            }
            for name, session in hub.sessions.items()
        ],
    }


def same_state(one: Hub, other: Hub) -> None:
    mine, true = state_of(other), state_of(one)
    for part, wanted in true.items():
        if isinstance(wanted, list):
            for first, second in zip(mine[part], wanted, strict=True):
                assert first == second, f"{part}: {first}\nand not\n{second}"
        assert mine[part] == wanted, f"{part}: {mine[part]}\nand not\n{wanted}"


def restored(pieces: Sequence[Piece | Ending], hub: Hub) -> Hub:
    """A hub from an image of another."""
    found = Hub(hub.name, epoch=hub.epoch, limits=hub.limits)
    restoration = found.restoration()
    for piece in pieces:
        if isinstance(piece, Ending):
            restoration.finish(piece)
        else:
            restoration.take(piece)
    return found


def image_of(hub: Hub) -> list[Piece | Ending]:
    return list(hub.image().pieces())


class Twins:
    """Two hubs with the same readers, which do the same."""

    def __init__(self, one: Hub, other: Hub) -> None:
        self.hubs = (one, other)
        self.readers = [list(_readers(hub)) for hub in self.hubs]
        self.taken()

    def _both(self, *acts: Callable[[], CommitResult]) -> None:
        """Does the same to both, which must answer the same."""
        answers: list[Any] = []
        for act in acts:
            try:
                result = act()
            except EngineError as error:
                answers.append(f"{error.reason} {error}")
                continue
            answers.append(
                [
                    result.version,
                    seen(result.counts),
                    sorted(session.name for session in result.touched),
                    sorted(table.name for table in result.tables),
                    sorted((session.name, str(error)) for session, error in result.ended),
                ]
            )
        assert answers[0] == answers[1], f"{answers[1]}\nand not\n{answers[0]}"

    def tick(self, now_us: int) -> None:
        self._both(*(partial(hub.tick, now_us) for hub in self.hubs))

    def commit(self, writes: Sequence[Sequence[Write]]) -> None:
        """The same writes twice, for a write is of one commit."""
        self._both(*(partial(hub.commit, each) for hub, each in zip(self.hubs, writes, strict=True)))

    def taken(self) -> None:
        """What every reader is given, in both."""
        for mine, other in zip(*self.readers, strict=True):
            assert mine.closed == other.closed
            if mine.closed is None:
                derived = mine.table.keyed_order
                given, true = told(other.take(), derived), told(mine.take(), derived)
                assert given == true, f"{given}\nand not\n{true}"


def _readers(hub: Hub) -> Iterator[Any]:
    for session in hub.sessions.values():
        watch = session.watch()
        watch.snapshot()
        yield watch
    for name in hub.tables:
        yield hub.watch_table(name, old_values=True)


def advance(pieces: Iterator[Piece | Ending], found: list[Piece | Ending], steps: int) -> bool:
    """Takes some steps of an image; whether the ending has come."""
    for _ in range(steps):
        found.append(next(pieces))
        if isinstance(found[-1], Ending):
            return True
    return False
