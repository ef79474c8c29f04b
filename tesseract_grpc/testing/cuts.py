"""Recorded streams of WatchSessions: consistent cuts, and what each session was told.

    streams = split_cuts(responses)           # one recording a session, as WatchSession would have given it
    check_sessions(responses, [truth, ...])   # every promise for every session, and that they stand at one version

A **cut** ends with a response that says `continued = false`. All responses of a cut have one to_version, and at its
end every session is there. In the recording of a session of which a cut told nothing stands a Progress, which is what
that means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from tesseract_grpc._proto.tesseract.v1 import change_pb2, session_service_pb2
from tesseract_grpc.testing.contract import Truth, check_stream
from tesseract_grpc.testing.violation import ContractViolation

Several: TypeAlias = session_service_pb2.WatchSessionsResponse
One: TypeAlias = session_service_pb2.WatchSessionResponse

_ALONE = ("begin", "reset", "lagged", "snapshot_end", "progress")
"""Events that are whole by themselves in the stream of one session."""


def cuts_of(responses: Sequence[Several]) -> Iterator[tuple[int, list[Several]]]:
    """The whole cuts of a stream, each with the index of its last response. What is left at the end is none."""
    cut: list[Several] = []
    for index, response in enumerate(responses):
        cut.append(response)
        if not response.response.continued:
            yield index, cut
            cut = []


def split_cuts(responses: Sequence[Several], count: int | None = None) -> list[list[One]]:
    """What each of `count` sessions was told in the whole cuts of a stream. Raises ContractViolation.

    Without `count` it is the number of those that were told anything.
    """
    count = max((response.index for response in responses), default=-1) + 1 if count is None else count
    streams: list[list[One]] = [[] for _ in range(count)]
    for last, cut in cuts_of(responses):
        version = cut[-1].response.to_version
        for response in cut:
            if response.response.to_version != version:
                raise ContractViolation(
                    "4 (atomic)", last, f"a cut at {version} has {response.response.to_version} in it"
                )
            if response.response.resume_token and response is not cut[-1]:
                raise ContractViolation("6 (resumable)", last, "a token inside a cut")
        for index, stream in enumerate(streams):
            told = [response.response for response in cut if response.index == index]
            stream += _alone(told) if told else _silence(stream, version)
    return streams


def check_sessions(responses: Sequence[Several], truths: Sequence[Truth | None], count: int | None = None) -> None:
    """Runs every validator over what each session was told; after each cut all of them are at one version."""
    streams = split_cuts(responses, len(truths) if count is None else count)
    for stream, truth in zip(streams, truths, strict=True):
        check_stream(stream, truth)


def _alone(told: Sequence[One]) -> list[One]:
    """What a cut told one session, with `continued` as it would be if there were no others."""
    found: list[One] = []
    for at, response in enumerate(told):
        event = response.WhichOneof("event")
        copy = One()
        copy.CopyFrom(response)
        if event in _ALONE:
            copy.continued = False
        elif event == "changes":
            copy.continued = at + 1 < len(told) and told[at + 1].WhichOneof("event") == "changes"
        found.append(copy)
    return found


def _silence(stream: Sequence[One], version: int) -> list[One]:
    if not stream or stream[-1].to_version == version:
        return []
    last = stream[-1]
    return [
        One(
            from_version=last.to_version,
            to_version=version,
            generation=last.generation,
            progress=change_pb2.Progress(),
        )
    ]
