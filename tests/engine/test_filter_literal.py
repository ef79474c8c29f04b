"""Literals: points in time from text, and the fit of values to columns."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType
from tesseract_grpc.engine.query.literal import Literal, Timestamp, bind_literal, bind_literals, parse_timestamp

SECOND = 1_000_000
NEW_YEAR = 1_356_998_400 * SECOND  # 2013-01-01

GOOD = {
    "1970-01-01": 0,
    "1970-01-01T00:00": 0,
    "1970-01-01 00:00:01": SECOND,
    "1970-01-01t00:00:01z": SECOND,
    "2013-01-01T00:00:00Z": NEW_YEAR,
    "2013-01-01T00:00:00.1": NEW_YEAR + 100_000,
    "2013-01-01T00:00:00,25Z": NEW_YEAR + 250_000,
    "2013-01-01T00:00:00.123456Z": NEW_YEAR + 123_456,
    "2013-01-01T00:00:00.1234567": NEW_YEAR + 123_456,
    "2013-01-01T00:00:00.999999999Z": NEW_YEAR + 999_999,
    "1969-12-31T23:59:59.9999999Z": -1,
    "2013-01-01T05:30:00+05:30": NEW_YEAR,
    "2013-01-01T05:30:00+0530": NEW_YEAR,
    "2013-01-01T05:00:00+05": NEW_YEAR,
    "2012-12-31T16:00:00-08:00": NEW_YEAR,
    "2012-02-29": 1_330_473_600 * SECOND,
    "0001-01-01": -62_135_596_800 * SECOND,
    "9999-12-31T23:59:59.999999Z": 253_402_300_800 * SECOND - 1,
}
BAD = [
    *("", " ", "now", "2013", "2013-01", "20130101", "2013-W01-1", "2013-001", "13-01-01", "2013-1-1", "02013-01-01"),
    *("2013-01-01T", "2013-01-01T10", "2013-01-01x10:00", "2013-01-01  10:00", " 2013-01-01", "2013-01-01\n"),
    *("2013-02-29", "2013-13-01", "2013-00-01", "2013-01-32", "2013-01-01T24:00", "2013-01-01T10:60", "0000-01-01"),
    *("2013-01-01T10:00:60", "2013-01-01T10:00:00.", "2013-01-01T10:00:00.1234567890", "2013-01-01Z"),
    *("2013-01-01T10:00:00+99:00", "2013-01-01T10:00:00+5", "2013-01-01T10:00:00 Z", "2013-01-01T10:00:00+05:30:10"),
    *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "٢٠١٣-٠١-٠١", "-2013-01-01", "9" * 100_000),
]


@pytest.mark.parametrize("text", GOOD)
def test_timestamp_good(text: str) -> None:
    assert parse_timestamp(text) == GOOD[text]


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_timestamp_bad(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_timestamp(text)
    assert refused.value.reason is Reason.BAD_TIMESTAMP
    assert len(refused.value.message) < 200


@given(
    st.datetimes(
        datetime(2, 1, 1),
        datetime(9998, 1, 1),
        timezones=st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    ),
    st.sampled_from(["T", " "]),
)
def test_timestamp_round_trip(moment: datetime, separator: str) -> None:
    micros = parse_timestamp(moment.isoformat(separator))
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros) == moment


COLUMNS = {type: ColumnSchema("x", type, enum_values=("a", "b") if type is DataType.ENUM else ()) for type in DataType}
BOUND: list[tuple[DataType, Literal, Literal]] = [
    (DataType.INT64, 2, 2),
    (DataType.INT64, 2.0, 2),
    (DataType.INT64, 2.5, 2.5),
    (DataType.INT64, 1e300, int(1e300)),
    (DataType.INT64, math.inf, math.inf),
    (DataType.FLOAT64, 2, 2.0),
    (DataType.FLOAT64, 2**53 + 1, 2**53 + 1),
    (DataType.FLOAT64, 10**400, 10**400),
    (DataType.FLOAT64, -0.0, 0.0),
    (DataType.TIMESTAMP, Timestamp(5), Timestamp(5)),
    (DataType.TIMESTAMP, "1970-01-01T00:00:01", Timestamp(SECOND)),
    (DataType.STRING, "", ""),
    (DataType.ENUM, "b", "b"),
    (DataType.BOOL, False, False),
    *((type, None, None) for type in DataType),
]


@pytest.mark.parametrize(("type", "given", "bound"), BOUND)
def test_bound(type: DataType, given: Literal, bound: Literal) -> None:
    found = bind_literal(COLUMNS[type], given, "value")
    assert found.__class__ is bound.__class__
    assert repr(found) == repr(bound)
    assert repr(bind_literals(COLUMNS[type], (given, given), "values")[1]) == repr(bound)


ACCEPTED: dict[DataType, set[type]] = {
    DataType.BOOL: {bool},
    DataType.INT64: {int, float},
    DataType.FLOAT64: {int, float},
    DataType.TIMESTAMP: {Timestamp, str},
    DataType.STRING: {str},
    DataType.JSON: set(),
    DataType.ENUM: {str},
}


@pytest.mark.parametrize("type", DataType)
@pytest.mark.parametrize("value", [True, 1, 1.0, Timestamp(0), "a", "1970-01-01"], ids=repr)
def test_types(type: DataType, value: Literal) -> None:
    accepted = value.__class__ in ACCEPTED[type]
    if type is DataType.TIMESTAMP and value == "a":
        reason = Reason.BAD_TIMESTAMP
    elif type is DataType.ENUM and value == "1970-01-01":
        reason = Reason.BAD_ENUM_VALUE
    elif accepted:
        bind_literal(COLUMNS[type], value, "here")
        bind_literals(COLUMNS[type], (None, value), "here")
        return
    else:
        reason = Reason.WRONG_TYPE
    with pytest.raises(InvalidRequest) as refused:
        bind_literal(COLUMNS[type], value, "here")
    assert (refused.value.reason, refused.value.field) == (reason, "here")
    assert "'x'" in refused.value.message
    with pytest.raises(InvalidRequest) as refused:
        bind_literals(COLUMNS[type], (None, value), "here")
    assert (refused.value.reason, refused.value.field) == (reason, "here[1]")


def test_numpy_scalars_are_no_literals() -> None:
    """Literals are Python values; an array's scalar would carry its own, inexact comparisons."""
    with pytest.raises(InvalidRequest):
        bind_literal(COLUMNS[DataType.INT64], np.int64(1), "here")  # type: ignore[arg-type]


def test_timestamps_keep_apart_from_numbers() -> None:
    assert repr(Timestamp(5)) == "Timestamp(5)"
    assert Timestamp(5) == 5
