"""Which rows depend on the present: those of a filter that asks for it, and of any step below that does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tesseract_grpc.engine.data.table import Table

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.result import Result
    from tesseract_grpc.engine.live.source import Source


def timely(result: Result, source: Source) -> bool:
    """Whether the rows of a result over a source come, leave or change with time. O(steps)."""
    return result.timely or depends_on_time(source)


def depends_on_time(source: Source) -> bool:
    """Whether the rows of a relation come, leave or change with time. O(steps)."""
    node = source.owner
    if node is None:
        table = source.table
        return isinstance(table, Table) and table.timely
    return node.timely or any(part.timely or depends_on_time(part.source) for part in node.inputs)
