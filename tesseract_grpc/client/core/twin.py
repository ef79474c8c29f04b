"""A RowBatch whose packed numbers are bytes.

A packed repeated sfixed64, double, fixed32 or bool has exactly the bytes of a `bytes` field of the same number. So an
array can be written with `tobytes()` instead of one Python number a value, which is thirty times as fast, if only the
message had `bytes` fields. The twin has: it is made at run time from the descriptor of the generated module, in a
descriptor pool of its own, so there is no second definition to keep in step. Reading needs no twin, for
`numpy.array` reads the generated repeated fields at memory speed.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tesseract_grpc._proto.tesseract.v1 import value_pb2

_Field = descriptor_pb2.FieldDescriptorProto
_PACKED = frozenset({_Field.TYPE_SFIXED64, _Field.TYPE_DOUBLE, _Field.TYPE_FIXED32, _Field.TYPE_BOOL})


def _build() -> Any:
    file = descriptor_pb2.FileDescriptorProto()
    value_pb2.DESCRIPTOR.CopyToProto(file)
    for message in file.message_type:
        for field in message.field:
            if field.label == _Field.LABEL_REPEATED and field.type in _PACKED:
                field.label, field.type = _Field.LABEL_OPTIONAL, _Field.TYPE_BYTES
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(value_pb2.RowBatch.DESCRIPTOR.full_name))


TwinBatch: Any = _build()
"""The class of the twin: the fields of RowBatch, with `values` and `codes` as little-endian bytes."""
