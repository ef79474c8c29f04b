"""`tesseract-grpc watch`: a session or a table, live.

On a terminal: a table that is always current, as tall as the screen. Anywhere else: a line for every change, or with
--json an object for every change, for as long as the reader reads.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from tesseract_grpc.cli.columns import Columns
from tesseract_grpc.cli.connection import Target, with_target
from tesseract_grpc.cli.errors import CommandFailed
from tesseract_grpc.cli.event_text import event_lines, event_objects, live_text, notice_line, notice_object
from tesseract_grpc.cli.output import make_table
from tesseract_grpc.cli.question import Question, with_question
from tesseract_grpc.client import (
    Delta,
    EventHorizon,
    Interrupted,
    Mirror,
    NotFound,
    Notice,
    Resumed,
    Session,
    WatchState,
)

SECONDS_BETWEEN_FRAMES = 0.1
SECONDS_BETWEEN_LOOKS = 1.0
"""How long the screen waits for a change before it looks whether the connection is still alive."""
LINES_AROUND_TABLE = 4
NOTICES = ("interrupted", "resumed", "lagged")
STATE_STYLES = {"live": "green", "stale": "red", "connecting": "yellow"}


@dataclass(frozen=True, slots=True)
class Watched:
    """A session to watch, what to call it, and the columns to show (empty: all)."""

    session: Session
    title: str
    columns: tuple[str, ...]


@click.command()
@click.argument("name", metavar="SESSION-OR-TABLE")
@with_question
@click.option("--table", "insist", is_flag=True, help="The name is a table's, even if a session has it too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a change and line.")
@click.option(
    "--count", type=click.IntRange(min=1), help="End after this many deltas (a delta is what one message brings)."
)
@with_target
def watch(target: Target, question: Question, name: str, insist: bool, as_json: bool, count: int | None) -> None:
    """Show a session, or the rows of a table that satisfy the conditions, and every change from then on.

    It goes on by itself when the connection breaks or the server starts again, and says so. Ends with Ctrl-C, or after
    --count deltas.
    """
    with _quiet(), target.connect() as hub:
        watched = _find(hub, name, question, insist)
        if sys.stdout.isatty() and not as_json:
            _show(watched, question, count)
        else:
            _stream(watched, question, as_json, count)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the client's warnings from the terminal: what they say is shown here."""
    logger = logging.getLogger("tesseract_grpc.client")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _find(hub: EventHorizon, name: str, question: Question, insist: bool) -> Watched:
    """The session with this name; else a session without a name over the table with this name."""
    if not insist:
        try:
            session = hub.get_session(name)
        except NotFound:
            pass
        else:
            if question.asks:
                raise click.UsageError(
                    f'"{name}" is a session and has its own filter and order; --table means the table "{name}"'
                )
            return Watched(session, f"session {name}", question.chosen(Columns.of(name, session.columns)))
    try:
        table = hub.get_tesseract(name)
    except NotFound as error:
        what = "table" if insist else "session or table"
        raise CommandFailed(
            f'there is no {what} "{name}"', reason=error.reason, hint="`tesseract-grpc tables` lists the tables"
        ) from error
    columns = Columns.of(name, table.columns)
    session = hub.create_session(table=table, **question.query(columns))
    return Watched(session, f"table {name}", question.chosen(columns))


def _stream(watched: Watched, question: Question, as_json: bool, count: int | None) -> None:
    """Every change as text, and what happens to the stream in between."""
    write = event_objects if as_json else event_lines
    version, broken = 0, False

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def notice(what: Notice) -> None:
        nonlocal broken
        broken = broken or isinstance(what, Interrupted)
        say(notice_object(what) if as_json else notice_line(what))

    def state(now: WatchState) -> None:
        nonlocal broken
        if broken and now is WatchState.LIVE:
            broken = False
            say(live_text(version, as_json=as_json))

    left = count
    with watched.session.watch((question.offset, question.limit), progress=True) as events:
        for name in NOTICES:
            events.on(name, notice)
        events.on("state", state)
        for event in events:
            version = event.version
            for line in write(event, watched.columns):
                sys.stdout.write(line + "\n")
            sys.stdout.flush()
            if left is not None and isinstance(event, Delta):
                left -= 1
                if left == 0:
                    return


class _Screen:
    """What a terminal shows of a mirror."""

    def __init__(self, watched: Watched, mirror: Mirror) -> None:
        self.watched, self.mirror = watched, mirror
        self.changed = threading.Event()
        self.deltas = 0
        self._note = ""
        mirror.on("change", self._on_change)
        mirror.on("state", lambda _: self.changed.set())
        for name in NOTICES:
            mirror.on(name, self._on_notice)

    def _on_change(self, event: object) -> None:
        self.deltas += isinstance(event, Delta)
        self.changed.set()

    def _on_notice(self, notice: Notice) -> None:
        """What has happened to the stream last stays on the screen."""
        if isinstance(notice, Interrupted):
            self._note = notice.reason
        elif isinstance(notice, Resumed):
            self._note = "resumed"
        else:
            self._note = f"lagged: {notice.skipped_commits:,} commits"
        self.changed.set()

    def picture(self) -> RenderableType:
        """The rows under a line that says what they are."""
        rows, mirror, watched = self.mirror.rows(), self.mirror, self.watched
        # The columns of the rows themselves: the session may have been edited since.
        names = watched.columns or tuple(rows[0] if rows else (column["name"] for column in watched.session.columns))
        head = Text.assemble(
            (watched.title, "bold"),
            f"  {len(rows):,} of {mirror.total_count:,} rows  version {mirror.version}  ",
            (mirror.state, STATE_STYLES.get(mirror.state, "")),
            f" ({self._note})" if self._note else "",
        )
        return Group(head, make_table(names, rows))


def _show(watched: Watched, question: Question, count: int | None) -> None:
    """A table that is always current."""
    console = Console(file=sys.stdout)
    fits = max(console.height - LINES_AROUND_TABLE, 1)
    window = (question.offset, fits if question.limit is None else min(question.limit, fits))
    with watched.session.mirror(window) as mirror:
        screen = _Screen(watched, mirror)
        with Live(screen.picture(), console=console, auto_refresh=False) as live:
            while mirror.state is not WatchState.ENDED and (count is None or screen.deltas < count):
                screen.changed.wait(SECONDS_BETWEEN_LOOKS)
                screen.changed.clear()
                live.update(screen.picture(), refresh=True)
                time.sleep(SECONDS_BETWEEN_FRAMES)
        if mirror.error is not None:
            raise mirror.error
