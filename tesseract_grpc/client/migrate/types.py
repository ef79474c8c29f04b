"""What becomes of each type of column: one rule for each kind, tried in order. docs/MIGRATING.md has them as a table.

A rule never guesses: a type that cannot be carried over without a decision of the user is refused with the option that
makes the decision, and so is one that nobody has thought of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import types as sql
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import TypeEngine

from .catalogue import SourceColumn
from .options import Settings

Reads = Literal["", "text", "json", "hstore", "utc"]
"""What the database is asked for in the place of the column: its text, its JSON, its time in UTC."""

Converter = Literal["bool", "bits", "int64", "float64", "timestamp", "string", "json", "base64"]

EXACT_DIGITS = 15
"""Every decimal of so many digits is the same decimal again after having been a double."""
INT64_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Taken:
    """How a column is carried over."""

    type: str
    """The type that it gets."""
    converter: Converter
    reads: Reads = ""
    enum: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A column that is not carried over, and what to do about it."""

    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table."""

    types: str
    becomes: str
    how: str
    fits: Callable[[SourceColumn, str], bool]
    take: Callable[[SourceColumn, Settings], Taken | Refused]


def _is(*kinds: type[Any]) -> Callable[[SourceColumn, str], bool]:
    return lambda column, dialect: isinstance(column.type, kinds)


def _as(type: str, converter: Converter, reads: Reads = "") -> Callable[[SourceColumn, Settings], Taken]:
    return lambda column, settings: Taken(type, converter, reads)


def _tiny(column: SourceColumn, dialect: str) -> bool:
    return isinstance(column.type, mysql.TINYINT) and column.type.display_width == 1


def _bit(column: SourceColumn, settings: Settings) -> Taken:
    if isinstance(column.type, mysql.BIT):
        return Taken("bool", "bits") if column.type.length in (None, 1) else Taken("int64", "bits")
    return Taken("string", "string", "text")


def _integer(column: SourceColumn, settings: Settings) -> Taken:
    return Taken("int64", "int64")


def _decimal(column: SourceColumn, settings: Settings) -> Taken | Refused:
    """By what holds every value exactly; else by the user's choice."""
    precision, scale = getattr(column.type, "precision", None), getattr(column.type, "scale", None)
    if precision is not None and not scale and precision <= INT64_DIGITS:
        return Taken("int64", "int64")
    if precision is not None and precision <= EXACT_DIGITS:
        return Taken("float64", "float64")
    if settings.decimals == "exact":
        digits = "any number of digits" if precision is None else f"{precision} digits"
        hint = "--decimals string keeps every digit, --decimals float rounds to about 16"
        return Refused(f"a decimal of {digits} fits neither int64 nor float64 exactly", hint)
    return Taken("string", "string") if settings.decimals == "string" else Taken("float64", "float64")


def _zoned(column: SourceColumn, dialect: str) -> bool:
    if isinstance(column.type, mysql.TIMESTAMP):  # kept in UTC, and shown in the zone of the connection
        return True
    return isinstance(column.type, sql.DateTime) and bool(column.type.timezone)


def _moment(column: SourceColumn, settings: Settings) -> Taken:
    zoned = isinstance(column.type, sql.DateTime) and bool(column.type.timezone)
    return Taken("timestamp", "timestamp", "utc" if zoned else "")


def _enum(column: SourceColumn, settings: Settings) -> Taken:
    assert isinstance(column.type, sql.Enum)
    names = tuple(column.type.enums)
    return Taken("enum", "string", enum=names) if names else Taken("string", "string")


def _json(column: SourceColumn, dialect: str) -> bool:
    return column.json_checked or isinstance(column.type, sql.JSON)


def _binary(column: SourceColumn, settings: Settings) -> Taken | Refused:
    if settings.binary == "base64":
        return Taken("string", "base64")
    return Refused("a table holds no bytes", "--binary base64 makes texts of them, --exclude leaves the column out")


def _interval(column: SourceColumn, settings: Settings) -> Refused:
    hint = "select a number with --query, as in EXTRACT(EPOCH FROM x), or take the text with --type COLUMN=string"
    return Refused("a length of time may be months and has no type here", hint)


def _unknown(column: SourceColumn, settings: Settings) -> Refused:
    hint = "--type COLUMN=string takes the database's text of it, --exclude leaves the column out"
    return Refused("there is no rule for this type", hint)


_MONEY = (postgresql.MONEY, sql.Interval, postgresql.INTERVAL)
_AS_TEXT = (postgresql.INET, postgresql.CIDR, postgresql.MACADDR, postgresql.MACADDR8)

RULES: tuple[Rule, ...] = (
    Rule("`BOOLEAN`; `TINYINT(1)` of MySQL", "`bool`", "a `TINYINT(1)` other than 0 and 1 is refused by its row",
         lambda column, dialect: _tiny(column, dialect) or isinstance(column.type, sql.Boolean), _as("bool", "bool")),
    Rule("`BIT(1)`, `BIT(n)` of MySQL; `BIT` of PostgreSQL", "`bool`, `int64`; `string`", "a text of 0 and 1",
         _is(mysql.BIT, postgresql.BIT), _bit),
    Rule("`SMALLINT`, `INTEGER`, `BIGINT`, `TINYINT`, `YEAR`, `OID`, unsigned too", "`int64`",
         "a `BIGINT UNSIGNED` above 2⁶³−1 is refused before anything is copied",
         _is(sql.Integer, mysql.YEAR, postgresql.OID), _integer),
    Rule("`REAL`, `FLOAT`, `DOUBLE`", "`float64`", "as the driver gives them; NaN and infinities stay",
         _is(sql.Float), _as("float64", "float64")),
    Rule("`NUMERIC(p)`, p ≤ 18", "`int64`", "exact; `NUMERIC(p, s)` with s > 0 see below",
         lambda column, dialect: _decimal_of(column) == "int64", _decimal),
    Rule("`NUMERIC(p, s)`, p ≤ 15", "`float64`", "exact: the same decimal when it is written again",
         lambda column, dialect: _decimal_of(column) == "float64", _decimal),
    Rule("other `NUMERIC` and `DECIMAL`", "refused; `string` or `float64`",
         "`--decimals string` keeps every digit, `--decimals float` rounds to about 16 digits",
         _is(sql.Numeric), _decimal),
    Rule("`TIMESTAMP WITH TIME ZONE`; `TIMESTAMP` of MySQL", "`timestamp`", "microseconds, UTC", _zoned, _moment),
    Rule("`TIMESTAMP`, `DATETIME`, `DATE` without a zone", "`timestamp`",
         "microseconds; read as UTC, or as local time of `--timezone`; a date is its midnight; zero dates of MySQL are "
         "refused before anything is copied, or null with `--zero-dates null`", _is(sql.DateTime, sql.Date), _moment),
    Rule("`TIME`", "`string`", "as in ISO 8601, `07:30:00`", _is(sql.Time), _as("string", "string")),
    Rule("`ENUM`", "`enum`", "with the names of the database, in their order",
         lambda column, dialect: isinstance(column.type, sql.Enum) and not isinstance(column.type, mysql.SET), _enum),
    Rule("`JSON`, `JSONB`", "`json`", "the text of the database, not written anew; MariaDB's by its check", _json,
         lambda column, settings: Taken("json", "json", "text" if isinstance(column.type, sql.JSON) else "")),
    Rule("arrays, `HSTORE`", "`json`", "as the database writes them as JSON",
         _is(sql.ARRAY, postgresql.HSTORE),
         lambda column, settings: Taken("json", "json", "json" if isinstance(column.type, sql.ARRAY) else "hstore")),
    Rule("`UUID`", "`string`", "in lower case with hyphens", _is(sql.Uuid), _as("string", "string")),
    Rule("`INET`, `CIDR`, `MACADDR`", "`string`", "the database's text", _is(*_AS_TEXT),
         _as("string", "string", "text")),
    Rule("`BYTEA`, `BLOB`, `BINARY`, `VARBINARY`", "refused; `string`", "`--binary base64` makes base64 of them",
         _is(sql.LargeBinary, sql.BINARY, sql.VARBINARY, postgresql.BYTEA), _binary),
    Rule("`INTERVAL`, `MONEY`", "refused", "`--query` can make numbers of them, `--type COLUMN=string` texts",
         _is(*_MONEY), _interval),
    Rule("`CHAR`, `VARCHAR`, `TEXT`, `SET`", "`string`", "as the driver gives them", _is(sql.String),
         _as("string", "string")),
    Rule("everything else", "refused", "`--type COLUMN=string` takes the database's text",
         lambda column, dialect: True, _unknown),
)  # fmt: skip


def _decimal_of(column: SourceColumn) -> str:
    """The exact type of a decimal; empty when there is none, or when it is none."""
    if not isinstance(column.type, sql.Numeric) or isinstance(column.type, sql.Float):
        return ""
    found = _decimal(column, Settings())
    return found.type if isinstance(found, Taken) else ""


def rule_of(column: SourceColumn, dialect: str) -> Rule:
    """The rule for a column; there always is one."""
    return next(rule for rule in RULES if rule.fits(column, dialect))


def take(column: SourceColumn, dialect: str, settings: Settings) -> Taken | Refused:
    """What becomes of a column: what the user says, or else by the rules."""
    if isinstance(column.type, postgresql.DOMAIN):  # what holds for its base type holds for it
        base: TypeEngine[Any] = column.type.data_type
        column = SourceColumn(column.name, base, column.nullable, column.comment)
    found = rule_of(column, dialect).take(column, settings)
    asked = settings.types.get(column.name)
    return found if asked is None else _asked(asked, found, dialect, column)


def _asked(asked: str, found: Taken | Refused, dialect: str, column: SourceColumn) -> Taken:
    """What the user wants: with a rule for the type, what the rule reads; else the database's text."""
    if isinstance(found, Taken) and found.type == asked:
        return found
    if asked == "string" and (isinstance(found, Refused) or found.reads):
        binary = isinstance(column.type, sql.LargeBinary | sql.BINARY | sql.VARBINARY | postgresql.BYTEA)
        return Taken("string", "base64" if binary else "string", "" if binary else "text")
    reads: Reads = found.reads if isinstance(found, Taken) else ""
    converters: dict[str, Converter] = {
        "bool": "bool",
        "int64": "int64",
        "float64": "float64",
        "timestamp": "timestamp",
        "string": "string",
        "json": "json",
    }
    return Taken(asked, converters[asked], reads)
