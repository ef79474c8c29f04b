"""HubService: what the server is and holds."""

from __future__ import annotations

from dataclasses import asdict

from tesseract_grpc import __version__
from tesseract_grpc.engine.data.commit_log import HubLog
from tesseract_grpc.engine.data.table_memory import memory_of
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.values import encode_duration, encode_time
from tesseract_grpc.server.config import ServerConfig
from tesseract_grpc.server.errors import Refusal, ServerReason
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.journal import Journal, JournalState
from tesseract_grpc.server.limits import server_limits
from tesseract_grpc.server.names import hub_id, of_hub
from tesseract_grpc.server.paging import page
from tesseract_grpc.server.status import cut

pb = twin.hub_service

FEATURES = (
    "alter_table",
    "backup",
    "computed_columns",
    "debug",
    "diagnosis",
    "digest",
    "edit",
    "every_commit",
    "explain",
    "expressions",
    "grouping",
    "min_version",
    "on_lag",
    "relations",
    "request_id",
    "request_progress",
    "resume",
    "retention",
    "rollup",
    "trees",
    "validate_only",
    "watch_hub",
    "watch_session",
    "watch_sessions",
    "watch_table",
    "window_columns",
    "write_stream",
)
"""The optional features of this server."""


class Hubs:
    """The hubs of the server."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def get_server_info(self, request: pb.GetServerInfoRequest, call: Call) -> pb.GetServerInfoResponse:
        """Returns what the server is and can do."""
        return server_info(self._hosts.config, self._hosts.clock())

    async def get_hub(self, request: pb.GetHubRequest, call: Call) -> pb.GetHubResponse:
        """Returns one hub."""
        return pb.GetHubResponse(hub=encode_hub(self._hosts.find(hub_id(request.name, "name"), "name")))

    async def list_hubs(self, request: pb.ListHubsRequest, call: Call) -> pb.ListHubsResponse:
        """Returns a page of hubs."""
        ids, token = page(self._hosts.by_name, request.page_size, request.page_token)
        return pb.ListHubsResponse(hubs=[encode_hub(self._hosts.by_name[each]) for each in ids], next_page_token=token)

    async def check_hub(self, request: pb.CheckHubRequest, call: Call) -> pb.CheckHubResponse:
        """Verifies every structure of a hub."""
        host = self._hosts.find(hub_id(request.name, "name"), "name")
        try:
            return pb.CheckHubResponse(checked=host.hub.check())
        except AssertionError as error:
            return pb.CheckHubResponse(violations=[str(error) or "an invariant does not hold"])

    async def request_progress(self, request: pb.RequestProgressRequest, call: Call) -> pb.RequestProgressResponse:
        """Makes a stream say Progress."""
        host = self._hosts.find(hub_id(request.parent, "parent"), "parent")
        await host.versions.wait(request.min_version, call.remaining())
        stream = host.audience.find(request.watch_id)
        if stream is None:
            message = f"hub '{host.name}' has no stream '{cut(request.watch_id)}'; Begin tells the name of a stream"
            raise Refusal(ServerReason.UNKNOWN_WATCH, message, field="watch_id")
        stream.demand()
        return pb.RequestProgressResponse(version=host.hub.version)


def server_info(config: ServerConfig, now: float) -> pb.GetServerInfoResponse:
    """What a server with this configuration says of itself."""
    message = pb.GetServerInfoResponse(software_version=__version__, features=FEATURES, limits=server_limits(config))
    encode_duration(config.progress_interval, message.progress_interval)
    encode_time(now, message.server_time)
    return message


def encode_hub(host: Host) -> pb.Hub:
    """A hub as a message. O(its tables)."""
    hub, journal = host.hub, host.journal
    serving = journal.state is JournalState.SERVING
    counters = {name: int(value) for name, value in asdict(hub.counters).items()}
    message = pb.Hub(
        name=of_hub(host.name),
        version=hub.version,
        epoch=hub.epoch,
        table_count=len(hub.tables),
        session_count=len(hub.sessions),
        watcher_count=host.audience.count,
        memory_bytes=memory_of(hub.tables.values()),
        durability=journal.durability,
        request_id_memory=host.memory.capacity,
        counters=counters,
        state=pb.HUB_STATE_SERVING if serving else pb.HUB_STATE_READ_ONLY,
        state_message="" if serving else journal.failure or "the server is shutting down",
    )
    message.hub_time.FromMicroseconds(hub.now)
    if journal.log is not None:
        message.log.CopyFrom(_encode_log(journal, journal.log))
    return message


def _encode_log(journal: Journal, log: HubLog) -> pb.LogStatus:
    recovery, snapshot = journal.recovery, log.newest_snapshot
    message = pb.LogStatus(
        position=log.durable,
        since=log.since,
        bytes=log.bytes,
        recovered_records=recovery.records,
        cut_records=recovery.cut,
    )
    encode_duration(recovery.seconds, message.recovery_time)
    if snapshot is not None:
        message.snapshot_position = snapshot.position
        encode_time(snapshot.time, message.snapshot_time)
    return message
