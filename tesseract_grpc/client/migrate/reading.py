"""Rows in the order of their key, page by page.

A page is one statement: the rows after the last key, ordered by the key, at most so many (keyset paging). So the
database walks along the index of the key and never counts rows that it has given already, as OFFSET would; and a read
that was interrupted goes on from a key. Within a page, rows come from a cursor of the server, some at a time, so that
neither side ever holds more than a batch of them.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import types as sql
from sqlalchemy.dialects import mysql

from ..core.batch import Block
from .checksum import Checksum
from .database import Database
from .plan import Plan, PlannedColumn

PAGE_BATCHES = 20
"""How many batches a statement brings."""
UNTYPED: sql.TypeEngine[Any] = sql.NullType()


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows, and where they end."""

    block: Block
    last: tuple[Any, ...]
    """The values of the order's columns in the last row, as the driver has them."""
    checksum: Checksum


Batches: TypeAlias = "Generator[Batch, None, None]"


@dataclass(slots=True)
class Timing:
    """Where the time went, in seconds."""

    reading: float = 0.0
    converting: float = 0.0


class Reader:
    """Reads the rows of a plan. `order` is the key, or the updated-at column and the key."""

    def __init__(self, database: Database, plan: Plan, order: Sequence[str] = ()) -> None:
        self._database, self._plan = database, plan
        self._order = tuple(order) or plan.key
        self.timing = Timing()
        rows = plan.relation.rows
        self._rows = rows
        self._keys = [sa.type_coerce(rows.c[name], UNTYPED) for name in self._order]
        self._kinds = [_kind_of(plan, name) for name in self._order]
        shown = [self._expression(column).label(f"c{at}") for at, column in enumerate(plan.columns)]
        self._width = len(shown)
        self._select = sa.select(*shown, *[key.label(f"k{at}") for at, key in enumerate(self._keys)])

    def count(self, connection: sa.Connection) -> int:
        """How many rows there are. A scan."""
        return int(connection.execute(sa.select(sa.func.count()).select_from(self._rows)).scalar_one())

    def highest(self, connection: sa.Connection, name: str) -> Any:
        """The highest value of a column, as the driver has it; None when there is none."""
        column = sa.type_coerce(self._rows.c[name], UNTYPED)
        return connection.execute(sa.select(sa.func.max(column, type_=UNTYPED))).scalar()

    def batches(self, connection: sa.Connection, after: tuple[Any, ...] | None = None, *, since: Any = None) -> Batches:
        """All rows after a key, or from a value of the order's first column on, in batches. To be closed before the
        connection is."""
        size = self._plan.settings.batch
        page = size * PAGE_BATCHES
        while True:
            got = 0
            with closing(self.rows(connection, after, since, page, size)) as pieces:
                for rows in pieces:
                    got += len(rows)
                    after = tuple(rows[-1][self._width :])
                    started = time.perf_counter()
                    block = self._plan.block(rows)
                    batch = Batch(block, after, Checksum.of(block, self._plan.key_names))
                    self.timing.converting += time.perf_counter() - started
                    yield batch
            if got < page:
                return

    def rows(
        self, connection: sa.Connection, after: tuple[Any, ...] | None, since: Any, page: int, size: int
    ) -> Generator[Sequence[Any], None, None]:
        """One page as the driver gives it, `size` rows at a time; the last values of a row are those of the order."""
        statement = self._select.order_by(*self._keys).limit(page)
        values: dict[str, Any] = {}
        if after is not None:
            statement = statement.where(self._after(after))
            values = {f"after{at}": self._comparable(at, value) for at, value in enumerate(after)}
        elif since is not None:
            statement = statement.where(self._keys[0] >= sa.bindparam("since", type_=UNTYPED))
            values = {"since": since}
        started = time.perf_counter()
        with self._database.errors("cannot read"):
            how = {"stream_results": True, "max_row_buffer": size}
            result = connection.execute(statement, values, execution_options=how)
            try:
                while rows := result.fetchmany(size):
                    self.timing.reading += time.perf_counter() - started
                    yield rows
                    started = time.perf_counter()
            finally:
                result.close()
        self.timing.reading += time.perf_counter() - started

    def _comparable(self, at: int, value: Any) -> Any:
        """A value of the order as the database compares it: bits of MySQL are a number, and come as bytes."""
        return int.from_bytes(value) if isinstance(self._kinds[at], mysql.BIT) and value is not None else value

    def _after(self, after: tuple[Any, ...]) -> sa.ColumnElement[bool]:
        """That a row stands behind the last one. As a comparison of rows where an index serves that; else written out,
        with the first column alone in front, by which an index is entered."""
        bound = [sa.bindparam(f"after{at}", type_=UNTYPED) for at in range(len(self._keys))]
        if self._plan.dialect in ("postgresql", "sqlite") and len(bound) > 1:
            return sa.tuple_(*self._keys) > sa.tuple_(*bound)
        behind = self._above(len(bound) - 1, bound[-1], after[-1])
        if len(bound) == 1:
            return behind
        for at in reversed(range(len(bound) - 1)):
            same = sa.and_(self._keys[at] == bound[at], behind)
            behind = sa.or_(self._above(at, bound[at], after[at]), same)
        return sa.and_(self._above(0, bound[0], after[0], equal=True), behind)

    def _above(
        self, at: int, bound: sa.BindParameter[Any], value: Any, *, equal: bool = False
    ) -> sa.ColumnElement[bool]:
        """That a column of the order is above a value, or equal to it. MySQL orders an ENUM as it was declared and
        compares it as a text, so there those that are above are named."""
        key, kind = self._keys[at], self._kinds[at]
        if not isinstance(kind, sql.Enum):
            return key >= bound if equal else key > bound
        names = list(kind.enums)
        first = names.index(value) + (not equal) if value in names else 0
        return key.in_(names[first:])

    def _expression(self, column: PlannedColumn) -> sa.ColumnElement[Any]:
        """What is selected for a column."""
        place: sa.ColumnElement[Any] = sa.type_coerce(self._rows.c[column.source.name], UNTYPED)
        reads = column.taken.reads
        if reads == "text":
            return sa.cast(place, sql.Text)
        if reads == "json" and self._plan.dialect == "postgresql":
            return sa.cast(sa.func.to_json(place), sql.Text)
        if reads == "hstore":
            return sa.cast(sa.func.hstore_to_json(place), sql.Text)
        if reads == "utc" and self._plan.dialect == "postgresql":  # a time without a zone is made faster in Python
            return sa.func.timezone("UTC", place, type_=UNTYPED)
        return place


def _kind_of(plan: Plan, name: str) -> sql.TypeEngine[Any] | None:
    """The type of a column that MySQL does not compare as it orders it; None for all others."""
    if plan.dialect != "mysql":
        return None
    type = next(column.type for column in plan.relation.columns if column.name == name)
    return type if isinstance(type, sql.Enum | mysql.BIT) else None
