"""The encoded pieces of one event, shared by all of its readers.

The first reader that asks for a piece encodes it, every other reader finds it. Encoding one piece takes a few
milliseconds and does not wait for anything, so readers need no lock; between two pieces each of them lets others run.
"""

from __future__ import annotations

from collections.abc import Iterator

from tesseract_grpc.server.streams.envelope import Envelope


class Pieces:
    """The bodies of one event, and the last response made of one of them."""

    __slots__ = ("_bodies", "_last_key", "_last_response", "_source")

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source: Iterator[bytes] | None = source
        self._bodies: list[bytes] = []
        self._last_key: tuple[object, ...] = ()
        self._last_response = b""

    def body(self, index: int) -> bytes | None:
        """The body of a piece; None after the last."""
        while len(self._bodies) <= index:
            if self._source is None:
                return None
            body = next(self._source, None)
            if body is None:
                self._source = None
                return None
            self._bodies.append(body)
        return self._bodies[index]

    def response(
        self,
        envelope: Envelope,
        event: str,
        index: int,
        versions: tuple[int, int],
        generation: int,
        continued: bool,
        token: bytes = b"",
    ) -> bytes:
        """The response with a piece. Readers at the same versions get the very same bytes."""
        key = (id(envelope), event, index, versions, generation, continued, token)
        if key != self._last_key:
            body = self.body(index)
            assert body is not None, "the piece was asked for before"
            self._last_response = envelope.seal(
                event, body, *versions, generation=generation, continued=continued, token=token
            )
            self._last_key = key
        return self._last_response
