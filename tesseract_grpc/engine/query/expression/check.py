"""The checker: gives every part of an expression its type, against a table's columns.

It finds all mistakes, not only the first: a part with a mistake gets the type INVALID, and what contains it says
nothing more about it. Two questions are asked of a part: its value (`value`), or whether it holds (`condition`).
A BOOL holds, does not hold, or is unknown; of another type, null, 0, NaN and '' do not hold and all else does.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.schema import DataType, TableSchema
from tesseract_grpc.engine.query.expression import fold, syntax
from tesseract_grpc.engine.query.expression.check_calls import Calls
from tesseract_grpc.engine.query.expression.check_json import Documents
from tesseract_grpc.engine.query.expression.check_operators import Operators
from tesseract_grpc.engine.query.expression.limits import LIMITS, ExpressionLimits
from tesseract_grpc.engine.query.expression.parse import parse, parse_template
from tesseract_grpc.engine.query.expression.problem import BadExpression, Problem
from tesseract_grpc.engine.query.expression.scalar_text import MAX_TEXT
from tesseract_grpc.engine.query.expression.typed import (
    ColumnRef,
    Constant,
    Type,
    Typed,
    columns_of,
    uses_now,
)

WORDS: dict[str, Constant] = {
    "NaN": Constant(Type.FLOAT64, float("nan")),
    "Infinity": Constant(Type.FLOAT64, float("inf")),
    "undefined": Constant(Type.NULL, None),
}
"""Names that are values."""

SPACES = ("Math", "Number", "String", "Boolean", "Date", "row")
"""Names that are no values, but have something behind a point."""


@dataclass(frozen=True, slots=True)
class Checked:
    """An expression that fits a table: what `Evaluator` and `compile_one` take is `root`."""

    root: Typed
    text: str
    enum_values: tuple[str, ...] = ()
    """The names of an ENUM, when the expression is nothing but such a column."""

    @property
    def type(self) -> Type:
        """The type of its value; NULL when it is the literal null."""
        return self.root.type

    @property
    def data_type(self) -> DataType:
        """The type of a column that holds its values.

        Of ENUM values only a bare column is an ENUM, others are STRING; so is the literal null.
        """
        return self.root.type.data_type

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return columns_of(self.root)

    @property
    def uses_now(self) -> bool:
        """Whether its value changes with time."""
        return uses_now(self.root)


def check_expression(
    text: str, schema: TableSchema, *, field: str = "expression", limits: ExpressionLimits = LIMITS
) -> Checked:
    """The checked value expression, for columns that are worked out. Raises BadExpression with every mistake, and
    LimitExceeded."""
    return _checked(text, schema, field, parse(text, field, limits), Checker.value)


def check_template(
    text: str, schema: TableSchema, *, field: str = "value", limits: ExpressionLimits = LIMITS
) -> Checked:
    """The same for a text that is a template as a whole: `${lastName}, ${firstName}`. Its type is STRING."""
    return _checked(text, schema, field, parse_template(text, field, limits), Checker.value)


def check_condition(
    text: str, schema: TableSchema, *, field: str = "custom", limits: ExpressionLimits = LIMITS
) -> Checked:
    """The checked expression as a condition: of type BOOL."""
    return _checked(text, schema, field, parse(text, field, limits), Checker.condition)


def _checked(
    text: str, schema: TableSchema, field: str, tree: syntax.Node, ask: Callable[[Checker, syntax.Node], Typed]
) -> Checked:
    checker = Checker(schema)
    try:
        root = ask(checker, tree)
        if checker.problems:
            raise BadExpression(checker.problems, field)
        root = checker.documents.finished(root)
        if root.type is not Type.ENUM:
            return Checked(root, text)
        if isinstance(root, ColumnRef):
            return Checked(root, text, schema.column(root.name).enum_values)
        return Checked(checker.operators.to_text(root), text)
    finally:
        checker.release()


class Checker:
    """One run over a syntax tree. `operators` and `calls` hold the rules of what stands between and before operands."""

    def __init__(self, schema: TableSchema) -> None:
        self.schema = schema
        self.problems: list[Problem] = []
        self.folded = 0
        """How many characters of texts have been looked at and made to simplify constants."""
        self.operators = Operators(self)
        self.calls = Calls(self)
        self.documents = Documents(self)

    def release(self) -> None:
        """Lets go of its parts, which know it: nothing of a run waits for the garbage collector."""
        del self.operators, self.calls, self.documents

    def wrong(
        self, node: syntax.Node | Typed, message: str, hint: str = "", reason: Reason = Reason.BAD_EXPRESSION
    ) -> Typed:
        """Notes a mistake; what is returned has the type INVALID and may be used as if nothing had happened."""
        self.problems.append(Problem(message, node.line, node.column, hint, reason))
        return Constant(Type.INVALID, None, node.line, node.column)

    def condition(self, node: syntax.Node) -> Typed:
        """Whether a part holds, as a BOOL."""
        if isinstance(node, syntax.Logical) and node.op != "??":
            op = "and" if node.op == "&&" else "or"
            parts = [self.condition(operand) for operand in node.operands]
            return self.call(Type.BOOL, op, *parts, at=node)
        if isinstance(node, syntax.Unary) and node.op == "!":
            return self.call(Type.BOOL, "not", self.condition(node.operand), at=node)
        return self.truth(self.value(node))

    def truth(self, value: Typed) -> Typed:
        """Whether a value holds."""
        if value.type in (Type.BOOL, Type.INVALID):
            return value
        if value.type is Type.NULL:
            return Constant(Type.BOOL, None, value.line, value.column)
        if value.type is Type.TIMESTAMP:
            return self.call(Type.BOOL, "not_null", value, at=value)
        return self.call(Type.BOOL, "truth", value, at=value)

    def value(self, node: syntax.Node) -> Typed:
        """The value of a part."""
        match node:
            case syntax.Literal():
                return self.literal(node)
            case syntax.Name():
                return self.name(node)
            case syntax.Unary():
                return self.operators.unary(node)
            case syntax.Binary():
                return self.operators.binary(node)
            case syntax.Logical():
                return self.operators.logical(node)
            case syntax.Choose():
                return self.operators.choose(node)
            case syntax.Membership():
                return self.operators.membership(node)
            case syntax.Range():
                return self.operators.range(node)
            case syntax.Template():
                return self.operators.template(node)
            case syntax.Member():
                return self.calls.member(node)
            case syntax.Index():
                return self.calls.index(node)
            case syntax.Invoke():
                return self.calls.invoke(node)
            case syntax.Construct():
                return self.calls.construct(node)
            case syntax.Pattern():
                return self.wrong(node, "a pattern is no value", "write `name ~ /pattern/`, or `/pattern/.test(name)`")
            case syntax.Array():
                return self.documents.array(node)
        return self.wrong(node, "a function is no value", "methods of arrays take them, as in items.filter(x => x > 1)")

    def literal(self, node: syntax.Literal, negative: bool = False) -> Typed:
        """A constant; with `negative`, under a minus sign."""
        value = node.value
        if value is None:
            return Constant(Type.NULL, None, node.line, node.column)
        if isinstance(value, bool):
            return Constant(Type.BOOL, value, node.line, node.column)
        if isinstance(value, int):
            value = -value if negative else value
            if not -(2**63) <= value < 2**63:
                hint = "write it as a double, with a point: " + f"{str(node.value)[:20]}.0"
                return self.wrong(node, "the whole number does not fit INT64", hint, Reason.INT64_OVERFLOW)
            return Constant(Type.INT64, value, node.line, node.column)
        if isinstance(value, float):
            return Constant(Type.FLOAT64, -value if negative else value, node.line, node.column)
        return Constant(Type.STRING, value, node.line, node.column)

    def name(self, node: syntax.Name) -> Typed:
        """A parameter, a column, or a word that is a value."""
        parameter = self.documents.parameter(node.name)
        if parameter is not None:
            return replace(parameter, line=node.line, column=node.column)
        word = WORDS.get(node.name)
        if word is not None:
            return Constant(word.type, word.value, node.line, node.column)
        if node.name in self.schema:
            return self.column(node.name, node)
        if node.name in SPACES:
            return self.wrong(node, f"'{node.name}' alone is no value", f"write for example {_EXAMPLES[node.name]}")
        return self.unknown(node.name, node)

    def column(self, name: str, at: syntax.Node) -> Typed:
        """A column by its name."""
        if name not in self.schema:
            return self.unknown(name, at)
        column = ColumnRef(Type(int(self.schema.column(name).type)), name, at.line, at.column)
        return self.call(Type.JSON, "document", column, at=at) if column.type is Type.JSON else column

    def unknown(self, name: str, at: syntax.Node) -> Typed:
        """The mistake of naming what is not there, with the name that comes nearest."""
        names = [*self.schema.positions, *SPACES]
        lowered = {each.lower(): each for each in names}
        near = lowered.get(name.lower()) or next(iter(difflib.get_close_matches(name[:128], names, 1)), None)
        hint = f"did you mean '{near}'?" if near else f"the columns are {', '.join(list(self.schema.positions)[:20])}"
        return self.wrong(at, f"there is no column '{name[:128]}'", hint, Reason.UNKNOWN_COLUMN)

    def call(self, type: Type, op: str, *arguments: Typed, at: syntax.Node | Typed) -> Typed:
        """A call, simplified; INVALID when an argument is, and a mistake when a constant has no INT64 value."""
        if any(argument.type is Type.INVALID for argument in arguments):
            return Constant(Type.INVALID, None, at.line, at.column)
        if self.folded > MAX_TEXT:
            return Constant(Type.INVALID, None, at.line, at.column)
        made = fold.call(type, op, arguments, at.line, at.column)
        if not isinstance(made, Constant):
            return made
        constants = [each for each in (made, *arguments) if isinstance(each, Constant)]
        self.folded += sum(len(each.value) for each in constants if isinstance(each.value, str))
        nothing = made.value is None and all(each.value is not None for each in constants[1:])
        if self.folded > MAX_TEXT or (nothing and op in _MAKES_TEXT):
            hint = f"a text has at most {MAX_TEXT} characters, and so have all that an expression makes of constants"
            return self.wrong(at, "the constant text is too long", hint)
        if nothing and op.endswith("_int") and op != "json_parse_int":
            return self.wrong(at, "the constant has no value in INT64", "write it with a point, as doubles", _OVERFLOW)
        return made

    def typed_null(self, value: Typed, type: Type) -> Typed:
        """The literal null as a null of the type that its neighbours have."""
        return Constant(type, None, value.line, value.column) if value.type is Type.NULL else value


_OVERFLOW = Reason.INT64_OVERFLOW
_MAKES_TEXT = frozenset(
    ("concat", "replace", "replace_all", "regex_replace", "pad_start", "pad_end", "json_join", "json_text_of")
)
_EXAMPLES = {
    "Math": "Math.round(x)",
    "Number": "Number(x)",
    "String": "String(x)",
    "Boolean": "Boolean(x)",
    "Date": "Date.parse(x)",
    "row": 'row["name"]',
}
