"""The standard health service, for the server and for each of its services.

SERVING from start to drain, except while the log of a hub cannot be written.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tesseract_grpc.server.codec import twin

_PATIENCE = 1.0
"""Seconds that telling everybody may take: one watcher that stopped reading must not hold up a shutdown."""


class Health:
    """What load balancers ask."""

    def __init__(self, server: grpc.aio.Server) -> None:
        self.serving = True
        """Whether the server works, and takes writes."""
        self._servicer = health.aio.HealthServicer()
        self.register(server)

    def register(self, server: Any) -> None:
        """Answers at another port, too."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def writable(self, everything: bool) -> None:
        """Says that every service works, or that none does while a hub takes no writes: reads and watches go on, but
        whoever chooses among servers had better choose another one."""
        self.serving = everything
        state = health_pb2.HealthCheckResponse.SERVING if everything else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *(service.full_name for service in twin.SERVICES)):
            await self._servicer.set(name, state)

    async def not_serving(self) -> None:
        """Says that nothing does, from now on."""
        self.serving = False
        try:
            await asyncio.wait_for(self._servicer.enter_graceful_shutdown(), _PATIENCE)
        except TimeoutError:
            return
