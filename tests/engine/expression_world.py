"""Random expressions and a naive evaluator of them, which shares nothing with the engine.

An expression is drawn as a nested tuple `(operator, operands...)` of a known type. `text` writes it down, and `truth`
computes it for one row, as the documents say, with None for null. What methods of arrays take is a tree too:
`("fn", kind, how many parameters, body)`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tests.engine import expression_json as js
from tests.engine.expression_json import NotKnown as NotKnown

Tree = tuple[Any, ...]
Row = dict[str, Any]

NAMES = ("low", "mid", "high")
SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("i", DataType.INT64),
        ColumnSchema("j", DataType.INT64),
        ColumnSchema("f", DataType.FLOAT64),
        ColumnSchema("g", DataType.FLOAT64),
        ColumnSchema("s", DataType.STRING),
        ColumnSchema("odd name", DataType.STRING),
        ColumnSchema("b", DataType.BOOL),
        ColumnSchema("c", DataType.BOOL),
        ColumnSchema("t", DataType.TIMESTAMP),
        ColumnSchema("u", DataType.TIMESTAMP),
        ColumnSchema("e", DataType.ENUM, enum_values=NAMES),
        ColumnSchema("d", DataType.JSON),
        ColumnSchema("items", DataType.JSON),
    )
)

BIG = 2**63 - 1
INTS = st.sampled_from([None, 0, 1, 2, -1, -3, 7, 1000, 2**53 + 1, BIG, -BIG - 1]) | st.integers(-3, 3)
FLOATS = st.sampled_from(
    [None, 0.0, 1.0, 0.5, -2.5, 1e300, math.nan, math.inf, -math.inf, 2.0**53, 9.3e18, 2.0**63]
) | st.integers(-3, 3).map(float)
TEXTS = st.sampled_from([None, "", "a", "A", "ab", "b a", "Ünï", "12", "1e3", " x ", "%", "ab,cd"])
TIMES = st.sampled_from([None, 0, -1, 1_500_001, 1_672_531_200_000_000, 1_709_210_096_123_456, -62_135_596_800_000_000])
VALUES: dict[str, list[Any]] = {
    "int": [None, 0, 1, -1, -3, 7, 2**53 + 1, BIG, -BIG - 1],
    "float": [None, 0.0, 0.5, -2.5, 3.0, 1e300, math.nan, math.inf, -math.inf, 2.0**53, 2.0**63, -(2.0**63)],
    "text": [None, "", "a", "A", "ab", " b a", "Ünï", "12", "1e3"],
    "bool": [None, True, False],
    "time": [None, 0, -1, 1_500_001, 1_709_210_096_123_456, -62_135_596_800_000_000, 253_402_300_799_999_999],
    "enum": [None, *NAMES],
    "json": js.DOCUMENTS,
}
"""Values at the edges of each kind, for tests that go through all combinations."""

ROWS = st.fixed_dictionaries(
    {"i": INTS, "j": INTS, "f": FLOATS, "g": FLOATS, "s": TEXTS, "odd name": TEXTS}
    | {"b": st.sampled_from([None, True, False]), "c": st.sampled_from([None, True, False])}
    | {"t": TIMES, "u": TIMES, "e": st.sampled_from([None, *NAMES])}
    | {"d": st.sampled_from(js.DOCUMENTS), "items": st.sampled_from(js.DOCUMENTS)}
)

LEAVES: dict[str, list[Tree]] = {
    "int": [("col", "i"), ("col", "j"), *(("lit", n) for n in (0, 1, 3, -2, 10**12))],
    "float": [("col", "f"), ("col", "g"), *(("lit", x) for x in (0.5, 2.0, -1.25, 1e300))],
    "text": [("col", "s"), ("col", "odd name"), *(("lit", x) for x in ("", "a", "b A", "12"))],
    "bool": [("col", "b"), ("col", "c"), ("lit", True), ("lit", False)],
    "time": [("col", "t"), ("col", "u")],
    "enum": [("col", "e")],
    "json": [("col", "d"), ("col", "items"), ("path", ("col", "d")), ("path", ("col", "items"))],
}
FUNCTIONS = {"cond": ("bool", "json", "text"), "mapper": ("json", "float", "text", "bool", "int"), "reducer": ("json",)}
"""The kinds of functions, and what they may give."""
CALLS: dict[str, list[tuple[str, ...]]] = {
    "int": [
        ("+", "int", "int"), ("-", "int", "int"), ("*", "int", "int"), ("%", "int", "int"), ("neg", "int"),
        ("Math.abs", "int"), ("Math.min", "int", "int"), ("Math.max", "int", "int"), ("length", "text"),
        ("indexOf", "text", "text"), ("getTime", "time"), ("getFullYear", "time"), ("getMonth", "time"),
        ("getDate", "time"), ("getDay", "time"), ("getHours", "time"), ("Number", "bool"),
        ("??", "int", "int"), ("||", "int", "int"), ("&&", "int", "int"), ("?:", "bool", "int", "int"),
        ("length", "json"), ("indexOf", "json", "json"), ("indexOf", "json", "int"), ("findIndex", "json", "cond"),
        ("parseInt", "json"),
    ],
    "float": [
        ("+", "float", "int"), ("-", "float", "float"), ("*", "int", "float"), ("/", "int", "int"),
        ("/", "float", "float"), ("%", "float", "float"), ("neg", "float"), ("Math.floor", "float"),
        ("Math.ceil", "float"), ("Math.trunc", "float"), ("Math.sqrt", "float"), ("Math.sign", "float"),
        ("Math.min", "float", "float"), ("parseFloat", "text"), ("Number", "text"),
        ("??", "float", "float"), ("||", "float", "int"), ("?:", "int", "float", "float"), ("-", "time", "time"),
        ("+", "json", "float"), ("*", "json", "json"), ("-", "int", "json"), ("/", "json", "int"), ("neg", "json"),
        ("Number", "json"), ("??", "json", "float"), ("||", "json", "int"), ("?:", "bool", "json", "float"),
        ("Math.floor", "json"),
    ],
    "text": [
        ("+", "text", "text"), ("+", "text", "int"), ("+", "bool", "text"), ("toLowerCase", "text"),
        ("toUpperCase", "text"), ("charAt", "text", "int"), ("substring", "text", "int", "int"),
        ("slice", "text", "int"), ("trim", "text"), ("replace", "text", "text", "text"), ("String", "enum"),
        ("??", "text", "text"), ("||", "text", "text"), ("?:", "text", "text", "text"), ("split0", "text", "text"),
        ("+", "json", "text"), ("String", "json"), ("join", "json"), ("toUpperCase", "json"), ("trim", "json"),
        ("??", "json", "text"), ("||", "json", "text"), ("?:", "json", "json", "text"), ("template", "json", "int"),
    ],
    "bool": [
        *((op, kind, kind) for op in ("==", "!=", "<", "<=", ">", ">=") for kind in ("int", "float", "text", "time")),
        ("<", "int", "float"), ("==", "float", "int"), (">=", "float", "int"), ("==", "bool", "bool"),
        ("<", "enum", "enum"), ("isnull", "int"), ("isnull", "text"), ("notnull", "float"), ("!", "bool"),
        ("!", "text"), ("!", "float"), ("&&", "bool", "bool"), ("||", "bool", "bool"), ("&&", "bool", "text"),
        ("||", "int", "text"), ("?:", "bool", "bool", "bool"), ("in", "int", "int", "int"),
        ("notin", "text", "text", "text"), ("between", "float", "int", "float"), ("includes", "text", "text"),
        *((op, "json", kind) for op in ("==", "<", "!=") for kind in ("int", "float", "text", "bool", "json", "time")),
        (">", "int", "json"), ("==", "json", "enum"), ("isnull", "json"), ("notnull", "json"), ("!", "json"),
        ("&&", "json", "bool"), ("||", "bool", "json"), ("some", "json", "cond"), ("every", "json", "cond"),
        ("includes", "json", "json"), ("includes", "json", "text"), ("includes", "json", "float"),
        ("in", "json", "text", "text"), ("notin", "json", "int", "float"), ("between", "json", "int", "json"),
        ("~", "json"), ("startsWith", "json", "text"), ("Boolean", "json"), ("?:", "json", "json", "bool"),
        ("startsWith", "text", "text"), ("isNaN", "float"), ("~", "text"), ("!~", "text"), ("Boolean", "text"),
    ],
    "time": [("bucket", "time"), ("+1h", "time"), ("??", "time", "time"), ("?:", "bool", "time", "time")],
    "enum": [],
    "json": [
        ("path", "json"), ("at", "json", "int"), ("slice", "json", "int"), ("split", "text", "text"),
        ("+", "json", "json"), ("array", "int", "text"), ("array", "json", "float"), ("array", "bool", "time"),
        ("map", "json", "mapper"), ("filter", "json", "cond"), ("find", "json", "cond"),
        ("reduce", "json", "reducer"), ("reduce", "json", "reducer", "int"), ("reduce", "json", "reducer", "text"),
        ("??", "json", "json"), ("||", "json", "json"), ("&&", "json", "json"), ("?:", "json", "json", "json"),
    ],
}  # fmt: skip


@st.composite
def trees(draw: st.DrawFn, kind: str, depth: int = 3, around: int = 0) -> Tree:
    """A random expression of a kind, inside of functions with so many parameters."""
    if kind in FUNCTIONS:
        count = 2 + draw(st.booleans()) if kind == "reducer" else draw(st.integers(0, 2))
        body = draw(trees(draw(st.sampled_from(FUNCTIONS[kind])), max(depth, 1), around + count))
        return ("fn", kind, around, count, body)
    if kind == "json" and around and draw(st.integers(0, 1)):
        return ("par", draw(st.integers(0, around - 1)))
    if depth == 0 or not CALLS[kind] or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(LEAVES[kind]))
    name, *kinds = draw(st.sampled_from(CALLS[kind]))
    return (name, *(draw(trees(each, depth - 1, around)) for each in kinds))


KINDS = st.sampled_from(["int", "float", "text", "bool", "time", "json"])


def text(tree: Tree) -> str:
    """The expression written down, every part in parentheses."""
    op, *rest = tree
    if op == "col":
        return f'row["{rest[0]}"]' if " " in rest[0] else str(rest[0])
    if op == "lit":
        value = rest[0]
        if isinstance(value, str):
            return "'" + value + "'"
        return str(value).lower() if isinstance(value, bool) else f"({value!r})"
    if op == "par":
        return f"p{rest[0]}"
    if op == "fn":
        _, around, count, body = rest
        return f"({', '.join(f'p{around + place}' for place in range(count))}) => {text(body)}"
    parts = [f"({text(part)})" if part[0] != "fn" else text(part) for part in rest]
    if op in ("at", "includes") and rest[0][0] in ("split", "array"):
        parts[0] += ".slice(0)"  # an item of `split(..)` is a STRING, and `[..].includes(x)` is `x in [..]`
    match op:
        case "path":
            return f"{parts[0]}.a"
        case "at":
            return f"{parts[0]}[{parts[1]}]"
        case "array":
            return f"[{', '.join(parts)}]"
        case "join":
            return f"{parts[0]}.join('-')"
        case "template" if templates(tree) > 2:  # one may stand in a hole of another, but not in one of that
            return f"[{', '.join(parts)}].join(':')"
        case "template":
            return f"`${{{parts[0]}}}:${{{parts[1]}}}`"
        case "neg":
            return f"-{parts[0]}"
        case "!":
            return f"!{parts[0]}"
        case "?:":
            return f"{parts[0]} ? {parts[1]} : {parts[2]}"
        case "isnull":
            return f"{parts[0]} == null"
        case "notnull":
            return f"null !== {parts[0]}"
        case "in" | "notin":
            return f"{parts[0]} {op} [{parts[1]}, {parts[2]}]"
        case "between":
            return f"{parts[0]} between {parts[1]} and {parts[2]}"
        case "~" | "!~":
            return f"{parts[0]} {op} 'A'"
        case "bucket":
            return f"bucket({parts[0]}, '1d')"
        case "+1h":
            return f"{parts[0]} + 1h"
        case "length":
            return f"{parts[0]}.length"
        case "split0":
            return f"{parts[0]}.split({parts[1]})[0]"
    if op[0].isalpha() and op[0].islower() and op not in ("parseFloat", "parseInt", "isNaN"):
        return f"{parts[0]}.{op}({', '.join(parts[1:])})"
    if op[0].isalpha():
        return f"{op}({', '.join(parts)})"
    return f" {op} ".join(parts)


def templates(tree: Tree) -> int:
    """How many levels of templates within templates there are."""
    inner = max((templates(part) for part in tree if isinstance(part, tuple)), default=0)
    return inner + int(tree[0] == "template")


def holds(value: Any) -> bool:
    return value is not None and value == value and value not in (0, "", False)


def fits(value: int) -> int | None:
    return value if -BIG - 1 <= value <= BIG else None


def order(left: Any, right: Any) -> int:
    """-1, 0 or 1; NaN above every number, numbers by their exact values."""
    if isinstance(left, float) or isinstance(right, float):
        if left != left or right != right:
            return int(left != left) - int(right != right)
        if not math.isinf(left) and not math.isinf(right):
            left, right = Fraction(left), Fraction(right)
    return int(left > right) - int(left < right)


COMPARE = {
    "==": lambda o: o == 0, "!=": lambda o: o != 0, "<": lambda o: o < 0,
    "<=": lambda o: o <= 0, ">": lambda o: o > 0, ">=": lambda o: o >= 0,
}  # fmt: skip


def truth(tree: Tree, row: Row, given: tuple[Any, ...] = ()) -> Any:
    """The value of an expression for a row, as the documents say; `given` are the parameters around it."""
    op, *rest = tree
    if op == "col":
        value = row[rest[0]]
        return json.loads(value) if rest[0] in ("d", "items") and value is not None else value
    if op == "lit":
        return rest[0]
    if op == "par":
        return given[rest[0]]
    kinds = [kind_of(part) for part in rest]
    if set(kinds) & set(FUNCTIONS):
        return _higher(op, rest, row, given)
    values = [truth(part, row, given) for part in rest]
    if op == "array":
        return [_in_json(value, each) for value, each in zip(values, kinds, strict=True)]
    if "json" in kinds:
        values, kinds = _converted(op, values, kinds)
    first = values[0]
    match op:
        case "isnull":
            return first is None
        case "notnull":
            return first is not None
        case "?:":
            return _unified(values[1] if condition(rest[0], row, given) is True else values[2], kinds[1:])
        case "??":
            return _unified(values[0] if first is not None else values[1], kinds)
        case "&&" | "||":
            return _logical(op, values, kinds)
        case "!":
            known = condition(rest[0], row, given)
            return None if known is None else not known
        case "Boolean":
            return holds(first)
        case "in" | "notin":
            found = _any([_compared("==", first, item, kinds[0]) for item in values[1:]])
            return found if op == "in" or found is None else not found
        case "between":
            sides = [_compared(way, first, bound, kinds[0]) for bound, way in ((values[1], ">="), (values[2], "<="))]
            return False if False in sides else None if None in sides else True
        case "template":
            return ":".join("" if value is None else js.text_of(value) for value in values)
    if any(value is None for value in values):
        return None
    if op in COMPARE and "json" in kinds:
        return js.compare(op, first, values[1], order)
    if "json" in kinds or op == "split":
        return js.operation(op, values, kinds)
    if op in COMPARE:
        if kinds[0] == "enum":
            values = [NAMES.index(value) for value in values]
        return COMPARE[op](order(*values))
    return _strict(op, values, kinds)


def condition(tree: Tree, row: Row, given: tuple[Any, ...] = ()) -> bool | None:
    """Whether an expression holds: the operands of `&&`, `||` and `!` are conditions themselves."""
    op, *rest = tree
    if op in ("&&", "||"):
        parts = [condition(part, row, given) for part in rest]
        return _any(parts) if op == "||" else False if False in parts else None if None in parts else True
    found, kind = truth(tree, row, given), kind_of(tree)
    known: bool | None = found if kind == "bool" else found is not None if kind == "time" else holds(found)
    return known


def _compared(op: str, left: Any, right: Any, kind: str) -> bool | None:
    if left is None or right is None:
        return None
    return js.compare(op, left, right, order) if kind == "json" else COMPARE[op](order(left, right))


def _higher(op: str, rest: list[Any], row: Row, given: tuple[Any, ...]) -> Any:
    """The methods that take a function."""
    array, (_, kind, _, count, body) = truth(rest[0], row, given), rest[1]

    def call(*values: Any) -> Any:
        around = (*given, *values[:count])
        if kind == "cond":
            return condition(body, row, around)
        return _in_json(truth(body, row, around), kind_of(body))

    if not isinstance(array, list):
        return None
    if op == "reduce":
        result = [_in_json(truth(part, row, given), kind_of(part)) for part in rest[2:]] or array[:1]
        for place in range(0 if rest[2:] else 1, len(array)):
            result = [call(result[0], array[place], place)]
        return result[0] if result else None
    results = [call(item, place) for place, item in enumerate(array)]
    kept = [place for place, keep in enumerate(results) if keep is True]
    return {
        "map": results, "filter": [array[place] for place in kept], "find": array[kept[0]] if kept else None,
        "findIndex": kept[0] if kept else -1, "some": bool(kept), "every": len(kept) == len(array),
    }[op]  # fmt: skip


def _in_json(value: Any, kind: str) -> Any:
    if kind != "time" or value is None:
        return value
    if not -62_135_596_800_000_000 <= value <= 253_402_300_799_999_999:
        return None
    when = datetime(1970, 1, 1) + timedelta(microseconds=value)
    return when.isoformat(timespec="microseconds" if value % 1000 else "milliseconds") + "Z"


CHOICES = ("??", "||", "&&", "?:")


def _converted(op: str, values: list[Any], kinds: list[str]) -> tuple[list[Any], list[str]]:
    """JSON values where other kinds are needed, and what the kinds are then."""
    start = 1 if op == "?:" else 0
    others = set(kinds[start:]) - {"json"}
    wanted = ""
    if op in CHOICES and others and (op in ("?:", "??") or others != {"bool"}):
        wanted = "float" if others & {"int", "float"} else others.pop()
    elif op in ("*", "-", "/", "neg", "Math.floor") or (op == "+" and others & {"int", "float"}):
        wanted = "float"
    elif op in ("toUpperCase", "trim", "startsWith", "~"):
        wanted = "text"
    elif op in COMPARE and "time" in others:
        wanted = "time"
    if not wanted:
        return values, kinds
    turned = [place >= start and kind == "json" for place, kind in enumerate(kinds)]
    changed = [js.as_kind(value, wanted) if turn else value for value, turn in zip(values, turned, strict=True)]
    return changed, [wanted if turn else kind for kind, turn in zip(kinds, turned, strict=True)]


def _any(tests: list[bool | None]) -> bool | None:
    return True if True in tests else None if None in tests else False


def _unified(value: Any, kinds: list[str]) -> Any:
    return float(value) if value is not None and "float" in kinds else value


def _logical(op: str, values: list[Any], kinds: list[str]) -> Any:
    same = len(set(kinds)) == 1 or set(kinds) == {"int", "float"}
    if same and kinds[0] != "bool":
        return _unified(values[0] if holds(values[0]) is (op == "||") else values[1], kinds)
    known = [value if kind == "bool" else holds(value) for value, kind in zip(values, kinds, strict=True)]
    if op == "||":
        return _any(known)
    return False if False in known else None if None in known else True


def _strict(op: str, values: list[Any], kinds: list[str]) -> Any:
    first = values[0]
    second: Any = values[1] if len(values) > 1 else None
    if "text" in kinds or "enum" in kinds:
        return _text(op, values)
    if "time" in kinds:
        return _time(op, first, second)
    if op in ("Number", "isNaN"):
        return int(first) if op == "Number" else first != first
    if "float" in kinds or op == "/":
        return _float(op, *map(float, values))
    ways: dict[str, Callable[[], Any]] = {
        "+": lambda: first + second, "-": lambda: first - second, "*": lambda: first * second, "neg": lambda: -first,
        "%": lambda: None if second == 0 else int(math.copysign(1, first)) * (abs(first) % abs(second)),
        "Math.abs": lambda: abs(first), "Math.min": lambda: min(values), "Math.max": lambda: max(values),
    }  # fmt: skip
    result = ways[op]()
    return None if result is None else fits(result)


def _float(op: str, first: float, second: float = 0.0) -> float:
    nan = first != first or second != second
    if op == "/":
        if nan or not (first or second):
            return math.nan
        return first / second if second else math.copysign(math.inf, first)
    if op == "%":
        return math.nan if nan or second == 0 or math.isinf(first) else math.fmod(first, second)
    if op in ("+", "-", "*"):
        return {"+": first + second, "-": first - second, "*": first * second}[op]
    if op == "Math.min":
        return math.nan if nan else min(first, second)
    if op == "neg":
        return -first
    if nan:
        return first
    if op == "Math.sign":
        return float((first > 0) - (first < 0))
    if op == "Math.sqrt":
        return math.nan if first < 0 else math.sqrt(first)
    if math.isinf(first):
        return first
    return float(math.floor(first) if op == "Math.floor" else math.ceil(first) if op == "Math.ceil" else int(first))


def _text(op: str, values: list[Any]) -> Any:
    first, *others = values
    if op == "+":
        return "".join(value if isinstance(value, str) else str(value).lower() for value in values)
    if op in ("parseFloat", "Number"):
        known = {"12": 12.0, "1e3": 1000.0, "": 0.0 if op == "Number" else math.nan}
        stripped = first.strip()
        if stripped in known:
            return known[stripped]
        raise NotKnown(first)
    length = len(first)
    clamp = [min(max(other, 0), length) for other in others if isinstance(other, int)]
    return {
        "length": lambda: length,
        "indexOf": lambda: first.find(others[0]),
        "toLowerCase": first.lower, "toUpperCase": first.upper, "trim": first.strip,
        "charAt": lambda: first[others[0]] if 0 <= others[0] < length else "",
        "substring": lambda: first[min(clamp) : max(clamp)],
        "slice": lambda: first[others[0] :],
        "replace": lambda: first.replace(others[0], others[1], 1),
        "String": lambda: first,
        "split0": lambda: first.split(others[0])[0] if others[0] else (first[0] if first else None),
        "includes": lambda: others[0] in first,
        "startsWith": lambda: first.startswith(others[0]),
        "~": lambda: "a" in first.casefold(), "!~": lambda: "a" not in first.casefold(),
    }[op]()  # fmt: skip


def _time(op: str, first: int, second: int | None) -> Any:
    if op == "-":
        distance = fits(first - (second or 0))
        return None if distance is None else distance / 1000
    if op == "+1h":
        return fits(first + 3_600_000_000)
    if op == "bucket":
        return first // 86_400_000_000 * 86_400_000_000
    if op == "getTime":
        return first // 1000
    when = datetime(1970, 1, 1) + timedelta(microseconds=first)
    parts = {"getFullYear": when.year, "getMonth": when.month - 1, "getDate": when.day, "getHours": when.hour}
    return parts.get(op, when.isoweekday() % 7)


def kind_of(tree: Tree) -> str:
    """The kind of an expression."""
    op, *rest = tree
    if op == "col":
        return {"i": "int", "j": "int", "f": "float", "g": "float", "b": "bool", "c": "bool", "t": "time", "u": "time",
                "e": "enum", "d": "json", "items": "json"}.get(rest[0], "text")  # fmt: skip
    if op == "lit":
        return {bool: "bool", int: "int", float: "float", str: "text"}[type(rest[0])]
    if op in ("par", "fn"):
        return "json" if op == "par" else str(rest[0])
    kinds = tuple(kind_of(part) for part in rest)
    exact = [kind for kind, calls in CALLS.items() if (op, *kinds) in calls]
    if len(exact) == 1:
        return exact[0]
    raise AssertionError(f"{op} {kinds} is drawn for {exact}")
