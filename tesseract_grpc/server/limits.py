"""The configured limits, as the engine takes them and as clients are told them."""

from __future__ import annotations

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import CommitLimits
from tesseract_grpc.engine.hub import Limits
from tesseract_grpc.engine.query.query import Limits as QueryLimits
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.config import ServerConfig

_ANY = 2**31

KEPT = (
    "max_rows_per_write",
    "max_rows_per_table",
    "max_tables",
    "max_columns",
    "max_string_bytes",
    "max_filter_depth",
    "max_filter_nodes",
    "max_query_depth",
    "max_query_parts",
    "request_id_memory",
)
"""The options on which it depends what a change does: whether it is refused, or is one that was made before.

They are a part of what a hub keeps, so that its log means the same when it is replayed by a server with other options.
"""


def kept_limits(config: ServerConfig) -> dict[str, int]:
    """The values of these options."""
    return {name: int(getattr(config, name)) for name in KEPT}


def engine_limits(config: ServerConfig) -> Limits:
    """What a hub may hold."""
    return Limits(
        max_tables=config.max_tables,
        max_columns=config.max_columns,
        max_sessions=_ANY,  # services refuse more before they are in the log: replaying asks no limits of today
        commit=CommitLimits(max_rows_per_table=config.max_rows_per_table, max_text_bytes=config.max_string_bytes),
        query=QueryLimits(max_filter_depth=config.max_filter_depth, max_filter_nodes=config.max_filter_nodes),
        history=HistoryLimits(config.history_commits, config.history_rows),
    )


def server_limits(config: ServerConfig) -> twin.hub_service.ServerLimits:
    """What requests must keep to."""
    return twin.hub_service.ServerLimits(
        max_message_bytes=config.max_message_bytes,
        max_rows_per_write=config.max_rows_per_write,
        max_rows_per_table=config.max_rows_per_table,
        max_tables=config.max_tables,
        max_sessions=config.max_sessions,
        max_watchers=config.max_watchers,
        max_string_bytes=config.max_string_bytes,
        max_columns=config.max_columns,
        max_filter_depth=config.max_filter_depth,
        max_filter_nodes=config.max_filter_nodes,
        max_query_depth=config.max_query_depth,
        max_query_parts=config.max_query_parts,
    )
