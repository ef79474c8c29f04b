"""The wire messages of the serving side: the protos, with packed numbers as bytes.

A packed repeated sfixed64, double, fixed32 or bool has exactly the bytes of a `bytes` field of the same number. The
generated classes hand such a field out as a list of Python numbers, one object a value; the *twin* classes here hand
out the bytes themselves, so an array is written with `ndarray.tobytes()` and read with `np.frombuffer`.

The twins are built at run time from the descriptors of the generated modules, in a descriptor pool of their own, so
there is no second definition to keep in step: every message of `tesseract.v1` exists with the same full name, the same
fields and the same bytes on the wire, and only the packed fixed-width fields differ (`repeated bytes`, because a
writer may split a packed field into several pieces). Everything on the serving side uses the twins, for messages of
two pools cannot be put into each other.

To the type checker the twins are the generated modules: the names and types of all other fields are the same.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    message_factory,
    timestamp_pb2,
)
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor

from tesseract_grpc._proto.tesseract.v1 import (
    change_pb2,
    diagnosis_service_pb2,
    hub_service_pb2,
    query_pb2,
    schema_pb2,
    session_service_pb2,
    table_service_pb2,
    value_pb2,
)

_Field = descriptor_pb2.FieldDescriptorProto

_SOURCES = (
    timestamp_pb2,
    duration_pb2,
    field_mask_pb2,
    value_pb2,
    query_pb2,
    schema_pb2,
    change_pb2,
    table_service_pb2,
    session_service_pb2,
    hub_service_pb2,
    diagnosis_service_pb2,
)
"""The generated modules, each after those that it imports."""

_ONE_TO_ONE = frozenset({_Field.TYPE_SFIXED64, _Field.TYPE_DOUBLE, _Field.TYPE_FIXED32, _Field.TYPE_BOOL})
"""The types whose packed bytes are those of a little-endian array. A bool is a varint of one byte."""


def _twin_file(source: FileDescriptor) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto()
    source.CopyToProto(file)
    for message in file.message_type:
        for field in message.field:
            if field.label == _Field.LABEL_REPEATED and field.type in _ONE_TO_ONE:
                field.type = _Field.TYPE_BYTES
                field.ClearField("options")
    return file


def _build() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for module in _SOURCES:
        pool.AddSerializedFile(_twin_file(module.DESCRIPTOR).SerializeToString())
    return pool


_POOL = _build()


def _module(source: Any) -> SimpleNamespace:
    """What the generated module has, of the twins: message classes and the values of enums."""
    names: dict[str, Any] = {}
    file = _POOL.FindFileByName(source.DESCRIPTOR.name)
    for name, descriptor in file.message_types_by_name.items():
        names[name] = message_factory.GetMessageClass(descriptor)
    for name in file.enum_types_by_name:
        names[name] = getattr(source, name)
        names.update(names[name].items())
    return SimpleNamespace(**names)


if TYPE_CHECKING:
    change = change_pb2
    diagnosis_service = diagnosis_service_pb2
    hub_service = hub_service_pb2
    query = query_pb2
    schema = schema_pb2
    session_service = session_service_pb2
    table_service = table_service_pb2
    value = value_pb2
else:
    change = _module(change_pb2)
    diagnosis_service = _module(diagnosis_service_pb2)
    hub_service = _module(hub_service_pb2)
    query = _module(query_pb2)
    schema = _module(schema_pb2)
    session_service = _module(session_service_pb2)
    table_service = _module(table_service_pb2)
    value = _module(value_pb2)

SERVICES: tuple[ServiceDescriptor, ...] = tuple(
    _POOL.FindServiceByName(f"tesseract.v1.{name}")
    for name in ("TableService", "SessionService", "HubService", "DiagnosisService")
)
"""The services of the protos, with the twins as their messages."""


def message_class(full_name: str) -> Any:
    """The twin class of a message, for example `tesseract.v1.WriteRequest`."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(full_name))
