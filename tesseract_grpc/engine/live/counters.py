"""Work done, counted: steadier than time for telling whether something is cheap."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Work done since the hub was made."""

    commits: int = 0
    rows_written: int = 0
    rows_expired: int = 0  # rows that left tables by themselves
    texts_dropped: int = 0  # texts that no row had any more
    rows_examined: int = 0  # by queries and by hydrating sessions
    rows_routed: int = 0  # rows offered to results by commits
    sessions_routed: int = 0  # results that commits offered rows to
    sessions_changed: int = 0  # results that commits changed
    relations_ended: int = 0  # derived relations that nobody followed any more
    plans_shared: int = 0  # sessions opened on a result that was there
    plans_hydrated: int = 0  # sessions opened on a new result
    index_queries: int = 0  # queries that an index answered
