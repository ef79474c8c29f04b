"""What is wrong with an expression is said in full: message, place, hint, and every mistake at once."""

from __future__ import annotations

import time

import pytest

from tesseract_grpc.engine.data.errors import EngineError, InvalidRequest, LimitExceeded, Reason
from tesseract_grpc.engine.query.expression.check import check_expression, check_template
from tesseract_grpc.engine.query.expression.limits import LIMITS, ExpressionLimits
from tesseract_grpc.engine.query.expression.problem import BadExpression
from tesseract_grpc.engine.query.filter import AllOf, Custom, check_filter
from tests.engine.expression_world import SCHEMA


def problems(text: str) -> list[str]:
    with pytest.raises(BadExpression) as refused:
        check_expression(text, SCHEMA)
    return [str(problem) for problem in refused.value.problems]


# Each: the text, the place, a part of the message, a part of the hint, the reason.
MISTAKES = [
    ("", "1:1", "empty", "a column's name", "BAD_EXPRESSION"),
    ("  \n ", "1:1", "empty", "", "BAD_EXPRESSION"),
    ("i +", "1:4", "a value must follow", "", "BAD_EXPRESSION"),
    ("i +\n  * 2", "2:3", "'*' cannot stand here", "a value must stand here", "BAD_EXPRESSION"),
    ("(i", "1:3", "before a ')'", "close the parenthesis", "BAD_EXPRESSION"),
    ("i)", "1:2", "')' cannot stand here", "", "BAD_EXPRESSION"),
    ("s[0", "1:4", "before a ']'", "close the bracket", "BAD_EXPRESSION"),
    ("b ? 1", "1:6", "before a ':'", "condition ? a : b", "BAD_EXPRESSION"),
    ("i j", "1:3", "'j' cannot stand here", "an operator is missing", "BAD_EXPRESSION"),
    ("i = 1", "1:3", "'=' cannot stand here", "compare with `==`", "BAD_EXPRESSION"),
    ("b & c", "1:3", "'&' cannot stand here", "write `&&`", "BAD_EXPRESSION"),
    ("b and c", "1:3", "'and' cannot stand here", "write `&&`", "BAD_EXPRESSION"),
    ("b or c", "1:3", "'or' cannot stand here", "write `||`", "BAD_EXPRESSION"),
    ("-2 ** 2", "1:4", "'**' cannot stand here", "(-2) ** 2", "BAD_EXPRESSION"),
    ("b ?? c || b", "1:8", "'||' cannot stand here", "parentheses", "BAD_EXPRESSION"),
    ("s == 'abc", "1:6", "cannot stand here", "not closed", "BAD_EXPRESSION"),
    ('"${i"', "1:2", "not closed", "close it with '}'", "BAD_EXPRESSION"),
    ('"${ }"', "1:4", "nothing between", "name a column", "BAD_EXPRESSION"),
    ('"a ${i + nope} b"', "1:10", "there is no column 'nope'", "the columns are", "UNKNOWN_COLUMN"),
    ("i between 1", "1:3", "two bounds", "x between 1 and 5", "BAD_EXPRESSION"),
    ("S == 'a'", "1:1", "there is no column 'S'", "did you mean 's'?", "UNKNOWN_COLUMN"),
    ("row['odd nam'] == 'a'", "1:5", "there is no column 'odd nam'", "did you mean 'odd name'?", "UNKNOWN_COLUMN"),
    ("Math", "1:1", "'Math' alone is no value", "Math.round(x)", "BAD_EXPRESSION"),
    ("Math.flor(f)", "1:6", "no function 'Math.flor'", "did you mean 'Math.floor'?", "BAD_EXPRESSION"),
    ("floor(f)", "1:1", "no function 'floor'", "did you mean 'Math.floor'?", "BAD_EXPRESSION"),
    ("Math.pow(f)", "1:6", "takes 2 arguments, not 1", "", "BAD_EXPRESSION"),
    ("s.toLowercase()", "1:3", "no method 'toLowercase'", "did you mean 'toLowerCase'?", "BAD_EXPRESSION"),
    ("i.trim()", "1:3", "INT64 has no method 'trim'", "String(x)", "BAD_EXPRESSION"),
    ("s.size", "1:3", "STRING has no member 'size'", "", "BAD_EXPRESSION"),
    ("t.getTime > 1", "1:3", "no member 'getTime'", "call it: .getTime()", "BAD_EXPRESSION"),
    ("s.split(i)", "1:3", "a text is needed", "String(x)", "WRONG_TYPE"),
    ("items.filter(1)", "1:14", "'filter' needs a function", "filter(x => x.value > 100)", "WRONG_TYPE"),
    ("items.reduce(s, 0)", "1:14", "'reduce' needs a function", "reduce((a, b) => a + b, 0)", "WRONG_TYPE"),
    ("items.map((a, b, c) => a)", "1:11", "at most 2 parameters", "its place", "BAD_EXPRESSION"),
    ("items.map((a, a) => a)", "1:11", "the same name", "", "BAD_EXPRESSION"),
    ("items.map(x => y)", "1:16", "there is no column 'y'", "the columns are", "UNKNOWN_COLUMN"),
    ("items.map(x => x) + x", "1:21", "there is no column 'x'", "", "UNKNOWN_COLUMN"),
    ("s.includes(x => x)", "1:12", "a function is no value", "items.filter", "BAD_EXPRESSION"),
    ("s.map(x => x)", "1:3", "STRING has no method 'map'", "", "BAD_EXPRESSION"),
    ("items.fliter(x => x)", "1:7", "JSON has no method 'fliter'", "did you mean 'filter'?", "BAD_EXPRESSION"),
    ("d.getTime()", "1:3", "JSON has no method 'getTime'", "new Date(x)", "BAD_EXPRESSION"),
    ("d[b]", "1:3", "BOOL is no place in a JSON value", "a name is a text", "WRONG_TYPE"),
    ("d + b", "1:3", "'+' does not work on FLOAT64 and BOOL column 'b'", "Number(x)", "WRONG_TYPE"),
    ("d > e", "1:3", "an order only among its own names", "String(x)", "WRONG_TYPE"),
    ("b ? d : i ? s : t", "1:11", "different types: STRING and TIMESTAMP", "String(x)", "WRONG_TYPE"),
    ("x => 1", "1:3", "'=' cannot stand here", "", "BAD_EXPRESSION"),
    ("'x'.padEnd(1048577)", "1:5", "the constant text is too long", "1048576", "BAD_EXPRESSION"),
    ("new Thing(1)", "1:1", "'new Thing' does not exist", "new Date(..)", "BAD_EXPRESSION"),
    ("s == 1", "1:3", "STRING column 's' cannot be compared with INT64", "Number(x)", "WRONG_TYPE"),
    ("t > 5", "1:3", "TIMESTAMP column 't' cannot be compared with INT64", "getTime", "WRONG_TYPE"),
    ("t > s", "1:3", "cannot be compared with STRING column 's'", "new Date(x)", "WRONG_TYPE"),
    ("t > 'soon'", "1:5", "'soon' is not an ISO 8601", "", "BAD_TIMESTAMP"),
    ("i < null", "1:3", "null can be compared only with == and !=", "x == null", "WRONG_TYPE"),
    ("e == 'Mid'", "1:6", "'Mid' is not one of low, mid, high", "", "BAD_ENUM_VALUE"),
    ("e < s", "1:3", "an order only among its own names", "String(x)", "WRONG_TYPE"),
    ("i * s", "1:3", "'*' does not work on INT64 column 'i' and STRING column 's'", "Number(x)", "WRONG_TYPE"),
    ("t + t", "1:3", "'+' does not work on TIMESTAMP", "1h", "WRONG_TYPE"),
    ("-s", "1:1", "STRING has no negative", "Number(x)", "WRONG_TYPE"),
    ("b ? 1 : 'a'", "1:3", "different types: INT64 and STRING", "String(x)", "WRONG_TYPE"),
    ("i ?? s", "1:3", "different types", "", "WRONG_TYPE"),
    ("s ~ i", "1:5", "needs a constant text", "includes", "WRONG_TYPE"),
    ("i ~ 'a'", "1:3", "works on texts", "String(x)", "WRONG_TYPE"),
    ("s ~ /(?=a)/", "1:5", "not a regular expression", "RE2", "BAD_REGEX"),
    ("s ~ /a/x", "1:5", "no flag 'x'", "", "BAD_REGEX"),
    ("s.match(/(a)/)[2]", "1:15", "the groups 0 to 1", "", "BAD_EXPRESSION"),
    ("s like 'a%\\\\'", "1:3", "", "", "MALFORMED_FILTER"),
    ("/a/", "1:1", "a pattern is no value", "", "BAD_EXPRESSION"),
    ("9223372036854775808", "1:1", "does not fit INT64", "9223372036854775808.0", "INT64_OVERFLOW"),
    ("9223372036854775807 + 1", "1:21", "no value in INT64", "doubles", "INT64_OVERFLOW"),
    ("5 % 0", "1:3", "no value in INT64", "", "INT64_OVERFLOW"),
    ("bucket(t, s)", "1:1", "needs a constant size", 'bucket(ts, "1h")', "BAD_EXPRESSION"),
    ("parseInt(s, 99)", "1:1", "the radix", "", "BAD_EXPRESSION"),
]


@pytest.mark.parametrize(("text", "place", "message", "hint", "reason"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_a_mistake(text: str, place: str, message: str, hint: str, reason: str) -> None:
    with pytest.raises(BadExpression) as refused:
        check_expression(text, SCHEMA, field="here")
    error = refused.value
    problem = error.problems[0]
    assert f"{problem.line}:{problem.column}" == place
    assert message in problem.message
    assert hint in problem.hint
    assert (problem.reason, error.reason) == (Reason(reason), Reason(reason))
    assert (error.field, error.hint, len(error.problems)) == ("here", problem.hint, 1)
    assert error.metadata == {"line": str(problem.line), "column": str(problem.column)}
    assert str(error).startswith(f"line {problem.line}, column {problem.column}: ")


def test_all_mistakes_are_told() -> None:
    found = problems("nope == 1 &&\n s > 2 || Math.flor(i) == s.trimm() &&\n (b ? 1 : 'x') in [t, 'a']")
    assert [each.split(": ", 1)[0] for each in found] == [
        "line 1, column 1",
        "line 2, column 4",
        "line 2, column 16",
        "line 2, column 29",
        "line 3, column 5",
    ]


def test_a_mistake_is_told_once() -> None:
    assert len(problems("Math.abs(nope) + 1 > 2 ? nope2 : 'a'")) == 2


def test_violations_carry_every_mistake() -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_filter(AllOf((Custom("nope == 1 && s == 2"),)), SCHEMA)
    violations = refused.value.violations
    assert [violation.reason for violation in violations] == [Reason.UNKNOWN_COLUMN, Reason.WRONG_TYPE]
    assert {violation.field for violation in violations} == {"filter.all_of.filters[0].custom"}
    assert "line 1, column 16" in violations[1].message
    assert "convert with Number(x)" in violations[1].message


def test_templates_are_placed() -> None:
    with pytest.raises(BadExpression) as refused:
        check_template("a ${i}\n b ${nope}", SCHEMA)
    assert (refused.value.problems[0].line, refused.value.problems[0].column) == (2, 6)
    assert check_template("${s}, ${i}", SCHEMA).type.name == "STRING"


def nested_far(levels: int, wide: int) -> str:
    """Functions within functions, many times."""
    text = "1"
    for level in range(levels):
        text = "+".join(f"items.map(x{level} => {text})" for _ in range(wide if level == levels - 1 else 3))
    return text


HOSTILE = {
    "parentheses": "(" * 10_000 + "1" + ")" * 10_000,
    "short parentheses": "(" * 4_990 + "1" + ")" * 4_990,
    "open": "(" * 9_999,
    "brackets": "[" * 9_999,
    "signs": "!" * 9_999 + "b",
    "minuses": "- " * 4_999 + "i",
    "chain": "1+" * 4_999 + "1",
    "powers": "2**" * 3_000 + "2",
    "questions": "b?1:" * 2_499 + "1",
    "open questions": "b?" * 4_999,
    "ands": "&&".join(["b"] * 3_300),
    "members": "s" + ".a" * 4_999,
    "calls": "s" + ".trim()" * 1_400,
    "quotes": '"' * 9_999,
    "escaped quotes": '"\\"' * 3_333,
    "holes": '"${' * 3_333,
    "backticks": "`${" * 3_333,
    "slashes": "/[" * 4_999,
    "regex": "s ~ /" + "(" * 900 + "a" + ")*" * 900 + "/",
    "regex repetition": "s ~ /((a{100}){100}){100}/",
    "regex alternatives": "s ~ /(a|a|a|a)*(a|a|a|a)*(a|a|a|a)*b{900}(\\pL{50}){20}/",
    "digits": "9" * 9_999,
    "letters": "x" * 10_001,
    "numbers": "1 " * 5_000,
    "list": f"i in [{','.join(['1'] * 4_000)}]",
    "patterns": "||".join(["s~/a/"] * 100),
    "functions": "items.map(x=>" * 700 + "1" + ")" * 700,
    "functions side by side": nested_far(3, 40),
    "heads": "(a,a" * 2_400,
    "long head": "items.map((" + "a," * 4_900 + "a) =>",
    "heads without arrows": "f(" + "(a,b)" * 1_900,
    "paths": "d" + ".a" * 4_900,
    "questions and points": "d" + "?.a" * 3_000,
    "tail": "\\" * 9_999,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_refused_quickly(name: str) -> None:
    check_expression("1", SCHEMA)  # the grammar is read once
    best = 1.0
    for _ in range(3):
        begun = time.process_time()
        with pytest.raises(EngineError) as refused:
            check_expression(HOSTILE[name], SCHEMA)
        best = min(best, time.process_time() - begun)
    assert refused.value.reason is not Reason.FEATURE_NOT_AVAILABLE
    assert len(refused.value.message) < 1_000
    assert best < (0.02 if "parentheses" in name or "regex" in name else 0.4)


def test_constant_texts_that_grow_are_refused() -> None:
    grown = "'a'" + ".replaceAll('a', 'aaaaaaaaaa')" * 20
    doubled = "'" + "a" * 900 + "'" + "".join(".concat('" + "a" * 900 + "')" for _ in range(6))
    for text in (grown, "'x'.padEnd(1000000) + 'y'.padEnd(1000000)", "'x'.padEnd(1000000)" + ".toUpperCase()" * 50):
        begun = time.process_time()
        assert ["too long" in each for each in problems(text)] == [True]
        assert time.process_time() - begun < 0.1
    assert check_expression(doubled, SCHEMA).type.name == "STRING"


def nested(levels: int) -> str:
    """Functions within functions."""
    text = "1"
    for level in range(levels):
        text = f"items.map(x{level} => {text})"
    return text


def test_limits_can_be_tightened() -> None:
    few = ExpressionLimits(max_length=20, max_depth=3, max_nodes=5, max_cost=80)
    check_expression("i + j", SCHEMA, limits=few)
    check_template("${i}", SCHEMA, limits=few)
    for text in ("i".ljust(21), "((((i))))", "i+i+i+i", "items.map(x=>x*2)"):
        with pytest.raises(LimitExceeded):
            check_expression(text, SCHEMA, limits=few)


def test_limits_are_what_they_say() -> None:
    check_expression(nested(3), SCHEMA)
    check_expression("(" * (LIMITS.max_depth - 1) + "i" + ")" * (LIMITS.max_depth - 1), SCHEMA)
    check_expression("-" * (LIMITS.max_depth - 1) + "i", SCHEMA)
    check_expression("||".join(["b"] * (LIMITS.max_nodes - 1)), SCHEMA)
    check_expression("i".ljust(LIMITS.max_length), SCHEMA)
    for text, limit in (
        ("(" * (LIMITS.max_depth + 1) + "i" + ")" * (LIMITS.max_depth + 1), "max_expression_depth"),
        ("-" * LIMITS.max_depth + "i", "max_expression_depth"),
        ("||".join(["b"] * LIMITS.max_nodes), "max_expression_nodes"),
        ("i".ljust(LIMITS.max_length + 1), "max_expression_length"),
        (nested(4), "max_expression_cost"),
        ("||".join(["items.some(x => x)"] * 200), "max_expression_cost"),
        ("items.map(x => x.map(y => [" + "y, " * 400 + "y]))", "max_expression_cost"),
    ):
        with pytest.raises(LimitExceeded) as refused:
            check_expression(text, SCHEMA, field="x")
        assert refused.value.metadata["limit"] == limit
        assert refused.value.field == "x"
