"""Which records somebody wants to see, and pages of them.

A page token is the sequence at which the next page begins. Records that leave in between are missing from the list, as
they would be from one that begins then.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.debug.record import KINDS, Level, Record
from tesseract_grpc.server.debug.settings import decode_level
from tesseract_grpc.server.errors import invalid
from tesseract_grpc.server.names import session_in, table_in

pb = twin.diagnosis_service

DEFAULT_PAGE = 100
MOST_PAGE = 10_000
PAGE_BYTES = 1_048_576
_MARK = b"d1:"


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter of records; what is empty does not matter."""

    level: Level = Level.DEBUG
    kinds: frozenset[str] = frozenset()
    table: str = ""
    session: str = ""
    since_us: int = 0

    @classmethod
    def of(cls, message: pb.DebugFilter, hub: str) -> Selection:
        """The filter of a request. Raises Refusal."""
        for at, kind in enumerate(message.kinds):
            if kind not in KINDS:
                raise invalid(f"there is no kind '{kind[:140]}'; {', '.join(KINDS)} are", f"filter.kinds[{at}]")
        since = message.since
        return cls(
            decode_level(message.level, "filter.level", Level.DEBUG),
            frozenset(message.kinds),
            table_in(message.table, hub, "filter.table") if message.table else "",
            session_in(message.session, hub, "filter.session") if message.session else "",
            since.seconds * 1_000_000 + since.nanos // 1_000 if message.HasField("since") else 0,
        )

    def takes(self, record: Record) -> bool:
        """Whether the filter lets a record pass. O(1)."""
        return (
            record.level >= self.level
            and (not self.kinds or record.kind in self.kinds)
            and (not self.table or record.table == self.table)
            and (not self.session or record.session == self.session)
            and (not self.since_us or round(record.time * 1e6) >= self.since_us)
        )


def page_size(asked: int) -> int:
    """How many records a page has at most. Raises Refusal."""
    if asked < 0:
        raise invalid(f"page_size is {asked}; it must be 0 (the default) or more", "page_size", Reason.BAD_WINDOW)
    return min(asked or DEFAULT_PAGE, MOST_PAGE)


def write_token(sequence: int) -> str:
    """The token of a page that begins at a sequence."""
    return base64.urlsafe_b64encode(_MARK + str(sequence).encode()).decode()


def read_token(token: str) -> int:
    """The sequence at which a page begins; 0 for the first. Raises Refusal."""
    if not token:
        return 0
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
        if raw.startswith(_MARK) and (digits := raw.removeprefix(_MARK)).isdigit() and len(digits) < 20:
            return int(digits)
    except (binascii.Error, ValueError):
        pass
    raise invalid(
        "page_token is not one of this server: send the next_page_token of the page before, or none",
        "page_token",
        Reason.BAD_PAGE_TOKEN,
    )
