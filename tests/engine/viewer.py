"""Readers: one watch of a session or of a table each, and what its reader holds.

A viewer is the part of the server that drives a cursor, and the client that keeps a mirror, without a wire between
them: it takes changes, records them as the responses that a client would get, folds them into a mirror by the letter of
the contract and compares the mirror with the oracle. It also asks of each change what the contract promises beyond the
end state: that a remove says the true reason, and that an old value is the value that was there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tesseract_grpc._proto.tesseract.v1 import change_pb2
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.live.changes import Changes
from tesseract_grpc.engine.live.rewinds import NotResumable
from tesseract_grpc.testing import Answer, Mirror, Response, check_stream
from tests import wire
from tests.engine import translate
from tests.oracle.asks import Definition, Field, Key, Row
from tests.oracle.model import Model
from tests.oracle.question import Question, Span
from tests.oracle.relation import Relation, same_key


def plain(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A row as something that compares by type and value: NaN is itself, 1 is not True, 0.0 is not -0.0."""
    return sorted((name, repr(value)) for name, value in row.items())


def same(mine: list[Row], true: list[Row], *what: object) -> None:
    """Raises with both, after the words `what`, when they are not the same rows in the same order. The words are put
    together only then: a question is long to write out, and asked thousands of times."""
    if list(map(plain, mine)) == list(map(plain, true)):
        return
    only_mine = [row for row in mine if plain(row) not in list(map(plain, true))]
    only_true = [row for row in true if plain(row) not in list(map(plain, mine))]
    differ = (
        f"wrong are {only_mine}\nand should be {only_true}" if only_mine or only_true else "only the order is wrong"
    )
    raise AssertionError(f"{' '.join(map(str, what))}: {differ}\n  {mine}\nand in truth\n  {true}")


class Shape(Protocol):
    """What a question leads to: its columns, and which of them name a row."""

    @property
    def key(self) -> tuple[str, ...]: ...

    @property
    def fields(self) -> tuple[Field, ...]: ...

    def field(self, name: str) -> Field: ...


def types_of(shape: Shape, watch: Any) -> wire.Types:
    """The types of the columns of a watch, in its order; they must be those of the truth."""
    names = [column.name for column in watch.columns]
    wanted = {field.name for field in shape.fields}
    assert set(names) == wanted, f"the columns are {names} and not {wanted}"
    types = {column.name: column.type.name.lower() for column in watch.columns}
    for name in names:
        assert types[name] == shape.field(name).type, f"{name} is {types[name]} and not {shape.field(name).type}"
    keys = {column.name for column in watch.columns if column.primary_key}
    assert keys == set(shape.key), f"rows are named by {keys} and not {shape.key}"
    return types


class Recording:
    """The stream of one watch as a client would get it, and the mirror after it."""

    def __init__(self, shape: Shape, watch: Any) -> None:
        self.types = types_of(shape, watch)
        self.key_names = shape.key
        self.watch = watch
        self.stalled = False
        self.gone = False  # disconnected: there is no watch until it comes back
        self.now_us = 0  # the clock of what it holds
        self.generation = 1
        self.edits: list[Shape] = []  # what is watched became since its reader was last told
        self.stream: list[Response] = []
        self.truth: dict[int, Answer] = {}
        self.mirror = Mirror()

    def begin(self) -> None:
        snapshot = self.watch.snapshot()
        assert self.watch.cursor == snapshot.version
        self.now_us = snapshot.now_us
        for response in translate.opening(self.types, self.key_names, snapshot, self.generation):
            self.record(response)

    def record(self, response: Response) -> None:
        self.stream.append(response)
        self.mirror.apply(response)

    def take(self, version: int) -> list[Changes]:
        """One round of the server's loop: what there is to say, or that there is nothing to say."""
        taken = []
        more = True
        while more:
            changes: Changes = self.watch.take()
            if changes:
                assert changes.from_version == self.mirror.version, "a gap between two changes"
                taken.append(changes)
                self.tell(changes)
            more = self.watch.pending or self.watch.cursor < version  # what an edit left comes by itself
        assert self.watch.cursor == version, f"the cursor is at {self.watch.cursor} and the hub at {version}"
        self.now_us = self.watch.clock
        if version > self.mirror.version:
            said = translate.said(self.mirror.version, version, self.generation, progress=change_pb2.Progress())
            self.record(said)
        return taken

    def tell(self, changes: Changes) -> None:
        edit = changes.session_changed
        if edit is None:
            self.record(translate.changed(self.types, changes, self.generation))
            return
        self.generation = edit.generation or self.generation + 1  # tables have none
        several = len(self.edits) > 1
        shape, self.edits = self.edits[-1] if edit.reset else self.edits[0], self.edits[1:]
        before = {name: self.types[name] for name in self.key_names}
        self.types, self.key_names = {c.name: shape.field(c.name).type for c in edit.columns}, shape.key
        assert set(self.types) == {field.name for field in shape.fields}, f"the columns are {list(self.types)}"
        if edit.reset:
            key = {name: self.types[name] for name in self.key_names}
            assert several or list(before.items()) != list(key.items()), "what the reader has could have been kept"
            self.edits.clear()
            self.types = types_of(shape, self.watch)
            self.record(translate.reset(self.mirror.version, self.generation, replaced=edit.replaced))
            self.begin()
            return
        versions = changes.from_version, changes.to_version
        self.record(translate.edited(self.types, self.key_names, versions, self.generation))
        self.record(translate.changed(self.types, changes, self.generation))

    def begin_again(self, *, replaced: bool) -> None:
        """What it holds is of no use: drops it and takes a snapshot."""
        if self.edits:
            self.key_names = self.edits[-1].key
            self.types = types_of(self.edits[-1], self.watch)
            self.edits.clear()
        self.record(translate.reset(self.mirror.version, self.generation, replaced=replaced))
        self.begin()

    def held(self) -> dict[Key, Row]:
        return {self.key(row): row for row in self.mirror.rows}

    def key(self, row: Mapping[str, Any]) -> Key:
        return tuple(same_key(row[name]) for name in self.key_names)

    def disconnect(self) -> None:
        """Goes away with what it holds."""
        self.watch.close()
        self.stalled = self.gone = True

    def resume(self, watch: Any) -> None:
        """Goes on from what it holds."""
        self.gone, self.watch = False, watch
        self.record(translate.resumed(self.types, self.key_names, self.mirror.version, self.generation))

    def finish(self) -> None:
        """All validators over the whole stream."""
        check_stream(self.stream, self.truth)


class Viewer(Recording):
    """A reader of a window of a session."""

    def __init__(self, session: Any, question: Question, shape: Shape, span: Span) -> None:
        super().__init__(shape, session.watch(translate.window(span)))
        self.generation = session.generation
        self.session = session
        self.question = question
        self.span = span
        self.begin()

    def come_back(self, exact: bool) -> None:
        """Goes on where it was, unless the session is another one, or history does not reach back."""
        session, window, changelog = self.session, translate.window(self.span), self.session.result.table.changelog
        if self.generation == session.generation:
            try:
                self.resume(session.watch(window, self.mirror.version, now_us=self.now_us, exact=exact))
                return
            except NotResumable:
                since = max(changelog.since, altered_at(session.result.table))
                assert self.mirror.version < since or session.timely, "history reaches back"
        self.gone, self.watch, self.generation = False, session.watch(window), session.generation
        self.begin_again(replaced=False)

    def catch_up(self, version: int, whole: list[Row], model: Model, simple: bool) -> None:
        """Takes what is pending. `whole` is the true result, `simple` whether every
        value that was written once changed."""
        before, begun = self.held(), self.mirror.version
        taken = self.take(version)
        if len(taken) != 1 or taken[0].session_changed is not None:
            return
        for removes in taken[0].removes:
            reason = removes.reason.name
            for row in removes.keys.to_rows():
                true = self.why(row, whole, model, begun)
                gone = true in ("DELETED", "EXPIRED")
                if true is None or (begun < version - 1 and gone and reason in ("FILTERED", "EXPIRED")):
                    continue  # it left the result first, and was deleted later
                if (true, reason) == ("FILTERED", "EXPIRED"):
                    timely = "now()" in repr((self.question, model.definitions.get(self.question.table)))
                    assert timely, "nothing here expires"
                    continue
                assert reason == true, f"{row} was removed as {reason}, and is {true}"
        if simple:
            for updates in taken[0].updates:
                for row in updates.rows.to_rows():
                    was = before[self.key(row)]
                    if row.keys() == was.keys() and "Join(" in repr(self.question):
                        continue  # it has another partner, and that has no key either: another row of the same key
                    idle = [n for n in row if n not in self.key_names and repr(row[n]) == repr(was[n])]
                    assert not idle, f"{idle} of {row} did not change and are sent as changed"

    def why(self, row: Row, whole: list[Row], model: Model, begun: int) -> str | None:
        """Why a row was removed; None where only a table could tell."""
        ask = self.question
        in_result = self.key(row) in {self.key(each) for each in whole}
        if ask.origin is not None or ask.joins or ask.group is not None or ask.table in model.views:
            return None
        key = tuple(row[name] for name in self.key_names)
        stayed = key in model.rows[ask.table] and model.born[ask.table][key] <= begun
        if not stayed:
            return model.left.get((ask.table, key), "DELETED")
        return "WINDOW" if in_result else "FILTERED"

    def compare(self, rows: list[Row], total: int) -> None:
        """The law: the mirror is the query evaluated from scratch."""
        self.truth[self.mirror.version] = Answer(rows, total)
        same(self.mirror.rows, rows, "the mirror of", self.question, "in", self.span)
        assert self.mirror.total_count == total, f"total_count {self.mirror.total_count}, in truth {total}"


class TableViewer(Recording):
    """A reader of all changes of a table, with old values."""

    def __init__(self, watch: Any, table: Definition, derived: bool = False) -> None:
        super().__init__(Relation(table.fields, table.key, []), watch)
        self.table = table
        self.derived = derived
        self.made = watch.table.create_version  # which table it is: what a resume token says
        self.altered = False  # whether the table was altered while it was away
        self.begin()

    def come_back(self, hub: Hub, exact: bool) -> None:
        """Goes on where it was, unless history does not reach back."""
        name, version = self.table.name, self.mirror.version
        made, self.altered = hub.table(name).create_version, self.altered or bool(self.edits)
        if made == self.made and (not self.edits or not self.derived):
            try:
                self.resume(hub.watch_table(name, version, old_values=True, exact=exact))
            except NotResumable:
                table = hub.table(name)
                since = max(table.changelog.since, table.update_version if self.altered else altered_at(table))
                assert version < since, "history reaches back"
            else:
                self.edits.clear()  # it has become what it was
                return
        self.gone, self.watch, self.made = False, hub.watch_table(name, old_values=True), made
        self.generation += 1
        self.begin_again(replaced=True)

    def catch_up(self, version: int) -> None:
        """Takes what is pending."""
        self.take(version)
        self.made = self.watch.table.create_version

    def tell(self, changes: Changes) -> None:
        """Old values are those that it holds before this change; after a passage there may be another. Where columns
        become others they are not told."""
        if changes.session_changed is None:
            self.judge(changes, self.held())
        super().tell(changes)

    def judge(self, changes: Changes, before: dict[Key, Row]) -> None:
        for removes in changes.removes:
            assert removes.old_rows is not None
            for key_row, old in zip(removes.keys.to_rows(), removes.old_rows.to_rows(), strict=True):
                assert self.derived or removes.reason.name in ("DELETED", "EXPIRED")
                same([old], [before[self.key(key_row)]], "the old row of a remove")
        for updates in changes.updates:
            assert updates.old_values is not None
            for row, old in zip(updates.rows.to_rows(), updates.old_values.to_rows(), strict=True):
                was = before[self.key(row)]
                assert set(old) == set(row) - set(self.key_names), f"old values {old} of {row}"
                same([old], [{name: was[name] for name in old}], "the old values of an update")

    def compare(self, model: Model) -> None:
        rows = model.table(self.table.name).rows
        self.truth[self.mirror.version] = Answer(rows, len(rows), ordered=False)
        mine = sorted(self.mirror.rows, key=lambda row: repr(self.key(row)))
        same(mine, sorted(rows, key=lambda row: repr(self.key(row))), "the mirror of table", self.table.name)


def altered_at(relation: Any) -> int:
    """The version that made a column of a table what it is, the last of all."""
    return max(getattr(relation, "born", {}).values(), default=0)


def cut(rows: list[Row], span: Span) -> list[Row]:
    return rows[span.offset : None if span.limit is None else span.offset + span.limit]
