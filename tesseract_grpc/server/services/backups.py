"""HubService: backups."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing

from tesseract_grpc.server.backup.definitions import choose
from tesseract_grpc.server.backup.transfer import Transfer
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.values import encode_time
from tesseract_grpc.server.describe import encode_table
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.logs import logger
from tesseract_grpc.server.names import hub_id
from tesseract_grpc.server.services.hubs import encode_hub
from tesseract_grpc.server.tracing import BACKUP

pb = twin.hub_service


class Backups:
    """Backups of hubs."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def backup(self, request: pb.BackupRequest, call: Call) -> AsyncIterator[bytes]:
        """Streams definitions and rows, all at one version."""
        host = self._hosts.find(hub_id(request.parent, "parent"), "parent")
        await host.versions.wait(request.min_version, call.remaining())
        begun, meters = time.perf_counter(), host.meters.backups
        begin, transfer = begin_backup(host, request, call)
        message = begin.begin
        log = logger().bind(hub=host.name, version=message.hub.version)
        log.info("backup.begun", tables=len(message.tables), rows=sum(table.row_count for table in message.tables))
        outcome = "failed"
        try:
            with host.tracing.span(BACKUP, hub=host.name):
                async with transfer, aclosing(transfer.responses(begin)) as responses:
                    async for response in responses:
                        yield response
            outcome = "complete"
        finally:
            meters.ended[outcome] += 1
            seconds = round(time.perf_counter() - begun, 3)
            log.info("backup.ended", outcome=outcome, rows=transfer.rows, bytes=transfer.bytes, seconds=seconds)


def begin_backup(host: Host, request: pb.BackupRequest, call: Call) -> tuple[pb.BackupResponse, Transfer]:
    """What a backup holds, and what reads it: in one step, so that all of it is of one version. O(definitions), and a
    byte or more for each slot of the tables. Raises Refusal."""
    whole = not request.tables
    with_sessions = request.include_sessions if request.HasField("include_sessions") else whole
    chosen = choose(host, list(request.tables), with_sessions=with_sessions)
    stored = [encode_table(host, host.table(name)) for name in chosen.stored]
    begin = pb.BackupBegin(hub=encode_hub(host), tables=[*stored, *chosen.derived], sessions=chosen.sessions)
    for table in begin.tables:
        if table.HasField("query"):
            table.row_count = 0
    encode_time(host.clock(), begin.time)
    stills = host.hub.image().stills(chosen.stored)
    return pb.BackupResponse(begin=begin), Transfer(host, call, stills)
