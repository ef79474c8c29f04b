"""How values of one kind are put in order, everywhere in the language."""

from __future__ import annotations

from typing import Any


def sort_key(value: Any) -> tuple[bool, Any]:
    """Values of one type in order: NaN above every number and equal to itself."""
    return (True, 0) if value != value else (False, value)
