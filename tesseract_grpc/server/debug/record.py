"""One debug record: something that happened in a hub, at a moment, with what is worth knowing of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.values import encode_duration, encode_time
from tesseract_grpc.server.names import of_session, of_table

pb = twin.diagnosis_service


class Level(IntEnum):
    """How much a record matters. The numbers are those of the wire."""

    DEBUG = 1
    INFO = 2
    WARNING = 3
    ERROR = 4


KINDS = (
    "call",
    "commit",
    "query",
    "slow_query",
    "session",
    "table",
    "watch",
    "log",
    "snapshot",
    "hub",
    "refusal",
    "error",
)
"""Everything that a record can be."""

Detail = str | int | float | bool
MOST_TEXT = 4_000
"""The most characters of one detail; a plan may be long."""
MOST_ID = 128
"""The most characters of a request id."""
_BASE = 500
"""About what a record takes without its texts, in bytes."""
_NOTHING: Mapping[str, Detail] = {}


@dataclass(slots=True)
class Record:
    """Something that happened. `table` and `session` are ids; `seconds` is None for what takes no time."""

    time: float
    level: Level
    kind: str
    message: str
    version: int
    request_id: str = ""
    table: str = ""
    session: str = ""
    seconds: float | None = None
    details: Mapping[str, Detail] = field(default_factory=lambda: _NOTHING)
    sequence: int = 0
    """Its number among the records of the hub, given by the ring."""

    @property
    def size(self) -> int:
        """About what it takes in memory, in bytes. O(details)."""
        texts = sum(len(value) for value in self.details.values() if type(value) is str)
        return _BASE + len(self.message) + texts

    def encode(self, hub: str) -> pb.DebugRecord:
        """The record as a message."""
        message = pb.DebugRecord(
            sequence=self.sequence,
            kind=self.kind,
            message=self.message,
            request_id=self.request_id,
            table=of_table(hub, self.table) if self.table else "",
            session=of_session(hub, self.session) if self.session else "",
            version=self.version,
            details={name: _text(value) for name, value in self.details.items()},
        )
        message.level = pb.DebugLevel.ValueType(int(self.level))
        encode_time(self.time, message.time)
        if self.seconds is not None:
            encode_duration(self.seconds, message.duration)
        return message


def _text(value: Detail) -> str:
    """A detail as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"
