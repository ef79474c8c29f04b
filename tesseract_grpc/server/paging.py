"""Pages of a list that is ordered by id.

A page token is the last id of the page before, so a list may change between two pages and no item that stays is
skipped or shown twice. The token is opaque to clients: base64 of a mark and the id.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from itertools import islice

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.server.errors import invalid

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000
_MARK = b"p1:"


def page(ids: Iterable[str], size: int, token: str) -> tuple[list[str], str]:
    """The ids of one page, and the token of the next ("" when this is the last). O(n log n)."""
    if size < 0:
        raise invalid(f"page_size is {size}; it must be 0 (the default) or more", "page_size", Reason.BAD_WINDOW)
    after = _read(token)
    size = min(size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    found = list(islice((each for each in sorted(ids) if each > after), size + 1))
    if len(found) <= size:
        return found, ""
    return found[:size], _write(found[size - 1])


def _write(id: str) -> str:
    return base64.urlsafe_b64encode(_MARK + id.encode()).decode()


def _read(token: str) -> str:
    if not token:
        return ""
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
        if raw.startswith(_MARK):
            return raw.removeprefix(_MARK).decode()
    except (binascii.Error, ValueError):
        pass
    raise invalid(
        "page_token is not one of this server: send the next_page_token of the page before, or none",
        "page_token",
        Reason.BAD_PAGE_TOKEN,
    )
