"""Loading the five tables: from the data package over gRPC into an empty server."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from tesseract_grpc.cli.demo.boards import BOARD, BOARD_TABLE, TABLES
from tesseract_grpc.cli.demo.flights import build_flights
from tesseract_grpc.cli.demo.source import Source
from tesseract_grpc.client import AsyncEventHorizon, AsyncTesseract

BATCH_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was loaded, how fast, and the empty board that waits for flights."""

    rows: int
    seconds: float
    board: AsyncTesseract


def read_tables(source: Source) -> dict[str, Any]:
    """The five tables as Arrow tables, each with the columns of its definition."""
    raw = {name: source.read(name) for name in TABLES}
    raw["flights"] = build_flights(raw["flights"], raw["airports"])
    return {name: raw[name].select([column["name"] for column in columns]) for name, columns in TABLES.items()}


async def load(hub: AsyncEventHorizon, tables: dict[str, Any]) -> Loaded:
    """Creates the tables and sends their rows in batches, one commit each. Only the sending is timed."""
    created = {name: await hub.create_tesseract(name, columns) for name, columns in TABLES.items()}
    board = await hub.create_tesseract(BOARD, BOARD_TABLE)
    rows = 0
    started = time.perf_counter()
    for name, table in created.items():
        result = await table.ingest(tables[name], kind="insert", batch_rows=BATCH_ROWS)
        rows += result.total.inserted
    return Loaded(rows, time.perf_counter() - started, board)
