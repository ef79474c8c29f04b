"""Like patterns against trying everything, and their one spelling."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.query.filter_tree import Like, Regex
from tesseract_grpc.engine.query.like_pattern import LikePattern
from tesseract_grpc.engine.query.text_pattern import text_test
from tests.engine.filter_world import like

LETTERS = "ab%_\\.ßK\n"
patterns = st.text(LETTERS, max_size=7) | st.text("ab%", max_size=9)
texts = st.text(LETTERS + "AsSkK", max_size=9) | st.text("abA", max_size=6)


def ends_alone(pattern: str) -> bool:
    """Whether a SQL pattern ends with a backslash that escapes nothing."""
    return "%" in pattern and (len(pattern) - len(pattern.rstrip("\\"))) % 2 == 1


@given(patterns, st.lists(texts, min_size=5, max_size=20))
def test_differential_matching(pattern: str, found: list[str]) -> None:
    if ends_alone(pattern):
        with pytest.raises(InvalidRequest) as refused:
            text_test(Like("x", pattern), "filter")
        assert refused.value.reason is Reason.MALFORMED_FILTER
        return
    test = text_test(Like("x", pattern), "filter")
    for text in [*found, pattern, pattern.replace("%", ""), pattern.replace("\\", "")]:
        assert test(text) == like(pattern.casefold(), text.casefold()), (pattern, text)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        # The start and the end may not share characters, and neither may literals in between.
        ("ab%ba", "abba", "aba"),
        ("a%a", "aa", "a"),
        ("%ab%ba%", "xabbax", "xabax"),
        ("%a%a%", "aa", "a"),
        ("a%b%c", "abc", "ac"),
        ("a%b%b", "abb", "ab"),
        ("%a%ab", "aab", "ab"),
        ("_%_", "xy", "x"),
        ("%_b", "ab", "b"),
        ("a\\\\%", "a\\x", "ax"),
        ("%\\_%", "a_b", "ab"),
        ("%.%", "a.b", "ab"),
        ("a_%", "a\nb", "a"),
    ],
)
def test_matching(pattern: str, yes: str, no: str) -> None:
    test = text_test(Like("x", pattern), "filter")
    assert test(yes)
    assert not test(no)


@given(patterns, st.lists(texts, min_size=5, max_size=20))
def test_spelling_means_the_same(pattern: str, found: list[str]) -> None:
    if ends_alone(pattern):
        return
    parsed = LikePattern.parse(pattern, "filter")
    again = LikePattern.parse(parsed.spelling, "filter")
    assert again == parsed
    assert again.spelling == parsed.spelling
    first, second = text_test(Like("x", pattern), "filter"), text_test(Like("x", parsed.spelling), "filter")
    assert [first(text) for text in found] == [second(text) for text in found]


@pytest.mark.parametrize(
    ("pattern", "spelling"),
    [
        ("Ab", "ab"),
        ("%Ab%", "ab"),
        ("%%%", "%"),
        ("", "%"),
        ("%a\\_b%", "a_b"),
        ("%a\\%b%", "%a\\%b%"),
        ("100\\%", "100\\%"),
        ("\\a%", "a%"),
        ("%_%_%", "%_%_%"),
        ("ß%", "ss%"),
        ("a_b", "a_b"),
        ("a_b%", "a_b%"),
    ],
)
def test_spelling(pattern: str, spelling: str) -> None:
    assert LikePattern.parse(pattern, "filter").spelling == spelling


@pytest.mark.parametrize(
    "node",
    [
        Like("x", "%a" * 400 + "%b"),
        Like("x", "%_a" * 100 + "%b"),
        Regex("x", "(a*)*b"),
        Regex("x", "(a|aa)+$b"),
        Regex("x", "(x+x+)+y|(a?){50}a{50}b"),
    ],
    ids=str,
)
def test_no_pattern_takes_exponential_time(node: Like | Regex) -> None:
    test = text_test(node, "filter")
    started = time.process_time()
    assert not test("a" * 20_000)
    assert time.process_time() - started < 0.5


def test_lone_surrogates_do_no_harm() -> None:
    assert text_test(Regex("x", "^a"), "filter")("a\ud800")
    assert text_test(Like("x", "a_%"), "filter")("a\ud800b") in (True, False)
