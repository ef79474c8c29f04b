"""What a slow reader is told: that commits are skipped, how many, and at once what they come to.

`validate_lagged` is a part of `check_stream`. `validate_every_commit` is for watches with DELIVERY_EVERY_COMMIT, and
needs to know which commits there were.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tesseract_grpc.testing.mirror import Response
from tesseract_grpc.testing.violation import ContractViolation


def validate_lagged(responses: Sequence[Response]) -> None:
    """Lagged skips two commits or more, stays at its version, and the change that it is about comes next."""
    before: Response | None = None
    for index, response in enumerate(responses):
        event = response.WhichOneof("event")
        if before is not None and before.WhichOneof("event") == "lagged" and event != "changes":
            raise ContractViolation("4 (atomic)", index, f"{event} after Lagged, and not the changes that it is about")
        if event == "lagged":
            if response.lagged.skipped_commits < 2:
                raise ContractViolation("4 (atomic)", index, "Lagged that skips nothing")
            if response.from_version != response.to_version:
                raise ContractViolation("1 (ordered)", index, "Lagged that moves forward by itself")
        before = response


def validate_every_commit(responses: Sequence[Response], versions: Iterable[int]) -> None:
    """Each of `versions`, the commits that changed what is watched, is a change by itself, or was said to be skipped.

    After a Reset or a resumed Begin only what comes later is judged.
    """
    wanted = sorted(set(versions))
    at = -1  # what the reader knows
    lagged = False
    for index, response in enumerate(responses):
        event = response.WhichOneof("event")
        if event == "changes" and not response.continued:
            missed = [version for version in wanted if at < version < response.to_version]
            if missed and not lagged:
                raise ContractViolation("5 (convergent)", index, f"commits {missed[:3]} were not told one by one")
        if event == "progress":
            missed = [version for version in wanted if at < version <= response.to_version]
            if missed:
                raise ContractViolation("7 (bookmarkable)", index, f"Progress passes over commits {missed[:3]}")
        lagged = event == "lagged" or (lagged and event == "changes" and response.continued)
        if event in ("changes", "progress", "snapshot_end", "begin"):
            at = at if response.continued and event == "changes" else response.to_version
