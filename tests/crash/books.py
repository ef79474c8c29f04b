"""The books: who was told which version, and what is true there.

Every commit of this test changes something, so every version of the hub belongs to exactly one of: a write, a
definition, a tick of the clock. A write that was acknowledged is entered under the version that it was told. Two
entries under one version are a lie. Once the outcome of everything is known, a version without an entry is a commit
that nobody sent, or half of one. Entries are applied in the order of their versions to the naive oracle, which says
how many rows each must have changed, and what the tables hold at every version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tesseract_grpc.testing import Answer, Book, validate_read_your_writes
from tests.crash.traffic import BALANCE, TABLES
from tests.engine.viewer import cut
from tests.oracle.answer import is_tree
from tests.oracle.asks import Put, Row
from tests.oracle.model import Model
from tests.oracle.question import Question, Span


class Lost(AssertionError):
    """What is there is not what was acknowledged."""


@dataclass(frozen=True)
class Wrote:
    """A commit of rows; `counts` of each of its writes, where the acknowledgement said them."""

    puts: tuple[Put, ...]
    counts: tuple[dict[str, int], ...] | None
    by: str


@dataclass(frozen=True)
class Defined:
    """A commit of a definition, which leaves the rows as they are; `creates` is one of the tables of the oracle."""

    what: str


Entry = Wrote | Defined


class Past:
    """What the tables held at some versions, and what questions gave there."""

    def __init__(self) -> None:
        self._states: dict[int, tuple[int, dict[str, list[Row]]]] = {}
        self._answers: dict[tuple[int, Question, object], tuple[list[Row], int]] = {}

    def keep(self, model: Model, version: int) -> None:
        """The state of the model is that of a version. O(rows), without copying any."""
        self._states[version] = (model.now, {name: list(rows.values()) for name, rows in model.rows.items()})

    def truth(self, version: int, question: Question, span: Span | None) -> Answer | None:
        """What a watch must hold at a version, None where that is not known; `span` None is a watch of a table."""
        if version not in self._states:
            return None
        which = span.open if span is not None and is_tree(question) else None
        if (version, question, which) not in self._answers:
            self._answers[version, question, which] = self._model(version).answer(question, Span(open=which))
        rows, total = self._answers[version, question, which]
        return Answer(rows if span is None else cut(rows, span), total, ordered=span is not None)

    def _model(self, version: int) -> Model:
        model = Model()
        model.now, tables = self._states[version]
        for table in TABLES:
            model.create(table)
            model.rows[table.name] = {tuple(row[name] for name in table.key): row for row in tables[table.name]}
        return model


class Books:
    """All acknowledged commits of one directory."""

    def __init__(self, now: int) -> None:
        self.model = Model()
        self.model.now = now
        for table in TABLES:
            self.model.create(table)
        self.entries: dict[int, Entry] = {}
        self.applied = 0
        self.times: list[int] = []
        """Times that the clock was set to and that no version was found for yet; the last was seen to be in force."""
        self.past = Past()
        """Since the last time that everything was compared."""
        self.told = Book()
        """What everybody was told of versions, for promise 8."""
        self.commits = 0

    def enter(self, version: int, entry: Entry) -> None:
        """An acknowledgement."""
        if version <= self.applied or version in self.entries:
            known = self.entries.get(version, "an older commit")
            raise Lost(f"version {version} was given to {entry} and before to {known}")
        self.entries[version] = entry
        self.commits += 1
        self._apply()

    def _apply(self, ticks: Sequence[int] = ()) -> None:
        """Applies what is known without a gap; versions in `ticks` are ticks of the clock."""
        while (version := self.applied + 1) in self.entries or version in ticks:
            if version in self.entries:
                self._apply_one(version, self.entries.pop(version))
            else:
                self.model.tick(self.times.pop(0), version)
            self.applied = version
            self.past.keep(self.model, version)

    def _apply_one(self, version: int, entry: Entry) -> None:
        if not isinstance(entry, Wrote):
            return
        counts = self.model.commit(entry.puts, version)
        if entry.counts is not None and list(entry.counts) != counts:
            raise Lost(f"version {version} by {entry.by} did {entry.counts}, and {counts} was true: {entry.puts}")

    def close_until(self, version: int) -> None:
        """All outcomes up to `version`, the present one, are known: what has no entry must be the clock's."""
        if self.entries and max(self.entries) > version:
            raise Lost(f"versions up to {max(self.entries)} were acknowledged, and the hub is at {version}")
        gaps = [each for each in range(self.applied + 1, version + 1) if each not in self.entries]
        if len(gaps) > len(self.times):
            raise Lost(f"nobody sent the commits {gaps}; the clock was set {len(self.times)} times")
        if len(gaps) < len(self.times):  # those that did not make it before the server died
            del self.times[: len(self.times) - len(gaps)]
        self._apply(gaps)
        self.times.clear()
        if self.applied != version:
            raise Lost(f"the books end at {self.applied}, and the hub is at {version}")
        total = sum(row["balance"] for row in self.model.rows["accounts"].values())
        assert total in (0, BALANCE), "the oracle lost money"

    def turn_the_page(self) -> Past:
        """Everything was compared: returns what led here, and begins anew from the present state."""
        validate_read_your_writes(self.told)
        self.told = Book()
        done, self.past = self.past, Past()
        self.past.keep(self.model, self.applied)
        return done
