"""What the command says when it cannot do what it was asked.

Every failure reaches the user as one line on stderr, what went wrong and the reason's name, and where there is
one a second line with what to do. The exit code says whose move it is: 1, the command was right and could not be
carried out; 2, the command line itself must change.
"""

from __future__ import annotations

from typing import IO, Any

import click

FAILURE = 1
USAGE = 2
INTERRUPTED = 130


class CommandFailed(click.ClickException):
    """The command was understood and could not be carried out. Exit code 1."""

    exit_code = FAILURE

    def __init__(self, message: str, *, reason: str = "", field: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.field = field
        self.hint = hint

    def show(self, file: IO[Any] | None = None) -> None:
        """Writes the failure to stderr."""
        label = f" [{self.reason}]" if self.reason else ""
        click.echo(f"error: {self.format_message()}{label}", err=True, file=file)
        if self.field:
            click.echo(f"  in: {self.field}", err=True, file=file)
        if self.hint:
            click.echo(f"  hint: {self.hint}", err=True, file=file)


class BadArgument(CommandFailed):
    """The command line asks for something that cannot be meant, found out later than click could. Exit code 2."""

    exit_code = USAGE
