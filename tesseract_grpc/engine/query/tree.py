"""What makes the rows of a result a tree: how the parent of a row is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class ParentColumn:
    """A column holds the key of the row's parent."""

    column: str


@dataclass(frozen=True, slots=True)
class Levels:
    """A rollup: the parent of a row of a level is the row of the level above with the same values, one fewer."""

    level: str
    by: tuple[str, ...]


Tree: TypeAlias = ParentColumn | Levels
