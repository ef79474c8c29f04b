"""How long a client waits for an answer, as its headers say."""

from __future__ import annotations

import re

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.server.errors import Refusal
from tesseract_grpc.server.web.formats import Shape
from tesseract_grpc.server.web.head import Head

_CONNECT = re.compile(r"[0-9]{1,10}")
_GRPC = re.compile(r"([0-9]{1,8})([HMSmun])")
_UNITS = {"H": 3_600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def timeout_of(head: Head, shape: Shape) -> float | None:
    """Seconds; None when the client waits for ever. Raises Refusal."""
    if shape in (Shape.WEB, Shape.WEB_TEXT):
        given = head.get("grpc-timeout")
        if not given:
            return None
        if (found := _GRPC.fullmatch(given)) is not None:
            return int(found[1]) * _UNITS[found[2]]
        raise Refusal(Reason.MALFORMED_REQUEST, "grpc-timeout is a number of at most 8 digits and one of H M S m u n")
    given = head.get("connect-timeout-ms")
    if not given:
        return None
    if _CONNECT.fullmatch(given):
        return int(given) / 1_000
    raise Refusal(Reason.MALFORMED_REQUEST, "connect-timeout-ms is a number of at most 10 digits")
