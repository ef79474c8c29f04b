"""The computed columns of a table, and defaults that are expressions.

A computed column is stored like any other, so it can be indexed, filtered and grouped by at no further cost. It is
worked out when a row comes and when a column that it reads is written; columns may use each other, in any order but a
circle. One that uses the present is worked out anew when the hub's clock advances.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tesseract_grpc.engine.data.coerce import coerce
from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.formulas import Read
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.operators.compute import stored_of
from tesseract_grpc.engine.operators.evaluate import Evaluator, compile_expression
from tesseract_grpc.engine.query.computed_order import computed_order
from tesseract_grpc.engine.query.expression.check import check_expression
from tesseract_grpc.engine.query.expression.names import names_in
from tesseract_grpc.engine.query.expression.typed import ColumnRef, Type, Typed, columns_of, uses_now

_FITS = {(Type.INT64, DataType.FLOAT64), (Type.ENUM, DataType.STRING), (Type.STRING, DataType.JSON)}
"""Which expressions fit a column of another type. What does not fit as a value refuses the write."""


@dataclass(frozen=True, slots=True)
class _Formula:
    position: int
    evaluator: Evaluator
    timely: bool


class StoredColumns:
    """What a table works out by itself. See `data/formulas.py`."""

    def __init__(self, schema: TableSchema, columns: Sequence[Column], line: VersionLine) -> None:
        self._columns = columns
        self._line = line
        self._computed: list[_Formula] = []
        for position in _in_order(schema.columns):
            self._computed.append(self._formula(schema, position, schema.columns[position].expression))
        self._defaults = {
            position: self._formula(schema, position, column.default_expression)
            for position, column in enumerate(schema.columns)
            if column.default_expression
        }
        self.computed: Collection[int] = frozenset(formula.position for formula in self._computed)
        self.defaults: Collection[int] = frozenset(self._defaults)
        self.timely = any(formula.timely for formula in self._computed)

    def _formula(self, schema: TableSchema, position: int, text: str) -> _Formula:
        root = check_expression(text, schema, field=f"columns[{position}].expression").root
        return _Formula(position, compile_expression(root, schema, self._columns), uses_now(root))

    def default(self, position: int, read: Read, count: int) -> Stored:
        """The default of a column for new rows. Raises BadValues."""
        return self._work_out(self._defaults[position], read, count, self._line.written)

    def complete(self, read: Read, count: int) -> dict[int, Stored]:
        """All computed columns, for new rows. Raises BadValues."""
        return self._again(self._computed, read, count)

    def follow(self, written: Collection[int], read: Read, count: int) -> dict[int, Stored]:
        """The computed columns that depend on the columns written. Raises BadValues."""
        return self._again(self._behind([], written), read, count)

    def tick(self, read: Read, count: int) -> dict[int, Stored]:
        """The computed columns that depend on the present. Raises BadValues."""
        return self._again(self._behind([formula for formula in self._computed if formula.timely], ()), read, count)

    def _behind(self, first: list[_Formula], written: Collection[int]) -> list[_Formula]:
        """These formulas, and those that use what they or somebody else has written, in turn."""
        changed = {*written, *(formula.position for formula in first)}
        found: list[_Formula] = []
        for formula in self._computed:
            if formula in first or not changed.isdisjoint(formula.evaluator.columns):
                changed.add(formula.position)
                found.append(formula)
        return found

    def _again(self, formulas: Sequence[_Formula], read: Read, count: int) -> dict[int, Stored]:
        done: dict[int, Stored] = {}

        def now(position: int) -> Stored:
            return done[position] if position in done else read(position)

        for formula in formulas:
            done[formula.position] = self._work_out(formula, now, count, self._line.now)
        return done

    def _work_out(self, formula: _Formula, read: Read, count: int, now_us: int) -> Stored:
        column = self._columns[formula.position]
        found = formula.evaluator.evaluate(read, count, now_us)
        if found.type is column.type:
            return stored_of(column, found)
        if found.valid is not None and not found.valid.any():  # the literal null fits everywhere
            return np.zeros(count, column.values.dtype), found.valid
        return coerce(column, found, intern=True, max_text_bytes=2**31)


def _in_order(columns: Sequence[ColumnSchema]) -> list[int]:
    """The positions of the computed columns, those that others use first. Raises InvalidRequest."""
    positions = [position for position, column in enumerate(columns) if column.expression]
    uses = [(columns[p].name, names_in(columns[p].expression, f"columns[{p}].expression")) for p in positions]
    return [positions[index] for index in computed_order(uses, (), "columns")]


def resolve_schema(schema: TableSchema) -> TableSchema:
    """The schema with its expressions checked, and the types of computed columns that were left out.

    Raises InvalidRequest, BadExpression.
    """
    columns = list(schema.columns)
    stored = [column for column in columns if not column.expression]
    if len(stored) == len(columns) and not any(column.default_expression for column in columns):
        return schema
    known = list(stored)
    for position in _in_order(columns):
        column, field = columns[position], f"columns[{position}].expression"
        root = check_expression(column.expression, TableSchema(tuple(known)), field=field).root
        columns[position] = _typed(column, root, TableSchema(tuple(known)), field)
        known.append(replace(columns[position], expression=""))
    plain = TableSchema(tuple(column for column in stored if not column.default_expression))
    for position, column in enumerate(columns):
        if column.default_expression:
            field = f"columns[{position}].default_expression"
            root = check_expression(column.default_expression, plain, field=field).root
            _fit(column, root, field)
    return TableSchema(tuple(columns))


def _typed(column: ColumnSchema, root: Typed, schema: TableSchema, field: str) -> ColumnSchema:
    if not column.inferred:
        _fit(column, root, field)
        return column
    kind, values = root.type.data_type, column.enum_values
    if root.type is Type.NULL:
        raise InvalidRequest(Reason.WRONG_TYPE, f"column '{column.name}': null has no type; give one", field=field)
    if root.type is Type.ENUM:
        if isinstance(root, ColumnRef):
            values = schema.column(columns_of(root)[0]).enum_values
        else:
            kind = DataType.STRING
    return replace(column, type=kind, enum_values=values, inferred=False)


def _fit(column: ColumnSchema, root: Typed, field: str) -> None:
    """Raises InvalidRequest when the values of an expression cannot be those of a column."""
    if root.type is Type.NULL or root.type.data_type is column.type or (root.type, column.type) in _FITS:
        return
    raise InvalidRequest(
        Reason.WRONG_TYPE,
        f"column '{column.name}' is {column.type.name}, but the expression is {root.type.name}",
        field=field,
        hint=f"give the column the type {root.type.data_type.name}, or convert the value in the expression",
    )
