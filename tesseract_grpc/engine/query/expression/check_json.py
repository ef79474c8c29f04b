"""The rules of JSON values: paths, conversions, arrays and the functions that their methods take.

A JSON value has no type of its own before it is there. Where a number, a text, a BOOL or a time is needed, it becomes
that if it is of that kind, else null. Where two JSON values meet, what they are decides (`json_add`,
`json_eq`); methods that texts and arrays share (`includes`, `indexOf`, `slice`, `length`) work on either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.query.expression import syntax
from tesseract_grpc.engine.query.expression.typed import (
    Call,
    Constant,
    Lambda,
    Parameter,
    Type,
    Typed,
)

if TYPE_CHECKING:
    from tesseract_grpc.engine.query.expression.check import Checker

_WRONG = Reason.WRONG_TYPE

MAX_ITEMS = 1_000
"""The most items of a list that is written out."""


@dataclass(frozen=True, slots=True)
class _Method:
    """A method that takes a function: its operation, what that gives, whether the function is a condition."""

    op: str
    result: Type
    condition: bool = True


FUNCTION_METHODS = {
    "filter": _Method("json_filter", Type.JSON),
    "find": _Method("json_find", Type.JSON),
    "findIndex": _Method("json_find_index", Type.INT64),
    "some": _Method("json_some", Type.BOOL),
    "every": _Method("json_every", Type.BOOL),
    "map": _Method("json_map", Type.JSON, condition=False),
    "reduce": _Method("json_reduce", Type.JSON, condition=False),
}

VALUE_METHODS = ("includes", "indexOf", "lastIndexOf", "slice", "join")
"""The other methods of arrays."""

ARRAY_METHODS = (*FUNCTION_METHODS, *VALUE_METHODS)


class Documents:
    """Checks what concerns JSON values."""

    def __init__(self, checker: Checker) -> None:
        self.checker = checker
        self.scopes: list[dict[str, Parameter]] = []
        """The parameters of the functions around the part at hand, outermost first."""

    def parameter(self, name: str) -> Parameter | None:
        """What a name means as a parameter; the innermost function's wins."""
        return next((scope[name] for scope in reversed(self.scopes) if name in scope), None)

    # Conversions

    def number(self, value: Typed) -> Typed:
        """A JSON value as a double, if it is a number."""
        return self.checker.call(Type.FLOAT64, "json_number", value, at=value)

    def text(self, value: Typed) -> Typed:
        """A JSON value as a text, if it is one."""
        return self.checker.call(Type.STRING, "json_string", value, at=value)

    def converted(self, value: Typed, type: Type) -> Typed:
        """A JSON value where a value of another type stands beside it."""
        if value.type is not Type.JSON:
            return value
        if type.is_number:
            return self.number(value)
        if type.is_text:
            return self.text(value)
        op = "json_bool" if type is Type.BOOL else "json_time"
        return self.checker.call(type, op, value, at=value)

    def of(self, value: Typed) -> Typed:
        """Any value as a JSON value; a time becomes ISO 8601 text."""
        checker = self.checker
        match value.type:
            case Type.JSON | Type.INVALID:
                return value
            case Type.NULL:
                return checker.typed_null(value, Type.JSON)
            case Type.TIMESTAMP:
                value = checker.operators.to_text(value)
        return checker.call(Type.JSON, "json_of", value, at=value)

    def finished(self, root: Typed) -> Typed:
        """The root of an expression as what a column holds: a JSON column as it is, what was made as its text."""
        if root.type is not Type.JSON:
            return root
        if isinstance(root, Call) and root.op == "document":
            return root.arguments[0]
        return Call(Type.JSON, "json_text", (root,), root.line, root.column)

    # Parts

    def member(self, value: Typed, node: syntax.Member) -> Typed:
        """`value.name`; `length` is that of arrays and texts."""
        if node.name == "length":
            return self.checker.call(Type.INT64, "json_length", value, at=node)
        return self.path(value, Constant(Type.STRING, node.name), node)

    def index(self, value: Typed, node: syntax.Index) -> Typed:
        """`value[place]` or `value["name"]`."""
        place = self.checker.value(node.place)
        if place.type is Type.INVALID:
            return place
        if isinstance(place, Constant) and isinstance(place.value, str | int) and place.type is not Type.TIMESTAMP:
            return self.path(value, place, node)
        if not (place.type.is_number or place.type.is_text or place.type in (Type.JSON, Type.NULL)):
            hint = "a place is a number, a name is a text"
            return self.checker.wrong(node.place, f"{place.type.name} is no place in a JSON value", hint, _WRONG)
        return self.checker.call(Type.JSON, "json_at", value, self.of(place), at=node)

    def path(self, value: Typed, key: Constant, node: syntax.Node) -> Typed:
        """One step further on a path of constants."""
        if isinstance(value, Call) and value.op == "json_path":
            return self.checker.call(Type.JSON, "json_path", *value.arguments, key, at=node)
        return self.checker.call(Type.JSON, "json_path", value, key, at=node)

    def array(self, node: syntax.Array) -> Typed:
        """`[a, b]` as a value."""
        checker = self.checker
        if len(node.items) > MAX_ITEMS:
            return checker.wrong(node, f"a list may have at most {MAX_ITEMS} items")
        return checker.call(Type.JSON, "array", *[self.of(checker.value(item)) for item in node.items], at=node)

    # Operators

    def compare(self, op: str, left: Typed, right: Typed, at: syntax.Node) -> Typed:
        """A comparison in which at least one side is JSON; the other one decides what is compared."""
        checker = self.checker
        other = right if left.type is Type.JSON else left
        if other.type is Type.TIMESTAMP:
            left, right = self.converted(left, Type.TIMESTAMP), self.converted(right, Type.TIMESTAMP)
            return checker.operators.ordered(op, left, right, at)
        if other.type is Type.ENUM:
            if op not in ("eq", "ne"):
                hint = "compare String(x) for the order of the texts"
                return checker.wrong(at, "an ENUM has an order only among its own names", hint, _WRONG)
            left, right = (checker.operators.to_text(s) if s.type is Type.ENUM else s for s in (left, right))
        return checker.operators.ordered(f"json_{op}", left, right, at)

    def arithmetic(self, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
        """`+` of two JSON values does what they are; all else works on numbers."""
        if node.op == "+" and left.type is right.type:
            return self.checker.call(Type.JSON, "json_add", left, right, at=node)
        sides = [self.number(side) if side.type is Type.JSON else side for side in (left, right)]
        return self.checker.operators.arithmetic(node, *sides)

    # Methods

    def method(self, value: Typed, node: syntax.Invoke) -> Typed:
        """A method of arrays, some of which texts have too."""
        checker = self.checker
        if node.name in FUNCTION_METHODS:
            return self.with_function(value, node)
        least, most = {"slice": (1, 2), "join": (0, 1)}.get(node.name, (1, 1))
        if not checker.calls.counted(node.name, node, least, most):
            return Constant(Type.INVALID, None, node.line, node.column)
        given = [checker.value(argument) for argument in node.arguments]
        match node.name:
            case "join":
                separator = checker.calls.text(given[0], node) if given else Constant(Type.STRING, ",")
                return checker.call(Type.STRING, "json_join", value, separator, at=node)
            case "slice":
                places = [checker.calls.whole(place) for place in given]
                return checker.call(Type.JSON, "json_slice", value, *places, at=node)
            case "includes":
                return checker.call(Type.BOOL, "json_includes", value, self.of(given[0]), at=node)
        op = "json_index_of" if node.name == "indexOf" else "json_last_index_of"
        return checker.call(Type.INT64, op, value, self.of(given[0]), at=node)

    def with_function(self, value: Typed, node: syntax.Invoke) -> Typed:
        """`filter`, `map`, `reduce` and the like."""
        checker, method = self.checker, FUNCTION_METHODS[node.name]
        reduces = node.name == "reduce"
        if not checker.calls.counted(node.name, node, 1, 2 if reduces else 1):
            return Constant(Type.INVALID, None, node.line, node.column)
        function = node.arguments[0]
        if not isinstance(function, syntax.Function):
            checker.value(function)
            example = "(a, b) => a + b, 0" if reduces else "x => x.value > 100"
            return checker.wrong(function, f"'{node.name}' needs a function", f"write {node.name}({example})", _WRONG)
        made = self.function(function, 3 if reduces else 2, method.condition)
        initial = [self.of(checker.value(argument)) for argument in node.arguments[1:]]
        return checker.call(method.result, method.op, value, made, *initial, at=node)

    def function(self, node: syntax.Function, most: int, condition: bool) -> Typed:
        """A function of at most so many parameters."""
        checker, names = self.checker, node.parameters
        if len(names) > most:
            hint = "the first is the item, the second its place"
            return checker.wrong(node, f"the function may have at most {most} parameters", hint)
        if len(set(names)) < len(names):
            return checker.wrong(node, "two parameters have the same name")
        first = sum(map(len, self.scopes))
        self.scopes.append({n: Parameter(first + i, node.line, node.column) for i, n in enumerate(names)})
        body = checker.condition(node.body) if condition else self.of(checker.value(node.body))
        self.scopes.pop()
        if body.type is Type.INVALID:
            return body
        return Lambda(first, len(names), body, node.line, node.column)

    def unified(self, values: Sequence[Typed], types: set[Type]) -> list[Typed]:
        """JSON values beside values of one other type, as values of that type."""
        (other,) = {Type.FLOAT64 if each.is_number else each for each in types - {Type.JSON}}
        return [self.converted(value, other) for value in values]
