"""`--filter` and `--sort`: what they mean, and what they say when they mean nothing."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tesseract_grpc.cli.columns import Column, Columns
from tesseract_grpc.cli.condition import read_filters
from tesseract_grpc.cli.errors import BadArgument
from tesseract_grpc.cli.sort_key import read_sort

COLUMNS = Columns(
    "flights",
    [
        Column("flight_id", "int64", primary_key=True),
        Column("carrier", "string"),
        Column("late", "bool"),
        Column("delay", "float64"),
        Column("at", "timestamp"),
        Column("status", "enum", enum_values=("scheduled", "departed")),
        Column("extra", "json"),
        Column("two words", "string"),
    ],
)


def one(text: str) -> dict[str, Any]:
    """The single condition that `text` means."""
    (node,) = read_filters((text,), COLUMNS)
    return node


@pytest.mark.parametrize(
    ("text", "field", "comparison", "value"),
    [
        ("carrier == UA", "carrier", "==", "UA"),
        ("carrier==UA", "carrier", "==", "UA"),
        ('carrier == " UA, or so "', "carrier", "==", " UA, or so "),
        ("carrier == United Air Lines", "carrier", "==", "United Air Lines"),
        ('carrier == ""', "carrier", "==", ""),
        ("carrier == null", "carrier", "==", None),
        ('carrier == "null"', "carrier", "==", "null"),
        ("carrier != NULL", "carrier", "!=", None),
        ("flight_id >= -7", "flight_id", ">=", -7),
        ("flight_id<=9223372036854775807", "flight_id", "<=", 2**63 - 1),
        ("delay < 1.5e3", "delay", "<", 1500.0),
        ("delay > 7", "delay", ">", 7.0),
        ("late == TRUE", "late", "==", True),
        ("at > 2013-03-08", "at", ">", datetime(2013, 3, 8, tzinfo=UTC)),
        ("at > 2013-03-08T09:00:00-05:00", "at", ">", datetime.fromisoformat("2013-03-08T09:00:00-05:00")),
        ("status != departed", "status", "!=", "departed"),
        ('"two words" == x', "two words", "==", "x"),
        ("carrier in UA, AA", "carrier", "in", ["UA", "AA"]),
        ('carrier in (UA, "A, B")', "carrier", "in", ["UA", "A, B"]),
        ('carrier in ["UA", null]', "carrier", "in", ["UA", None]),
        ("flight_id in 1,2,3", "flight_id", "in", [1, 2, 3]),
        ("flight_id in [1, 2]", "flight_id", "in", [1, 2]),
        ("flight_id IN(1)", "flight_id", "in", [1]),
        ("flight_id between 1 and 5", "flight_id", "between", [1, 5]),
        ("delay between 1, 5", "delay", "between", [1.0, 5.0]),
        ("delay between [null, 5]", "delay", "between", [None, 5.0]),
        ('carrier between "a" and "b"', "carrier", "between", ["a", "b"]),
        ("carrier like %Air%", "carrier", "like", "%Air%"),
        ("carrier ~ jet", "carrier", "~", "jet"),
        ("carrier ~jet", "carrier", "~", "jet"),
        ("status like dep", "status", "like", "dep"),
    ],
)
def test_a_condition_is_read_as_the_type_of_its_column(text: str, field: str, comparison: str, value: object) -> None:
    node = one(text)
    assert node == {"field": field, "comparison": comparison, "value": value}
    assert type(node["value"]) is type(value)


def test_contains_takes_a_percent_sign_as_it_is() -> None:
    assert one("carrier ~ 50%_\\x") == {"field": "carrier", "comparison": "~", "value": r"50%_\x"}


@pytest.mark.parametrize("word", ["is_null", "is_not_null", "IS_NULL"])
def test_null_tests_take_no_value(word: str) -> None:
    assert one(f"extra {word}") == {"field": "extra", "comparison": word.lower()}
    with pytest.raises(BadArgument, match="takes no value"):
        one(f"extra {word} 5")


@pytest.mark.parametrize(
    ("text", "reason", "words"),
    [
        ("carier == UA", "UNKNOWN_COLUMN", ['no column "carier"']),
        ("flight_id == UA", "WRONG_TYPE", ['"flight_id"', "int64", "not a whole number"]),
        ("flight_id == 1.5", "WRONG_TYPE", ["not a whole number"]),
        ("flight_id == 9223372036854775808", "WRONG_TYPE", ["outside the range"]),
        ("delay == fast", "WRONG_TYPE", ["not a number"]),
        ("late == 1", "WRONG_TYPE", ["neither true nor false"]),
        ("at > yesterday", "WRONG_TYPE", ["ISO 8601"]),
        ("status == late", "WRONG_TYPE", ["scheduled, departed"]),
        ("extra == 1", "WRONG_TYPE", ["is_null"]),
        ("flight_id like 1", "WRONG_TYPE", ["compares texts"]),
        ("flight_id > null", "MALFORMED_FILTER", ["null"]),
        ("carrier = UA", "MALFORMED_FILTER", ["=="]),
        ("carrier", "MALFORMED_FILTER", ["cannot read"]),
        ("carrier is UA", "MALFORMED_FILTER", ["cannot read"]),
        ("carrier ==", "MALFORMED_FILTER", ["no value"]),
        ("", "MALFORMED_FILTER", ["cannot read"]),
        ("flight_id between 1", "MALFORMED_FILTER", ["lower and an upper"]),
        ("flight_id between [null, null]", "MALFORMED_FILTER", ["lower and an upper"]),
        ("flight_id in [1, 2", "MALFORMED_FILTER", ["JSON"]),
        ('carrier == "half', "MALFORMED_FILTER", ["double quotes"]),
        ('{"any": [', "MALFORMED_FILTER", ["JSON"]),
        ("[1]", "MALFORMED_FILTER", ["object"]),
    ],
)
def test_what_means_nothing_is_refused_with_a_reason(text: str, reason: str, words: list[str]) -> None:
    with pytest.raises(BadArgument) as caught:
        one(text)
    assert caught.value.reason == reason
    assert caught.value.field == "--filter"
    assert caught.value.exit_code == 2
    for word in words:
        assert word in caught.value.message


def test_a_misspelt_column_or_name_is_guessed() -> None:
    with pytest.raises(BadArgument) as caught:
        one("carier == UA")
    assert caught.value.hint == 'did you mean "carrier"?'
    with pytest.raises(BadArgument) as caught:
        one("status == depated")
    assert caught.value.hint == 'did you mean "departed"?'


def test_several_filters_and_json_lists_are_joined() -> None:
    tree = '{"any": [{"field": "carrier", "value": "UA"}, {"not": {"field": "late", "value": true}}]}'
    nodes = read_filters(("flight_id > 3", tree, '[{"field": "delay", "comparison": ">", "value": 1}]'), COLUMNS)
    assert [set(node) for node in nodes] == [
        {"field", "comparison", "value"},
        {"any"},
        {"field", "comparison", "value"},
    ]
    assert nodes[2]["value"] == 1


def key(field: str, direction: str = "asc", **more: str) -> dict[str, str]:
    """A sort key as the client takes it."""
    return {"field": field, "direction": direction, **more}


def test_sort_keys() -> None:
    texts = ("-delay,carrier", "at:desc:nulls_first", "flight_id:asc", "late:nulls_first")
    assert read_sort(texts, COLUMNS) == [
        key("delay", "desc"),
        key("carrier"),
        key("at", "desc", nulls="first"),
        key("flight_id"),
        key("late", nulls="first"),
    ]


@pytest.mark.parametrize(
    ("text", "reason"), [("dely", "UNKNOWN_COLUMN"), ("delay:down", "BAD_SORT"), ("", "UNKNOWN_COLUMN")]
)
def test_bad_sort_keys_are_refused(text: str, reason: str) -> None:
    with pytest.raises(BadArgument) as caught:
        read_sort((text,), COLUMNS)
    assert caught.value.reason == reason
    assert caught.value.field == "--sort"
