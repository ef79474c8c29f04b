"""A checked expression as something that runs over batches of rows.

Every part becomes a function from a `Frame` (the rows at hand) to `Cells`. Numbers, times and truth values are worked
on as arrays; what has no way for arrays, mostly texts and JSON, is worked out once for each distinct combination of
what it depends on, by the closures that single rows use. Texts and JSON values on the way to a result are made and let
go one after the other: a million rows may pass through texts of a million characters, or documents of a thousand parts,
and they are never held together.

A part that depends on nothing but one text or JSON column is a function of the column's codes: it is worked out once
for each distinct text there has ever been, and then looked up (`evaluate_codes`).

Operations that need not look at all their arguments (`&&`, `?:`, `??`) may compute them all the same: nothing here
fails, so nothing has to be avoided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.schema import DataType, TableSchema
from tesseract_grpc.engine.data.vector import BoolArray, Vector
from tesseract_grpc.engine.operators import evaluate_logic as logic
from tesseract_grpc.engine.operators.evaluate_cells import Cells, all_valid, constant, listed, map_distinct
from tesseract_grpc.engine.operators.evaluate_codes import CodeResults
from tesseract_grpc.engine.operators.evaluate_kernels import KERNELS, comparison
from tesseract_grpc.engine.operators.evaluate_one import compile_one
from tesseract_grpc.engine.operators.predicate_leaf import Read
from tesseract_grpc.engine.query.expression.closures import compile_closure
from tesseract_grpc.engine.query.expression.lambdas import applied
from tesseract_grpc.engine.query.expression.lazy import Closure
from tesseract_grpc.engine.query.expression.typed import HIGHER, Call, ColumnRef, Constant, Now, Rank, Type, Typed, walk

_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_TEXTS = (Type.STRING, Type.ENUM, Type.JSON)


class Frame:
    """The rows that are being worked on: how to read their columns, how many they are, and what time it is."""

    __slots__ = ("count", "known", "now", "read")

    def __init__(self, read: Read, count: int, now: int | None) -> None:
        self.read = read
        self.count = count
        self.now = now
        self.known: dict[int, Cells] = {}
        """What parts that stand in several places have come to."""


Part = Callable[[Frame], Cells]


class Evaluator:
    """An expression over the rows of one table."""

    __slots__ = ("_fresh", "_part", "columns", "type")

    def __init__(self, root: Typed, columns: tuple[int, ...], part: Part) -> None:
        self.type = root.type.data_type
        self.columns = columns
        """The positions of the columns that it reads."""
        self._part = part
        # Whether what the part returns is an array of its own, and not a column's memory.
        self._fresh = isinstance(root, Call) and root.op in (*_COMPARISONS, "and", "or", "not")

    def evaluate(self, read: Read, count: int, now_us: int | None = None) -> Vector:
        """The value for each of `count` rows. O(rows x operations); texts once a distinct text."""
        cells = self.cells(read, count, now_us)
        values = np.array(np.broadcast_to(cells.values, (count,)))
        valid = None
        if cells.valid is not None and not cells.valid.all():
            valid = np.array(np.broadcast_to(cells.valid, (count,)))
            values[~valid] = 0
        if self.type is DataType.FLOAT64:
            values += 0.0  # -0.0 becomes 0.0, as columns store it
        texts = cells.texts
        return Vector(self.type, values, valid, texts if texts is not None or not self.type.is_text else [""])

    def cells(self, read: Read, count: int, now_us: int | None = None) -> Cells:
        """The same as it comes: not spread over the rows, and perhaps sharing memory with columns."""
        with np.errstate(all="ignore"):
            return self._part(Frame(read, count, now_us))

    def holds(self, read: Read, count: int, now_us: int | None = None) -> BoolArray:
        """For which rows a BOOL is true, in a new array."""
        cells = self.cells(read, count, now_us)
        if cells.valid is not None:
            result: BoolArray = cells.values & cells.valid
        elif self._fresh and cells.values.ndim:
            return cells.values
        else:
            result = cells.values
        return np.array(np.broadcast_to(result, (count,)))


def compile_expression(root: Typed, schema: TableSchema, columns: Sequence[Column]) -> Evaluator:
    """The evaluator of a checked expression over a table's columns."""
    compiler = _Compiler(root, schema, columns)
    return Evaluator(root, compiler.positions(root), compiler.part(root))


class _Compiler:
    """Makes the parts of one expression."""

    def __init__(self, root: Typed, schema: TableSchema, columns: Sequence[Column]) -> None:
        self.schema = schema
        self.columns = columns
        self.uses = Counter(node for node in walk(root) if isinstance(node, Call))
        self.shared: dict[Typed, Part] = {}

    def positions(self, node: Typed) -> tuple[int, ...]:
        names = {each.name for each in walk(node) if isinstance(each, (ColumnRef, Rank))}
        return tuple(sorted(self.schema.position(name) for name in names))

    def part(self, node: Typed) -> Part:
        """The function of one node; of a text column alone, by its codes."""
        if isinstance(node, Call) and self.uses[node] > 1:
            return self.once(node)
        return self.by_codes(node) or self.plain(node)

    def once(self, node: Call) -> Part:
        """The part of a node that stands in several places, computed once a frame."""
        found = self.shared.get(node)
        if found is None:
            made, number = self.by_codes(node) or self.plain(node), len(self.shared)

            def found(frame: Frame) -> Cells:
                known = frame.known.get(number)
                if known is None:
                    known = frame.known[number] = made(frame)
                return known

            self.shared[node] = found
        return found

    def by_codes(self, node: Typed) -> Part | None:
        """The part of a node that depends on nothing but one text column."""
        if not isinstance(node, Call) or _is_null_test(node):
            return None
        if node.type is Type.JSON and node.op != "json_text":
            return None  # what was read of documents is not kept, only what comes of it
        if any(isinstance(each, (Now, Rank)) for each in walk(node)):
            return None
        positions = self.positions(node)
        if len(positions) != 1 or self.columns[positions[0]].dictionary is None:
            return None
        (at,) = positions
        dictionary = self.columns[at].dictionary
        assert dictionary is not None
        one = compile_one(node, self.schema, self.columns)

        def judge(codes: Sequence[int | None]) -> Cells:
            return listed([one(lambda _, code=code: code) for code in codes], node.type)  # type: ignore[misc]

        results = CodeResults(dictionary, judge)

        def part(frame: Frame) -> Cells:
            return results.take(*frame.read(at))

        return part

    def plain(self, node: Typed) -> Part:
        match node:
            case Constant():
                cells = constant(node)
                return lambda frame: cells
            case ColumnRef():
                return self.column(node)
            case Rank():
                at = self.schema.position(node.name)
                return lambda frame: _rank(frame, at)
            case Now():
                return _now
        assert isinstance(node, Call), "what functions are given is no value of a row"
        if node.op == "same_text":
            return self.part(node.arguments[0])
        kernel = None if any(map(_is_made_text, node.arguments)) else self.kernel(node)
        if kernel is None:
            return self.fused(node)
        parts = [self.part(argument) for argument in node.arguments]
        return kernel(parts)

    def kernel(self, node: Call) -> Callable[[list[Part]], Part] | None:
        """What makes the part of a call from those of its arguments, where arrays have a way of their own."""
        lazy = logic.OPERATIONS.get(node.op)
        if lazy is not None:
            return lambda parts: lambda frame: lazy(*[part(frame) for part in parts])
        types = [argument.type for argument in node.arguments]
        if node.op in _COMPARISONS and types[0] not in _TEXTS:
            compared = comparison(node.op, *(_stored(type) for type in types))
            return lambda parts: _by_kernel(compared, parts)
        if node.op == "one_of" and types[0] not in _TEXTS:
            items = [each.value for each in node.arguments[1:] if isinstance(each, Constant)]
            return lambda parts: _one_of(parts[0], items, _stored(types[0]), _stored(types[1]))
        found = KERNELS.get(node.op)
        return None if found is None else lambda parts: _by_kernel(found, parts)

    def fused(self, node: Call) -> Part:
        """The part of a call that is worked out value by value, with all texts and JSON values on the way to it."""
        inputs: dict[Typed, int] = {}

        def leaf(part: Typed) -> Closure | None:
            if isinstance(part, Constant):
                return None
            if part is not node and not _is_made_text(part):
                place = inputs.setdefault(part, len(inputs))
                return lambda env: env[place]
            assert isinstance(part, Call)
            if part.op not in HIGHER:
                return None
            operation, below = applied(part)
            given = [compile_closure(each, leaf) for each in below]
            return lambda env: operation(*[value(env) for value in given])

        closure = compile_closure(node, leaf)
        parts = [self.part(each) for each in inputs]
        return lambda frame: map_distinct(lambda *env: closure(env), [part(frame) for part in parts], node.type)

    def column(self, node: ColumnRef) -> Part:
        at = self.schema.position(node.name)
        dictionary = self.columns[at].dictionary
        if dictionary is None:
            return lambda frame: Cells(*frame.read(at))
        return lambda frame: Cells(*frame.read(at), dictionary.texts)


def _is_made_text(node: Typed) -> bool:
    """Whether a node makes texts or JSON values, which are not held for many rows while others are made of them."""
    return isinstance(node, Call) and node.type in _TEXTS


def _is_null_test(node: Call) -> bool:
    return node.op in ("is_null", "not_null") and isinstance(node.arguments[0], ColumnRef)


def _stored(type: Type) -> np.dtype[Any]:
    return np.dtype(np.float64 if type is Type.FLOAT64 else np.bool_ if type is Type.BOOL else np.int64)


def _now(frame: Frame) -> Cells:
    if frame.now is None:
        return Cells(np.zeros((), np.int64), np.zeros((), np.bool_))
    return Cells(np.array(frame.now, np.int64))


def _rank(frame: Frame, at: int) -> Cells:
    values, valid = frame.read(at)
    return Cells(values.astype(np.int64), valid)


def _by_kernel(kernel: Callable[..., Any], parts: list[Part]) -> Part:
    def part(frame: Frame) -> Cells:
        arguments = [part(frame) for part in parts]
        valid = all_valid(arguments)
        result = kernel(*[each.values for each in arguments])
        if isinstance(result, tuple):
            result, known = result
            valid = np.asarray(known) if valid is None else valid & known
        return Cells(np.asarray(result), valid)

    return part


def _one_of(part: Part, items: list[Any], left: np.dtype[Any], right: np.dtype[Any]) -> Part:
    """Membership in numbers, times or truth values."""
    equal = comparison("eq", left, right)
    few = [np.array(item, right) for item in items]
    exact = left == right and not any(item != item for item in items)
    many = np.array(items, right)

    def part_of(frame: Frame) -> Cells:
        cells = part(frame)
        if exact and len(few) > 8:
            return Cells(np.isin(cells.values, many), cells.valid)
        result = equal(cells.values, few[0])
        for item in few[1:]:
            result = result | equal(cells.values, item)
        return Cells(np.asarray(result), cells.valid)

    return part_of
