"""The standard health service: SERVING from start to drain, for the server and for each of its services."""

from __future__ import annotations

import asyncio

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tesseract_grpc.server.codec import twin

_PATIENCE = 1.0
"""Seconds that telling everybody may take: one watcher that stopped reading must not hold up a shutdown."""


class Health:
    """What load balancers ask."""

    def __init__(self, server: grpc.aio.Server) -> None:
        self._servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def serving(self) -> None:
        """Says that every service works."""
        for service in twin.SERVICES:
            await self._servicer.set(service.full_name, health_pb2.HealthCheckResponse.SERVING)

    async def not_serving(self) -> None:
        """Says that nothing does, from now on."""
        try:
            await asyncio.wait_for(self._servicer.enter_graceful_shutdown(), _PATIENCE)
        except TimeoutError:
            return
