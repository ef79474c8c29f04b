"""Promise 6 (resumable), which is about two streams: an earlier one, and one that was opened with its last token.

    with RecordingWatcher.session(channel, "adults") as before:
        ...
    request = WatchSessionRequest(name="adults", resume_token=last_token(before.responses))
    with RecordingWatcher.session(channel, request=request) as after:
        ...
    check_resumed(before.responses, after.responses)

Where the token served, the two are one stream with a hole in time and none in the versions, and are judged as one by
all validators. Where it did not, the second says why before it begins with a snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence

from tesseract_grpc._proto.tesseract.v1 import change_pb2
from tesseract_grpc.testing.contract import ContractViolation, Truth, check_stream
from tesseract_grpc.testing.mirror import Mirror, Response, fold

_PROMISE = "6 (resumable)"
_POINTS = ("snapshot_end", "changes", "progress")
"""The events after which a client may go away and come back."""


def last_token(responses: Sequence[Response]) -> bytes:
    """The token of the last consistent point of a stream; empty where there is none."""
    at = token_index(responses)
    return responses[at].resume_token if at >= 0 else b""


def token_index(responses: Sequence[Response]) -> int:
    """Which response has the last token, -1 when none has."""
    return max((index for index, response in enumerate(responses) if response.resume_token), default=-1)


def validate_tokens(responses: Sequence[Response]) -> None:
    """A stream that gives tokens gives one at every consistent point, and none where a client could not go on."""
    if token_index(responses) < 0:
        return
    anchored = True
    for index, response in enumerate(responses):
        event = response.WhichOneof("event")
        if event in ("begin", "reset"):
            anchored = event == "begin" and response.begin.resumed
        elif event == "snapshot_end":
            anchored = True
        if event in _POINTS and not response.continued and not response.resume_token:
            raise ContractViolation(_PROMISE, index, f"{event} at {response.to_version} has no token")
        if response.resume_token and (response.continued or event in ("reset", "snapshot_rows", "lagged")):
            raise ContractViolation(_PROMISE, index, f"{event} is no consistent point and has a token")
        if response.resume_token and event == "begin" and not anchored and _snapshot_follows(responses[index + 1 :]):
            raise ContractViolation(_PROMISE, index, "a token before the snapshot that it is of")


def _snapshot_follows(responses: Sequence[Response]) -> bool:
    return bool(responses) and responses[0].WhichOneof("event") in ("snapshot_rows", "snapshot_end")


def validate_resumable(before: Sequence[Response], after: Sequence[Response]) -> None:
    """Promise 6: the second stream goes on exactly where the last token of the first was given, without a snapshot; or
    it says by a typed Reset why it cannot. Indexes in violations are those of the second stream."""
    validate_tokens(before)
    validate_tokens(after)
    at = token_index(before)
    if at < 0:
        raise ContractViolation(_PROMISE, 0, "the earlier stream has no token to go on from")
    if not after:
        return
    point, begin = before[at], after[0]
    if begin.WhichOneof("event") != "begin":
        raise ContractViolation(_PROMISE, 0, "the first event is not Begin")
    if not begin.begin.resumed:
        _validate_refused(after)
        return
    held: Mirror = fold(before[: at + 1])
    if begin.begin.epoch != held.epoch:
        raise ContractViolation(_PROMISE, 0, "resumed in another epoch")
    if (begin.from_version, begin.to_version) != (point.to_version, point.to_version):
        raise ContractViolation(
            _PROMISE, 0, f"resumed at {begin.from_version}..{begin.to_version}; the token was of {point.to_version}"
        )
    names = tuple(column.name for column in begin.begin.columns)
    if names != held.column_names:
        raise ContractViolation(_PROMISE, 0, f"resumed with the columns {names}; they were {held.column_names}")
    if len(after) > 1 and after[1].from_version != point.to_version:
        raise ContractViolation(_PROMISE, 1, f"goes on from {after[1].from_version} and not from {point.to_version}")
    if len(after) > 1 and after[1].WhichOneof("event") in ("snapshot_rows", "snapshot_end", "begin"):
        raise ContractViolation(_PROMISE, 1, "a snapshot although the stream was resumed")


def _validate_refused(after: Sequence[Response]) -> None:
    """A Reset with a reason comes before anything that a client could take for the way on."""
    for index, response in enumerate(after):
        event = response.WhichOneof("event")
        if event == "reset":
            if response.reset.reason == change_pb2.RESET_REASON_UNSPECIFIED:
                raise ContractViolation(_PROMISE, index, "a Reset that does not say why")
            return
        if event != "begin":
            raise ContractViolation(_PROMISE, index, f"{event} without a Reset, and the token did not serve")


def check_resumed(before: Sequence[Response], after: Sequence[Response], truth: Truth | None = None) -> None:
    """Runs every validator over two streams, of which the second was opened with the last token of the first."""
    validate_resumable(before, after)
    check_stream(before, truth)
    if after and after[0].begin.resumed:
        check_stream([*before[: token_index(before) + 1], *after], truth)
    else:
        check_stream(after, truth)
