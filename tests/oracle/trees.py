"""Rows in the order of a tree, and which of them show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.oracle.asks import Key, Moment, Row
from tests.oracle.question import Grouping, Open
from tests.oracle.relation import Relation, same_key


@dataclass(frozen=True)
class Node:
    """A row of a tree: how deep it stands, how a client names it, and whether every node above it is open."""

    row: Row
    depth: int
    name: Key


NameOf = Callable[[Row], Any]


def nodes(rows: Sequence[Row], name: NameOf, parent: NameOf, client: Callable[[Row], Key]) -> list[Node]:
    """A row before the rows below it; those with one parent as they stand in `rows`."""
    known = {name(row): row for row in rows}
    above = {own: parent(row) if parent(row) in known else None for own, row in known.items()}
    for own in [own for own in above if is_above_itself(own, above)]:
        above[own] = None  # all of a circle at once: each of them is its own ancestor
    found: list[Node] = []

    def put(row: Row, depth: int) -> None:
        found.append(Node(row, depth, client(row)))
        for child in rows:
            if above[name(child)] == name(row):
                put(child, depth + 1)

    for row in rows:
        if above[name(row)] is None:
            put(row, 0)
    return found


def is_above_itself(own: Any, above: dict[Any, Any]) -> bool:
    at = above[own]
    for _ in above:
        if at == own:
            return True
        at = None if at is None else above[at]
    return False


def of_parents(relation: Relation, parent: str, ordered: Sequence[Row]) -> list[Node]:
    """A tree whose rows hold the key of their parent."""
    (key,) = relation.key
    return nodes(
        ordered,
        lambda row: same_key(row[key]),
        lambda row: None if row[parent] is None else same_key(row[parent]),
        lambda row: (row[key],),
    )


def of_levels(relation: Relation, grouping: Grouping, ordered: Sequence[Row]) -> list[Node]:
    """The tree of a rollup: a group below the group of one column less, a row below its group."""

    times = {name for name in grouping.by if relation.field(name).type == "timestamp"}

    def path(row: Row) -> tuple[Any, ...]:
        named = [(name, row[name]) for name in grouping.by[: row["level"]]]
        return tuple(Moment(value) if name in times and value is not None else value for name, value in named)

    def name(row: Row) -> Any:
        leaf = [same_key(row[key]) for key in relation.key] if row["level"] > len(grouping.by) else []
        return (row["level"], tuple(map(same_key, path(row))), tuple(leaf))

    def parent(row: Row) -> Any:
        level = row["level"] - 1
        return (level, tuple(map(same_key, path(row)[:level])), ())

    return nodes(ordered, name, parent, path)


def showing(tree: Sequence[Node], which: Open | None) -> list[Row]:
    """The rows below open nodes only."""
    if which is None:
        return [node.row for node in tree]
    expanded, collapsed = ({tuple(map(same_key, key)) for key in keys} for keys in (which.expanded, which.collapsed))
    found = []
    closed: int | None = None  # the depth of the closed node that the walk is below
    for node in tree:
        if closed is not None and node.depth > closed:
            continue
        name = tuple(map(same_key, node.name))
        by_depth = which.depth is None or node.depth < which.depth
        is_open = (by_depth or name in expanded) and name not in collapsed
        closed = None if is_open else node.depth
        found.append(node.row)
    return found
