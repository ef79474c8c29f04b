"""How many rows an operator may make.

A filter has no more rows than what it reads, but joins and unions multiply: two tables with one value in common have as
many pairs as the product of their rows, and a union of a union of a union doubles each time. What they would have is
known before it is made, so a query of a few words cannot take all memory.
"""

from __future__ import annotations

from tesseract_grpc.engine.data.errors import OutOfRange, Reason

MOST_ROWS = 10_000_000
"""The most rows of a join or a union."""


def demand_room(rows: int, what: str, field: str) -> None:
    """Refuses more rows than an operator may have, before they are made. Raises OutOfRange."""
    if rows > MOST_ROWS:
        raise OutOfRange(
            Reason.LIMIT_EXCEEDED,
            f"the {what} would have {rows:,} rows; the limit is {MOST_ROWS:,}",
            field=field,
            hint="filter or group what it reads first",
        )
