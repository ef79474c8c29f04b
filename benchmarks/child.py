"""One run of one workload by one contestant, in this process: `python -m benchmarks.child REQUEST`.

REQUEST is a JSON object with the names and the settings; the last line of the output is a JSON object with the figures.
"""

from __future__ import annotations

import json
import os
import sys

from benchmarks.registry import WORKLOADS
from benchmarks.workload import Settings


def main() -> None:
    request = json.loads(sys.argv[1])
    workload = WORKLOADS[request["workload"]]
    settings = Settings(**request["settings"])
    if workload.pinned:
        pin(settings.cores)
    figures = workload.run(request["contestant"], settings)
    print(json.dumps({name: {"value": figure.value, "detail": figure.detail} for name, figure in figures.items()}))


def pin(cores: int) -> None:
    """Hold this process to its last `cores` cores: libraries that start a thread a core start no more than that."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, allowed[-cores:])


if __name__ == "__main__":
    main()
