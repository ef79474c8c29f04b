"""`tesseract-grpc serve`: one flag for every option of the server's configuration.

The flags are made from the configuration itself, so there is none without an option and no option without a flag. They
carry text; what a value must be is checked in one place, the configuration, whether it comes from a flag, the
environment or the file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from tesseract_grpc.cli.errors import BadArgument, CommandFailed
from tesseract_grpc.server import ConfigError, Option, ServeError, Server, ServerConfig, load, new_epochs, options
from tesseract_grpc.server import serve as run_server
from tesseract_grpc.server.config import FILE_VARIABLE

Command = Callable[..., Any]


def _with_options(command: Command) -> Command:
    """Adds a flag for each option; the last one added stands first in the help."""
    for option in reversed(options()):
        command = _flag(option)(command)
    return command


def _flag(option: Option) -> Callable[[Command], Command]:
    """The flag of one option. Not given means None, so that environment and file can speak."""
    default = "" if option.default is None else f"  [default: {_shown(option.default)}]"
    text = f"{option.description}{default}"
    if option.is_switch:
        return click.option(f"{option.flag}/--no-{option.flag[2:]}", option.name, default=None, help=text)
    kind = click.Choice(option.choices) if option.choices else click.STRING
    return click.option(option.flag, option.name, type=kind, default=None, metavar=_metavar(option), help=text)


def _shown(default: Any) -> str:
    return ",".join(default) if isinstance(default, tuple) else str(default)


def _metavar(option: Option) -> str | None:
    if option.choices:
        return None
    if isinstance(option.default, float):
        return "SECONDS"
    return "NUMBER" if isinstance(option.default, int) else "TEXT"


def configure(flags: dict[str, Any], file: Path | None) -> ServerConfig:
    """The configuration that flags, environment and file make. Raises BadArgument."""
    try:
        return load(flags, file)
    except ConfigError as error:
        hint = "`tesseract-grpc serve --help` lists the options; flags go before the environment, then the file"
        raise BadArgument(str(error), reason="BAD_CONFIGURATION", hint=hint) from error


@click.command()
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    default=None,
    help=f"TOML file with the same options.  [env: {FILE_VARIABLE}]",
)
@click.option(
    "--new-epoch",
    is_flag=True,
    help="Begin a new epoch first: for data that were put back from an older copy. Clients then begin anew.",
)
@_with_options
def serve(file: Path | None, new_epoch: bool, **flags: Any) -> None:
    """Serve hubs until SIGTERM or Ctrl-C, then finish what is open and end.

    Without --data they are empty and in memory; with it, they are what was acknowledged. The first line on stdout says
    where it listens, then a line for each hub with a log says what was read of it; the server's log goes to stderr.
    Every option can also be set in the environment, as TESSERACT_ and its name, and in the TOML file; a flag goes
    first, then the environment.
    """
    config = configure(flags, file)
    try:
        if new_epoch:
            for name, epoch in new_epochs(config).items():
                click.echo(f"hub {name}: new epoch {epoch}", err=True)
        asyncio.run(_serve(config))
    except ConfigError as error:
        raise BadArgument(str(error), reason="BAD_CONFIGURATION") from error
    except ServeError as error:
        hint = "choose another address with --listen; port 0 takes a free one"
        raise CommandFailed(str(error), reason="CANNOT_LISTEN", hint=hint) from error


async def _serve(config: ServerConfig) -> None:
    """Serves, and says so."""
    started: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(run_server(config, started=started))
    await asyncio.wait((serving, started), return_when=asyncio.FIRST_COMPLETED)
    if started.done():
        server = started.result()
        with suppress(BrokenPipeError):  # Whoever started it may not care to read.
            click.echo(f"listening on {server.address}")
            if server.http_address is not None:
                click.echo(f"listening on {server.http_address}")
            for name, found in server.recoveries.items():
                click.echo(f"hub {name}: recovered {found.records:,} records in {found.seconds:.2f} s")
    await serving
