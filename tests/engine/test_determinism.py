"""The same history gives the same bytes, in every process: replicas must agree, and bugs must repeat."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def digest_in_a_process(hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.digest", "1", "2", "3", "4"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return done.stdout.strip()


def test_deltas_do_not_depend_on_the_seed_of_hashes() -> None:
    digests = {hash_seed: digest_in_a_process(hash_seed) for hash_seed in ("0", "1", "12345")}
    assert len(set(digests.values())) == 1, digests
    assert len(digests["0"]) == 64
