"""Whether a text is a document does not depend on where that is asked: what was accepted is, at every replay."""

from __future__ import annotations

import pytest

from tesseract_grpc.engine.data.documents import MOST_LEVELS, is_json


def asked_from(depth: int, text: str) -> bool:
    return asked_from(depth - 1, text) if depth else is_json(text)


@pytest.mark.parametrize("depth", [0, 100, 250])
@pytest.mark.parametrize(("opens", "closes", "each"), [("[", "]", 1), ('{"[":', "}", 1), ('[{"]":', "}]", 2)])
def test_the_same_depth_is_taken_everywhere(depth: int, opens: str, closes: str, each: int) -> None:
    times = MOST_LEVELS // each
    assert asked_from(depth, opens * times + "1" + closes * times)
    assert not asked_from(depth, opens * times + "[1]" + closes * times)


def test_brackets_in_texts_are_no_levels() -> None:
    assert is_json('["' + "[" * 10_000 + '"]')
    assert is_json('["\\"' + "[{" * 10_000 + '"]')
    assert is_json("[" + "[]," * 10_000 + "[]]")
