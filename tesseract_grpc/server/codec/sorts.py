"""Sorts between the wire and the engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.errors import invalid

MAX_SORT_KEYS = 64
"""The most keys of a sort."""


def decode_sort(messages: Sequence[twin.query.SortKey], field: str) -> tuple[SortKey, ...]:
    """The engine's sort keys."""
    if len(messages) > MAX_SORT_KEYS:
        raise invalid(f"the sort has {len(messages)} keys; at most {MAX_SORT_KEYS} are taken", field, Reason.BAD_SORT)
    return tuple(_decode_key(message, f"{field}[{index}]") for index, message in enumerate(messages))


def _decode_key(message: twin.query.SortKey, where: str) -> SortKey:
    if message.direction not in (0, 1, 2):
        raise invalid(f"there is no sort direction {message.direction}", f"{where}.direction", Reason.BAD_SORT)
    if message.nulls not in (0, 1, 2):
        raise invalid(f"there is no order of nulls {message.nulls}", f"{where}.nulls", Reason.BAD_SORT)
    return SortKey(message.column, descending=message.direction == 2, nulls_first=message.nulls == 1)


def encode_sort(keys: Iterable[SortKey]) -> list[twin.query.SortKey]:
    """Sort keys as messages."""
    return [
        twin.query.SortKey(
            column=key.column,
            direction=cast("twin.query.SortDirection.ValueType", 2 if key.descending else 1),
            nulls=cast("twin.query.NullsOrder.ValueType", 1 if key.nulls_first else 2),
        )
        for key in keys
    ]
