"""The page at `/`: JSON that tells people how to ask."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tesseract_grpc import __version__
from tesseract_grpc.server.web.head import Head
from tesseract_grpc.server.web.methods import Method

_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


def index(methods: Mapping[str, Method], scheme: str, head: Head) -> bytes:
    """The page, with commands that can be pasted into a shell."""
    host = head.get("host")
    here = f"{scheme}://{host if _HOST.fullmatch(host) else 'HOST:PORT'}"
    services: dict[str, dict[str, str]] = {}
    for method in methods.values():
        _, service, name = method.path.split("/")
        services.setdefault(service, {})[name] = _kind(method)
    page: dict[str, Any] = {
        "server": "tesseract-grpc",
        "version": __version__,
        "curl": {
            "list the tables": _curl(here, "tesseract.v1.TableService/ListTables", "{}"),
            "ask for rows": _curl(here, "tesseract.v1.TableService/Query", '{"query":{"table":"TABLE"}}'),
            "watch a session": _curl(
                here, "tesseract.v1.SessionService/WatchSession", '{"name":"hubs/default/sessions/SESSION"}', lines=True
            ),
            "with a token": "add -H 'authorization: Bearer TOKEN'",
        },
        "protocols": {
            "Connect": "application/json and application/proto; streams application/connect+json and +proto",
            "gRPC-Web": "application/grpc-web and application/grpc-web-text",
            "lines of JSON": "application/x-ndjson, for streams with curl",
        },
        "health": "/healthz",
        "services": services,
    }
    return json.dumps(page, indent=2).encode() + b"\n"


def _kind(method: Method) -> str:
    if method.client_streaming:
        return "stream of requests and responses"
    return "stream of responses" if method.server_streaming else "one response"


def _curl(here: str, method: str, body: str, *, lines: bool = False) -> str:
    kind = "-N -H 'content-type: application/x-ndjson'" if lines else "-H 'content-type: application/json'"
    return f"curl {kind} -d '{body}' {here}/{method}"
