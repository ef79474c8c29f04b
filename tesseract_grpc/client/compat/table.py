"""A table with the ancestor's methods, over a table of the client.

What differs from the client's table is what differs in the ancestor: `add` passes over keys that exist, `update` adds
what does not. And a column without a type gets it from the first rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..core.alterations import Alterations
from ..core.coerce import infer_type
from ..core.datatype import FLOAT64, INT64, UNSPECIFIED, name_of_type
from ..core.rows import Row, Rows
from ..core.schema import Schema
from ..core.writes import Condition, WriteBatch, WriteResult
from ..sync.tesseract import Tesseract
from .filters import filter_of
from .session import Session
from .spelling import Spelled

if TYPE_CHECKING:
    from .hub import EventHorizon

_UNLESS_THERE = Condition(if_absent=True, skip_unmatched=True)
_CHANGES = ("change", "dataUpdate", "data_update")


class Table(Spelled):
    """A table. Made by `createTesseract`, `createTable`, or directly: `Table("users", {"columns": [...]})`. What it
    does not define itself (`watch`, `ingest`, `count`, `alter`, ..) is that of the client's table."""

    source_kind = "table"

    def __init__(self, name: str, config: Any = None, hub: EventHorizon | None = None) -> None:
        """The table with this name, made as the configuration says unless it is there. Without a hub, on the one that
        `EventHorizon.default()` connects to.

        Raises NotCarriedOver for what of the configuration has no meaning here, AlreadyExists when there is a table
        of this name with other columns, NotFound when there is none and no configuration."""
        from .hub import EventHorizon  # it makes tables, too

        self._hub = hub or EventHorizon.default()
        self.tesseract, self.definition, self._untyped = self._hub.find_or_make(name, config)
        self._hub.remember(self)

    def _behind(self) -> Tesseract:
        return self.tesseract

    @property
    def name(self) -> str:
        """Its id."""
        return self.tesseract.name

    @property
    def schema(self) -> Schema:
        """Its columns."""
        return self.tesseract.schema

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    # --- writes

    def add(self, rows: Any) -> WriteResult:
        """Adds rows; those whose key is there are passed over, as in the ancestor. One atomic commit."""
        self._settle(rows)
        return self.tesseract.add(rows, condition=_UNLESS_THERE)

    def update(self, rows: Any) -> WriteResult:
        """Replaces the given columns of rows that are there, and adds the others, as in the ancestor."""
        self._settle(rows)
        return self.tesseract.upsert(rows)

    def remove(self, what: Any = None, *, filter: Any = None) -> WriteResult:
        """Deletes rows: a key, a list of them, or the rows of a filter: `remove({"filter": [...]})`."""
        if isinstance(what, Mapping) and what.keys() == {"filter"}:
            what, filter = None, what["filter"]
        return self.tesseract.remove(what, filter=filter_of(filter))

    def clear(self) -> WriteResult:
        """Deletes all rows."""
        return self.tesseract.remove(filter=[])

    def reset(self, rows: Any) -> WriteResult:
        """These rows in the place of all that there are, in one commit."""
        self._settle(rows)
        return self._hub.hub.write(WriteBatch().remove(self.tesseract, filter=[]).upsert(self.tesseract, rows))

    def _settle(self, rows: Any) -> None:
        """Gives columns without a type the type of the first values that they get."""
        if not self._untyped:
            return
        given = [rows] if isinstance(rows, Mapping) else rows
        if not isinstance(given, list | tuple) or not all(isinstance(row, Mapping) for row in given):
            return
        alterations = Alterations()
        for name in list(self._untyped):
            type = infer_type([row.get(name) for row in given])
            if type == UNSPECIFIED:
                continue
            self._untyped.discard(name)
            if type == INT64 and name not in self.tesseract.key:
                type = FLOAT64  # the ancestor's numbers are doubles
            if self.tesseract.schema.types[name] != type:
                alterations.change_column(name, type=name_of_type(type))
        if alterations:
            self.tesseract.alter(alterations)

    # --- reads

    def get_data(self, start: int = 0, limit: int | None = None) -> Rows:
        """The rows, in the order in which they came, with what their columns look up."""
        if any("resolve" in what for what in self.definition.inherited.values()):
            asked = self._hub.translate({"table": self.name}).query
            return self._hub.hub.query(**asked, start=start, limit=limit)
        return self.tesseract.get_data(start, limit)

    def get_by_id(self, id: Any) -> Row | None:
        """The row with this key."""
        return self.tesseract.get(id)

    def get_count(self) -> int:
        """The number of rows."""
        return self.tesseract.count()

    def get_schema(self) -> dict[str, Any]:
        """The columns in a form that makes the same table again."""
        return {"columns": [*self.tesseract.columns, *self._lookups()]}

    def get_simple_header(self) -> list[dict[str, Any]]:
        """The columns."""
        columns: list[dict[str, Any]] = self.get_schema()["columns"]
        return columns

    def _lookups(self) -> list[dict[str, Any]]:
        return [dict(what) for what in self.definition.inherited.values() if "resolve" in what]

    # --- sessions and events

    def create_session(self, config: Mapping[str, Any] | None = None, **more: Any) -> Session:
        """A live query of this table; without an id it gets one."""
        return self._hub.create_session({"table": self.name, **(config or {}), **more})

    def on(self, event: str, handler: Callable[..., Any]) -> Callable[[], None]:
        """Calls `handler` with the rows that were added ("add"), updated ("update") or removed ("remove"), or for every
        change with all rows that there are ("change", "dataUpdate"), for which they are kept here. Returns the
        function to stop it."""
        if event not in _CHANGES:
            return self.tesseract.on(event, handler)
        session = self._hub.hub.create_session(table=self.tesseract)
        first = [True]

        def changed(rows: Any) -> None:
            if first and first.pop():  # what there was before
                return
            handler(rows)

        stop = session.on("data", changed)

        def unsubscribe() -> None:
            stop()
            session.remove()

        return unsubscribe
