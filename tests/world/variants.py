"""Tables that are nearly another one: what a table is exchanged with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.oracle.asks import Definition, Field, Row
from tests.oracle.uses import uses

EXTRA = Field("extra", "string", default="b")

UNIQUE = ("b", "e", "j", "r", "label", "late", "half")
"""Columns that one table alone has, and that are no keys: whoever names one of them asks for that of this table."""


@dataclass(frozen=True)
class Variant:
    """A table like another; `lost` are the columns that it has not, `renamed_rows` whether rows are named otherwise."""

    definition: Definition
    keys: Sequence[Row]
    lost: tuple[str, ...] = ()
    other_key: bool = False


def variant(rng: Random, base: Definition, keys: Sequence[Row], name: str) -> Variant:
    """The same columns in another order; one more, one less, or another key."""
    form = rng.choice(("alike", "more", "less", "less", "key"))
    fields = list(base.fields)
    if form != "key" or len(base.key) > 1:
        rng.shuffle(fields)
    lost: tuple[str, ...] = ()
    if form == "more" and all(field.name != EXTRA.name for field in fields):
        fields.insert(rng.randint(0, len(fields)), EXTRA)
    if form == "less" and (candidates := [f.name for f in droppable(base) if f.name in UNIQUE]):
        lost = (rng.choice(candidates),)
        fields = [field for field in fields if field.name not in lost]
    if form == "key" and len(base.key) == 1:
        return _other_key(rng, base, keys, name)
    order = [field.name for field in fields if field.key]
    return Variant(Definition(name, tuple(fields)), keys, lost, order != list(base.key))


def droppable(table: Definition) -> list[Field]:
    """The columns that no key and no expression of the table needs."""
    worked_out = [part for field in table.fields for part in (field.computed, field.default_of) if part is not None]
    return [f for f in table.fields if not f.key and not any(uses(part, f.name) for part in worked_out)]


def _other_key(rng: Random, base: Definition, keys: Sequence[Row], name: str) -> Variant:
    """Rows are named by one more column, or by its order before the others."""
    more = rng.choice([f for f in base.fields if not f.key and f.computed is None and f.type in ("int64", "string")])
    fields = [
        replace(f, key=True, required=False, default=None, default_of=None) if f is more else f for f in base.fields
    ]
    values = (0, 1) if more.type == "int64" else ("a", "b")
    many = [dict(key) | {more.name: value} for key in keys[: len(keys) // 2 + 1] for value in values]
    return Variant(Definition(name, tuple(fields)), many, (), True)
