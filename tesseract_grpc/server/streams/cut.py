"""Several sessions told together: a consistent cut.

A cut is taken at one moment between two commits: every session that has something to tell gives it, all at the present
version, before anything is sent. Its parts then go out one after the other, each under the index of its session, and
only the last of them says `continued = false`: then every session is at that version, also those of which nothing was
told. What is committed while a cut is on its way belongs to the next one.

What an edit left a reader with is a change to the version before the edit and one from there: two versions, which have
no place in one cut. So a session that was edited is told as it is told to everybody only where nothing else is owed of
it; otherwise it begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.live.changes import Changes
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.streams.envelope import of_several
from tesseract_grpc.server.streams.teller import Anew, Frame, Teller, Telling, Tokens, edited

_EDITED = Anew(twin.change.RESET_REASON_DEFINITION_CHANGED, "the session was edited")


class Cut:
    """Makes the responses of several tellers, so that all of them are always at one version."""

    def __init__(self, tellers: Sequence[Teller], frame: Frame, tokens: Callable[[], Tokens] | None = None) -> None:
        self._tellers = tuple(tellers)
        self._frame = frame
        self._tokens_now = tokens
        self._tokens: Tokens | None = None

    @property
    def pending(self) -> bool:
        """Whether any session may have something to tell."""
        return any(teller.pending for teller in self._tellers)

    @property
    def lag(self) -> int:
        """How many commits the reader has not been told, of the session of which it was told least."""
        return max(teller.lag for teller in self._tellers)

    @property
    def fallen(self) -> bool:
        """Never: nobody reads several sessions commit by commit."""
        return False

    @property
    def closed(self) -> Reason | None:
        """Why one of the sessions is no more."""
        return next((teller.closed for teller in self._tellers if teller.closed is not None), None)

    def opening(self) -> Telling:
        """Begin and the snapshot of each session, all at one version; for a reader that has them Begin, and the cut
        that leads it here, which is taken now: later commits are no part of it."""
        tellers = self._tellers
        if tellers[0].since is None:
            nobody = [(index, None) for index in range(len(tellers))]
            return Telling(self._tell(nobody, lambda teller, _: teller.refusal()), anew=True)
        self._renew_tokens()
        *others, last = tellers
        begins = [teller.resume(cut=True) for teller in others]
        begins.append(last.resume(cut=True, token=self._token(last.since or 0, held=True)))
        parts = iter([of_several(index, begin) for index, begin in enumerate(begins)])
        if (passage := self.owed(slow=False)) is not None:
            return Telling(_chain(parts, passage.parts), passage.commits, anew=True, change=True)
        return Telling(_chain(parts, self.progress()), anew=True)

    def owed(self, slow: bool) -> Telling | None:
        """What has changed since the last cut, if anything has."""
        version = self._frame.version()
        lagged: list[bytes] = []
        told: list[tuple[int, Changes | None]] = []
        why: dict[Teller, Anew] = {}
        commits = 0
        for index, teller in enumerate(self._tellers):
            changes = teller.watch.take() if teller.pending else None
            if not changes:
                continue
            reset = edited(changes)
            commits = max(commits, changes.commits)
            if teller.pending or changes.to_version != version or reset is not None:
                told.append((index, None))
                why[teller] = reset or _EDITED
                continue
            if skipped := teller.skipped(changes, slow):
                lagged.append(of_several(index, teller.say_lagged(skipped, teller.sent)))
            told.append((index, changes))
        if not told:
            return None
        parts = self._tell(told, lambda teller, before: (teller.say_reset(why[teller], version, before),))
        return Telling(_chain(iter(lagged), parts), commits, change=True)

    def anew(self, why: Anew) -> Telling:
        """A Reset and a new beginning of every session."""
        version = self._frame.version()
        everybody = [(index, None) for index in range(len(self._tellers))]
        parts = self._tell(everybody, lambda teller, before: (teller.say_reset(why, version, before),))
        return Telling(parts, anew=True, change=True)

    def progress(self) -> Iterator[bytes]:
        """Says how far all sessions have been told; a Progress for each whose digest was asked for, all made now."""
        held = self.pending
        version = self._tellers[0].sent if held else self._frame.version()
        said = [(index, teller) for index, teller in enumerate(self._tellers) if teller.digest is not None]
        *others, (index, last) = said or [(0, self._tellers[0])]
        token = self._token(version, held)
        parts = [of_several(other, teller.say_progress(version, held=held, cut=True)) for other, teller in others]
        parts.append(of_several(index, last.say_progress(version, held=held, cut=True, token=token)))
        self._arrive(version)
        return iter(parts)

    def close(self) -> None:
        """Ends all watches."""
        for teller in self._tellers:
            teller.close()

    def _tell(
        self, told: Sequence[tuple[int, Changes | None]], first: Callable[[Teller, int], tuple[bytes, ...]]
    ) -> Iterator[bytes]:
        """The parts of a cut at the present version. Whoever has no change begins anew, after what `first` says."""
        version = self._frame.version()
        if any(changes is None or changes.session_changed is not None for _, changes in told):
            self._renew_tokens()
        token = self._token(version, held=False)
        parts: list[Iterator[bytes]] = []
        for number, (index, changes) in enumerate(told):
            teller, last = self._tellers[index], token if number == len(told) - 1 else None
            if changes is None:
                before = teller.sent
                snapshot = teller.look()
                part = _chain(iter(first(teller, before)), teller.show(snapshot, cut=True, token=last))
            else:
                part = teller.tell(changes, cut=True, token=last)
            parts.append(_numbered(index, part))
        self._arrive(version)
        return _chain(*parts)

    def _arrive(self, version: int) -> None:
        """All sessions are at this version, also those of which nothing was told."""
        for teller in self._tellers:
            teller.sent = version

    def _renew_tokens(self) -> None:
        self._tokens = None if self._tokens_now is None else self._tokens_now()

    def _token(self, version: int, held: bool) -> bytes:
        if self._tokens is None:
            return b""
        return self._tokens.at(version, max(teller.now_us if held else teller.present_us for teller in self._tellers))


def _numbered(index: int, parts: Iterator[bytes]) -> Iterator[bytes]:
    for part in parts:
        yield of_several(index, part)


def _chain(*parts: Iterator[bytes]) -> Iterator[bytes]:
    return chain.from_iterable(parts)
