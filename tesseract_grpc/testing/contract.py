"""The promises of a watch, one validator each, for any recorded stream.

    from tesseract_grpc.testing import RecordingWatcher, check_stream

A validator takes the responses of one watch in the order they came and raises `ContractViolation`, which names the
promise and the response, or returns. The numbers are those of docs/GUARANTEES.md. `check_stream` runs them all.

Promise 5 compares with the truth, which a stream cannot carry: `truth` says, for the versions for which it is known,
what the query gives from scratch (`Answer`). Promises 6 (resumable) and 8 (read your writes) are about more than one
stream and have no validator here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tesseract_grpc.testing.digest import validate_digest
from tesseract_grpc.testing.mirror import Mirror, MirrorError, Response
from tesseract_grpc.testing.rows import Key, Row, key_of, rows_of
from tesseract_grpc.testing.skipping import validate_lagged
from tesseract_grpc.testing.violation import ContractViolation as ContractViolation


@dataclass(frozen=True)
class Answer:
    """What a query gives at one version: the rows of the window, in order, and the rows of the whole result. For a
    table watch, whose rows have no order, set `ordered` to False and `total_count` to the number of rows."""

    rows: Sequence[Row]
    total_count: int
    ordered: bool = True


Truth = Callable[[int], Answer | None] | Mapping[int, Answer]


def validate_ordered(responses: Sequence[Response]) -> None:
    """Promise 1: to_version never falls, no event ends before it begins, and every change moves forward."""
    last = 0
    for index, response in enumerate(responses):
        begins, ends, event = response.from_version, response.to_version, response.WhichOneof("event")
        if event == "begin" and not response.begin.resumed:
            last = 0
        if ends < begins:
            raise ContractViolation("1 (ordered)", index, f"{event} goes from {begins} back to {ends}")
        if ends < last:
            raise ContractViolation("1 (ordered)", index, f"{event} is at {ends}, after {last}")
        if event == "changes" and ends == begins:
            raise ContractViolation("1 (ordered)", index, f"a change that stays at {ends}")
        last = ends


def validate_contiguous(responses: Sequence[Response]) -> None:
    """Promise 2: from_version is the to_version of the event before; pieces of one event share both."""
    before: Response | None = None
    for index, response in enumerate(responses):
        event = response.WhichOneof("event")
        if before is not None and event != "begin":
            if before.continued and event == "changes" and before.WhichOneof("event") in _PARTS:
                expected = before.from_version
                if response.to_version != before.to_version:
                    raise ContractViolation(
                        "2 (contiguous)", index, f"a piece of {before.to_version} says {response.to_version}"
                    )
            else:
                expected = before.to_version
            if response.from_version != expected:
                raise ContractViolation(
                    "2 (contiguous)", index, f"{event} begins at {response.from_version} and not at {expected}"
                )
        before = response


def validate_unique(responses: Sequence[Response]) -> None:
    """Promise 3: no key twice in a snapshot, nor among the removes, updates, moves or inserts of one change, none both
    removed and inserted, and nothing is sent about a row that is not held (or inserted that is)."""
    held: set[Key] | None = None
    keys: tuple[str, ...] = ()
    for first, event in _events(responses):
        kind = event[0].WhichOneof("event")
        if kind == "begin":
            # By name: an edit may have put them in another order, in which a resumed stream then begins.
            keys = tuple(sorted(column.name for column in event[0].begin.columns if column.primary_key))
            held = held if event[0].begin.resumed else None
        elif kind == "reset":
            held = None
        elif kind == "snapshot_end":
            rows = [row for piece in event for row in rows_of(piece.snapshot_rows.rows)]
            held = _once((key_of(row, keys) for row in rows), first, "a snapshot")
        elif kind == "changes":
            held = _unique_change(event, keys, held, first)


def _unique_change(event: Sequence[Response], keys: tuple[str, ...], held: set[Key] | None, at: int) -> set[Key] | None:
    """Checks one whole change and returns the keys that are held after it (None: no snapshot, so nobody knows)."""
    pieces = [response.changes for response in event]
    removed = [batch.keys for piece in pieces for batch in piece.removes]
    updated = [batch.rows for piece in pieces for batch in piece.updates]
    moved = [piece.moves.keys for piece in pieces]
    inserted = [piece.inserts.rows for piece in pieces]
    sets = [
        _once((key_of(row, keys) for batch in batches for row in rows_of(batch)), at, what)
        for batches, what in ((removed, "removes"), (updated, "updates"), (moved, "moves"), (inserted, "inserts"))
    ]
    gone, changed, placed, new = sets
    if gone & new:
        raise ContractViolation("3 (unique)", at, f"removed and inserted at once: {sorted(gone & new)[:3]}")
    if (changed | placed) & (gone | new):
        raise ContractViolation("3 (unique)", at, "a row that came or went is also updated or moved")
    if held is None:
        return None
    if (gone | changed | placed) - held:
        raise ContractViolation(
            "3 (unique)", at, f"about rows not held: {sorted((gone | changed | placed) - held)[:3]}"
        )
    if new & held:
        raise ContractViolation("3 (unique)", at, f"inserted again: {sorted(new & held)[:3]}")
    return (held - gone) | new


def _once(keys: Iterable[Key], at: int, what: str) -> set[Key]:
    seen: set[Key] = set()
    for key in keys:
        if key in seen:
            raise ContractViolation("3 (unique)", at, f"{key} twice in {what}")
        seen.add(key)
    return seen


_PARTS = ("changes", "session_changed", "table_changed")
"""What may be before a piece of a change."""

_NEXT = {
    "snapshot_rows": ("snapshot_rows", "snapshot_end"),
    "session_changed": ("changes",),
    "table_changed": ("changes",),
}
"""What may follow an event that is never the last part of anything."""


def validate_atomic(responses: Sequence[Response]) -> None:
    """Promise 4: the pieces of an event come together and end; a snapshot is shown only whole, and every piece of it is
    at one version. (That the state at each consistent point is that of whole commits is seen with promise 5.)"""
    before: Response | None = None
    for index, response in enumerate(responses):
        event = response.WhichOneof("event")
        if before is not None and before.continued:
            was = before.WhichOneof("event")
            expected = _NEXT.get(str(was), (was,))
            if event not in expected and event != "reset":
                raise ContractViolation("4 (atomic)", index, f"{event} between the pieces of {was}")
            if event != "reset" and response.to_version != before.to_version:
                raise ContractViolation("4 (atomic)", index, f"pieces of {was} at two versions")
        if event in _NEXT and not response.continued:
            raise ContractViolation("4 (atomic)", index, f"{event}, a part of something, is called consistent")
        before = response
    for index, event_pieces in _events(responses):
        if event_pieces[0].WhichOneof("event") == "snapshot_end":
            rows = sum(piece.snapshot_rows.rows.row_count for piece in event_pieces)
            if rows != event_pieces[0].snapshot_end.row_count:
                raise ContractViolation("4 (atomic)", index, f"the snapshot had {rows} rows and says otherwise")


def validate_convergent(responses: Sequence[Response], truth: Truth | None = None) -> None:
    """Promise 5: every event can be applied, and at every consistent point whose version `truth` knows, the mirror is
    the query evaluated from scratch: whole rows, order, positions, counts."""
    mirror = Mirror()
    known: Callable[[int], Answer | None] = truth.get if isinstance(truth, Mapping) else truth or (lambda _: None)
    for index, response in enumerate(responses):
        try:
            consistent = mirror.apply(response)
        except (MirrorError, ValueError) as error:
            raise ContractViolation("5 (convergent)", index, f"cannot be applied: {error}") from error
        if not consistent or not mirror.anchored:
            continue
        answer = known(mirror.version)
        if answer is not None:
            _compare(mirror, answer, index)


def _compare(mirror: Mirror, answer: Answer, index: int) -> None:
    at = f"at version {mirror.version}"
    mine = [repr(sorted(row.items())) for row in mirror.rows]
    true = [repr(sorted(row.items())) for row in answer.rows]
    if not answer.ordered:
        mine, true = sorted(mine), sorted(true)
    if mine != true:
        raise ContractViolation("5 (convergent)", index, f"{at} the mirror is\n  {mine}\nand the truth\n  {true}")
    if answer.ordered and mirror.total_count != answer.total_count:
        raise ContractViolation(
            "5 (convergent)", index, f"{at} total_count is {mirror.total_count}, in truth {answer.total_count}"
        )


def validate_bookmarkable(responses: Sequence[Response]) -> None:
    """Promise 7: after Progress(v) nothing at or below v comes, except that Progress may say v again."""
    mark = -1
    for index, response in enumerate(responses):
        event = response.WhichOneof("event")
        if (event == "begin" and not response.begin.resumed) or event == "reset":
            mark = -1
        elif event == "progress":
            if response.to_version < mark:
                raise ContractViolation("7 (bookmarkable)", index, f"progress at {response.to_version}, after {mark}")
            mark = response.to_version
        elif event in ("changes", "snapshot_rows", "snapshot_end") and response.to_version <= mark:
            raise ContractViolation("7 (bookmarkable)", index, f"{event} at {response.to_version}, progress was {mark}")


def check_stream(responses: Sequence[Response], truth: Truth | None = None) -> None:
    """Runs every validator; also asserts that a stream begins with Begin."""
    if responses and responses[0].WhichOneof("event") != "begin":
        raise ContractViolation("1 (ordered)", 0, "the first event is not Begin")
    validate_ordered(responses)
    validate_contiguous(responses)
    validate_unique(responses)
    validate_atomic(responses)
    validate_convergent(responses, truth)
    validate_bookmarkable(responses)
    validate_lagged(responses)
    validate_digest(responses)


def _events(responses: Sequence[Response]) -> Iterator[tuple[int, list[Response]]]:
    """The stream as whole events with the index of their last response: pieces of a change joined, a snapshot as its
    end followed by its pieces."""
    pieces: list[Response] = []
    snapshot: list[Response] = []
    for index, response in enumerate(responses):
        event = response.WhichOneof("event")
        if event == "changes":
            pieces.append(response)
            if not response.continued:
                yield index, pieces
                pieces = []
            continue
        pieces = []
        if event == "snapshot_rows":
            snapshot.append(response)
            continue
        yield index, [response, *(snapshot if event == "snapshot_end" else [])]
        snapshot = []
