"""The tests' questions and writes as requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import query_pb2, schema_pb2, session_service_pb2, table_service_pb2, value_pb2
from tests import wire
from tests.oracle import alterations, asks, question
from tests.oracle.part import Part, written
from tests.oracle.question import By, Question, Span

OPERATORS = {
    "==": query_pb2.COMPARISON_OPERATOR_EQUAL,
    "!=": query_pb2.COMPARISON_OPERATOR_NOT_EQUAL,
    "<": query_pb2.COMPARISON_OPERATOR_LESS,
    "<=": query_pb2.COMPARISON_OPERATOR_LESS_OR_EQUAL,
    ">": query_pb2.COMPARISON_OPERATOR_GREATER,
    ">=": query_pb2.COMPARISON_OPERATOR_GREATER_OR_EQUAL,
}


def table_of(table: asks.Definition) -> schema_pb2.Table:
    return schema_pb2.Table(columns=map(column_of, table.fields))


def column_of(field: asks.Field) -> schema_pb2.Column:
    return schema_pb2.Column(
        name=field.name,
        type=getattr(value_pb2, f"DATA_TYPE_{field.type.upper()}"),
        primary_key=field.key,
        required=field.required,
        default_value=None if field.default is None else value_of(field, field.default),
        enum_values=field.names,
        expression="" if field.computed is None else written(field.computed),
        default_expression="" if field.default_of is None else written(field.default_of),
    )


def alteration_of(change: alterations.Alteration) -> table_service_pb2.Alteration:
    message = table_service_pb2.Alteration()
    match change:
        case alterations.Add(field, backfill, after):
            message.add_column.column.CopyFrom(column_of(field))
            message.add_column.backfill = "" if backfill is None else written(backfill)
            message.add_column.after = after
        case alterations.Drop(name):
            message.drop_column.column = name
        case alterations.Rename(name, to):
            message.rename_column.column, message.rename_column.new_name = name, to
        case alterations.Change(name, field, using):
            message.change_column.column = name
            message.change_column.definition.CopyFrom(column_of(field))
            stored = ("type", "required", "enum_values", "expression", "default_value")
            message.change_column.update_mask.paths.extend(stored if field.computed is None else ("expression",))
            message.change_column.using = "" if using is None else written(using)
        case alterations.SetKey(columns):
            message.set_key.columns.extend(columns)
    return message


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


def literal_of(value: Any) -> value_pb2.Value:
    """A value in a condition: only times say what they are."""
    if isinstance(value, asks.Moment):
        return value_pb2.Value(timestamp_value=value)
    return value_of(asks.Field("", ""), value)


def filter_of(ask: asks.Ask) -> query_pb2.Filter:
    def every(parts: Iterable[asks.Ask]) -> query_pb2.FilterList:
        return query_pb2.FilterList(filters=map(filter_of, parts))

    made = query_pb2.Filter
    match ask:
        case asks.AllOf(parts):
            return made(all_of=every(parts))
        case asks.AnyOf(parts):
            return made(any_of=every(parts))
        case asks.Not(inner):
            return made(negate=filter_of(inner))
        case asks.Compare(column, operator, value):
            test = query_pb2.Comparison(column=column, operator=OPERATORS[operator], value=literal_of(value))
            return made(comparison=test)
        case asks.In(column, values, negated):
            listed = map(literal_of, values)
            return made(membership=query_pb2.Membership(column=column, values=listed, negated=negated))
        case asks.Between(column, lower, upper):
            between = query_pb2.Between(column=column)
            if lower is not None:
                between.lower.CopyFrom(literal_of(lower))
            if upper is not None:
                between.upper.CopyFrom(literal_of(upper))
            return made(between=between)
        case asks.Like(column, pattern, negated):
            return made(like=query_pb2.Like(column=column, pattern=pattern, negated=negated))
        case asks.Regex(column, pattern, any_case, negated):
            return made(
                regex=query_pb2.Regex(column=column, pattern=pattern, case_insensitive=any_case, negated=negated)
            )
        case asks.IsNull(column, negated):
            return made(null_test=query_pb2.NullTest(column=column, negated=negated))
        case asks.Custom(part):
            return made(custom=written(part))


def kept(ask: asks.Ask | None) -> query_pb2.Filter | None:
    return None if ask is None else filter_of(ask)


def query_of(ask: Question, inline: bool = False) -> query_pb2.Query:
    """`inline` writes the queries of sessions in the place of their names, permanent conditions beside the others."""
    where = ask.filter
    if inline and ask.permanent is not None:
        where = asks.AllOf((ask.permanent, *(() if where is None else (where,))))
    return query_pb2.Query(
        table=ask.table,
        filter=kept(where),
        columns=ask.columns,
        sort=sort_of(ask.sort),
        group=None if ask.group is None else group_of(ask.group),
        having=kept(ask.having),
        source=None if ask.origin is None else source_of(ask.origin, inline),
        joins=[join_of(join, inline) for join in ask.joins],
        computed=[computed_of(column, inline) for column in ask.computed],
        window_columns=map(windowed_of, ask.windowed),
        tree=query_pb2.Tree(parent=ask.tree) if ask.tree else None,
        sub_sessions={name: query_of(sub, inline) for name, sub in ask.subs},
    )


def sort_of(sort: Iterable[By]) -> list[query_pb2.SortKey]:
    directions = (query_pb2.SORT_DIRECTION_UNSPECIFIED, query_pb2.SORT_DIRECTION_DESCENDING)
    nulls = (query_pb2.NULLS_ORDER_UNSPECIFIED, query_pb2.NULLS_ORDER_FIRST)
    return [
        query_pb2.SortKey(column=by.column, direction=directions[by.descending], nulls=nulls[by.nulls_first])
        for by in sort
    ]


def source_of(origin: question.Origin, inline: bool) -> query_pb2.Source:
    made = query_pb2.Source
    match origin:
        case question.OfTable(table):
            return made(table=table)
        case question.OfSession(session, asked):
            return made(query=query_of(asked, inline)) if inline else made(session=session)
        case question.OfSub(name):
            return made(sub_session=name)
        case question.OfQuery(asked):
            return made(query=query_of(asked, inline))
        case question.Together(origins, branch):
            sources = [source_of(each, inline) for each in origins]
            return made(union=query_pb2.Union(sources=sources, branch_column=branch))


def keys_of(on: Iterable[tuple[str, str]]) -> list[query_pb2.JoinKey]:
    return [query_pb2.JoinKey(left=left, right=right) for left, right in on]


def join_of(ask: question.Join, inline: bool) -> query_pb2.Join:
    return query_pb2.Join(
        source=source_of(ask.origin, inline),
        kind=query_pb2.JOIN_KIND_LEFT if ask.left else query_pb2.JOIN_KIND_INNER,
        on=keys_of(ask.on),
        columns=[query_pb2.JoinColumn(column=column, name=name) for column, name in ask.columns],
        prefix=ask.prefix,
    )


def computed_of(ask: question.Computed, inline: bool) -> query_pb2.ComputedColumn:
    value = ask.value
    if not isinstance(value, question.Lookup):
        return query_pb2.ComputedColumn(name=ask.name, **worked_out(value))
    source = source_of(value.origin, inline)
    lookup = query_pb2.Lookup(source=source, on=keys_of(value.on), **worked_out(value.value))
    return query_pb2.ComputedColumn(name=ask.name, lookup=lookup)


def worked_out(value: str | Part | question.Template) -> dict[str, Any]:
    if isinstance(value, str):
        return {"column": value}
    return {"expression": written(value)} if isinstance(value, Part) else {"template": template(value)}


def template(parts: question.Template) -> str:
    return "".join(part if isinstance(part, str) else "${" + written(part) + "}" for part in parts)


def group_of(ask: question.Grouping) -> query_pb2.Grouping:
    pivot = None
    if ask.pivot is not None:
        pivot = query_pb2.Pivot(column=ask.pivot[0], values=map(literal_of, ask.pivot[1] or ()))
    return query_pb2.Grouping(
        by=ask.by,
        aggregates=map(aggregate_of, ask.aggregates),
        mode=getattr(query_pb2, f"GROUP_MODE_{ask.mode.upper()}"),
        include_leafs=ask.leafs,
        split_by=pivot,
    )


def aggregate_of(ask: question.Aggregate) -> query_pb2.Aggregate:
    made = query_pb2.Aggregate(
        name=ask.name,
        function=getattr(query_pb2, f"AGGREGATE_FUNCTION_{ask.function.upper()}"),
        column=ask.of if isinstance(ask.of, str) else "",
        expression="" if isinstance(ask.of, str) else written(ask.of),
        filter=kept(ask.filter),
        order_by=ask.order_by,
        weight=ask.weight,
    )
    if ask.function == "percentile":
        made.percentile = ask.percentile
    if ask.function == "join":
        made.separator = ask.separator
    if ask.limit is not None:
        made.limit = ask.limit
    return made


def windowed_of(ask: question.Windowed) -> query_pb2.WindowColumn:
    made = query_pb2.WindowColumn(
        name=ask.name,
        function=getattr(query_pb2, f"WINDOW_FUNCTION_{ask.function.upper()}"),
        column=ask.column,
        partition_by=ask.partition_by,
        order_by=sort_of(ask.order_by),
        rows=ask.rows,
    )
    if ask.function in ("lag", "lead"):
        made.offset = ask.offset
    return made


def window_of(span: Span) -> query_pb2.Window:
    return query_pb2.Window(offset=span.offset, limit=span.limit, expansion=expansion_of(span.open))


def expansion_of(which: question.Open | None) -> query_pb2.Expansion | None:
    if which is None:
        return None
    expanded, collapsed = (
        [query_pb2.NodeKey(values=map(literal_of, key)) for key in keys] for keys in (which.expanded, which.collapsed)
    )
    return query_pb2.Expansion(depth=which.depth, expanded=expanded, collapsed=collapsed)


def watch_of(name: str, span: Span, milliseconds: int) -> session_service_pb2.WatchSessionRequest:
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
            made.delete.filter.CopyFrom(filter_of(put.filter))
        case "delete":
            made.delete.CopyFrom(pb.Delete(keys=rows, must_exist=put.strict))
    only = put.only
    if only is not None:
        made.condition.if_absent = only.if_absent
        made.condition.skip_unmatched = only.skip
        if only.if_version is not None:
            made.condition.if_version = only.if_version
        if only.if_filter is not None:
            made.condition.if_filter.CopyFrom(filter_of(only.if_filter))
    return made
