"""The twin messages have the bytes of the generated ones."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2, value_pb2
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.encode import encode_batch

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=8)


@given(st.lists(INT64), st.lists(st.floats()), st.lists(st.booleans()), st.lists(st.integers(0, 2**32 - 1)))
def test_packed_arrays_are_the_bytes_of_typed_lists(
    ints: list[int], floats: list[float], bools: list[bool], codes: list[int]
) -> None:
    pairs = [
        (value_pb2.Int64Values(values=ints), twin.value.Int64Values, np.array(ints, "<i8")),
        (value_pb2.TimestampValues(values=ints), twin.value.TimestampValues, np.array(ints, "<i8")),
        (value_pb2.Float64Values(values=floats), twin.value.Float64Values, np.array(floats, "<f8")),
        (value_pb2.BoolValues(values=bools), twin.value.BoolValues, np.array(bools, "?")),
    ]
    for typed, twin_class, array in pairs:
        packed = twin_class(values=[array.tobytes()] if len(array) else [])  # type: ignore[list-item]
        assert packed.SerializeToString() == typed.SerializeToString()
    typed_codes = value_pb2.DictionaryValues(dictionary=["a"], codes=codes)
    raw = [np.array(codes, "<u4").tobytes()] if codes else []
    packed_codes = twin.value.DictionaryValues(dictionary=["a"], codes=raw)  # type: ignore[arg-type]
    assert packed_codes.SerializeToString() == typed_codes.SerializeToString()


@given(st.integers(0, 40), st.data())
def test_a_batch_is_byte_for_byte_the_typed_message(count: int, data: st.DataObject) -> None:
    columns: dict[str, tuple[DataType, st.SearchStrategy[Any]]] = {
        "b": (DataType.BOOL, st.booleans()),
        "i": (DataType.INT64, INT64),
        "f": (DataType.FLOAT64, st.floats()),
        "t": (DataType.TIMESTAMP, INT64),
        "s": (DataType.STRING, TEXT),
    }
    batch = Batch(
        count,
        {
            name: Vector.of(kind, data.draw(st.lists(st.none() | values, min_size=count, max_size=count)))
            for name, (kind, values) in columns.items()
        },
    )
    raw = encode_batch(batch).SerializeToString()
    typed = value_pb2.RowBatch.FromString(raw)
    assert typed.SerializeToString() == raw
    assert [column.name for column in typed.columns] == list(columns)


def test_every_message_and_service_has_a_twin() -> None:
    for name, descriptor in table_service_pb2.DESCRIPTOR.message_types_by_name.items():
        fields = [(field.number, field.name) for field in descriptor.fields]
        mine = twin.message_class(descriptor.full_name).DESCRIPTOR
        assert [(field.number, field.name) for field in mine.fields] == fields, name
    methods = {method.name for method in table_service_pb2.DESCRIPTOR.services_by_name["TableService"].methods}
    assert {method.name for method in twin.SERVICES[0].methods} == methods


def test_the_twins_do_not_touch_the_generated_classes() -> None:
    typed = value_pb2.Int64Values(values=[1, 2])
    assert list(typed.values) == [1, 2]
    values: Any = twin.value.Int64Values.FromString(typed.SerializeToString()).values
    assert list(values) == [struct.pack("<2q", 1, 2)]
