"""What has become of a relation since earlier versions, worked out once for all who come back."""

from __future__ import annotations

from tesseract_grpc.engine.data.changelog import Changelog
from tesseract_grpc.engine.data.delta import Delta, fold
from tesseract_grpc.engine.data.relation import Relation


class NotResumable(Exception):
    """What a reader has cannot be told any more; it has to begin anew. The message says why."""


def too_old(since: int, changelog: Changelog) -> NotResumable:
    """History does not reach back to a version."""
    return NotResumable(f"version {since} lies before the history that is kept, which begins at {changelog.since}")


class Rewinds:
    """The net changes of one relation since a few earlier versions. Readers who come back together ask for the same or
    nearly the same, so what was folded for one is carried on for the next."""

    MOST = 4

    def __init__(self, relation: Relation) -> None:
        self._relation = relation
        self._known: dict[int, tuple[int, Delta]] = {}  # by the version since: up to which version, and the change

    def clear(self) -> None:
        """Forgets them: history is forgotten in part, and most readers who came back have done so."""
        self._known.clear()

    def since(self, since: int, version: int) -> Delta:
        """The net change since a version that history reaches back to. O(changes log); less where much is known."""
        relation, changelog = self._relation, self._relation.changelog
        for known in [known for known in self._known if known < changelog.since]:
            del self._known[known]
        later = [known for known in self._known if known >= since]
        if later:
            nearest = min(later)
            until, change = self._known.pop(nearest)
            deltas = [*changelog.deltas(since, relation, nearest), change, *changelog.deltas(until, relation)]
        else:
            deltas = changelog.deltas(since, relation)
        net = fold(version, deltas, relation)
        self._known[since] = (version, net)
        while len(self._known) > self.MOST:
            del self._known[next(iter(self._known))]
        return net
