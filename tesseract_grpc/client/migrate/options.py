"""How a table is to be migrated, as a user says it, and checked."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

from .errors import bad_option
from .report import MigrationProgress

Decimals = Literal["exact", "string", "float"]
Binary = Literal["refuse", "base64"]
ZeroDates = Literal["refuse", "null"]

TYPES = ("bool", "int64", "float64", "timestamp", "string", "json")
"""What a column can be asked to become."""

DEFAULT_BATCH = 5_000
MOST_BATCH = 100_000


class MigrationOptions(TypedDict, total=False):
    """The options of `migrate_from`. docs/MIGRATING.md describes each with its default."""

    query: str
    """Migrate the rows of this SELECT instead of a table. Needs `key`."""
    key: str | Sequence[str]
    """The key columns, in the order of the key. Default: the primary key in the catalogue."""
    rename: Mapping[str, str]
    """The names that columns get, by the names that they have."""
    exclude: Sequence[str]
    """Columns to leave out."""
    types: Mapping[str, str]
    """What single columns become, whatever the catalogue says."""
    batch: int
    """How many rows are a commit."""
    decimals: Decimals
    """Decimals that neither int64 nor float64 holds exactly: refuse ("exact"), or make them texts or doubles."""
    binary: Binary
    """Bytes: refuse them, or make them base64 texts."""
    zero_dates: ZeroDates
    """The zero dates of MySQL: refuse them, or make them null."""
    timezone: str
    """The zone of timestamps that have none. Default: UTC."""
    state: str | Path | None
    """The file in which progress is kept, so that the same call goes on after an interruption. Default: none."""
    verify: bool
    """Compare counts and checksums at the end. Default: yes."""
    watch: str | None
    """Keep following by this updated-at column after the copy."""
    every: float
    """Seconds between looks while following."""
    overlap: float
    """How far each look goes back behind the newest row seen, for transactions that commit late; seconds, or units
    of the column when it holds numbers."""
    deletions_every: float | None
    """Seconds between comparisons of all keys while following, by which deletions are found. Default: never."""
    on_progress: Callable[[MigrationProgress], None] | None
    """Is told of progress, at most some times a second."""
    stop: Callable[[], bool] | None
    """Asked while following; the call returns when it is true."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The options with their defaults, checked."""

    table: str | None = None
    query: str | None = None
    key: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    exclude: frozenset[str] = frozenset()
    types: Mapping[str, str] = field(default_factory=dict)
    batch: int = DEFAULT_BATCH
    decimals: Decimals = "exact"
    binary: Binary = "refuse"
    zero_dates: ZeroDates = "refuse"
    timezone: str = "UTC"
    state: Path | None = None
    verify: bool = True
    watch: str | None = None
    every: float = 1.0
    overlap: float = 10.0
    deletions_every: float | None = None
    on_progress: Callable[[MigrationProgress], None] | None = None
    stop: Callable[[], bool] | None = None

    @classmethod
    def of(cls, table: str | None, options: MigrationOptions) -> Settings:
        """Checks what was said. Raises MigrationFailed."""
        given: dict[str, Any] = dict(options)
        unknown = given.keys() - MigrationOptions.__annotations__.keys()
        if unknown:
            known = ", ".join(MigrationOptions.__annotations__)
            raise bad_option(f"{min(unknown)!r} is not an option of a migration", min(unknown), f"they are {known}")
        if (table is None) == (given.get("query") is None):
            raise bad_option("a migration reads a table or the rows of a query, and not both", "table")
        key = given.pop("key", ())
        given["key"] = (key,) if isinstance(key, str) else tuple(key)
        given["exclude"] = frozenset(given.get("exclude", ()))
        if given.get("state") is not None:
            given["state"] = Path(given["state"])
        made = cls(table=table, **given)
        made._check()
        return made

    def _check(self) -> None:
        for name, choices in (("decimals", Decimals), ("binary", Binary), ("zero_dates", ZeroDates)):
            if getattr(self, name) not in get_args(choices):
                raise bad_option(f"{name} is one of {', '.join(get_args(choices))}, not {getattr(self, name)!r}", name)
        for column, word in self.types.items():
            if word not in TYPES:
                raise bad_option(f"column {column!r} cannot become {word!r}", "types", f"types: {', '.join(TYPES)}")
        whole: object = self.batch
        if not isinstance(whole, int) or isinstance(whole, bool) or not 1 <= whole <= MOST_BATCH:
            raise bad_option(f"batch is a whole number from 1 to {MOST_BATCH:,}, not {self.batch!r}", "batch")
        if not self.every > 0 or not self.overlap >= 0:
            raise bad_option("every is above 0 seconds, and overlap not below 0", "every")
        if self.deletions_every is not None and (self.watch is None or not self.deletions_every > 0):
            raise bad_option("deletions are looked for while following; give watch as well", "deletions_every")
        if self.query is not None and not self.key:
            raise bad_option("a query has no primary key to read from the catalogue", "key", "name its key columns")
        try:
            zoneinfo.ZoneInfo(self.timezone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise bad_option(
                f"there is no time zone {self.timezone!r}", "timezone", "for example Europe/Berlin"
            ) from None
