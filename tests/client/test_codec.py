"""Rows to the wire and back, against the plain reading of the protos and in every form that users have."""

import math
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tesseract_grpc._proto.tesseract.v1 import value_pb2
from tesseract_grpc.client import InvalidRequest, Rows
from tesseract_grpc.client.core.batch import DICTIONARY_FROM, decode, encode
from tesseract_grpc.client.core.moments import moment_of
from tesseract_grpc.client.core.schema import Schema, columns_of
from tesseract_grpc.client.core.tabulate import block_of_columns, block_of_keys, blocks_of, slices_of
from tests.wire import batch as plain_batch

SCHEMA = Schema.of(
    *columns_of(
        [
            {"name": "id", "type": "int64", "primary_key": True},
            {"name": "text", "type": "string"},
            {"name": "number", "type": "number"},
            {"name": "at", "type": "date"},
            {"name": "flag", "type": "boolean"},
            {"name": "data", "type": "object"},
            {"name": "side", "enum": ["buy", "sell"]},
        ]
    )
)
PLAIN = dict(zip(SCHEMA.types, "int64 string float64 timestamp bool json enum".split(), strict=True))

moments = st.datetimes(timezones=st.just(UTC))
documents = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=3)),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
rows = st.fixed_dictionaries(
    {
        "id": st.integers(-(2**63), 2**63 - 1),
        "text": st.none() | st.text(max_size=5),
        "number": st.none() | st.floats(),
        "at": st.none() | moments,
        "flag": st.none() | st.booleans(),
        "data": st.none() | documents,
        "side": st.none() | st.sampled_from(["buy", "sell"]),
    }
)
tables = st.lists(rows, max_size=8) | st.lists(rows, min_size=DICTIONARY_FROM - 1, max_size=DICTIONARY_FROM + 2)


def one_block(data: Any) -> Any:
    [(offset, block)] = blocks_of(data, SCHEMA, fill=True)
    assert offset == 0
    return block


def same(left: Any, right: Any) -> bool:
    """Equality in which NaN is itself, and 1 is not 1.0."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return type(left) is type(right) and bool(left == right)


@pytest.mark.fuzz
@given(tables)
def test_dicts_survive_the_wire(table: list[dict[str, Any]]) -> None:
    if not table:
        assert blocks_of(table, SCHEMA, fill=True) == []
        return
    wire = value_pb2.RowBatch.FromString(encode(one_block(table)).SerializeToString())
    assert same(decode(wire, SCHEMA.types).to_dicts(), table)


@pytest.mark.fuzz
@given(st.lists(rows, min_size=1, max_size=DICTIONARY_FROM - 1))
def test_small_batches_have_the_bytes_of_the_generated_classes(table: list[dict[str, Any]]) -> None:
    """The twin with its bytes fields writes what a client in any other language would write, byte for byte."""
    from tesseract_grpc.client.core.coerce import convert

    raw = [
        {name: None if value is None else convert(SCHEMA.types[name], value) for name, value in row.items()}
        for row in table
    ]
    expected = plain_batch(raw, PLAIN)
    for column in expected.columns:
        if all(row[column.name] is None for row in raw):
            column.ClearField("values")  # a column without a value needs none
    assert encode(one_block(table)).SerializeToString(deterministic=True) == expected.SerializeToString(
        deterministic=True
    )


def test_large_batches_have_dictionaries_without_what_is_not_used() -> None:
    block = block_of_columns({"id": np.arange(1000), "text": [f"t{at % 500}" for at in range(1000)]}, SCHEMA.types)
    column = encode(block.slice(100, 150)).columns[1]
    assert column.WhichOneof("values") == "dictionary"
    assert list(column.dictionary.dictionary) == [f"t{at}" for at in range(100, 150)]
    assert list(column.dictionary.codes) == list(range(50))


@pytest.mark.parametrize("count", [6, 60])
def test_what_stands_for_a_null_text_is_nothing(count: int) -> None:
    """Whatever the column came from: "" one by one, code 0 in a dictionary that holds only what is used."""
    column = pa.array(["a", None, "b"] * (count // 3))
    for values in (column, column.dictionary_encode(), column.to_pylist()):
        wire = encode(block_of_columns({"text": values}, SCHEMA.types)).columns[0]
        if count < DICTIONARY_FROM:
            assert list(wire.strings.values) == ["a", "", "b"] * (count // 3)
        else:
            assert list(wire.dictionary.dictionary) == ["a", "b"]
            assert list(wire.dictionary.codes) == [0, 0, 1] * (count // 3)


@pytest.mark.fuzz
@given(st.lists(rows, min_size=1, max_size=40))
def test_frames_are_the_same_rows(table: list[dict[str, Any]]) -> None:
    """Out to Arrow and polars and in again changes nothing; pandas cannot tell NaN from missing."""
    result = Rows([one_block(table)], SCHEMA.types, total_count=len(table), version=1)
    arrow = result.to_arrow()
    assert arrow.num_rows == len(table)
    assert same(one_block(arrow).to_dicts(), table)
    assert same(one_block(pl.from_arrow(arrow)).to_dicts(), table)
    assert same(one_block(result).to_dicts(), table)
    if not any(isinstance(row["number"], float) and math.isnan(row["number"]) for row in table):
        assert same(one_block(result.to_pandas()).to_dicts(), table)


@pytest.mark.fuzz
@given(st.lists(rows, min_size=1, max_size=40))
def test_arrays_are_the_same_rows(table: list[dict[str, Any]]) -> None:
    arrays = Rows([one_block(table)], SCHEMA.types, total_count=0, version=1).to_numpy()
    assert arrays["at"].dtype == np.dtype("datetime64[us]")
    assert arrays["id"].dtype == np.int64
    assert same(block_of_columns(arrays, SCHEMA.types).to_dicts(), table)


@pytest.mark.parametrize(
    ("values", "column", "expected"),
    [
        (np.arange(3, dtype=np.uint8), "id", [0, 1, 2]),
        (np.array([1.0, -2.0, 2.0**62]), "id", [1, -2, 2**62]),
        (np.array([1, 2, 3], np.int16), "number", [1.0, 2.0, 3.0]),
        (np.array([1, np.nan, 2], np.float32), "number", [1.0, math.nan, 2.0]),
        (np.ma.MaskedArray([1, 2, 3], [False, True, False]), "number", [1.0, None, 3.0]),
        (np.array(["a", "b", "a"]), "text", ["a", "b", "a"]),
        (np.array(["a", None, "a"], object), "text", ["a", None, "a"]),
        (np.array([True, False, True]), "flag", [True, False, True]),
        (pd.Series(["a", None, "b"]), "text", ["a", None, "b"]),
        (pd.Series(["buy", "sell", None], dtype="category"), "side", ["buy", "sell", None]),
        (pl.Series([1, None, 3]), "number", [1.0, None, 3.0]),
        (pa.array(["x", None, "x"]).dictionary_encode(), "text", ["x", None, "x"]),
        (pa.chunked_array([[1], [2, None]]), "id", [1, 2, None]),
        (pa.array([{"a": 1}, None, {"a": 2}]), "data", [{"a": 1}, None, {"a": 2}]),
        (pa.array([1, 2, 1]).dictionary_encode(), "id", [1, 2, 1]),
        (pa.array([None, None]), "text", [None, None]),
        (pa.chunked_array([], pa.string()), "text", []),
        (pa.array([Decimal("1.5"), None]), "number", [1.5, None]),
        (pa.array([date(2024, 1, 1), None]), "at", [datetime(2024, 1, 1, tzinfo=UTC), None]),
        (pa.array([[1], None]), "data", [[1], None]),
        ([date(2024, 1, 1), pd.NaT, pd.NA], "at", [datetime(2024, 1, 1, tzinfo=UTC), None, None]),
        ([np.int8(1), Decimal(2), 3.0], "id", [1, 2, 3]),
        ([np.True_, None], "flag", [True, None]),
        ((1, None, 3), "id", [1, None, 3]),
    ],
    ids=str,
)
def test_columns_of_all_kinds(values: Any, column: str, expected: list[Any]) -> None:
    block = block_of_columns({column: values}, SCHEMA.types)
    assert same(decode(encode(block), SCHEMA.types).columns[column].to_list(), expected)


def test_times_of_all_kinds_are_the_same_moment() -> None:
    moment = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    naive = np.datetime64("2024-05-06T07:08:09")
    values = [moment, "2024-05-06T07:08:09Z", "2024-05-06 09:08:09+02:00", "2024-05-06T07:08:09", naive]
    assert block_of_columns({"at": values}, SCHEMA.types).columns["at"].to_list() == [moment] * 5
    for unit in ("s", "ms", "us", "ns"):
        array = np.array([naive, "NaT"], f"M8[{unit}]")
        assert block_of_columns({"at": array}, SCHEMA.types).columns["at"].to_list() == [moment, None]
    frame = pd.DataFrame({"at": pd.Series([moment]).dt.tz_convert("America/New_York")})
    assert one_block(frame).columns["at"].to_list() == [moment]


def test_times_that_datetime_cannot_hold_come_out_as_numpy_has_them() -> None:
    late = np.datetime64("20000-01-01", "us")
    block = block_of_columns({"at": np.array([late, np.datetime64("2024-01-01", "us")])}, SCHEMA.types)
    assert block.columns["at"].to_list() == [late, datetime(2024, 1, 1, tzinfo=UTC)]
    assert moment_of(int(late.astype(np.int64))) == late


def test_int64_is_exact() -> None:
    edges = [-(2**63), 2**53 + 1, 2**63 - 1]
    block = one_block([{"id": value} for value in edges])
    assert decode(encode(block), SCHEMA.types).columns["id"].to_list() == edges


def test_every_row_has_its_own_json_object() -> None:
    first, second = one_block([{"id": 1, "data": [1]}, {"id": 2, "data": [1]}]).to_dicts()
    first["data"].append(2)
    assert second["data"] == [1]


REFUSED: list[tuple[str, Any, str]] = [
    ("id", 2**63, "INT64_OVERFLOW"),
    ("id", -(2**63) - 1, "INT64_OVERFLOW"),
    ("id", True, "WRONG_TYPE"),
    ("id", 1.5, "WRONG_TYPE"),
    ("id", math.nan, "WRONG_TYPE"),
    ("id", math.inf, "WRONG_TYPE"),
    ("id", "1", "WRONG_TYPE"),
    ("number", "1", "WRONG_TYPE"),
    ("number", False, "WRONG_TYPE"),
    ("number", 10**400, "WRONG_TYPE"),
    ("text", 1, "WRONG_TYPE"),
    ("text", b"x", "WRONG_TYPE"),
    ("flag", 1, "WRONG_TYPE"),
    ("at", 5, "WRONG_TYPE"),
    ("at", datetime(2024, 1, 1), "WRONG_TYPE"),
    ("at", "yesterday", "BAD_TIMESTAMP"),
    ("data", {1, 2}, "BAD_JSON"),
    ("data", [math.nan], "BAD_JSON"),
]


@pytest.mark.parametrize(("column", "value", "reason"), REFUSED, ids=str)
def test_values_that_do_not_fit_are_refused_with_their_row(column: str, value: Any, reason: str) -> None:
    good = {"id": 1, column: None} if column != "id" else {"id": 1}
    with pytest.raises(InvalidRequest) as caught:
        blocks_of([good, {**good, column: value}], SCHEMA, fill=True)
    assert (caught.value.reason, caught.value.field) == (reason, column)
    [problem] = caught.value.row_errors
    assert (problem.row, problem.column, problem.reason) == (1, column, reason)


@pytest.mark.parametrize(
    ("array", "reason", "row"),
    [
        (np.array([0, 2**63], np.uint64), "INT64_OVERFLOW", 1),
        (np.array([0.0, 2.0**63]), "INT64_OVERFLOW", 1),
        (np.array([0.5, 1.0]), "WRONG_TYPE", 0),
        (np.array([1.0, np.nan]), "WRONG_TYPE", 1),
        (np.array([True, False]), "WRONG_TYPE", 0),
        (np.array(["1", "2"]), "WRONG_TYPE", 0),
        (np.array(["2024-01-01"], "M8[s]"), "WRONG_TYPE", 0),
        (pa.array(["1"]), "WRONG_TYPE", 0),
        (pa.array([datetime(2024, 1, 1, tzinfo=UTC)]), "WRONG_TYPE", 0),
        (pa.array([1.5, None]), "WRONG_TYPE", 0),
        (np.ma.MaskedArray([2.5, 1.5], [True, False]), "WRONG_TYPE", 1),
    ],
    ids=str,
)
def test_arrays_that_do_not_fit_are_refused_with_their_row(array: Any, reason: str, row: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        block_of_columns({"id": array}, SCHEMA.types)
    assert caught.value.reason == reason
    assert caught.value.row_errors[0].row == row


def test_without_pyarrow_frames_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match="tesseract-grpc"):
        one_block(pd.DataFrame({"id": [1]}))
    with pytest.raises(ImportError, match="tesseract-grpc"):
        Rows([], SCHEMA.types, total_count=0, version=1).to_arrow()
    assert one_block([{"id": 1}]).to_dicts() == [{"id": 1}]


def test_a_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        encode(one_block([{"id": 1, "text": "\ud800"}]))
    assert (caught.value.reason, caught.value.field) == ("WRONG_TYPE", "text")


@pytest.mark.parametrize(
    "data",
    [7, "text", [1, 2], [{"id": 1}, None], {"id": np.zeros((2, 2))}, {"id": [1, 2], "text": ["a"]}, [{1: 2}]],
    ids=str,
)
def test_what_is_not_rows_is_refused(data: Any) -> None:
    with pytest.raises(InvalidRequest):
        blocks_of(data, SCHEMA, fill=True)


def test_missing_columns_take_their_default_in_inserts_and_split_updates() -> None:
    schema = Schema.of(
        *columns_of(
            [
                {"name": "id", "type": "int64", "primary_key": True},
                {"name": "a", "type": "int64", "default": 7},
                {"name": "b", "type": "string"},
            ]
        )
    )
    table = [{"id": 1, "a": 1}, {"id": 2, "b": "x"}, {"id": 3, "b": "y"}, {"id": 4}]
    [(_, block)] = blocks_of(table, schema, fill=True)
    assert block.to_dicts() == [
        {"id": 1, "a": 1, "b": None},
        {"id": 2, "a": 7, "b": "x"},
        {"id": 3, "a": 7, "b": "y"},
        {"id": 4, "a": 7, "b": None},
    ]
    placed = blocks_of(table, schema, fill=False)
    assert [offset for offset, _ in placed] == [0, 1, 3]
    assert [row for _, part in placed for row in part.to_dicts()] == table
    with pytest.raises(InvalidRequest) as caught:
        blocks_of([{"id": 1}, {"id": 2, "b": "x"}, {"id": 3, "b": 5}], schema, fill=False)
    assert caught.value.row_errors[0].row == 2


def test_columns_without_a_known_type_travel_as_what_they_are() -> None:
    """The schema of a handle may be old: the server is to judge, so nothing is dropped on the way."""
    when = datetime(2024, 1, 1, tzinfo=UTC)
    row = {"id": 1, "new": 2.5, "flag2": True, "text2": "x", "at2": when, "json2": {"a": 1}, "none": None, "int2": 3}
    wire = encode(blocks_of([row], SCHEMA, fill=True)[0][1])
    cases = {column.name: column.WhichOneof("values") for column in wire.columns}
    assert cases == {
        "id": "int64s",
        "new": "float64s",
        "flag2": "bools",
        "text2": "strings",
        "at2": "timestamps",
        "json2": "strings",
        "none": None,
        "int2": "int64s",
    }


def test_slices_hold_every_row_once() -> None:
    dicts = [{"id": at} for at in range(25)]
    for data in (dicts, {"id": np.arange(25)}, pa.table({"id": range(25)})):
        sizes, found = [], []
        for placed in slices_of(data, SCHEMA, 10, fill=True):
            sizes.append(sum(len(block) for _, block in placed))
            found += [row for _, block in placed for row in block.to_dicts()]
        assert sizes == [10, 10, 5]
        assert found == dicts


PAIR = Schema.of(
    *columns_of(
        [
            {"name": "a", "type": "string", "primary_key": True},
            {"name": "b", "type": "int64", "primary_key": True},
            {"name": "v", "type": "number"},
        ]
    )
)


@pytest.mark.parametrize(
    ("given_keys", "expected"),
    [
        (("x", 1), [("x", 1)]),
        ([("x", 1), ("y", 2)], [("x", 1), ("y", 2)]),
        ({"a": "x", "b": 1, "v": 0.5}, [("x", 1)]),
        ([{"a": "x", "b": 1}, {"b": 2, "a": "y"}], [("x", 1), ("y", 2)]),
        ({"a": ["x", "y"], "b": np.array([1, 2])}, [("x", 1), ("y", 2)]),
        (pd.DataFrame({"a": ["x"], "b": [1], "v": [2.0]}), [("x", 1)]),
        ([], []),
    ],
    ids=str,
)
def test_keys_of_all_kinds(given_keys: Any, expected: list[Any]) -> None:
    block = block_of_keys(given_keys, PAIR)
    assert list(block.columns) == ["a", "b"]
    assert block.keys(("a", "b")) == expected


@pytest.mark.parametrize("given_keys", [1, "x", ("x",), [("x", 1, 2)], [{"a": "x"}]], ids=str)
def test_keys_that_are_not_whole_are_refused(given_keys: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        block_of_keys(given_keys, PAIR)
    assert caught.value.reason == "MISSING_KEY"


def test_rows_are_a_sequence_of_dicts() -> None:
    blocks = [one_block([{"id": 1}, {"id": 2}]), one_block([{"id": 3}])]
    result = Rows(blocks, {"id": SCHEMA.types["id"]}, total_count=9, version=4)
    assert result == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert result != [{"id": 1}]
    assert (len(result), result[-1], result[1:], result.total_count) == (3, {"id": 3}, [{"id": 2}, {"id": 3}], 9)
    assert repr(result) == repr(result.to_list())
    assert result.columns == ("id",)
    assert result.to_numpy()["id"].tolist() == [1, 2, 3]


def test_empty_results_have_their_columns_in_every_form() -> None:
    result = Rows([], SCHEMA.types, total_count=0, version=1)
    assert result == []
    assert result.to_arrow().column_names == list(SCHEMA.types)
    assert list(result.to_pandas().columns) == list(SCHEMA.types)
    assert result.to_polars().columns == list(SCHEMA.types)
    assert {name: len(array) for name, array in result.to_numpy().items()} == dict.fromkeys(SCHEMA.types, 0)


def test_a_malformed_column_is_noticed() -> None:
    wire = value_pb2.RowBatch(row_count=2)
    wire.columns.add(name="id").int64s.values.append(1)
    with pytest.raises(ValueError, match="1 values in a batch of 2 rows"):
        decode(wire, SCHEMA.types)


def test_moments_are_exact_to_the_microsecond() -> None:
    moment = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    first = datetime(1, 1, 1, tzinfo=UTC)
    values = [moment, first, first + timedelta(microseconds=1)]
    block = block_of_columns({"at": values}, SCHEMA.types)
    assert decode(encode(block), SCHEMA.types).columns["at"].to_list() == values
