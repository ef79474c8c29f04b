"""Precedence and associativity as in JavaScript, literals, and what of a custom filter becomes ordinary nodes."""

from __future__ import annotations

from typing import Any

import pytest

from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.expression import syntax
from tesseract_grpc.engine.query.expression.check import check_expression
from tesseract_grpc.engine.query.expression.parse import parse, parse_counts
from tesseract_grpc.engine.query.expression.problem import BadExpression
from tesseract_grpc.engine.query.expression.typed import Constant
from tesseract_grpc.engine.query.filter import (
    AllOf,
    AnyOf,
    Between,
    Compare,
    CompareOp,
    Custom,
    Expression,
    Filter,
    In,
    Like,
    Negate,
    NullTest,
    Regex,
    check_filter,
)
from tesseract_grpc.engine.query.literal import Timestamp
from tesseract_grpc.engine.query.query import Query
from tests.engine.expression_world import SCHEMA


def shape(node: syntax.Node) -> str:
    """The tree with every operation in parentheses."""
    match node:
        case syntax.Literal(value=value):
            return repr(value)
        case syntax.Name(name=name):
            return name
        case syntax.Unary(op=op, operand=operand):
            return f"({op}{shape(operand)})"
        case syntax.Binary(op=op, left=left, right=right):
            return f"({shape(left)} {op} {shape(right)})"
        case syntax.Logical(op=op, operands=operands):
            return f"({f' {op} '.join(map(shape, operands))})"
        case syntax.Choose(condition=condition, then=then, otherwise=otherwise):
            return f"({shape(condition)} ? {shape(then)} : {shape(otherwise)})"
        case syntax.Membership(target=target, items=items, negated=negated):
            return f"({shape(target)} {'notin' if negated else 'in'} {[shape(item) for item in items.items]})"
        case syntax.Range(target=target, lower=lower, upper=upper):
            return f"({shape(target)} between {shape(lower)} and {shape(upper)})"
        case syntax.Invoke(target=target, name=name, arguments=arguments):
            before = "" if target is None else f"{shape(target)}."
            return f"{before}{name}({', '.join(map(shape, arguments))})"
        case syntax.Function(parameters=parameters, body=body):
            return f"[{' '.join(parameters)}: {shape(body)}]"
        case syntax.Member(target=target, name=name):
            return f"{shape(target)}.{name}"
        case syntax.Index(target=target, place=place):
            return f"{shape(target)}[{shape(place)}]"
        case syntax.Array(items=items):
            return f"<{' '.join(map(shape, items))}>"
    return type(node).__name__


PRECEDENCE = {
    "q*p+1": "((q * p) + 1)",
    "1+q*p": "(1 + (q * p))",
    "q-1-1": "((q - 1) - 1)",
    "q/2/2*3%4": "((((q / 2) / 2) * 3) % 4)",
    "2**3**2": "(2 ** (3 ** 2))",
    "2**-1": "(2 ** (-1))",
    "(-2)**2": "((-2) ** 2)",
    "-q*2": "((-q) * 2)",
    "- -q": "(-(-q))",
    "!a == b": "((!a) == b)",
    "!!a": "(!(!a))",
    "a == b == c": "((a == b) == c)",
    "a < b == c > d": "((a < b) == (c > d))",
    "a + 1 < b * 2": "((a + 1) < (b * 2))",
    "a || b && c": "(a || (b && c))",
    "a && b || c && d || e": "((a && b) || (c && d) || e)",
    "a || b ? c : d": "((a || b) ? c : d)",
    "a ? b : c ? d : e": "(a ? b : (c ? d : e))",
    "a ? b ? c : d : e": "(a ? (b ? c : d) : e)",
    "a ?? b ?? c": "(a ?? b ?? c)",
    "a ?? b == c": "(a ?? (b == c))",
    "(a ?? b) || c": "((a ?? b) || c)",
    "a in [1, 2] && b": "((a in ['1', '2']) && b)",
    "a notin (1)": "(a notin ['1'])",
    "a not in (1, 2) == c": "((a notin ['1', '2']) == c)",
    "a + 1 in [2]": "((a + 1) in ['2'])",
    "a between 1 and 2 && b": "((a between 1 and 2) && b)",
    "a between [1, 2] || b": "((a between 1 and 2) || b)",
    "a ~ 'x' && b !~ 'y'": "((a ~ 'x') && (b !~ 'y'))",
    "a like 'x' == true": "((a like 'x') == True)",
    "a not like 'x'": "(a notlike 'x')",
    "a === 1 !== b": "((a === 1) !== b)",
    "a.f(1).g() + 1": "(a.f(1).g() + 1)",
    "a / b / 2": "((a / b) / 2)",
    "index + inner": "(index + inner)",
    "a.f(x => x + 1).g": "a.f([x: (x + 1)]).g",
    "a.f(x=>x?1:2, b)": "a.f([x: (x ? 1 : 2)], b)",
    "a.f((x, y) => x || y, (b))": "a.f([x y: (x || y)], b)",
    "a.f(( $x\n,_y )  =>\n$x)": "a.f([$x _y: $x])",
    "a.f(() => 1)": "a.f([: 1])",
    "a.f(x => b.g(y => x + y))": "a.f([x: b.g([y: (x + y)])])",
    "a.f((x), y)": "a.f(x, y)",
    "a?.b?.[0]": "a.b[0]",
    "a?.(b)": "BAD",
    "a?.b[0].c": "a.b[0].c",
    "a?.5:1": "(a ? 0.5 : 1)",
    "a ? .b : c": "BAD",
    "[a, [b]][0] + 1": "(<a <b>>[0] + 1)",
    "[].length": "<>.length",
}


@pytest.mark.parametrize("text", PRECEDENCE)
def test_precedence(text: str) -> None:
    if PRECEDENCE[text] == "BAD":
        with pytest.raises(BadExpression):
            parse(text)
    else:
        assert shape(parse(text)) == PRECEDENCE[text]


LITERALS: dict[str, Any] = {
    "1": 1, "1.0": 1.0, ".5": 0.5, "5.": 5.0, "1e3": 1000.0, "1.5E-2": 0.015, "0x1F": 31, "007": 7,
    "9223372036854775807": 2**63 - 1, "-9223372036854775808": -(2**63), "9223372036854775808.0": 2.0**63,
    "1s": 1000, "90m": 5_400_000, "1.5h": 5_400_000, "7d": 604_800_000, "1w": 604_800_000, "20ms": 20, "0.5ms": 0.5,
    "'a'": "a", '"a"': "a", r"'it\'s'": "it's", r'"\n\t\\\"\x41\u00e9\u{1F600}"': '\n\t\\"Aé😀',
    r"'\ud83d\ude00'": "😀", "'${x}'": "${x}", r'"\${x}"': "${x}", "'😀'": "😀", "`a\nb`": "a\nb", "`${1 + 2}!`": "3!",
    "`a${`b${1}` + `c`}d${'}'}`": "ab1cd}", "`$${1}{`": "$1{", r"`\`\${`": "`${",
    '"a ${1} b ${\'c\'} d"': "a 1 b c d", "true": True, "false": False, "null": None, "undefined": None,
    "Infinity": float("inf"), "-Infinity": -float("inf"), "Math.PI": 3.141592653589793, "0.1 + 0.2": 0.1 + 0.2,
}  # fmt: skip


@pytest.mark.parametrize("text", LITERALS)
def test_literals(text: str) -> None:
    root = check_expression(text, SCHEMA).root
    assert isinstance(root, Constant)
    assert (type(root.value), root.value) == (type(LITERALS[text]), LITERALS[text])


EQ, NE, LT, LE, GT, GE = CompareOp
LOWERED: dict[str, Filter] = {
    "i > 5": Compare("i", GT, 5),
    "5 < i": Compare("i", GT, 5),
    "i == 2.0 && s == 'a'": AllOf((Compare("i", EQ, 2), Compare("s", EQ, "a"))),
    "i == 1 || i == 2": In("i", (1, 2)),
    "!(i > 5 || b)": AllOf((Compare("i", LE, 5), Compare("b", EQ, False))),
    "i in [1, 2, 3]": In("i", (1, 2, 3)),
    "['a', 'b'].includes(s)": In("s", ("a", "b")),
    "s notin ('a', 'b')": In("s", ("a", "b"), True),
    "s notin ('a', null)": In("s", ("a", None), True),
    "i between 1 and 5": Between("i", 1, 5),
    "t >= '2024-02-29' && t < '2024-03-01T00:00:00Z'": AllOf(
        (Compare("t", GE, "2024-02-29"), Compare("t", LT, Timestamp(1_709_251_200_000_000)))
    ),
    "i == null": NullTest("i"),
    "null !== row['odd name']": NullTest("odd name", True),
    "e >= 'mid'": Compare("e", GE, "mid"),
    "e in ['low', 'high']": In("e", ("low", "high")),
    "s ~ 'ab'": Like("s", "ab"),
    "s notlike 'a%b'": Like("s", "a%b", True),
    "e like 'm%'": Like("e", "m%"),
    "/a+b/i.test(s)": Regex("s", "a+b", True),
    "s !~ /^x/": Regex("s", "^x", negated=True),
    "b": Compare("b", EQ, True),
    "!b": Compare("b", EQ, False),
    "s": AllOf((NullTest("s", True), Compare("s", NE, ""))),
    "!s": AnyOf((NullTest("s"), Compare("s", EQ, ""))),
    "i && f": AllOf((Compare("i", NE, 0), Compare("f", NE, 0.0), Compare("f", LE, float("inf")))),
    "1 == 1": AllOf(()),
    "1 > 2 && i == 1": AnyOf(()),
    "i > null + 1": AnyOf(()),
}


@pytest.mark.parametrize("text", LOWERED)
def test_conditions_become_ordinary_nodes(text: str) -> None:
    assert check_filter(Custom(text), SCHEMA) == check_filter(LOWERED[text], SCHEMA)


def test_parameters_hide_columns_and_have_no_names() -> None:
    texts = ["items.map(i => i + j)", "items.map(s => s + j)", "items?.map((Math) => Math + row.j)"]
    roots = {check_expression(text, SCHEMA).root for text in texts}
    assert len(roots) == 1
    assert check_expression(texts[0], SCHEMA).columns == ("items", "j")
    filters = {check_filter(Custom(text), SCHEMA) for text in texts}
    assert len(filters) == 1
    inner = check_expression("items.map(x => items.map(x => x + 1).length + x)", SCHEMA).root
    assert inner == check_expression("items.map(a => items.map(b => b + 1).length + a)", SCHEMA).root
    assert inner != check_expression("items.map(a => items.map(b => a + 1).length + a)", SCHEMA).root


def test_the_rest_stays_an_expression() -> None:
    found = check_filter(Custom("i == 1 && f * j > 4 && s ~ 'x'"), SCHEMA)
    assert isinstance(found, AllOf)
    assert [type(each) for each in found.filters] == [Compare, Like, Expression]


def test_equal_meanings_share_a_plan() -> None:
    hub = Hub("test", epoch="test")
    hub.create_table("t", SCHEMA)
    texts = ["f * j > 4 && i == 1", "1 === i && 4.0 < (f*j)", "!(i != 1 || f * j <= 4)"]
    for number, text in enumerate(texts):
        hub.open_session(Query("t", Custom(text)), f"s{number}")
    tree = AllOf((Compare("i", EQ, 1), Custom("f * j > 4"), Negate(Custom("j * f <= 4 && false"))))
    hub.open_session(Query("t", tree), "tree")
    assert len({check_filter(Custom(text), SCHEMA) for text in texts} | {check_filter(tree, SCHEMA)}) == 1


def test_a_column_may_have_any_name() -> None:
    names = ("in", "like", "row", "Math", "a.b", "ünï", "$x", "between", "true")
    columns = (ColumnSchema("id", DataType.INT64, primary_key=True), *(ColumnSchema(n, DataType.INT64) for n in names))
    schema = TableSchema(columns)
    assert check_expression("in + like + between + $x + ünï", schema).columns == ("in", "like", "between", "$x", "ünï")
    for name in names:
        assert check_expression(f'row["{name}"]', schema).columns == (name,)
    assert check_expression("Math + 1", schema).columns == ("Math",)


def test_texts_are_parsed_once_and_only_short_ones_are_kept() -> None:
    text = "i + 12345 * (j - 54321)"
    before = parse_counts()
    assert parse(text) is parse(text)
    after = parse_counts()
    assert (after.hits - before.hits, after.misses - before.misses) == (1, 1)
    long = f"s == '{'x' * 600}'"
    assert parse(long) == parse(long)
    for _ in range(2):
        with pytest.raises(BadExpression):
            parse("i + * 12345")
    assert parse_counts().misses == after.misses + 2, "what is refused is read again"
    for number in range(600):
        parse(f"i + {number}.5")
    assert parse_counts().kept == 512
    assert parse(text) == parse(text)
