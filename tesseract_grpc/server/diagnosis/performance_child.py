"""The process that measures: reads a copy and how often from its standard input, writes what it found to its output.

It is a process of its own so that the server goes on as fast as it can, and so that it can be ended at any moment. What
goes in and out is pickled: both ends are the same program, and nobody else has hold of the pipe.
"""

from __future__ import annotations

import pickle
import sys
from dataclasses import dataclass

from tesseract_grpc.engine.query.expression.parse import warm_up
from tesseract_grpc.server.diagnosis.performance_plan import Copy
from tesseract_grpc.server.diagnosis.performance_run import PerformanceRun


@dataclass(frozen=True, slots=True)
class Found:
    """What one kind of operation took."""

    operation: str
    description: str
    operations: int
    rows: int
    seconds: float
    p50_us: float
    p99_us: float


def measure(copy: Copy, operations: int) -> list[Found]:
    """Everything that is measured."""
    warm_up()
    return [
        Found(
            each.operation,
            each.description,
            len(each.nanoseconds),
            each.rows,
            sum(each.nanoseconds) / 1e9,
            each.percentile(50),
            each.percentile(99),
        )
        for each in PerformanceRun(copy, operations).run()
    ]


def main() -> None:
    """The process."""
    copy, operations = pickle.load(sys.stdin.buffer)  # noqa: S301 - the parent process is the same program
    pickle.dump(measure(copy, operations), sys.stdout.buffer)
