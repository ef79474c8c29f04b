"""The bookkeeping of a write stream: what has been sent, what was answered, what has to be sent again.

    put --> waiting --take--> sent --answered--> gone
                      ^         |
                      '--again--' the stream broke

Every batch has a sequence, counted from 1, and a request id, so that a batch whose answer was lost is not committed
twice when it is sent again. Answers come in the order of the batches; one that does not is no answer to be trusted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import grpc

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2

from .errors import TesseractError
from .feed import StreamBroken
from .writes import Encoded, WriteResult

POSTPONED = frozenset({"HUB_READ_ONLY", "WRITES_OVERLOADED", "SERVER_SHUTTING_DOWN", "EPOCH_CHANGED"})
"""Refusals that pass by themselves."""


@dataclass(frozen=True, slots=True)
class Ack:
    """The answer to one batch: its result, or why it was refused."""

    sequence: int
    """Which batch, counted from 1."""
    result: WriteResult | None
    """What it did; None when it was refused, and nothing of it was applied."""
    error: TesseractError | None = None
    """Why it was refused."""


class Pipeline:
    """The unanswered batches of one write stream, in order. Every method is O(1)."""

    def __init__(self) -> None:
        self._batches: deque[tuple[int, Encoded]] = deque()
        self._sent = 0
        """How many of them are on their way."""
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._batches)

    @property
    def waiting(self) -> bool:
        """Whether there is something to send."""
        return self._sent < len(self._batches)

    def put(self, encoded: Encoded) -> int:
        """Adds a batch; returns its sequence."""
        self._sequence += 1
        self._batches.append((self._sequence, encoded))
        return self._sequence

    def take(self) -> table_service_pb2.WriteStreamRequest:
        """The next batch to send."""
        sequence, encoded = self._batches[self._sent]
        self._sent += 1
        return table_service_pb2.WriteStreamRequest(sequence=sequence, write=encoded.request)

    def again(self) -> None:
        """The stream broke: whatever was not answered is to be sent again, in the same order."""
        self._sent = 0

    def postponed(self, response: table_service_pb2.WriteStreamResponse) -> bool:
        """Whether an answer says that the batch is right, and that it cannot be committed now: then it, and all after
        it, are to be sent again."""
        refused = response.refused
        return response.WhichOneof("outcome") == "refused" and (
            refused.code == grpc.StatusCode.UNAVAILABLE.value[0] or refused.reason in POSTPONED
        )

    def answered(self, response: table_service_pb2.WriteStreamResponse) -> Ack:
        """Takes an answer."""
        if not self._sent or response.sequence != self._batches[0][0]:
            awaited = self._batches[0][0] if self._sent else "none"
            raise StreamBroken("disorder", f"an answer to batch {response.sequence} came, and {awaited} was awaited")
        sequence, encoded = self._batches.popleft()
        self._sent -= 1
        if response.WhichOneof("outcome") == "refused":
            error = encoded.refusal(response.refused)
            error.sequence = sequence
            return Ack(sequence, None, error)
        return Ack(sequence, encoded.result(response.committed))
