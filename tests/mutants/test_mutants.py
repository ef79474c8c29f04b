"""Planted bugs must be caught, each within a bounded number of histories. The rest of the list: `make mutants`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.mutants import runner
from tests.mutants.budget import spend
from tests.mutants.plant import Plant
from tests.mutants.plants import PLANTS
from tests.mutants.runner import judge

QUICK = [plant for plant in PLANTS if plant.quick]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("plant", QUICK, ids=lambda plant: plant.name)
def test_a_planted_bug_is_caught(plant: Plant) -> None:
    verdict = judge(plant)
    assert verdict.caught, f"{plant.name} survived: {plant.seen}"


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_every_plant_fits_the_source(plant: Plant) -> None:
    assert plant.source().count(plant.new) >= 1


def test_the_list_is_long_enough() -> None:
    assert len(PLANTS) >= 16
    assert len(QUICK) >= 12
    assert len({plant.name for plant in PLANTS}) == len(PLANTS)


@pytest.mark.slow
def test_without_a_bug_nothing_is_caught() -> None:
    assert spend(4, 60) is None


def test_a_history_that_breaks_without_the_bug_too_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_spend", lambda folder, *given, seconds: "history 3: KeyError at draw:7: 'x'")
    with pytest.raises(RuntimeError, match="without it, too: history 3"):
        judge(QUICK[0])
    monkeypatch.setattr(
        runner, "_spend", lambda folder, *given, seconds: None if given[0] == "again" else "history 3: broken"
    )
    assert judge(QUICK[0]).caught


def test_tests_that_cannot_be_run_catch_nothing() -> None:
    with pytest.raises(RuntimeError, match="did not run"):
        judge(replace(QUICK[0], tests=("tests/test_books.py::test_that_is_not_there",)))
