"""The soak, short: everything but a verdict about a slow leak, which takes minutes. And that a verdict would notice."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.soak.probe import Sample
from tests.soak.run import Plan, soak
from tests.soak.verdict import Verdict, judge, slope

QUIET = Sample(at=0.0, rss=80_000_000, fds=20, threads=9, tasks=12, watchers=0, calls=0, sessions=5, watches_ended=0)


def crowded(seconds: int, leak: float = 0.0) -> list[Sample]:
    """A second of churn after the other: memory fills up, swings, and grows by `leak` bytes a second."""
    return [
        replace(
            QUIET,
            at=1_000.0 + second,
            rss=round(120e6 - 30e6 * math.exp(-second / 20) + 4e6 * math.sin(second / 9) + leak * second),
            watchers=190,
            watches_ended=40 * second,
        )
        for second in range(seconds)
    ]


def verdict(samples: Sequence[Sample], after: Sample = QUIET, commits: int = 60_000) -> Verdict:
    return judge(samples, QUIET, after, bound=30.0, watchers=200, commits=commits, stops=9, kills=3)


def test_a_run_without_leaks_passes() -> None:
    found = verdict(crowded(600))
    assert found.problems == []
    assert abs(found.slope_mb_per_hour) < 10


def test_a_slow_leak_is_noticed_and_an_outlier_is_none() -> None:
    assert any("memory grows" in problem for problem in verdict(crowded(600, leak=20_000)).problems)
    samples = crowded(600)
    samples[500] = replace(samples[500], rss=900_000_000)
    assert verdict(samples).problems == []
    assert slope([replace(QUIET, at=float(n), rss=n * 7) for n in range(50)]) == pytest.approx(7.0)


@pytest.mark.parametrize("what", ["tasks", "watchers", "calls", "sessions", "fds"])
def test_what_is_left_behind_is_noticed(what: str) -> None:
    after = replace(QUIET, **{what: getattr(QUIET, what) + 5})
    assert verdict(crowded(600), after).leaked == {what: 5}
    assert any(what in problem for problem in verdict(crowded(600), after).problems)


def test_a_run_with_too_little_churn_is_void() -> None:
    lazy = [replace(sample, watches_ended=0) for sample in crowded(600)]
    assert any("void" in problem for problem in verdict(lazy).problems)
    assert any("void" in problem for problem in verdict(crowded(600), commits=10).problems)
    lonely = [replace(sample, watchers=20) for sample in crowded(600)]
    assert any("void" in problem for problem in verdict(lonely).problems)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_nothing_is_left_behind_by_watchers_that_come_stall_and_die(tmp_path: Path) -> None:
    # What half a minute can grow by is what fills up first: pools, histories, garbage that is not yet collected.
    plan = Plan(seconds=30, watchers=40, herds=4, commits_a_second=30, bound=5_000, least_commits=2.0)
    lines: list[str] = []
    found, samples = await asyncio.wait_for(soak(plan, lines.append), 200)
    assert found.problems == [], lines
    assert found.kills + found.stops >= 5
    assert max(sample.watchers for sample in samples) > 20
