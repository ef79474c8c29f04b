"""Filters, sorts, columns and single values: from users' words to messages, and refusals with the place."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict

from tesseract_grpc._proto.tesseract.v1 import query_pb2, value_pb2
from tesseract_grpc.client import Condition, InvalidRequest, WriteBatch
from tesseract_grpc.client.core.arguments import duration_of
from tesseract_grpc.client.core.filters import filter_of
from tesseract_grpc.client.core.literals import python_of, value_of
from tesseract_grpc.client.core.queries import query_of
from tesseract_grpc.client.core.schema import Schema, columns_of
from tesseract_grpc.client.core.sorts import sort_of
from tesseract_grpc.client.core.windows import watch_window_of, window_of
from tesseract_grpc.client.core.writes import encode_writes


def shape(given: Any) -> Any:
    found = filter_of(given)
    return None if found is None else MessageToDict(found)


AGE = {"field": "age", "comparison": ">=", "value": 18}
AGE_SHAPE = {
    "comparison": {
        "column": "age",
        "operator": "COMPARISON_OPERATOR_GREATER_OR_EQUAL",
        "value": {"int64Value": "18"},
    }
}
CUSTOM = {"type": "custom", "value": 'name ~ "ad" && age < 99'}

FILTERS: list[tuple[Any, Any]] = [
    (None, None),
    ([], {"allOf": {}}),
    ([AGE], AGE_SHAPE),
    (AGE, AGE_SHAPE),
    ("age > 18", {"custom": "age > 18"}),
    ([AGE, CUSTOM], {"allOf": {"filters": [AGE_SHAPE, {"custom": CUSTOM["value"]}]}}),
    ([{"any": [AGE, "x"]}], {"anyOf": {"filters": [AGE_SHAPE, {"custom": "x"}]}}),
    ({"all": []}, {"allOf": {}}),
    ({"not": [AGE]}, {"negate": AGE_SHAPE}),
    ({"not": {"any": [AGE]}}, {"negate": {"anyOf": {"filters": [AGE_SHAPE]}}}),
    (
        {"field": "status", "value": "active"},
        {
            "comparison": {
                "column": "status",
                "operator": "COMPARISON_OPERATOR_EQUAL",
                "value": {"stringValue": "active"},
            }
        },
    ),
    (
        {"field": "x", "comparison": "!=", "value": None},
        {"comparison": {"column": "x", "operator": "COMPARISON_OPERATOR_NOT_EQUAL", "value": {}}},
    ),
    (
        {"field": "d", "comparison": "in", "value": ("a", None)},
        {"membership": {"column": "d", "values": [{"stringValue": "a"}, {}]}},
    ),
    ({"field": "d", "comparison": "not in", "value": []}, {"membership": {"column": "d", "negated": True}}),
    (
        {"field": "d", "comparison": "NOT_IN", "value": np.array([1])},
        {"membership": {"column": "d", "values": [{"int64Value": "1"}], "negated": True}},
    ),
    (
        {"field": "s", "comparison": "between", "value": [1, 2.5]},
        {"between": {"column": "s", "lower": {"int64Value": "1"}, "upper": {"float64Value": 2.5}}},
    ),
    (
        {"field": "s", "comparison": "between", "value": [None, 2]},
        {"between": {"column": "s", "upper": {"int64Value": "2"}}},
    ),
    (
        {"field": "s", "comparison": "not between", "value": [1, None]},
        {"negate": {"between": {"column": "s", "lower": {"int64Value": "1"}}}},
    ),
    ({"field": "n", "comparison": "~", "value": "ad"}, {"like": {"column": "n", "pattern": "ad"}}),
    ({"field": "n", "comparison": "~", "value": "5%_\\"}, {"like": {"column": "n", "pattern": "%5\\%\\_\\\\%"}}),
    ({"field": "n", "comparison": "like", "value": "5%"}, {"like": {"column": "n", "pattern": "5%"}}),
    (
        {"field": "n", "comparison": "not like", "value": "a%"},
        {"like": {"column": "n", "pattern": "a%", "negated": True}},
    ),
    (
        {"field": "n", "comparison": "regex", "value": "^a", "case_insensitive": True},
        {"regex": {"column": "n", "pattern": "^a", "caseInsensitive": True}},
    ),
    (
        {"field": "n", "comparison": "not regex", "value": "a"},
        {"regex": {"column": "n", "pattern": "a", "negated": True}},
    ),
    ({"field": "n", "comparison": "is null"}, {"nullTest": {"column": "n"}}),
    ({"field": "n", "comparison": "is_not_null"}, {"nullTest": {"column": "n", "negated": True}}),
]


@pytest.mark.parametrize(("given", "expected"), FILTERS, ids=str)
def test_filters(given: Any, expected: Any) -> None:
    assert shape(given) == expected


ALIASES = {
    "EQUAL": ["==", "=", "===", "eq"],
    "NOT_EQUAL": ["!=", "!==", "<>", "ne"],
    "LESS": ["<", "lt"],
    "LESS_OR_EQUAL": ["<=", "lte"],
    "GREATER": [">", "gt", "GT"],
    "GREATER_OR_EQUAL": [">=", "gte"],
}


@pytest.mark.parametrize(("name", "alias"), [(name, alias) for name, words in ALIASES.items() for alias in words])
def test_aliases_of_comparisons(name: str, alias: str) -> None:
    found = filter_of({"field": "x", "comparison": alias, "value": 1})
    assert found is not None
    assert query_pb2.ComparisonOperator.Name(found.comparison.operator) == f"COMPARISON_OPERATOR_{name}"


MALFORMED: list[tuple[Any, str]] = [
    (7, "filter"),
    ([7], "filter[0]"),
    ([None], "filter[0]"),
    ([{}], "filter[0].field"),
    ([{"field": 7}], "filter[0].field"),
    ([{"field": "a", "comparision": "=="}], "filter[0].comparision"),
    ([AGE, {"field": "a", "comparison": "=>", "value": 1}], "filter[1].comparison"),
    ([{"field": "a", "comparison": None}], "filter[0].comparison"),
    ([{"field": "a", "comparison": "in", "value": "abc"}], "filter[0].value"),
    ([{"field": "a", "comparison": "in", "value": 5}], "filter[0].value"),
    ([{"field": "a", "comparison": "between", "value": [1]}], "filter[0].value"),
    ([{"field": "a", "comparison": "between", "value": [None, None]}], "filter[0].value"),
    ([{"field": "a", "comparison": "like", "value": 5}], "filter[0].value"),
    ([{"field": "a", "comparison": "like", "value": "x", "case_insensitive": True}], "filter[0].case_insensitive"),
    ([{"field": "a", "comparison": "regex", "value": "x", "case_insensitive": 1}], "filter[0].value"),
    ([{"field": "a", "comparison": "is null", "value": 1}], "filter[0].value"),
    ([{"type": "custom"}], "filter[0].value"),
    ([{"type": "custom", "value": "x", "field": "a"}], "filter[0].field"),
    ([{"any": AGE}], "filter[0].any"),
    ([{"all": [AGE], "any": [AGE]}], "filter[0].all"),
    ([{"not": [{"any": [{"field": 3}]}]}], "filter[0].not[0].any[0].field"),
]


@pytest.mark.parametrize(("given", "field"), MALFORMED, ids=str)
def test_malformed_filters_say_where(given: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        filter_of(given)
    assert (caught.value.reason, caught.value.field) == ("MALFORMED_FILTER", field)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "bool_value"),
        (np.True_, "bool_value"),
        (5, "int64_value"),
        (np.int8(5), "int64_value"),
        (5.0, "float64_value"),
        (np.float32(0.5), "float64_value"),
        (Decimal("0.5"), "float64_value"),
        ("x", "string_value"),
        (datetime(2024, 1, 1, tzinfo=UTC), "timestamp_value"),
        (np.datetime64("2024-01-01"), "timestamp_value"),
        (None, None),
        (np.datetime64("NaT", "us"), None),
    ],
    ids=str,
)
def test_single_values(value: Any, kind: str | None) -> None:
    wire = value_of(value, "value")
    assert wire.WhichOneof("kind") == kind
    expected = None if kind is None else datetime(2024, 1, 1, tzinfo=UTC) if kind == "timestamp_value" else value
    assert python_of(wire) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [(2**63, "INT64_OVERFLOW"), ([], "WRONG_TYPE"), ({}, "WRONG_TYPE"), (datetime(2024, 1, 1), "WRONG_TYPE")],
)
def test_single_values_that_are_none(value: Any, reason: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        value_of(value, "filter[0].value")
    assert (caught.value.reason, caught.value.field) == (reason, "filter[0].value")


def test_json_values_come_back_as_objects() -> None:
    assert python_of(value_pb2.Value(json_value='{"a":[1]}')) == {"a": [1]}


def test_sorts() -> None:
    keys = sort_of([{"field": "a", "direction": "desc", "nulls": "first"}, {"field": "b"}, "c"])
    assert [(key.column, key.direction, key.nulls) for key in keys] == [
        ("a", query_pb2.SORT_DIRECTION_DESCENDING, query_pb2.NULLS_ORDER_FIRST),
        ("b", query_pb2.SORT_DIRECTION_ASCENDING, query_pb2.NULLS_ORDER_LAST),
        ("c", query_pb2.SORT_DIRECTION_UNSPECIFIED, query_pb2.NULLS_ORDER_UNSPECIFIED),
    ]
    assert sort_of(None) == []
    assert [key.column for key in sort_of({"field": "a"})] == ["a"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ([5], "sort[0].field"),
        ([{"direction": "asc"}], "sort[0].field"),
        ([{"field": "a"}, {"field": "b", "direction": "up"}], "sort[1].direction"),
        ([{"field": "a", "nulls": "no"}], "sort[0].nulls"),
        ([{"field": "a", "compareFn": 1}], "sort[0].compareFn"),
    ],
    ids=str,
)
def test_malformed_sorts_say_where(given: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sort_of(given)
    assert (caught.value.reason, caught.value.field) == ("BAD_SORT", field)


DEFINITION: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "n", "type": "float64", "index": "sorted", "required": True, "default": 1.5},
    {"name": "at", "type": "timestamp", "default": datetime(2024, 1, 1, tzinfo=UTC)},
    {"name": "j", "type": "json", "default": {"a": []}},
    {"name": "s", "type": "enum", "enum": ["a", "b"], "index": True, "default": "b", "description": "a or b"},
    {"name": "label", "type": "unspecified", "expression": "n + 1"},
]


def test_columns_come_back_as_they_were_given() -> None:
    columns, indexes = columns_of([{k: v for k, v in c.items() if v != "unspecified"} for c in DEFINITION])
    assert Schema.of(columns, indexes).to_dicts() == DEFINITION


def test_the_words_of_the_ancestor() -> None:
    columns, indexes = columns_of(
        [
            {"name": "id", "primaryKey": True, "type": "number"},
            {"name": "created", "type": "date", "secondaryKey": True},
            {"name": "meta", "type": "object"},
            {"name": "active", "type": "boolean"},
        ]
    )
    types = [value_pb2.DataType.Name(column.type).removeprefix("DATA_TYPE_") for column in columns]
    assert types == ["FLOAT64", "TIMESTAMP", "JSON", "BOOL"]
    assert columns[0].primary_key
    assert [index.column for index in indexes] == ["created"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("id", "columns"),
        ({"name": "id"}, "columns"),
        ([{"type": "int64"}], "columns[0].name"),
        ([{"name": "a", "type": "decimal"}], "columns[0].type"),
        ([{"name": "a", "type": 5}], "columns[0].type"),
        ([{"name": "a"}, {"name": "b", "primary": True}], "columns[1].primary"),
        ([{"name": "a", "type": "string", "index": "btree"}], "columns[0].index"),
        ([{"name": "a", "type": "string", "index": 1}], "columns[0].index"),
        ([{"name": "a", "type": "string", "required": "yes"}], "columns[0].required"),
        ([{"name": "a", "type": "enum", "enum": "ab"}], "columns[0].enum"),
        ([{"name": "a", "type": "string", "expression": 5}], "columns[0].expression"),
        ([{"name": "a", "type": "int64", "default": "x"}], "columns[0]"),
    ],
    ids=str,
)
def test_malformed_columns_say_where(given: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        columns_of(given)
    assert caught.value.field == field


def test_windows() -> None:
    assert window_of(3, None).HasField("limit") is False
    assert watch_window_of(None) is None
    window = watch_window_of((5, 0))
    assert window is not None
    assert (window.offset, window.limit, window.HasField("limit")) == (5, 0, True)


@pytest.mark.parametrize("bad", [(-1, 5), (0, -1), (0.5, 1), (True, 1), (0, "1"), (1,), 5], ids=str)
def test_windows_that_are_none(bad: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        watch_window_of(bad)
    assert caught.value.reason == "BAD_WINDOW"


def test_durations() -> None:
    assert duration_of(0, "x") is None
    duration = duration_of(1.25, "x")
    assert duration is not None
    assert (duration.seconds, duration.nanos) == (1, 250_000_000)
    for bad in (-1, "1", True, float("nan")):
        with pytest.raises(InvalidRequest):
            duration_of(bad, "x")


def test_queries_name_their_table_in_full() -> None:
    query = query_of("main", {"table": "users", "filter": [AGE], "columns": ["id"], "sort": ["id"]})
    assert query.table == "hubs/main/tables/users"
    with pytest.raises(InvalidRequest):
        query_of("main", {"table": "users", "columns": "id"})


USERS = Schema.of(*columns_of([{"name": "id", "type": "int64", "primary_key": True}, {"name": "n", "type": "number"}]))


def test_one_operation_may_be_several_and_results_come_back_as_one() -> None:
    from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb

    batch = WriteBatch().add("users", [{"id": 1}]).update("users", [{"id": 1, "n": 1}, {"id": 2}, {"id": 3, "n": 2}])
    batch.remove("users", [5]).increment("users", {"id": 1, "n": 2})
    encoded = encode_writes(batch.operations, {"users": USERS}, "main")
    kinds = [operation.WhichOneof("operation") for operation in encoded.request.operations]
    assert kinds == ["insert", "update", "update", "update", "delete", "increment"]
    assert encoded.request.request_id
    response = pb.WriteResponse(
        version=9,
        durability=pb.DURABILITY_FSYNC,
        results=[
            pb.OperationResult(inserted=1),
            *(pb.OperationResult(updated=1) for _ in range(3)),
            pb.OperationResult(deleted=1),
            pb.OperationResult(updated=1),
        ],
    )
    result = encoded.result(response)
    assert (result.version, result.durability) == (9, "fsync")
    assert [counts.updated for counts in result.operations] == [0, 3, 0, 1]
    assert (result.inserted, result.updated, result.deleted) == (1, 4, 1)
    refusal = pb.WriteRefusal(code=6, reason="DUPLICATE_KEY", message="no")
    refusal.row_errors.errors.add(operation=3, row=0, column="n", reason="DUPLICATE_KEY")
    problem = encoded.refusal(refusal).row_errors[0]
    assert (problem.operation, problem.row) == (1, 2)


def test_an_unfit_row_names_its_operation_too() -> None:
    batch = WriteBatch().add("users", {"id": 1}).update("users", [{"id": 1}, {"id": 2, "n": "x"}])
    with pytest.raises(InvalidRequest) as caught:
        encode_writes(batch.operations, {"users": USERS}, "main")
    problem = caught.value.row_errors[0]
    assert (problem.operation, problem.row, problem.column) == (1, 1, "n")


def test_conditions() -> None:
    message = Condition(if_version=0, skip_unmatched=True, if_filter=[AGE]).to_message()
    assert message.HasField("if_version")
    assert message.skip_unmatched
    assert message.if_filter.comparison.column == "age"
    assert not Condition(if_absent=True).to_message().HasField("if_version")


def test_a_remove_needs_keys_or_a_filter() -> None:
    with pytest.raises(InvalidRequest):
        WriteBatch().remove("users")
    with pytest.raises(InvalidRequest):
        WriteBatch().remove("users", [1], filter=[])
