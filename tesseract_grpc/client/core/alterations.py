"""Changes of a table's definition, as users write them, to what the wire has.

    Alterations().add_column("email", "string", backfill='name.toLowerCase() + "@example.com"').drop_column("mail")
    [{"add_column": {"name": "email", "type": "string", "backfill": ...}}, {"drop_column": "mail"}]

Both say the same: the first is for programs, the second for files. They are applied in order, each seeing what those
before it have made, all of them or none, in one version. Which columns there are and what values fit is the server's
to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias, TypedDict, Unpack

from google.protobuf.field_mask_pb2 import FieldMask

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2

from .errors import invalid
from .names import id_of
from .schema import ColumnDict, Schema, columns_of, index_of
from .words import list_of, malformed, snake, text_of, words_of

Message: TypeAlias = table_service_pb2.Alteration


class ColumnWords(TypedDict, total=False):
    """What a column may say, beside its name and type."""

    required: bool
    default: Any
    default_expression: str | None
    enum: Sequence[str]
    expression: str | None
    description: str
    index: bool | str


class ChangedWords(TypedDict, total=False):
    """What may be changed of a column. What is not said stays; None takes it away."""

    type: str
    required: bool
    default: Any
    default_expression: str | None
    enum: Sequence[str]
    expression: str | None
    description: str | None


_MASK = {
    "type": "type",
    "required": "required",
    "default": "default_value",
    "default_expression": "default_expression",
    "enum": "enum_values",
    "expression": "expression",
    "description": "description",
}
"""What of a column may change, and what the wire calls it."""


class Alterations:
    """A list of changes of one table, made step by step; each method returns the list itself."""

    def __init__(self) -> None:
        self._messages: list[Message] = []

    def __len__(self) -> int:
        return len(self._messages)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'; '.join(map(description_of, self._messages))})"

    @property
    def messages(self) -> tuple[Message, ...]:
        """What goes over the wire."""
        return tuple(self._messages)

    def add_column(
        self,
        column: str | ColumnDict,
        type: str | None = None,
        *,
        backfill: str | None = None,
        after: str | None = None,
        **words: Unpack[ColumnWords],
    ) -> Self:
        """Adds a column: its name and type, or a dict as `create_tesseract` takes it. `backfill` is an expression over
        the other columns, whose value the rows that there are get; without it they get the default. The column stands
        behind `after`, or last. With `index` it gets an index, too."""
        given = dict(column) if isinstance(column, Mapping) else {"name": column}
        given |= {"type": type} if type is not None else {}
        (made,), indexes = columns_of([{**given, **words}])
        added = table_service_pb2.AddColumn(
            column=made, backfill=_text(backfill, "backfill"), after=_text(after, "after")
        )
        self._messages.append(Message(add_column=added))
        self._messages.extend(Message(add_index=index) for index in indexes)
        return self

    def drop_column(self, column: str) -> Self:
        """Drops a column with its index. Refused for key columns and for one that an expression of the table names."""
        self._messages.append(Message(drop_column=table_service_pb2.DropColumn(column=_name(column, "drop_column"))))
        return self

    def rename_column(self, column: str, new_name: str) -> Self:
        """Gives a column another name; expressions of the table and sessions follow."""
        renamed = table_service_pb2.RenameColumn(
            column=_name(column, "rename_column"), new_name=_name(new_name, "rename_column.new_name")
        )
        self._messages.append(Message(rename_column=renamed))
        return self

    def change_column(self, column: str, *, using: str | None = None, **words: Unpack[ChangedWords]) -> Self:
        """Changes what is said of a column. `using` is an expression over the columns as they were, whose value every
        row gets; without it the value itself stays, where the new type holds all of it."""
        if not words:
            raise malformed(f"change_column says nothing new; it can change {', '.join(_MASK)}", "change_column")
        unknown = [word for word in words if word not in _MASK]
        if unknown:
            message = f"{unknown[0]!r} cannot be changed; change_column can change {', '.join(_MASK)}"
            raise malformed(message, f"change_column.{unknown[0]}")
        given: dict[str, Any] = {"name": _name(column, "change_column"), **words}
        (definition,), _ = columns_of([given])
        changed = table_service_pb2.ChangeColumn(
            column=definition.name,
            definition=definition,
            update_mask=FieldMask(paths=[_MASK[word] for word in words]),
            using=_text(using, "using"),
        )
        self._messages.append(Message(change_column=changed))
        return self

    def set_key(self, *columns: str) -> Self:
        """Makes these columns the primary key, in this order."""
        if not columns:
            raise malformed("set_key needs the names of columns", "set_key")
        names = [_name(column, f"set_key[{at}]") for at, column in enumerate(columns)]
        self._messages.append(Message(set_key=table_service_pb2.SetKey(columns=names)))
        return self

    def add_index(self, column: str, kind: str | bool = True) -> Self:
        """Adds an index over a column, or changes its kind: True, "hash" or "sorted"."""
        self._messages.append(Message(add_index=index_of(_name(column, "add_index"), kind, "add_index.kind")))
        return self

    def drop_index(self, column: str) -> Self:
        """Takes the index of a column away."""
        self._messages.append(Message(drop_index=_name(column, "drop_index")))
        return self

    def extend(self, more: AlterationsLike) -> Self:
        """Adds all of another list, in either form."""
        self._messages.extend(alterations_of(more).messages)
        return self


AlterationsLike: TypeAlias = "Alterations | Sequence[Mapping[str, Any]] | Mapping[str, Any]"
"""Changes of a table: an `Alterations`, or dicts of one entry each, which say what to do and with what."""


def alterations_of(given: AlterationsLike, field: str = "alterations") -> Alterations:
    """The changes that a list of dicts says."""
    if isinstance(given, Alterations):
        return given
    found = Alterations()
    items = [given] if isinstance(given, Mapping) else list_of(given, "alterations", field)
    for at, each in enumerate(items):
        add_alteration(found, each, f"{field}[{at}]")
    return found


def add_alteration(into: Alterations, given: object, field: str) -> None:
    """Adds what one dict says: {"drop_column": "mail"}."""
    if not isinstance(given, Mapping) or len(given) != 1:
        raise malformed(f"an alteration is a dict of one entry: {', '.join(READERS)}; not {given!r:.60}", field)
    ((word, value),) = given.items()
    read = READERS.get(snake(str(word)))
    if read is None:
        raise malformed(f"there is no alteration {word!r}; there are {', '.join(READERS)}", f"{field}.{word}")
    read(into, value, f"{field}.{word}")


def _read_add_column(into: Alterations, given: object, field: str) -> None:
    if not isinstance(given, Mapping):
        raise malformed(f"add_column is a column as a dict, not {given!r:.60}", field)
    column = dict(given)
    into.add_column(column, backfill=column.pop("backfill", None), after=column.pop("after", None))


def _read_drop_column(into: Alterations, given: object, field: str) -> None:
    into.drop_column(_name(given, field))


def _read_rename_column(into: Alterations, given: object, field: str) -> None:
    if isinstance(given, Mapping) and len(given) == 1 and not given.keys() & {"column", "new_name", "to"}:
        ((column, new_name),) = given.items()
    else:
        words = words_of(given, {"column": "column", "new_name": "new_name", "to": "new_name"}, "rename_column", field)
        column, new_name = words.get("column"), words.get("new_name")
    into.rename_column(_name(column, f"{field}.column"), _name(new_name, f"{field}.new_name"))


def _read_change_column(into: Alterations, given: object, field: str) -> None:
    known = {**{word: word for word in _MASK}, "column": "column", "name": "column", "using": "using"}
    words = words_of(given, known, "change_column", field)
    column = _name(words.pop("column", None), f"{field}.column")
    into.change_column(column, **words)


def _read_set_key(into: Alterations, given: object, field: str) -> None:
    into.set_key(*([given] if isinstance(given, str) else list_of(given, "set_key", field)))


def _read_add_index(into: Alterations, given: object, field: str) -> None:
    if isinstance(given, str):
        into.add_index(given)
        return
    words = words_of(given, ("column", "kind"), "add_index", field)
    into.add_index(text_of(words, "column", field), words.get("kind", True))


def _read_drop_index(into: Alterations, given: object, field: str) -> None:
    into.drop_index(_name(given, field))


READERS: dict[str, Callable[[Alterations, object, str], None]] = {
    "add_column": _read_add_column,
    "drop_column": _read_drop_column,
    "rename_column": _read_rename_column,
    "change_column": _read_change_column,
    "set_key": _read_set_key,
    "add_index": _read_add_index,
    "drop_index": _read_drop_index,
}
"""The alterations by the words that users write."""


def description_of(message: Message) -> str:
    """An alteration in a few words, for people."""
    match message.WhichOneof("alteration"):
        case "add_column":
            column = message.add_column.column
            (shown,) = Schema.of([column]).to_dicts()
            what = shown["type"] if column.type else "column"
            how = f" from {message.add_column.backfill}" if message.add_column.backfill else ""
            return f"add {what} {column.name}{' = ' + column.expression if column.expression else ''}{how}"
        case "drop_column":
            return f"drop column {message.drop_column.column}"
        case "rename_column":
            return f"rename column {message.rename_column.column} to {message.rename_column.new_name}"
        case "change_column":
            changed = message.change_column
            using = f" using {changed.using}" if changed.using else ""
            return f"change {', '.join(changed.update_mask.paths)} of column {changed.column}{using}"
        case "set_key":
            return f"set key {', '.join(message.set_key.columns)}"
        case "add_index":
            return f"add index {message.add_index.column}"
        case "drop_index":
            return f"drop index {message.drop_index}"
    return "nothing"


# --- what came of it


@dataclass(frozen=True, slots=True)
class EndedSession:
    """A session that an alteration ended, or would end: the column that it misses, and why, for people."""

    name: str
    column: str
    message: str


@dataclass(frozen=True, slots=True)
class AlterResult:
    """What an alteration or a swap did; of a dry run, what it would do (the version is 0 then)."""

    version: int
    columns: tuple[dict[str, Any], ...]
    """The columns of the table from here on, in the form that `create_tesseract` takes."""
    rewritten_rows: int
    """The number of rows that got a new value in some column."""
    ended_sessions: tuple[EndedSession, ...]
    """The first hundred of the sessions that ended."""
    ended_session_count: int


def result_of(response: table_service_pb2.AlterTableResponse | table_service_pb2.SwapTablesResponse) -> AlterResult:
    """What the server's answer says."""
    return AlterResult(
        version=response.version,
        columns=tuple(Schema.of(response.table.columns, response.table.indexes).to_dicts()),
        rewritten_rows=response.rewritten_rows if isinstance(response, table_service_pb2.AlterTableResponse) else 0,
        ended_sessions=tuple(EndedSession(id_of(e.name), e.column, e.message) for e in response.ended_sessions),
        ended_session_count=response.ended_session_count,
    )


def _name(value: object, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise invalid("MALFORMED_REQUEST", f"needs a name, not {value!r:.60}", field)
    return value


def _text(value: object, field: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid("MALFORMED_REQUEST", f"{field} is a text, not {value!r:.60}", field)
    return value
