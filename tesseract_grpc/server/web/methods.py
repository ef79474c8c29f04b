"""The methods that the port serves: those that gRPC serves, by the same handlers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc


@dataclass(frozen=True, slots=True)
class Method:
    """One method."""

    path: str
    handler: Any
    """An RpcMethodHandler."""
    request_class: Any
    response_class: Any

    @property
    def client_streaming(self) -> bool:
        """Whether it takes many requests."""
        return bool(self.handler.request_streaming)

    @property
    def server_streaming(self) -> bool:
        """Whether it gives many responses."""
        return bool(self.handler.response_streaming)


class Registry:
    """Takes what a gRPC server takes, and remembers it."""

    def __init__(self) -> None:
        self._handlers: list[Any] = []

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Handlers of a service."""
        self._handlers.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """The same handlers again, as generated code registers them."""

    def methods(self, services: Sequence[str]) -> Mapping[str, Method]:
        """The methods of these services, by path."""
        return {found.path: found for service in services for found in self._of(service)}

    def _of(self, service: str) -> Iterator[Method]:
        for method in descriptor_pool.Default().FindServiceByName(service).methods:
            details = Details(f"/{service}/{method.name}", ())
            handler = next(found for one in self._handlers if (found := one.service(details)) is not None)
            classes = (message_factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))
            yield Method(details.method, handler, *classes)


@dataclass(frozen=True, slots=True)
class Details:
    """What gRPC tells interceptors of a call."""

    method: str
    invocation_metadata: Sequence[tuple[str, str]]


def add_reflection(services: Sequence[str], registry: Registry) -> None:
    """Reflection, made for a loop as the server's own is."""
    servicer = reflection.aio.ReflectionServicer(services)
    add: Any = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
    add(servicer, registry)
