"""From the client's exceptions to what the command says: the message, the reason, and what to do about it."""

from __future__ import annotations

import sys

from tesseract_grpc.cli.errors import BadArgument, CommandFailed

HINTS = {
    "UNKNOWN_TABLE": "`tesseract-grpc tables` lists the tables",
    "UNKNOWN_SESSION": "sessions end when they are deleted, and those without an id some time after their last watcher",
    "FEATURE_NOT_AVAILABLE": "the server does not have this feature; a newer one may",
    "DUPLICATE_KEY": "load with --mode upsert to replace rows, or choose other key columns with --key",
}
ARGUMENTS = {"MALFORMED_FILTER", "BAD_REGEX", "BAD_SORT", "BAD_WINDOW", "UNKNOWN_COLUMN"} | {
    "BAD_DATABASE_URL",
    "BAD_OPTION",
    "BAD_KEY",
    "NO_KEY",
}
"""What is wrong with the command line, although only the client or the server could find it out."""
HINTS_BY_CLASS = {
    "Unavailable": "start a server with `tesseract-grpc serve`, or name the right one with --address",
    "Unauthenticated": "give the token with --token or in TESSERACT_TOKEN",
    "PermissionDenied": "the token's role does not allow this; use another with --token",
    "DeadlineExceeded": "the server is slow or not reachable",
    "ServerFailure": "the server's log says more",
}


def failure_of(error: Exception) -> CommandFailed | None:
    """What to say for an exception of the client; None when it is none of the client's."""
    if "tesseract_grpc.client" not in sys.modules:
        return None
    from tesseract_grpc.client import TesseractError

    if not isinstance(error, TesseractError):
        return None
    kind = type(error).__name__
    hint = error.metadata.get("hint") or HINTS.get(error.reason) or HINTS_BY_CLASS.get(kind, "")
    made = BadArgument if error.reason in ARGUMENTS else CommandFailed
    return made(error.message, reason=error.reason or kind, field=error.field, hint=hint)
