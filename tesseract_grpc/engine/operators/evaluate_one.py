"""A checked expression for one row: nested functions of Python values.

Array calls cost about a microsecond each, so a commit of one row is looked at this way. The functions are those of
`query/expression/scalar.py`; what an operation need not look at is not computed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.schema import TableSchema
from tesseract_grpc.engine.operators.evaluate_present import Present
from tesseract_grpc.engine.operators.predicate_leaf import Get
from tesseract_grpc.engine.query.expression.fold import LAZY
from tesseract_grpc.engine.query.expression.scalar import specialise
from tesseract_grpc.engine.query.expression.typed import Call, ColumnRef, Constant, Now, Rank, Type, Typed

One = Callable[[Get], Any]


def compile_one(node: Typed, schema: TableSchema, columns: Sequence[Column], present: Present | None = None) -> One:
    """The value of a checked expression for the row that `get` reads. Without a present, the present is null."""
    match node:
        case Constant(value=value):
            return lambda get: value
        case ColumnRef(name=name):
            return _column(schema.position(name), columns)
        case Rank(name=name):
            at = schema.position(name)
            return lambda get: get(at)
        case Call():
            return _call(node, [compile_one(argument, schema, columns, present) for argument in node.arguments])
        case Now():
            return (lambda get: None) if present is None else (lambda get: present.now_us)


def _column(at: int, columns: Sequence[Column]) -> One:
    dictionary = columns[at].dictionary
    if dictionary is None:
        return lambda get: get(at)

    def text(get: Get) -> Any:
        code = get(at)
        return None if code is None else dictionary.texts[code]

    return text


def _call(node: Call, arguments: list[One]) -> One:
    lazy = LAZY.get(node.op)
    if lazy is not None:
        return lambda get: lazy(*[lambda argument=argument: argument(get) for argument in arguments])
    function, taken = specialise(node)
    function = _plain_comparison(node) or function
    wanted = [arguments[place] for place in taken]
    if len(wanted) == 1:
        return _unary(function, wanted[0])
    if len(wanted) == 2:
        return _binary(function, *wanted)

    def several(get: Get) -> Any:
        values = [argument(get) for argument in wanted]
        return None if None in values else function(*values)

    return several


_PLAIN: Mapping[str, Callable[..., Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


def _plain_comparison(node: Call) -> Callable[..., Any] | None:
    """Python's own comparison, where NaN cannot come."""
    plain = _PLAIN.get(node.op)
    if plain is None:
        return None
    limit = node.arguments[1]
    if limit.type is Type.FLOAT64 and not (isinstance(limit, Constant) and limit.value == limit.value):
        return None
    if node.arguments[0].type is not Type.FLOAT64:
        return plain
    if node.op in ("gt", "ge"):
        # Above a number is what is not at most that number, so NaN is above it.
        opposite = operator.le if node.op == "gt" else operator.lt
        return lambda left, right: not opposite(left, right)
    return plain


def _unary(function: Callable[..., Any], argument: One) -> One:
    def one(get: Get) -> Any:
        value = argument(get)
        return None if value is None else function(value)

    return one


def _binary(function: Callable[..., Any], left: One, right: One) -> One:
    def two(get: Get) -> Any:
        first = left(get)
        if first is None:
            return None
        second = right(get)
        return None if second is None else function(first, second)

    return two
