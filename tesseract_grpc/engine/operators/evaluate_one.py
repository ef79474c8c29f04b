"""A checked expression for one row: nested functions of Python values.

Array calls cost about a microsecond each, so a commit of one row is looked at this way. The functions are those of
`query/expression/scalar.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.schema import TableSchema
from tesseract_grpc.engine.operators.evaluate_present import Present
from tesseract_grpc.engine.operators.predicate_leaf import Get
from tesseract_grpc.engine.query.expression.closures import compile_closure
from tesseract_grpc.engine.query.expression.lambdas import applied
from tesseract_grpc.engine.query.expression.lazy import Closure
from tesseract_grpc.engine.query.expression.typed import HIGHER, Call, ColumnRef, Now, Rank, Typed

One = Callable[[Get], Any]


def compile_one(node: Typed, schema: TableSchema, columns: Sequence[Column], present: Present | None = None) -> One:
    """The value of a checked expression for the row that `get` reads. Without a present, the present is null."""

    def leaf(part: Typed) -> Closure | None:
        match part:
            case ColumnRef(name=name):
                return _column(schema.position(name), columns)
            case Rank(name=name):
                at = schema.position(name)
                return lambda get: get(at)
            case Now():
                return (lambda get: None) if present is None else (lambda get: present.now_us)
            case Call(op=op) if op in HIGHER:
                operation, below = applied(part)
                values = [compile_closure(each, leaf) for each in below]
                return lambda get: operation(*[value(get) for value in values])
        return None

    return compile_closure(node, leaf)


def _column(at: int, columns: Sequence[Column]) -> One:
    dictionary = columns[at].dictionary
    if dictionary is None:
        return lambda get: get(at)

    def text(get: Get) -> Any:
        code = get(at)
        return None if code is None else dictionary.texts[code]

    return text
