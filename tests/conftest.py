"""What every test shares: the profiles of the property tests, and a seed that can be printed and given back.

Property tests run under one of two profiles, chosen by HYPOTHESIS_PROFILE (default `ci`):

* `ci` generates a few hundred examples and does not shrink: shrinking a state machine can take minutes, and a printed
  seed reproduces the failure as it was. Shrink by hand with `--hypothesis-profile=shrink`.
* `fuzz` is what `make fuzz` runs: many and longer histories, until somebody stops it or FUZZ_EXAMPLES are through.

Tests must not fix `max_examples` themselves where a profile should decide.

And what every run shares: thousands of collected tests with all that they import, half a million objects that stay to
the end. The garbage collector is told so, for looking through them again and again took a tenth of all the time.
"""

import gc
import os
import random

import pytest
from hypothesis import HealthCheck, Phase, settings

WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target)
# A state machine over a whole engine is slow and large by nature; these checks are about small pure functions.
BIG_MACHINES = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)

settings.register_profile(
    "ci", max_examples=100, deadline=None, print_blob=True, phases=WITHOUT_SHRINKING, suppress_health_check=BIG_MACHINES
)
settings.register_profile("shrink", parent=settings.get_profile("ci"), phases=(*WITHOUT_SHRINKING, Phase.shrink))
settings.register_profile(
    "fuzz",
    parent=settings.get_profile("ci"),
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "5000")),
    stateful_step_count=100,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


SEED = "HYPOTHESIS_SEED_OF_THIS_RUN"
NEW_OBJECTS = 5_000
"""How many more objects than before start a collection of the youngest; by itself Python takes 700."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Draws the seed of this run before hypothesis reads it; the workers of xdist inherit it with the environment."""
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(2**32))
    os.environ[SEED] = str(config.option.hypothesis_seed)


def pytest_report_header(config: pytest.Config) -> str:
    """Prints what reproduces this run."""
    profile = settings.get_current_profile_name()
    return f"property tests: profile {profile}, reproduce with --hypothesis-seed={config.option.hypothesis_seed}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, so that no worker is at the beginning of one when the others have nothing left to do."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    """What is there before the first test stays; collections look at what tests make."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])


def pytest_unconfigure() -> None:
    """Everything may be looked at again: libraries count what is left when the process ends."""
    gc.unfreeze()
