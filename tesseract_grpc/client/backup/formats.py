"""The formats of backups, told by the names of files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal, get_args

from .errors import BackupFailed, BackupReason, bad_option, pyarrow_missing

FormatName = Literal["container", "parquet", "json", "jsonl", "csv"]

_SUFFIXES: dict[str, FormatName] = {
    ".tesseract": "container",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
}
_TEXTS = frozenset({"json", "jsonl", "csv"})


@dataclass(frozen=True, slots=True)
class Format:
    """A format, and whether the whole file is compressed."""

    name: FormatName
    gzipped: bool = False

    @property
    def whole(self) -> bool:
        """Whether it holds a hub; the others hold one table."""
        return self.name == "container"

    def __str__(self) -> str:
        return f"{self.name}.gz" if self.gzipped else self.name


def format_of(path: Path, given: str | None = None) -> Format:
    """The format that was asked for, or that the name of the file tells. Raises BackupFailed."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    gzipped = bool(suffixes) and suffixes[-1] == ".gz"
    if given is not None:
        name, _, end = given.partition(".")
        if name not in get_args(FormatName) or end not in ("", "gz"):
            raise bad_option(f"format is one of {', '.join(get_args(FormatName))}, not {given!r}", "format")
        return _checked(Format(name, gzipped or end == "gz"), path)  # type: ignore[arg-type]  # it was just looked up
    last = suffixes[-2] if gzipped and len(suffixes) > 1 else suffixes[-1] if suffixes else ""
    if last not in _SUFFIXES:
        hint = f"the name must end in one of {' '.join(_SUFFIXES)}, with .gz behind a text format, or give the format"
        raise BackupFailed(BackupReason.UNKNOWN_FORMAT, f"cannot tell the format of {path.name}", hint=hint)
    return _checked(Format(_SUFFIXES[last], gzipped), path)


def _checked(format: Format, path: Path) -> Format:
    if format.gzipped and format.name not in _TEXTS:
        raise bad_option(f"{path.name}: a {format.name} is compressed inside; leave .gz out", "format")
    return format


def load_pyarrow(what: str) -> ModuleType:
    """pyarrow. Raises BackupFailed when it is not installed."""
    try:
        import pyarrow
    except ImportError:
        raise pyarrow_missing(what) from None
    module: ModuleType = pyarrow
    return module
