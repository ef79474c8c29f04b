"""The columns of a table at one version, read while commits go on, and profiled in a worker thread.

The loop copies rows in steps of about a millisecond, between which everybody else has a turn; rows that are written
meanwhile are read as they were. So a diagnosis takes the memory of the table's values once more, until it is through,
and no commit waits for longer than a step.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.live.still import Still
from tesseract_grpc.engine.operators.column_profile import ColumnProfile, profile_column
from tesseract_grpc.server.errors import Refusal
from tesseract_grpc.server.names import of_table

CELLS = 200_000
"""So many values are copied in one step."""
SMALLEST = 64


async def read_rows(still: Still, hub: str, name: str, most: int | None = None) -> list[Batch]:
    """The rows of a table, or the first of them, in the order in which they came. Raises Refusal when it is altered."""
    await asyncio.to_thread(still.arrange)
    found: list[Batch] = []
    wanted = still.left if most is None else min(most, still.left)
    step = max(SMALLEST, CELLS // max(1, len(still.shown)))
    while wanted:
        if still.closed is not None and still.closed is not Reason.TABLE_DELETED:
            message = f"table '{name}' was changed while it was read: {still.closed}"
            raise Refusal(Reason.TABLE_CHANGED, message, resource=of_table(hub, name), hint="ask again")
        found.append(still.read(min(step, wanted)))
        wanted -= len(found[-1])
        await asyncio.sleep(0)
    return found


@dataclass(frozen=True, slots=True)
class Asked:
    """How much is told of each column."""

    top: int
    samples: int


async def read_profiles(still: Still, hub: str, name: str, asked: Asked) -> tuple[ColumnProfile, ...]:
    """The profiles of all columns, at the version of `still`. Raises Refusal when the table is altered meanwhile."""
    pieces: list[list[Vector]] = [[] for _ in still.shown]
    for piece in await read_rows(still, hub, name):
        for column, vector in zip(pieces, piece.columns.values(), strict=True):
            column.append(vector)
    found = []
    for schema, column in zip(still.shown, pieces, strict=True):
        found.append(await asyncio.to_thread(profile_column, schema, column, asked.top, asked.samples))
        column.clear()
    return tuple(found)
