"""What each planted bug is given: seeded histories until one breaks the law.

Run as `python -m tests.mutants.budget HISTORIES SECONDS` from the folder whose package is to be judged. Exits 1 with
the first line of what broke, or 0 when all histories kept the law. Run with paths of tests, it runs these instead.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
import traceback
from itertools import count

import pytest

import tesseract_grpc
from tests.engine.limits import SHORT_HISTORY
from tests.engine.world import play


def spend(histories: int, seconds: float) -> str | None:
    """The first breach, or None. Every other history forgets soon, most have small thresholds."""
    end = time.monotonic() + seconds
    for seed in count():
        if seed >= histories or time.monotonic() > end:
            return None
        try:
            play(seed, small=seed % 4 != 0, **(SHORT_HISTORY if seed % 2 else {}))
        except Exception as error:  # whatever breaks is a bug that was noticed
            place = traceback.extract_tb(error.__traceback__)[-1]
            text = str(error).split("\n")[0][:160]
            return f"history {seed}: {type(error).__name__} at {place.name}:{place.lineno}: {text}"
    return None


def failing(tests: list[str]) -> str | None:
    """The first of the tests that fails, or None."""
    report = io.StringIO()
    with contextlib.redirect_stdout(report):
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests])
    lines = [line for line in report.getvalue().splitlines() if line.startswith(("FAILED", "ERROR"))]
    return None if code == pytest.ExitCode.OK else " ".join(lines)[:160] or repr(code)


if __name__ == "__main__":
    given = sys.argv[1:]
    breach = spend(int(given[0]), float(given[1])) if given[0].isdecimal() else failing(given)
    sys.stdout.write(f"{tesseract_grpc.__file__}\n{breach or 'survived'}\n")
    sys.exit(breach is not None)
