"""Random alterations of tables, of every kind, alone and several at once; some of them must be refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.oracle.alterations import Add, Alteration, Change, Drop, Rename, SetKey, altered
from tests.oracle.asks import Definition, Field, Row
from tests.world.domain import VALUES
from tests.world.parts import literal, part
from tests.world.variants import droppable

KINDS = ("int64", "float64", "string", "bool", "timestamp")
INTO = {
    "int64": ("float64", "string"),
    "bool": ("string",),
    "enum": ("string", "enum"),
    "json": ("string",),
    "string": ("int64",),
}
"""Which types a column's values may fit into."""


@dataclass
class Asked:
    """Alterations of one table, and the keys that its rows may have afterwards."""

    table: str
    changes: list[Alteration]
    keys: Sequence[Row]
    definition: Definition
    other_key: bool = False
    retyped: set[str] = dataclasses.field(default_factory=set)


def alterations(
    rng: Random, table: Definition, keys: Sequence[Row], unique: Collection[str], fresh: Callable[[], str], types: bool
) -> Asked:
    """One to three alterations; `unique` are columns of this table alone, `fresh` makes names, `types` lets columns
    become others."""
    asked = Asked(table.name, [], keys, table)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        forms = [add, add, rename, drop, set_key, rewrite, *([change] * 3 if types else [])]
        rng.choice(forms)(rng, asked, [name for name in unique if name in names_of(asked.definition)], fresh)
    return asked


def names_of(table: Definition) -> list[str]:
    return [field.name for field in table.fields]


def take(asked: Asked, change: Alteration) -> None:
    asked.changes.append(change)
    asked.definition = altered(asked.definition, [], change, 0)[0]


def add(rng: Random, asked: Asked, unique: Sequence[str], fresh: Callable[[], str]) -> None:
    kind, after = rng.choice(KINDS), rng.choice(("", *names_of(asked.definition)))
    form = rng.random()
    worked_out = part(rng, asked.definition.fields, kind, 2)
    if form < 0.25 and kind != "timestamp":
        take(asked, Add(Field(fresh(), kind, computed=worked_out), worked_out, after))
        asked.changes[-1] = replace(asked.changes[-1], backfill=None)  # type: ignore[arg-type]
        return
    default = rng.choice(VALUES[kind]) if rng.random() < 0.4 and kind != "float64" else None
    required = default is not None and rng.random() < 0.5
    backfill = worked_out if rng.random() < 0.6 else None
    take(asked, Add(Field(fresh(), kind, required=required, default=default), backfill, after))


def rename(rng: Random, asked: Asked, unique: Sequence[str], fresh: Callable[[], str]) -> None:
    if not unique:
        return
    column, new = rng.choice(unique), fresh()
    if asked.definition.field(column).key:
        asked.keys = [{new if name == column else name: value for name, value in key.items()} for key in asked.keys]
        asked.other_key = True
    take(asked, Rename(column, new))


def drop(rng: Random, asked: Asked, unique: Sequence[str], fresh: Callable[[], str]) -> None:
    columns = [field.name for field in droppable(asked.definition) if field.name in unique]
    if columns and len(asked.definition.fields) > 4:
        take(asked, Drop(rng.choice(columns)))


def rewrite(rng: Random, asked: Asked, unique: Sequence[str], fresh: Callable[[], str]) -> None:
    """Other values of the same type, which computed columns follow."""
    fields = [f for f in asked.definition.fields if not f.key and f.computed is None and f.type in KINDS]
    field = rng.choice(fields)
    take(asked, Change(field.name, field, part(rng, asked.definition.fields, field.type, 2)))


def change(rng: Random, asked: Asked, unique: Sequence[str], fresh: Callable[[], str]) -> None:
    """Another type, with the values that there are or with others; or another expression."""
    loose = {field.name for field in droppable(asked.definition)}
    columns = [asked.definition.field(name) for name in unique if name in loose]
    columns = [field for field in columns if field.default_of is None]
    if not columns:
        return
    field = rng.choice(columns)
    asked.retyped.add(field.name)
    if field.computed is not None:
        kind = field.type
        others = [each for each in asked.definition.fields if each.computed is None]
        take(asked, Change(field.name, replace(field, computed=part(rng, others, kind, 2))))
        return
    if rng.random() < 0.4:
        kind = rng.choice(KINDS)
        using = part(rng, asked.definition.fields, kind, 2)
        take(asked, Change(field.name, Field(field.name, kind), using))
        return
    into = INTO.get(field.type)
    if into is None:
        return
    kind = rng.choice(into)
    names = (*reversed(field.names), "more") if kind == "enum" else ()
    take(asked, Change(field.name, Field(field.name, kind, required=field.required, names=names)))


def set_key(rng: Random, asked: Asked, unique: Sequence[str], fresh: Callable[[], str]) -> None:
    """One more column in the key, one less, or the same in another order."""
    key = list(asked.definition.key)
    form = rng.random()
    if form < 0.5 and len(key) < 3:
        name, kind = fresh(), rng.choice(("int64", "string"))
        value = literal(rng, kind)
        take(asked, Add(Field(name, kind), value))
        key.insert(rng.randint(0, len(key)), name)
        others = (*((0, 1) if kind == "int64" else ("a", "b")), value.value)
        asked.keys = [{**row, name: each} for row in asked.keys for each in dict.fromkeys(others)]
    elif form < 0.8 and len(key) > 1:
        key.remove(rng.choice(key))
        asked.keys = list(
            {repr(row): row for row in ({name: old[name] for name in key} for old in asked.keys)}.values()
        )
    else:
        rng.shuffle(key)
    asked.other_key = True
    take(asked, SetKey(tuple(key)))
