"""`python -m tests.mutants [NAME ...]`: plants the bugs and prints which are caught, and k of n."""

from __future__ import annotations

import sys

from tests.mutants.plants import PLANTS
from tests.mutants.runner import judge


def main(names: list[str]) -> int:
    chosen = [plant for plant in PLANTS if not names or plant.name in names]
    caught = 0
    for plant in chosen:
        verdict = judge(plant, histories=400, seconds=400)
        caught += verdict.caught
        mark = "caught " if verdict.caught else "MISSED "
        sys.stdout.write(f"{mark} {verdict.seconds:5.1f} s  {plant.name}: {plant.seen}\n            {verdict.how}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{caught} of {len(chosen)} planted bugs caught\n")
    return 0 if caught == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
