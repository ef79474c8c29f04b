"""What a connection may be doing, and how long."""

from __future__ import annotations

from enum import Enum

HEAD_SECONDS = 10.0
"""How long the head of a request may take, counted from the connection for the first one."""

BODY_SECONDS = 120.0
"""How long the rest of a body may take that is needed, or that nobody needs any more."""

IDLE_SECONDS = 75.0
"""How long a connection may wait for its next request."""

LINGER_SECONDS = 2.0
"""How long a connection waits for its client to take notice that it ends."""


class Phase(Enum):
    """What a connection is doing; each has its own patience."""

    READING_HEAD = "reading a head"
    IDLE = "idle"
    ANSWERING = "answering"
    READING_REST = "reading the rest of a body that nobody wants"
    LINGERING = "lingering"


PATIENCE = {
    Phase.READING_HEAD: HEAD_SECONDS,
    Phase.IDLE: IDLE_SECONDS,
    Phase.READING_REST: BODY_SECONDS,
    Phase.LINGERING: LINGER_SECONDS,
}
"""Seconds; an answer may take as long as it needs."""
