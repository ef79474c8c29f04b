"""The definition of a column of which some parts are changed."""

from __future__ import annotations

from dataclasses import replace

from tesseract_grpc.engine.data.alteration import PARTS, ChangeColumn
from tesseract_grpc.engine.data.coerce import BadValues
from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar
from tesseract_grpc.engine.data.vector import Vector
from tesseract_grpc.engine.operators.conversion import converted


def changed_schema(old: ColumnSchema, asked: ChangeColumn) -> ColumnSchema:
    """The column as it will be, not yet checked against the others. Raises InvalidRequest."""
    wanted, parts = asked.definition, asked.parts
    if not parts:
        raise _bad(f"update_mask is empty; name what to change: {', '.join(PARTS)}", "update_mask")
    for part in sorted(parts - set(PARTS)):
        raise _bad(f"'{part[:140]}' of a column cannot be changed; {', '.join(PARTS)} can", "update_mask")
    computed = wanted.expression if "expression" in parts else old.expression
    if asked.using and computed:
        raise _bad(f"column '{old.name}' is computed: its expression says what its values are", "using")
    if not old.expression and old.primary_key and computed:
        raise _bad(f"column '{old.name}' is part of the key and cannot be computed", "definition.expression")
    kind = wanted.type if "type" in parts else old.type
    enum_values = wanted.enum_values if "enum_values" in parts else old.enum_values
    if kind is not DataType.ENUM and "enum_values" not in parts:
        enum_values = ()
    inferred = bool(computed) and "expression" in parts and ("type" not in parts or wanted.inferred)
    changed = replace(
        old,
        type=kind,
        enum_values=enum_values,
        expression=computed,
        inferred=inferred,
        required=wanted.required if "required" in parts else old.required,
        description=wanted.description if "description" in parts else old.description,
        default_expression=wanted.default_expression if "default_expression" in parts else old.default_expression,
    )
    if "default_value" in parts:
        return replace(changed, default=wanted.default)
    if "default_expression" in parts and wanted.default_expression:
        return replace(changed, default=None)
    return replace(changed, default=_kept_default(old, changed))


def _kept_default(old: ColumnSchema, changed: ColumnSchema) -> Scalar:
    """The default in the new type. Raises InvalidRequest where that does not hold it."""
    if old.default is None or (old.type is changed.type and old.enum_values == changed.enum_values):
        return old.default
    column = Column(replace(changed, default=None), 1)
    try:
        column.write(slice(0, 1), *converted(column, Vector.of(old.type, [old.default])))
    except (BadValues, InvalidRequest) as error:
        message = f"the default of column '{old.name}' does not fit: {error.message}; give it another one"
        raise InvalidRequest(Reason.WRONG_TYPE, message, field="change_column.definition.default_value") from None
    return column.value(0)


def _bad(message: str, field: str) -> InvalidRequest:
    return InvalidRequest(Reason.MALFORMED_REQUEST, message, field=f"change_column.{field}")
