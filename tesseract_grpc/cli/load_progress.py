"""How a long load looks while it runs: a bar with rate and remaining time on a terminal, one line at the end elsewhere.

It goes to stderr, because stdout is for results.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class Rate(ProgressColumn):
    """Rows a second, or what the task counts (its field `unit`), over the last seconds."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {task.fields.get('unit', 'rows')}/s")


class LoadProgress:
    """A context manager around one load; `advance` tells it of rows that the server has."""

    def __init__(self, name: str, total: int) -> None:
        self.name = name
        self.done = 0
        self._before = 0
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Rate(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(name, total=total)
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if kind is not None and not issubclass(kind, Exception):  # Ctrl-C is quiet.
            return
        self._console.print(self.line(), highlight=False, soft_wrap=True)

    def advance(self, rows: int) -> None:
        """`rows` more rows are in the table."""
        self.done += rows
        self._bar.advance(self._task, rows)

    def begin_at(self, rows: int) -> None:
        """So many rows were loaded before."""
        self._before = rows
        self._bar.update(self._task, completed=rows)

    def reached(self, rows: int) -> None:
        """So many rows are in the table, those from before included."""
        self.done = rows - self._before
        self._bar.update(self._task, completed=rows)

    def line(self) -> str:
        """What has been loaded, and how fast."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        return f"loaded {self.done:,} rows into {self.name} in {seconds:.1f} s, {self.done / seconds:,.0f} rows/s"
