"""Alterations of tables as plain data, and what they do: row by row, all columns of every row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

from tests.oracle.asks import Between, Compare, Definition, Field, In, IsNull, Like, Regex, Row
from tests.oracle.brief import Brief
from tests.oracle.expressions import evaluate
from tests.oracle.part import Part
from tests.oracle.question import Grouping
from tests.oracle.relation import names_of
from tests.oracle.rows import Refused, computed

Asked = TypeVar("Asked")


@dataclass(frozen=True, repr=False)
class Add(Brief):
    field: Field
    backfill: Part | None = None
    after: str = ""


@dataclass(frozen=True, repr=False)
class Drop(Brief):
    column: str


@dataclass(frozen=True, repr=False)
class Rename(Brief):
    column: str
    to: str


@dataclass(frozen=True, repr=False)
class Change(Brief):
    """Another type, other names or another expression; `using` gives each row its value."""

    column: str
    field: Field
    using: Part | None = None


@dataclass(frozen=True, repr=False)
class SetKey(Brief):
    columns: tuple[str, ...]


Alteration = Add | Drop | Rename | Change | SetKey


def altered(table: Definition, rows: Sequence[Row], change: Alteration, now: int) -> tuple[Definition, list[Row]]:
    """The table and its rows afterwards. Raises Refused."""
    shape, names = list(table.fields), names_of(table.fields)
    rows = [dict(row) for row in rows]
    match change:
        case Add(field, backfill, after):
            place = [each.name for each in shape].index(after) + 1 if after else len(shape)
            shape.insert(place, field)
            for row in rows:
                row[field.name] = field.default if backfill is None else evaluate(backfill, row, names, now)
        case Drop(column):
            shape = [field for field in shape if field.name != column]
            for row in rows:
                del row[column]
        case Rename(column, to):
            shape = [follow(field, {column: to}) for field in shape]
            for row in rows:
                row[to] = row.pop(column)
        case Change(column, field, using):
            old = table.field(column)
            for row in rows:
                if using is not None:
                    row[column] = evaluate(using, row, names, now)
                elif field.computed is None:
                    row[column] = converted(row[column], old, field)
            shape = [field if each is old else each for each in shape]
        case SetKey(columns):
            shape = rekeyed(shape, columns)
            keys = [tuple(row[name] for name in columns) for row in rows]
            if len(set(keys)) != len(keys) or any(None in key for key in keys):
                raise Refused("a key is null or twice")
    found = Definition(table.name, tuple(shape))
    rows = [computed(found, row, now) for row in rows]
    if any(row[field.name] is None for row in rows for field in shape if field.required):
        raise Refused("null where a value is required")
    return found, [{field.name: row[field.name] for field in shape} for row in rows]


def rekeyed(shape: Sequence[Field], columns: Sequence[str]) -> list[Field]:
    """The columns where these name rows. The order of a key is that of its columns, which change places among them."""
    found = [replace(field, key=field.name in columns) for field in shape]
    by_name = {field.name: field for field in found}
    places = [place for place, field in enumerate(found) if field.key]
    for place, name in zip(places, columns, strict=True):
        found[place] = by_name[name]
    return found


def converted(value: Any, old: Field, new: Field) -> Any:
    """A value in another type, where that holds all of it."""
    if value is None:
        return None
    match old.type, new.type:
        case "int64", "float64" if float(value) == value:
            return float(value)
        case "int64", "string":
            return str(value)
        case "bool", "string":
            return "true" if value else "false"
        case (("enum" | "json" | "string"), "string"):
            return value
        case (("string" | "enum"), "enum") if value in new.names:
            return value
        case "string", "int64" if re.fullmatch(r"0|-?[1-9]\d{0,17}", value):
            return int(value)
    raise Refused(f"{value!r} does not fit")


def follow(asked: Asked, names: Mapping[str, str]) -> Asked:
    """A question, an expression or a column after columns of one table, which no other has, were given other names."""

    def text(name: str) -> str:
        for old, new in names.items():
            if found := re.fullmatch(rf"((?:j\d+_)*){re.escape(old)}", name):
                return found[1] + new
        return name

    def each(said: Any) -> Any:
        match said:
            case str():
                return text(said)
            case Compare() | In() | Between() | Like() | Regex() | IsNull():
                return replace(said, column=text(said.column))
            case Part():
                value = text(str(said.value)) if said.op == "column" else said.value
                return replace(said, parts=tuple(map(each, said.parts)), value=value)
            case Grouping():
                pivot = None if said.pivot is None else (text(said.pivot[0]), said.pivot[1])
                return replace(said, by=each(said.by), aggregates=each(said.aggregates), pivot=pivot)
            case Field():
                parts = {"computed": each(said.computed), "default_of": each(said.default_of)}
                return replace(said, name=text(said.name), **parts)
            case tuple():
                return tuple(map(each, said))
            case _ if is_dataclass(said) and not isinstance(said, type):
                return replace(said, **{part.name: each(getattr(said, part.name)) for part in fields(said)})
        return said

    found: Asked = each(asked)
    return found
