"""The debug mode of a hub, as its users handle it: `hub.debug`."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

from tesseract_grpc._proto.tesseract.v1 import diagnosis_service_pb2

from ..core.arguments import whole_number
from ..core.debug import (
    DebugRecord,
    DebugSettings,
    KindsLike,
    export_text,
    filter_of,
    settings_of,
    update_of,
)
from ..core.names import hub_name
from .rpc import AsyncRpc
from .runtime import in_thread

PAGE = 10_000


class AsyncDebug:
    """Debug mode: what the hub does, as records that can be listed, followed and exported while it runs. Its settings
    are those of the server's process; a restart begins with those of its configuration. Needs the role admin."""

    def __init__(self, rpc: AsyncRpc) -> None:
        self._rpc = rpc
        self._hub = rpc.connection.hub

    async def enable(
        self,
        *,
        level: str | None = None,
        slow_query: float | None = None,
        include_values: bool | None = None,
        capacity: int | None = None,
    ) -> DebugSettings:
        """Turns it on, or sets it otherwise; what is not given stays as it is. `level` is the least that is recorded:
        debug (each call, commit and query), info, warning or error. Queries that take `slow_query` seconds or more are
        recorded with their plan. Only with `include_values` may records hold values of rows, filters, expressions."""
        request = update_of(
            self._hub,
            enabled=True,
            level=level,
            slow_query=slow_query,
            include_values=include_values,
            capacity=capacity,
        )
        return settings_of(await self._rpc.call(self._rpc.diagnosis.UpdateDebugSettings, request))

    async def disable(self) -> DebugSettings:
        """Turns it off. What was recorded stays until it is cleared."""
        request = update_of(self._hub, enabled=False)
        return settings_of(await self._rpc.call(self._rpc.diagnosis.UpdateDebugSettings, request))

    async def settings(self) -> DebugSettings:
        """How it is set, and how many records there are."""
        request = diagnosis_service_pb2.GetDebugSettingsRequest(parent=hub_name(self._hub))
        return settings_of(await self._rpc.call(self._rpc.diagnosis.GetDebugSettings, request))

    async def logs(
        self,
        *,
        level: str | None = None,
        kind: KindsLike = None,
        table: str | None = None,
        session: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> list[DebugRecord]:
        """The records, oldest first: those of a level or above, of a kind or several, of a table, of a session, from a
        time on; with `limit`, the newest so many. O(records of the hub)."""
        most = None if limit is None else whole_number(limit, "limit", 0)
        wanted = filter_of(self._hub, level, kind, table, session, since)
        found: deque[DebugRecord] = deque(maxlen=most)
        token = ""
        while True:
            request = diagnosis_service_pb2.ListDebugRecordsRequest(
                parent=hub_name(self._hub), filter=wanted, page_size=PAGE, page_token=token
            )
            page = await self._rpc.call(self._rpc.diagnosis.ListDebugRecords, request)
            found.extend(DebugRecord.of(record) for record in page.records)
            token = page.next_page_token
            if not token:
                return list(found)

    async def follow(
        self,
        *,
        level: str | None = None,
        kind: KindsLike = None,
        table: str | None = None,
        session: str | None = None,
        existing: bool = False,
    ) -> AsyncIterator[DebugRecord]:
        """Iterates over records as they are made, with `existing` after those that there are. A reader that is slow
        misses some: `missed` of the next record says how many. Ends with Unavailable when the connection breaks: a
        server that starts again has other records."""
        wanted = filter_of(self._hub, level, kind, table, session)
        request = diagnosis_service_pb2.WatchDebugRecordsRequest(
            parent=hub_name(self._hub), filter=wanted, include_existing=existing
        )
        missed = 0
        async for response in self._rpc.stream(self._rpc.diagnosis.WatchDebugRecords, request):
            missed += response.missed_count
            for record in response.records:
                yield DebugRecord.of(record, missed)
                missed = 0

    async def clear(self) -> int:
        """Forgets all records; returns how many there were."""
        request = diagnosis_service_pb2.ClearDebugRecordsRequest(parent=hub_name(self._hub))
        return (await self._rpc.call(self._rpc.diagnosis.ClearDebugRecords, request)).cleared

    async def export(
        self,
        path: str | Path,
        *,
        level: str | None = None,
        kind: KindsLike = None,
        table: str | None = None,
        session: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> int:
        """Writes the records into a JSON file: {"exportDate", "logCount", "hub", "logs"}; returns how many. The
        arguments are those of `logs`. Each record has `type` (log, warn or error), `timestamp` and `message`, and all
        that there is of it. Raises OSError."""
        records = await self.logs(level=level, kind=kind, table=table, session=session, since=since, limit=limit)
        text, count = export_text(self._hub, records)
        await in_thread(Path(path).write_text, text, "utf-8")
        return count
