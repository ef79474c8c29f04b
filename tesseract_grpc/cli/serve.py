"""`tesseract-grpc serve`: one flag for every option of the server's configuration.

The flags are made from the configuration itself, so there is none without an option and no option without a flag. They
carry text; what a value must be is checked in one place, the configuration, whether it comes from a flag, the
environment or the file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tesseract_grpc.cli.errors import BadArgument
from tesseract_grpc.server.config import ConfigError, Option, ServerConfig, load, options

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
