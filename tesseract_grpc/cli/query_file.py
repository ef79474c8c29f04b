"""`--json-query FILE`: a whole query as the Python client takes it, for everything that options do not say."""

from __future__ import annotations

import json
from typing import IO, Any

from tesseract_grpc.cli.errors import BadArgument

FIELD = "--json-query"


def read_query(file: IO[str]) -> dict[str, Any]:
    """The query that a file holds."""
    try:
        found = json.load(file)
    except ValueError as error:
        raise BadArgument(f"{file.name} is not JSON: {error}", reason="MALFORMED_REQUEST", field=FIELD) from error
    if not isinstance(found, dict):
        raise BadArgument(
            f"{file.name} is not a query",
            reason="MALFORMED_REQUEST",
            field=FIELD,
            hint='a query is an object, for example {"table": "trades", "filter": "price > 100", "sort": ["price"]}',
        )
    for word in ("start", "limit"):
        if word in found:
            message = f"{word} is not a part of a query"
            raise BadArgument(message, reason="MALFORMED_REQUEST", field=FIELD, hint="use --offset and --limit")
    return found
