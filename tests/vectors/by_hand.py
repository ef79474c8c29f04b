"""Vectors that are written by hand, because no server of ours can be made to say them when a test wants it: networks
that break in the middle of a message of several pieces, statuses of overload, readers that lag, what later versions of
the protocol may say.

Each is made of what was recorded for another vector, cut and put together anew, so that names, tokens and rows are
those of a real server. What a client must show follows from it: the same points as before, and what is said here of
states and interruptions. They carry "by hand" in `shows`, and have no steps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from tests.vectors.vector import DATA, Json, Stream, Vector, load

UNKNOWN = 99
"""The number of an enum value of a later version."""
CUT: Json = {"code": 14, "message": "connection reset"}
LEAVES: Json = {"client": True}
FIRST_POINT = 2
"""The version of the first snapshot in all bases."""


def status(code: grpc.StatusCode, message: str, reason: str = "", retry: str = "", **metadata: str) -> Json:
    """How a call ends."""
    details: list[Json] = []
    if reason:
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "tesseract-grpc"}
        details.append({**info, **({"metadata": metadata} if metadata else {})})
    if retry:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retry_delay": retry})
    return {"code": code.value[0], "message": message, **({"details": details} if details else {})}


def shown_error(end: Json) -> Json:
    """What a client shows of it."""
    code = next(code for code in grpc.StatusCode if code.value[0] == end["code"])
    found: Json = {"code": code.name, "message": end["message"], "reason": "", "fields": []}
    for detail in end.get("details", []):
        if "reason" in detail:
            found |= {"reason": detail["reason"], "metadata": detail.get("metadata", {})}
    return found


def interruption(reason: str, *, resumes: bool, version: int = FIRST_POINT) -> Json:
    """One thing that a client tells of its stream."""
    return {"reason": reason, "version": str(version), "resumes": resumes}


class Material:
    """A recorded vector, in parts. `begun` are the responses up to the first consistent point, `rest` those after it,
    and `again` the first word of a stream that goes on from there."""

    def __init__(self, name: str) -> None:
        self.vector = load(DATA / f"{name}.json")
        first = self.vector.streams[0].responses
        at = next(at for at, response in enumerate(first) if "snapshot_end" in response) + 1
        self.begun, self.rest = first[:at], first[at:]
        for stream in self.vector.streams[1:]:
            self.rest = [*self.rest, *stream.responses[1:]]
        self.token = self.begun[-1]["resume_token"]
        begin = copy.deepcopy(self.begun[0])
        begin["begin"] = {"resumed": True, **begin["begin"], "watch_id": "watch-2"}
        self.again: Json = {**begin, "resume_token": self.token}
        self.first_shown, *self.shown = self.vector.expect["shown"]

    def make(self, name: str, about: str, *streams: Stream, shows: str, expect: Json) -> Vector:
        """The vector."""
        made = copy.deepcopy(self.vector)
        made.name, made.about, made.shows = name, about, [*shows.split(", "), "by hand"]
        made.steps, made.streams = [], [copy.deepcopy(stream) for stream in streams]
        made.watch["name"] = name
        for stream in made.streams:
            stream.request = {**made.watch, **stream.request}
        whole: Json = {"shown": [self.first_shown, *self.shown], "states": ["live"], "interrupted": []}
        whole |= {"version": self.vector.expect["version"]}
        made.expect = {**whole, **expect}
        return made

    def fresh(self) -> Stream:
        """A stream without a token that goes to the end."""
        return Stream({}, [*self.begun, *self.rest])

    def resumed(self, *responses: Json) -> Stream:
        """A stream that goes on from the first point to the end, or by what is given."""
        return Stream({"resume_token": self.token}, [self.again, *(responses or self.rest)])

    def failed(self, end: Json) -> Stream:
        """A call with the token that fails at once."""
        return Stream({"resume_token": self.token}, [], end)


BACK = ["live", "stale", "live"]
RECONNECTED: Json = {"states": BACK, "interrupted": [interruption("reconnected", resumes=True)]}


def passing() -> Iterator[Vector]:
    """Errors that pass."""
    base, code = Material("resume_net_change"), grpc.StatusCode
    away = status(code.UNAVAILABLE, "nobody is there")
    not_yet = status(code.UNAVAILABLE, "version 2 is not reached", "VERSION_NOT_REACHED", "0.02s")
    ends = {
        "resume_internal": ("An error of the server.", status(code.INTERNAL, "oh: 0af3", "INTERNAL", error_id="0af3")),
        "resume_shutting_down": (
            "The server shuts down, and says when to come back.",
            status(code.UNAVAILABLE, "the server is shutting down", "SERVER_SHUTTING_DOWN", "0.050s"),
        ),
        "resume_slow_reader": (
            "The reader was too slow: it comes back.",
            status(code.RESOURCE_EXHAUSTED, "this watch was not read", "SLOW_READER"),
        ),
        "resume_unknown_status": ("A status that says nothing.", status(code.UNKNOWN, "?")),
    }
    for name, (about, end) in ends.items():
        yield base.make(
            name, about, Stream({}, base.begun, end), base.resumed(), shows="error, resumed", expect=RECONNECTED
        )
    tries = {
        "resume_third_attempt": ("Two attempts fail: it is told once that there is no stream.", [away, not_yet]),
        "resume_limit": (
            "A limit that is full when the client comes back may have room later.",
            [status(code.RESOURCE_EXHAUSTED, "too many watchers", "LIMIT_EXCEEDED", limit="max_watchers")],
        ),
        "resume_statuses": (
            "Statuses that another attempt may mend.",
            [status(each, "?") for each in (code.ABORTED, code.DEADLINE_EXCEEDED, code.DATA_LOSS, code.CANCELLED)],
        ),
    }
    for name, (about, attempts) in tries.items():
        failed = [base.failed(end) for end in attempts]
        begun = Stream({}, base.begun, CUT)
        yield base.make(name, about, begun, *failed, base.resumed(), shows="error, resumed", expect=RECONNECTED)
    refused = interruption("token_refused", resumes=False)
    yield base.make(
        "token_feature",
        "Another server has no resume: the token is thrown away, and a snapshot comes.",
        Stream({}, base.begun, CUT),
        base.failed(status(code.UNIMPLEMENTED, "no resume here", "FEATURE_NOT_AVAILABLE", feature="resume")),
        base.fresh(),
        shows="FEATURE_NOT_AVAILABLE, snapshot",
        expect={
            "shown": [base.first_shown, base.first_shown, *base.shown],
            "states": BACK,
            "interrupted": [interruption("reconnected", resumes=True), refused],
        },
    )


def final() -> Iterator[Vector]:
    """Errors that another attempt cannot mend."""
    base, code = Material("resume_net_change"), grpc.StatusCode
    ends = {
        "permission": status(code.PERMISSION_DENIED, "this call needs the role read", "ROLE_REQUIRED", role="read"),
        "token_unknown": status(code.UNAUTHENTICATED, "the server does not know this token", "TOKEN_UNKNOWN"),
        "unknown_reason": status(code.FAILED_PRECONDITION, "not like this", "REASON_OF_TOMORROW", new="yes"),
        "no_details": status(code.INVALID_ARGUMENT, "a proxy does not like it"),
    }
    for name, end in ends.items():
        at_once = {"shown": [], "states": ["ended"], "version": "0", "error": shown_error(end)}
        later = {**at_once, "shown": [base.first_shown], "states": ["live", "ended"], "version": str(FIRST_POINT)}
        for when, responses, expect in (("end_", base.begun, later), ("end_first_", [], at_once)):
            about = f"An error that is final, {'before' if expect is at_once else 'after'} the first rows."
            yield base.make(f"{when}{name}", about, Stream({}, responses, end), shows="error", expect=expect)
    end = status(code.RESOURCE_EXHAUSTED, "a filter too wide", "LIMIT_EXCEEDED", limit="max_filter_nodes")
    yield base.make(
        "end_first_limit",
        "A limit that the first attempt exceeds is one that every attempt would.",
        Stream({}, [], end),
        shows="error",
        expect={"shown": [], "states": ["ended"], "version": "0", "error": shown_error(end)},
    )


def snapshots() -> Iterator[Vector]:
    """First streams that break, or cannot be believed, in the middle of a snapshot of several pieces."""
    base = Material("large_snapshot")
    begin, one, two, *more = base.begun

    def piece(found: Json, change: Callable[[Json], Any]) -> Json:
        made = copy.deepcopy(found)
        change(made)
        return made

    def repeated(found: Json) -> None:
        rows = one["snapshot_rows"]["rows"]
        ids = next(column for column in found["snapshot_rows"]["rows"]["columns"] if column["name"] == "id")
        ids["int64s"]["values"][0] = next(c for c in rows["columns"] if c["name"] == "id")["int64s"]["values"][0]

    def wrong_end(found: Json) -> None:
        found["snapshot_end"]["row_count"] = str(int(found["snapshot_end"]["row_count"]) + 1)

    def without_key(found: Json) -> None:
        for column in found["begin"]["columns"]:
            column.pop("primary_key", None)

    later = {"from_version": "3", "to_version": "3"}
    firsts: dict[str, tuple[str, str, list[Json], Json]] = {
        "cut": ("reconnected", "The connection breaks.", [begin, one, two], CUT),
        "ended": ("ended", "The server ends the call.", [begin, one], {"code": 0}),
        "piece_lost": ("gap", "A piece is missing.", [begin, one, *more], LEAVES),
        "short": ("gap", "Fewer rows than its end says.", [*base.begun[:-1], piece(base.begun[-1], wrong_end)], LEAVES),
        "versions": ("disorder", "A piece of another version.", [begin, one, {**two, **later}], LEAVES),
        "key_twice": ("malformed", "A row twice.", [begin, one, piece(two, repeated), *more], LEAVES),
        "incomplete": (
            "malformed",
            "Rows without one of their columns.",
            [begin, piece(one, lambda found: found["snapshot_rows"]["rows"]["columns"].pop())],
            LEAVES,
        ),
        "changes": ("disorder", "A change before the end of the snapshot.", [begin, one, base.rest[0]], LEAVES),
        "headless": ("disorder", "Rows before the stream has begun.", [one], LEAVES),
        "begun_twice": ("disorder", "The stream begins a second time.", [begin, one, begin], LEAVES),
        "keyless": ("malformed", "No column is the key.", [piece(begin, without_key)], LEAVES),
    }
    for name, (reason, about, responses, end) in firsts.items():
        yield base.make(
            f"snapshot_{name}", about, Stream({}, responses, end), base.fresh(),
            shows="snapshot, continued", expect={"interrupted": [interruption(reason, resumes=False, version=0)]},
        )  # fmt: skip
    reset: Json = {**begin, "reset": {"reason": "RESET_REASON_LAGGED", "message": "too slow"}}
    reset.pop("begin")
    yield base.make(
        "snapshot_reset",
        "The server begins anew in the middle of a snapshot.",
        Stream({}, [begin, one, reset, *base.begun, *base.rest]),
        shows="Reset, LAGGED, continued",
        expect={"interrupted": [interruption("lagged", resumes=False, version=0)]},
    )


def pieces() -> Iterator[Vector]:
    """Changes of several pieces that break, or cannot be believed."""
    base = Material("large_change")
    one, two, *more = base.rest
    progress = {"generation": "1", "from_version": "3", "to_version": "3", "progress": {}}
    progress_between = {**progress, "from_version": "2"}
    yield base.make(
        "change_cut",
        "The connection breaks between two pieces: nothing of the change is shown, and it comes whole after that.",
        Stream({}, [*base.begun, one, two], CUT),
        base.resumed(),
        shows="continued, atomic, resumed",
        expect=RECONNECTED,
    )
    gap = {"states": BACK, "interrupted": [interruption("gap", resumes=True)]}
    yield base.make(
        "change_gap",
        "A piece that begins at another version.",
        Stream({}, [*base.begun, one, {**two, "from_version": "3"}], LEAVES),
        base.resumed(),
        shows="continued, gap, resumed",
        expect=gap,
    )
    for name, about, responses in (
        ("versions", "A piece of another version.", [one, {**two, "to_version": "4"}]),
        ("between", "Progress between two pieces.", [one, progress_between, two, *more]),
    ):
        expect = {
            "shown": [base.first_shown, base.first_shown, *base.shown],
            "states": BACK,
            "interrupted": [interruption("disorder", resumes=False)],
        }
        streams = Stream({}, [*base.begun, *responses], LEAVES), base.fresh()
        yield base.make(f"change_{name}", about, *streams, shows="continued, not believed", expect=expect)


def lines() -> Iterator[Vector]:
    """What comes, or does not come, after the first point."""
    base = Material("resume_net_change")
    _, last = base.rest
    yield base.make(
        "gap_twice",
        "The same gap again after resuming: the rows are in doubt, and a snapshot comes.",
        Stream({}, [*base.begun, last], LEAVES),
        Stream(base.failed({}).request, [base.again, last], LEAVES),
        base.fresh(),
        shows="gap, resumed, snapshot",
        expect={
            "shown": [base.first_shown, base.first_shown, *base.shown],
            "states": [*BACK, "stale", "live"],
            "interrupted": [interruption("gap", resumes=True), interruption("gap", resumes=False)],
        },
    )
    lagged = {"generation": "1", "from_version": "2", "to_version": "2", "lagged": {"skipped_commits": "3"}}
    yield base.make(
        "lagged",
        "The reader was slow: it is told how many commits come as one. Its rows are as good as before.",
        Stream({}, [*base.begun, lagged, *base.rest]),
        shows="lagged",
        expect={},
    )
    for name, reason, word in (
        ("reset_lagged", "RESET_REASON_LAGGED", "lagged"),
        ("reset_unknown", UNKNOWN, "unknown"),
    ):
        reset = {"generation": "1", "from_version": "2", "to_version": "2"}
        reset |= {"reset": {"reason": reason, "message": "because"}}  # type: ignore[dict-item]
        yield base.make(
            name,
            "The server begins anew, for a reason " + ("that it names." if word == "lagged" else "of a later version."),
            Stream({}, [*base.begun, reset, *base.begun, *base.rest]),
            shows="Reset",
            expect={
                "shown": [base.first_shown, base.first_shown, *base.shown],
                "states": BACK,
                "interrupted": [interruption(word, resumes=False)],
            },
        )


def resets() -> Iterator[Vector]:
    """Streams that begin anew, and break before they have."""
    base = Material("resume_net_change")
    reset: Json = {"generation": "1", "from_version": "2", "to_version": "2"}
    reset["reset"] = {"reason": "RESET_REASON_LAGGED", "message": "too slow"}
    begin, rows, _ = base.begun
    yield base.make(
        "reset_cut",
        "The connection breaks before the server has begun anew: the token was of rows that are not valid any more.",
        Stream({}, [*base.begun, reset, begin, rows], CUT),
        base.fresh(),
        shows="Reset, snapshot",
        expect={
            "shown": [base.first_shown, base.first_shown, *base.shown],
            "states": BACK,
            "interrupted": [interruption("lagged", resumes=False), interruption("reconnected", resumes=False)],
        },
    )


def tolerated() -> Iterator[Vector]:
    """What a later version of the protocol may say, and what a client must put up with."""
    base = Material("resume_net_change")
    net, last = base.rest
    strange = copy.deepcopy(net)
    strange["changes"]["removes"][0]["reason"] = UNKNOWN
    yield base.make(
        "unknown_remove_reason",
        "A row leaves for a reason of a later version: it leaves.",
        Stream({}, [*base.begun, strange, last]),
        shows="removes, unknown enum value",
        expect={},
    )
    empty = copy.deepcopy(last)
    empty["changes"]["removes"] = [{"reason": "REMOVE_REASON_DELETED", "keys": {}}]
    empty["changes"]["updates"].append({"rows": {}})
    empty["changes"]["inserts"] = {"rows": {}}
    yield base.make(
        "empty_parts",
        "Parts of a change that have no rows, and therefore no columns.",
        Stream({}, [*base.begun, net, empty]),
        shows="changes",
        expect={},
    )
    fields = base.make(
        "unknown_fields",
        "Every message has fields of a later version.",
        Stream({}, base.begun, CUT),
        base.resumed(),
        shows="unknown fields, resumed",
        expect=RECONNECTED,
    )
    fields.server["unknown_fields"] = True
    yield fields


def edits() -> Iterator[Vector]:
    """Edits of a session that do not arrive whole."""
    edited = Material("edit_columns_more")
    yield edited.make(
        "edit_cut",
        "The connection breaks between an edit and its change: the rows keep the columns that they have.",
        Stream({}, [*edited.begun, edited.rest[0]], CUT),
        edited.resumed(),
        shows="SessionChanged, resumed",
        expect=RECONNECTED,
    )


def by_hand() -> list[Vector]:
    """All of them."""
    return [*passing(), *final(), *snapshots(), *pieces(), *lines(), *resets(), *tolerated(), *edits()]
