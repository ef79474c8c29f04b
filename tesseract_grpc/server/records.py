"""What a hub's log holds: the requests that changed it, as they came, and when.

A record is a request of the public protocol with the time at which it was proposed, or the limits in force from there
on. Replaying the records of a log in their order leads to the same hub, row for row and version for version, because
nothing but records changes what a hub keeps: not the clock, not chance, not who is connected.

The numbers and the form of a record are the format of data directories. A number is never used again for something
else; requests may gain fields by the rules of protobuf.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from google.protobuf import struct_pb2
from google.protobuf.message import DecodeError, Message

from tesseract_grpc.engine.data.commit_log import LogDamaged
from tesseract_grpc.server.codec import twin

_HEAD = struct.Struct("<qB")  # microseconds since 1970 UTC; whether the clock moves to them


class Kind(IntEnum):
    """What a record does."""

    WRITE = 1
    CREATE_TABLE = 2
    UPDATE_TABLE = 3
    RENAME_TABLE = 4
    DELETE_TABLE = 5
    CREATE_SESSION = 6
    UPDATE_SESSION = 7
    DELETE_SESSION = 8
    ADVANCE = 9
    """Takes a version, without a request: a tick of the clock, or something that only one process knows of."""
    LIMITS = 10
    """Other limits are in force from here on (`limits.KEPT`)."""
    ALTER_TABLE = 11
    SWAP_TABLES = 12
    EVICT = 13
    """Rows leave a table because memory was short when it was written: how many, was measured then."""


_REQUESTS: dict[Kind, Any] = {
    Kind.WRITE: twin.table_service.WriteRequest,
    Kind.CREATE_TABLE: twin.table_service.CreateTableRequest,
    Kind.UPDATE_TABLE: twin.table_service.UpdateTableRequest,
    Kind.RENAME_TABLE: twin.table_service.RenameTableRequest,
    Kind.DELETE_TABLE: twin.table_service.DeleteTableRequest,
    Kind.CREATE_SESSION: twin.session_service.CreateSessionRequest,
    Kind.UPDATE_SESSION: twin.session_service.UpdateSessionRequest,
    Kind.DELETE_SESSION: twin.session_service.DeleteSessionRequest,
    Kind.LIMITS: struct_pb2.Struct,
    Kind.ALTER_TABLE: twin.table_service.AlterTableRequest,
    Kind.SWAP_TABLES: twin.table_service.SwapTablesRequest,
    Kind.EVICT: twin.schema.Eviction,
}
_KINDS = {request: kind for kind, request in _REQUESTS.items()}


@dataclass(frozen=True, slots=True)
class Moment:
    """When a change was proposed, and whether the hub's clock moves there."""

    time_us: int
    moves_clock: bool = False

    @property
    def seconds(self) -> float:
        """Seconds since 1970 UTC."""
        return self.time_us / 1e6


@dataclass(frozen=True, slots=True)
class Record:
    """One change of a hub."""

    moment: Moment
    request: Message | None
    """None for ADVANCE."""

    @property
    def kind(self) -> Kind:
        """What it does."""
        return Kind.ADVANCE if self.request is None else _KINDS[type(self.request)]

    def encode(self) -> bytes:
        """Its bytes in the log."""
        head = _HEAD.pack(self.moment.time_us, self.moment.moves_clock)
        return head if self.request is None else head + self.request.SerializeToString()


def decode_record(kind: int, payload: bytes) -> Record:
    """A record of the log. Raises LogDamaged when it is none that this program knows."""
    try:
        time_us, moves_clock = _HEAD.unpack_from(payload)
        moment = Moment(time_us, bool(moves_clock))
        if kind == Kind.ADVANCE:
            return Record(moment, None)
        return Record(moment, _REQUESTS[Kind(kind)].FromString(payload[_HEAD.size :]))
    except (struct.error, ValueError, DecodeError) as error:
        raise LogDamaged(
            f"a record of kind {kind} cannot be read: use the program that wrote it, or a newer one"
        ) from error
