"""What was answered to which request id, so that a retry gets the first answer and nothing happens twice.

A bounded memory a hub, the oldest forgotten first: who asks again makes no difference, so that the memory follows from
the log alone. An id belongs to one request: the same id with another method or other content is refused. Only
successes are remembered: a refused request changed nothing, so trying it again is harmless. Requests with
validate_only change nothing either and are left out.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from tesseract_grpc.server.errors import Refusal, ServerReason, invalid

LONGEST_ID = 64


R = TypeVar("R", bound=Message)


class RequestMemory:
    """The answers to the last requests that had an id."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._answers: OrderedDict[str, tuple[bytes, Any]] = OrderedDict()

    def knows(self, request_id: str) -> bool:
        """Whether there is an answer to the request with this id."""
        return request_id in self._answers

    def recall(self, request: Any) -> Any:
        """The remembered answer to a request, or None. Raises Refusal when the id is that of another request.

        O(size of the request) when it has an id, O(1) when it has none.
        """
        request_id = str(getattr(request, "request_id", ""))
        if not request_id:
            return None
        if len(request_id) > LONGEST_ID:
            raise invalid(f"request_id has {len(request_id)} characters; at most {LONGEST_ID} are taken", "request_id")
        known = self._answers.get(request_id)
        if known is None:
            return None
        if known[0] != _digest(request):
            raise _reused(request_id)
        return known[1]

    def once(self, request: Any, answer: Callable[[], R]) -> R:
        """The remembered answer to this request, or the one that `answer` gives now, which is remembered."""
        known: R | None = self.recall(request)
        if known is not None:
            return known
        response = answer()
        if self.capacity > 0 and str(getattr(request, "request_id", "")):
            self._answers[str(request.request_id)] = (_digest(request), response)
            if len(self._answers) > self.capacity:
                self._answers.popitem(last=False)
        return response

    def answers(self) -> list[tuple[str, bytes, Any]]:
        """All that is remembered, the oldest first: ids, digests of the requests, and responses."""
        return [(request_id, digest, response) for request_id, (digest, response) in self._answers.items()]

    def remember(self, request_id: str, digest: bytes, response: Message) -> None:
        """Remembers the answer to a request of another life, as many as were remembered then."""
        self._answers[request_id] = (digest, response)

    def resize(self, capacity: int) -> None:
        """Remembers so many answers from now on."""
        self.capacity = capacity
        while len(self._answers) > capacity:
            self._answers.popitem(last=False)

    def __len__(self) -> int:
        return len(self._answers)


def _digest(request: Any) -> bytes:
    digest = hashlib.blake2b(type(request).__name__.encode(), digest_size=16)
    digest.update(request.SerializeToString(deterministic=True))
    return digest.digest()


def _reused(request_id: str) -> Refusal:
    message = "this request_id was used for another request; give every request its own id"
    return Refusal(ServerReason.REQUEST_ID_REUSED, message, field="request_id", metadata={"request_id": request_id})
