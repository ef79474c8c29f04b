"""DiagnosisService: measuring on a copy of a table.

The rows are copied as those of a diagnosis are, and handed to a process of its own, which makes a hub of them and
measures. The hub that is served is read and nothing else: no version, no log, no index and no counter of it changes.
When the call ends early, so does the process.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.schema import IndexSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.live.still import Still
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.values import encode_duration
from tesseract_grpc.server.diagnosis.performance_child import Found
from tesseract_grpc.server.diagnosis.performance_plan import copy_of
from tesseract_grpc.server.diagnosis.reading import read_rows
from tesseract_grpc.server.errors import invalid, limit_exceeded
from tesseract_grpc.server.host import Hosts
from tesseract_grpc.server.logs import logger
from tesseract_grpc.server.lookup import find_table

pb = twin.diagnosis_service

OPERATIONS, MOST_OPERATIONS = 1_000, 1_000_000
ROWS, MOST_ROWS = 100_000, 1_000_000
LONGEST = 120.0
"""Seconds after which a measurement is given up: each kind of operation ends after two, so this is a machine that
hangs."""

_ROOT = str(Path(__file__).resolve().parents[3])
"""Where this program is, so that the process finds the same."""
_CHILD = "from tesseract_grpc.server.diagnosis.performance_child import main; main()"


class PerformanceTests:
    """Measurements; one at a time on a server, or they would measure each other."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._turn = asyncio.Lock()

    async def test_performance(self, request: pb.TestPerformanceRequest, call: Call) -> pb.TestPerformanceResponse:
        """Measures writes and queries on a copy of a table."""
        operations = _within(request.operations, OPERATIONS, MOST_OPERATIONS, "operations")
        most = _within(request.max_rows, ROWS, MOST_ROWS, "max_rows")
        host, table = find_table(self._hosts, request.table, "table")
        if table.name in host.hub.derived_tables:
            message = (
                f"table '{table.name}' is derived from a query and cannot be written; measure a table that it reads"
            )
            raise invalid(message, "table", Reason.NOT_WRITABLE)
        async with self._turn:
            host, table = find_table(self._hosts, request.table, "table")
            still = host.hub.image().stills([table.name])[table.name]
            try:
                indexes = [index.schema for index in table.indexes.values()]
                pieces = await read_rows(still, host.name, table.name, most)
            finally:
                still.close()
            found, copied = await _measured(still, indexes, pieces, operations)
        return pb.TestPerformanceResponse(results=map(_encode, found), copied_rows=copied)


def _within(number: int, default: int, most: int, name: str) -> int:
    if number < 0:
        raise invalid(f"{name} is {number}; it cannot be negative", name)
    if number > most:
        raise limit_exceeded(name, most, f"{name} is {number:,}", field=name)
    return number or default


async def _measured(
    still: Still, indexes: Sequence[IndexSchema], pieces: Sequence[Batch], operations: int
) -> tuple[list[Found], int]:
    """What the process found, and how many rows it was given."""
    job, copied = await asyncio.to_thread(_job, still, indexes, pieces, operations)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((_ROOT, os.environ.get("PYTHONPATH", "")))}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _CHILD,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        async with asyncio.timeout(LONGEST):
            answer, complaint = await process.communicate(job)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        logger().error("performance.failed", code=process.returncode, trace=complaint.decode(errors="replace")[-2_000:])
        raise RuntimeError(f"the process that measures ended with {process.returncode}")
    found: list[Found] = pickle.loads(answer)  # noqa: S301 - the process that was started above is the same program
    return found, copied


def _job(still: Still, indexes: Sequence[IndexSchema], pieces: Sequence[Batch], operations: int) -> tuple[bytes, int]:
    """What the process reads. For a worker thread: O(cells)."""
    copy = copy_of(still.shown, indexes, pieces)
    return pickle.dumps((copy, operations), pickle.HIGHEST_PROTOCOL), 0 if copy.made_up else copy.rows.length


def _encode(found: Found) -> pb.PerformanceResult:
    message = pb.PerformanceResult(
        operation=found.operation,
        description=found.description,
        operations=found.operations,
        rows=found.rows,
        operations_per_second=found.operations / found.seconds if found.seconds else 0.0,
        p50_us=found.p50_us,
        p99_us=found.p99_us,
    )
    encode_duration(found.seconds, message.duration)
    return message
