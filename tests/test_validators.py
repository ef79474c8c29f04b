"""Every validator of the contract accepts a good stream and catches the bad one made for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tesseract_grpc._proto.tesseract.v1 import change_pb2, session_service_pb2, table_service_pb2
from tesseract_grpc.testing import (
    Answer,
    ContractViolation,
    Mirror,
    MirrorError,
    check_sessions,
    check_stream,
    digest_of,
    fold,
    split_cuts,
    validate_atomic,
    validate_bookmarkable,
    validate_contiguous,
    validate_convergent,
    validate_digest,
    validate_every_commit,
    validate_lagged,
    validate_ordered,
    validate_unique,
)
from tests import wire

Response = session_service_pb2.WatchSessionResponse
Stream = list[Response]
TYPES = {"id": "int64", "name": "string", "x": "float64"}
DELETED, FILTERED = change_pb2.REMOVE_REASON_DELETED, change_pb2.REMOVE_REASON_FILTERED


def say(begins: int, ends: int, continued: bool = False, **event: Any) -> Response:
    return Response(from_version=begins, to_version=ends, continued=continued, generation=1, **event)


def row(key: int, name: str | None = "a", x: float | None = 1.0) -> dict[str, Any]:
    return {"id": key, "name": name, "x": x}


def key(value: int) -> dict[str, Any]:
    return {"id": value}


def begin(version: int) -> Response:
    return say(version, version, begin=change_pb2.Begin(epoch="e", columns=wire.columns(TYPES, ["id"])))


def piece(version: int, rows: list[dict[str, Any]], start: int = 0, continued: bool = True) -> Response:
    rows_at = change_pb2.SnapshotRows(rows=wire.batch(rows, TYPES), start_index=start)
    return say(version, version, continued, snapshot_rows=rows_at)


def end(version: int, count: int, total: int | None = None) -> Response:
    total = count if total is None else total
    return say(version, version, snapshot_end=change_pb2.SnapshotEnd(row_count=count, total_count=total))


def change(begins: int, ends: int, continued: bool = False, **parts: Any) -> Response:
    return say(begins, ends, continued, changes=wire.changes(TYPES, **parts))


def progress(version: int, begins: int | None = None) -> Response:
    return say(version if begins is None else begins, version, progress=change_pb2.Progress())


def start() -> Stream:
    """A watch that holds the rows 1, 2, 3 at version 5."""
    return [begin(5), piece(5, [row(1), row(2)]), piece(5, [row(3, None)], 2), end(5, 3)]


def good() -> Stream:
    return [
        *start(),
        progress(5),
        change(
            5,
            7,
            removes={DELETED: [key(1)]},
            updates=[[{"id": 2, "x": None}]],
            moves=[(key(2), 1)],
            inserts=[(row(9), 0)],
            total=3,
        ),
        progress(7),
        progress(7),
        digested(7, [row(9), row(2, "a", None), row(3, None)]),
        progress(8, 7),
        change(8, 9, True, removes={FILTERED: [key(9)]}, total=2),
        change(8, 9, updates=[[{"id": 3, "name": "z"}]], total=2),
        progress(9),
        lagged(9, 4),
        change(9, 13, inserts=[(row(1), 2)], total=3),
    ]


def edit(begins: int, ends: int, generation: int = 2, key: str = "id", **types: str) -> Response:
    """The session has other columns from here on; its change must follow."""
    columns = wire.columns({"id": "int64", **types}, [key])
    changed = change_pb2.SessionChanged(generation=generation, columns=columns)
    found = say(begins, ends, True, session_changed=changed)
    found.generation = generation
    return found


def after_edit(begins: int, ends: int, rows: list[dict[str, Any]], continued: bool = False, **parts: Any) -> Response:
    parts = {"updates": [rows], "total": 3, **parts}
    found = say(begins, ends, continued, changes=wire.changes({**TYPES, "new": "string"}, **parts))
    found.generation = 2
    return found


def lagged(version: int, skipped: int, ends: int | None = None) -> Response:
    return say(version, version if ends is None else ends, lagged=change_pb2.Lagged(skipped_commits=skipped))


def digested(version: int, rows: list[dict[str, Any]]) -> Response:
    types = {"id": 2, "name": 5, "x": 3}
    return say(version, version, progress=change_pb2.Progress(digest=digest_of(types, rows)))


NEW = [{"id": number, "new": "n"} for number in (1, 2, 3)]
GOOD_TRUTH = {
    5: Answer([row(1), row(2), row(3, None)], 3),
    7: Answer([row(9), row(2, "a", None), row(3, None)], 3),
    9: Answer([row(2, "a", None), row(3, "z")], 2),
    13: Answer([row(2, "a", None), row(3, "z"), row(1)], 3),
}


def test_a_good_stream_keeps_all_promises() -> None:
    check_stream(good(), GOOD_TRUTH)


def test_the_good_truth_is_compared() -> None:
    mirror = fold(good())
    assert [row["id"] for row in mirror.rows] == [2, 3, 1]
    assert mirror.total_count == 3
    assert mirror.version == 13
    assert mirror.epoch == "e"


def moved_on(*more: Response) -> Stream:
    return [*start(), *more]


BAD: dict[str, tuple[Callable[[Stream], None], Stream]] = {
    "1 version falls": (validate_ordered, moved_on(progress(6, 5), progress(4))),
    "1 event ends before it begins": (validate_ordered, moved_on(change(5, 4, total=3))),
    "1 change that stays": (validate_ordered, moved_on(change(5, 5, total=3))),
    "2 gap": (validate_contiguous, moved_on(change(6, 7, total=3))),
    "2 overlap": (validate_contiguous, moved_on(change(5, 7, total=3), change(6, 8, total=3))),
    "2 gap before progress": (validate_contiguous, moved_on(progress(9))),
    "2 pieces of two ends": (validate_contiguous, moved_on(change(5, 6, True, total=3), change(5, 7, total=3))),
    "2 pieces of two beginnings": (validate_contiguous, moved_on(change(5, 7, True, total=3), change(6, 7, total=3))),
    "3 key twice in a snapshot": (validate_unique, [begin(5), piece(5, [row(1), row(1)]), end(5, 2)]),
    "3 key twice across pieces": (validate_unique, [begin(5), piece(5, [row(1)]), piece(5, [row(1)], 1), end(5, 2)]),
    "3 removed twice": (validate_unique, moved_on(change(5, 6, removes={DELETED: [key(1)], FILTERED: [key(1)]}))),
    "3 removed again": (
        validate_unique,
        moved_on(change(5, 6, removes={DELETED: [key(1)]}), change(6, 7, removes={DELETED: [key(1)]})),
    ),
    "3 removed and inserted": (
        validate_unique,
        moved_on(change(5, 6, removes={DELETED: [key(1)]}, inserts=[(row(1), 0)])),
    ),
    "3 inserted again": (validate_unique, moved_on(change(5, 6, inserts=[(row(2), 0)]))),
    "3 inserted twice": (validate_unique, moved_on(change(5, 6, inserts=[(row(7), 0), (row(7), 1)]))),
    "3 updated twice": (
        validate_unique,
        moved_on(change(5, 6, updates=[[{"id": 1, "x": 2.0}], [{"id": 1, "name": "b"}]])),
    ),
    "3 update of a row not held": (validate_unique, moved_on(change(5, 6, updates=[[{"id": 8, "x": 2.0}]]))),
    "3 moved twice": (validate_unique, moved_on(change(5, 6, moves=[(key(1), 0), (key(1), 2)]))),
    "3 inserted and moved": (validate_unique, moved_on(change(5, 6, moves=[(key(7), 0)], inserts=[(row(7), 1)]))),
    "4 progress inside a change": (validate_atomic, moved_on(change(5, 6, True, total=3), progress(6), change(5, 6))),
    "4 change inside a snapshot": (
        validate_atomic,
        [begin(5), piece(5, [row(1)]), change(5, 6, total=1), end(5, 1)],
    ),
    "4 snapshot of two versions": (validate_atomic, [begin(5), piece(5, [row(1)]), piece(6, [row(2)], 1), end(6, 2)]),
    "4 half a snapshot is shown": (validate_atomic, [begin(5), piece(5, [row(1)], continued=False), end(5, 1)]),
    "4 snapshot with a row missing": (validate_atomic, [begin(5), piece(5, [row(1)]), end(5, 2)]),
    "5 position outside": (validate_convergent, moved_on(change(5, 6, inserts=[(row(7), 9)], total=4))),
    "5 two rows in one place": (
        validate_convergent,
        moved_on(change(5, 6, inserts=[(row(7), 1), (row(8), 1)], total=5)),
    ),
    "5 row with a column missing": (
        validate_convergent,
        moved_on(change(5, 6, inserts=[({"id": 7, "name": "a"}, 0)], total=4)),
    ),
    "5 change before the snapshot": (
        validate_convergent,
        [begin(5), piece(5, [row(1)]), change(5, 6, updates=[[{"id": 1, "x": 1.0}]]), end(6, 1), progress(7)],
    ),
    "4 edit without its change": (validate_atomic, moved_on(edit(5, 5, name="string"), progress(5))),
    "4 edit that is shown": (validate_atomic, moved_on(say(5, 6, session_changed=edit(5, 6).session_changed))),
    "4 edit and change at two versions": (
        validate_atomic,
        moved_on(edit(5, 6, name="string"), after_edit(5, 7, [])),
    ),
    "2 change that begins after its edit": (
        validate_contiguous,
        moved_on(edit(5, 6, name="string"), after_edit(6, 6, [])),
    ),
    "5 edit that leaves a column open": (
        validate_convergent,
        moved_on(edit(5, 6, new="string"), after_edit(5, 6, NEW[:2])),
    ),
    "5 edit of a type that leaves the values": (
        validate_convergent,
        moved_on(edit(5, 6, name="string", x="int64"), after_edit(5, 6, [])),
    ),
    "5 edit of the key": (
        validate_convergent,
        moved_on(edit(5, 6, key="name", name="string"), after_edit(5, 6, [])),
    ),
    "5 edit that is no later generation": (
        validate_convergent,
        moved_on(edit(5, 6, generation=1, name="string"), after_edit(5, 6, [])),
    ),
    "4 lagged and no changes": (validate_lagged, moved_on(lagged(5, 4), progress(9, 5))),
    "4 lagged that skips nothing": (validate_lagged, moved_on(lagged(5, 1), change(5, 6, total=3))),
    "1 lagged that moves": (validate_lagged, moved_on(lagged(5, 4, ends=6), change(6, 9, total=3))),
    "5 digest of other rows": (validate_digest, moved_on(digested(5, [row(1), row(2)]))),
    "5 digest of another order": (validate_digest, moved_on(digested(5, [row(2), row(1), row(3, None)]))),
    "7 change after its bookmark": (validate_bookmarkable, moved_on(progress(7, 5), change(5, 6, total=3))),
    "7 change at its bookmark": (validate_bookmarkable, moved_on(progress(7, 5), change(5, 7, total=3))),
    "7 progress falls": (validate_bookmarkable, moved_on(progress(7, 5), progress(6))),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_stream_is_caught(name: str) -> None:
    validator, stream = BAD[name]
    with pytest.raises(ContractViolation) as caught:
        validator(stream)
    assert caught.value.promise.startswith(name[0])
    with pytest.raises(ContractViolation):
        check_stream(stream)


def test_an_edit_brings_new_columns_and_takes_old_ones_away() -> None:
    stream = moved_on(edit(5, 6, new="string", name="string"), after_edit(5, 6, NEW))
    shown = [
        {"id": 1, "new": "n", "name": "a"},
        {"id": 2, "new": "n", "name": "a"},
        {"id": 3, "new": "n", "name": None},
    ]
    check_stream(stream, {5: GOOD_TRUTH[5], 6: Answer(shown, 3)})
    mirror = fold(stream)
    assert (mirror.generation, mirror.column_names) == (2, ("id", "new", "name"))
    pieces = moved_on(edit(5, 6, new="string"), after_edit(5, 6, NEW[:1], True), after_edit(5, 6, NEW[1:]))
    check_stream(pieces, {6: Answer(NEW, 3)})


WRONG: dict[str, Response] = {
    "wrong value": change(5, 6, updates=[[{"id": 1, "x": 3.0}]], total=3),
    "row missing": change(5, 6, removes={DELETED: [key(1)]}, total=3),
    "row too many": change(5, 6, updates=[[{"id": 1, "x": 2.0}]], inserts=[(row(4), 0)], total=3),
    "wrong order": change(5, 6, updates=[[{"id": 1, "x": 2.0}]], moves=[(key(1), 2)], total=3),
    "wrong count": change(5, 6, updates=[[{"id": 1, "x": 2.0}]], total=4),
    "null as zero": change(5, 6, updates=[[{"id": 1, "x": 2.0}], [{"id": 3, "name": ""}]], total=3),
    "whole number for a double": change(5, 6, updates=[[{"id": 1, "x": 2.0}]], total=2),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mirror_that_is_not_the_truth_is_caught(name: str) -> None:
    truth = {5: GOOD_TRUTH[5], 6: Answer([row(1, "a", 2.0), row(2), row(3, None)], 3)}
    right = change(5, 6, updates=[[{"id": 1, "x": 2.0}]], total=3)
    check_stream(moved_on(right), truth)
    with pytest.raises(ContractViolation) as caught:
        check_stream(moved_on(WRONG[name]), truth)
    assert caught.value.promise.startswith("5")


def test_a_commit_split_over_two_changes_is_not_convergent() -> None:
    truth = {5: GOOD_TRUTH[5], 6: Answer([row(2), row(3, None)], 2), 7: Answer([row(3, None)], 1)}
    one = change(5, 6, removes={DELETED: [key(1)]}, total=2)
    two = change(6, 7, removes={DELETED: [key(2)]}, total=1)
    check_stream(moved_on(one, two), truth)
    half = change(5, 6, total=3)
    rest = change(6, 7, removes={DELETED: [key(1), key(2)]}, total=1)
    with pytest.raises(ContractViolation):
        check_stream(moved_on(half, rest), truth)


def test_a_stream_begins_with_begin() -> None:
    with pytest.raises(ContractViolation):
        check_stream(start()[1:])


def test_a_reset_starts_again_and_the_versions_of_another_epoch_may_be_lower() -> None:
    reset = say(5, 5, reset=change_pb2.Reset(reason=change_pb2.RESET_REASON_OTHER_EPOCH))
    again = [begin(2), piece(2, [row(1)]), end(2, 1), change(2, 3, removes={DELETED: [key(1)]}, total=0)]
    check_stream([*start(), reset, *again], {3: Answer([], 0)})


def test_a_key_may_have_its_columns_in_another_order_after_an_edit() -> None:
    """A resumed stream begins with the columns as the edit left them; rows are the same rows."""
    types = {"b": "string", "a": "int64"}

    def opened(resumed: bool, *names: str) -> Response:
        columns = wire.columns({name: types[name] for name in names}, ["a", "b"])
        return say(1, 1, begin=change_pb2.Begin(epoch="e", columns=columns, resumed=resumed))

    rows = wire.batch([{"b": "x", "a": 1}], types)
    stream = [
        opened(False, "b", "a"),
        say(1, 1, True, snapshot_rows=change_pb2.SnapshotRows(rows=rows)),
        end(1, 1),
        opened(True, "a", "b"),
        say(1, 2, changes=wire.changes(types, removes={DELETED: [{"b": "x", "a": 1}]})),
    ]
    validate_unique(stream)
    with pytest.raises(ContractViolation, match="not held"):
        validate_unique([*stream, say(2, 3, changes=wire.changes(types, removes={DELETED: [{"b": "x", "a": 1}]}))])


def test_fold_leaves_its_start_alone() -> None:
    before = fold(start())
    after = fold([change(5, 6, removes={DELETED: [key(1)]}, total=2)], before)
    assert [r["id"] for r in before.rows] == [1, 2, 3]
    assert [r["id"] for r in after.rows] == [2, 3]


def test_a_table_watch_without_a_snapshot_holds_no_rows() -> None:
    opening = table_service_pb2.WatchTableResponse(from_version=5, to_version=5, begin=begin(5).begin)
    update = wire.changes(TYPES, updates=[[{"id": 1, "x": 3.0}]])
    stream = [opening, table_service_pb2.WatchTableResponse(from_version=5, to_version=6, changes=update)]
    check_stream(stream)
    mirror = fold(stream)
    assert not mirror.anchored
    assert mirror.version == 6


def test_a_response_without_an_event_is_refused() -> None:
    with pytest.raises(MirrorError):
        Mirror().apply(say(1, 1))


def test_every_commit_is_a_change_by_itself_or_is_said_to_be_skipped() -> None:
    stream = moved_on(
        change(5, 6, total=3), change(6, 8, total=3), lagged(8, 3), change(8, 12, total=3), progress(14, 12)
    )
    validate_every_commit(stream, [3, 6, 8, 9, 10, 12])
    for missing in (7, 13):
        with pytest.raises(ContractViolation):
            validate_every_commit(stream, [6, 8, missing])


Several = session_service_pb2.WatchSessionsResponse


def cut(*parts: tuple[int, Response]) -> list[Several]:
    """Parts of one cut: only the last is a consistent point."""
    found = [Several(index=index, response=response) for index, response in parts]
    for response in found:
        response.response.continued = response is not found[-1]
    return found


def both(version: int) -> list[Several]:
    """Two sessions with the rows 1, 2, 3."""
    snapshot = [begin(version), piece(version, [row(1), row(2), row(3, None)]), end(version, 3)]
    return cut(*((index, response) for index in (0, 1) for response in snapshot))


def test_a_stream_of_several_sessions_is_split_at_its_cuts() -> None:
    stream = [
        *both(5),
        *cut((1, change(5, 6, updates=[[{"id": 1, "x": 2.0}]], total=3))),
        *cut((0, change(6, 8, True, total=3)), (0, change(6, 8, total=3)), (1, change(6, 8, total=3))),
        *cut((0, lagged(8, 2))),
        *cut((0, change(8, 12, total=3))),
    ]
    first, second = split_cuts(stream)
    assert [(r.WhichOneof("event"), r.to_version, r.continued) for r in first[3:]] == [
        ("progress", 6, False),
        ("changes", 8, True),
        ("changes", 8, False),
        ("lagged", 8, False),
        ("changes", 12, False),
    ]
    assert [(r.WhichOneof("event"), r.to_version) for r in second[3:]] == [
        ("changes", 6),
        ("changes", 8),
        ("progress", 12),
    ]
    check_sessions(stream, [None, None])


@pytest.mark.parametrize(
    "bad",
    [
        cut((0, change(5, 6, total=3)), (1, change(5, 7, total=3))),
        cut((0, change(4, 6, total=3))),
        cut((0, change(5, 6, removes={DELETED: [key(9)]})), (1, change(5, 6, total=3))),
    ],
    ids=["two versions", "gap", "one of them is wrong"],
)
def test_a_bad_cut_is_caught(bad: list[Several]) -> None:
    with pytest.raises(ContractViolation):
        check_sessions([*both(5), *bad], [None, None])
