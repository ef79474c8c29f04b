"""Which rows leave a table by themselves, and how much memory it may take: definitions, as they are kept.

Rows leave *by age* (a TIMESTAMP column lies further behind the hub's clock than `max_age_us`), or *by number* (there
are more than `max_records`; those that come first in `order_column` leave first). `expiry.py` finds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import DataType, TableSchema

LONGEST_US = 315_576_000_000 * 1_000_000
"""The longest duration of the protocol: ten thousand years."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Which rows leave by themselves. Zero and the empty name mean: not given."""

    max_age_us: int = 0
    age_column: str = ""
    max_records: int = 0
    order_column: str = ""
    interval_us: int = 0

    @property
    def order(self) -> str:
        """The column whose least values leave first; empty for the order in which rows came."""
        return self.order_column or self.age_column

    @property
    def at_ticks(self) -> bool:
        """Whether time makes rows leave."""
        return bool(self.max_age_us or self.interval_us)

    def due(self, before_us: int, now_us: int) -> bool:
        """Whether a tick from one moment to another looks at the table: when a multiple of the interval has passed.

        It follows from the hub's clock alone, so nothing has to be kept about the last time.
        """
        return not self.interval_us or before_us // self.interval_us != now_us // self.interval_us

    def renamed(self, names: Mapping[str, str]) -> Retention:
        """The same where columns have other names."""
        return replace(
            self,
            age_column=names.get(self.age_column, self.age_column),
            order_column=names.get(self.order_column, self.order_column),
        )


class MemoryPolicy(IntEnum):
    """What happens to a table that takes more memory than it may. The numbers are those of the wire."""

    REFUSE = 1
    EVICT = 2


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """How much memory a table may take."""

    max_bytes: int
    policy: MemoryPolicy = MemoryPolicy.REFUSE

    @property
    def evicts(self) -> bool:
        """Whether rows leave to make room."""
        return self.policy is MemoryPolicy.EVICT


def check_retention(retention: Retention | None, schema: TableSchema) -> Retention | None:
    """A retention that fits a table; None for one that says nothing. Raises InvalidRequest."""
    if retention is None or retention == Retention():
        return None
    for name, value in (("max_age", retention.max_age_us), ("interval", retention.interval_us)):
        if not 0 <= value <= LONGEST_US:
            raise _bad(name, f"'{name}' is no time from now: {value / 1e6:g} s")
    if retention.max_records < 0:
        raise _bad("max_records", f"max_records is {retention.max_records}; 0 means no limit")
    if retention.max_age_us and not retention.age_column:
        raise _bad("age_column", "max_age needs age_column, the TIMESTAMP column that says how old a row is")
    if retention.interval_us and not (retention.max_age_us or retention.max_records):
        raise _bad("interval", "interval says how often to look, and neither max_age nor max_records for what")
    if retention.age_column:
        column = schema.columns[schema.position(retention.age_column, field="retention.age_column")]
        if column.type is not DataType.TIMESTAMP:
            raise InvalidRequest(
                Reason.WRONG_TYPE,
                f"column '{column.name}' is {column.type.name}; the age of a row is told by a TIMESTAMP",
                field="retention.age_column",
            )
    if retention.order_column:
        column = schema.columns[schema.position(retention.order_column, field="retention.order_column")]
        if column.type is DataType.JSON:
            raise InvalidRequest(
                Reason.WRONG_TYPE,
                f"column '{column.name}' is JSON, which has no order",
                field="retention.order_column",
            )
    return retention


def check_memory_limit(limit: MemoryLimit | None) -> MemoryLimit | None:
    """A memory limit that can be kept to; None for one that says nothing. Raises InvalidRequest."""
    if limit is None:
        return None
    if limit.max_bytes < 0:
        raise InvalidRequest(
            Reason.MALFORMED_REQUEST,
            f"max_bytes is {limit.max_bytes}; 0 means no limit",
            field="memory_limit.max_bytes",
        )
    return limit if limit.max_bytes else None


def _bad(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(Reason.MALFORMED_REQUEST, message, field=f"retention.{field}")
