"""The tests' questions and writes in the engine's words, and the engine's changes on the wire.

The encoding here is the naive one of tests/wire.py and not the server's: so the engine's changes are judged by the
validators and the mirror that users have, and nothing of the server takes part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import change_pb2, session_service_pb2
from tesseract_grpc.engine.data import alteration as engine
from tesseract_grpc.engine.data.commit import Condition, Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, IndexKind, IndexSchema, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.live.changes import Changes
from tesseract_grpc.engine.query import filter_tree as tree
from tesseract_grpc.engine.query import source
from tesseract_grpc.engine.query.computed import ComputedColumn, Lookup
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping, GroupMode, Pivot
from tesseract_grpc.engine.query.literal import Timestamp
from tesseract_grpc.engine.query.query import Expansion, Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.window_column import WindowColumn, WindowFunction
from tests import wire
from tests.oracle import alterations, asks, question
from tests.oracle.part import Part, written
from tests.oracle.question import By, Question, Span

OPERATORS = {
    "==": tree.CompareOp.EQUAL,
    "!=": tree.CompareOp.NOT_EQUAL,
    "<": tree.CompareOp.LESS,
    "<=": tree.CompareOp.LESS_OR_EQUAL,
    ">": tree.CompareOp.GREATER,
    ">=": tree.CompareOp.GREATER_OR_EQUAL,
}


def schema(table: asks.Definition) -> TableSchema:
    return TableSchema(tuple(map(column, table.fields)))


def column(field: asks.Field) -> ColumnSchema:
    kind = DataType[field.type.upper()]
    return ColumnSchema(field.name, kind, field.key, field.required, field.default, field.names, **computed_as(field))


def alteration(change: alterations.Alteration) -> engine.Alteration:
    match change:
        case alterations.Add(field, backfill, after):
            return engine.AddColumn(column(field), "" if backfill is None else written(backfill), after)
        case alterations.Drop(name):
            return engine.DropColumn(name)
        case alterations.Rename(name, to):
            return engine.RenameColumn(name, to)
        case alterations.Change(name, field, using):
            stored = {"type", "required", "enum_values", "expression", "default_value"}
            parts = frozenset(stored if field.computed is None else {"expression"})
            return engine.ChangeColumn(name, column(field), parts, "" if using is None else written(using))
        case alterations.SetKey(columns):
            return engine.SetKey(columns)


def computed_as(field: asks.Field) -> dict[str, Any]:
    """How a column is worked out; nothing where it is not."""
    texts = {"expression": field.computed, "default_expression": field.default_of}
    return {name: written(part) for name, part in texts.items() if part is not None}


def index(column: str, kind: str) -> IndexSchema:
    return IndexSchema(column, IndexKind[kind.upper()])


def literal(value: Any) -> Any:
    return Timestamp(value) if isinstance(value, asks.Moment) else value


def filter_of(ask: asks.Ask) -> tree.Filter:
    match ask:
        case asks.AllOf(parts):
            return tree.AllOf(tuple(map(filter_of, parts)))
        case asks.AnyOf(parts):
            return tree.AnyOf(tuple(map(filter_of, parts)))
        case asks.Not(inner):
            return tree.Negate(filter_of(inner))
        case asks.Compare(column, operator, value):
            return tree.Compare(column, OPERATORS[operator], literal(value))
        case asks.In(column, values, negated):
            return tree.In(column, tuple(map(literal, values)), negated)
        case asks.Between(column, lower, upper):
            return tree.Between(column, literal(lower), literal(upper))
        case asks.Like(column, pattern, negated):
            return tree.Like(column, pattern, negated)
        case asks.Regex(column, pattern, any_case, negated):
            return tree.Regex(column, pattern, any_case, negated)
        case asks.IsNull(column, negated):
            return tree.NullTest(column, negated)
        case asks.Custom(part):
            return tree.Custom(written(part))


def kept(ask: asks.Ask | None) -> tree.Filter | None:
    return None if ask is None else filter_of(ask)


def query(ask: Question, inline: bool = False) -> Query:
    """`inline` writes the queries of sessions in the place of their names, and permanent conditions beside the others:
    so it means the same even when the sessions have become others, and without being a session."""
    where = ask.filter
    if inline and ask.permanent is not None:
        where = asks.AllOf((ask.permanent, *(() if where is None else (where,))))
    return Query(
        ask.table,
        kept(where),
        ask.columns,
        sort_keys(ask.sort),
        None if ask.group is None else grouping(ask.group),
        kept(ask.having),
        None if ask.origin is None else origin(ask.origin, inline),
        tuple(join(each, inline) for each in ask.joins),
        tuple(computed(each, inline) for each in ask.computed),
        tuple(map(windowed, ask.windowed)),
        ask.tree,
        tuple((name, query(sub, inline)) for name, sub in ask.subs),
    )


def sort_keys(sort: Sequence[By]) -> tuple[SortKey, ...]:
    return tuple(SortKey(by.column, by.descending, by.nulls_first) for by in sort)


def origin(ask: question.Origin, inline: bool) -> source.RowSource:
    match ask:
        case question.OfTable(table):
            return source.TableSource(table)
        case question.OfSession(session, asked):
            return source.QuerySource(query(asked, inline)) if inline else source.SessionSource(session)
        case question.OfSub(name):
            return source.SubSession(name)
        case question.OfQuery(asked):
            return source.QuerySource(query(asked, inline))
        case question.Together(origins, branch):
            return source.Union(tuple(origin(each, inline) for each in origins), branch)


def pairs(on: Sequence[tuple[str, str]]) -> tuple[source.JoinKey, ...]:
    return tuple(source.JoinKey(*pair) for pair in on)


def join(ask: question.Join, inline: bool) -> source.Join:
    kind = source.JoinKind.LEFT if ask.left else source.JoinKind.INNER
    taken = tuple(source.JoinColumn(*pair) for pair in ask.columns)
    return source.Join(origin(ask.origin, inline), pairs(ask.on), kind, taken, ask.prefix)


def computed(ask: question.Computed, inline: bool) -> ComputedColumn:
    value = ask.value
    if isinstance(value, question.Lookup):
        looked_up = Lookup(origin(value.origin, inline), pairs(value.on), **value_of(value.value))
        return ComputedColumn(ask.name, lookup=looked_up)
    return ComputedColumn(ask.name, **value_of(value))


def value_of(value: str | Part | question.Template) -> dict[str, Any]:
    """A column, an expression or a template, under the name that it has in a query."""
    if isinstance(value, str):
        return {"column": value}
    if isinstance(value, Part):
        return {"expression": written(value)}
    return {"template": template(value)}


def template(parts: question.Template) -> str:
    return "".join(part if isinstance(part, str) else "${" + written(part) + "}" for part in parts)


def grouping(ask: question.Grouping) -> Grouping:
    pivot = None if ask.pivot is None else Pivot(ask.pivot[0], tuple(map(literal, ask.pivot[1] or ())))
    return Grouping(ask.by, tuple(map(aggregate, ask.aggregates)), GroupMode[ask.mode.upper()], ask.leafs, pivot)


def aggregate(ask: question.Aggregate) -> Aggregate:
    return Aggregate(
        ask.name,
        ask.function,
        column=ask.of if isinstance(ask.of, str) else "",
        expression="" if isinstance(ask.of, str) else written(ask.of),
        filter=kept(ask.filter),
        percentile=ask.percentile,
        order_by=ask.order_by,
        weight=ask.weight,
        separator=ask.separator,
        limit=ask.limit,
    )


def windowed(ask: question.Windowed) -> WindowColumn:
    return WindowColumn(
        ask.name,
        WindowFunction[ask.function.upper()],
        ask.column,
        ask.partition_by,
        sort_keys(ask.order_by),
        ask.offset,
        ask.rows,
    )


def window(span: Span) -> Window:
    which = span.open
    if which is None:
        return Window(span.offset, span.limit)
    expansion = Expansion(which.depth, frozenset(which.expanded), frozenset(which.collapsed))
    return Window(span.offset, span.limit, expansion)


def write(put: asks.Put, table: asks.Definition) -> Write:
    only = put.only
    condition = None
    if only is not None:
        inner = None if only.if_filter is None else filter_of(only.if_filter)
        condition = Condition(only.if_version, only.if_absent, inner, only.skip)
    return Write(
        put.table,
        WriteKind[put.kind.upper()],
        rows=None if put.filter is not None else Batch.of_rows(schema(table).columns, put.rows),
        filter=None if put.filter is None else filter_of(put.filter),
        ignore_missing=put.lenient and put.kind in ("update", "increment"),
        must_exist=put.strict and put.kind == "delete",
        condition=condition,
    )


Response = session_service_pb2.WatchSessionResponse


def said(begins: int, ends: int, generation: int, continued: bool = False, **event: Any) -> Response:
    return Response(from_version=begins, to_version=ends, continued=continued, generation=generation, **event)


def reset(version: int, generation: int, *, replaced: bool = False) -> Response:
    """An edit, or another table, by which rows are named by other columns: a snapshot follows."""
    reasons = change_pb2.RESET_REASON_DEFINITION_CHANGED, change_pb2.RESET_REASON_TABLE_CHANGED
    event = change_pb2.Reset(reason=reasons[replaced])
    return said(version, version, generation, reset=event)


def edited(types: wire.Types, keys: Sequence[str], versions: tuple[int, int], generation: int) -> Response:
    """An edit; the change that makes it so follows."""
    event = change_pb2.SessionChanged(generation=generation, columns=wire.columns(types, keys))
    return said(*versions, generation, True, session_changed=event)


def opening(types: wire.Types, keys: Sequence[str], snapshot: Any, generation: int) -> list[Response]:
    """Begin, the snapshot in two pieces, its end."""
    version, rows = snapshot.version, snapshot.rows.to_rows()
    half = len(rows) // 2
    begin = change_pb2.Begin(epoch="test", columns=wire.columns(types, keys))
    pieces = [(0, rows[:half]), (half, rows[half:])] if rows else []
    return [
        said(version, version, generation, begin=begin),
        *(
            said(
                version,
                version,
                generation,
                True,
                snapshot_rows=change_pb2.SnapshotRows(rows=wire.batch(part, types), start_index=at),
            )
            for at, part in pieces
        ),
        said(
            version,
            version,
            generation,
            snapshot_end=change_pb2.SnapshotEnd(row_count=len(rows), total_count=snapshot.total_count),
        ),
    ]


def resumed(types: wire.Types, keys: Sequence[str], version: int, generation: int) -> Response:
    """Begin for a reader that holds what there was at a version."""
    begin = change_pb2.Begin(resumed=True, epoch="test", columns=wire.columns(types, keys))
    return said(version, version, generation, begin=begin)


def changed(types: wire.Types, changes: Changes, generation: int) -> Response:
    """The engine's net change as one response."""

    def places(rows: Batch, indexes: Any) -> list[tuple[Mapping[str, Any], int]]:
        return list(zip(rows.to_rows(), [int(at) for at in indexes], strict=True))

    message = change_pb2.Changes(
        removes=[
            change_pb2.Removes(
                reason=int(part.reason),  # type: ignore[arg-type]
                keys=wire.batch(part.keys.to_rows(), types),
                old_rows=None if part.old_rows is None else wire.batch(part.old_rows.to_rows(), types),
            )
            for part in changes.removes
        ],
        updates=[
            change_pb2.Updates(
                rows=wire.batch(part.rows.to_rows(), types),
                old_values=None if part.old_values is None else wire.batch(part.old_values.to_rows(), types),
            )
            for part in changes.updates
        ],
        total_count=changes.total_count,
    )
    if changes.moves is not None:
        placed = places(changes.moves.keys, changes.moves.indexes)
        message.moves.CopyFrom(wire.changes(types, moves=placed).moves)
    if changes.inserts is not None and changes.inserts.indexes is not None:
        placed = places(changes.inserts.rows, changes.inserts.indexes)
        message.inserts.CopyFrom(wire.changes(types, inserts=placed).inserts)
    elif changes.inserts is not None:
        message.inserts.rows.CopyFrom(wire.batch(changes.inserts.rows.to_rows(), types))
    return said(changes.from_version, changes.to_version, generation, changes=message)
