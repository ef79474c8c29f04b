"""How a backup or a restore looks while it runs: a bar for each phase on a terminal, nothing elsewhere.

It goes to stderr, because stdout is for results.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tesseract_grpc.cli.load_progress import Rate
from tesseract_grpc.client import BackupProgress


class BackupBar:
    """A context manager around one backup or restore; `tell` is what hears of progress."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Rate(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def tell(self, progress: BackupProgress) -> None:
        """How far it is."""
        task = self._tasks.get(progress.phase)
        if task is None:
            unit = "bytes" if progress.phase == "checking" else "rows"
            task = self._tasks[progress.phase] = self._bar.add_task(progress.phase, total=progress.total, unit=unit)
        shown = f"{progress.phase} {progress.table}".rstrip()
        self._bar.update(task, completed=progress.rows, total=progress.total, description=shown)
