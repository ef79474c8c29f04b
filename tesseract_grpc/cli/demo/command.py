"""`tesseract-grpc demo`."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

import click

from tesseract_grpc.cli.cell import json_line
from tesseract_grpc.cli.demo.display import make_display
from tesseract_grpc.cli.demo.run import Plan, run_demo
from tesseract_grpc.cli.demo.server_process import server_process
from tesseract_grpc.cli.demo.source import Source
from tesseract_grpc.cli.demo.summary import Summary
from tesseract_grpc.cli.errors import FAILURE, BadArgument

DAY_SECONDS = 86_400
FIRST_DAY, LAST_DAY = datetime(2013, 1, 1), datetime(2013, 12, 31)
SNOW = "2013-03-08"
"""The worst day of the year: 979 flights, 180 of them cancelled, the others 83 minutes late on average."""
SERVER_FLAGS = ("--progress-interval", "0.5", "--log-level", "warning")
"""Progress comes often, so that at the end a quiet mirror soon knows that it is complete."""
SLACK_SECONDS = 25.0
"""A machine that is too slow for the pace may take this much longer before the replay is cut short."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object, as the last line.")
@click.option("--days", type=click.IntRange(1, 365), default=3, show_default=True, help="Days of flights to replay.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, max=45, min_open=True),
    default=30.0,
    show_default=True,
    help="The time in which the days pass; with --speed, the longest time for the replay.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds of 2013 that pass in one second.  [default: the days in --seconds]",
)
@click.option(
    "--date",
    "first_day",
    type=click.DateTime(["%Y-%m-%d"]),
    default=SNOW,
    show_default=True,
    help="The first day, in 2013.",
)
def demo(as_json: bool, days: int, seconds: float, speed: float | None, first_day: datetime) -> None:
    """Replay days of real flights from New York's airports, live.

    Starts a server of its own, loads 336,776 flights of 2013 with airlines, airports, planes and weather, opens live
    sessions (lists of flights, and groups of them with names from the other tables), and shows how they move while
    flights depart and land. At the end every client's mirror is compared with a fresh query, and with DuckDB's answer
    where duckdb is installed; the exit code is 1 if one differs. Needs no network, and ends by itself in under 90
    seconds.
    """
    if not FIRST_DAY <= first_day <= LAST_DAY:
        raise BadArgument(f"{first_day:%Y-%m-%d} is not in 2013, the year of the data", field="--date")
    source = Source.find()
    if speed is None:
        plan = Plan(first_day.date(), days, speed=days * DAY_SECONDS / seconds, seconds=seconds + SLACK_SECONDS)
    else:
        plan = Plan(first_day.date(), days, speed, seconds)
    for number in _ending_signals():  # The demo's server must end too: by leaving the blocks below.
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with server_process(*SERVER_FLAGS) as address, make_display() as display:
        try:
            summary = asyncio.run(_until_told(run_demo(address, source, plan, display)))
        except asyncio.CancelledError:
            raise click.exceptions.Exit(128 + signal.SIGTERM) from None
    for line in summary.lines():
        click.echo(line)
    if as_json:
        click.echo(json_line(summary.as_object()))
    if not summary.equal:
        raise click.exceptions.Exit(FAILURE)


def _ending_signals() -> list[signal.Signals]:
    """The signals that ask to end; one that is ignored, as under nohup, stays so."""
    return [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]


async def _until_told(running: Coroutine[Any, Any, Summary]) -> Summary:
    """The result, unless a signal to end comes first."""
    task = asyncio.create_task(running)
    for number in _ending_signals():
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task
