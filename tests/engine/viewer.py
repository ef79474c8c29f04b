"""Readers: one watch of a session or of a table each, and what its reader holds.

A viewer is the part of the server that drives a cursor, and the client that keeps a mirror, without a wire between
them: it takes changes, records them as the responses that a client would get, folds them into a mirror by the letter of
the contract and compares the mirror with the oracle. It also asks of each change what the contract promises beyond the
end state: that a remove says the true reason, and that an old value is the value that was there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import change_pb2
from tesseract_grpc.engine.live.changes import Changes
from tesseract_grpc.testing import Answer, Mirror, Response, check_stream
from tests import wire
from tests.engine import translate
from tests.oracle.asks import Definition, Key, Question, Row, Span
from tests.oracle.model import Model


def plain(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A row as something that compares by type and value: NaN is itself, 1 is not True, 0.0 is not -0.0."""
    return sorted((name, repr(value)) for name, value in row.items())


def same(mine: list[Row], true: list[Row], what: str) -> None:
    assert [plain(row) for row in mine] == [plain(row) for row in true], f"{what}:\n  {mine}\nand in truth\n  {true}"


class Recording:
    """The stream of one watch as a client would get it, and the mirror after it."""

    def __init__(self, definition: Definition, names: tuple[str, ...], watch: Any) -> None:
        self.definition = definition
        self.types: wire.Types = {f.name: f.type for name in names for f in definition.fields if f.name == name}
        self.watch = watch
        self.stalled = False
        self.stream: list[Response] = []
        self.truth: dict[int, Answer] = {}
        self.mirror = Mirror()

    def begin(self) -> None:
        snapshot = self.watch.snapshot()
        assert self.watch.cursor == snapshot.version
        for response in translate.opening(self.types, self.definition.key, snapshot):
            self.record(response)

    def record(self, response: Response) -> None:
        self.stream.append(response)
        self.mirror.apply(response)

    def take(self, version: int) -> Changes | None:
        """One round of the server's loop: what there is to say, or that there is nothing to say."""
        changes: Changes = self.watch.take()
        assert self.watch.cursor == version, f"the cursor is at {self.watch.cursor} and the hub at {version}"
        assert not self.watch.pending, "still pending after take"
        if changes:
            assert (changes.from_version, changes.to_version) == (self.mirror.version, version)
            self.record(translate.changed(self.types, changes))
            return changes
        if version > self.mirror.version:
            self.record(translate.said(self.mirror.version, version, progress=change_pb2.Progress()))
        return None

    def key(self, row: Mapping[str, Any]) -> Key:
        return tuple(row[name] for name in self.definition.key)

    def held(self) -> dict[Key, Row]:
        return {self.key(row): row for row in self.mirror.rows}

    def finish(self) -> None:
        """All validators over the whole stream."""
        check_stream(self.stream, self.truth)


class Viewer(Recording):
    """A reader of a window of a session."""

    def __init__(self, session: Any, question: Question, definition: Definition, span: Span) -> None:
        names = tuple(column.name for column in session.columns)
        wanted = {*definition.key, *(question.columns or (field.name for field in definition.fields))}
        assert set(names) == wanted, f"the columns are {names} and not {wanted}"
        super().__init__(definition, names, session.watch(translate.window(span)))
        self.session = session
        self.question = question
        self.span = span
        self.begin()

    def catch_up(self, version: int, whole: list[Row], model: Model, simple: bool) -> None:
        """Takes what is pending. `whole` is the true result, `simple` whether every
        value that was written once changed."""
        before, begun = self.held(), self.mirror.version
        changes = self.take(version)
        if changes is None:
            return
        result = {self.key(row) for row in whole}
        table = model.rows[self.definition.name]
        for removes in changes.removes:
            for row in removes.keys.to_rows():
                key = self.key(row)
                stayed = key in table and model.born[self.definition.name][key] <= begun
                true = "DELETED" if not stayed else "WINDOW" if key in result else "FILTERED"
                if begun < version - 1 and true == "DELETED" and removes.reason.name == "FILTERED":
                    continue  # it left the result first, and was deleted later
                assert removes.reason.name == true, f"{key} was removed as {removes.reason.name}, and is {true}"
        if simple:
            for updates in changes.updates:
                for row in updates.rows.to_rows():
                    was = before[self.key(row)]
                    idle = [n for n in row if n not in self.definition.key and repr(row[n]) == repr(was[n])]
                    assert not idle, f"{idle} of {self.key(row)} did not change and are sent as changed"

    def compare(self, whole: list[Row]) -> None:
        """The law: the mirror is the query evaluated from scratch."""
        rows = cut(whole, self.span)
        self.truth[self.mirror.version] = Answer(rows, len(whole))
        same(self.mirror.rows, rows, f"the mirror of {self.question} in {self.span}")
        assert self.mirror.total_count == len(whole), f"total_count {self.mirror.total_count}, in truth {len(whole)}"


class TableViewer(Recording):
    """A reader of all changes of a table, with old values."""

    def __init__(self, watch: Any, definition: Definition) -> None:
        super().__init__(definition, tuple(field.name for field in definition.fields), watch)
        self.begin()

    def catch_up(self, version: int) -> None:
        """Takes what is pending and judges the old values."""
        before = self.held()
        changes = self.take(version)
        if changes is None:
            return
        for removes in changes.removes:
            assert removes.old_rows is not None
            for key_row, old in zip(removes.keys.to_rows(), removes.old_rows.to_rows(), strict=True):
                assert removes.reason.name == "DELETED"
                same([old], [before[self.key(key_row)]], "the old row of a remove")
        for updates in changes.updates:
            assert updates.old_values is not None
            for row, old in zip(updates.rows.to_rows(), updates.old_values.to_rows(), strict=True):
                was = before[self.key(row)]
                assert set(old) == set(row) - set(self.definition.key), f"old values {old} of {row}"
                same([old], [{name: was[name] for name in old}], "the old values of an update")

    def compare(self, model: Model) -> None:
        rows = list(model.rows[self.definition.name].values())
        self.truth[self.mirror.version] = Answer(rows, len(rows), ordered=False)
        mine = sorted(self.mirror.rows, key=lambda row: repr(self.key(row)))
        same(mine, sorted(rows, key=lambda row: repr(self.key(row))), f"the mirror of table {self.definition.name}")


def cut(rows: list[Row], span: Span) -> list[Row]:
    return rows[span.offset : None if span.limit is None else span.offset + span.limit]
