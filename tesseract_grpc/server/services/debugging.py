"""DiagnosisService: the debug mode of a hub, and its records.

Nothing here holds anything up: a list is read in slices between which others run, and a stream asks the ring for what
has come since when its client has taken the last of it. Records that leave before a slow client was shown them are
gone for it, and it is told how many.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.debug.ring import Ring
from tesseract_grpc.server.debug.selection import PAGE_BYTES, Selection, page_size, read_token, write_token
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.names import hub_id

pb = twin.diagnosis_service

SLICE = 5_000
"""So many records are looked at before others run."""
ENCODING = 10
"""To encode one is as much work as to look at so many."""
PAUSE = 0.02
"""Seconds after a response in which records are collected, so that many small ones are few messages."""


class Debugging:
    """The debug modes of the hubs."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def get_debug_settings(self, request: pb.GetDebugSettingsRequest, call: Call) -> pb.GetDebugSettingsResponse:
        """Returns how the mode is set, and how many records there are."""
        mode = self._host(request.parent).debug
        ring = mode.ring
        return pb.GetDebugSettingsResponse(
            settings=mode.settings.encode(), record_count=len(ring), dropped_count=ring.dropped
        )

    async def update_debug_settings(
        self, request: pb.UpdateDebugSettingsRequest, call: Call
    ) -> pb.UpdateDebugSettingsResponse:
        """Sets the mode, from the next record on."""
        mode = self._host(request.parent).debug
        mode.set(mode.settings.changed(request.settings, request.update_mask.paths))
        return pb.UpdateDebugSettingsResponse(settings=mode.settings.encode())

    async def list_debug_records(self, request: pb.ListDebugRecordsRequest, call: Call) -> pb.ListDebugRecordsResponse:
        """Returns a page of records."""
        host = self._host(request.parent)
        wanted = Selection.of(request.filter, host.name)
        most, at, ring = page_size(request.page_size), read_token(request.page_token), host.debug.ring
        response, size, effort, end = pb.ListDebugRecordsResponse(), 0, 0, ring.next
        for record in ring.since(at):
            if record.sequence >= end:
                break  # what is recorded meanwhile is for the next list
            effort += 1
            if wanted.takes(record):
                if len(response.records) >= most or size >= PAGE_BYTES:
                    response.next_page_token = write_token(record.sequence)
                    break
                response.records.append(record.encode(host.name))
                size += record.size
                effort += ENCODING
            if effort >= SLICE:
                effort = 0
                await asyncio.sleep(0)
        return response

    async def watch_debug_records(
        self, request: pb.WatchDebugRecordsRequest, call: Call
    ) -> AsyncIterator[pb.WatchDebugRecordsResponse]:
        """Streams records as they are made."""
        host = self._host(request.parent)
        wanted, mode = Selection.of(request.filter, host.name), host.debug
        ring = mode.ring
        with mode.follower():
            at = ring.first if request.include_existing else ring.next
            yield pb.WatchDebugRecordsResponse()  # from here on nothing is missed
            while True:
                response = pb.WatchDebugRecordsResponse(missed_count=ring.missed(at))
                at = self._collect(ring, max(at, ring.first), wanted, host.name, response)
                if response.records or response.missed_count:
                    yield response
                if at < ring.next:
                    await asyncio.sleep(0)
                    continue
                if mode.ended is not None:
                    raise mode.ended
                ring.news.clear()
                await ring.news.wait()
                await asyncio.sleep(PAUSE)

    def _collect(self, ring: Ring, at: int, wanted: Selection, hub: str, response: pb.WatchDebugRecordsResponse) -> int:
        """Puts the records from a sequence on into a response; returns the sequence from which the next goes on."""
        size = 0
        for looked, record in enumerate(ring.since(at)):
            if looked >= SLICE // ENCODING or size >= PAGE_BYTES:
                return record.sequence
            if wanted.takes(record):
                response.records.append(record.encode(hub))
                size += record.size
        return ring.next

    async def clear_debug_records(
        self, request: pb.ClearDebugRecordsRequest, call: Call
    ) -> pb.ClearDebugRecordsResponse:
        """Forgets all records."""
        return pb.ClearDebugRecordsResponse(cleared=self._host(request.parent).debug.ring.clear())

    def _host(self, parent: str) -> Host:
        return self._hosts.find(hub_id(parent, "parent"), "parent")
