"""Columns that depend on a row's place among the rows of its partition."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from tesseract_grpc.engine.query.sort_key import SortKey


class WindowFunction(IntEnum):
    """What a window column is. The numbers are those of the wire."""

    ROW_NUMBER = 1
    RANK = 2
    DENSE_RANK = 3
    LAG = 4
    LEAD = 5
    SUM = 6
    AVG = 7
    COUNT = 8
    MIN = 9
    MAX = 10


@dataclass(frozen=True, slots=True)
class WindowColumn:
    """A function over the rows of a partition in an order: `rows` of them up to this one, or all up to this one."""

    name: str
    function: WindowFunction
    column: str = ""
    partition_by: tuple[str, ...] = ()
    order_by: tuple[SortKey, ...] = ()
    offset: int = 1
    rows: int | None = None
