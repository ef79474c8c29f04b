"""HubService: watching what happens to a hub."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.host import Hosts
from tesseract_grpc.server.names import hub_id
from tesseract_grpc.server.services.hub_story import HubStory
from tesseract_grpc.server.services.watching import frame, record_watch
from tesseract_grpc.server.streams.stream import Stream, Terms

pb = twin.hub_service


class HubWatches:
    """Watches of hubs."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def watch_hub(self, request: pb.WatchHubRequest, call: Call) -> AsyncIterator[bytes]:
        """Streams what happens to tables and sessions."""
        host = self._hosts.find(hub_id(request.name, "name"), "name")
        self._hosts.room_for_watch()
        config, framed = self._hosts.config, frame(host)
        terms = Terms(lag_after=config.lag_after, slow_reader_timeout=config.slow_reader_timeout)
        story = HubStory(host, framed, existing=request.include_existing, patience=config.lag_after)
        stream = Stream(story, framed, terms, peer=call.peer, cut_off=call.cut_off)
        story.on_overflow = stream.overflow
        with host.audience.admit(stream, host.events), record_watch(host, stream, (host.events,)):
            async with aclosing(stream.responses()) as responses:
                async for response in responses:
                    yield response
