"""How a backup is to be made, and how one is to be restored, as users say it, and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from ..core.datatype import type_of_name
from ..core.schema import ColumnDict
from .errors import bad_option
from .report import BackupProgress

Tell = Callable[[BackupProgress], None]


class BackupOptions(TypedDict, total=False):
    """The options of `backup`. docs/BACKUP.md describes each with its default."""

    format: str | None
    """container, parquet, json, jsonl or csv, the last three also with .gz. Default: what the file's name tells."""
    overwrite: bool
    """Replace a file that is there. Default: refuse."""
    sessions: bool | None
    """Whether the definitions of sessions are part of it. Default: of a whole hub, and not of chosen tables."""
    min_version: int
    """Wait until this version is visible. Default: do not wait."""
    on_progress: Tell | None
    """Is told of progress, at most some times a second."""


class RestoreOptions(TypedDict, total=False):
    """The options of `restore`. docs/BACKUP.md describes each with its default."""

    tables: Sequence[str] | None
    """Only these tables of the backup. Default: all, and the sessions."""
    rename: str | Mapping[str, str] | None
    """The names that tables get, by the names that they have; of a backup with one table, its new name."""
    rename_sessions: Mapping[str, str]
    """The names that sessions get, by the names that they have."""
    sessions: bool | None
    """Whether sessions are restored. Default: yes, unless tables are chosen."""
    replace: bool
    """Exchange tables that exist for those of the backup, at the end and in one step each. Default: refuse."""
    format: str | None
    """The format, where the file's name does not tell it."""
    columns: Mapping[str, str] | Sequence[ColumnDict] | None
    """Of a file without a schema: the types of single columns by name, or all columns as `create_tesseract` takes them.
    Default: inferred."""
    key: str | Sequence[str] | None
    """Of a file without a schema: the key columns. Default: inferred."""
    batch: int
    """How many rows are a commit. Default: 10,000."""
    verify: bool
    """Read everything back and compare it with the file before it is shown to anybody. Default: no."""
    dry_run: bool
    """Check the file and what it would meet, and change nothing."""
    on_progress: Tell | None
    """Is told of progress, at most some times a second."""


@dataclass(frozen=True, slots=True)
class BackupSettings:
    """The options of a backup with their defaults, checked."""

    format: str | None = None
    overwrite: bool = False
    sessions: bool | None = None
    min_version: int = 0
    on_progress: Tell | None = None

    @classmethod
    def of(cls, options: BackupOptions) -> BackupSettings:
        """Checks what was said. Raises BackupFailed."""
        _known(options, BackupOptions, "a backup")
        return cls(**options)


MOST_BATCH = 100_000


@dataclass(frozen=True, slots=True)
class RestoreSettings:
    """The options of a restore with their defaults, checked."""

    tables: tuple[str, ...] | None = None
    rename: str | Mapping[str, str] | None = None
    rename_sessions: Mapping[str, str] = field(default_factory=dict)
    sessions: bool | None = None
    replace: bool = False
    format: str | None = None
    columns: Mapping[str, str] | Sequence[ColumnDict] | None = None
    key: tuple[str, ...] = ()
    batch: int = 10_000
    verify: bool = False
    dry_run: bool = False
    on_progress: Tell | None = None

    @classmethod
    def of(cls, options: RestoreOptions) -> RestoreSettings:
        """Checks what was said. Raises BackupFailed, and InvalidRequest for a type that there is none of."""
        _known(options, RestoreOptions, "a restore")
        given: dict[str, Any] = dict(options)
        if given.get("tables") is not None:
            if isinstance(given["tables"], str):
                raise bad_option("tables is a list of names", "tables")
            given["tables"] = tuple(given["tables"])
        key = given.pop("key", None) or ()
        given["key"] = (key,) if isinstance(key, str) else tuple(key)
        made = cls(**given)
        whole: object = made.batch
        if not isinstance(whole, int) or isinstance(whole, bool) or not 1 <= whole <= MOST_BATCH:
            raise bad_option(f"batch is a whole number from 1 to {MOST_BATCH:,}, not {made.batch!r}", "batch")
        if isinstance(made.columns, Mapping):
            for name, word in made.columns.items():
                type_of_name(word, f"columns[{name!r}]")
        return made


def _known(options: Mapping[str, Any], kind: Any, what: str) -> None:
    unknown = options.keys() - kind.__annotations__.keys()
    if unknown:
        known = ", ".join(kind.__annotations__)
        raise bad_option(f"{min(unknown)!r} is not an option of {what}", min(unknown), f"they are {known}")
