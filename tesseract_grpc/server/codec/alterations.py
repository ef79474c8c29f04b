"""Alterations of tables, from the wire."""

from __future__ import annotations

from collections.abc import Iterable

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
from tesseract_grpc.engine.data.schema import DataType, TableSchema
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.schemas import decode_column, decode_indexes
from tesseract_grpc.server.errors import invalid

MOST = 1_000
"""The most alterations of one request."""


def decode_alterations(messages: Iterable[twin.table_service.Alteration], schema: TableSchema) -> list[Alteration]:
    """What is to be done to a table with these columns. Raises Refusal, InvalidRequest by the path in the request."""
    asked = list(messages)
    if not asked:
        raise invalid("name at least one alteration", "alterations")
    if len(asked) > MOST:
        raise invalid(f"there are {len(asked)} alterations; {MOST} are the most of one request", "alterations")
    types = {column.name: column.type for column in schema.visible}
    return [_decode(message, f"alterations[{number}]", types) for number, message in enumerate(asked)]


def _decode(message: twin.table_service.Alteration, where: str, types: dict[str, DataType]) -> Alteration:
    """One alteration. `types` are those of the columns as the alterations before it leave them."""
    match message.WhichOneof("alteration"):
        case "add_column":
            return _add(message.add_column, f"{where}.add_column", types)
        case "drop_column":
            return DropColumn(message.drop_column.column)
        case "rename_column":
            asked = message.rename_column
            if asked.column in types:
                types[asked.new_name] = types.pop(asked.column)
            return RenameColumn(asked.column, asked.new_name)
        case "change_column":
            return _change(message.change_column, f"{where}.change_column", types)
        case "set_key":
            return SetKey(tuple(message.set_key.columns))
        case "add_index":
            (index,) = decode_indexes([message.add_index], where)
            return AddIndex(index)
        case "drop_index":
            return DropIndex(message.drop_index)
    raise invalid("the alteration says nothing of what is to be done", where)


def _add(message: twin.table_service.AddColumn, where: str, types: dict[str, DataType]) -> AddColumn:
    column = decode_column(message.column, f"{where}.column")
    types[column.name] = column.type
    return AddColumn(column, message.backfill, message.after)


def _change(message: twin.table_service.ChangeColumn, where: str, types: dict[str, DataType]) -> ChangeColumn:
    parts = frozenset(message.update_mask.paths)
    type = types.get(message.column, DataType.STRING)
    wanted: twin.schema.Column = twin.schema.Column()
    wanted.CopyFrom(message.definition)
    if "type" in parts:
        type = decode_column(wanted, f"{where}.definition").type
    for part in ("default_value", "enum_values", "expression", "default_expression"):
        if part not in parts:
            wanted.ClearField(part)  # what the mask does not name is of no matter
    definition = decode_column(wanted, f"{where}.definition", type)
    types[message.column] = type
    return ChangeColumn(message.column, definition, parts, message.using)
