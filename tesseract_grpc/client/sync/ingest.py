# Generated from tesseract_grpc/client/aio/ingest.py by tools/generate_sync_client.py: edit that file and run it.
"""Bulk writes over one stream, with flow control.

Batches are encoded while earlier ones are on their way, and at most `in_flight` of them wait for an answer, so neither
side piles rows up. Every batch is a commit of its own: what was acknowledged stays, whatever happens later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Literal, get_args

import grpc

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2

from ..core.arguments import whole_number
from ..core.errors import Closed, Unavailable, error_of_call, invalid
from ..core.schema import Schema
from ..core.tabulate import slices_of
from ..core.writes import Encoded, IngestResult, encode_blocks
from .rpc import Rpc
from .runtime import CallCancelled, Semaphore, pieces_of, receive

DEFAULT_BATCH_ROWS = 10_000
DEFAULT_IN_FLIGHT = 4

IngestKind = Literal["insert", "upsert", "update", "increment"]


class Ingest:
    """One bulk write."""

    def __init__(self, rpc: Rpc, table: str, schema: Schema, kind: IngestKind, batch_rows: int, in_flight: int) -> None:
        if kind not in get_args(IngestKind):
            raise invalid("MALFORMED_REQUEST", f"kind is one of {', '.join(get_args(IngestKind))}", "kind")
        self._rpc, self._table, self._schema = rpc, table, schema
        self._kind: IngestKind = kind
        self._batch_rows = whole_number(batch_rows, "batch_rows", 1)
        self._window = Semaphore(whole_number(in_flight, "in_flight", 1))
        self._sent: deque[Encoded] = deque()
        self._stopped = False
        self._all_sent = False
        self._failure: BaseException | None = None
        self.result = IngestResult()

    def run(self, data: Any) -> IngestResult:
        """Sends all of `data` and waits for all answers."""
        self._rpc.check_open()
        call: Any = self._rpc.tables.WriteStream(self._requests(data), metadata=self._rpc.connection.metadata)
        try:
            while (response := receive(call)) is not None:
                self._take(response)
        except grpc.RpcError as error:
            raise self._failure or error_of_call(error) from error
        except CallCancelled:
            raise self._failure or Closed("the hub was closed during a bulk write") from None
        finally:
            self._stopped = True
            self._window.release()
            call.cancel()
        if self._failure is not None:
            raise self._failure
        if self._sent or not self._all_sent:
            raise Unavailable(f"the server ended the stream early, after {self.result.batches} commits")
        return self.result

    def _take(self, response: table_service_pb2.WriteStreamResponse) -> None:
        """One answer. They come in the order of the batches."""
        encoded = self._sent.popleft()
        if response.WhichOneof("outcome") == "refused":
            raise encoded.refusal(response.refused)
        done = encoded.result(response.committed)
        self.result.batches += 1
        self.result.version = done.version
        self.result.total += done.total
        self._window.release()

    def _requests(self, data: Any) -> Iterator[table_service_pb2.WriteStreamRequest]:
        """The requests; gRPC asks for the next one when it has room. What goes wrong here ends the stream, and is
        raised by `run`, for gRPC would only log it."""
        sequence = 0
        try:
            for piece in pieces_of(data):
                for encoded in self._encoded(piece):
                    self._window.acquire()
                    if self._stopped:
                        return
                    sequence += 1
                    self._sent.append(encoded)
                    yield table_service_pb2.WriteStreamRequest(sequence=sequence, write=encoded.request)
            self._all_sent = True
        except Exception as error:
            self._failure = error

    def _encoded(self, piece: Any) -> Iterator[Encoded]:
        for blocks in slices_of(piece, self._schema, self._batch_rows, fill=self._kind == "insert"):
            yield encode_blocks(self._kind, self._table, blocks, self._rpc.connection.hub)
