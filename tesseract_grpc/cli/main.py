"""The entry point: finds the command, runs it, and ends the process as a shell expects.

Exit codes: 0 done, 1 the command failed, 2 the command line is wrong, 130 interrupted. Ctrl-C prints nothing. A reader
that stops reading (`tesseract-grpc query trades | head -1`) is not a failure: the command ends with 0 and says nothing.

A command's module is imported when the command is used, so that only `serve` loads the server.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from tesseract_grpc.cli.errors import FAILURE, INTERRUPTED, CommandFailed
from tesseract_grpc.cli.failure import failure_of

COMMANDS = {
    "alter": "tesseract_grpc.cli.alter:alter",
    "backup": "tesseract_grpc.cli.backup:backup",
    "cache": "tesseract_grpc.cli.cache:cache",
    "debug": "tesseract_grpc.cli.debug:debug",
    "demo": "tesseract_grpc.cli.demo.command:demo",
    "diagnose": "tesseract_grpc.cli.diagnose:diagnose",
    "events": "tesseract_grpc.cli.events:events",
    "explain": "tesseract_grpc.cli.explain:explain",
    "import": "tesseract_grpc.cli.import_file:import_file",
    "migrate": "tesseract_grpc.cli.migrate:migrate",
    "performance-test": "tesseract_grpc.cli.performance_test:performance_test",
    "query": "tesseract_grpc.cli.query:query",
    "remove": "tesseract_grpc.cli.alter:remove",
    "rename": "tesseract_grpc.cli.alter:rename",
    "restore": "tesseract_grpc.cli.restore:restore",
    "retain": "tesseract_grpc.cli.retain:retain",
    "schema": "tesseract_grpc.cli.schema:schema",
    "serve": "tesseract_grpc.cli.serve:serve",
    "swap": "tesseract_grpc.cli.alter:swap",
    "tables": "tesseract_grpc.cli.tables:tables",
    "version": "tesseract_grpc.cli.version:version",
    "watch": "tesseract_grpc.cli.watch:watch",
}


class CommandGroup(click.Group):
    """A group that imports its commands when they are used and says what the client's exceptions mean."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names for --help."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; what the client raises becomes a CommandFailed."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except KeyboardInterrupt:
            # These two are answered here and not in `run`, because click has answers of its own and is not quiet.
            raise click.exceptions.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _give_up_stdout()
            raise click.exceptions.Exit(0) from None
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
            raise failure from error
        return result


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Tables in memory over gRPC, with queries that stay live."""


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs a command line and ends the process."""
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> int:
    """Runs a command line; the exit code."""
    try:
        code = cli.main(args, prog_name="tesseract-grpc", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except OSError as error:  # A disk that is full, a file that cannot be opened.
        CommandFailed(str(error), reason="IO").show()
        try:
            sys.stdout.flush()
        except OSError:
            _give_up_stdout()
        return FAILURE
    return code if isinstance(code, int) else 0


def _give_up_stdout() -> None:
    """From here on, stdout leads nowhere: Python flushes it once more on its way out and would complain then."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
