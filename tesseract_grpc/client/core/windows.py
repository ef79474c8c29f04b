"""Windows as users give them: which part of a result, and of a tree which nodes are open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from tesseract_grpc._proto.tesseract.v1 import query_pb2

from .arguments import whole_number
from .errors import invalid
from .literals import value_of
from .words import list_of, words_of

WindowLike: TypeAlias = "tuple[int, int | None] | Mapping[str, Any]"
"""(start, limit), or a dict of start, limit, depth, expand and collapse."""

Nodes: TypeAlias = Iterable[Any] | None
"""Nodes of a tree: each the values of its key, or the value where there is one."""


def window_of(
    start: int = 0, limit: int | None = None, depth: int | None = None, expand: Nodes = None, collapse: Nodes = None
) -> query_pb2.Window:
    """The rows from `start`, at most `limit` of them; of a tree, those below open nodes are counted.

    Nodes down to `depth` are open (0: only the roots show; None: all); `expand` opens more, `collapse` closes some."""
    whole_number(start, "start", 0, "BAD_WINDOW")
    if limit is not None:
        whole_number(limit, "limit", 0, "BAD_WINDOW")
    window = query_pb2.Window(offset=start, limit=limit)
    if depth is not None or expand is not None or collapse is not None:
        if depth is not None:
            window.expansion.depth = whole_number(depth, "depth", 0, "BAD_WINDOW")
        window.expansion.SetInParent()
        window.expansion.expanded.extend(_nodes(expand, "expand"))
        window.expansion.collapsed.extend(_nodes(collapse, "collapse"))
    return window


def watch_window_of(window: object) -> query_pb2.Window | None:
    """The window of a watch; None for the whole result."""
    if window is None:
        return None
    if isinstance(window, Mapping):
        return window_of(**words_of(window, ("start", "limit", "depth", "expand", "collapse"), "a window", "window"))
    if not isinstance(window, tuple | list) or len(window) != 2:
        raise invalid("BAD_WINDOW", f"a window is (start, limit) or a dict, not {window!r:.60}", "window")
    return window_of(*window)


def _nodes(nodes: Nodes, field: str) -> list[query_pb2.NodeKey]:
    if nodes is None:
        return []
    return [_node(node, f"{field}[{at}]") for at, node in enumerate(list_of(nodes, "nodes of a tree", field))]


def _node(node: object, field: str) -> query_pb2.NodeKey:
    values = node if isinstance(node, tuple | list) else [node]
    return query_pb2.NodeKey(values=[value_of(value, f"{field}[{at}]") for at, value in enumerate(values)])
