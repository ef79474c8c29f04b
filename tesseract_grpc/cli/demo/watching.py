"""The boards' mirrors: kept current by the client, written down for the measure, compared with fresh queries."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from tesseract_grpc.cli.demo.boards import Board
from tesseract_grpc.cli.demo.display import BoardView
from tesseract_grpc.cli.demo.measure import Delivery, Record
from tesseract_grpc.client import AsyncEventHorizon, AsyncMirror, AsyncTesseract, Delta

CATCH_UP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Watching:
    """One open board."""

    board: Board
    mirror: AsyncMirror

    def view(self) -> BoardView:
        """What the mirror holds now."""
        return BoardView(self.board, self.mirror.rows(), self.mirror.total_count)

    async def differences(self, table: AsyncTesseract, version: int) -> Iterator[str]:
        """What is not equal when the mirror has everything up to `version` and the table is asked anew."""
        await self.mirror.wait_for(version, CATCH_UP_SECONDS)
        start, limit = self.board.window or (0, None)
        fresh = await table.query(
            list(self.board.filter), sort=list(self.board.sort), start=start, limit=limit, min_version=version
        )
        return compare(self.board.id, self.mirror.rows(), fresh.to_list(), self.mirror.total_count, fresh.total_count)


async def open_boards(
    hub: AsyncEventHorizon, table: AsyncTesseract, boards: Sequence[Board], record: Record, stack: AsyncExitStack
) -> list[Watching]:
    """Opens a session and a mirror for each board; `stack` closes them. Every delta goes into `record`."""
    watching = []
    for board in boards:
        session = await hub.create_session(board.id, table=table, filter=list(board.filter), sort=list(board.sort))
        mirror = session.mirror(board.window)
        mirror.on("change", lambda event: _note(record, event))
        watching.append(Watching(board, await stack.enter_async_context(mirror)))
    return watching


def _note(record: Record, event: object) -> None:
    """Writes a delta down; the mirror has applied it just now."""
    received = time.perf_counter()
    if isinstance(event, Delta):
        keys = {change.key["flight_id"] for change in event.changes}
        record.deliveries.append(Delivery(received, event.from_version, event.version, keys))


def compare(
    name: str, mirrored: list[dict[str, Any]], fresh: list[dict[str, Any]], mirrored_total: int, fresh_total: int
) -> Iterator[str]:
    """The differences between a mirror and a fresh result, in words: rows, order, positions, counts."""
    if mirrored_total != fresh_total:
        yield f"{name}: the mirror counts {mirrored_total} rows in all, a fresh query {fresh_total}"
    if len(mirrored) != len(fresh):
        yield f"{name}: the mirror holds {len(mirrored)} rows, a fresh query {len(fresh)}"
    for position, (have, want) in enumerate(zip(mirrored, fresh, strict=False)):
        if have != want:
            yield f"{name}: position {position} is {have}, and should be {want}"
            return
