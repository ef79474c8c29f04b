"""What writes, queries and calls took."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tesseract_grpc._proto.tesseract.v1 import diagnosis_service_pb2

from .diagnosis import seconds_of


@dataclass(frozen=True, slots=True)
class PerformanceResult:
    """What one kind of operation took."""

    operation: str
    description: str
    operations: int
    """How often it was done."""
    rows: int
    """The rows that were written or read by all of them."""
    seconds: float
    """How long all of them took."""
    operations_per_second: float
    p50_us: float
    """The median of one operation, in microseconds."""
    p99_us: float
    """99 of 100 took no longer."""

    @classmethod
    def of(cls, result: diagnosis_service_pb2.PerformanceResult) -> PerformanceResult:
        """From the wire."""
        return cls(
            result.operation,
            result.description,
            result.operations,
            result.rows,
            seconds_of(result.duration),
            result.operations_per_second,
            result.p50_us,
            result.p99_us,
        )

    @classmethod
    def measured(cls, operation: str, description: str, seconds: Sequence[float], rows: int) -> PerformanceResult:
        """From the times of single operations."""
        total = sum(seconds)
        p50, p99 = (float(np.percentile(seconds, part)) * 1e6 for part in (50, 99)) if seconds else (0.0, 0.0)
        rate = len(seconds) / total if total else 0.0
        return cls(operation, description, len(seconds), rows, total, rate, p50, p99)


@dataclass(frozen=True, slots=True)
class PerformanceReport:
    """A table, measured: on a private copy inside of the server, and calls of this client to the real one."""

    table: str
    copied_rows: int
    """The rows of the copy; 0 when the table is empty, and rows were made up."""
    results: tuple[PerformanceResult, ...]
    """In the engine alone, on the copy: no wire, no log."""
    round_trips: tuple[PerformanceResult, ...]
    """Calls to the real server that read and write nothing: with the wire, both ends, and whoever else was calling."""

    def to_dict(self) -> dict[str, Any]:
        """Everything, in values that JSON has."""
        return asdict(self)

    def to_json(self, *, indent: int | None = 2) -> str:
        """The same as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent)

    def to_text(self) -> str:
        """A report for people, in lines."""
        copied = f"a private copy of {self.copied_rows:,} rows" if self.copied_rows else "rows that were made up"
        lines = [f"table {self.table}: in the engine, on {copied}", *_lines(self.results)]
        return "\n".join(
            [*lines, "", "round trips of this client to the server, reads alone", *_lines(self.round_trips)]
        )


def _lines(results: Sequence[PerformanceResult]) -> list[str]:
    head = ("operation", "a second", "p50 µs", "p99 µs", "times", "what")
    rows = [
        (
            each.operation,
            f"{each.operations_per_second:,.0f}",
            f"{each.p50_us:,.1f}",
            f"{each.p99_us:,.1f}",
            f"{each.operations:,}",
            each.description,
        )
        for each in results
    ]
    widths = [max(map(len, cells)) for cells in zip(head, *rows, strict=True)]
    return [
        "  "
        + "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:5], widths[1:5], strict=True)),
                row[5],
            ]
        )
        for row in (head, *rows)
    ]
