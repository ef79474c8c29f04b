"""The mirror as a pure state machine: feed and replica against a naive list, and against the contract read literally.

A history is a list of windows, each drawn freely. Between two of them the naive difference is taken: which rows left,
changed, moved and came. The messages for it go through the wire into a feed and a replica, which must then hold exactly
the next window.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tesseract_grpc._proto.tesseract.v1 import change_pb2, session_service_pb2
from tesseract_grpc.client import Delta, Gap, Interrupted, Lagged, Progress, Resumed, Snapshot
from tesseract_grpc.client.core.feed import Bookmark, Feed, StreamBroken
from tesseract_grpc.client.core.replica import Replica
from tesseract_grpc.testing import Mirror as LiteralMirror
from tests import wire

Row = dict[str, Any]
Response = session_service_pb2.WatchSessionResponse
TYPES = {"k": "int64", "a": "string", "b": "float64"}
COLUMNS = wire.columns(TYPES, ["k"])


def begin(version: int, types: wire.Types = TYPES, **extra: Any) -> Response:
    event = change_pb2.Begin(epoch="e", columns=wire.columns(types, ["k"]), **extra)
    return Response(from_version=version, to_version=version, generation=1, begin=event)


def snapshot(
    version: int, rows: list[Row], total: int | None = None, piece: int = 3, types: wire.Types = TYPES
) -> list[Response]:
    """Begin, the rows in pieces, the end."""
    found = [begin(version, types)]
    for start in range(0, len(rows), piece):
        part = change_pb2.SnapshotRows(rows=wire.batch(rows[start : start + piece], types), start_index=start)
        found.append(
            Response(from_version=version, to_version=version, generation=1, continued=True, snapshot_rows=part)
        )
    end = change_pb2.SnapshotEnd(row_count=len(rows), total_count=len(rows) if total is None else total)
    return [*found, Response(from_version=version, to_version=version, generation=1, snapshot_end=end)]


def progress(start: int, end: int) -> Response:
    return Response(from_version=start, to_version=end, progress=change_pb2.Progress())


def changed(start: int, end: int, changes: change_pb2.Changes, *, continued: bool = False) -> Response:
    return Response(from_version=start, to_version=end, changes=changes, continued=continued)


def difference(old: list[Row], new: list[Row], total: int, types: wire.Types = TYPES) -> list[change_pb2.Changes]:
    """The change from one window to another, cut into one piece for each kind of event.

    Which rows count as moved is free, as long as the others keep their order: here, every row that is not in the
    longest run of rows which stay and rise.
    """
    before = {row["k"]: row for row in old}
    after = {row["k"]: row for row in new}
    places = {row["k"]: at for at, row in enumerate(new)}
    stay = [row["k"] for row in old if row["k"] in after]
    kept = longest_rise([places[key] for key in stay])
    moved = [key for key in stay if places[key] not in kept]
    gone = [{"k": row["k"]} for row in old if row["k"] not in after]
    by_columns: dict[tuple[str, ...], list[Row]] = {}
    for key in stay:
        columns = tuple(name for name in types if before[key][name] != after[key][name])
        if columns:
            by_columns.setdefault(columns, []).append({name: after[key][name] for name in ("k", *columns)})
    pieces = [
        wire.changes(types, inserts=[(row, at) for at, row in enumerate(new) if row["k"] not in before], total=total),
        wire.changes(types, moves=[({"k": key}, places[key]) for key in moved], total=total),
        wire.changes(types, updates=list(by_columns.values()), total=total),
        wire.changes(types, removes={change_pb2.REMOVE_REASON_FILTERED: gone} if gone else None, total=total),
    ]
    return [piece for piece in pieces if piece.ByteSize()] or [wire.changes(types, total=total)]


def longest_rise(places: list[int]) -> set[int]:
    best: list[list[int]] = []
    for at, place in enumerate(places):
        before: list[list[int]] = [[], *(best[i] for i in range(at) if places[i] < place)]
        best.append([*max(before, key=len), place])
    longest: list[int] = max([[], *best], key=len)
    return set(longest)


def edited(
    start: int, end: int, generation: int, types: wire.Types, keys: Sequence[str] = ("k",), *, continued: bool = True
) -> Response:
    edit = change_pb2.SessionChanged(generation=generation, columns=wire.columns(types, keys))
    return Response(
        from_version=start, to_version=end, generation=generation, session_changed=edit, continued=continued
    )


values = st.sampled_from([None, "x", "y"]), st.sampled_from([None, 0.0, 1.5])
window = st.lists(st.integers(0, 7), unique=True, max_size=8).flatmap(
    lambda keys: st.tuples(*(st.tuples(*values) for _ in keys)).map(
        lambda drawn: [{"k": key, "a": a, "b": b} for key, (a, b) in zip(keys, drawn, strict=True)]
    )
)


@pytest.mark.fuzz
@given(st.lists(window, min_size=2, max_size=6))
def test_mirror_is_the_window_after_every_change(windows: list[list[Row]]) -> None:
    feed, replica, literal = Feed(Bookmark()), Replica(), LiteralMirror()
    for response in snapshot(10, windows[0]):
        event = feed.receive(response)
        literal.apply(response)
    assert isinstance(event, Snapshot)
    replica.apply(event)
    for version, (old, new) in enumerate(itertools.pairwise(windows), start=10):
        pieces = difference(old, new, total=len(new) + 5)
        for at, piece in enumerate(pieces):
            response = changed(version, version + 1, piece, continued=at < len(pieces) - 1)
            literal.apply(response)
            event = feed.receive(response)
            assert (event is None) == response.continued
        assert isinstance(event, Delta)
        replica.apply(event)
        replica.check()
        assert replica.rows() == new
        assert (replica.version, replica.total_count) == (version + 1, len(new) + 5)
        assert replica.rows(1, 2) == new[1:3]
        assert literal.rows == new


@pytest.mark.fuzz
@given(st.lists(window, min_size=2, max_size=4))
def test_changes_one_by_one_lead_to_the_same_rows(windows: list[list[Row]]) -> None:
    """`Delta.changes` may be applied naively, in its order, by whoever keeps a list."""
    for old, new in itertools.pairwise(windows):
        feed = Feed(Bookmark())
        for response in snapshot(1, old):
            feed.receive(response)
        merged = change_pb2.Changes()
        for piece in difference(old, new, total=0):
            merged.MergeFrom(piece)
        delta = feed.receive(changed(1, 2, merged))
        assert isinstance(delta, Delta)
        rows = {row["k"]: dict(row) for row in old}
        order = [row["k"] for row in old]
        placed = []
        for change in delta.changes:
            key = change.key["k"]
            if change.kind == "remove":
                order.remove(key)
                assert change.reason == "filtered"
            elif change.kind == "update":
                rows[key] |= change.row or {}
            else:
                if change.kind == "move":
                    order.remove(key)
                else:
                    rows[key] = change.row or {}
                assert change.index is not None
                placed.append((change.index, key))
        for index, key in sorted(placed):
            order.insert(index, key)
        assert [rows[key] for key in order] == new
        assert sum(delta.counts.values()) == len(delta.changes)


SHAPES = [
    {"k": "int64", "a": "string", "b": "float64"},
    {"k": "int64", "b": "float64"},
    {"c": "string", "k": "int64", "a": "string"},
    {"k": "int64", "a": "float64"},
    {"k": "int64"},
]
OF_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "string": st.sampled_from([None, "x", "y"]),
    "float64": st.sampled_from([None, 0.0, 1.5]),
}


@st.composite
def shaped_window(draw: st.DrawFn) -> tuple[dict[str, str], list[Row]]:
    """A window with columns of its own."""
    types = draw(st.sampled_from(SHAPES))
    keys = draw(st.lists(st.integers(0, 5), unique=True, max_size=6))
    return types, [{n: key if n == "k" else draw(OF_TYPE[kind]) for n, kind in types.items()} for key in keys]


def edit(old: tuple[dict[str, str], list[Row]], new: tuple[dict[str, str], list[Row]]) -> list[change_pb2.Changes]:
    """The change that follows an edit: as always, and every new column of every row that stays."""
    kept = {name for name, kind in new[0].items() if old[0].get(name) == kind}
    before = {row["k"]: row for row in old[1]}
    unknown = {name: object() for name in new[0]}
    held = [{n: row[n] if n in kept else unknown[n] for n in new[0]} for row in old[1]]
    return difference(held, new[1], total=len(new[1]), types=new[0]) if before else difference([], new[1], 0, new[0])


@pytest.mark.fuzz
@given(st.lists(shaped_window(), min_size=2, max_size=6))
def test_mirror_follows_edits_without_a_snapshot(windows: list[tuple[dict[str, str], list[Row]]]) -> None:
    feed, replica, literal = Feed(Bookmark()), Replica(), LiteralMirror()
    for response in snapshot(10, windows[0][1], types=windows[0][0]):
        event = feed.receive(response)
        literal.apply(response)
    assert isinstance(event, Snapshot)
    replica.apply(event)
    for version, (old, new) in enumerate(itertools.pairwise(windows), start=10):
        generation = version - 8
        pieces = edit(old, new)
        responses = [edited(version, version + 1, generation, new[0])]
        for at, piece in enumerate(pieces):
            response = changed(version, version + 1, piece, continued=at < len(pieces) - 1)
            response.generation = generation
            responses.append(response)
        for response in responses:
            event = feed.receive(response)
            assert literal.apply(response) == (event is not None) == (response is responses[-1])
        assert isinstance(event, Delta)
        assert event.edited is not None and event.edited.columns == tuple(new[0])
        replica.apply(event)
        replica.check()
        assert replica.rows() == literal.rows == new[1]
        assert [list(row) for row in replica.rows()] == [list(new[0])] * len(new[1])
        assert (replica.version, feed.version) == (version + 1, version + 1)


@pytest.mark.parametrize("updates", [[], [[{"k": 1, "c": "x"}]], [[{"k": 1, "c": "x"}], [{"k": 2, "b": 1.0}]]])
def test_an_edit_that_leaves_a_hole_is_refused_and_changes_nothing(updates: list[list[Row]]) -> None:
    replica, types = Replica(), {"k": "int64", "c": "string", "b": "float64"}
    feed = fill(replica, [A, B])
    assert feed.receive(edited(1, 2, 2, types)) is None
    with pytest.raises(StreamBroken):
        apply(feed, replica, changed(1, 2, wire.changes(types, updates=updates)))
    assert replica.rows() == [A, B]


def test_rows_of_a_snapshot_are_the_same_whenever_their_dicts_are_made() -> None:
    rows = [{"k": at, "a": None, "b": 0.5} for at in range(10)]
    for dicts in (False, True):
        feed = Feed(Bookmark(), dicts=dicts)
        for response in snapshot(1, rows):
            event = feed.receive(response)
        assert isinstance(event, Snapshot)
        assert event.rows == rows
        assert list(event.rows[0]) == list(TYPES)
        assert event.rows.to_numpy()["k"].tolist() == list(range(10))


def test_rows_that_were_handed_out_stay_what_they_were() -> None:
    replica = Replica()
    feed = fill(replica, [{"k": 1, "a": "x", "b": None}])
    before = replica.rows()
    apply(feed, replica, changed(1, 2, wire.changes(TYPES, updates=[[{"k": 1, "a": "y"}]], total=1)))
    assert before == [{"k": 1, "a": "x", "b": None}]
    assert replica.rows() == [{"k": 1, "a": "y", "b": None}]


def fill(replica: Replica, rows: list[Row]) -> Feed:
    feed = Feed(Bookmark())
    for response in snapshot(1, rows):
        event = feed.receive(response)
    assert isinstance(event, Snapshot)
    replica.apply(event)
    return feed


def apply(feed: Feed, replica: Replica, response: Response) -> None:
    event = feed.receive(response)
    assert isinstance(event, Delta | Progress)
    replica.apply(event)


def test_a_group_may_be_named_by_nan_or_null() -> None:
    types = {"x": "float64", "n": "int64"}
    columns = wire.columns(types, ["x"])
    rows: list[Row] = [{"x": 0.0, "n": 1}, {"x": float("nan"), "n": 1}, {"x": None, "n": 1}]
    feed, replica = Feed(Bookmark()), Replica()
    start = snapshot(1, rows, types=types)
    start[0].begin.ClearField("columns")
    start[0].begin.columns.extend(columns)
    for response in start:
        event = feed.receive(response)
    assert isinstance(event, Snapshot)
    replica.apply(event)
    more = wire.changes(types, updates=[[{"x": float("nan"), "n": 2}, {"x": None, "n": 3}]], total=3)
    apply(feed, replica, changed(1, 2, more))
    assert [row["n"] for row in replica.rows()] == [1, 2, 3]
    apply(feed, replica, changed(2, 3, wire.changes(types, removes={1: [{"x": float("nan")}]}, total=2)))
    assert [row["x"] for row in replica.rows()] == [0.0, None]


A, B, C = ({"k": key, "a": "x", "b": 0.0} for key in (1, 2, 3))

IMPOSSIBLE = {
    "remove of a row that is not there": wire.changes(TYPES, removes={1: [{"k": 9}]}),
    "remove of a row twice": wire.changes(TYPES, removes={1: [{"k": 1}, {"k": 1}]}),
    "update of a row that is not there": wire.changes(TYPES, updates=[[{"k": 9, "a": "z"}]]),
    "update of a row that leaves": wire.changes(TYPES, removes={1: [{"k": 1}]}, updates=[[{"k": 1, "a": "z"}]]),
    "move of a row that is not there": wire.changes(TYPES, moves=[({"k": 9}, 0)]),
    "move of a row twice": wire.changes(TYPES, moves=[({"k": 1}, 0), ({"k": 1}, 1)]),
    "move of a row that leaves": wire.changes(TYPES, removes={1: [{"k": 1}]}, moves=[({"k": 1}, 0)]),
    "insert of a row that is there": wire.changes(TYPES, inserts=[(A, 0)]),
    "insert of a row twice": wire.changes(TYPES, inserts=[(C, 0), (C, 1)]),
    "two rows at one position": wire.changes(TYPES, inserts=[(C, 0)], moves=[({"k": 1}, 0)]),
    "position outside the window": wire.changes(TYPES, inserts=[(C, 3)]),
    "rows without positions": change_pb2.Changes(inserts=change_pb2.Inserts(rows=wire.batch([C], TYPES))),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_what_cannot_be_applied_is_refused_and_changes_nothing(what: str) -> None:
    replica = Replica()
    feed = fill(replica, [A, B])
    with pytest.raises(StreamBroken):
        apply(feed, replica, changed(1, 2, IMPOSSIBLE[what]))
    replica.check()
    assert replica.rows() == [A, B]
    assert replica.version == 1


def test_a_new_snapshot_forgets_the_old_rows() -> None:
    replica = Replica()
    feed = fill(replica, [A, B, C])
    apply(feed, replica, changed(1, 2, wire.changes(TYPES, removes={1: [{"k": 1}, {"k": 2}]}, total=1)))
    feed = fill(replica, [B])
    replica.check()
    apply(feed, replica, changed(1, 2, wire.changes(TYPES, inserts=[(A, 0), (C, 2)], total=3)))
    replica.check()
    assert replica.rows() == [A, B, C]


def test_a_key_twice_in_a_snapshot_is_refused() -> None:
    with pytest.raises(StreamBroken):
        fill(Replica(), [A, A])


def test_progress_moves_the_version_alone() -> None:
    replica = Replica()
    feed = fill(replica, [A])
    apply(feed, replica, progress(1, 7))
    assert (replica.version, replica.rows()) == (7, [A])


END = change_pb2.SnapshotEnd(row_count=0)
NOTHING = change_pb2.Changes()
GOOD = snapshot(5, [])

BROKEN: dict[str, tuple[list[Response], str]] = {
    "a change before the snapshot": ([begin(5), changed(5, 6, NOTHING)], "disorder"),
    "a snapshot without begin": (GOOD[1:], "disorder"),
    "begin twice": ([*GOOD, begin(5)], "disorder"),
    "a snapshot twice": ([*GOOD, GOOD[-1]], "disorder"),
    "a gap before a change": ([*GOOD, changed(6, 7, NOTHING)], "gap"),
    "an overlap": ([*GOOD, changed(4, 6, NOTHING)], "gap"),
    "a gap before progress": ([*GOOD, progress(6, 6)], "gap"),
    "going back": ([*GOOD, changed(5, 4, NOTHING)], "disorder"),
    "a lost piece of the snapshot": (
        [*snapshot(5, [A, B, C], piece=1)[:2], snapshot(5, [A, B, C], piece=1)[3]],
        "gap",
    ),
    "a lost last piece": ([*snapshot(5, [A])[:1], *snapshot(5, [A])[2:]], "gap"),
    "pieces of two versions": ([*snapshot(5, [A])[:2], *snapshot(6, [A])[2:]], "disorder"),
    "something between two pieces": ([*GOOD, changed(5, 6, NOTHING, continued=True), progress(5, 6)], "disorder"),
    "two versions in one change": (
        [*GOOD, changed(5, 6, NOTHING, continued=True), changed(5, 7, NOTHING)],
        "disorder",
    ),
    "no event": ([*GOOD, Response(from_version=5, to_version=5)], "unknown_event"),
    "resumed without a token": ([begin(5, resumed=True)], "disorder"),
    "an edit of the key": ([*GOOD, edited(5, 6, 2, {"a": "string"}, ["a"])], "definition_changed"),
    "an edit of the key's type": ([*GOOD, edited(5, 6, 2, {"k": "string"}, ["k"])], "definition_changed"),
    "an edit without its change": ([*GOOD, edited(5, 6, 2, TYPES), progress(5, 6)], "disorder"),
    "an edit that says it is all": ([*GOOD, edited(5, 6, 2, TYPES, continued=False)], "disorder"),
    "an edit at two versions": ([*GOOD, edited(5, 6, 2, TYPES), changed(5, 7, NOTHING)], "disorder"),
    "an edit before the snapshot": ([begin(5), edited(5, 6, 2, TYPES)], "disorder"),
    "rows without all columns": (
        [
            begin(5),
            Response(to_version=5, snapshot_rows=change_pb2.SnapshotRows(rows=wire.batch([{"k": 1}], TYPES))),
        ],
        "malformed",
    ),
    "a change without keys": ([*GOOD, changed(5, 6, wire.changes(TYPES, updates=[[{"a": "x"}]]))], "malformed"),
    "columns without a key": (
        [Response(begin=change_pb2.Begin(columns=wire.columns(TYPES, [])))],
        "malformed",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_stream_that_breaks_the_contract_is_given_up(what: str) -> None:
    responses, reason = BROKEN[what]
    feed = Feed(Bookmark())
    for response in responses[:-1]:
        feed.receive(response)
    with pytest.raises(StreamBroken) as caught:
        feed.receive(responses[-1])
    assert caught.value.reason == reason


def test_reset_is_answered_by_the_snapshot_that_follows() -> None:
    feed, replica = Feed(Bookmark()), Replica()
    for response in [*snapshot(5, [A]), Response(from_version=5, to_version=5)]:
        if response.WhichOneof("event") is None:
            response.reset.reason = change_pb2.RESET_REASON_LAGGED
        event = feed.receive(response)
        if isinstance(event, Snapshot):
            replica.apply(event)
    assert event == Interrupted("lagged", "", 5, resumes=False)
    assert feed.state == "opening"
    assert replica.rows() == [A]  # until the next consistent point
    for response in snapshot(9, [B, C]):
        event = feed.receive(response)
    assert isinstance(event, Snapshot)
    assert event.reason == "lagged"
    replica.apply(event)
    assert (replica.rows(), replica.version) == ([B, C], 9)


def test_lagged_is_told_with_the_next_delta() -> None:
    feed = Feed(Bookmark())
    for response in GOOD:
        feed.receive(response)
    lagged = feed.receive(Response(from_version=5, to_version=5, lagged=change_pb2.Lagged(skipped_commits=40)))
    assert lagged == Lagged(5, 40)
    delta = feed.receive(changed(5, 45, NOTHING))
    assert isinstance(delta, Delta)
    assert delta.skipped_commits == 40
    following = feed.receive(changed(45, 46, NOTHING))
    assert isinstance(following, Delta)
    assert following.skipped_commits == 0


def test_a_table_watch_without_snapshot_tells_what_it_lost() -> None:
    bookmark = Bookmark()
    first = Feed(bookmark, snapshot=False)
    assert first.receive(begin(5)) is None
    assert first.receive(progress(5, 8)) == Progress(8)
    assert Feed(bookmark, snapshot=False).receive(begin(8)) is None
    assert Feed(bookmark, "reconnected", snapshot=False).receive(begin(11)) == Gap(8, 11, "reconnected")


TOO_OLD = change_pb2.RESET_REASON_TOO_OLD


def with_token(response: Response, token: bytes) -> Response:
    response.resume_token = token
    return response


def resumable(bookmark: Bookmark) -> Feed:
    """A stream that told A at version 5, with a token."""
    feed = Feed(bookmark)
    for response in [*snapshot(5, [A])[:-1], with_token(snapshot(5, [A])[-1], b"five")]:
        feed.receive(response)
    return feed


def test_a_token_stands_for_the_last_consistent_point_or_for_nothing() -> None:
    bookmark = Bookmark()
    feed = resumable(bookmark)
    assert (bookmark.version, bookmark.token) == (5, b"five")
    half = changed(5, 6, wire.changes(TYPES, inserts=[(B, 1)], total=2), continued=True)
    feed.receive(with_token(half, b"too early"))
    assert (bookmark.version, bookmark.token) == (5, b"five")
    feed.receive(with_token(changed(5, 6, NOTHING), b"six"))
    assert (bookmark.version, bookmark.token) == (6, b"six")
    feed.receive(progress(6, 6))  # nothing happened: the token is as good as before
    assert bookmark.token == b"six"
    feed.receive(progress(6, 9))
    assert bookmark.token == b""  # one of version 6 would repeat what is known
    feed.receive(with_token(progress(9, 9), b"nine"))
    assert bookmark.token == b"nine"
    bookmark.forget()
    assert bookmark.token == b""


def test_a_resumed_stream_goes_on_without_a_snapshot() -> None:
    bookmark = Bookmark()
    resumable(bookmark)
    feed = Feed(bookmark, "reconnected", resuming=True)
    assert feed.receive(begin(5, resumed=True)) == Resumed(5)
    delta = feed.receive(changed(5, 8, wire.changes(TYPES, inserts=[(B, 1)], total=2)))
    assert isinstance(delta, Delta)
    assert (delta.from_version, delta.version, bookmark.version) == (5, 8, 8)


@pytest.mark.parametrize(
    "opening",
    [
        begin(4, resumed=True),
        begin(6, resumed=True),
        begin(5, {"k": "int64", "a": "string"}, resumed=True),
        begin(5, {"k": "int64", "b": "float64", "a": "string"}, resumed=True),
        Response(to_version=5, begin=change_pb2.Begin(epoch="other", columns=COLUMNS, resumed=True)),
    ],
    ids=["earlier", "later", "fewer columns", "another order", "another epoch"],
)
def test_a_stream_that_resumes_elsewhere_is_given_up(opening: Response) -> None:
    bookmark = Bookmark()
    resumable(bookmark)
    with pytest.raises(StreamBroken) as caught:
        Feed(bookmark, resuming=True).receive(opening)
    assert caught.value.reason == "disorder"
    assert (bookmark.epoch, bookmark.version) == ("e", 5)


def test_a_token_that_cannot_be_resumed_is_answered_by_reset_and_snapshot() -> None:
    bookmark = Bookmark()
    resumable(bookmark)
    reset = Response(from_version=9, to_version=9, reset=change_pb2.Reset(reason=TOO_OLD, message="long ago"))
    feed = Feed(bookmark, "reconnected", resuming=True)
    assert feed.receive(begin(9)) is None
    assert feed.receive(reset) == Interrupted("too_old", "long ago", 5, resumes=False)
    for response in snapshot(9, [B]):
        event = feed.receive(response)
    assert isinstance(event, Snapshot)
    assert (event.reason, event.version) == ("too_old", 9)


def test_a_table_watch_that_is_resumed_has_no_gap() -> None:
    bookmark = Bookmark()
    first = Feed(bookmark, snapshot=False)
    first.receive(with_token(begin(5), b"five"))
    assert bookmark.token == b"five"
    again = Feed(bookmark, "reconnected", snapshot=False, resuming=True)
    assert again.receive(begin(5, resumed=True)) == Resumed(5)
    assert again.state == "live"
    reset = Response(from_version=11, to_version=11, reset=change_pb2.Reset(reason=TOO_OLD))
    third = Feed(bookmark, "reconnected", snapshot=False, resuming=True)
    assert third.receive(begin(11)) is None
    assert third.state == "refused"
    assert third.receive(reset) == Interrupted("too_old", "", 5, resumes=False)
    assert third.receive(begin(11)) == Gap(5, 11, "too_old")
    assert third.receive(progress(11, 12)) == Progress(12)


def test_another_epoch_is_a_gap_whatever_the_versions_say() -> None:
    bookmark = Bookmark()
    Feed(bookmark, snapshot=False).receive(begin(5))
    other = Response(to_version=5, begin=change_pb2.Begin(epoch="other", columns=wire.columns(TYPES, ["k"])))
    assert Feed(bookmark, snapshot=False).receive(other) == Gap(0, 5, "first")
