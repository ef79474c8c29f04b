"""The load of `make bench ARGS="--only alter"`, small: what is acknowledged is there, streams keep their promises."""

from __future__ import annotations

import pytest

from benchmarks.wire.altering import ALTERATIONS, run_altering
from benchmarks.workload import Settings


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_table_is_altered_in_every_way_under_load() -> None:
    """50,000 rows, eight writers, fifty watchers. How long anybody is held up is measured elsewhere."""
    figures = run_altering("", Settings(scale=0.05))
    assert set(figures) == {"alter_commit_pause", "alter_watch_pause"}
    detail = figures["alter_watch_pause"].detail
    assert {f"{name}_ms" for name in (*ALTERATIONS, "quiet", "swap", "swap_back")} <= set(detail)
    assert detail["acknowledged"] > 100
    assert detail["messages"] > detail["acknowledged"] / 10
