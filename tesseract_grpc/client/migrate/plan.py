"""The columns of both sides: what is read, what it becomes, and whether a table of the hub fits."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from ..core.batch import Block
from ..core.datatype import DataType, name_of_type, type_of_name
from ..core.errors import InvalidRequest
from ..core.schema import Schema
from .catalogue import Relation, SourceColumn, stored_type
from .convert import vector_of
from .database import Database
from .errors import MigrationFailed, MigrationReason
from .options import Settings
from .types import Refused, Taken, take

_KEY_TYPES = ("bool", "int64", "timestamp", "string", "enum")
INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """One column: where it comes from and what it becomes."""

    source: SourceColumn
    name: str
    """In the hub."""
    taken: Taken
    type: DataType


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that has been decided about a migration before a row is read."""

    relation: Relation
    columns: tuple[PlannedColumn, ...]
    """The key first, in its order."""
    key: tuple[str, ...]
    """The key columns of the source."""
    settings: Settings
    dialect: str

    @property
    def key_names(self) -> tuple[str, ...]:
        """The key columns of the hub's table."""
        return tuple(column.name for column in self.columns[: len(self.key)])

    def definitions(self) -> list[dict[str, Any]]:
        """The columns as `create_tesseract` takes them."""
        return [self._definition(column) for column in self.columns]

    def _definition(self, column: PlannedColumn) -> dict[str, Any]:
        made: dict[str, Any] = {"name": column.name, "type": column.taken.type}
        if column.source.name in self.key:
            made["primary_key"] = True
        else:
            if not column.source.nullable and self.settings.zero_dates == "refuse":
                made["required"] = True
            if column.source.name in self.relation.indexed and column.taken.type != "json":
                made["index"] = True
        if column.taken.enum:
            made["enum"] = list(column.taken.enum)
        if column.source.comment:
            made["description"] = column.source.comment
        return made

    def signature(self) -> dict[str, str]:
        """What must be the same for a migration to be resumed."""
        return {f"{column.source.name} -> {column.name}": column.taken.type for column in self.columns}

    def check_table(self, name: str, schema: Schema) -> None:
        """Raises MigrationFailed where a table of the hub does not fit, with all that differs."""
        found = []
        if schema.key != self.key_names:
            found.append(f"its key is ({', '.join(schema.key)}) and not ({', '.join(self.key_names)})")
        for column in self.columns:
            known = schema.types.get(column.name)
            if known is None:
                found.append(f"it has no column {column.name!r}")
            elif known != column.type:
                found.append(f"{column.name!r} is {name_of_type(known)} there and {column.taken.type} here")
        if found:
            message = f"table {name!r} exists and does not fit: {'; '.join(found)}"
            hint = "migrate into another table with --to, or change what columns become with --rename and --type"
            raise MigrationFailed(MigrationReason.TABLE_DIFFERS, message, field="to", hint=hint)

    def block(self, rows: Sequence[Sequence[Any]]) -> Block:
        """Rows of the driver as a block. Raises MigrationFailed with the first row that does not fit."""
        settings = self.settings
        columns = {}
        for planned, values in zip(self.columns, zip(*rows, strict=True), strict=False):
            try:
                columns[planned.name] = vector_of(
                    planned.taken.converter,
                    planned.type,
                    values,
                    planned.name,
                    zone=settings.timezone,
                    zero_null=settings.zero_dates == "null",
                )
            except InvalidRequest as error:
                problem = error.row_errors[0]
                key = ", ".join(f"{name}={value!r}" for name, value in zip(self.key, rows[problem.row], strict=False))
                raise self.refusal(key, planned.name, problem.message, len(error.row_errors)) from None
        return Block(len(rows), columns)

    def refusal(self, key: str, column: str, why: str, rows: int) -> MigrationFailed:
        """A value that the hub cannot hold."""
        more = f" (and {rows - 1} more of the batch)" if rows > 1 else ""
        message = f"row {key}: column {column!r}: {why}{more}"
        hint = f"--type {column}=TYPE makes it another type, --exclude {column} leaves it out, --query can change it"
        return MigrationFailed(MigrationReason.VALUE_REFUSED, message, field=column, hint=hint)


def plan_of(database: Database, relation: Relation, settings: Settings) -> Plan:
    """Decides about every column. Raises MigrationFailed with all columns that cannot be carried over."""
    names = [column.name for column in relation.columns]
    for option, given in (
        ("rename", settings.rename),
        ("exclude", settings.exclude),
        ("types", settings.types),
        ("key", settings.key),
        ("watch", () if settings.watch is None else (settings.watch,)),
    ):
        _known(given, names, option, relation)
    key = _key_of(relation, settings)
    if settings.exclude & {*key}:
        raise MigrationFailed(MigrationReason.BAD_KEY, f"{key[0]!r} is of the key and cannot be left out", field="key")
    kept = [column for column in relation.columns if column.name not in settings.exclude]
    kept.sort(key=lambda column: key.index(column.name) if column.name in key else len(key))
    planned, refused = _decide(database, relation, kept, key, settings)
    if refused:
        shown = "; ".join(f"{column.name} ({_word(column)}): {why.why} - {why.hint}" for column, why in refused)
        first = refused[0][1].hint.replace("COLUMN", refused[0][0].name)
        message = f"{len(refused)} of {len(kept)} columns cannot be carried over: {shown}"
        raise MigrationFailed(MigrationReason.UNMAPPED_COLUMNS, message, field=refused[0][0].name, hint=first)
    twice = {column.name for column in planned if [other.name for other in planned].count(column.name) > 1}
    if twice:
        raise MigrationFailed(MigrationReason.BAD_OPTION, f"two columns would be called {min(twice)!r}", field="rename")
    return Plan(relation, tuple(planned), key, settings, database.dialect)


def _known(given: Iterable[str], names: Sequence[str], option: str, relation: Relation) -> None:
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"its columns are {', '.join(names)}"
            message = f"{relation.title} has no column {name!r}"
            raise MigrationFailed(MigrationReason.UNKNOWN_SOURCE, message, field=option, hint=hint)


def _decide(
    database: Database, relation: Relation, kept: Sequence[SourceColumn], key: Sequence[str], settings: Settings
) -> tuple[list[PlannedColumn], list[tuple[SourceColumn, Refused]]]:
    planned: list[PlannedColumn] = []
    refused: list[tuple[SourceColumn, Refused]] = []
    for given in kept:
        column = given
        if database.dialect == "sqlite" and isinstance(column.type, sa.types.NullType):  # declared without a type
            with database.reading() as connection:
                found_type = stored_type(connection, relation.rows, column.name)
            column = SourceColumn(column.name, found_type, column.nullable)
        taken = take(column, database.dialect, settings)
        if isinstance(taken, Taken) and column.name in key and taken.type not in _KEY_TYPES:
            taken = Refused(f"a {taken.type} cannot be a key", "--type COLUMN=string makes a text of it")
        if isinstance(taken, Taken) and column.name in key and isinstance(column.type, mysql.SET):
            hint = "name another key with --key, or make one with --query, as in CAST(COLUMN AS CHAR)"
            taken = Refused("a SET cannot be a key: MySQL orders it by its bits and compares it as a text", hint)
        if isinstance(taken, Refused):
            refused.append((column, taken))
            continue
        name = settings.rename.get(column.name, column.name)
        planned.append(PlannedColumn(column, name, taken, type_of_name(taken.type, name)))
    return planned, refused


def _word(column: SourceColumn) -> str:
    """The type of a column as the database calls it, or nearly."""
    if isinstance(column.type, sa.types.NullType):
        return "of an unknown type"
    try:
        return str(column.type)
    except Exception:  # a type that cannot be written without its dialect
        return type(column.type).__name__


def _key_of(relation: Relation, settings: Settings) -> tuple[str, ...]:
    key = settings.key or relation.key
    if not key:
        unique = " or ".join(",".join(names) for names in relation.unique)
        hint = f"--key {unique} would do: unique and never null" if unique else "name its key columns with --key"
        raise MigrationFailed(MigrationReason.NO_KEY, f"{relation.title} has no primary key", field="key", hint=hint)
    return key


def check_values(plan: Plan, connection: sa.Connection) -> None:
    """What only the values can say, asked in one scan before anything is copied: whether a key that the catalogue
    does not vouch for names every row, numbers above int64, zero dates. Raises MigrationFailed."""
    relation = plan.relation
    _check_key(plan, connection)
    asked: dict[str, sa.ColumnElement[Any]] = {}
    for column in plan.columns:
        place = relation.column(column.source.name)
        if plan.dialect == "mysql" and column.taken.type == "int64" and getattr(column.source.type, "unsigned", False):
            asked[f"above int64:{column.name}"] = sa.func.sum(
                sa.case((place > sa.literal_column(str(INT64_MAX)), 1), else_=0)
            )
        if plan.dialect == "mysql" and column.taken.type == "timestamp" and plan.settings.zero_dates == "refuse":
            zero = sa.func.coalesce(sa.func.month(place), 1) * sa.func.coalesce(sa.func.dayofmonth(place), 1) == 0
            asked[f"zero dates:{column.name}"] = sa.func.sum(sa.case((zero, 1), else_=0))
    if not asked:
        return
    counts = connection.execute(sa.select(*asked.values()).select_from(relation.rows)).one()
    for what, count in zip(asked, counts, strict=True):
        if count:
            problem, _, name = what.partition(":")
            dates = problem == "zero dates"
            why = f"{int(count):,} {'zero dates' if dates else 'numbers are above what int64 holds (2^63-1)'}"
            hint = "--zero-dates null makes nulls of them" if dates else f"--type {name}=string makes texts of them"
            raise MigrationFailed(MigrationReason.VALUE_REFUSED, f"column {name!r}: {why}", field=name, hint=hint)


def _check_key(plan: Plan, connection: sa.Connection) -> None:
    relation = plan.relation
    safe = {frozenset(names) for names in (relation.key, *relation.unique) if names}
    named = any(names <= {*plan.key} for names in safe)
    if named and plan.dialect != "sqlite":  # SQLite alone lets nulls into a primary key, and as many as there are
        return
    columns = [relation.column(name) for name in plan.key]
    shown = ", ".join(plan.key)
    null = sa.select(sa.literal(1)).select_from(relation.rows).where(sa.or_(*[c.is_(None) for c in columns])).limit(1)
    if connection.execute(null).first() is not None:
        message = f"the key ({shown}) is null in some rows"
        raise MigrationFailed(MigrationReason.BAD_KEY, message, field="key", hint="a key names every row")
    if named:
        return
    twice = sa.select(*columns).group_by(*columns).having(sa.func.count() > 1).limit(1)
    found = connection.execute(twice).first()
    if found is not None:
        message = f"the key ({shown}) names several rows: {', '.join(map(repr, found))}"
        raise MigrationFailed(MigrationReason.BAD_KEY, message, field="key", hint="add columns until it names one row")


def keys_of(block: Block, names: Sequence[str], at: int) -> str:
    """The key of one row, for a message."""
    values: Mapping[str, Any] = {name: block.columns[name].slice(at, at + 1).to_list()[0] for name in names}
    return ", ".join(f"{name}={value!r}" for name, value in values.items())
