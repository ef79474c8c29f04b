"""`--sort`: `column`, `column:desc` or `-column`, each with `:nulls_first` if nulls shall lead; commas join several."""

from __future__ import annotations

from typing import Any

from tesseract_grpc.cli.columns import Columns
from tesseract_grpc.cli.errors import BadArgument

FIELD = "--sort"


def read_sort(texts: tuple[str, ...], columns: Columns) -> list[dict[str, Any]]:
    """The sort keys of a command line, the most significant first, as the client takes them."""
    return [_key(part.strip(), columns) for text in texts for part in text.split(",")]


def _key(text: str, columns: Columns) -> dict[str, Any]:
    name, *options = text.split(":")
    descending = name.startswith("-")
    key: dict[str, Any] = {"field": columns.find(name.removeprefix("-"), FIELD).name}
    for option in options:
        if option == "nulls_first":
            key["nulls"] = "first"
        elif option in {"asc", "desc"}:
            descending = option == "desc"
        else:
            raise BadArgument(
                f'"{option}" in the sort key "{text}" means nothing',
                reason="BAD_SORT",
                field=FIELD,
                hint="write COLUMN, COLUMN:desc, -COLUMN or COLUMN:desc:nulls_first",
            )
    return key | {"direction": "desc" if descending else "asc"}
