"""TableService: watching a table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.values import decode_duration
from tesseract_grpc.server.errors import not_available
from tesseract_grpc.server.host import Hosts
from tesseract_grpc.server.services.lookup import find_table
from tesseract_grpc.server.streams.envelope import TABLE
from tesseract_grpc.server.streams.stream import Stream

pb = twin.table_service


class TableWatches:
    """Watches of tables."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def watch_table(self, request: pb.WatchTableRequest, call: Call) -> AsyncIterator[bytes]:
        """Streams the changes of a table."""
        if request.resume_token:
            raise not_available("resume", "going on from a resume token", "resume_token")
        min_interval = decode_duration(request.min_interval, "min_interval")
        host, _ = find_table(self._hosts, request.table, "table")
        await host.versions.wait(request.min_version, call.remaining())
        _, table = find_table(self._hosts, request.table, "table")
        self._hosts.room_for_watch()
        stream = Stream(
            host.hub.watch_table(table.name, old_values=request.include_old_values),
            TABLE,
            epoch=host.hub.epoch,
            version=lambda: host.hub.version,
            with_snapshot=request.include_snapshot,
            min_interval=min_interval,
            progress_interval=self._hosts.config.progress_interval,
            piece_bytes=self._hosts.config.piece_bytes,
            clock=host.clock,
        )
        with host.audience.admit(table, stream):
            async with aclosing(stream.responses()) as responses:
                async for response in responses:
                    yield response
