"""What a question reads: sources, sessions, tables."""

from __future__ import annotations

from tests.oracle.question import Lookup, OfQuery, OfSession, OfTable, Origin, Question, Together


def origins_in(ask: Question) -> list[Origin]:
    """All sources that a question names, at any depth; those of sessions are named and not followed."""
    direct = [ask.origin, *(join.origin for join in ask.joins)]
    direct += [column.value.origin for column in ask.computed if isinstance(column.value, Lookup)]
    found: list[Origin] = [] if ask.origin is not None else [OfTable(ask.table)]
    waiting = [origin for origin in direct if origin is not None]
    while waiting:
        origin = waiting.pop()
        found.append(origin)
        if isinstance(origin, Together):
            waiting += origin.origins
        elif isinstance(origin, OfQuery):
            found += origins_in(origin.question)
    return found + [origin for _, sub in ask.subs for origin in origins_in(sub)]


def sessions_in(ask: Question) -> set[str]:
    return {origin.session for origin in origins_in(ask) if isinstance(origin, OfSession)}


def tables_in(ask: Question) -> set[str]:
    """The tables whose rows an answer may depend on."""
    found = origins_in(ask)
    of_sessions = [tables_in(origin.question) for origin in found if isinstance(origin, OfSession)]
    return {origin.table for origin in found if isinstance(origin, OfTable)}.union(*of_sessions)
