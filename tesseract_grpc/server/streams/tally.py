"""What the streams of a hub have sent since the server started, whether they are open or not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Counts; they only rise."""

    messages: Counter[str] = field(default_factory=Counter)  # by the name of the event
    resets: Counter[str] = field(default_factory=Counter)  # by reason
    sent_bytes: int = 0
    conflations: int = 0  # net changes that were told in the place of several commits
    slow_readers: int = 0  # streams that were ended because their readers did not read
    resumes: int = 0  # streams that went on from a token
