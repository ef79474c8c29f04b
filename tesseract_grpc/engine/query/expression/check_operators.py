"""The rules of the operators: which types they take, what they convert, and what they give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.timestamps import parse_timestamp
from tesseract_grpc.engine.query.expression import syntax
from tesseract_grpc.engine.query.expression.ordering import sort_key
from tesseract_grpc.engine.query.expression.typed import Call, ColumnRef, Constant, Rank, Type, Typed, columns_of

if TYPE_CHECKING:
    from tesseract_grpc.engine.query.expression.check import Checker

COMPARISONS = {"==": "eq", "===": "eq", "!=": "ne", "!==": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_SAME = ("eq", "ne")
_MIRRORS = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
_MIRRORED = _MIRRORS | {f"json_{op}": f"json_{mirror}" for op, mirror in _MIRRORS.items()}
_ARITHMETIC = {"+": "add", "-": "sub", "*": "mul", "/": "div", "%": "mod", "**": "pow"}
_WRONG = Reason.WRONG_TYPE

MAX_ITEMS = 1_000
"""The most items of a list after `in`."""


class Operators:
    """Checks what stands between operands."""

    def __init__(self, checker: Checker) -> None:
        self.checker = checker

    def unary(self, node: syntax.Unary) -> Typed:
        checker = self.checker
        if node.op == "!":
            return checker.condition(node)
        if node.op == "-" and isinstance(node.operand, syntax.Literal) and type(node.operand.value) in (int, float):
            return checker.literal(node.operand, negative=True)
        value = checker.value(node.operand)
        if node.op == "+":
            return checker.calls.to_number(value, node)
        if value.type is Type.NULL:
            return Constant(Type.NULL, None, node.line, node.column)
        if value.type is Type.INVALID:
            return value
        if value.type is Type.JSON:
            value = checker.documents.number(value)
        if not value.type.is_number:
            return checker.wrong(node, f"a {value.type.name} has no negative", _number_hint(value), _WRONG)
        return checker.call(value.type, "neg_int" if value.type is Type.INT64 else "neg", value, at=node)

    def binary(self, node: syntax.Binary) -> Typed:
        checker = self.checker
        left = checker.value(node.left)
        if node.op in ("~", "!~", "like", "notlike"):
            return self.like(node, left)
        right = checker.value(node.right)
        if Type.INVALID in (left.type, right.type):
            return Constant(Type.INVALID, None, node.line, node.column)
        if node.op in COMPARISONS:
            return self.compare(COMPARISONS[node.op], left, right, node)
        return self.arithmetic(node, left, right)

    def arithmetic(self, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
        checker = self.checker
        types = (left.type, right.type)
        if node.op == "+" and (left.type.is_text or right.type.is_text):
            return self.concat([left, right], node)
        if Type.JSON in types:
            return checker.documents.arithmetic(node, left, right)
        if Type.TIMESTAMP in types and node.op in ("+", "-"):
            return self.time_arithmetic(node, left, right)
        if not all(type.is_number or type is Type.NULL for type in types):
            bad = left if not (left.type.is_number or left.type is Type.NULL) else right
            hint = _number_hint(bad)
            message = f"'{node.op}' does not work on {_named(left)} and {_named(right)}"
            return checker.wrong(node, message, hint, _WRONG)
        if types == (Type.NULL, Type.NULL):
            return Constant(Type.NULL, None, node.line, node.column)
        op = _ARITHMETIC[node.op]
        if Type.FLOAT64 in types or node.op in ("/", "**"):
            return checker.call(Type.FLOAT64, op, self.to_float(left), self.to_float(right), at=node)
        left, right = checker.typed_null(left, Type.INT64), checker.typed_null(right, Type.INT64)
        return checker.call(Type.INT64, f"{op}_int", left, right, at=node)

    def time_arithmetic(self, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
        checker = self.checker
        if node.op == "-" and left.type is right.type:
            return checker.call(Type.FLOAT64, "time_difference", left, right, at=node)
        if node.op == "+" and right.type is Type.TIMESTAMP:
            left, right = right, left
        if left.type is Type.TIMESTAMP and (right.type.is_number or right.type is Type.NULL):
            op = "add_millis" if node.op == "+" else "subtract_millis"
            return checker.call(Type.TIMESTAMP, op, left, checker.typed_null(right, Type.INT64), at=node)
        hint = "a number of milliseconds or a duration such as 1h can be added to a time, or taken from it"
        return checker.wrong(node, f"'{node.op}' does not work on {_named(left)} and {_named(right)}", hint, _WRONG)

    def to_float(self, value: Typed) -> Typed:
        """A number as a double."""
        if value.type is Type.INT64:
            return self.checker.call(Type.FLOAT64, "to_float", value, at=value)
        return self.checker.typed_null(value, Type.FLOAT64)

    def concat(self, values: Sequence[Typed], at: syntax.Node) -> Typed:
        """Texts joined; what is no text becomes one."""
        texts: list[Typed] = []
        for text in map(self.to_text, values):
            texts.extend(text.arguments if isinstance(text, Call) and text.op == "concat" else (text,))
        return self.checker.call(Type.STRING, "concat", *texts, at=at)

    def to_text(self, value: Typed) -> Typed:
        """A value as text."""
        checker = self.checker
        match value.type:
            case Type.STRING | Type.INVALID:
                return value
            case Type.NULL:
                return checker.typed_null(value, Type.STRING)
            case Type.BOOL:
                return checker.call(Type.STRING, "bool_text", value, at=value)
            case Type.INT64 | Type.FLOAT64:
                return checker.call(Type.STRING, "number_text", value, at=value)
            case Type.TIMESTAMP:
                return checker.call(Type.STRING, "iso_text", value, at=value)
            case Type.JSON:
                return checker.call(Type.STRING, "json_text_of", value, at=value)
        return checker.call(Type.STRING, "same_text", value, at=value)

    def template(self, node: syntax.Template) -> Typed:
        """The parts joined; a null part is the empty text."""
        empty = Constant(Type.STRING, "", node.line, node.column)
        texts = [self.to_text(self.checker.value(part)) for part in node.parts]
        filled = [self.checker.call(Type.STRING, "coalesce", text, empty, at=node) for text in texts]
        return self.concat(filled or [empty], node)

    def compare(self, op: str, left: Typed, right: Typed, at: syntax.Node) -> Typed:
        """A comparison; with the literal null, the null test."""
        checker = self.checker
        if Type.INVALID in (left.type, right.type):
            return Constant(Type.INVALID, None, at.line, at.column)
        if Type.NULL in (left.type, right.type):
            if op not in _SAME:
                return checker.wrong(at, "null can be compared only with == and !=", "use `x == null`", _WRONG)
            other = right if left.type is Type.NULL else left
            return checker.call(Type.BOOL, "is_null" if op == "eq" else "not_null", other, at=at)
        if Type.JSON in (left.type, right.type):
            return checker.documents.compare(op, left, right, at)
        left, right = self.as_times(left, right), self.as_times(right, left)
        if Type.ENUM in (left.type, right.type):
            return self.compare_enum(op, left, right, at)
        if Type.INVALID in (left.type, right.type):
            return Constant(Type.INVALID, None, at.line, at.column)
        if left.type is right.type or (left.type.is_number and right.type.is_number):
            return self.ordered(op, left, right, at)
        return checker.wrong(
            at, f"{_named(left)} cannot be compared with {_named(right)}", _compare_hint(left, right), _WRONG
        )

    def as_times(self, value: Typed, other: Typed) -> Typed:
        """A constant text beside a time, as the time that it stands for."""
        if other.type is not Type.TIMESTAMP or value.type is not Type.STRING or not isinstance(value, Constant):
            return value
        if value.value is None:
            return Constant(Type.TIMESTAMP, None, value.line, value.column)
        try:
            return Constant(Type.TIMESTAMP, parse_timestamp(str(value.value)), value.line, value.column)
        except InvalidRequest as error:
            return self.checker.wrong(value, error.message, "", error.reason)

    def compare_enum(self, op: str, left: Typed, right: Typed, at: syntax.Node) -> Typed:
        """Enum values in the order of their declaration: with one of the names, or with the same enum."""
        checker = self.checker
        ranked = self.ranks(left, right)
        if ranked is not None:
            return self.ordered(op, *ranked, at)
        if not (left.type.is_text and right.type.is_text):
            message = f"{_named(left)} cannot be compared with {_named(right)}"
            return checker.wrong(at, message, "compare an ENUM with one of its names", _WRONG)
        if op not in _SAME:
            hint = "compare String(x) for the order of the texts"
            return checker.wrong(at, "an ENUM has an order only among its own names", hint, _WRONG)
        return self.ordered(op, self.to_text(left), self.to_text(right), at)

    def ordered(self, op: str, left: Typed, right: Typed, at: syntax.Node) -> Typed:
        """A comparison with what depends on no column, if there is such a side, on the right."""
        if not columns_of(left) and (columns_of(right) or isinstance(left, Constant)):
            left, right, op = right, left, _MIRRORED[op]
        return self.checker.call(Type.BOOL, op, left, _as_exact(right, left.type), at=at)

    def ranks(self, left: Typed, right: Typed) -> tuple[Typed, Typed] | None:
        """Both sides as ranks; None when they are not of one enum."""
        names = {self.names(side) for side in (left, right) if isinstance(side, ColumnRef)} - {()}
        if len(names) != 1:
            return None
        (declared,) = names
        both = [self.rank(side, declared) for side in (left, right)]
        return None if both[0] is None or both[1] is None else (both[0], both[1])

    def names(self, side: ColumnRef) -> tuple[str, ...]:
        return self.checker.schema.column(side.name).enum_values

    def rank(self, side: Typed, names: tuple[str, ...]) -> Typed | None:
        if isinstance(side, ColumnRef) and side.type is Type.ENUM:
            return Rank(side.name, side.line, side.column)
        if not isinstance(side, Constant) or side.type is not Type.STRING:
            return None
        if side.value is None:
            return Constant(Type.INT64, None, side.line, side.column)
        text = str(side.value)
        if text in names:
            return Constant(Type.INT64, names.index(text), side.line, side.column)
        message = f"'{text[:60]}' is not one of {', '.join(names[:20])}"
        return self.checker.wrong(side, message, "", Reason.BAD_ENUM_VALUE)

    def logical(self, node: syntax.Logical) -> Typed:
        checker = self.checker
        values = [checker.value(operand) for operand in node.operands]
        types = {value.type for value in values} - {Type.NULL}
        if Type.INVALID in types:
            return Constant(Type.INVALID, None, node.line, node.column)
        if node.op == "??":
            unified = self.unify(values, node, "'??'")
            return checker.call(unified[0].type, "coalesce", *unified, at=node)
        if Type.JSON in types and len(types) > 1 and Type.BOOL not in types and one_kind(types - {Type.JSON}):
            values = checker.documents.unified(values, types)
            types = {value.type for value in values} - {Type.NULL}
        same = len(types) < 2 or all(type.is_number for type in types) or all(type.is_text for type in types)
        if not same or types <= {Type.BOOL}:
            return checker.call(Type.BOOL, "and" if node.op == "&&" else "or", *map(checker.truth, values), at=node)
        unified = self.unify(values, node, f"'{node.op}'")
        op = "first_false" if node.op == "&&" else "first_true"
        return checker.call(unified[0].type, op, *unified, at=node)

    def choose(self, node: syntax.Choose) -> Typed:
        checker = self.checker
        condition = checker.condition(node.condition)
        values = self.unify([checker.value(node.then), checker.value(node.otherwise)], node, "the sides of '? :'")
        return checker.call(values[0].type, "choose", condition, *values, at=node)

    def unify(self, values: Sequence[Typed], at: syntax.Node, what: str) -> list[Typed]:
        """The values as values of one type; nulls take the type of the others."""
        types = {value.type for value in values} - {Type.NULL}
        if Type.INVALID in types:
            return [Constant(Type.INVALID, None, at.line, at.column)] * len(values)
        if not types:
            return list(values)
        if len(types) == 1:
            (type,) = types
            return [self.checker.typed_null(value, type) for value in values]
        if all(type.is_number for type in types):
            return [self.to_float(value) for value in values]
        if all(type.is_text for type in types):
            return [self.to_text(value) for value in values]
        if Type.JSON in types and one_kind(types - {Type.JSON}):
            return self.unify(self.checker.documents.unified(values, types), at, what)
        if types == {Type.TIMESTAMP, Type.STRING}:
            times = [self.as_times(v, Constant(Type.TIMESTAMP, 0)) for v in values]
            if {value.type for value in times} <= {Type.TIMESTAMP, Type.NULL}:
                return [self.checker.typed_null(value, Type.TIMESTAMP) for value in times]
        names = " and ".join(sorted(type.name for type in types))
        hint = "make them one type, for example with String(x) or Number(x)"
        return [self.checker.wrong(at, f"{what} have different types: {names}", hint, _WRONG)] * len(values)

    def membership(self, node: syntax.Membership) -> Typed:
        checker = self.checker
        target = checker.value(node.target)
        if len(node.items.items) > MAX_ITEMS:
            return checker.wrong(node, f"a list may have at most {MAX_ITEMS} items", "use the membership filter")
        items = [checker.value(item) for item in node.items.items]
        found = self.one_of(target, items, node)
        return checker.call(Type.BOOL, "not", found, at=node) if node.negated else found

    def one_of(self, target: Typed, items: Sequence[Typed], at: syntax.Node) -> Typed:
        """Whether the target equals an item; unknown when it equals none and one of them is null."""
        checker = self.checker
        null = Constant(Type.BOOL, None, at.line, at.column)
        tests = [null if item.type is Type.NULL else self.compare("eq", target, item, at) for item in items]
        if target.type is Type.NULL:
            return null
        return checker.call(Type.BOOL, "or", *self.listed(tests, at), at=at)

    def listed(self, tests: list[Typed], at: syntax.Node) -> list[Typed]:
        """Tests of equality, with those of one value against constants of one type made one test."""
        groups: dict[tuple[Typed, str, Type], list[Typed]] = {}
        others: list[Typed] = []
        for test in tests:
            match test:
                case Call(op="eq", arguments=(subject, Constant(value=value) as constant)) if value is not None:
                    groups.setdefault((subject, "one_of", constant.type), []).append(constant)
                case Call(op="json_eq", arguments=(subject, Constant(type=type, value=value) as constant)) if (
                    value is not None and type is not Type.JSON
                ):
                    groups.setdefault((subject, "json_one_of", type), []).append(constant)
                case _:
                    others.append(test)
        for (subject, many, _), constants in groups.items():
            op = many if len(set(constants)) > 1 else many.replace("one_of", "eq")
            items = sorted(set(constants), key=lambda each: sort_key(each.value) if isinstance(each, Constant) else ())
            others.append(self.checker.call(Type.BOOL, op, subject, *items, at=at))
        return others

    def range(self, node: syntax.Range) -> Typed:
        checker = self.checker
        target, lower, upper = (checker.value(each) for each in (node.target, node.lower, node.upper))
        sides = [self.compare(op, target, bound, node) for op, bound in (("ge", lower), ("le", upper))]
        both = checker.call(Type.BOOL, "and", *sides, at=node)
        return checker.call(Type.BOOL, "not", both, at=node) if node.negated else both

    def like(self, node: syntax.Binary, left: Typed) -> Typed:
        """`like` and `~`: contains, case-insensitive; a SQL pattern with a `%`; a regular expression in slashes."""
        checker = self.checker
        negated = node.op in ("!~", "notlike")
        if left.type is Type.JSON:
            left = checker.documents.text(left)
        if left.type not in (Type.STRING, Type.ENUM, Type.NULL, Type.INVALID):
            return checker.wrong(
                node, f"'{node.op}' works on texts, and this is {_named(left)}", "use String(x)", _WRONG
            )
        text = self.to_text(left)
        found: Typed
        if isinstance(node.right, syntax.Pattern):
            found = checker.calls.regex(text, node.right, node)
        else:
            right = checker.value(node.right)
            if right.type is Type.INVALID:
                return right
            if not isinstance(right, Constant) or right.type is not Type.STRING or right.value is None:
                hint = "write a text in quotes; for a column, use a.toLowerCase().includes(b.toLowerCase())"
                return checker.wrong(node.right, f"'{node.op}' needs a constant text", hint, _WRONG)
            found = checker.calls.prepared(Type.BOOL, "like", (text, right), node)
        return checker.call(Type.BOOL, "not", found, at=node) if negated else found


def one_kind(types: set[Type]) -> bool:
    """Whether values of these types can become values of one type."""
    return len(types) == 1 or all(each.is_number for each in types) or all(each.is_text for each in types)


def _as_exact(value: Typed, type: Type) -> Typed:
    """A constant number in the other number type, where that holds the same number."""
    if not isinstance(value, Constant) or value.type is type or not type.is_number:
        return value
    if isinstance(value.value, int) and abs(value.value) <= 2**53:
        return Constant(type, float(value.value), value.line, value.column)
    if isinstance(value.value, float) and value.value.is_integer() and abs(value.value) < 2**63:
        return Constant(type, int(value.value), value.line, value.column)
    return value


def _named(value: Typed) -> str:
    if value.type is Type.NULL:
        return "null"
    if isinstance(value, ColumnRef):
        return f"{value.type.name} column '{value.name}'"
    return value.type.name


def _number_hint(value: Typed) -> str:
    match value.type:
        case Type.STRING | Type.BOOL:
            return "convert it with Number(x)"
        case Type.TIMESTAMP:
            return "use x.getTime() for its milliseconds"
    return ""


def _compare_hint(left: Typed, right: Typed) -> str:
    types = {left.type, right.type}
    if types == {Type.TIMESTAMP, Type.STRING}:
        return "make it a time with new Date(x), or write the time as text in quotes"
    if Type.TIMESTAMP in types:
        return "use x.getTime() for its milliseconds"
    if Type.STRING in types:
        return "convert with Number(x) or String(x)"
    return ""
