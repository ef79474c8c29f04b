"""Random writes: every kind, one row and many, several tables in one commit, with and without conditions; and, often
enough, writes that must be refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from tests.oracle.asks import Definition, Kind, Only, Put, Row
from tests.world.domain import HUGE, KEYS, value
from tests.world.questions import condition

Held = Mapping[str, Mapping[Any, int]]
"""The version of each row that exists, by table and key."""

Keys = Mapping[str, Sequence[Row]]
"""The keys that there are, by table."""


KINDS: tuple[Kind, ...] = ("insert", *3 * ("upsert",), *2 * ("update",), *2 * ("delete",), "increment")
PLAIN: tuple[Kind, ...] = ("update", "update", "upsert", "upsert", "delete")


def commit(rng: Random, tables: Sequence[Definition], held: Held, keys: Keys = KEYS) -> list[Put]:
    """One to three writes; often the plain write of one row, which engines have a path of its own for."""
    if rng.random() < 0.35:
        table = rng.choice(tables)
        kind = rng.choice(PLAIN)
        (row, *_) = rows_of(rng, table, kind, held, keys[table.name])
        return [Put(table.name, kind, (row,), lenient=True)]
    return [put(rng, rng.choice(tables), held, keys) for _ in range(rng.choice((1, 1, 1, 1, 2, 3)))]


def put(rng: Random, table: Definition, held: Held, keys: Keys) -> Put:
    kind = rng.choice(KINDS)
    only = conditions(rng, table, kind, held) if rng.random() < 0.2 else None
    if kind == "delete" and rng.random() < 0.3:
        return Put(table.name, kind, filter=condition(rng, table, 1), only=only)
    rows = rows_of(rng, table, kind, held, keys[table.name])
    return Put(table.name, kind, rows, lenient=rng.random() < 0.7, strict=rng.random() < 0.1, only=only)


def rows_of(rng: Random, table: Definition, kind: str, held: Held, every: Sequence[Row]) -> tuple[Row, ...]:
    chosen = some_keys(rng, table, kind, held, every)
    names = some_columns(rng, table, kind)
    return tuple(dict(key) | {name: cell(rng, table, kind, name) for name in names} for key in chosen)


def some_keys(rng: Random, table: Definition, kind: str, held: Held, every: Sequence[Row]) -> list[Row]:
    """Mostly keys for which the write makes sense, so that most commits are made."""
    present = [key for key in every if tuple(key[name] for name in table.key) in held[table.name]]
    absent = [key for key in every if key not in present] if kind == "insert" else []
    pool = absent if kind == "insert" else present if kind in ("update", "increment") else every
    if not pool or rng.random() < 0.1:
        pool = every
    count = min(len(pool), rng.choice((1, 1, 1, 2, 3, max(8, len(every) // 2))))
    chosen = rng.sample(list(pool), count)
    if rng.random() < 0.1:
        chosen.append(rng.choice(chosen))
    if rng.random() < 0.02:
        chosen.append(dict.fromkeys(table.key))
    return chosen


def some_columns(rng: Random, table: Definition, kind: str) -> list[str]:
    if kind == "delete":
        return []
    fields = [field for field in table.fields if not field.key and (field.computed is None or rng.random() < 0.005)]
    names = [field.name for field in fields]
    if kind == "increment":
        names = [field.name for field in fields if field.type in ("int64", "float64")]
        return rng.sample(names, rng.randint(1, len(names)))
    chosen = rng.sample(names, rng.randint(0, len(names)))
    needed = [field.name for field in table.fields if field.required and field.default is None]
    if kind in ("insert", "upsert") and rng.random() < 0.95:
        chosen += [name for name in needed if name not in chosen]
    return chosen


def cell(rng: Random, table: Definition, kind: str, name: str) -> Any:
    field = next(field for field in table.fields if field.name == name)
    if kind == "increment" and field.type == "int64" and rng.random() < 0.02:
        return HUGE
    return value(rng, field, 0.01 if field.required else 0.25)


def conditions(rng: Random, table: Definition, kind: str, held: Held) -> Only:
    skip = rng.random() < 0.7
    if kind in ("insert", "upsert") and rng.random() < 0.4:
        return Only(if_absent=True, skip=skip)
    if rng.random() < 0.4:
        versions = list(held[table.name].values())
        return Only(if_version=rng.choice(versions) if versions else 1, skip=skip)
    return Only(if_filter=condition(rng, table, 1), skip=skip)
