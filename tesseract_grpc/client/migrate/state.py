"""How far a migration has come, in a file, so that the same command goes on where it was interrupted.

The file is written after rows were acknowledged and never before, and replaced as a whole. So what it says has
happened; what happened after it was written is done again, which changes nothing, because rows are upserted under
their keys and every request is named after its place and its content.
"""

from __future__ import annotations

import base64
import json
import os
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from .checksum import Checksum
from .errors import MigrationFailed, MigrationReason

FORMAT = 1


@dataclass(slots=True)
class MigrationState:
    """What is kept."""

    source: str
    """The database, without its password, and the table or query."""
    target: str
    """The hub and the table."""
    signature: dict[str, str]
    """The columns and what they become."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:16])
    create_version: int = 0
    """The version at which the table was created: whether it is still the same one."""
    epoch: str = ""
    last: tuple[Any, ...] | None = None
    """The key of the last row that was acknowledged."""
    batches: int = 0
    checksum: Checksum = field(default_factory=Checksum)
    """Of the rows that were acknowledged."""
    copied: bool = False
    """Whether all rows were copied and compared."""
    mark: Any = None
    """While following: the highest value of the updated-at column that was seen."""

    def save(self, path: Path) -> None:
        """Replaces the file. Raises OSError."""
        known: dict[str, Any] = {
            "format": FORMAT,
            "last": None if self.last is None else [pack(value) for value in self.last],
        }
        plain = ("source", "target", "signature", "id", "create_version", "epoch", "batches", "copied")
        known |= {name: getattr(self, name) for name in plain}
        known |= {"checksum": self.checksum.to_json(), "mark": pack(self.mark)}
        beside = path.with_name(path.name + ".new")
        with beside.open("w", encoding="utf-8") as file:
            json.dump(known, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> MigrationState | None:
        """What a file says; None when there is none. Raises MigrationFailed when it cannot be read."""
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            if known["format"] != FORMAT:
                raise ValueError(f"format {known['format']}")
            plain = ("source", "target", "signature", "id", "create_version", "epoch", "batches", "copied")
            made = cls(**{name: known[name] for name in plain})
            made.last = None if known["last"] is None else tuple(unpack(value) for value in known["last"])
            made.checksum, made.mark = Checksum.of_json(known["checksum"]), unpack(known["mark"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"{path} is not the state of a migration ({error})"
            raise not_resumable(message, "name another file with --state") from None
        return made

    def check(self, source: str, target: str, signature: dict[str, str], path: Path) -> None:
        """Raises MigrationFailed when this is the state of another migration."""
        for what, kept, asked in (("source", self.source, source), ("target", self.target, target)):
            if kept != asked:
                message = f"{path} is of another migration: its {what} is {kept}, and not {asked}"
                raise not_resumable(message, "name another file with --state")
        if self.signature != signature:
            message = f"{path} was begun with other columns or types"
            raise not_resumable(message, "say the same as then, or remove the table and this file to begin anew")


def not_resumable(message: str, hint: str) -> MigrationFailed:
    """A state that does not lead on."""
    return MigrationFailed(MigrationReason.NOT_RESUMABLE, message, field="state", hint=hint)


def pack(value: Any) -> Any:
    """A value of a key for JSON, with its type where JSON has none."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime | date | time):
        return {type(value).__name__: value.isoformat()}
    if isinstance(value, Decimal):
        return {"Decimal": str(value)}
    if isinstance(value, uuid.UUID):
        return {"UUID": str(value)}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"bytes": base64.b64encode(value).decode("ascii")}
    return {"str": str(value)}


def unpack(packed: Any) -> Any:
    """The value again."""
    if not isinstance(packed, dict):
        return packed
    ((kind, text),) = packed.items()
    makers: dict[str, Any] = {
        "datetime": datetime.fromisoformat,
        "date": date.fromisoformat,
        "time": time.fromisoformat,
        "Decimal": Decimal,
        "UUID": uuid.UUID,
        "bytes": base64.b64decode,
        "str": str,
    }
    return makers[kind](text)
