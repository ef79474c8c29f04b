"""Rows in the order of a tree as nested dicts: each row with the rows below it under `children`.

A rollup tells by its column "level" how deep a row stands; in a tree by parent the parent's key does. Rows whose parent
is not among the rows (a window may begin anywhere) are roots.
"""

from __future__ import annotations

from collections.abc import Iterable

from tesseract_grpc._proto.tesseract.v1 import query_pb2

from .errors import invalid
from .rows import Row, Rows

CHILDREN = "children"
"""Where the rows below a row stand."""


def tree_of(rows: Rows, query: query_pb2.Query, key: tuple[str, ...]) -> list[Row]:
    """The roots of the tree that `rows` of `query` are, which are named by the columns `key`."""
    if query.group.mode == query_pb2.GROUP_MODE_ROLLUP:
        return by_level(rows)
    parent = query.tree.parent
    if not parent:
        raise invalid("MALFORMED_REQUEST", "the rows are no tree: neither a rollup nor a tree by parent", "return_tree")
    if parent not in rows.columns:
        message = f"a tree needs the column {parent!r}, which is not among the columns of the session"
        raise invalid("MALFORMED_REQUEST", message, "return_tree")
    return by_parent(rows, key[0], parent)


def by_level(rows: Iterable[Row]) -> list[Row]:
    """Nested by depth: a row stands below the last one before it that is less deep. O(n)."""
    roots: list[Row] = []
    above: list[Row] = []
    for row in rows:
        node = {**row, CHILDREN: []}
        while above and above[-1]["level"] >= node["level"]:
            above.pop()
        (above[-1][CHILDREN] if above else roots).append(node)
        above.append(node)
    return roots


def by_parent(rows: Iterable[Row], key: str, parent: str) -> list[Row]:
    """Nested by the parent's key; a parent stands before the rows below it. O(n)."""
    roots: list[Row] = []
    nodes: dict[object, Row] = {}
    for row in rows:
        node = {**row, CHILDREN: []}
        above = nodes.get(row[parent]) if row[parent] is not None else None
        (roots if above is None else above[CHILDREN]).append(node)
        nodes[row[key]] = node
    return roots
