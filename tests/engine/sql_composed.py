"""Composed questions as SQL: joins, lookups, unions, groups, rollups and window columns, each step a subselect.

A step is a text and what the naive oracle says of its columns. What stands in the order of insertion carries the number
`place` along; what is derived stands in the order of its key. `NotSaid` is raised for what SQL has no words for, or
other ones: limits of lists, trees, templates, and the parts of expressions that follow JavaScript.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.engine.sql_oracle import NotSaid, condition, expression, quoted, type_of
from tests.oracle.answer import is_tree
from tests.oracle.asks import AllOf, Ask, Compare, Field
from tests.oracle.expressions import as_text
from tests.oracle.grouping import key_fields
from tests.oracle.model import Model
from tests.oracle.part import Part
from tests.oracle.question import (
    Aggregate,
    By,
    Computed,
    Grouping,
    Join,
    Lookup,
    OfQuery,
    OfSession,
    OfSub,
    OfTable,
    Origin,
    Question,
    Together,
    Windowed,
)
from tests.oracle.relation import Relation

FUNCTIONS = {"sum": "sum", "avg": "avg", "min": "min", "max": "max", "any": "bool_or", "every": "bool_and"}
Scope = dict[str, Question]


@dataclass(frozen=True)
class Step:
    sql: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    derived: bool

    @property
    def place(self) -> str:
        """The order that it has by itself."""
        return ", ".join(f'"{name}" ASC NULLS LAST' for name in self.key) if self.derived else "place"

    @property
    def carried(self) -> str:
        return "" if self.derived else "place, "

    def named(self) -> dict[str, Field]:
        return {field.name: field for field in self.fields}


def names(fields: Sequence[Field], of: str = "") -> str:
    return ", ".join(f'{of}"{field.name}"' for field in fields)


def order(keys: Sequence[By]) -> list[str]:
    return [
        f'"{by.column}" {"DESC" if by.descending else "ASC"} NULLS {"FIRST" if by.nulls_first else "LAST"}'
        for by in keys
    ]


def renamed(field: Field, name: str) -> Field:
    return replace(field, name=name, key=False)


def in_order(fields: Sequence[Field], key: set[str]) -> tuple[str, ...]:
    return tuple(field.name for field in fields if field.name in key)


class Composer:
    """Writes questions as SQL."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.now = model.now

    def whole(self, ask: Question) -> str:
        """The answer, in order."""
        if is_tree(ask):
            raise NotSaid("the order of a tree")
        step = self.step(ask, {})
        keys = [*order(ask.sort), *order([By(name) for name in step.key])] if ask.sort else [step.place]
        shown = [field for field in step.fields if not ask.columns or field.name in {*ask.columns, *step.key}]
        columns = ", ".join(
            f'epoch_us("{f.name}") AS "{f.name}"' if f.type == "timestamp" else f'"{f.name}"' for f in shown
        )
        return f"SELECT {columns} FROM ({step.sql}) ORDER BY {', '.join(keys)}"

    def step(self, ask: Question, scope: Scope) -> Step:
        scope = scope | dict(ask.subs)
        rows = self.origin(OfTable(ask.table) if ask.origin is None else ask.origin, scope)
        for join in ask.joins:
            rows = self.joined(rows, join, scope)
        for column in ask.computed:
            rows = self.computed(rows, column, scope)
        rows = self.kept(self.kept(rows, ask.permanent), ask.filter)
        if ask.group is not None:
            rows = self.kept(self.grouped(rows, ask.group), ask.having)
        for windowed in ask.windowed:
            rows = self.windowed(rows, windowed)
        return rows

    def kept(self, rows: Step, ask: Ask | None) -> Step:
        if ask is None:
            return rows
        where = condition(ask, rows.named(), self.now)
        return Step(f"SELECT * FROM ({rows.sql}) WHERE {where}", rows.fields, rows.key, rows.derived)

    def origin(self, origin: Origin, scope: Scope) -> Step:
        match origin:
            case OfTable(table) if table in self.model.views:
                raise NotSaid("derived tables")
            case OfTable(table):
                found = self.model.definitions[table]
                return Step(f"SELECT * FROM {table}", found.fields, found.key, False)
            case OfSession(_, question):
                return self.shown(question, {})
            case OfSub(name):
                return self.shown(scope[name], scope)
            case OfQuery(question):
                return self.shown(question, scope)
            case Together(origins, branch):
                return self.together([self.origin(each, scope) for each in origins], branch)

    def shown(self, ask: Question, scope: Scope) -> Step:
        rows = self.step(ask, scope)
        if not ask.columns:
            return rows
        fields, named = rows.named(), [*(name for name in rows.key if name not in ask.columns), *ask.columns]
        chosen = tuple(fields[name] for name in named)
        return Step(f"SELECT {rows.carried}{names(chosen)} FROM ({rows.sql})", chosen, rows.key, rows.derived)

    def together(self, steps: Sequence[Step], branch: str) -> Step:
        first = steps[0].fields
        sql = " UNION ALL ".join(
            f'SELECT {number}::BIGINT AS "{branch}", {names(first)} FROM ({step.sql})'
            for number, step in enumerate(steps)
        )
        fields = (Field(branch, "int64"), *first)
        return Step(sql, fields, in_order(fields, {branch, *steps[0].key}), True)

    def joined(self, rows: Step, join: Join, scope: Scope) -> Step:
        other = self.origin(join.origin, scope)
        there = {name for _, name in join.on}
        single = set(other.key) <= there
        named = [] if single else [name for name in other.key if name not in there]
        taken = list(join.columns) or [
            (f.name, "") for f in other.fields if f.name not in there and f.name not in named
        ]
        pairs = [(name, join.prefix + name) for name in named] + [(n, new or join.prefix + n) for n, new in taken]
        more = tuple(renamed(other.named()[name], new) for name, new in pairs)
        shown = ", ".join(f'b."{name}" AS "{new}"' for name, new in pairs)
        on = " AND ".join(f'a."{here}" = b."{name}"' for here, name in join.on)
        kind = "LEFT JOIN" if join.left else "JOIN"
        columns = ", ".join(["a.*", shown] if pairs else ["a.*"])
        fields = (*rows.fields, *more)
        sql = f"SELECT {columns} FROM ({rows.sql}) a {kind} ({other.sql}) b ON {on}"
        if single:
            return Step(sql, fields, rows.key, rows.derived)
        key = in_order(fields, {*rows.key, *(join.prefix + name for name in named)})
        return Step(f"SELECT {names(fields)} FROM ({sql})", fields, key, True)

    def computed(self, rows: Step, column: Computed, scope: Scope) -> Step:
        value = column.value
        if isinstance(value, Part):
            sql, field = expression(value, rows.named(), self.now), Field(column.name, value.kind)
        elif isinstance(value, Lookup) and isinstance(value.value, (str, Part)):
            other = self.origin(value.origin, scope)
            field, what = self.of(other, value.value)
            on = " AND ".join(f'r."{here}" = o."{there}"' for here, there in value.on)
            sql = f"(SELECT first({what} ORDER BY {other.place}) FROM ({other.sql}) o WHERE {on})"
        else:
            raise NotSaid("templates")
        fields = (*rows.fields, renamed(field, column.name))
        return Step(f'SELECT r.*, {sql} AS "{column.name}" FROM ({rows.sql}) r', fields, rows.key, rows.derived)

    def of(self, rows: Step, value: str | Part) -> tuple[Field, str]:
        if isinstance(value, str):
            return rows.named()[value], f'"{value}"'
        return Field("", value.kind), expression(value, rows.named(), self.now)

    def grouped(self, rows: Step, group: Grouping) -> Step:
        if group.leafs or (group.pivot is not None and group.pivot[1] is None):
            raise NotSaid("rows below groups, and values that are to be found")
        fields = key_fields(Relation(rows.fields, rows.key, []), group)
        key = tuple(field.name for field in fields)
        shown = [f'"{name}"' for name in group.by]
        if group.mode != "flat":
            listed = ", ".join(shown)
            level = f"{len(shown)} - bit_count(GROUPING({listed})::INTEGER)" if shown else "0"
            shown.insert(0, f'({level})::BIGINT AS "level"')
        elif not group.by:
            shown = ['true AS "group"']
        spread: list[tuple[str, Ask | None]] = [("", None)]
        if group.pivot is not None:
            column, values = group.pivot
            kind = rows.named()[column].type
            spread = [(f"{as_text(kind, value)}|", Compare(column, "==", value)) for value in values or ()]
        for prefix, only in spread:
            for aggregate in group.aggregates:
                field, sql = self.aggregate(rows, aggregate, only)
                fields.append(renamed(field, prefix + aggregate.name))
                shown.append(f'{sql} AS "{prefix}{aggregate.name}"')
        by = ", ".join(f'"{name}"' for name in group.by)
        sets = {"flat": by, "rollup": f"ROLLUP ({by})", "total": f"GROUPING SETS (({by}), ())"}[group.mode]
        clause = f"GROUP BY {sets} " if by else ""
        sql = f"SELECT {', '.join(shown)} FROM ({rows.sql}) {clause}HAVING count(*) > 0"
        return Step(sql, tuple(fields), key, True)

    def aggregate(self, rows: Step, aggregate: Aggregate, only: Ask | None) -> tuple[Field, str]:
        function, whole = aggregate.function, Field("", "int64")
        asks = [ask for ask in (only, aggregate.filter) if ask is not None]
        if function == "count":
            return whole, f"count(*){self.where(rows, asks)}"
        if function == "expression":
            raise NotSaid("expressions over aggregates")
        field, value = self.of(rows, aggregate.of)
        where = self.where(rows, asks, f"{value} IS NOT NULL")
        if function in ("count_values", "count_if"):
            return whole, f"count(*){where if function == 'count_values' else self.where(rows, asks, value)}"
        if function == "distinct_count":
            return whole, f"count(DISTINCT {value}){where}"
        if function in ("first", "last"):
            keys = [*order([By(aggregate.order_by)] if aggregate.order_by else []), rows.place]
            return field, f"{function}({value} ORDER BY {', '.join(keys)}){where}"
        if function in ("min", "max") and field.type == "enum":
            raise NotSaid("extremes of enums")
        if function in FUNCTIONS:
            kind = Field("", "float64") if function == "avg" else field
            return kind, f"{FUNCTIONS[function]}({value}){where}::{type_of(kind)}"
        if function in ("median", "percentile"):
            share = 0.5 if function == "median" else aggregate.percentile
            return Field("", "float64"), f"quantile_cont({value}::DOUBLE, {share}){where}"
        if function == "unique":
            return field, f"CASE WHEN count(DISTINCT {value}){where} = 1 THEN any_value({value}){where} END"
        if function == "join" and aggregate.limit is None and field.type == "string":
            keys = [*order([By(aggregate.order_by)] if aggregate.order_by else []), rows.place]
            listed = f"string_agg({value}, {quoted(aggregate.separator)} ORDER BY {', '.join(keys)})"
            return Field("", "string"), f"{listed}{where}"
        raise NotSaid(function)

    def where(self, rows: Step, asks: Sequence[Ask], *more: str) -> str:
        tests = [*more, *([condition(AllOf(tuple(asks)), rows.named(), self.now)] if asks else [])]
        return f" FILTER (WHERE {' AND '.join(tests)})" if tests else ""

    def windowed(self, rows: Step, column: Windowed) -> Step:
        function, field = column.function, Field(column.name, "int64")
        partition = (
            "PARTITION BY " + ", ".join(f'"{name}"' for name in column.partition_by) if column.partition_by else ""
        )
        ranks = function in ("rank", "dense_rank")
        ties = [] if ranks else [f'"{name}" ASC NULLS LAST' for name in rows.key] if column.order_by else [rows.place]
        keys = [*order(column.order_by), *ties]
        ordered = f"ORDER BY {', '.join(keys)}" if keys else ""
        frame = f"{column.rows - 1} PRECEDING" if column.rows is not None else "UNBOUNDED PRECEDING"
        rolling = function in ("sum", "avg", "count", "min", "max")
        over = f"OVER ({partition} {ordered} {f'ROWS BETWEEN {frame} AND CURRENT ROW' if rolling else ''})"
        of = f'"{column.column}"'
        if function in ("row_number", "rank", "dense_rank"):
            sql = f"{function}() {over}"
        elif function in ("lag", "lead"):
            sql, field = f"{function}({of}, {column.offset}) {over}", rows.named()[column.column]
        elif function == "count":
            sql = f"count({of if column.column else '*'}) {over}"
        else:
            field = Field("", "float64") if function == "avg" else rows.named()[column.column]
            if field.type == "enum":
                raise NotSaid("extremes of enums")
            sql = f"({function}({of}) {over})::{type_of(field)}"
        fields = (*rows.fields, renamed(field, column.name))
        return Step(f'SELECT *, {sql} AS "{column.name}" FROM ({rows.sql})', fields, rows.key, rows.derived)
