"""Rows as the wire's columns, value by value: what tests use where the server's own encoder would hide a mistake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import change_pb2, schema_pb2, value_pb2

Types = Mapping[str, str]
"""Column name to type name: bool, int64, float64, timestamp, string, json, enum."""

CASES = {"bool": "bools", "int64": "int64s", "float64": "float64s", "timestamp": "timestamps"}
EMPTY = {"bools": False, "int64s": 0, "float64s": 0.0, "timestamps": 0, "strings": ""}


def batch(rows: Sequence[Mapping[str, Any]], types: Types) -> value_pb2.RowBatch:
    """All rows must have the same columns."""
    names = list(rows[0]) if rows else []
    return value_pb2.RowBatch(row_count=len(rows), columns=[column(name, types[name], rows) for name in names])


def column(name: str, kind: str, rows: Sequence[Mapping[str, Any]]) -> value_pb2.ColumnData:
    values = [row[name] for row in rows]
    data = value_pb2.ColumnData(name=name)
    if None in values:
        bits = bytearray((len(values) + 7) // 8)
        for at, value in enumerate(values):
            bits[at // 8] |= (value is not None) << (at % 8)
        data.validity = bytes(bits)
    case = CASES.get(kind, "strings")
    getattr(data, case).values.extend(EMPTY[case] if value is None else value for value in values)
    return data


def columns(types: Types, keys: Sequence[str]) -> list[schema_pb2.Column]:
    return [
        schema_pb2.Column(name=name, type=getattr(value_pb2, f"DATA_TYPE_{kind.upper()}"), primary_key=name in keys)
        for name, kind in types.items()
    ]


def changes(
    types: Types,
    *,
    removes: Mapping[int, Sequence[Mapping[str, Any]]] | None = None,
    updates: Sequence[Sequence[Mapping[str, Any]]] = (),
    moves: Sequence[tuple[Mapping[str, Any], int]] = (),
    inserts: Sequence[tuple[Mapping[str, Any], int]] = (),
    total: int = 0,
) -> change_pb2.Changes:
    """A change as the proto has it: removes by reason, updates by set of columns, rows with positions."""
    return change_pb2.Changes(
        removes=[
            change_pb2.Removes(reason=reason, keys=batch(rows, types))  # type: ignore[arg-type]
            for reason, rows in (removes or {}).items()
        ],
        updates=[change_pb2.Updates(rows=batch(rows, types)) for rows in updates],
        moves=change_pb2.Moves(keys=batch([key for key, _ in moves], types), indexes=[at for _, at in moves])
        if moves
        else None,
        inserts=change_pb2.Inserts(rows=batch([row for row, _ in inserts], types), indexes=[at for _, at in inserts])
        if inserts
        else None,
        total_count=total,
    )
