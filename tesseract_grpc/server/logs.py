"""Structured logs: one event a line, as JSON or for people. What is logged are names, counts, reasons and ids; never
the values of rows, filters or tokens.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog

from tesseract_grpc.server.config import ServerConfig

Logger = structlog.typing.FilteringBoundLogger

_NOTHING = 100
"""A severity above all others."""


def _make(level: int, processors: list[structlog.typing.Processor], out: TextIO) -> Logger:
    # A logger of our own and not structlog's global configuration, which belongs to the program around us.
    made: Logger = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    return made.bind()


class _Root:
    """Where events go: nowhere, until a program that serves says otherwise."""

    logger: Logger = _make(_NOTHING, [], sys.stderr)


def logger() -> Logger:
    """The server's logger."""
    return _Root.logger


def configure(config: ServerConfig, out: TextIO | None = None) -> None:
    """Turns the logs on, for programs that serve. A server inside another program or a test logs nothing."""
    out = out or sys.stderr
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if config.log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=out.isatty())
    _Root.logger = _make(
        logging.getLevelNamesMapping()[config.log_level.upper()],
        [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        out,
    )
