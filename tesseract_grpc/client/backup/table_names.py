"""What a table is called whose file does not say so."""

from __future__ import annotations

import re
from pathlib import Path


def table_id(path: Path) -> str:
    """The name of a file, without what tells its format and without what the id of a table cannot have."""
    stem = path.name
    for suffix in reversed(path.suffixes[-2:] if path.suffix.lower() == ".gz" else path.suffixes[-1:]):
        stem = stem.removesuffix(suffix)
    fitting = re.sub(r"[^A-Za-z0-9_.-]", "_", stem)[:128]
    return fitting if re.match(r"[A-Za-z_]", fitting) else f"_{fitting}"[:128]
