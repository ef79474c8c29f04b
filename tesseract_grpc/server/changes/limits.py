"""The limits in force."""

from __future__ import annotations

from google.protobuf import struct_pb2

from tesseract_grpc.server.host import Host
from tesseract_grpc.server.records import Moment


def set_limits(host: Host, request: struct_pb2.Struct, moment: Moment, aside: object = None) -> struct_pb2.Struct:
    """Other limits hold from here on. What is there already stays, even where it is more than they allow."""
    host.set_limits({name: int(value) for name, value in request.items() if isinstance(value, float)})
    return struct_pb2.Struct()
