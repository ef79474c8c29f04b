"""Where a planner stands: which query it resolves, what that query and those around it call by name, and by what path.

Errors are raised where they are found, with paths that begin at the query in hand; on the way out they get the path of
that query within the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from tesseract_grpc.engine.data.errors import EngineError, InvalidRequest, Reason
from tesseract_grpc.engine.query.query import Query

_ROOT = "query"


class Scope:
    """A query that is being resolved, within the one that needs it."""

    def __init__(self, query: Query, path: str = _ROOT, outer: Scope | None = None, name: str = "") -> None:
        self.path = path
        self._names: Mapping[str, Query] = dict(query.sub_sessions)
        self._outer = outer  # the query whose names can be used here, too
        self._name = name  # under which it is a sub-session of that query
        self._caller: Scope | None = None  # the query that needs this one

    def inner(self, query: Query, field: str) -> Scope:
        """The scope of a query that is written in this one, at `field`."""
        return self._called(Scope(query, self.path + field.removeprefix(_ROOT), self))

    def named(self, name: str, field: str) -> tuple[Query, Scope]:
        """A sub-session of this query or of one around it. Raises InvalidRequest when there is none, or a circle."""
        holder: Scope | None = self
        while holder is not None and name not in holder._names:
            holder = holder._outer
        if holder is None:
            known = ", ".join(sorted(self._known())[:40]) or "none"
            raise InvalidRequest(
                Reason.UNKNOWN_SESSION,
                f"there is no sub-session '{name[:140]}'; there are {known}",
                field=field,
            )
        self._refuse_circle(holder, name, field)
        query = holder._names[name]
        return query, self._called(Scope(query, f"{holder.path}.sub_sessions[{name}]", holder, name))

    def _known(self) -> set[str]:
        return set(self._names) | (set() if self._outer is None else self._outer._known())

    def _called(self, scope: Scope) -> Scope:
        scope._caller = self
        return scope

    def _refuse_circle(self, holder: Scope, name: str, field: str) -> None:
        chain = [name]
        caller: Scope | None = self
        while caller is not None:
            if caller._name:
                chain.append(caller._name)
                if caller._outer is holder and caller._name == name:
                    circle = " -> ".join(reversed(chain))
                    raise InvalidRequest(
                        Reason.BAD_SCHEMA, f"sub-sessions read each other in a circle: {circle}", field=field
                    )
            caller = caller._caller

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Errors that pass here get the path of this query, unless an inner query has given them its own."""
        try:
            yield
        except EngineError as error:
            if not getattr(error, "placed", False):
                error.field = self._placed(error.field)
                if isinstance(error, InvalidRequest):
                    error.violations = tuple(replace(v, field=self._placed(v.field)) for v in error.violations)
                error.placed = True  # type: ignore[attr-defined]  # only scopes look at it
            raise

    def _placed(self, field: str) -> str:
        return self.path + field.removeprefix(_ROOT) if field.startswith(_ROOT) else field
