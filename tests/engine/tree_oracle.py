"""Trees, the naive way: from whole rows to what a reader sees. Shares nothing with the engine."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

Row = dict[str, Any]
Name = tuple[Any, ...]


def roots_and_children(
    rows: Sequence[Row], key: Callable[[Row], Hashable], parent: Callable[[Row], Hashable | None]
) -> tuple[list[Row], dict[Hashable, list[Row]]]:
    """The roots and the children of each row, all in the order of `rows`."""
    by_key = {key(row): row for row in rows}

    def own_ancestor(row: Row) -> bool:
        at, steps = parent(row), 0
        while at is not None and at in by_key and steps <= len(rows):
            if at == key(row):
                return True
            at, steps = parent(by_key[at]), steps + 1
        return False

    roots: list[Row] = []
    children: dict[Hashable, list[Row]] = {}
    for row in rows:
        above = parent(row)
        if above is None or above not in by_key or own_ancestor(row):
            roots.append(row)
        else:
            children.setdefault(above, []).append(row)
    return roots, children


def shown(
    rows: Sequence[Row],
    key: Callable[[Row], Hashable],
    parent: Callable[[Row], Hashable | None],
    name: Callable[[Row], Name],
    depth: int | None = None,
    expanded: Iterable[Name] = (),
    collapsed: Iterable[Name] = (),
) -> list[Row]:
    """The rows that show, in order; `rows` are in the order of the sort."""
    roots, children = roots_and_children(rows, key, parent)
    opened, closed = set(expanded), set(collapsed)
    found: list[Row] = []
    stack = [(row, 0) for row in reversed(roots)]
    while stack:
        row, level = stack.pop()
        found.append(row)
        is_open = (depth is None or level < depth or name(row) in opened) and name(row) not in closed
        if is_open:
            stack.extend((child, level + 1) for child in reversed(children.get(key(row), [])))
    return found
