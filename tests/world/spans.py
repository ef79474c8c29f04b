"""Random windows: pages, and of trees often such with closed nodes."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from tests.oracle.answer import is_tree, tree_of
from tests.oracle.model import Model
from tests.oracle.question import Open, Question, Span
from tests.world.questions import span


def random_span(rng: Random, model: Model, question: Question) -> Span:
    """A window of an answer; which nodes are open is drawn from those that there are now."""
    found = span(rng)
    if not is_tree(question) or rng.random() < 0.4:
        return found
    names = [node.name for node in tree_of(model, question) or []]
    chosen = tuple(dict.fromkeys(rng.sample(names, min(len(names), rng.randint(0, 4)))))
    half = rng.randint(0, len(chosen))
    return replace(found, open=Open(rng.choice((None, 0, 1, 2)), chosen[:half], chosen[half:]))
