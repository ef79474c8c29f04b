"""DuckDB as the second oracle: the same questions as SQL, for all that SQL can say of filters, sorts and limits.

It was written by other people with other mistakes. What differs between the languages is translated here: text
containment, case, empty lists (which SQL has not), and enums, which DuckDB orders by declaration as we do.
"""

from __future__ import annotations

import math
from typing import Any

import duckdb

from tests.oracle import asks
from tests.oracle.asks import Ask, Definition, Field, Row
from tests.oracle.model import Model
from tests.oracle.part import Part
from tests.oracle.question import Question, Span

TYPES = {
    "bool": "BOOLEAN",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "timestamp": "TIMESTAMP",
    "string": "VARCHAR",
    "json": "VARCHAR",
}


class NotSaid(Exception):
    """SQL has no words for it, or they mean something else."""


class SqlOracle:
    """All tables of a model, loaded anew before each round of questions."""

    def __init__(self) -> None:
        self.db = duckdb.connect(":memory:", config={"threads": 1})
        self.known: dict[str, Definition] = {}  # the tables, as they were when they were made
        self.enums: set[str] = set()

    def load(self, model: Model) -> None:
        for name, table in model.definitions.items():
            if self.known.get(name) != table:  # it is new, or was altered or exchanged
                self.make(table)
                self.known[name] = table
            self.db.execute(f"DELETE FROM {name}")
            rows = [
                f"({at}, {', '.join(literal(field, row[field.name]) for field in table.fields)})"
                for at, row in enumerate(model.rows[name].values())
            ]
            if rows:
                self.db.execute(f"INSERT INTO {name} VALUES {', '.join(rows)}")

    def make(self, table: Definition) -> None:
        """An empty table, in the place of what had its name. Columns of several tables may share an enum."""
        for field in table.fields:
            if field.type == "enum" and enum(field) not in self.enums:
                self.enums.add(enum(field))
                self.db.execute(f"CREATE TYPE {enum(field)} AS ENUM ({', '.join(map(quoted, field.names))})")
        columns = ", ".join(f'"{field.name}" {type_of(field)}' for field in table.fields)
        self.db.execute(f"CREATE OR REPLACE TABLE {table.name} (place BIGINT, {columns})")

    def rows(self, sql: str) -> list[Row]:
        found = self.db.execute(sql)
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def answer(self, ask: Question, table: Definition, span: Span) -> tuple[list[Row], int]:
        fields = {field.name: field for field in table.fields}
        names = [name for name in fields if name in {*table.key, *(ask.columns or fields)}]
        shown = [f'epoch_us("{name}")' if fields[name].type == "timestamp" else f'"{name}"' for name in names]
        where = "true" if ask.filter is None else condition(ask.filter, fields)
        keys = [
            f'"{by.column}" {"DESC" if by.descending else "ASC"} NULLS {"FIRST" if by.nulls_first else "LAST"}'
            for by in ask.sort
        ]
        order = ", ".join([*keys, *(f'"{name}" ASC' for name in table.key)] if keys else ["place"])
        limit = "" if span.limit is None else f"LIMIT {span.limit}"
        found = self.db.execute(
            f"SELECT {', '.join(shown)} FROM {table.name} WHERE {where} ORDER BY {order} {limit} OFFSET {span.offset}"
        ).fetchall()
        total = self.db.execute(f"SELECT count(*) FROM {table.name} WHERE {where}").fetchone()
        assert total is not None
        return [dict(zip(names, row, strict=True)) for row in found], total[0]


def enum(field: Field) -> str:
    return "enum_" + "_".join(field.names)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def literal(field: Field, value: Any) -> str:
    """A value as SQL. What the column's type cannot hold is written in a type that can, and DuckDB compares them."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{quoted(str(value))}::DOUBLE" if math.isnan(value) or math.isinf(value) else f"({value!r})::DOUBLE"
    if field.type == "timestamp":
        return f"make_timestamp(({value})::BIGINT)"
    if isinstance(value, int):
        return f"({value})"
    return quoted(value) + (f"::{enum(field)}" if field.type == "enum" else "")


def condition(ask: Ask, fields: dict[str, Field], now: int = 0) -> str:
    match ask:
        case asks.AllOf(parts):
            return "(" + " AND ".join(["true", *(condition(part, fields, now) for part in parts)]) + ")"
        case asks.AnyOf(parts):
            return "(" + " OR ".join(["false", *(condition(part, fields, now) for part in parts)]) + ")"
        case asks.Not(inner):
            return f"(NOT {condition(inner, fields, now)})"
        case asks.IsNull(column, negated):
            return f'("{column}" IS {"NOT " * negated}NULL)'
        case asks.Compare(column, operator, None):
            return f'("{column}" IS {"NOT " * (operator == "!=")}NULL)'
        case asks.Compare(column, operator, value):
            return f'("{column}" {operator.replace("==", "=")} {literal(fields[column], value)})'
        case asks.In(column, values, negated):
            inside = ", ".join(literal(fields[column], value) for value in values)
            empty = f'(CASE WHEN "{column}" IS NULL THEN NULL ELSE {str(negated).lower()} END)'
            return f'("{column}" {"NOT " * negated}IN ({inside}))' if inside else empty
        case asks.Between(column, lower, upper):
            bounds = ((">=", lower), ("<=", upper))
            tests = [f'"{column}" {op} {literal(fields[column], to)}' for op, to in bounds if to is not None]
            return "(" + " AND ".join(tests) + ")"
        case asks.Like(column, pattern, negated):
            text = f'CAST("{column}" AS VARCHAR)'
            how = (
                f"{text} ILIKE {quoted(pattern)} ESCAPE '\\'"
                if "%" in pattern
                else f"contains(lower({text}), {quoted(pattern.lower())})"
            )
            return f"({'NOT ' * negated}({how}))"
        case asks.Regex(column, pattern, any_case, negated):
            options = ", 'i'" if any_case else ", 'c'"
            return f'({"NOT " * negated}regexp_matches(CAST("{column}" AS VARCHAR), {quoted(pattern)}{options}))'
        case asks.Custom(part) if part.kind == "bool":
            return expression(part, fields, now)
    raise NotSaid(str(ask))


def type_of(field: Field) -> str:
    return TYPES.get(field.type) or enum(field)


COMPARED = ("==", "!=", "<", "<=", ">", ">=")
SAME = {"-": "-", "*": "*", "&&": "AND", "||": "OR", "==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def expression(part: Part, fields: dict[str, Field], now: int) -> str:
    """An expression, where SQL and JavaScript agree."""
    op, kinds = part.op, [inner.kind for inner in part.parts]
    if op == "column":
        return f'"{part.value}"'
    if op == "now":
        return f"make_timestamp({now}::BIGINT)"
    if op == "literal" and part.kind != "enum":
        return literal(Field("", part.kind), part.value)
    texts = [expression(inner, fields, now) for inner in part.parts if inner.kind != "enum"]
    if {"enum", "json"} & set(kinds) or (op in ("&&", "||", "!") and set(kinds) != {"bool"}):
        raise NotSaid(op)
    kind = TYPES[part.kind]
    if (op in SAME and "timestamp" not in kinds) or op in COMPARED:
        return f"({texts[0]} {SAME[op]} {texts[1]})"
    if op == "+" and part.kind in ("int64", "float64"):
        return f"({texts[0]} + {texts[1]})"
    if op == "+" and part.kind == "string" and set(kinds) <= {"string", "int64"}:
        return f"({texts[0]}::VARCHAR || {texts[1]}::VARCHAR)"
    if op == "?:" and kinds[0] == "bool":
        return f"(CASE WHEN {texts[0]} THEN {texts[1]} ELSE {texts[2]} END)::{kind}"
    ways = {
        "??": lambda: f"coalesce({texts[0]}, {texts[1]})::{kind}",
        "!": lambda: f"(NOT {texts[0]})",
        "negate": lambda: f"(- {texts[0]})",
        "/": lambda: f"({texts[0]}::DOUBLE / {texts[1]}::DOUBLE)",
        "is null": lambda: f"({texts[0]} IS NULL)",
        "is not null": lambda: f"({texts[0]} IS NOT NULL)",
        "in": lambda: f"({texts[0]} IN ({', '.join(texts[1:])}))",
        "length": lambda: f"length({texts[0]})",
        "toUpperCase": lambda: f"upper({texts[0]})",
        "toLowerCase": lambda: f"lower({texts[0]})",
    }
    if op not in ways:
        raise NotSaid(op)
    return ways[op]()
