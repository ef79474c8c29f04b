"""The steps of a migration: what each does, what undoes it, and how it is told.

A step is one request, which the server does whole or not at all, or a function of the user, of which nobody knows what
it has done when it fails. That difference decides how a migration that stopped in the middle can go on.

    {"add_column": {"name": "email", "type": "string"}}      an alteration of the migration's table
    {"table": "orders", "drop_column": "note"}               of another one
    {"create_table": {"id": "teams", "columns": [...]}}, {"remove_table": "old"}, {"rename_table": {"a": "b"}},
    {"swap_tables": ["users", "users_v2"]}
"""

from __future__ import annotations

import hashlib
import inspect
import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tesseract_grpc._proto.tesseract.v1 import schema_pb2, table_service_pb2

from ..core.alterations import READERS, Alterations, Message, add_alteration, description_of
from ..core.errors import InvalidRequest
from ..core.names import hub_name, table_name
from ..core.schema import columns_of
from ..core.words import snake
from .errors import bad_migration

Request: TypeAlias = Any
"""A request of the table service."""


@dataclass(frozen=True, slots=True)
class Alter:
    """Alterations of one table, in one version."""

    table: str
    messages: tuple[Message, ...]

    def describe(self) -> str:
        """In a few words."""
        return f"{self.table}: {'; '.join(map(description_of, self.messages))}"

    def inverse(self) -> Step | None:
        """What undoes it; None when it lost something."""
        undone = [_inverse_of(message) for message in reversed(self.messages)]
        found = tuple(message for message in undone if message is not None)
        return Alter(self.table, found) if len(found) == len(undone) else None

    def call(self, hub: str, request_id: str) -> tuple[str, Request]:
        """The method that does it, and its request."""
        request = table_service_pb2.AlterTableRequest(
            name=table_name(hub, self.table), alterations=self.messages, request_id=request_id
        )
        return "AlterTable", request


def _inverse_of(message: Message) -> Message | None:
    match message.WhichOneof("alteration"):
        case "add_column":
            return Message(drop_column=table_service_pb2.DropColumn(column=message.add_column.column.name))
        case "rename_column":
            renamed = message.rename_column
            back = table_service_pb2.RenameColumn(column=renamed.new_name, new_name=renamed.column)
            return Message(rename_column=back)
        case "add_index":
            return Message(drop_index=message.add_index.column)
    return None


@dataclass(frozen=True, slots=True)
class CreateTable:
    """A new table."""

    id: str
    columns: tuple[schema_pb2.Column, ...]
    indexes: tuple[schema_pb2.Index, ...]
    description: str

    def describe(self) -> str:
        """In a few words."""
        return f"create table {self.id} ({', '.join(column.name for column in self.columns)})"

    def inverse(self) -> Step | None:
        """What undoes it."""
        return RemoveTable(self.id)

    def call(self, hub: str, request_id: str) -> tuple[str, Request]:
        """The method that does it, and its request."""
        table = schema_pb2.Table(columns=self.columns, indexes=self.indexes, description=self.description)
        request = table_service_pb2.CreateTableRequest(
            parent=hub_name(hub), table_id=self.id, table=table, request_id=request_id
        )
        return "CreateTable", request


@dataclass(frozen=True, slots=True)
class RemoveTable:
    """A table goes, with its rows and sessions."""

    id: str

    def describe(self) -> str:
        """In a few words."""
        return f"remove table {self.id}"

    def inverse(self) -> Step | None:
        """Its rows are lost."""
        return None

    def call(self, hub: str, request_id: str) -> tuple[str, Request]:
        """The method that does it, and its request."""
        return "DeleteTable", table_service_pb2.DeleteTableRequest(name=table_name(hub, self.id), request_id=request_id)


@dataclass(frozen=True, slots=True)
class RenameTable:
    """A table is called otherwise."""

    id: str
    new_id: str

    def describe(self) -> str:
        """In a few words."""
        return f"rename table {self.id} to {self.new_id}"

    def inverse(self) -> Step | None:
        """What undoes it."""
        return RenameTable(self.new_id, self.id)

    def call(self, hub: str, request_id: str) -> tuple[str, Request]:
        """The method that does it, and its request."""
        request = table_service_pb2.RenameTableRequest(
            name=table_name(hub, self.id), new_table_id=self.new_id, request_id=request_id
        )
        return "RenameTable", request


@dataclass(frozen=True, slots=True)
class SwapTables:
    """Two tables exchange their names."""

    one: str
    other: str

    def describe(self) -> str:
        """In a few words."""
        return f"swap tables {self.one} and {self.other}"

    def inverse(self) -> Step | None:
        """What undoes it."""
        return self

    def call(self, hub: str, request_id: str) -> tuple[str, Request]:
        """The method that does it, and its request."""
        request = table_service_pb2.SwapTablesRequest(
            name=table_name(hub, self.one), other=table_name(hub, self.other), request_id=request_id
        )
        return "SwapTables", request


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the user, of the hub or of the table and the hub."""

    function: Callable[..., Any]
    takes_table: bool

    def describe(self) -> str:
        """In a few words."""
        return f"call {getattr(self.function, '__name__', 'a function')}()"

    def inverse(self) -> Step | None:
        """Nobody knows."""
        return None


THE_TABLE = ""
"""Stands for the table that is migrated, where migrations are about one table and are told which when they run."""

Step: TypeAlias = "Alter | CreateTable | RemoveTable | RenameTable | SwapTables | Call"
StepsLike: TypeAlias = "Callable[..., Any] | Alterations | Sequence[Mapping[str, Any]] | Mapping[str, Any]"
"""What a migration does: a function, alterations of its table, or a list of steps as dicts."""


def steps_of(given: object, table: str | None, where: str) -> tuple[Step, ...]:
    """The steps of one direction of a migration. Alterations of one table that follow each other are one step.

    Raises SchemaMigrationFailed (BAD_MIGRATION) with the place of what cannot be meant."""
    if callable(given):
        return (Call(given, _takes_table(given, where)),)
    if isinstance(given, Alterations):
        return (Alter(_known(table, where), given.messages),)
    items = [given] if isinstance(given, Mapping) else given
    if isinstance(items, str) or not isinstance(items, Sequence):
        raise bad_migration(f"{given!r:.60} is neither a function nor a list of steps", where, "write a list of dicts")
    steps: list[Step] = []
    for at, each in enumerate(items):
        _take(steps, each, table, f"{where}[{at}]")
    return tuple(steps)


def _take(steps: list[Step], given: object, table: str | None, where: str) -> None:
    if callable(given):
        steps.append(Call(given, _takes_table(given, where)))
        return
    words = dict(given) if isinstance(given, Mapping) else {}
    own = words.pop("table", table)
    if len(words) != 1:
        known = ", ".join([*READERS, *_TABLES])
        raise bad_migration(f"a step is a dict of one entry, not {given!r:.60}", where, f"one of {known}")
    ((word, value),) = words.items()
    try:
        if snake(str(word)) in _TABLES:
            steps.append(_TABLES[snake(str(word))](value, f"{where}.{word}"))
            return
        made = Alterations()
        add_alteration(made, {word: value}, where)
    except InvalidRequest as error:
        raise bad_migration(error.message, error.field or where, "docs/MIGRATING.md lists the steps") from None
    own = _known(own, where)
    last = steps[-1] if steps else None
    if isinstance(last, Alter) and last.table == own:
        steps[-1] = Alter(own, (*last.messages, *made.messages))
    else:
        steps.append(Alter(own, made.messages))


def _known(table: object, where: str) -> str:
    if not isinstance(table, str):
        raise bad_migration("which table is altered is missing", where, "say table = 'users', or in the step itself")
    return table


def _takes_table(function: Callable[..., Any], where: str) -> bool:
    """Whether a function takes the table and the hub, or only the hub."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    places = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    needed = [each for each in places if each.default is each.empty]
    if len(needed) > 2 or not places:
        raise bad_migration("a function takes the hub, or a table and the hub", where, "write def up(hub):")
    return len(needed) == 2


def _pair(given: object, where: str) -> tuple[str, str]:
    if isinstance(given, Mapping) and len(given) == 1:
        given = next(iter(given.items()))
    if not isinstance(given, list | tuple) or len(given) != 2 or not all(isinstance(each, str) for each in given):
        raise bad_migration(f"needs two names of tables, not {given!r:.60}", where, "write {old: new} or [one, other]")
    return given[0], given[1]


def _create(given: object, where: str) -> Step:
    words = dict(given) if isinstance(given, Mapping) else {}
    id, columns = words.pop("id", words.pop("name", None)), words.pop("columns", None)
    description = words.pop("description", "")
    if not isinstance(id, str) or columns is None or words:
        raise bad_migration(
            f"a table is its id and its columns, not {given!r:.60}", where, "write {id: .., columns: [..]}"
        )
    columns, indexes = columns_of(columns)
    return CreateTable(id, tuple(columns), tuple(indexes), description)


def _remove(given: object, where: str) -> Step:
    return RemoveTable(_known(given, where))


_TABLES: dict[str, Callable[[object, str], Step]] = {
    "create_table": _create,
    "remove_table": _remove,
    "rename_table": lambda given, where: RenameTable(*_pair(given, where)),
    "swap_tables": lambda given, where: SwapTables(*_pair(given, where)),
}


def inverse_of(steps: Sequence[Step]) -> tuple[Step, ...] | None:
    """What undoes all of them, last first; None when one of them cannot be undone."""
    undone = [step.inverse() for step in reversed(steps)]
    found = tuple(step for step in undone if step is not None)
    return found if len(found) == len(undone) else None


def checksum_of(*parts: object) -> str:
    """A name for what a migration in code does: of its lists, and of the source of its functions. Empty when the source
    of a function cannot be read, and then it is not compared."""
    texts = []
    for part in parts:
        if callable(part):
            try:
                texts.append(textwrap.dedent(inspect.getsource(part)))
            except (OSError, TypeError):
                return ""
        elif isinstance(part, Alterations):
            texts.append(repr(part))
        else:
            texts.append(json.dumps(part, sort_keys=True, default=repr))
    return checksum_of_text("\0".join(texts))


def checksum_of_text(text: str) -> str:
    """A name for a text; line ends do not matter."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()[:32]
