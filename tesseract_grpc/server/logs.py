"""Structured logs: one event a line, as JSON or for people. What is logged are names, counts, reasons and ids; never
the values of rows, filters or tokens.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any, TextIO

import structlog

from tesseract_grpc.server.config import ServerConfig

Logger = structlog.typing.FilteringBoundLogger


class _Printer:
    """Writes lines; to the standard error as it is at that moment, unless told where."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out

    def write(self, line: str) -> None:
        """One event."""
        out = self._out or sys.stderr
        out.write(line + "\n")
        out.flush()

    debug = info = warning = error = write


def _make(config: ServerConfig, out: TextIO | None = None) -> Logger:
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if config.log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=(out or sys.stderr).isatty())
    # A logger of our own and not structlog's global configuration, which belongs to the program around us.
    made: Logger = structlog.wrap_logger(
        _Printer(out),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[config.log_level.upper()]),
    )
    return made.bind()


class _Root:
    """Where events go: errors alone, until a program that serves says otherwise."""

    logger: Logger = _make(ServerConfig(log_level="error"))


def logger() -> Logger:
    """The server's logger."""
    return _Root.logger


def configure(config: ServerConfig, out: TextIO | None = None) -> None:
    """Turns the logs on, for programs that serve. A server inside another program or a test logs only errors."""
    _Root.logger = _make(config, out)


def trace_of(error: BaseException) -> list[str]:
    """Where an exception came from. Its message is left out: it may hold the value of a row."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]


class Quiet:
    """Takes what a logger takes, and tells it only to those who debug."""

    def info(self, event: str, **fields: Any) -> None:
        """Something that happened before."""
        logger().debug(event, **fields)

    debug = info
