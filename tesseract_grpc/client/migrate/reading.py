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
            statement = statement.where(self._after())
            values = {f"after{at}": value for at, value in enumerate(after)}
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

    def _after(self) -> sa.ColumnElement[bool]:
        """That a row stands behind the last one. As a comparison of rows where an index serves that; else written out,
        with the first column alone in front, by which an index is entered."""
        bound = [sa.bindparam(f"after{at}", type_=UNTYPED) for at in range(len(self._keys))]
        if len(bound) == 1:
            return self._keys[0] > bound[0]
        if self._plan.dialect in ("postgresql", "sqlite"):
            return sa.tuple_(*self._keys) > sa.tuple_(*bound)
        behind = self._keys[-1] > bound[-1]
        for key, value in reversed(list(zip(self._keys[:-1], bound[:-1], strict=True))):
            behind = sa.or_(key > value, sa.and_(key == value, behind))
        return sa.and_(self._keys[0] >= bound[0], behind)

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
