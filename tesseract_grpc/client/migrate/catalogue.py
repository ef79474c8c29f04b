"""What there is to read: columns, key and indexes of a table, from the catalogue, or of a query, from its result."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import types as sql
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.sql.selectable import FromClause
from sqlalchemy.types import TypeEngine

from .database import Database, quiet
from .errors import MigrationFailed, MigrationReason

Type = TypeEngine[Any]


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column as the database has it."""

    name: str
    type: Type
    nullable: bool = True
    comment: str = ""
    json_checked: bool = False
    """Of MariaDB, whose JSON is a text with a check."""


@dataclass(frozen=True, slots=True)
class Relation:
    """What is read: something to select from, with its columns and key."""

    title: str
    """What it is called in messages and kept in the state."""
    rows: FromClause
    columns: tuple[SourceColumn, ...]
    key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    """Sets of columns that are unique and never null."""
    indexed: frozenset[str] = field(default=frozenset())
    """Columns that have an index of their own."""

    def column(self, name: str) -> sa.ColumnElement[Any]:
        """A column to select or to compare, without a type: values go to the driver and come from it as they are."""
        return self.rows.c[name]


def table_of(database: Database, name: str) -> Relation:
    """A table or view, which may be named with its schema. Raises MigrationFailed with names like it."""
    with database.errors("cannot read the catalogue of"), quiet():
        inspector = sa.inspect(database.engine)
        schema, bare = _find(inspector, name)
        columns = inspector.get_columns(bare, schema=schema)
        key = inspector.get_pk_constraint(bare, schema=schema)["constrained_columns"]
        indexes = inspector.get_indexes(bare, schema=schema)
        checks = _json_checks(inspector, bare, schema, database)
    made = [
        SourceColumn(
            column["name"],
            column["type"],
            bool(column["nullable"]),
            column.get("comment") or "",
            column["name"] in checks,
        )
        for column in columns
    ]
    never_null = {column.name for column in made if not column.nullable}
    unique = [tuple(index["column_names"]) for index in indexes if index["unique"]]
    alone = {str(index["column_names"][0]) for index in indexes if len(index["column_names"]) == 1}
    return Relation(
        f"{schema}.{bare}" if schema else bare,
        sa.table(bare, *[sa.column(column.name) for column in made], schema=schema),
        tuple(made),
        tuple(key),
        tuple(tuple(map(str, names)) for names in unique if never_null.issuperset(map(str, names))),
        frozenset(alone),
    )


def _find(inspector: sa.Inspector, name: str) -> tuple[str | None, str]:
    """The schema and the bare name of a table or view."""
    if inspector.has_table(name):
        return None, name
    schema, _, bare = name.rpartition(".")
    if schema and schema in inspector.get_schema_names() and inspector.has_table(bare, schema=schema):
        return schema, bare
    where = schema if schema in inspector.get_schema_names() else None
    known = sorted({*inspector.get_table_names(schema=where), *inspector.get_view_names(schema=where)})
    lower = {known_name.lower(): known_name for known_name in known}
    near = [lower[match] for match in difflib.get_close_matches((bare or name).lower(), lower, 3, 0.6)]
    hint = f"did you mean {' or '.join(near)}?" if near else ""
    if not near:
        shown = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
        hint = f"there are {shown}" if known else "the database has no tables that this user can see"
    raise MigrationFailed(
        MigrationReason.UNKNOWN_SOURCE, f"the database has no table {name!r}", field="table", hint=hint
    )


def _json_checks(inspector: sa.Inspector, table: str, schema: str | None, database: Database) -> set[str]:
    """The columns of MariaDB that are JSON: texts with the check that it makes for them."""
    if database.dialect != "mysql" or not getattr(database.engine.dialect, "is_mariadb", False):
        return set()
    with database.engine.connect() as connection:
        query = sa.text(
            "SELECT check_clause FROM information_schema.check_constraints "
            "WHERE table_name = :name AND constraint_schema = COALESCE(:place, DATABASE())"
        )
        clauses = connection.execute(query, {"name": table, "place": schema}).scalars().all()
    found = (str(clause).strip() for clause in clauses)
    return {clause[len("json_valid(`") : -2] for clause in found if clause.lower().startswith("json_valid(`")}


def query_of(database: Database, text: str) -> Relation:
    """The result of a SELECT. Its columns are known by running it for no rows."""
    text = text.strip().rstrip(";").strip()
    inner = sa.text(text.replace(":", r"\:"))  # a colon of the user's is no parameter of ours
    with database.reading() as connection:
        probe = sa.text(f"SELECT * FROM ({inner.text}) AS migrated WHERE 1 = 0")  # noqa: S608  # the user's own SQL
        with database.errors("cannot run the query on"):
            result = connection.execute(probe)
            assert result.cursor is not None
            described = [tuple(column) for column in result.cursor.description]
            result.close()
        names = [str(column[0]) for column in described]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            message = f"the query has two columns {twice[0]!r}"
            raise MigrationFailed(MigrationReason.UNKNOWN_SOURCE, message, field="query", hint="name them with AS")
        rows = inner.columns(*[sa.column(name) for name in names]).subquery("migrated")
        types = _types_of_result(database, connection, described, rows)
    columns = tuple(SourceColumn(name, types[name]) for name in names)
    return Relation(f"query {text}", rows, columns)


def _types_of_result(
    database: Database, connection: sa.Connection, described: Sequence[Sequence[Any]], rows: FromClause
) -> Mapping[str, Type]:
    if database.dialect == "postgresql":
        return _postgres_types(connection, described)
    if database.dialect == "mysql":
        return {str(column[0]): _mysql_type(column) for column in described}
    if database.dialect == "sqlite":
        return {str(column[0]): stored_type(connection, rows, str(column[0])) for column in described}
    return {str(column[0]): sql.NullType() for column in described}


def _postgres_types(connection: sa.Connection, described: Sequence[Sequence[Any]]) -> Mapping[str, Type]:
    """PostgreSQL describes a result by the numbers of its types; the catalogue has their names."""
    query = sa.text(
        "SELECT t.oid, format_type(t.oid, NULL) AS name, t.typcategory AS category, "
        "(SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid) AS labels "
        "FROM pg_type t WHERE t.oid = ANY(:oids)"
    )
    oids = [int(column[1]) for column in described]
    known = {row.oid: row for row in connection.execute(query, {"oids": oids})}
    found: dict[str, Type] = {}
    for column in described:
        row, name = known[int(column[1])], str(column[0])
        if row.labels:
            found[name] = postgresql.ENUM(*row.labels, name=row.name, create_type=False)
        elif row.category == "A":
            found[name] = postgresql.ARRAY(sql.NullType())
        elif row.name == "numeric":
            found[name] = sql.Numeric(column[4], column[5])
        elif row.name.startswith("timestamp"):
            found[name] = sql.TIMESTAMP(timezone=row.name.endswith("with time zone"))
        else:
            made: Any = postgresql.dialect.ischema_names.get(row.name, sql.NullType)
            found[name] = made()
    return found


_MYSQL_TYPES: Mapping[int, type[Type]] = {
    1: sql.SmallInteger, 2: sql.SmallInteger, 3: sql.Integer, 9: sql.Integer, 8: sql.BigInteger,
    4: sql.Float, 5: sql.Double, 7: mysql.TIMESTAMP, 10: sql.Date, 11: mysql.TIME, 12: mysql.DATETIME,
    13: mysql.YEAR, 15: sql.String, 245: sql.JSON, 247: sql.String, 248: sql.String,
    249: sql.Text, 250: sql.Text, 251: sql.Text, 252: sql.Text, 253: sql.String, 254: sql.String,
}  # fmt: skip
"""By the numbers of the wire protocol. What is binary there comes as bytes and is refused by the value."""


def _mysql_type(column: Sequence[Any]) -> Type:
    code, length, scale = int(column[1]), int(column[3] or 0), int(column[5] or 0)
    if code in (0, 246):  # a sign and a point belong to the length
        return sql.Numeric(max(length - 1 - (scale > 0), 1), scale)
    if code == 16:
        return mysql.BIT(length)
    return _MYSQL_TYPES.get(code, sql.NullType)()


def stored_type(connection: sa.Connection, rows: FromClause, name: str) -> Type:
    """Of SQLite, whose values have types and not its columns: the one type that all values of a column have."""
    kind = sa.func.typeof(rows.c[name])
    found = {str(each) for each in connection.execute(sa.select(kind).distinct()).scalars()} - {"null"}
    if found == {"integer"}:
        return sql.BigInteger()
    if found and found <= {"integer", "real"}:
        return sql.Double()
    if found <= {"text"}:
        return sql.Text()
    return sql.LargeBinary() if found == {"blob"} else sql.NullType()
