"""Rows that leave by themselves, the naive way: all rows are looked at, and sorted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.oracle.asks import Definition, Key, Row


@dataclass(frozen=True)
class Rule:
    """Which rows leave; 0 and '' where nothing is said."""

    max_age: int = 0
    age: str = ""
    most: int = 0
    order: str = ""
    interval: int = 0


def too_many(table: Definition, rows: Mapping[Key, Row], rule: Rule) -> list[Key]:
    """The keys of the rows that are too many, as `rows` came."""
    by = rule.order or rule.age
    keys = list(rows)
    if by:
        keys.sort(key=lambda key: turn(table, by, rows[key][by]))  # stable: equal ones as they came
    return keys[: max(0, len(keys) - rule.most)] if rule.most else []


def turn(table: Definition, column: str, value: Any) -> tuple[Any, ...]:
    """When a row's turn to leave comes, by its value: nulls, then rising values, NaN last."""
    if value is None:
        return (0,)
    if value != value:
        return (2,)
    names = table.field(column).names
    return (1, names.index(value) if names else value)


def too_old(rows: Mapping[Key, Row], rule: Rule, now: int) -> list[Key]:
    """The keys of the rows whose time is over."""
    if not rule.max_age:
        return []
    return [key for key, row in rows.items() if row[rule.age] is not None and now - row[rule.age] > rule.max_age]


def after_writes(table: Definition, rows: Mapping[Key, Row], rule: Rule) -> list[Key]:
    """Who leaves in the commit that wrote to the table."""
    return [] if rule.interval else too_many(table, rows, rule)


def at_tick(table: Definition, rows: Mapping[Key, Row], rule: Rule, before: int, now: int) -> list[Key]:
    """Who leaves when the clock advances."""
    if rule.interval and before // rule.interval == now // rule.interval:
        return []
    old = too_old(rows, rule, now)
    left = {key: row for key, row in rows.items() if key not in set(old)}
    return old + (too_many(table, left, rule) if rule.interval else [])
