"""One change a commit, for readers who must not miss one.

What a window showed after an older commit cannot be told later: positions are those of the present order, and values
are those of the present rows. So while somebody reads a window commit by commit, each commit that changes it is told at
once, the way a reader is told who is never behind (the `head`), and put on a `Tape`. All who read that window commit by
commit read the one tape, each from a place of its own: nothing is queued for anybody.

The tape is as long as the history of the table that is read, or of the rows that a session reads. When history is
forgotten, whoever still had to read of it has *fallen*: what it is owed becomes a debt, as for every reader, and it is
told the net change with the number of commits that it skips. Then it reads on from the end of the tape.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tesseract_grpc.engine.data.changelog import Changelog
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.changes import Changes, SessionSchema
from tesseract_grpc.engine.live.reader import Folds, Reader, WatchState
from tesseract_grpc.engine.live.table_watch import TableWatch
from tesseract_grpc.engine.live.watch import Watch, WindowImage
from tesseract_grpc.engine.query.query import Window

if TYPE_CHECKING:
    from tesseract_grpc.engine.data.relation import Relation
    from tesseract_grpc.engine.live.resume import Passage
    from tesseract_grpc.engine.live.session import Session

IMAGE_ROWS = 4_000_000
"""The most rows of windows that one tape remembers, twelve bytes each: of a small window as many commits as history
has, of a huge one few."""

FRESH = 64
"""Of so many entries the encodings are kept, which readers who are nearly up to date share."""


class Head(Protocol):
    """The reader that is never behind."""

    @property
    def history(self) -> Changelog:
        """What it follows."""

    @property
    def image(self) -> WindowImage | None:
        """The rows that a reader has now, where changes are told from that."""

    def take(self) -> Changes:
        """What the commit that was just made changed."""

    def close(self) -> None:
        """Ends it."""


@dataclass(slots=True)
class Entry:
    """What one commit changed, and the rows that a reader has after it, where changes are told from that."""

    changes: Changes
    image: WindowImage | None


class Tape:
    """What the last commits changed, one by one, as one window or table shows it."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.readers: set[TapeReader] = set()
        self.first = 0  # the number of the oldest entry
        self._entries: deque[Entry] = deque()
        self._image_rows = 0

    @property
    def end(self) -> int:
        """The number of the entry that the next commit makes."""
        return self.first + len(self._entries)

    def record(self) -> None:
        """A commit has been made: notes what it changed here. O(its changes + window + readers)."""
        changes = self.head.take()
        if changes:
            for reader in self.readers:
                reader.expect(changes.to_version)
            image = self.head.image
            if image is not None and self._entries:
                before = self._entries[-1].image
                if before is not None and np.array_equal(before.sequence, image.sequence):
                    image = before
            self._append(Entry(changes, image))
        self._shorten()

    def read(self, number: int) -> Entry:
        """An entry by its number. Encodings of what is long past are not kept: late readers make them again."""
        place = number - self.first
        if 0 < place < len(self._entries) - FRESH:
            self._entries[place - 1].changes.encoded = None
        return self._entries[place]

    def after(self, number: int) -> int:
        """The version of the first entry from a number on; -1 when there is none."""
        return self.read(number).changes.to_version if number < self.end else -1

    def clear(self, head: Head) -> None:
        """What is read is another one from here on: nothing of the past is of use."""
        self.head = head
        self.first = self.end
        self._entries.clear()
        self._image_rows = 0

    def _append(self, entry: Entry) -> None:
        last = self._entries[-1].image if self._entries else None
        self._entries.append(entry)
        if len(self._entries) > FRESH:
            self._entries[-FRESH - 1].changes.encoded = None
        if entry.image is not None and entry.image is not last:
            self._image_rows += len(entry.image.sequence)

    def _shorten(self) -> None:
        """Forgets what history has forgotten, and more when the images take too much room."""
        since = self.head.history.since
        while self._entries and self._entries[0].changes.to_version <= since:
            self._drop()
        while len(self._entries) > 1 and self._image_rows > IMAGE_ROWS:
            for reader in self.readers:
                reader.fall(self.first)
            self._drop()

    def _drop(self) -> None:
        image = self._entries.popleft().image
        self.first += 1
        if image is not None and not (self._entries and self._entries[0].image is image):
            self._image_rows -= len(image.sequence)

    def check(self) -> None:
        """Proves that versions rise, and that every reader stands on the tape or has fallen from it."""
        versions = [entry.changes.to_version for entry in self._entries]
        assert versions == sorted(set(versions)), "the versions of a tape do not rise"
        for reader in self.readers:
            assert reader.fallen or reader.state is WatchState.CATCHING_UP or self.first <= reader.place <= self.end


class TapeReader(Reader):
    """A reader that is given one commit after the other. `settled` is the version before its next entry, so it stands
    in history for as long as the tape has what it is owed."""

    tape: Tape
    place: int  # the number of its next entry

    def join(self, tape: Tape) -> None:
        """Begins to read a tape, from its end."""
        self.tape, self.place = tape, tape.end
        tape.readers.add(self)

    @property
    def fallen(self) -> bool:
        """Whether it has to be told a net change in the place of commits that the tape has forgotten."""
        return self._debt is not None

    @property
    def unread(self) -> int:
        """How many commits it has not been given yet, each of which it will be."""
        return self.tape.end - self.place

    @property
    def pending(self) -> bool:
        """Whether there may be something to take."""
        return self.fallen or self.unread > 0

    @property
    def lag(self) -> int:
        """How many commits it has not been given yet."""
        return super().lag if self.fallen else self.unread

    def expect(self, version: int) -> None:
        """An entry of this version is about to be added."""
        if not self.fallen and not self.unread and self.state is not WatchState.CATCHING_UP:
            self.settled = version - 1

    def fall(self, number: int) -> None:
        """The entry of this number is about to be forgotten."""
        if not self.fallen and self.place <= number:
            self.settle()

    def settle(self, folds: Folds | None = None) -> None:
        """History is about to be forgotten: who has read the whole tape is owed nothing, whatever else happened."""
        if not self.fallen and not self.unread:
            self.settled = max(self.settled, self.history.last)
        super().settle(folds)

    def advance(self) -> None:
        """Everything up to now has been given."""
        super().advance()
        self.place = self.tape.end

    def next_entry(self) -> Entry:
        """The next entry of the tape, which the reader has from now on."""
        entry = self.tape.read(self.place)
        self.place += 1
        self.cursor = entry.changes.to_version
        self.settled = max(self.cursor, self.tape.after(self.place) - 1)
        return entry


def skipping(change: Changes) -> Changes:
    """The change that leads a reader who comes back to the present, which says that it is none of a single commit.

    How many of the versions on the way concern the reader nobody knows any more; it is told how many there were.
    """
    return replace(change, skipped=change.to_version - change.from_version, encoded=None)


class CommitWatch(TapeReader, Watch):
    """One reader of a session, or of a window of it, commit by commit."""

    def __init__(self, session: Session, window: Window) -> None:
        super().__init__(session, window)
        self.join(session.tape(window))

    @property
    def fallen(self) -> bool:
        """Whether it has to be told a net change in the place of commits that the tape has forgotten."""
        return self._debt is not None or any(change.skipped for change in self._first)

    @property
    def pending(self) -> bool:
        """Whether there may be something to take."""
        return bool(self._first) or super().pending

    @property
    def lag(self) -> int:
        """How many commits it has not been given yet."""
        return super().lag + sum(max(1, change.skipped) for change in self._first)

    def _take_owed(self) -> Changes:
        """What the next commit changed; the net change, with what it skips, when the tape has forgotten that."""
        if self._debt is not None:
            changes = super()._take_owed()
            changes.skipped = changes.commits
            return changes
        assert self.state is not WatchState.CATCHING_UP, "take the snapshot first"
        if not self.unread:
            nothing = Changes(self.cursor, self.line.current, total_count=self._total)
            self.advance()
            return nothing
        entry = self.next_entry()
        self._sent, self._total = entry.image, entry.changes.total_count
        return entry.changes

    def take_up(self, passage: Passage) -> None:
        """It begins with a passage to the present version, which skips the commits on the way."""
        assert passage.version == self.line.current, "a passage leads to where the tape goes on"
        super().take_up(passage)
        self._first = [skipping(change) for change in self._first]
        self.place = self.tape.end

    def before_edit(self) -> None:
        """The session is about to be edited: keeps what is owed under the definition that the reader knows."""
        if self.state is WatchState.CATCHING_UP or self._edited:
            return
        if self._debt is not None:
            change = self._take_owed()
            self._first += [change] if change or change.skipped else []
        while self.unread:
            self._first.append(self._take_owed())

    def after_edit(self, schema: SessionSchema, change: Changes | None) -> None:
        """The session has been edited; the tape begins anew."""
        super().after_edit(schema, change)
        self.place = self.tape.end

    def close(self) -> None:
        """Ends the watch."""
        super().close()
        self.session.leave(self.tape, self)


class CommitTableWatch(TapeReader, TableWatch):
    """One reader of a table, commit by commit."""

    def __init__(
        self, table: Relation, line: VersionLine, registry: set[TableWatch], tapes: Tapes, *, old_values: bool = False
    ) -> None:
        super().__init__(table, line, registry, old_values=old_values)
        self._tapes = tapes
        found = [tape for tape in tapes.of(table) if getattr(tape.head, "old_values", None) is old_values]
        if not found:
            found = [Tape(TableWatch(table, line, registry, old_values=old_values))]
            tapes.add(table, found[0])
        self.join(found[0])

    @property
    def pending(self) -> bool:
        """Whether there may be something to take."""
        return bool(self._first) or super().pending

    def take_up(self, passage: Changes) -> None:
        """It begins with a change from an earlier version to the present one, which skips the commits on the way."""
        assert passage.to_version == self.line.current, "a passage leads to where the tape goes on"
        super().take_up(passage)
        self._first = [skipping(change) for change in self._first]
        self.place = self.tape.end

    def take(self) -> Changes:
        """What the next commit changed; the net change, with what it skips, when the tape has forgotten that."""
        return self._first.pop(0) if self._first else self._take_owed()

    def _take_owed(self) -> Changes:
        if self.fallen:
            changes = super()._take_owed()
            changes.skipped = changes.commits
            return changes
        if not self.unread:
            nothing = Changes(self.cursor, self.line.current, total_count=self.table.row_count)
            self.advance()
            return nothing
        return self.next_entry().changes

    def depart(self) -> None:
        """Its table is about to become another one: keeps what is owed of this one, commit by commit."""
        if self._altered:
            return
        if self.fallen:
            change = self._take_owed()
            self._first += [change] if change or change.skipped else []
        while self.unread:
            self._first.append(self._take_owed())

    def arrive(self, table: Relation, registry: set[TableWatch], schema: SessionSchema, change: Changes | None) -> None:
        """Reads another table from here on; its tape begins anew."""
        super().arrive(table, registry, schema, change)
        self.place = self.tape.end

    def close(self) -> None:
        """Ends the watch, and the tape when nobody reads it any more."""
        super().close()
        self.tape.readers.discard(self)
        if not self.tape.readers and self.tape in self._tapes.of(self.table):
            self._tapes.remove(self.table, self.tape)
            self.tape.head.close()


class Tapes:
    """All tapes of a hub, by the result or table that they are about."""

    def __init__(self) -> None:
        self._by_subject: dict[Hashable, list[Tape]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_subject)

    def of(self, subject: Hashable) -> Sequence[Tape]:
        """The tapes about one result or table."""
        return self._by_subject.get(subject, ())

    def add(self, subject: Hashable, tape: Tape) -> None:
        """A tape about `subject` is recorded from now on."""
        self._by_subject.setdefault(subject, []).append(tape)

    def remove(self, subject: Hashable, tape: Tape) -> None:
        """A tape is recorded no more."""
        tapes = self._by_subject[subject]
        tapes.remove(tape)
        if not tapes:
            del self._by_subject[subject]

    def record(self, subjects: Iterable[Hashable]) -> None:
        """A commit that changed these is through, and no history was forgotten yet. O(subjects + what changed)."""
        for subject in dict.fromkeys(subjects):
            for tape in self.of(subject):
                tape.record()

    def check(self) -> int:
        """Proves the invariants of every tape; returns how many there are."""
        tapes = [tape for tapes in self._by_subject.values() for tape in tapes]
        for tape in tapes:
            tape.check()
            assert tape.readers, "a tape that nobody reads is recorded"
        return len(tapes)
