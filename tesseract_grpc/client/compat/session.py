"""A session with the ancestor's methods, over a session of the client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..core.rows import Row, Rows
from ..sync.session import Session as Live
from .filters import filter_of, sort_of
from .sessions import SessionDefinition, session_of
from .spelling import Spelled

if TYPE_CHECKING:
    from .hub import EventHorizon

_EVENTS = {"dataUpdate": "data", "data_update": "data", "update": "data", "filterChange": "filter_change"}
"""The ancestor's events that are called otherwise here."""


class Session(Spelled):
    """A live query. What it does not define itself (`watch`, `mirror`, ..) is that of the client's session."""

    source_kind = "session"

    def __init__(self, hub: EventHorizon, session: Live, definition: SessionDefinition) -> None:
        self._hub, self.session, self._definition = hub, session, definition

    def _behind(self) -> Live:
        return self.session

    @property
    def id(self) -> str:
        """Its id: the one that was given, or the one that was generated."""
        return self.session.name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    def get_data(self, request: Mapping[str, Any] | int | None = None, limit: int | None = None) -> Rows:
        """The rows of the session's own place (start, limit), or of another: `getData(start, limit)`, or an object with
        filter, sort, start and limit, which asks for some of them once."""
        place = self._definition
        if request is None:
            return self.session.get_data(place.start, place.limit if limit is None else limit)
        if not isinstance(request, Mapping):
            return self.session.get_data(request, limit)
        asked = session_of({"source": self.session, **request}, field="getData")
        asked.query.pop("table", None)
        return self._hub.hub.query(**asked.query, start=asked.start, limit=asked.limit)

    def get_by_id(self, id: Any) -> Row | None:
        """The row with this key, if the session shows it. Time O(rows) where the key has no index there."""
        key = self.session.key
        values = id if isinstance(id, list | tuple) else [id]
        wanted = [{"field": name, "comparison": "==", "value": value} for name, value in zip(key, values, strict=True)]
        found = self._hub.hub.query(source=self.session, filter=wanted, limit=1)
        return found[0] if found else None

    def get_count(self) -> int:
        """The number of rows."""
        return self.session.total_count()

    def get_simple_header(self) -> list[dict[str, Any]]:
        """The columns of its rows, with the titles that the configuration gave them."""
        titles = self._definition.titles
        return [
            {**column, **({"title": titles[column["name"]]} if column["name"] in titles else {})}
            for column in self.session.columns
        ]

    def group_data(self, group_by: Any = None, include_leafs: bool = False) -> list[Row]:
        """The rows as a tree of groups, once; the aggregates are those of the session's columns."""
        if not group_by:
            return self.session.group_data()
        columns = [{**words, "name": name} for name, words in self._definition.aggregators.items()]
        asked = session_of(
            {"source": self.session, "groupBy": group_by, "columns": columns or None}, field="groupData"
        ).query
        names = [each if isinstance(each, str) else each.get("dataIndex", each.get("field")) for each in group_by]
        aggregates = {
            str(words["name"]): {
                "function": words.get("aggregator", "count"),
                **({"column": words["name"]} if not words.keys() & {"expression", "value"} else {}),
                **{word: value for word, value in words.items() if word not in ("name", "aggregator")},
            }
            for words in asked.get("columns", ())
            if isinstance(words, Mapping)
        }
        return self.session.group_data(names, aggregates, include_leafs=include_leafs)

    def update_filter(self, filter: Any) -> int:
        """Gives the session another filter; everybody who watches is told the difference."""
        return self.session.update_filter(filter_of(filter))

    def update_sort(self, sort: Any) -> int:
        """Gives the session another order."""
        return self.session.update_sort(sort_of(sort))

    def update_columns(self, columns: Any) -> int:
        """Shows other columns."""
        asked = session_of({"source": self.session, "columns": columns}, field="updateColumns")
        return self.session.update_columns(asked.query.get("columns"))

    def on(self, event: str, handler: Callable[..., Any]) -> Callable[[], None]:
        """Calls `handler` with the rows ("data", or the ancestor's "dataUpdate") or with the rows and what was edited
        ("filterChange"). Returns the function to stop it."""
        return self.session.on(_EVENTS.get(event, event), handler)

    def destroy(self) -> None:
        """Ends the session for everybody."""
        self.session.remove()
