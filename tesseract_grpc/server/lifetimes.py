"""Anonymous sessions end some time after their last use; sessions with an id live until they are deleted.

A session is in use while somebody watches it. Reading it without watching starts its time anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Lease:
    idle_timeout: float
    users: int = 0
    timer: asyncio.TimerHandle | None = None


class Lifetimes:
    """The leases of a hub's anonymous sessions; `end` is called with the name of one whose time is over."""

    def __init__(self, end: Callable[[str], None]) -> None:
        self._end = end
        self._leases: dict[str, _Lease] = {}

    def begin(self, session: str, idle_timeout: float) -> None:
        """Starts the time of a new anonymous session."""
        lease = self._leases[session] = _Lease(idle_timeout)
        self._start(session, lease)

    def idle_timeout(self, session: str) -> float | None:
        """How long an anonymous session lives without use; None for one with an id."""
        lease = self._leases.get(session)
        return None if lease is None else lease.idle_timeout

    def acquire(self, session: str) -> None:
        """Somebody watches the session from now on."""
        if (lease := self._leases.get(session)) is not None:
            lease.users += 1
            self._stop(lease)

    def release(self, session: str) -> None:
        """Somebody stopped watching the session."""
        if (lease := self._leases.get(session)) is not None:
            lease.users -= 1
            self._start(session, lease)

    def touch(self, session: str) -> None:
        """Somebody read the session."""
        if (lease := self._leases.get(session)) is not None:
            self._start(session, lease)

    def forget(self, session: str) -> None:
        """The session ended for another reason."""
        if (lease := self._leases.pop(session, None)) is not None:
            self._stop(lease)

    def close(self) -> None:
        """Stops all timers."""
        for lease in self._leases.values():
            self._stop(lease)
        self._leases.clear()

    def _start(self, session: str, lease: _Lease) -> None:
        self._stop(lease)
        if lease.users <= 0:
            lease.timer = asyncio.get_running_loop().call_later(lease.idle_timeout, self._expire, session)

    def _stop(self, lease: _Lease) -> None:
        if lease.timer is not None:
            lease.timer.cancel()
            lease.timer = None

    def _expire(self, session: str) -> None:
        self._leases.pop(session, None)
        self._end(session)
