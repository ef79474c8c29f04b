"""The boards' mirrors: kept current by the client, written down for the measure, compared with fresh queries and with
DuckDB."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
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
        fresh = await table.query(start=start, limit=limit, min_version=version, **self.board.question)
        return self._compare(fresh.to_list(), fresh.total_count, "a fresh query")

    def differences_from(self, answer: list[dict[str, Any]]) -> Iterator[str]:
        """What is not equal to all rows of the board in DuckDB's answer."""
        start, limit = self.board.window or (0, len(answer))
        return self._compare(answer[start : start + limit], len(answer), "DuckDB")

    def _compare(self, rows: list[dict[str, Any]], total: int, whose: str) -> Iterator[str]:
        return compare(self.board.id, self.mirror.rows(), rows, self.mirror.total_count, total, whose)


async def open_boards(
    hub: AsyncEventHorizon, table: AsyncTesseract, boards: Sequence[Board], record: Record, stack: AsyncExitStack
) -> list[Watching]:
    """Opens a session and a mirror for each board; `stack` closes them. Every delta goes into `record`."""
    watching = []
    for board in boards:
        session = await hub.create_session(board.id, table=table, **board.question)
        mirror = session.mirror(board.window)
        mirror.on("change", partial(_note, record, board))
        watching.append(Watching(board, await stack.enter_async_context(mirror)))
    return watching


def _note(record: Record, board: Board, event: object) -> None:
    """Writes a delta down; the mirror has applied it just now. A group's key does not tell which flights moved it."""
    received = time.perf_counter()
    if isinstance(event, Delta):
        keys = {change.key["flight_id"] for change in event.changes} if board.flights else ()
        record.deliveries.append(Delivery(received, event.from_version, event.version, keys))


def compare(
    name: str,
    mirrored: list[dict[str, Any]],
    rows: list[dict[str, Any]],
    mirrored_total: int,
    total: int,
    whose: str = "a fresh query",
) -> Iterator[str]:
    """The differences between a mirror and somebody's result, in words: rows, order, positions, counts."""
    if mirrored_total != total:
        yield f"{name}: the mirror counts {mirrored_total} rows in all, {whose} {total}"
    if len(mirrored) != len(rows):
        yield f"{name}: the mirror holds {len(mirrored)} rows, {whose} {len(rows)}"
    for position, (have, want) in enumerate(zip(mirrored, rows, strict=False)):
        if have != want:
            yield f"{name}: position {position} is {have}, and {whose} says {want}"
            return
