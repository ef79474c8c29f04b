"""DuckDB's answers to the boards' questions.

The judge stands beside the server and hears nothing from it: it keeps the rows that the replay has written in a dict,
and at the end gives them, and the files of the other tables, to DuckDB. So what the boards show is compared with what
another engine finds in the same rows. DuckDB need not be installed to run the demo; then there is no judge.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from tesseract_grpc.cli.demo.boards import BOARD, BOARD_TABLE, Board
from tesseract_grpc.cli.demo.replay import FINISHED, DayStart, Row, Step

DIMENSIONS = ("airlines", "airports", "planes")


class Judge:
    """What was written, and DuckDB to ask about it."""

    def __init__(self, tables: dict[str, Any]) -> None:
        self._tables = tables
        self._rows: dict[int, Row] = {}

    @classmethod
    def find(cls, tables: dict[str, Any]) -> Judge | None:
        """A judge, where DuckDB is installed. `tables` are the files' tables."""
        return cls(tables) if importlib.util.find_spec("duckdb") else None

    def note(self, step: Step) -> None:
        """What this step has written."""
        if isinstance(step, DayStart):
            self._rows = {key: row for key, row in self._rows.items() if row["status"] not in FINISHED}
            self._rows |= {row["flight_id"]: row for row in step.rows}
        else:
            key = step.row["flight_id"]
            self._rows[key] = {**self._rows[key], **step.row}

    def answers(self, boards: Sequence[Board]) -> Iterator[list[Row]]:
        """All rows of each board, in order."""
        import duckdb

        with duckdb.connect() as connection:
            connection.register(BOARD, self._board())
            for name in DIMENSIONS:
                connection.register(name, self._tables[name])
            for board in boards:
                found = connection.execute(board.sql)
                names = [column[0] for column in found.description]
                yield [dict(zip(names, map(_aware, values), strict=True)) for values in found.fetchall()]

    def _board(self) -> Any:
        """The rows as an Arrow table. Times are UTC without saying so: DuckDB then needs no time zones."""
        import pyarrow as pa

        kinds = {
            "int64": pa.int64(),
            "string": pa.string(),
            "enum": pa.string(),
            "timestamp": pa.timestamp("us", "UTC"),
        }
        rows, columns = list(self._rows.values()), {}
        for column in BOARD_TABLE:
            values = pa.array([row.get(column["name"]) for row in rows], kinds[column["type"]])
            columns[column["name"]] = values.cast(pa.timestamp("us")) if column["type"] == "timestamp" else values
        return pa.table(columns)


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
