"""Names for requests, so that one which is sent again is not done again."""

from __future__ import annotations

import uuid


def new_request_id() -> str:
    """A name that nobody else has."""
    return uuid.uuid4().hex
