"""The rules of functions, methods and members: what there is, and what it takes and gives."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tesseract_grpc.engine.data.errors import EngineError, Reason
from tesseract_grpc.engine.query.expression import fold, syntax
from tesseract_grpc.engine.query.expression.check_json import ARRAY_METHODS
from tesseract_grpc.engine.query.expression.literals import duration
from tesseract_grpc.engine.query.expression.math_arrays import ARRAYS
from tesseract_grpc.engine.query.expression.scalar_text import compiled, spelled
from tesseract_grpc.engine.query.expression.signatures import (
    CONSTANTS,
    FUNCTIONS,
    NUMBER_METHODS,
    TEXT_METHODS,
    TIME_METHODS,
    Signature,
)
from tesseract_grpc.engine.query.expression.typed import Call, Constant, Now, Type, Typed

if TYPE_CHECKING:
    from tesseract_grpc.engine.query.expression.check import Checker

_WRONG = Reason.WRONG_TYPE
_SPACES = ("Math", "Number", "String", "Date", "Boolean")
_MONDAY = 4 * 86_400_000_000
MAX_PATTERNS = 64
"""The most patterns (like, regular expressions) of an expression; each is compiled."""


class Calls:
    """Checks what is called, and what stands behind a point or in brackets."""

    def __init__(self, checker: Checker) -> None:
        self.checker = checker
        self.patterns = 0

    def member(self, node: syntax.Member) -> Typed:
        target = node.target
        if isinstance(target, syntax.Name) and self.is_free(target.name):
            if target.name == "row":
                return self.checker.column(node.name, node)
            value = CONSTANTS.get(f"{target.name}.{node.name}")
            if value is not None:
                return Constant(Type.FLOAT64, value, node.line, node.column)
            if f"{target.name}.{node.name}" in self.checker.schema:
                hint = f'write row["{target.name}.{node.name}"]'
                return self.checker.wrong(node, "a column's name with a point in it needs quotes", hint)
        value_of = self.checker.value(target)
        if value_of.type is Type.INVALID:
            return value_of
        if node.name == "length" and (value_of.type.is_text or value_of.type is Type.NULL):
            return self.checker.call(Type.INT64, "length", self.checker.operators.to_text(value_of), at=node)
        if value_of.type is Type.JSON:
            return self.checker.documents.member(value_of, node)
        hint = f"call it: .{node.name}()" if node.name in _methods(value_of.type) else _near(node.name, ["length"])
        return self.checker.wrong(node, f"{value_of.type.name} has no member '{node.name[:60]}'", hint)

    def index(self, node: syntax.Index) -> Typed:
        """`row["name"]`, `text[place]`, and one item of `split` and `match`."""
        target, checker = node.target, self.checker
        if isinstance(target, syntax.Name) and target.name == "row" and checker.documents.parameter("row") is None:
            if isinstance(node.place, syntax.Literal) and isinstance(node.place.value, str):
                return checker.column(node.place.value, node.place)
            if "row" not in checker.schema:
                return checker.wrong(node, "row[..] needs the name of a column in quotes", 'write row["name"]')
        if isinstance(target, syntax.Invoke) and target.target is not None and target.name in ("split", "match"):
            return self.item(target, target.target, node)
        value = checker.value(target)
        if value.type is Type.JSON:
            return checker.documents.index(value, node)
        if value.type.is_text:
            place = self.whole(checker.value(node.place))
            return checker.call(Type.STRING, "char_at", checker.operators.to_text(value), place, at=node)
        if value.type is Type.INVALID:
            return value
        return checker.wrong(node, f"{value.type.name} has no items", "", _WRONG)

    def is_free(self, name: str) -> bool:
        """Whether a name is neither a column nor a parameter."""
        return name not in self.checker.schema and self.checker.documents.parameter(name) is None

    def item(self, target: syntax.Invoke, of: syntax.Node, node: syntax.Index) -> Typed:
        checker = self.checker
        text = checker.value(of)
        if text.type is Type.JSON:
            text = checker.documents.text(text)
        if text.type is not Type.INVALID and not text.type.is_text:
            return checker.wrong(target, f"{text.type.name} has no method '{target.name}'", "use String(x)", _WRONG)
        text = checker.operators.to_text(text)
        if len(target.arguments) != 1:
            return checker.wrong(target, f"'{target.name}' takes one argument here")
        (argument,) = target.arguments
        if target.name == "match":
            if not isinstance(argument, syntax.Pattern):
                return checker.wrong(argument, "'match' needs a pattern", "write `name.match(/(a)b/)[1]`")
            return self.group(text, argument, node)
        place = self.whole(checker.value(node.place))
        separator = checker.value(argument)
        if separator.type not in (Type.STRING, Type.INVALID):
            return checker.wrong(argument, "'split' needs a text to split at", "", _WRONG)
        return checker.call(Type.STRING, "split_item", text, separator, place, at=target)

    def group(self, text: Typed, pattern: syntax.Pattern, node: syntax.Index) -> Typed:
        checker = self.checker
        tested = self.regex(text, pattern, node)
        if tested.type is Type.INVALID:
            return tested
        group = node.place.value if isinstance(node.place, syntax.Literal) else None
        groups = compiled(spelled(pattern.text, pattern.flags), pattern.flags).groups
        if not isinstance(group, int) or isinstance(group, bool) or group > groups:
            return checker.wrong(node, f"the pattern has the groups 0 to {groups}", "group 0 is the whole match")
        constants = (_text(pattern.text), _text(pattern.flags), Constant(Type.INT64, group))
        return self.prepared(Type.STRING, "regex_group", (text, *constants), node)

    def invoke(self, node: syntax.Invoke) -> Typed:
        target = node.target
        if target is None:
            return self.function(node.name, node)
        if isinstance(target, syntax.Name) and target.name in _SPACES and self.is_free(target.name):
            return self.function(f"{target.name}.{node.name}", node)
        if isinstance(target, syntax.Pattern):
            return self.test(target, node)
        if isinstance(target, syntax.Array) and node.name == "includes" and len(node.arguments) == 1:
            subject = self.checker.value(node.arguments[0])
            items = [self.checker.value(item) for item in target.items]
            return self.checker.operators.one_of(subject, items, node)
        return self.method(node, target)

    def construct(self, node: syntax.Construct) -> Typed:
        if node.name != "Date":
            return self.checker.wrong(node, f"'new {node.name[:60]}' does not exist", "there is `new Date(..)`")
        if not node.arguments:
            return Now(node.line, node.column)
        if len(node.arguments) > 1:
            return self.checker.wrong(node, "'new Date' takes one argument", 'write new Date("2026-01-31T12:00")')
        return self.to_time(self.checker.value(node.arguments[0]), node)

    def to_time(self, value: Typed, node: syntax.Node) -> Typed:
        checker = self.checker
        if value.type in (Type.TIMESTAMP, Type.INVALID):
            return value
        if value.type is Type.NULL:
            return checker.typed_null(value, Type.TIMESTAMP)
        if value.type.is_number:
            return checker.call(Type.TIMESTAMP, "from_millis", value, at=node)
        if value.type.is_text:
            if isinstance(value, Constant):
                return checker.operators.as_times(value, Constant(Type.TIMESTAMP, 0))
            return checker.call(Type.TIMESTAMP, "parse_time", checker.operators.to_text(value), at=node)
        if value.type is Type.JSON:
            return checker.call(Type.TIMESTAMP, "json_moment", value, at=node)
        return checker.wrong(node, f"{value.type.name} is no time", "", _WRONG)

    def function(self, name: str, node: syntax.Invoke) -> Typed:
        """A function by its full name."""
        checker = self.checker
        if name in ("now", "Date.now"):
            if node.arguments:
                return checker.wrong(node, f"'{name}' takes no arguments")
            present = Now(node.line, node.column)
            return present if name == "now" else checker.call(Type.INT64, "epoch_millis", present, at=node)
        if name == "RegExp":
            return checker.wrong(node, "patterns are constants", "write it between slashes: /pattern/")
        arity = FUNCTIONS.get(name)
        if arity is None:
            names = [*FUNCTIONS, "now", "Date.now"]
            hint = _near(name, names) or _near(f"Math.{name}", names)
            return checker.wrong(node, f"there is no function '{name[:60]}'", hint)
        if not self.counted(name, node, *arity):
            return Constant(Type.INVALID, None, node.line, node.column)
        given = [checker.value(argument) for argument in node.arguments]
        if any(value.type is Type.INVALID for value in given):
            return Constant(Type.INVALID, None, node.line, node.column)
        short = name.removeprefix("Math.")
        if short != name:
            return self.math(short, given, node)
        return self.plain(name, given, node)

    def plain(self, name: str, given: list[Typed], node: syntax.Invoke) -> Typed:
        checker = self.checker
        match name:
            case "Number":
                return self.to_number(given[0], node)
            case "String":
                return checker.operators.to_text(given[0])
            case "Boolean":
                return checker.truth(given[0])
            case "parseFloat" | "Number.parseFloat":
                return self.parsed_float(given[0], node)
            case "parseInt" | "Number.parseInt":
                return self.parsed_int(given, node)
            case "Date.parse":
                return checker.call(Type.INT64, "epoch_millis", self.to_time(given[0], node), at=node)
            case "bucket":
                return self.bucket(given, node)
        number = self.numeric(given[0], node)
        op = "is_finite" if name.endswith("isFinite") else "is_nan"
        return checker.call(Type.BOOL, op, checker.operators.to_float(number), at=node)

    def math(self, name: str, given: list[Typed], node: syntax.Invoke) -> Typed:
        checker = self.checker
        numbers = [self.numeric(value, node) for value in given]
        if any(number.type is Type.INVALID for number in numbers):
            return Constant(Type.INVALID, None, node.line, node.column)
        whole = all(number.type in (Type.INT64, Type.NULL) for number in numbers)
        if whole and name in ("abs", "sign", "min", "max"):
            ints = [checker.typed_null(number, Type.INT64) for number in numbers]
            return (
                ints[0]
                if len(ints) == 1 and name[0] == "m"
                else checker.call(Type.INT64, f"{name}_int", *ints, at=node)
            )
        if whole and name in ("floor", "ceil", "round", "trunc"):
            return checker.typed_null(numbers[0], Type.INT64)
        floats = [checker.operators.to_float(number) for number in numbers]
        if len(floats) == 1 and name in ("min", "max"):
            return floats[0]
        return checker.call(Type.FLOAT64, name, *floats, at=node)

    def to_number(self, value: Typed, node: syntax.Node) -> Typed:
        """`Number(x)`: what a value is as a number."""
        checker = self.checker
        match value.type:
            case Type.INT64 | Type.FLOAT64 | Type.INVALID:
                return value
            case Type.NULL:
                return checker.typed_null(value, Type.FLOAT64)
            case Type.BOOL:
                return checker.call(Type.INT64, "bool_int", value, at=node)
            case Type.TIMESTAMP:
                return checker.call(Type.INT64, "epoch_millis", value, at=node)
            case Type.JSON:
                return checker.call(Type.FLOAT64, "json_to_number", value, at=node)
        return checker.call(Type.FLOAT64, "parse_number", checker.operators.to_text(value), at=node)

    def parsed_float(self, value: Typed, node: syntax.Node) -> Typed:
        if value.type.is_number or value.type is Type.NULL:
            return self.checker.operators.to_float(value)
        if value.type is Type.JSON:
            return self.checker.call(Type.FLOAT64, "json_parse_float", value, at=node)
        return self.checker.call(Type.FLOAT64, "parse_float", self.text(value, node), at=node)

    def parsed_int(self, given: list[Typed], node: syntax.Node) -> Typed:
        checker = self.checker
        value, *radix = given
        if radix:
            base = radix[0].value if isinstance(radix[0], Constant) else None
            if not isinstance(base, int) or not 2 <= base <= 36:
                return checker.wrong(node, "the radix is a constant from 2 to 36")
        if value.type is Type.INT64 or value.type is Type.NULL:
            return checker.typed_null(value, Type.INT64)
        if value.type is Type.FLOAT64:
            return self.whole(value)
        if value.type is Type.JSON:
            return checker.call(Type.INT64, "json_parse_int", value, *radix, at=node)
        return checker.call(Type.INT64, "parse_int", self.text(value, node), *radix, at=node)

    def bucket(self, given: list[Typed], node: syntax.Node) -> Typed:
        checker = self.checker
        when, size = self.to_time(given[0], node), given[1]
        millis = None
        if isinstance(size, Constant) and isinstance(size.value, (str, int, float)):
            millis = duration(size.value) if isinstance(size.value, str) else size.value
        if millis is None or not 1 <= millis * 1000 < 2**62 or not math.isfinite(millis):
            return checker.wrong(node, "'bucket' needs a constant size", 'write for example bucket(ts, "1h")')
        micros = int(millis * 1000)
        weekly = micros % 604_800_000_000 == 0
        sizes = Constant(Type.INT64, micros), Constant(Type.INT64, _MONDAY if weekly else 0)
        return checker.call(Type.TIMESTAMP, "bucket", when, *sizes, at=node)

    def method(self, node: syntax.Invoke, target: syntax.Node) -> Typed:
        checker = self.checker
        value = checker.value(target)
        if value.type is Type.INVALID:
            for argument in node.arguments:
                if not isinstance(argument, syntax.Pattern):
                    checker.value(argument)  # its own mistakes are told too
            return value
        if node.name == "toString" and not node.arguments:
            return checker.operators.to_text(value)
        if value.type is Type.JSON:
            if node.name in ARRAY_METHODS:
                return checker.documents.method(value, node)
            if node.name in TEXT_METHODS or node.name in ("split", "match"):
                value = checker.documents.text(value)
            elif node.name in NUMBER_METHODS:
                value = checker.documents.number(value)
        if value.type.is_text and node.name in ("replace", "replaceAll", "match"):
            pattern = node.arguments[0] if node.arguments else None
            if isinstance(pattern, syntax.Pattern):
                return self.with_pattern(checker.operators.to_text(value), pattern, node)
        if value.type.is_text and node.name == "split":
            return self.split(checker.operators.to_text(value), node)
        signature = _methods(value.type).get(node.name)
        if signature is None:
            return self.no_method(node, value)
        if not self.counted(node.name, node, signature.least, len(signature.arguments)):
            return Constant(Type.INVALID, None, node.line, node.column)
        given = self.arguments(signature.arguments, node.arguments)
        subject = checker.operators.to_text(value) if value.type.is_text else value
        if node.name == "toFixed":
            subject = checker.operators.to_float(value)
        for default in signature.default[len(given) :]:
            given.append(_text(default) if isinstance(default, str) else Constant(Type.INT64, default))
        return checker.call(signature.result, signature.op, subject, *given, at=node)

    def arguments(self, types: Sequence[Type], given: Iterable[syntax.Node]) -> list[Typed]:
        checked: list[Typed] = []
        for type, argument in zip(types, given, strict=False):
            value = self.checker.value(argument)
            checked.append(self.whole(value) if type is Type.INT64 else self.text(value, argument))
        return checked

    def no_method(self, node: syntax.Invoke, value: Typed) -> Typed:
        hint = _near(node.name, _methods(value.type))
        if value.type is Type.JSON and node.name in TIME_METHODS:
            hint = "make it a time with new Date(x)"
        elif not hint and node.name in TEXT_METHODS:
            hint = "it is a method of texts: use String(x)"
        return self.checker.wrong(node, f"{value.type.name} has no method '{node.name[:60]}'", hint)

    def split(self, text: Typed, node: syntax.Invoke) -> Typed:
        """`text.split(",")`, as an array."""
        if not self.counted("split", node, 1, 1):
            return Constant(Type.INVALID, None, node.line, node.column)
        separator = self.text(self.checker.value(node.arguments[0]), node)
        return self.checker.call(Type.JSON, "split", text, separator, at=node)

    def with_pattern(self, text: Typed, pattern: syntax.Pattern, node: syntax.Invoke) -> Typed:
        """`text.match(/../)`, `text.replace(/../, "..")`."""
        checker = self.checker
        if not self.counted(node.name, node, *((1, 1) if node.name == "match" else (2, 2))):
            return Constant(Type.INVALID, None, node.line, node.column)
        tested = self.regex(text, pattern, node)
        if node.name == "match" or tested.type is Type.INVALID:
            return tested
        new = checker.value(node.arguments[1])
        if not isinstance(new, Constant) or new.type is not Type.STRING or new.value is None:
            return checker.wrong(node.arguments[1], "the replacement for a pattern is a constant text", "", _WRONG)
        flags = pattern.flags if "g" in pattern.flags or node.name == "replace" else pattern.flags + "g"
        return self.prepared(Type.STRING, "regex_replace", (text, _text(pattern.text), _text(flags), new), node)

    def test(self, pattern: syntax.Pattern, node: syntax.Invoke) -> Typed:
        if node.name != "test" or len(node.arguments) != 1:
            return self.checker.wrong(node, "a pattern has one method, 'test', of one text", "write /pattern/.test(x)")
        return self.regex(self.text(self.checker.value(node.arguments[0]), node), pattern, node)

    def regex(self, text: Typed, pattern: syntax.Pattern, node: syntax.Node) -> Typed:
        """Whether the pattern matches somewhere in the text."""
        unknown = sorted(set(pattern.flags) - set("gims"))
        if unknown:
            hint = "the flags are i (case), g (all), m (lines) and s (a point matches line ends)"
            return self.checker.wrong(pattern, f"there is no flag '{unknown[0]}'", hint, Reason.BAD_REGEX)
        flags = "".join(flag for flag in "ims" if flag in pattern.flags)
        return self.prepared(Type.BOOL, "regex", (text, _text(pattern.text), _text(flags)), pattern)

    def prepared(self, type: Type, op: str, arguments: tuple[Typed, ...], node: syntax.Node) -> Typed:
        """A call that compiles a pattern: refused when it cannot."""
        checker = self.checker
        self.patterns += 1
        if self.patterns > MAX_PATTERNS:
            if self.patterns == MAX_PATTERNS + 1:
                checker.wrong(node, f"an expression may have at most {MAX_PATTERNS} patterns")
            return Constant(Type.INVALID, None, node.line, node.column)
        if any(argument.type is Type.INVALID for argument in arguments):
            return Constant(Type.INVALID, None, node.line, node.column)
        try:
            fold.apply(Call(type, op, arguments), ["", *(a.value for a in arguments[1:] if isinstance(a, Constant))])
        except EngineError as error:
            return checker.wrong(node, error.message, error.hint, error.reason)
        return checker.call(type, op, *arguments, at=node)

    def numeric(self, value: Typed, node: syntax.Node) -> Typed:
        if value.type.is_number or value.type in (Type.NULL, Type.INVALID):
            return value
        if value.type is Type.JSON:
            return self.checker.documents.number(value)
        return self.checker.wrong(node, f"{value.type.name} is no number", "convert it with Number(x)", _WRONG)

    def whole(self, value: Typed) -> Typed:
        """A place or a count as INT64; a double loses its fraction."""
        if value.type is Type.JSON:
            value = self.checker.documents.number(value)
        if value.type is Type.FLOAT64:
            return self.checker.call(Type.INT64, "to_int", value, at=value)
        if value.type in (Type.INT64, Type.NULL, Type.INVALID):
            return self.checker.typed_null(value, Type.INT64)
        return self.checker.wrong(value, f"{value.type.name} is no whole number", "convert it with Number(x)", _WRONG)

    def text(self, value: Typed, node: syntax.Node) -> Typed:
        if value.type.is_text or value.type in (Type.NULL, Type.INVALID):
            return self.checker.operators.to_text(value)
        if value.type is Type.JSON:
            return self.checker.documents.text(value)
        return self.checker.wrong(node, f"a text is needed, and this is {value.type.name}", "use String(x)", _WRONG)

    def counted(self, name: str, node: syntax.Invoke, least: int, most: int) -> bool:
        """Whether the number of arguments fits; the mistake is noted."""
        count = len(node.arguments)
        if least <= count <= most:
            return True
        wanted = f"{least}" if least == most else f"at least {least}" if most > 100 else f"{least} to {most}"
        self.checker.wrong(node, f"'{name[:60]}' takes {wanted} argument{'' if wanted == '1' else 's'}, not {count}")
        return False


_JSON_METHODS = dict.fromkeys(ARRAY_METHODS, Signature("", Type.JSON)) | TEXT_METHODS


def _text(value: str) -> Constant:
    return Constant(Type.STRING, value)


def _methods(type: Type) -> dict[str, Signature]:
    if type.is_text:
        return TEXT_METHODS
    if type is Type.TIMESTAMP:
        return TIME_METHODS
    return NUMBER_METHODS if type.is_number else _JSON_METHODS if type is Type.JSON else {}


def _near(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name[:60], list(names), 1)
    return f"did you mean '{close[0]}'?" if close else ""


assert {f"Math.{name}" for name in ARRAYS} <= set(FUNCTIONS)
