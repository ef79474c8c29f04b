"""Which pages may use the port.

A browser says with `Origin` from where a page came; programs and curl say nothing. A page whose origin is not
configured is refused before anything else happens, and not only kept from reading the answer: this also holds up a page
that has pointed its own name at this machine (DNS rebinding), and forms of other sites. No page is served from here, so
there is no origin that would be ours.

Cookies are not used, so `Access-Control-Allow-Credentials` is never said: a page sends its token itself.
"""

from __future__ import annotations

from dataclasses import dataclass

ALLOWED_HEADERS = (
    "authorization, content-type, connect-protocol-version, connect-timeout-ms, connect-accept-encoding,"
    " connect-content-encoding, grpc-timeout, x-grpc-web, x-user-agent, traceparent, tracestate"
)
"""What a page may send."""

EXPOSED_HEADERS = (
    "content-encoding, connect-content-encoding, grpc-encoding, grpc-status, grpc-message, grpc-status-details-bin"
)
"""What a page may read of the headers of an answer."""


@dataclass(frozen=True, slots=True)
class Cors:
    """The pages that may."""

    origins: frozenset[str]
    max_age: int
    """Seconds."""

    def allows(self, origin: str) -> bool:
        """Whether a page of this origin may. Whoever says none is no page."""
        return not origin or "*" in self.origins or origin in self.origins

    def headers(self, origin: str) -> list[tuple[str, str]]:
        """What every answer says about it."""
        if not self.origins:
            return []
        headers = [] if "*" in self.origins else [("vary", "Origin")]
        if origin and self.allows(origin):
            allowed = "*" if "*" in self.origins else origin
            headers += [("access-control-allow-origin", allowed), ("access-control-expose-headers", EXPOSED_HEADERS)]
        return headers

    def preflight(self, private_network: bool) -> list[tuple[str, str]]:
        """What the answer to a browser that asks beforehand says in addition."""
        headers = [
            ("access-control-allow-methods", "POST, GET"),
            ("access-control-allow-headers", ALLOWED_HEADERS),
            ("access-control-max-age", str(self.max_age)),
        ]
        if private_network:  # a page of the Internet that asks a server of its own network
            headers.append(("access-control-allow-private-network", "true"))
        return headers
