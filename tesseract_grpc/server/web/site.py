"""What a path is: a method, the health of the server, or the page that tells how to ask.

Whatever is wrong with a request before a method is found is answered here, as `{"code": .., "message": ..}`, which is
the form of Connect's errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from grpc import StatusCode

from tesseract_grpc.server.status import cut
from tesseract_grpc.server.web.body import Body
from tesseract_grpc.server.web.codes import connect_name
from tesseract_grpc.server.web.connection import Connection
from tesseract_grpc.server.web.cors import Cors
from tesseract_grpc.server.web.ending import Ending, compact
from tesseract_grpc.server.web.formats import Shape, format_of, formats_of
from tesseract_grpc.server.web.framing import Framings
from tesseract_grpc.server.web.head import Head
from tesseract_grpc.server.web.index import index
from tesseract_grpc.server.web.methods import Method
from tesseract_grpc.server.web.reply import Reply
from tesseract_grpc.server.web.rpc import Calls

Headers = list[tuple[str, str]]

HEALTH = "/healthz"
_CODE: Mapping[int, StatusCode] = {
    400: StatusCode.INVALID_ARGUMENT,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.UNIMPLEMENTED,
    405: StatusCode.INVALID_ARGUMENT,
    408: StatusCode.DEADLINE_EXCEEDED,
    415: StatusCode.INVALID_ARGUMENT,
    431: StatusCode.RESOURCE_EXHAUSTED,
    503: StatusCode.UNAVAILABLE,
    505: StatusCode.UNIMPLEMENTED,
}


def refusal_of(status: int, why: str) -> tuple[Headers, bytes]:
    """Headers and body of an answer that is an error of HTTP and not of a call."""
    code = connect_name(_CODE.get(status, StatusCode.INVALID_ARGUMENT))
    return [("content-type", "application/json")], compact({"code": code, "message": cut(why)})


class Site:
    """All that the port answers."""

    def __init__(
        self,
        methods: Mapping[str, Method],
        calls: Calls,
        cors: Cors,
        healthy: Callable[[], bool],
        scheme: str,
    ) -> None:
        """`scheme` is what the port's addresses begin with."""
        self._methods = methods
        self._calls = calls
        self._cors = cors
        self._healthy = healthy
        self._scheme = scheme

    async def answer(self, connection: Connection, head: Head, body: Body) -> None:
        """Answers a request."""
        origin = head.get("origin")
        own = self._cors.headers(origin)
        if head.version not in ("1.0", "1.1"):
            _refuse(connection, own, 505, f"HTTP/{head.version} is not spoken here: HTTP/1.1 is")
            return
        if not self._cors.allows(origin):
            why = f"pages of {origin} may not use this server: its option http_cors_origins names those that may"
            _refuse(connection, own, 403, why)
            return
        if head.verb == "OPTIONS":
            self._options(connection, head, own)
            return
        if (method := self._methods.get(head.path)) is not None:
            await self._rpc(connection, head, body, method, own)
            return
        if head.path not in ("/", HEALTH):
            await self._unknown(connection, head, own)
            return
        if head.verb not in ("GET", "HEAD"):
            _refuse(connection, [*own, ("allow", "GET, HEAD")], 405, f"{head.path} is read with GET")
            return
        if head.path == HEALTH:
            healthy = self._healthy()
            state = "SERVING" if healthy else "NOT_SERVING"
            _respond(connection, head, own, 200 if healthy else 503, compact({"status": state}) + b"\n")
            return
        _respond(connection, head, own, 200, index(self._methods, self._scheme, head))

    async def _rpc(self, connection: Connection, head: Head, body: Body, method: Method, own: Headers) -> None:
        if head.verb != "POST":
            why = f"{method.path} is called with POST and a message, for example {{}}"
            _refuse(connection, [*own, ("allow", "POST")], 405, why)
            return
        format = format_of(head.get("content-type"))
        accepted = formats_of(method.server_streaming, method.client_streaming)
        if format is None or format.content_type not in accepted:
            headers = [*own, ("accept-post", ", ".join(accepted))]
            _refuse(connection, headers, 415, _why_not(head.get("content-type"), method, accepted))
            return
        if head.get("connect-protocol-version") not in ("", "1"):
            _refuse(connection, own, 400, "connect-protocol-version is 1, and no other one is known")
            return
        await self._calls.answer(connection, head, body, method, format, own)

    async def _unknown(self, connection: Connection, head: Head, own: Headers) -> None:
        why = f"there is no {cut(head.path)}; GET / lists what there is"
        format = format_of(head.get("content-type"))
        if format is None or format.shape not in (Shape.WEB, Shape.WEB_TEXT):
            _refuse(connection, own, 404, why)
            return
        reply = Reply(connection, head, format, Framings(), None, own)
        await reply.end(Ending(StatusCode.UNIMPLEMENTED, why))

    def _options(self, connection: Connection, head: Head, own: Headers) -> None:
        """Answers a browser that asks beforehand."""
        headers = [*own, ("allow", "POST, GET, HEAD, OPTIONS")]
        if head.get("origin") and head.get("access-control-request-method"):
            headers += self._cors.preflight(head.get("access-control-request-private-network") == "true")
        connection.respond(204, headers, b"")


def _refuse(connection: Connection, headers: Headers, status: int, why: str) -> None:
    told, body = refusal_of(status, why)
    connection.respond(status, [*headers, *told], body)


def _respond(connection: Connection, head: Head, headers: Headers, status: int, body: bytes) -> None:
    every = [*headers, ("content-type", "application/json"), ("cache-control", "no-store")]
    connection.respond(status, every, body, bodiless=head.verb == "HEAD")


def _why_not(given: str, method: Method, accepted: list[str]) -> str:
    """What is wrong with a content type, and what would be right."""
    if given.lower().startswith("application/grpc") and not given.lower().startswith("application/grpc-web"):
        return "gRPC needs HTTP/2: connect to the gRPC port, or use gRPC-Web or Connect here"
    said = f"content-type {given!r}" if given else "no content-type"
    if (method.server_streaming or method.client_streaming) and given.startswith(
        ("application/json", "application/proto")
    ):
        return f"{method.path} is a stream: with curl, send the content-type application/x-ndjson"
    return f"{said} is not understood by {method.path}: {', '.join(accepted)}"
