"""In which order columns that use each other are worked out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from graphlib import CycleError, TopologicalSorter

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason

Uses = tuple[str, Collection[str]]
"""A column, and the names of columns that it may use."""


def computed_order(columns: Sequence[Uses], known: Collection[str], field: str) -> list[int]:
    """The indexes of the columns, those that are used first; as written where nothing else decides.

    Raises InvalidRequest for a name that is taken and for columns that use each other in a circle.
    """
    number: dict[str, int] = {}
    for index, (name, _) in enumerate(columns):
        if name in known or name in number:
            raise InvalidRequest(
                Reason.DUPLICATE_COLUMN, f"there is a column '{name[:140]}' already", field=f"{field}[{index}].name"
            )
        number[name] = index
    sorter: TopologicalSorter[int] = TopologicalSorter()
    for index, (_, uses) in enumerate(columns):
        sorter.add(index, *sorted(number[name] for name in uses if name in number))
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(columns[index][0] for index in error.args[1])
        raise InvalidRequest(Reason.BAD_SCHEMA, f"columns use each other in a circle: {circle}", field=field) from None
    order: list[int] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order.extend(ready)
        sorter.done(*ready)
    return order
