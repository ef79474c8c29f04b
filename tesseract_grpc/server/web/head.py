"""The head of a request, as far as it concerns us."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import h11

HEAD_BYTES = 16_384
"""The most bytes of a request's head."""

NO_REQUEST = "this is no HTTP/1.1 request"
"""How an answer begins that says what is wrong with the bytes."""


class Header(NamedTuple):
    """One header; its parts have the names that gRPC's metadata have, by which interceptors know them."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Head:
    """What is asked, of what, and how."""

    verb: str
    path: str
    """Without what stands behind a question mark."""
    version: str
    headers: tuple[Header, ...]
    """Names in lower case, in the order of the request."""

    @classmethod
    def of(cls, request: h11.Request) -> Head:
        """The head of a request that h11 has read."""
        headers = tuple(Header(name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers)
        path = request.target.decode("latin-1").partition("?")[0]
        return cls(request.method.decode("ascii"), path, request.http_version.decode("ascii"), headers)

    @property
    def chunked_answers(self) -> bool:
        """Whether the client understands bodies of unknown length; HTTP/1.0 does not."""
        return self.version != "1.0"

    def get(self, name: str) -> str:
        """The first value of a header; empty where there is none."""
        return next((value for key, value in self.headers if key == name), "")


def problem_of(request: h11.Request) -> tuple[int, str] | None:
    """What h11 lets pass and we do not, as an HTTP status and a sentence."""
    if sum(len(name) + len(value) for name, value in request.headers) + len(request.target) > HEAD_BYTES:
        return 431, f"{NO_REQUEST}: its head has more than {HEAD_BYTES} bytes"
    names = {name for name, _ in request.headers}
    if {b"content-length", b"transfer-encoding"} <= names:  # a proxy before us may have believed the other one
        return 400, f"{NO_REQUEST}: it has two lengths"
    return None
