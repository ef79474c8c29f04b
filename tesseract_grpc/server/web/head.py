"""The head of a request, as far as it concerns us."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import h11


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
