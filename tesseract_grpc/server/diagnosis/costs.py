"""What the sessions that read a table cost: read off their results and the steps below them.

Steps that several sessions share are counted in full for each of them, and once for all of them together. So shares may
add up to more than the whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from tesseract_grpc.engine.live.node import Input, Node
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.live.source import Source
from tesseract_grpc.engine.query.reads import tables_read
from tesseract_grpc.server.host import Host

MOST = 100
"""The most sessions that are told."""
_SLICE = 200
"""So many sessions are looked at between two turns of others."""


@dataclass(frozen=True, slots=True)
class SessionCost:
    """What one session costs."""

    name: str
    commits: int
    examined: int
    nanoseconds: int
    share: float
    watchers: int
    rows: int
    routed: bool
    """Whether commits find it by a condition; otherwise it is offered every one."""
    whole_watchers: int
    """Watches that show all rows, and not a window."""


@dataclass(frozen=True, slots=True)
class SessionCosts:
    """The sessions that read a table, most expensive first, and how many there are."""

    sessions: tuple[SessionCost, ...]
    count: int
    nanoseconds: int


async def session_costs(host: Host, table: str) -> SessionCosts:
    """The costs of the sessions that name a table in their query, or read a session that does. O(sessions)."""
    found: list[Session] = []
    for number, session in enumerate(tuple(host.hub.sessions.values()), start=1):
        if session.ended is None and table in tables_read(session.resolved.query):
            found.append(session)
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    together: dict[object, int] = {}
    for session in found:
        together[session.result] = session.result.apply_ns
        together.update((node, node.apply_ns) for node in _nodes(session.resolved.source))
    total = sum(together.values())
    costs = sorted((_cost(host, session, total) for session in found), key=lambda each: (-each.nanoseconds, each.name))
    return SessionCosts(tuple(costs[:MOST]), len(costs), total)


def _nodes(source: Source) -> Iterator[Node]:
    """The steps below a result, each once."""
    seen: set[Node] = set()
    waiting = [source]
    while waiting:
        node = waiting.pop().owner
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting.extend(part.source for part in node.inputs)


def _cost(host: Host, session: Session, total: int) -> SessionCost:
    result, nodes = session.result, tuple(_nodes(session.resolved.source))
    nanoseconds = result.apply_ns + sum(node.apply_ns for node in nodes)
    streams = list(host.audience.streams_of(session))
    routed = result.route is not None if not nodes else all(part.route is not None for part in _lowest(nodes))
    return SessionCost(
        session.name,
        max(result.commits, *(node.commits for node in nodes), 0),
        result.examined + sum(node.rows_offered for node in nodes),
        nanoseconds,
        nanoseconds / total if total else 0.0,
        len(streams),
        session.total_count,
        routed,
        sum(stream.window is None or stream.window.whole for stream in streams),
    )


def _lowest(nodes: tuple[Node, ...]) -> list[Input]:
    """Who follows the tables themselves."""
    return [part for node in nodes for part in node.inputs if part.source.owner is None]
