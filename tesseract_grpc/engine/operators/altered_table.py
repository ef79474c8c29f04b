"""A table with other columns, worked out beside the table that there is.

Alterations are applied one after the other to a draft: the columns as they will be. What an alteration does not touch
is the very column that the table has. A column that gets other values is a new one, at a position of its own, with the
values for all rows worked out as arrays; the old one keeps its position and its values until the draft is taken
(`Table.assume`), and readers who are still owed something can be told it. So a draft that is refused, or was only
wanted to see what would happen, costs what it took to make and nothing else.

Computed columns follow what they read, within each alteration, so the next one sees them as they are then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.alteration import (
    AddColumn,
    AddIndex,
    Alteration,
    ChangeColumn,
    DropColumn,
    DropIndex,
    RenameColumn,
    SetKey,
)
from tesseract_grpc.engine.data.coerce import BadValues
from tesseract_grpc.engine.data.column import Column, GoneColumn
from tesseract_grpc.engine.data.delta import Slots, Stored, changed_values, stored_at
from tesseract_grpc.engine.data.errors import AlterationRefused, EngineError, InvalidRequest, Reason, RowProblem
from tesseract_grpc.engine.data.index import SecondaryIndex
from tesseract_grpc.engine.data.key_index import KeyIndex, key_words
from tesseract_grpc.engine.data.layout import Layout
from tesseract_grpc.engine.data.schema import ColumnSchema, IndexSchema, TableSchema
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.vector import Vector
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.operators.changed_column import changed_schema
from tesseract_grpc.engine.operators.conversion import converted
from tesseract_grpc.engine.operators.evaluate import compile_expression
from tesseract_grpc.engine.operators.stored_columns import StoredColumns, resolve_schema
from tesseract_grpc.engine.query.computed_order import computed_order
from tesseract_grpc.engine.query.expression.check import check_expression
from tesseract_grpc.engine.query.expression.names import names_in
from tesseract_grpc.engine.query.expression.rename import columns_mentioned, renamed_text

MOST_ROWS = 100
"""So many rows that refuse an alteration are named."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """A table as it will be, and what has become of its columns."""

    layout: Layout
    names: Mapping[str, str | None]
    """What columns are called that had another name, and None for those that are gone."""
    touched: frozenset[str]
    """The columns, under the names that they had, that are called otherwise, are gone, hold other values or are of
    another kind, and the names of new ones."""
    rewritten: int
    """The rows that got a new value in some column."""
    new_key: bool
    """Whether rows are named by other columns."""


class Draft:
    """The columns of one table as they will be. Raises InvalidRequest, BadExpression, AlterationRefused."""

    def __init__(self, table: Table, line: VersionLine, check_count: Callable[[int], None]) -> None:
        """`line` says what time it is, `check_count` refuses too many columns."""
        self._table = table
        self._line = line
        self._check_count = check_count
        self._slots: Slots = table.live_slots()
        self._where: Slots | slice = slice(0, len(self._slots)) if table.dense else self._slots
        self._columns: list[Column] = list(table.columns)
        self._schemas: list[ColumnSchema] = list(table.schema.columns)
        self._order: list[int] = list(table.schema.shown)
        self._origin: dict[int, int] = {position: position for position in self._order}
        self._indexes: dict[str, IndexSchema] = {name: index.schema for name, index in table.indexes.items()}
        self._written: NDArray[np.bool_] = np.zeros(len(self._slots), np.bool_)
        self._number = 0  # of the alteration in hand

    def apply(self, alterations: Sequence[Alteration]) -> Drafted:
        """Applies all of them in order. O(rows) for each that works out values, O(n log n) for a key or an index."""
        for number, alteration in enumerate(alterations):
            self._number = number
            try:
                self._apply(alteration)
            except BadValues as bad:
                raise self._refused(bad.rows, "", bad.reason, bad.message) from None
            except EngineError as error:
                raise _placed(error, f"alterations[{number}]") from None
        return self._finish()

    def _apply(self, alteration: Alteration) -> None:
        match alteration:
            case AddColumn():
                self._add(alteration)
            case DropColumn(name):
                self._drop(name)
            case RenameColumn(name, new):
                self._rename(name, new)
            case ChangeColumn():
                self._change(alteration)
            case SetKey(names):
                self._set_key(names)
            case AddIndex(index):
                self._indexes[index.column] = index.resolved(self._schema())
            case DropIndex(name):
                if name not in self._indexes:
                    self._position(name, "drop_index")
                    raise _bad(f"column '{name}' has no index", "drop_index", Reason.UNKNOWN_COLUMN)
                del self._indexes[name]

    # Columns

    def _schema(self) -> TableSchema:
        """The columns as they are in the draft, by position."""
        there = set(self._order)
        columns = [c if p in there else replace(_GONE, name=f"\0gone {p}") for p, c in enumerate(self._schemas)]
        return TableSchema(tuple(columns), tuple(self._order))

    def _position(self, name: str, field: str) -> int:
        return self._schema().position(name, field=field)

    def _add(self, asked: AddColumn) -> None:
        column = asked.column
        self._check_count(len(self._order) + 1)
        if column.primary_key:
            raise _bad(
                f"column '{column.name}' is added to rows that have a key; add it, and then set the key",
                "add_column.column.primary_key",
            )
        if asked.backfill and column.expression:
            raise _bad(
                f"column '{column.name}' is computed and takes no backfill",
                "add_column.backfill",
                Reason.MALFORMED_REQUEST,
            )
        place = len(self._order)
        if asked.after:
            place = self._order.index(self._position(asked.after, "add_column.after")) + 1
        values: Vector | None = None
        if text := column.expression or asked.backfill or column.default_expression:
            values = self._worked_out(text, f"add_column.{'backfill' if asked.backfill else 'column.expression'}")
        position = self._new_position(column)
        self._order.insert(place, position)
        column = self._schemas[position] = self._resolved(position)
        if values is not None:
            self._store(position, values)
        elif column.default is not None:
            self._store(position, Vector.of(column.type, [column.default] * min(1, len(self._slots))))
        else:
            nulls = np.zeros(1, np.bool_)
            self._store(position, Vector(column.type, np.zeros(1, self._columns[position].values.dtype), nulls, [""]))

    def _new_position(self, column: ColumnSchema) -> int:
        """A position for a new column: one whose column is gone and of which history no longer speaks, or the next."""
        forgotten = self._table.changelog.since
        for position, version in sorted(self._table.dropped.items()):
            if version <= forgotten and isinstance(self._columns[position], GoneColumn):
                self._columns[position], self._schemas[position] = self._made(column), column
                return position
        self._columns.append(self._made(column))
        self._schemas.append(column)
        return len(self._schemas) - 1

    def _made(self, column: ColumnSchema) -> Column:
        return Column(column, len(self._table.alive))

    def _resolved(self, position: int) -> ColumnSchema:
        """A column with its expression checked against the others. Raises InvalidRequest, BadExpression."""
        place = self._order.index(position)
        column = resolve_schema(self._schema().compact).columns[place]
        if column.type is not self._columns[position].type or column.enum_values != self._schemas[position].enum_values:
            self._columns[position] = self._made(column)
        return column

    def _worked_out(self, text: str, field: str) -> Vector:
        """What an expression gives for every row, at the moment of the alteration. O(n)."""
        schema, columns = self._schema(), self._columns
        root = check_expression(text, schema, field=field).root
        evaluator = compile_expression(root, schema, columns)
        return evaluator.evaluate(lambda p: stored_at(columns[p], self._where), len(self._slots), self._line.written)

    def _store(self, position: int, values: Vector) -> None:
        """Gives a new column its values, one for each row or one for all, and notes the rows that it changes."""
        column, described, count = self._columns[position], self._schemas[position], len(self._slots)
        if values.type.is_text and values.valid is not None and not values.valid.any():
            stored: Stored = (
                np.zeros(len(values), column.values.dtype),
                values.valid,
            )  # the literal null fits everywhere
        else:
            stored = converted(column, values)
        if len(values) != count:
            stored = _spread(stored, count)
        if stored[1] is not None and not described.nullable and not stored[1].all():
            message = f"column '{described.name}' is required and would be null"
            raise self._refused(np.flatnonzero(~stored[1]), described.name, Reason.NULL_NOT_ALLOWED, message)
        column.write(self._where, *stored)
        before = self._origin.get(position)
        if before is None or self._columns[before].type is not column.type:
            self._written |= True if stored[1] is None else stored[1]
        elif column.dictionary is None:
            self._written |= changed_values(stored_at(self._columns[before], self._where), stored)
        else:
            self._written |= True

    def _drop(self, name: str) -> None:
        position = self._position(name, "drop_column.column")
        if self._schemas[position].primary_key:
            raise _bad(f"column '{name}' is part of the primary key; set another key first", "drop_column.column")
        for other in self._order:
            if other != position and name in self._read_by(self._schemas[other], (name,)):
                message = f"column '{name}' is read by the expression of column '{self._schemas[other].name}'"
                raise _bad(message, "drop_column.column", Reason.TABLE_IN_USE)
        self._order.remove(position)
        self._origin.pop(position, None)
        self._indexes.pop(name, None)

    def _read_by(self, column: ColumnSchema, names: Collection[str]) -> frozenset[str]:
        """Which of the columns another one names in its expressions."""
        texts = [text for text in (column.expression, column.default_expression) if text]
        return frozenset[str]().union(*(columns_mentioned(text, names) for text in texts))

    def _rename(self, name: str, new: str) -> None:
        position = self._position(name, "rename_column.column")
        if new == name:
            return
        names = {name: new}
        for other in self._order:
            column = self._schemas[other]
            self._schemas[other] = replace(
                column,
                name=names.get(column.name, column.name),
                expression=renamed_text(column.expression, names),
                default_expression=renamed_text(column.default_expression, names),
            )
        try:
            resolve_schema(self._schema().compact)
        except InvalidRequest as error:
            raise InvalidRequest(error.reason, error.message, field="rename_column.new_name", hint=error.hint) from None
        if name in self._indexes:
            self._indexes[new] = replace(self._indexes.pop(name), column=new)
        assert self._schemas[position].name == new

    def _change(self, asked: ChangeColumn) -> None:
        position = self._position(asked.column, "change_column.column")
        old = self._schemas[position]
        wanted = changed_schema(old, asked)
        place = self._order.index(position)
        self._schemas[position] = wanted
        column = resolve_schema(self._schema().compact).columns[place]
        self._schemas[position] = column
        values = self._new_values(asked, position, old, column)
        if values is None:
            self._refuse_nulls(position)
            return
        self._schemas[position] = old
        fresh = self._new_position(column)
        self._order[place] = fresh
        self._origin[fresh] = self._origin.pop(position, fresh)
        if self._origin[fresh] == fresh:
            del self._origin[fresh]  # it was added on the way
        self._store(fresh, values)
        if column.primary_key:
            self._check_key([p for p in self._order if self._schemas[p].primary_key])
        if column.name in self._indexes:
            self._indexes[column.name] = self._indexes[column.name].resolved(self._schema())
        self._follow({column.name})

    def _new_values(self, asked: ChangeColumn, position: int, old: ColumnSchema, column: ColumnSchema) -> Vector | None:
        """The values of a column that is changed, before they are converted; None where it keeps them."""
        if asked.using:
            self._schemas[position] = old  # the expression speaks of the columns as they were
            found = self._worked_out(asked.using, "change_column.using")
            self._schemas[position] = column
            return found
        if column.expression and (column.expression != old.expression or column.type is not old.type):
            return self._worked_out(column.expression, "change_column.definition.expression")
        if column.type is not old.type or column.enum_values != old.enum_values:
            return self._columns[position].read(self._where)
        return None

    def _refuse_nulls(self, position: int) -> None:
        """Raises AlterationRefused when a column that is required holds nulls."""
        column, stored = self._schemas[position], self._columns[position]
        if column.nullable or stored.valid is None:
            return
        valid = stored.valid[self._where]
        if not valid.all():
            message = f"column '{column.name}' cannot be required: it is null"
            raise self._refused(np.flatnonzero(~valid), column.name, Reason.NULL_NOT_ALLOWED, message)

    def _follow(self, written: set[str]) -> None:
        """Works out anew the computed columns that read what was written, and those that read them, in turn."""
        computed = [p for p in self._order if self._schemas[p].expression]
        uses = [(self._schemas[p].name, names_in(self._schemas[p].expression, "expression")) for p in computed]
        for index in computed_order(uses, (), "columns"):
            position = computed[index]
            column = self._schemas[position]
            if not columns_mentioned(column.expression, written):
                continue
            values = self._worked_out(column.expression, f"columns[{column.name}].expression")
            fresh = self._new_position(column)
            self._order[self._order.index(position)] = fresh
            if position in self._origin:
                self._origin[fresh] = self._origin.pop(position)
            self._store(fresh, values)
            written.add(column.name)

    # Keys

    def _set_key(self, names: Sequence[str]) -> None:
        if not names:
            raise _bad("a table needs a primary key: name one or more columns", "set_key.columns")
        if len(set(names)) != len(names):
            raise _bad("a column is named twice", "set_key.columns", Reason.DUPLICATE_COLUMN)
        key = [self._position(name, f"set_key.columns[{index}]") for index, name in enumerate(names)]
        for position in self._order:
            self._schemas[position] = replace(self._schemas[position], primary_key=position in key)
        # The order of the key is that of its columns: they change places among themselves where it has to be.
        for place, position in zip(sorted(self._order.index(p) for p in key), key, strict=True):
            self._order[place] = position
        self._schema()  # raises where a column cannot be a key
        self._check_key(key)

    def _check_key(self, key: Sequence[int]) -> None:
        """Raises AlterationRefused where a key is null or that of two rows. O(n log n)."""
        words: list[NDArray[np.int64]] = []
        for position in key:
            column, name = self._columns[position], self._schemas[position].name
            values, valid = stored_at(column, self._where)
            if valid is not None and not valid.all():
                message = f"the key column '{name}' is null"
                raise self._refused(np.flatnonzero(~valid), name, Reason.NULL_KEY, message)
            words.append(key_words(column, values))
        order = np.lexsort(words[::-1])
        same = np.ones(max(0, len(order) - 1), np.bool_)
        for word in words:
            ordered = word[order]
            same &= ordered[1:] == ordered[:-1]
        if same.any():
            twice = np.sort(order[1:][same])
            names = ", ".join(self._schemas[p].name for p in key)
            message = f"the key ({names}) is that of a row before it, too"
            raise self._refused(twice, self._schemas[key[0]].name, Reason.DUPLICATE_KEY, message)

    # Ending

    def _refused(self, rows: Sequence[int] | NDArray[np.intp], column: str, reason: Reason, message: str) -> Exception:
        """The refusal because of rows, which are named by their keys as they were."""
        table = self._table
        some = [int(row) for row in rows[:MOST_ROWS]]
        keys = table.batch(self._slots[some], table.schema.key).to_rows()
        problems = [
            RowProblem(self._number, row, column, reason, f"{message} (row {_named(key)})")
            for row, key in zip(some, keys, strict=True)
        ]
        return AlterationRefused(problems, len(rows))

    def _finish(self) -> Drafted:
        table, there = self._table, set(self._order)
        schema = self._schema()
        columns = tuple(
            column if p in there or isinstance(column, GoneColumn) else GoneColumn(p, len(table.alive))
            for p, column in enumerate(self._columns)
        )
        before = [table.columns[p] for p in table.schema.key]
        after = [columns[p] for p in schema.key]
        same_key = len(before) == len(after) and all(a is b for a, b in zip(before, after, strict=True))
        keys = table.keys
        if not same_key:
            keys = KeyIndex(after)
            keys.add([key_words(column, column.values[self._slots]) for column in after], self._slots)
        formulas = None
        if any(column.expression or column.default_expression for column in schema.columns):
            formulas = StoredColumns(schema, columns, self._line)
        names, touched = self._became(schema)
        renamed = any(names.get(column.name, column.name) != column.name for column in table.schema.key_columns)
        return Drafted(
            Layout(schema, columns, keys, self._built(schema, columns), formulas),
            names,
            touched,
            int(np.count_nonzero(self._written)),
            not same_key or renamed,
        )

    def _built(self, schema: TableSchema, columns: Sequence[Column]) -> dict[str, tuple[SecondaryIndex, IndexSchema]]:
        """The indexes: those that there are over the same column, and new ones. O(n log n) each of these."""
        found: dict[str, tuple[SecondaryIndex, IndexSchema]] = {}
        known = {(index.position, index.schema.kind): index for index in self._table.indexes.values()}
        for name, wanted in self._indexes.items():
            position = schema.position(name)
            index = known.get((position, wanted.kind))
            if index is None or columns[position] is not self._table.columns[position]:
                index = SecondaryIndex(wanted, columns[position], position)
                index.build(self._slots)
            found[name] = index, wanted
        return found

    def _became(self, schema: TableSchema) -> tuple[dict[str, str | None], frozenset[str]]:
        """What the columns that there were are called, and which of all of them are not what they were."""
        old = self._table.schema
        where = {origin: position for position, origin in self._origin.items()}
        names: dict[str, str | None] = {}
        touched: set[str] = set()
        for position in old.shown:
            was, now = old.columns[position], where.get(position)
            if now is None:
                names[was.name] = None
                touched.add(was.name)
                continue
            became = schema.columns[now]
            if became.name != was.name:
                names[was.name] = became.name
                touched |= {was.name, became.name}
            if now != position or (became.nullable, became.primary_key) != (was.nullable, was.primary_key):
                touched |= {was.name, became.name}
        touched |= {schema.columns[p].name for p in schema.shown if p not in self._origin}
        return names, frozenset(touched)


_GONE = GoneColumn(0, 0).schema


def _spread(stored: Stored, count: int) -> Stored:
    """One value as that of all rows."""
    values, valid = stored
    if not len(values):
        return np.zeros(count, values.dtype), None if valid is None else np.zeros(count, np.bool_)
    return np.broadcast_to(values, (count,)), None if valid is None else np.broadcast_to(valid, (count,))


def _named(key: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}"[:80] for name, value in key.items())


def _bad(message: str, field: str, reason: Reason = Reason.BAD_SCHEMA) -> InvalidRequest:
    return InvalidRequest(reason, message, field=field)


def _placed(error: EngineError, place: str) -> EngineError:
    """The same error with the path of its alteration before that of the field."""
    error.field = f"{place}.{error.field}" if error.field else place
    if isinstance(error, InvalidRequest):
        error.violations = tuple(replace(v, field=f"{place}.{v.field}" if v.field else place) for v in error.violations)
    return error
