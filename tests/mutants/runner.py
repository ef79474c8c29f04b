"""Plants a bug in a copy of the package and lets the machine find it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.plant import PACKAGE, Plant


@dataclass(frozen=True)
class Verdict:
    plant: Plant
    caught: bool
    how: str
    seconds: float


def judge(plant: Plant, histories: int = 40, seconds: float = 60.0) -> Verdict:
    """Whether the machine, or the plant's own tests, catch the bug. Raises when the copy was not what was run."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="planted-") as name:
        folder = Path(name)
        plant.into(folder)
        done = subprocess.run(
            [sys.executable, "-m", "tests.mutants.budget", *(plant.tests or (str(histories), str(seconds)))],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=seconds * 2 + 60,
            env={"PYTHONPATH": name, "PYTHONDONTWRITEBYTECODE": "1", "PATH": ""},
            check=False,
        )
        lines = done.stdout.splitlines()
        if done.returncode not in (0, 1) or not lines or not lines[0].startswith(str(folder / PACKAGE)):
            # A bug so bad that the package cannot be imported proves nothing about the tests.
            raise RuntimeError(f"plant {plant.name!r} did not run: {done.stdout}{done.stderr}")
        return Verdict(plant, done.returncode == 1, lines[-1], time.monotonic() - began)
