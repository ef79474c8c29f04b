"""Tables as dicts of rows, writes one row at a time, and answers by looking at every row."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

from tests.oracle.alterations import Alteration, altered
from tests.oracle.answer import answer, shape_of
from tests.oracle.asks import Definition, Key, Put, Row
from tests.oracle.question import Question, Span
from tests.oracle.relation import Relation, derived
from tests.oracle.retained import Rule, after_writes, at_tick
from tests.oracle.rows import Refused, begun, changed, computed
from tests.oracle.truth import holds


class Model:
    """All tables of a hub, and those that are derived by a question (`views`).

    A table is a dict in insertion order from key to row; `wrote` has each row's version, `born` the version that last
    inserted a key: it tells a row from one of the same key before it.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, Definition] = {}
        self.rows: dict[str, dict[Key, Row]] = {}
        self.wrote: dict[str, dict[Key, int]] = {}
        self.born: dict[str, dict[Key, int]] = {}
        self.views: dict[str, Question] = {}
        self.rules: dict[str, Rule] = {}
        self.left: dict[tuple[str, Key], str] = {}
        """Why the last row of a key is no more."""
        self.now = 0

    def create(self, table: Definition) -> None:
        self.definitions[table.name] = table
        self.rows[table.name], self.wrote[table.name], self.born[table.name] = {}, {}, {}

    def drop(self, table: str) -> None:
        del self.definitions[table], self.rows[table], self.wrote[table]

    def swap(self, one: str, other: str) -> None:
        """Two tables exchange their names."""
        self.rows[one], self.rows[other] = self.rows[other], self.rows[one]
        self.wrote[one], self.wrote[other] = self.wrote[other], self.wrote[one]
        self.born[one], self.born[other] = self.born[other], self.born[one]
        mine, theirs = self.definitions[one], self.definitions[other]
        self.definitions[one], self.definitions[other] = replace(theirs, name=one), replace(mine, name=other)

    def copied(self) -> Model:
        """The same tables, of which each can become another one here without becoming so there."""
        other = copy.copy(self)
        other.definitions, other.rows = dict(self.definitions), dict(self.rows)
        other.wrote, other.born = dict(self.wrote), dict(self.born)
        return other

    def alter(self, name: str, changes: Sequence[Alteration]) -> None:
        """Applies all changes of a table or raises Refused. Versions of rows stay."""
        table, rows = self.definitions[name], list(self.rows[name].values())
        wrote, born = ([held[name][key] for key in self.rows[name]] for held in (self.wrote, self.born))
        for change in changes:
            table, rows = altered(table, rows, change, self.now)
        keys = [tuple(row[column] for column in table.key) for row in rows]
        self.definitions[name] = table
        for held, values in ((self.rows, rows), (self.wrote, wrote), (self.born, born)):
            held[name] = dict(zip(keys, values, strict=True))  # type: ignore[arg-type]

    def commit(self, puts: Sequence[Put], version: int) -> list[dict[str, int]]:
        """Applies all writes or raises Refused. `version` is what the rows written will say."""
        rows = {name: dict(part) for name, part in self.rows.items()}
        wrote = {name: dict(part) for name, part in self.wrote.items()}
        born = {name: dict(part) for name, part in self.born.items()}
        left = dict(self.left)
        try:
            counts = [self.put(put, version) for put in puts]
            self.expire([put.table for put in puts])
            return counts
        except Refused:
            self.rows, self.wrote, self.born, self.left = rows, wrote, born, left
            raise

    def expire(self, tables: Sequence[str]) -> None:
        """After writes to tables: those of their rows leave that are too many."""
        for name in tables:
            if name in self.rules:
                self.leave(name, after_writes(self.definitions[name], self.rows[name], self.rules[name]))

    def leave(self, table: str, keys: Sequence[Key]) -> None:
        for key in keys:
            del self.rows[table][key], self.wrote[table][key]
            self.left[table, key] = "EXPIRED"

    def put(self, put: Put, version: int) -> dict[str, int]:
        table, rows, wrote = self.definitions[put.table], self.rows[put.table], self.wrote[put.table]
        counts = {"inserted": 0, "updated": 0, "deleted": 0, "skipped": 0}
        old, old_wrote = dict(rows), dict(wrote)
        given: Sequence[Row] = put.rows
        if put.filter is not None:
            given = [row for row in rows.values() if holds(put.filter, row, table.fields, self.now) is True]
        seen = set()
        if any(field.computed is not None and field.name in row for row in put.rows for field in table.fields):
            raise Refused("computed columns are not written")
        for new in given:
            key = tuple(new[name] for name in table.key)
            if None in key:
                raise Refused("null in a key")
            if put.kind != "increment" and any(f.required and new.get(f.name, 0) is None for f in table.fields):
                raise Refused("null where a value is required")
            if put.kind == "insert" and key in seen:
                raise Refused("two rows of one insert have one key")
            if not self.allowed(put, table, old.get(key), old_wrote.get(key)):
                counts["skipped"] += 1
                continue
            again = key in seen
            seen.add(key)
            if key not in old and put.kind not in ("insert", "upsert"):
                if put.strict if put.kind == "delete" else not put.lenient:
                    raise Refused("no such row")
                counts["skipped"] += 1
            elif put.kind == "delete":
                rows.pop(key, None)
                wrote.pop(key, None)
                self.left[put.table, key] = "DELETED"
                counts["deleted"] += not again
            elif key in old:
                if put.kind == "insert":
                    raise Refused("the key exists")
                was = (rows if put.kind == "increment" else old)[key]  # increments add up, else the later row wins
                rows[key] = changed(table, was, new, put.kind == "increment", self.now)
                if repr(rows[key]) != repr(was):  # a write that changes nothing leaves the row's version alone
                    wrote[key] = version
                elif put.kind != "increment":
                    wrote[key] = old_wrote[key]
                counts["updated"] += 1
            else:
                rows.pop(key, None)  # of two upserts of one new key, the later stands, in its own place
                rows[key] = changed(table, begun(table, new, self.now), new, False, self.now)
                wrote[key] = self.born[put.table][key] = version
                counts["inserted"] += not again
        return counts

    def allowed(self, put: Put, table: Definition, old: Row | None, wrote: int | None) -> bool:
        """Whether the condition lets a row through; raises where it must not."""
        only = put.only
        if only is None:
            return True
        good = (
            (only.if_version is None or wrote == only.if_version)
            and (not only.if_absent or old is None)
            and (
                only.if_filter is None
                or (old is not None and holds(only.if_filter, old, table.fields, self.now) is True)
            )
        )
        if not good and not only.skip:
            raise Refused("the condition is not met")
        return good

    def table(self, name: str) -> Relation:
        """A table's rows in the order of insertion; those of a derived table in that of its key."""
        if name in self.views:
            shown = shape_of(self, self.views[name])
            return derived(shown.fields, set(shown.key), shown.rows)
        table = self.definitions[name]
        return Relation(table.fields, table.key, list(self.rows[name].values()))

    def tick(self, now: int, version: int) -> None:
        """The time is another: what tables compute of it is worked out again, and rows leave whose time is over."""
        before, self.now = self.now, now
        for name, table in self.definitions.items():
            for key, row in self.rows[name].items():
                new = self.rows[name][key] = computed(table, row, now)
                if repr(new) != repr(row):
                    self.wrote[name][key] = version
            if name in self.rules and now > before:
                self.leave(name, at_tick(table, self.rows[name], self.rules[name], before, now))

    def answer(self, ask: Question, span: Span | None = None) -> tuple[list[Row], int]:
        """The rows of the window, in order, and the number of rows of the whole result."""
        return answer(self, ask, span)
