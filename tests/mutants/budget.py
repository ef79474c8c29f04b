"""What each planted bug is given: seeded histories until one breaks the law.

Run as `python -m tests.mutants.budget HISTORIES SECONDS` from the folder whose package is to be judged. Exits 1 with
the first line of what broke, or 0 when all histories kept the law.
"""

from __future__ import annotations

import sys
import time
import traceback
from itertools import count

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


if __name__ == "__main__":
    breach = spend(int(sys.argv[1]), float(sys.argv[2]))
    sys.stdout.write(f"{tesseract_grpc.__file__}\n{breach or 'survived'}\n")
    sys.exit(breach is not None)
