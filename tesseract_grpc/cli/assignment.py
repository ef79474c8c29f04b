"""`--compute 'worth=price * qty'` and `--aggregate 'total=sum(worth)'`: a name, and what it is."""

from __future__ import annotations

from collections.abc import Iterable

from tesseract_grpc.cli.errors import BadArgument


def read_assignments(texts: Iterable[str], field: str) -> dict[str, str]:
    """The names with what they are; what it means is the server's to check."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name or not value:
            raise BadArgument(
                f"{text!r} is not of the form NAME=WHAT",
                reason="MALFORMED_REQUEST",
                field=field,
                hint="for example --compute 'worth=price * qty' or --aggregate 'total=sum(worth)'",
            )
        if name in found:
            raise BadArgument(f'the name "{name}" is given twice', reason="DUPLICATE_COLUMN", field=field)
        found[name] = value
    return found
