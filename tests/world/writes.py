"""Random writes: every kind, one row and many, several tables in one commit, with and without conditions; and, often
enough, writes that must be refused."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.oracle.asks import Definition, Only, Put, Row
from tests.world.domain import HUGE, KEYS, value
from tests.world.questions import condition


def commit(rng: Random, tables: list[Definition], held: dict[str, dict[Any, int]]) -> list[Put]:
    """One to three writes. `held` is the version of each row that exists, by table and key."""
    return [put(rng, rng.choice(tables), held) for _ in range(rng.choice((1, 1, 1, 1, 2, 3)))]


def put(rng: Random, table: Definition, held: dict[str, dict[Any, int]]) -> Put:
    kind = rng.choice(("insert", "upsert", "upsert", "upsert", "update", "update", "delete", "delete", "increment"))
    only = conditions(rng, table, kind, held) if rng.random() < 0.2 else None
    if kind == "delete" and rng.random() < 0.3:
        return Put(table.name, kind, filter=condition(rng, table, 1), only=only)
    keys = some_keys(rng, table, kind, held)
    names = some_columns(rng, table, kind)
    rows = tuple(dict(key) | {name: cell(rng, table, kind, name) for name in names} for key in keys)
    return Put(table.name, kind, rows, lenient=rng.random() < 0.7, strict=rng.random() < 0.1, only=only)


def some_keys(rng: Random, table: Definition, kind: str, held: dict[str, dict[Any, int]]) -> list[Row]:
    """Mostly keys for which the write makes sense, so that most commits are made."""
    present = [key for key in KEYS[table.name] if tuple(key[name] for name in table.key) in held[table.name]]
    absent = [key for key in KEYS[table.name] if key not in present]
    pool = absent if kind == "insert" else present if kind in ("update", "increment") else KEYS[table.name]
    if not pool or rng.random() < 0.1:
        pool = KEYS[table.name]
    count = min(len(pool), rng.choice((1, 1, 1, 2, 3, 8)))
    keys = rng.sample(pool, count)
    if rng.random() < 0.1:
        keys.append(rng.choice(keys))
    if rng.random() < 0.02:
        keys.append(dict.fromkeys(table.key))
    return keys


def some_columns(rng: Random, table: Definition, kind: str) -> list[str]:
    if kind == "delete":
        return []
    names = [field.name for field in table.fields if not field.key]
    if kind == "increment":
        names = [field.name for field in table.fields if field.type in ("int64", "float64") and not field.key]
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


def conditions(rng: Random, table: Definition, kind: str, held: dict[str, dict[Any, int]]) -> Only:
    skip = rng.random() < 0.7
    if kind in ("insert", "upsert") and rng.random() < 0.4:
        return Only(if_absent=True, skip=skip)
    if rng.random() < 0.4:
        versions = list(held[table.name].values())
        return Only(if_version=rng.choice(versions) if versions else 1, skip=skip)
    return Only(if_filter=condition(rng, table, 1), skip=skip)
