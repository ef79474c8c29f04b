"""`python -m tests.crash`: kills a server again and again, and says whether anything was lost."""

from __future__ import annotations

import argparse
import sys

from tests.crash.run import ROUND, run
from tests.crash.tally import FLOOR


def main() -> int:
    """0 when nothing was lost and the run was worth something."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=300, help="how often the server is killed")
    parser.add_argument("--seed", type=int, default=None, help="what the run is drawn from; printed")
    parser.add_argument("--kill", type=int, default=None, help="only the round of this kill, up to it")
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long writers write before a kill")
    parser.add_argument("--round", type=int, default=ROUND, help="how many kills of one directory")
    given = parser.parse_args()
    tally = run(given.seed, given.kills, given.seconds, given.kill, given.round)
    sys.stdout.write("".join(f"{line}\n" for line in tally.lines()))
    if tally.rate < FLOOR:
        sys.stdout.write(f"void: below {FLOOR} commits a second there is too little to lose\n")
        return 1
    if given.kill is None and given.kills >= 300 and tally.missed:
        sys.stdout.write(f"void: no server died at {', '.join(tally.missed)}\n")
        return 1
    sys.stdout.write("nothing acknowledged was lost, nothing was there that nobody sent, nothing was half\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
