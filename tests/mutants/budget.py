"""What each planted bug is given: seeded histories until one breaks the law.

Run as `python -m tests.mutants.budget HISTORIES SECONDS` from the folder whose package is to be judged. Exits 1 with
the first line of what broke, or 0 when all histories kept the law. Run as `budget again SEED`, it plays that history
alone. Run with paths of tests, it runs these instead.
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
        if (breach := breach_in(seed)) is not None:
            return breach
    return None


def breach_in(seed: int) -> str | None:
    """What breaks in one history, or None. Whether it is the package that breaks, and not what plays the history, says
    the same history over the package without the bug."""
    try:
        play(seed, small=seed % 4 != 0, **(SHORT_HISTORY if seed % 2 else {}))
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        text = str(error).split("\n")[0][:160]
        return f"history {seed}: {type(error).__name__} at {place.name}:{place.lineno}: {text}"
    return None


def failing(tests: list[str]) -> str | None:
    """The first of the tests that fails, or None. Raises where they cannot be run, which says nothing of the bug."""
    report = io.StringIO()
    with contextlib.redirect_stdout(report):
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests])
    lines = [line for line in report.getvalue().splitlines() if line.startswith(("FAILED", "ERROR"))]
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"{code!r}: {report.getvalue()[-2_000:]}")
    return None if code == pytest.ExitCode.OK else " ".join(lines)[:160] or repr(code)


if __name__ == "__main__":
    given = sys.argv[1:]
    try:
        if given[0] == "again":
            breach = breach_in(int(given[1]))
        else:
            breach = spend(int(given[0]), float(given[1])) if given[0].isdecimal() else failing(given)
    except RuntimeError as error:
        sys.exit(f"{error}\nnothing was judged")  # on the standard error, where the first line is none of a verdict
    sys.stdout.write(f"{tesseract_grpc.__file__}\n{breach or 'survived'}\n")
    sys.exit(breach is not None)
