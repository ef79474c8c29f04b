"""A server for the tests of the client that does what no real one can be made to do."""

from __future__ import annotations

import random
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2, session_service_pb2, table_service_pb2


def free_port() -> int:
    """A port that a server can be started on again after it ended; not one that the system hands out by itself."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@dataclass(frozen=True)
class Fail:
    """Ends a call with a status."""

    code: grpc.StatusCode
    message: str = "no"
    reason: str = ""
    field: str = ""
    retry_after: float | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    rows: table_service_pb2.RowErrors | None = None

    def details(self) -> bytes:
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        info = error_details_pb2.ErrorInfo(reason=self.reason, domain="test", metadata=dict(self.metadata))
        found: list[Message] = [info] if self.reason else []
        if self.field:
            violation = error_details_pb2.BadRequest.FieldViolation(field=self.field)
            found.append(error_details_pb2.BadRequest(field_violations=[violation]))
        if self.retry_after is not None:
            delay = Duration()
            delay.FromMilliseconds(round(self.retry_after * 1000))
            found.append(error_details_pb2.RetryInfo(retry_delay=delay))
        if self.rows is not None:
            found.append(self.rows)
        for detail in found:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        raw: bytes = status.SerializeToString()
        return raw


@dataclass(frozen=True)
class Silence:
    """Says nothing until the client gives up."""


@dataclass(frozen=True)
class Until:
    """Waits for the test."""

    event: threading.Event


@dataclass(frozen=True)
class Take:
    """Reads this many requests of a client's stream."""

    count: int = 1


@dataclass(frozen=True)
class Drain:
    """Reads a client's stream to its end."""


Step = Message | Fail | Silence | Until | Take | Drain
SERVICES = {
    service.full_name: service
    for module in (table_service_pb2, session_service_pb2, hub_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
}


def _bytes(message: Message) -> bytes:
    return message.SerializeToString()


class FakeServer(grpc.GenericRpcHandler):
    """Answers each call with the next script of its method; a method without one is silent."""

    def __init__(self) -> None:
        self.requests: dict[str, list[Any]] = defaultdict(list)
        self.metadata: dict[str, str] = {}
        self._scripts: dict[str, deque[tuple[Step, ...]]] = defaultdict(deque)
        self._stopped = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def script(self, method: str, *steps: Step) -> None:
        """What one more call of `method` is answered with. After the last step the call ends well."""
        self._scripts[method].append(steps)

    def calls(self, method: str) -> int:
        return len(self.requests[method])

    def stop(self) -> None:
        self._stopped.set()
        self._server.stop(None).wait()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        service, method = details.method.strip("/").split("/")
        self.metadata = {str(key): str(value) for key, value in details.invocation_metadata}
        descriptor = SERVICES[service].methods_by_name[method]
        parse = GetMessageClass(descriptor.input_type).FromString
        if descriptor.client_streaming:
            return grpc.stream_stream_rpc_method_handler(
                lambda requests, context: self._stream(method, requests, context), parse, _bytes
            )
        if descriptor.server_streaming:
            return grpc.unary_stream_rpc_method_handler(
                lambda request, context: self._stream(method, iter([request]), context),
                parse,
                _bytes,
            )
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: next(self._stream(method, iter([request]), context)),
            parse,
            _bytes,
        )

    def _stream(self, method: str, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Message]:
        scripts = self._scripts[method]
        if method != "WriteStream":
            self.requests[method].append(next(requests))
        steps = scripts.popleft() if scripts else (Silence(),)
        for step in steps:
            if isinstance(step, Fail):
                context.set_trailing_metadata((("grpc-status-details-bin", step.details()),))
                context.abort(step.code, step.message)
            elif isinstance(step, Silence):
                while context.is_active() and not self._stopped.wait(0.01):
                    pass
                return
            elif isinstance(step, Until):
                step.event.wait(10)
            elif isinstance(step, Take):
                self.requests[method].extend(next(requests) for _ in range(step.count))
            elif isinstance(step, Drain):
                self.requests[method].extend(requests)
            else:
                yield step


@contextmanager
def fake_server() -> Iterator[FakeServer]:
    server = FakeServer()
    try:
        yield server
    finally:
        server.stop()
