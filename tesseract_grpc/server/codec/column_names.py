"""Names that queries give to new columns."""

from __future__ import annotations

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.server.errors import invalid

MAX_LENGTH = 128


def check_new_name(name: str, what: str, field: str) -> None:
    """Refuses what no column of a table may be called either."""
    if not 1 <= len(name) <= MAX_LENGTH or name.startswith("__"):
        raise invalid(
            f"{what} cannot be called '{name[:140]}': names have 1 to {MAX_LENGTH} characters, not '__' first",
            field,
            Reason.BAD_NAME,
        )
