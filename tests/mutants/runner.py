"""Plants a bug in a copy of the package and lets the machine find it."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.plant import PACKAGE, ROOT, Plant


@dataclass(frozen=True)
class Verdict:
    plant: Plant
    caught: bool
    how: str
    seconds: float


def judge(plant: Plant, histories: int = 40, seconds: float = 60.0) -> Verdict:
    """Whether the machine, or the plant's own tests, catch the bug. Raises when the copy was not what was run, and when
    the history that breaks over the bug breaks without it, too: then it is the machine that is wrong."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="planted-") as name:
        folder = Path(name)
        plant.into(folder)
        breach = _spend(folder, *(plant.tests or (str(histories), str(seconds))), seconds=seconds)
    if breach is not None and (seed := re.match(r"history (\d+):", breach)):
        alone = _spend(ROOT, "again", seed[1], seconds=seconds)
        if alone is not None:
            raise RuntimeError(f"plant {plant.name!r}: without it, too: {alone}")
    return Verdict(plant, breach is not None, breach or "survived", time.monotonic() - began)


def _spend(folder: Path, *given: str, seconds: float) -> str | None:
    """What broke in the package of a folder; None when nothing did."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutants.budget", *given],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=seconds * 2 + 60,
        env={"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PATH": ""},
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode not in (0, 1) or not lines or not lines[0].startswith(str(folder / PACKAGE)):
        # A bug so bad that the package cannot be imported proves nothing about the tests.
        raise RuntimeError(f"in {folder} the package did not run: {done.stdout}{done.stderr}")
    return None if done.returncode == 0 else lines[-1]
