"""Who calls: an interceptor that reads the bearer token of every call, unary or streaming, ours or not.

It runs before the request is read. A call that may not go on is answered by a handler of the same kind that ends it
with a status; a call that may go on finds its principal in `PRINCIPAL`, which belongs to the task of the call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import grpc

from tesseract_grpc.server.errors import Refusal, ServerReason
from tesseract_grpc.server.logs import logger
from tesseract_grpc.server.roles import ROLE_OF
from tesseract_grpc.server.status import status_of, trailing
from tesseract_grpc.server.tokens import EVERYBODY, Principal, Role, TokenTable

PRINCIPAL: ContextVar[Principal] = ContextVar("principal", default=EVERYBODY)
"""Who makes the present call."""

_SCHEME = "bearer "


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Lets a call through when its token has the role that its method needs."""

    def __init__(self, tokens: TokenTable) -> None:
        self._tokens = tokens

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The method's own handler, or one that refuses the call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None  # gRPC answers UNIMPLEMENTED
        method = handler_call_details.method
        try:
            self.admit(method, handler_call_details.invocation_metadata)
        except Refusal as refusal:
            logger().warning("call.refused", method=method, reason=str(refusal.reason))
            return refusing(handler, refusal)
        return handler

    def admit(self, method: str, metadata: Any) -> None:
        """Makes the caller the principal of the present task. Raises Refusal when it may not call the method."""
        needed = ROLE_OF.get(method, Role.ADMIN)
        if needed is None:
            return
        principal = self._principal(metadata)
        require(principal, needed)
        PRINCIPAL.set(principal)

    def _principal(self, metadata: Any) -> Principal:
        values = [value for key, value in metadata or () if key == "authorization"]
        if not values or not str(values[0]).lower().startswith(_SCHEME):
            raise Refusal(
                ServerReason.TOKEN_MISSING,
                "this server wants a token: send the metadata `authorization: Bearer <token>`",
            )
        principal = self._tokens.find(str(values[0])[len(_SCHEME) :].strip())
        if principal is None:
            raise Refusal(ServerReason.TOKEN_UNKNOWN, "the server does not know this token")
        return principal


def require(principal: Principal, needed: Role) -> None:
    """Raises Refusal unless the principal has the role."""
    if principal.role < needed:
        raise Refusal(
            ServerReason.ROLE_REQUIRED,
            f"this call needs the role {needed.name.lower()}; '{principal.name}' has {principal.role.name.lower()}",
            metadata={"role": needed.name.lower()},
        )


def refusing(handler: grpc.RpcMethodHandler[Any, Any], refusal: Refusal) -> grpc.RpcMethodHandler[Any, Any]:
    """A handler of the same kind that ends the call. Requests are not even deserialized."""
    status = status_of(refusal)

    async def refuse(_: Any, context: Any) -> None:
        await context.abort(refusal.code, status.message, trailing(status))

    match handler.request_streaming, handler.response_streaming:
        case False, False:
            return grpc.unary_unary_rpc_method_handler(refuse)
        case False, True:
            return grpc.unary_stream_rpc_method_handler(refuse)
        case True, False:
            return grpc.stream_unary_rpc_method_handler(refuse)
        case _:
            return grpc.stream_stream_rpc_method_handler(refuse)
