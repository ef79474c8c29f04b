"""What the user sees while the demo runs: moving boards on a terminal, a line a second anywhere else.

Both take the same `Frame`, a picture of one moment; neither knows where it comes from.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self
from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tesseract_grpc.cli.cell import as_text
from tesseract_grpc.cli.demo.boards import Board
from tesseract_grpc.cli.demo.flights import HOME
from tesseract_grpc.cli.output import is_number

LINES_PER_SECOND = 1.0
FRAMES_PER_SECOND = 6.0
WIDE = 132
"""From this width on, boards stand side by side."""
LEAST_ROWS = 3
"""A board shows at least so many rows; where not all boards fit, the screen turns pages."""
PAGE_SECONDS = 4.0

STATUS_STYLES = {"scheduled": "", "departed": "green", "arrived": "cyan", "diverted": "magenta", "cancelled": "red"}


@dataclass(frozen=True, slots=True)
class BoardView:
    """One board as its mirror holds it now: the rows of its window, and the size of the whole result."""

    board: Board
    rows: Sequence[Mapping[str, Any]]
    total_count: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One moment of the demo."""

    at: datetime
    boards: Sequence[BoardView]
    commits: int
    deltas: int
    elapsed: float


class Display(Protocol):
    """Where the demo shows itself."""

    frames_per_second: float

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def say(self, line: str) -> None:
        """Shows a line that stays."""

    def show(self, frame: Frame) -> None:
        """Shows a moment."""


def make_display() -> Display:
    """The display that fits the present stdout."""
    return Screen(Console(file=sys.stdout)) if sys.stdout.isatty() else Lines()


class Lines:
    """Plain lines."""

    frames_per_second = LINES_PER_SECOND

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def say(self, line: str) -> None:
        """Shows a line that stays."""
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def show(self, frame: Frame) -> None:
        """One line: the time in New York, the size and the first row of each board."""
        boards = "  ".join(_digest(view) for view in frame.boards)
        self.say(f"{local(frame.at, '%Y-%m-%d %H:%M')}  {frame.commits} commits {frame.deltas} deltas  {boards}")


class Screen:
    """Boards that move in place."""

    frames_per_second = FRAMES_PER_SECOND

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """Shows a line that stays, above the boards when they are there."""
        self.console.print(Text(line))

    def show(self, frame: Frame) -> None:
        """Draws the boards anew."""
        if not self._live.is_started:
            self._live.start()
        self._live.update(self._render(frame), refresh=True)

    def _render(self, frame: Frame) -> RenderableType:
        rate = frame.commits / frame.elapsed if frame.elapsed else 0.0
        head = Text.assemble(
            (local(frame.at, "%a %d %b %Y  %H:%M"), "bold"),
            f" New York   {frame.commits:,} commits ({rate:,.0f}/s)   {frame.deltas:,} deltas",
        )
        wide = self.console.width >= WIDE
        views, rows = self._page(frame, columns=2 if wide else 1)
        tables = [_board_table(view, rows) for view in views]
        if not wide:
            return Group(head, *tables)
        grid = Table.grid(padding=(0, 4))
        for first in range(0, len(tables), 2):
            grid.add_row(*tables[first : first + 2])
        return Group(head, grid)

    def _page(self, frame: Frame, columns: int) -> tuple[list[BoardView], int]:
        """The boards that are shown now, and how many rows of each. Those that fit, and after a while the next ones."""
        views = [view for view in frame.boards if view.rows or view.total_count]
        lines = self.console.height - 2
        fitting = max(lines // (LEAST_ROWS + 3), 1) * columns
        pages = max(-(-len(views) // fitting), 1)
        per_page = -(-len(views) // pages)
        first = int(frame.elapsed / PAGE_SECONDS) % pages * per_page
        bands = -(-max(per_page, 1) // columns)
        return views[first : first + per_page], max(lines // bands - 3, 2)


def local(moment: datetime, pattern: str) -> str:
    """A moment as New York's clocks showed it."""
    return moment.astimezone(ZoneInfo(HOME)).strftime(pattern)


def _board_table(view: BoardView, rows: int) -> Table:
    """The first rows of a board."""
    title = f"{view.board.title} ({view.total_count:,})"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    shown = view.rows[:rows]
    for name in view.board.shown:
        numeric = any(is_number(row[name]) for row in shown)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True, header_style="dim")
    for row in shown:
        style = STATUS_STYLES.get(str(row.get("status")), "")
        cells = (_cell(row[name], view.board.formats.get(name)) for name in view.board.shown)
        table.add_row(*(Text(cell, style=style) for cell in cells))
    return table


def _cell(value: Any, pattern: str | None) -> str:
    if pattern is not None and value is not None:
        return pattern.format(value)
    return local(value, "%H:%M") if isinstance(value, datetime) else as_text(value)


def _digest(view: BoardView) -> str:
    """A board in a few words: its id, its size, its first row."""
    words = f"{view.board.id}: {view.total_count}"
    return f"{words} ({view.board.brief(view.rows[0])})" if view.rows else words
