"""What was answered to which request id, so that a retry gets the first answer and nothing happens twice.

A bounded memory a hub, the least recently used forgotten first. An id belongs to one request: the same id with
another method or other content is refused. Only successes are remembered: a refused request changed nothing, so
trying it again is harmless. Requests with validate_only change nothing either and are left out.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from tesseract_grpc.server.errors import Refusal, ServerReason, invalid

LONGEST_ID = 64


class Identified(Protocol):
    """A request that may carry an id."""

    request_id: str

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes:  # noqa: N802 (protobuf's name)
        """The content of the request."""


R = TypeVar("R", bound=Message)


class RequestMemory:
    """The answers to the last requests that had an id."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._answers: OrderedDict[str, tuple[bytes, Any]] = OrderedDict()

    def once(self, request: Identified, answer: Callable[[], R], *, dry: bool = False) -> R:
        """The remembered answer to this request, or the one that `answer` gives now. `dry` is validate_only.

        O(size of the request) when it has an id, O(1) when it has none.
        """
        request_id = request.request_id
        if not request_id:
            return answer()
        if len(request_id) > LONGEST_ID:
            raise invalid(f"request_id has {len(request_id)} characters; at most {LONGEST_ID} are taken", "request_id")
        if dry or not self.capacity:
            return answer()
        digest = _digest(request)
        if (known := self._answers.get(request_id)) is not None:
            if known[0] != digest:
                raise _reused(request_id)
            self._answers.move_to_end(request_id)
            found: R = known[1]
            return found
        response = answer()
        self._answers[request_id] = (digest, response)
        if len(self._answers) > self.capacity:
            self._answers.popitem(last=False)
        return response

    def __len__(self) -> int:
        return len(self._answers)


def _digest(request: Identified) -> bytes:
    digest = hashlib.blake2b(type(request).__name__.encode(), digest_size=16)
    digest.update(request.SerializeToString(deterministic=True))
    return digest.digest()


def _reused(request_id: str) -> Refusal:
    message = "this request_id was used for another request; give every request its own id"
    return Refusal(ServerReason.REQUEST_ID_REUSED, message, field="request_id", metadata={"request_id": request_id})
