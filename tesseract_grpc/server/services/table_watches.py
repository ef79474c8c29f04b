"""TableService: watching a table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.host import Hosts
from tesseract_grpc.server.lookup import find_table
from tesseract_grpc.server.resuming import start_table, wait_for_token
from tesseract_grpc.server.services.watching import frame, serve, terms
from tesseract_grpc.server.streams.envelope import TABLE
from tesseract_grpc.server.streams.teller import Teller

pb = twin.table_service


class TableWatches:
    """Watches of tables."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def watch_table(self, request: pb.WatchTableRequest, call: Call) -> AsyncIterator[bytes]:
        """Streams the changes of a table."""
        asked = terms(self._hosts.config, request.on_lag, request.min_interval, request.delivery)
        host, _ = find_table(self._hosts, request.table, "table")
        await host.versions.wait(request.min_version, call.remaining())
        _, table = find_table(self._hosts, request.table, "table")
        token = request.resume_token
        if token:
            await wait_for_token(host, token, host.tokens.of_table(table), call.remaining())
            _, table = find_table(self._hosts, request.table, "table")
        self._hosts.room_for_watch()
        watch, start = start_table(
            host, table, token, old_values=request.include_old_values, every_commit=asked.every_commit
        )
        framed = frame(host)
        story = Teller(
            watch,
            TABLE,
            framed,
            with_snapshot=request.include_snapshot,
            since=start.since,
            reset=start.reset,
            tokens=lambda: host.tokens.of_table(watch.table),
        )
        async with aclosing(serve(host, call, story, framed, asked, table)) as responses:
            async for response in responses:
                yield response
