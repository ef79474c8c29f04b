"""Single values: the Value message and Python's values."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp as ProtoTimestamp

from tesseract_grpc.engine.data.schema import DataType, Scalar
from tesseract_grpc.engine.query.literal import Literal, Timestamp
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.errors import invalid

MAX_DURATION_SECONDS = 86_400.0
"""The longest duration that a request may name: a day."""


def decode_literal(message: twin.value.Value) -> Literal:
    """The value as queries have it; a point in time is a Timestamp."""
    kind = message.WhichOneof("kind")
    if kind is None:
        return None
    found: Literal = getattr(message, kind)
    if kind == "timestamp_value":
        return Timestamp(message.timestamp_value)
    return found


def encode_scalar(value: Scalar, type: DataType) -> twin.value.Value:
    """A value of a column as a message."""
    if value is None:
        return twin.value.Value()
    match type:
        case DataType.BOOL:
            return twin.value.Value(bool_value=bool(value))
        case DataType.INT64:
            return twin.value.Value(int64_value=int(value))
        case DataType.FLOAT64:
            return twin.value.Value(float64_value=float(value))
        case DataType.TIMESTAMP:
            return twin.value.Value(timestamp_value=int(value))
        case DataType.JSON:
            return twin.value.Value(json_value=str(value))
        case DataType.STRING | DataType.ENUM:
            return twin.value.Value(string_value=str(value))


def encode_literal(value: Literal) -> twin.value.Value:
    """A literal of a query as a message."""
    match value:
        case None:
            return twin.value.Value()
        case Timestamp():
            return twin.value.Value(timestamp_value=int(value))
        case bool():
            return twin.value.Value(bool_value=value)
        case int():
            return twin.value.Value(int64_value=value)
        case float():
            return twin.value.Value(float64_value=value)
        case str():
            return twin.value.Value(string_value=value)


def decode_duration(message: Duration, field: str) -> float:
    """Seconds. Refuses what is negative, longer than a day, or not a duration at all."""
    seconds = message.seconds + message.nanos / 1e9
    if not -1_000_000_000 < message.nanos < 1_000_000_000 or not 0 <= seconds <= MAX_DURATION_SECONDS:
        raise invalid(f"{seconds:g} s is not between 0 and {MAX_DURATION_SECONDS:g} s", field)
    return seconds


def encode_duration(seconds: float, message: Duration) -> None:
    """Writes seconds into a duration."""
    message.FromMicroseconds(round(seconds * 1e6))


def encode_time(seconds: float, message: ProtoTimestamp) -> None:
    """Writes seconds since 1970 into a timestamp."""
    message.FromMicroseconds(round(seconds * 1e6))
