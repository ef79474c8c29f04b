"""DuckDB as the second oracle: the same questions as SQL, for all that SQL can say of filters, sorts and limits.

It was written by other people with other mistakes. What differs between the languages is translated here: text
containment, case, empty lists (which SQL has not), and enums, which DuckDB orders by declaration as we do.
"""

from __future__ import annotations

import json
import math
from typing import Any

import duckdb

from tests.oracle import asks
from tests.oracle.asks import Ask, Definition, Field, Row
from tests.oracle.model import Model
from tests.oracle.question import Question, Span

TYPES = {
    "bool": "BOOLEAN",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "timestamp": "TIMESTAMP",
    "string": "VARCHAR",
    "json": "VARCHAR",
}


def sayable(ask: Question) -> bool:
    """Whether SQL can say it: a plain question of a table."""
    return ask == Question(ask.table, ask.filter, ask.columns, ask.sort) and plain(ask.filter)


def plain(ask: Ask | None) -> bool:
    match ask:
        case asks.AllOf(parts) | asks.AnyOf(parts):
            return all(map(plain, parts))
        case asks.Not(inner):
            return plain(inner)
    return not isinstance(ask, asks.Custom)


class SqlOracle:
    """All tables of a model, loaded anew before each round of questions."""

    def __init__(self) -> None:
        self.db = duckdb.connect(":memory:", config={"threads": 1})
        self.known: set[str] = set()

    def load(self, model: Model) -> None:
        for name, table in model.definitions.items():
            if name not in self.known:
                self.known.add(name)
                for field in table.fields:
                    if field.type == "enum":
                        self.db.execute(f"CREATE TYPE {enum(field)} AS ENUM ({', '.join(map(quoted, field.names))})")
                columns = ", ".join(f'"{f.name}" {TYPES.get(f.type) or enum(f)}' for f in table.fields)
                self.db.execute(f"CREATE TABLE {name} (place BIGINT, {columns})")
            self.db.execute(f"DELETE FROM {name}")
            rows = [
                f"({at}, {', '.join(literal(field, row[field.name]) for field in table.fields)})"
                for at, row in enumerate(model.rows[name].values())
            ]
            if rows:
                self.db.execute(f"INSERT INTO {name} VALUES {', '.join(rows)}")

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


def condition(ask: Ask, fields: dict[str, Field]) -> str:
    match ask:
        case asks.AllOf(parts):
            return "(" + " AND ".join(["true", *(condition(part, fields) for part in parts)]) + ")"
        case asks.AnyOf(parts):
            return "(" + " OR ".join(["false", *(condition(part, fields) for part in parts)]) + ")"
        case asks.Not(inner):
            return f"(NOT {condition(inner, fields)})"
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
    raise AssertionError(json.dumps(str(ask)))
