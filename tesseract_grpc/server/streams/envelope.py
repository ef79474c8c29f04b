"""The outer message of a watch event, put around a body that was encoded once.

Watchers of one change share its body; what differs between them is small: the versions, and whether more pieces
follow. A protobuf message may be written field by field, so a response is the bytes of its small fields followed by the
tag, the length and the body of its event. A response of a watch of several sessions is a response of one of them with
an index before it, made in the same way.
"""

from __future__ import annotations

from typing import Any

from tesseract_grpc.server.codec import twin


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Envelope:
    """Makes the responses of one kind of watch."""

    def __init__(self, response_class: Any) -> None:
        self._class = response_class
        self._tags = {
            field.name: _varint(field.number << 3 | 2)
            for field in response_class.DESCRIPTOR.oneofs_by_name["event"].fields
        }
        self._has_generation = "generation" in response_class.DESCRIPTOR.fields_by_name

    def seal(
        self,
        event: str,
        body: bytes,
        from_version: int,
        to_version: int,
        *,
        generation: int,
        continued: bool = False,
        token: bytes = b"",
    ) -> bytes:
        """One response. O(size of the body), a copy."""
        head = self._class(from_version=from_version, to_version=to_version, continued=continued, resume_token=token)
        if self._has_generation:
            head.generation = generation
        return b"".join((head.SerializeToString(), self._tags[event], _varint(len(body)), body))


SESSION = Envelope(twin.session_service.WatchSessionResponse)
TABLE = Envelope(twin.table_service.WatchTableResponse)

_FIELDS = twin.session_service.WatchSessionsResponse.DESCRIPTOR.fields_by_name
_INDEX = _varint(_FIELDS["index"].number << 3)
_RESPONSE = _varint(_FIELDS["response"].number << 3 | 2)


def of_several(index: int, response: bytes) -> bytes:
    """A response of one of several sessions, which are watched together. O(size), a copy."""
    head = _INDEX + _varint(index) if index else b""
    return b"".join((head, _RESPONSE, _varint(len(response)), response))
