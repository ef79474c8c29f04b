"""Free ports."""

from __future__ import annotations

import random
import socket

# Below the ephemeral range, where the other side of some connection could sit on the port by chance.
_LOWEST, _HIGHEST = 20_000, 32_000


def free_port() -> int:
    """Return a port that nobody listens on now."""
    while True:
        port = random.randint(_LOWEST, _HIGHEST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
