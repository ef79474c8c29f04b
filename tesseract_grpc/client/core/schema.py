"""Tables as users describe them, and as the wire does.

A column is a dict: `{"name": "age", "type": "number", "index": True}`. `columns_of` checks the words and builds the
messages; what the words mean together (keys, defaults, enums) is the server's to judge, so that every client gets the
same answer. `Schema` is what a handle keeps of a table: enough to encode rows, and to describe the table again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import schema_pb2

from .datatype import ENUM, UNSPECIFIED, DataType, name_of_type, type_of_name
from .errors import invalid
from .literals import python_of, value_of, value_of_type

ColumnDict = Mapping[str, Any]

_WORDS = {
    "name": "name",
    "type": "type",
    "primary_key": "primary_key",
    "primaryKey": "primary_key",
    "index": "index",
    "secondaryKey": "index",
    "required": "required",
    "default": "default",
    "enum": "enum",
    "expression": "expression",
    "default_expression": "default_expression",
    "defaultExpression": "default_expression",
    "description": "description",
}

_INDEXES: dict[Any, schema_pb2.IndexKind.ValueType] = {
    True: schema_pb2.INDEX_KIND_UNSPECIFIED,
    "hash": schema_pb2.INDEX_KIND_HASH,
    "sorted": schema_pb2.INDEX_KIND_SORTED,
}
_INDEX_NAMES = {number: name for name, number in _INDEXES.items()}


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a table: their types by name, in order, and which of them are the key."""

    columns: tuple[schema_pb2.Column, ...]
    indexes: tuple[schema_pb2.Index, ...]
    types: Mapping[str, DataType]
    key: tuple[str, ...]

    @classmethod
    def of(cls, columns: Iterable[schema_pb2.Column], indexes: Iterable[schema_pb2.Index] = ()) -> Schema:
        """From the wire."""
        columns = tuple(columns)
        types = {column.name: column.type for column in columns}
        return cls(columns, tuple(indexes), types, tuple(column.name for column in columns if column.primary_key))

    def defaults(self) -> dict[str, Any]:
        """What an insert stores in a column that it does not mention, where that is not null."""
        return {c.name: python_of(c.default_value) for c in self.columns if c.HasField("default_value")}

    def to_dicts(self) -> list[dict[str, Any]]:
        """The columns in the form that `create_tesseract` takes."""
        kinds = {index.column: _INDEX_NAMES.get(index.kind, True) for index in self.indexes}
        return [_dict_of(column, kinds) for column in self.columns]


def _dict_of(column: schema_pb2.Column, kinds: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": column.name, "type": name_of_type(column.type)}
    if column.primary_key:
        found["primary_key"] = True
    if column.name in kinds:
        found["index"] = kinds[column.name]
    if column.required and not column.primary_key:
        found["required"] = True
    if column.HasField("default_value"):
        found["default"] = python_of(column.default_value)
    if column.enum_values:
        found["enum"] = list(column.enum_values)
    if column.expression:
        found["expression"] = column.expression
    if column.default_expression:
        found["default_expression"] = column.default_expression
    if column.description:
        found["description"] = column.description
    return found


def columns_of(dicts: Sequence[ColumnDict]) -> tuple[list[schema_pb2.Column], list[schema_pb2.Index]]:
    """The columns and indexes that some dicts describe."""
    columns: list[schema_pb2.Column] = []
    indexes: list[schema_pb2.Index] = []
    if isinstance(dicts, str | Mapping) or not all(isinstance(given, Mapping) for given in dicts):
        raise invalid("BAD_SCHEMA", "columns is a list of dicts, one a column", "columns")
    for at, given in enumerate(dicts):
        words = _words_of(given, f"columns[{at}]")
        columns.append(_column_of(words, f"columns[{at}]"))
        kind = words.get("index", False)
        if kind is not False and kind is not None:
            indexes.append(index_of(words["name"], kind, f"columns[{at}].index"))
    return columns, indexes


def index_of(column: str, kind: object, field: str = "kind") -> schema_pb2.Index:
    """An index: True lets the server choose, "hash" and "sorted" say which."""
    if kind not in ("hash", "sorted") and kind is not True:
        raise invalid("BAD_SCHEMA", f'an index is True, "hash" or "sorted", not {kind!r}', field)
    return schema_pb2.Index(column=column, kind=_INDEXES[kind])


def _words_of(given: ColumnDict, field: str) -> dict[str, Any]:
    words: dict[str, Any] = {}
    for word, value in given.items():
        if word not in _WORDS:
            known = ", ".join(sorted(set(_WORDS.values())))
            raise invalid("BAD_SCHEMA", f"{word!r} is not a property of a column; known are {known}", f"{field}.{word}")
        words[_WORDS[word]] = value
    if not isinstance(words.get("name"), str):
        raise invalid("BAD_SCHEMA", "a column needs a name", f"{field}.name")
    return words


def _column_of(words: Mapping[str, Any], field: str) -> schema_pb2.Column:
    names = words.get("enum") or ()
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise invalid("BAD_SCHEMA", "enum is a list of names", f"{field}.enum")
    word = words.get("type")
    unnamed = ENUM if names else UNSPECIFIED
    type = unnamed if word is None else type_of_name(word, f"{field}.type")
    column = schema_pb2.Column(
        name=words["name"],
        type=type,
        primary_key=_flag(words, "primary_key", field),
        required=_flag(words, "required", field),
        enum_values=names,
        expression=_word(words, "expression", field),
        default_expression=_word(words, "default_expression", field),
        description=_word(words, "description", field),
    )
    default = words.get("default")
    if default is not None:
        value = value_of(default, f"{field}.default") if type == UNSPECIFIED else value_of_type(type, default, field)
        column.default_value.CopyFrom(value)
    return column


def _flag(words: Mapping[str, Any], word: str, field: str) -> bool:
    value = words.get(word, False)
    if not isinstance(value, bool):
        raise invalid("BAD_SCHEMA", f"{word} is True or False, not {value!r}", f"{field}.{word}")
    return value


def _word(words: Mapping[str, Any], word: str, field: str) -> str:
    value = words.get(word) or ""
    if not isinstance(value, str):
        raise invalid("BAD_SCHEMA", f"{word} is a text, not {value!r}", f"{field}.{word}")
    return value
