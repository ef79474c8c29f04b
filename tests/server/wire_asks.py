"""The tests' questions and writes as requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import query_pb2, schema_pb2, session_service_pb2, table_service_pb2, value_pb2
from tests import wire
from tests.oracle import asks

OPERATORS = {
    "==": query_pb2.COMPARISON_OPERATOR_EQUAL,
    "!=": query_pb2.COMPARISON_OPERATOR_NOT_EQUAL,
    "<": query_pb2.COMPARISON_OPERATOR_LESS,
    "<=": query_pb2.COMPARISON_OPERATOR_LESS_OR_EQUAL,
    ">": query_pb2.COMPARISON_OPERATOR_GREATER,
    ">=": query_pb2.COMPARISON_OPERATOR_GREATER_OR_EQUAL,
}


def table_of(table: asks.Definition) -> schema_pb2.Table:
    return schema_pb2.Table(
        columns=[
            schema_pb2.Column(
                name=field.name,
                type=getattr(value_pb2, f"DATA_TYPE_{field.type.upper()}"),
                primary_key=field.key,
                required=field.required,
                default_value=None if field.default is None else value_of(field, field.default),
                enum_values=field.names,
            )
            for field in table.fields
        ]
    )


def types_of(table: asks.Definition) -> wire.Types:
    return {field.name: field.type for field in table.fields}


def value_of(field: asks.Field, value: Any) -> value_pb2.Value:
    if value is None:
        return value_pb2.Value()
    if isinstance(value, bool):
        return value_pb2.Value(bool_value=value)
    if isinstance(value, float):
        return value_pb2.Value(float64_value=value)
    if isinstance(value, str):
        return value_pb2.Value(string_value=value)
    return value_pb2.Value(timestamp_value=value) if field.type == "timestamp" else value_pb2.Value(int64_value=value)


def filter_of(ask: asks.Ask, table: asks.Definition) -> query_pb2.Filter:
    def value(column: str, literal: Any) -> value_pb2.Value:
        return value_of(next(field for field in table.fields if field.name == column), literal)

    def every(parts: Iterable[asks.Ask]) -> query_pb2.FilterList:
        return query_pb2.FilterList(filters=[filter_of(part, table) for part in parts])

    made = query_pb2.Filter
    match ask:
        case asks.AllOf(parts):
            return made(all_of=every(parts))
        case asks.AnyOf(parts):
            return made(any_of=every(parts))
        case asks.Not(inner):
            return made(negate=filter_of(inner, table))
        case asks.Compare(column, operator, literal):
            test = query_pb2.Comparison(column=column, operator=OPERATORS[operator], value=value(column, literal))
            return made(comparison=test)
        case asks.In(column, values, negated):
            listed = [value(column, literal) for literal in values]
            return made(membership=query_pb2.Membership(column=column, values=listed, negated=negated))
        case asks.Between(column, lower, upper):
            between = query_pb2.Between(column=column)
            if lower is not None:
                between.lower.CopyFrom(value(column, lower))
            if upper is not None:
                between.upper.CopyFrom(value(column, upper))
            return made(between=between)
        case asks.Like(column, pattern, negated):
            return made(like=query_pb2.Like(column=column, pattern=pattern, negated=negated))
        case asks.Regex(column, pattern, any_case, negated):
            return made(
                regex=query_pb2.Regex(column=column, pattern=pattern, case_insensitive=any_case, negated=negated)
            )
        case asks.IsNull(column, negated):
            return made(null_test=query_pb2.NullTest(column=column, negated=negated))


def query_of(ask: asks.Question, table: asks.Definition) -> query_pb2.Query:
    directions = (query_pb2.SORT_DIRECTION_UNSPECIFIED, query_pb2.SORT_DIRECTION_DESCENDING)
    nulls = (query_pb2.NULLS_ORDER_UNSPECIFIED, query_pb2.NULLS_ORDER_FIRST)
    return query_pb2.Query(
        table=ask.table,
        filter=None if ask.filter is None else filter_of(ask.filter, table),
        columns=ask.columns,
        sort=[
            query_pb2.SortKey(column=by.column, direction=directions[by.descending], nulls=nulls[by.nulls_first])
            for by in ask.sort
        ],
    )


def window_of(span: asks.Span) -> query_pb2.Window:
    return query_pb2.Window(offset=span.offset, limit=span.limit)


def watch_of(name: str, span: asks.Span, milliseconds: int) -> session_service_pb2.WatchSessionRequest:
    request = session_service_pb2.WatchSessionRequest(name=name, window=window_of(span))
    request.min_interval.FromMilliseconds(milliseconds)
    return request


def operation_of(put: asks.Put, table: asks.Definition) -> table_service_pb2.WriteOperation:
    pb = table_service_pb2
    rows = wire.batch(put.rows, types_of(table))
    made = pb.WriteOperation(table=put.table)
    match put.kind:
        case "insert":
            made.insert.CopyFrom(pb.Insert(rows=rows))
        case "upsert":
            made.upsert.CopyFrom(pb.Upsert(rows=rows))
        case "update":
            made.update.CopyFrom(pb.Update(rows=rows, ignore_missing=put.lenient))
        case "increment":
            made.increment.CopyFrom(pb.Increment(rows=rows, ignore_missing=put.lenient))
        case "delete" if put.filter is not None:
            made.delete.filter.CopyFrom(filter_of(put.filter, table))
        case "delete":
            made.delete.CopyFrom(pb.Delete(keys=rows, must_exist=put.strict))
    only = put.only
    if only is not None:
        made.condition.if_absent = only.if_absent
        made.condition.skip_unmatched = only.skip
        if only.if_version is not None:
            made.condition.if_version = only.if_version
        if only.if_filter is not None:
            made.condition.if_filter.CopyFrom(filter_of(only.if_filter, table))
    return made
