"""Rows survive the way over the wire: every type, nulls, extremes, both forms of text, every way to write a field."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from google.protobuf.internal import encoder
from hypothesis import given
from hypothesis import strategies as st

from tesseract_grpc._proto.tesseract.v1 import value_pb2
from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.decode import decode_batch
from tesseract_grpc.server.codec.encode import INLINE_TEXT_ROWS, encode_batch
from tesseract_grpc.server.codec.pieces import row_pieces
from tesseract_grpc.testing import rows_of

INT64 = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), 2**63 - 1, 0])
FLOAT64 = st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324])
TEXT = st.text(max_size=12) | st.sampled_from(["", "ß", "日本語", "🦀", "a\x00b", "e\u0301"])
COLUMNS: dict[str, tuple[DataType, st.SearchStrategy[Any]]] = {
    "bool": (DataType.BOOL, st.booleans()),
    "int": (DataType.INT64, INT64),
    "float": (DataType.FLOAT64, FLOAT64),
    "time": (DataType.TIMESTAMP, INT64),
    "string": (DataType.STRING, TEXT),
    "json": (DataType.JSON, st.sampled_from(['{"a": 1}', "[]", '"ü"', "null"])),
    "enum": (DataType.ENUM, st.sampled_from(["low", "high"])),
}
WIRE_TYPE = {DataType.JSON: DataType.STRING, DataType.ENUM: DataType.STRING}


def same(left: Any, right: Any) -> bool:
    """Equal as values that are stored: NaN is itself, and -0.0 is 0.0."""
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return type(left) is type(right) and bool(left == right)


@st.composite
def lists(draw: st.DrawFn) -> dict[str, list[Any]]:
    """The values of every column; the sizes lie around the change from inline texts to a dictionary."""
    count = draw(st.sampled_from([0, 1, 2, 7, 8, 9, INLINE_TEXT_ROWS, INLINE_TEXT_ROWS + 1, 70]))
    return {
        name: draw(st.lists(st.none() | values, min_size=count, max_size=count))
        for name, (_, values) in COLUMNS.items()
    }


def batch_of(values: dict[str, list[Any]]) -> Batch:
    return Batch(len(values["int"]), {name: Vector.of(COLUMNS[name][0], items) for name, items in values.items()})


@given(lists())
def test_a_batch_comes_back_as_it_went(values: dict[str, list[Any]]) -> None:
    raw = encode_batch(batch_of(values)).SerializeToString()
    back = decode_batch(twin.value.RowBatch.FromString(raw), "rows")
    assert back.length == len(values["int"])
    for name, items in values.items():
        kind = COLUMNS[name][0]
        assert back.columns[name].type is WIRE_TYPE.get(kind, kind)
        assert all(same(mine, theirs) for mine, theirs in zip(back.columns[name].to_list(), items, strict=True)), name


@given(lists())
def test_clients_read_what_was_encoded_value_by_value(values: dict[str, list[Any]]) -> None:
    raw = encode_batch(batch_of(values)).SerializeToString()
    read = rows_of(value_pb2.RowBatch.FromString(raw))
    for index, row in enumerate(read):
        assert all(same(row[name], items[index]) for name, items in values.items())


@given(lists())
def test_texts_are_inline_in_small_batches_and_a_dictionary_in_large_ones(values: dict[str, list[Any]]) -> None:
    message = encode_batch(batch_of(values))
    wanted = "strings" if message.row_count <= INLINE_TEXT_ROWS else "dictionary"
    for column in message.columns:
        if column.name in ("string", "json", "enum"):
            assert column.WhichOneof("values") == wanted
            texts = list(column.dictionary.dictionary)
            assert len(set(texts)) == len(texts)


@given(lists(), st.integers(1, 2_000))
def test_pieces_make_the_whole(values: dict[str, list[Any]], target: int) -> None:
    batch = batch_of(values)
    found: list[dict[str, Any]] = []
    for start, piece in row_pieces(batch, target):
        assert start == len(found)
        assert piece.row_count > 0
        found += rows_of(value_pb2.RowBatch.FromString(piece.SerializeToString()))
    whole = rows_of(value_pb2.RowBatch.FromString(encode_batch(batch).SerializeToString()))
    assert repr(found) == repr(whole)


def test_pieces_keep_near_their_size() -> None:
    texts = [f"{'x' * (number % 300)}{number}" for number in range(40_000)]
    batch = Batch(40_000, {"s": Vector.of(DataType.STRING, texts), "i": Vector.of(DataType.INT64, range(40_000))})
    sizes = [piece.ByteSize() for _, piece in row_pieces(batch, 1 << 18)]
    assert max(sizes) <= 1.25 * (1 << 18)
    assert len(sizes) <= 1 + 2 * sum(sizes) / (1 << 18)


def test_only_the_texts_in_use_are_sent() -> None:
    texts = [f"text {number}" for number in range(100_000)]
    for codes in (np.arange(50, dtype=np.int32) * 7, np.arange(40_000, dtype=np.int32)):
        batch = Batch(len(codes), {"s": Vector(DataType.STRING, codes, None, texts)})
        message = encode_batch(batch)
        assert len(message.columns[0].dictionary.dictionary) == len(codes)
        assert decode_batch(message, "rows").columns["s"].to_list() == [texts[code] for code in codes]


def test_a_column_without_values_is_null_in_every_row() -> None:
    message = twin.value.RowBatch(
        row_count=3, columns=[twin.value.ColumnData(name="a"), twin.value.ColumnData(name="b")]
    )
    back = decode_batch(message, "rows", {"a": DataType.INT64})
    assert back.columns["a"].type is DataType.INT64
    assert back.columns["b"].type is DataType.STRING
    assert back.to_rows() == [{"a": None, "b": None}] * 3


def packed(number: int, payload: bytes) -> bytes:
    tag, length = encoder.TagBytes(number, 2), encoder._VarintBytes(len(payload))  # type: ignore[attr-defined]
    return bytes(tag + length + payload)


def column(field: int, body: bytes) -> twin.value.RowBatch:
    raw = twin.value.ColumnData(name="x").SerializeToString() + packed(field, body)
    return twin.value.RowBatch(row_count=3, columns=[twin.value.ColumnData.FromString(raw)])


def test_every_legal_way_to_write_a_repeated_number_is_read() -> None:
    eight = [value.to_bytes(8, "little", signed=True) for value in (1, -2, 3)]
    unpacked = b"".join(encoder.TagBytes(1, 1) + value for value in eight)
    in_chunks = packed(1, eight[0]) + packed(1, eight[1] + eight[2])
    for body in (unpacked, in_chunks, packed(1, b"".join(eight))):
        assert decode_batch(column(4, body), "rows").columns["x"].to_list() == [1, -2, 3]
    long_varints = packed(1, b"\x81\x00" + b"\x00" + b"\x02")
    assert decode_batch(column(3, long_varints), "rows").columns["x"].to_list() == [True, False, True]


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (column(4, packed(1, bytes(16))), "rows.columns[0].int64s"),
        (column(4, packed(1, bytes(8)) + encoder.TagBytes(1, 1) + bytes(8) + encoder.TagBytes(1, 1) + bytes(8)),
         "rows.columns[0].int64s"),
        (column(5, packed(1, bytes(23))), "rows.columns[0].float64s"),
        (column(3, packed(1, b"\x01")), "rows.columns[0].bools"),
        (column(7, packed(1, b"one")), "rows.columns[0].strings"),
        (column(8, packed(1, b"one") + packed(2, bytes(8))), "rows.columns[0].dictionary"),
        (column(8, packed(1, b"one") + packed(2, bytes(8) + b"\x01\x00\x00\x00")), "rows.columns[0].dictionary.codes"),
        (column(8, packed(1, b"one") + packed(2, b"\xff\xff\xff\xff" + bytes(8))), "rows.columns[0].dictionary.codes"),
        (column(2, b""), ""),
    ],
)  # fmt: skip
def test_what_is_not_a_batch_is_refused(message: twin.value.RowBatch, field: str) -> None:
    if not field:  # no values at all, and a bitmap that says otherwise
        message.columns[0].validity = b"\x01"
        field = "rows.columns[0]"
    with pytest.raises(InvalidRequest) as caught:
        decode_batch(message, "rows")
    assert caught.value.reason is Reason.MALFORMED_BATCH
    assert caught.value.field == field


def test_bitmaps_have_one_bit_a_row() -> None:
    message = twin.value.RowBatch(row_count=9)
    message.columns.add(name="x", validity=b"\x01").int64s.values.append(bytes(72))  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest) as caught:
        decode_batch(message, "rows")
    assert (caught.value.reason, caught.value.field) == (Reason.MALFORMED_BATCH, "rows.columns[0].validity")
    message.columns[0].validity = b"\x01\x01"
    assert decode_batch(message, "rows").columns["x"].to_list() == [0, *[None] * 7, 0]


def test_the_text_of_a_null_row_enters_no_dictionary() -> None:
    message = twin.value.RowBatch(row_count=2)
    message.columns.add(name="x", validity=b"\x02").strings.values.extend(["never", "seen"])
    vector = decode_batch(message, "rows").columns["x"]
    assert vector.to_list() == [None, "seen"]
    assert list(vector.texts or ()) == ["seen"]
