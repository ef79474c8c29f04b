"""Windows between the wire and the engine: which part of a result, and of a tree which nodes are open."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.schema import Scalar
from tesseract_grpc.engine.query.query import Expansion, Window
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.values import decode_literal, encode_literal
from tesseract_grpc.server.errors import invalid, limit_exceeded

MAX_NODES = 10_000
"""The most nodes of a tree that one window names."""

SHOWN_NODES = 100
"""The most nodes of each kind that are told of somebody else's window."""


def decode_window(message: twin.query.Window, field: str = "window") -> Window:
    """The engine's window. Refuses negative numbers."""
    if message.offset < 0:
        raise invalid(f"offset is {message.offset}; it must not be negative", f"{field}.offset", Reason.BAD_WINDOW)
    if message.HasField("limit") and message.limit < 0:
        raise invalid(f"limit is {message.limit}; it must not be negative", f"{field}.limit", Reason.BAD_WINDOW)
    return Window(
        message.offset,
        message.limit if message.HasField("limit") else None,
        _expansion(message.expansion, f"{field}.expansion") if message.HasField("expansion") else None,
    )


def decode_page(
    message: twin.query.Window, field: str = "window", *, default: int = 1_000, most: int = 10_000
) -> Window:
    """The window of a unary read: `default` rows when it names no limit, and never more than `most`."""
    window = decode_window(message, field)
    return Window(window.offset, default if window.limit is None else min(window.limit, most), window.expansion)


def _expansion(message: twin.query.Expansion, field: str) -> Expansion:
    nodes = len(message.expanded) + len(message.collapsed)
    if nodes > MAX_NODES:
        raise limit_exceeded("max_expansion_nodes", MAX_NODES, f"the window names {nodes} nodes", field=field)
    expanded, collapsed = _nodes(message.expanded), _nodes(message.collapsed)
    if both := expanded & collapsed:
        raise invalid(
            f"the node {min(both, key=repr)!r:.140} is both expanded and collapsed",
            f"{field}.collapsed",
            Reason.BAD_WINDOW,
        )
    return Expansion(message.depth if message.HasField("depth") else None, expanded, collapsed)


def encode_window(window: Window) -> twin.query.Window:
    """The window as a message; of the nodes of a tree, `SHOWN_NODES` are named."""
    message = twin.query.Window(offset=window.offset)
    if window.limit is not None:
        message.limit = window.limit
    if (expansion := window.expansion) is not None:
        if expansion.depth is not None:
            message.expansion.depth = expansion.depth
        for nodes, into in (
            (expansion.expanded, message.expansion.expanded),
            (expansion.collapsed, message.expansion.collapsed),
        ):
            for node in islice(nodes, SHOWN_NODES):
                into.add(values=[encode_literal(value) for value in node])
        message.expansion.SetInParent()
    return message


def _nodes(messages: Sequence[twin.query.NodeKey]) -> frozenset[tuple[Scalar, ...]]:
    return frozenset(tuple(decode_literal(value) for value in message.values) for message in messages)
