"""DiagnosisService: profiles of tables."""

from __future__ import annotations

import asyncio
import time

from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.retention import encode_memory
from tesseract_grpc.server.codec.values import encode_duration, encode_time
from tesseract_grpc.server.describe import encode_table
from tesseract_grpc.server.diagnosis.costs import session_costs
from tesseract_grpc.server.diagnosis.encode import encode_facts, encode_issue
from tesseract_grpc.server.diagnosis.facts import Facts, table_facts
from tesseract_grpc.server.diagnosis.issues import find_issues
from tesseract_grpc.server.diagnosis.reading import Asked, read_profiles
from tesseract_grpc.server.host import Hosts
from tesseract_grpc.server.lookup import find_table

pb = twin.diagnosis_service

FEW, MOST = 5, 100
"""How many values are told where nothing else is asked for, and at the most."""


class Diagnoses:
    """Diagnoses of tables; one at a time on a server, for each takes the memory of a table once more."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._turn = asyncio.Lock()
        self._since = hosts.clock()

    async def diagnose_table(self, request: pb.DiagnoseTableRequest, call: Call) -> pb.DiagnoseTableResponse:
        """Tells what is in a table, what it takes, how it is used and what could be better."""
        find_table(self._hosts, request.table, "table")
        asked = Asked(_asked(request.top_values), _asked(request.samples))
        async with self._turn:
            begun = time.perf_counter()
            response = await self._diagnose(request.table, asked)
            encode_duration(time.perf_counter() - begun, response.duration)
        return response

    async def _diagnose(self, name: str, asked: Asked) -> pb.DiagnoseTableResponse:
        host, table = find_table(self._hosts, name, "table")
        told = table.name
        # In one step, so that all of it is of one version.
        still = host.hub.image().stills([told])[told]
        try:
            described = table_facts(told, table, derived=told in host.hub.derived_tables)
            message = pb.DiagnoseTableResponse(table=encode_table(host, table), version=still.version)
            encode_memory(described.memory, message.table)
            profiles = await read_profiles(still, host.name, told, asked)
        finally:
            still.close()
        facts = Facts(described, profiles, await session_costs(host, told))
        encode_facts(facts, host.name, message)
        message.issues.extend(map(encode_issue, find_issues(facts)))
        encode_time(max(self._since, message.table.create_time.ToNanoseconds() / 1e9), message.counted_since)
        return message


def _asked(number: int) -> int:
    """How many values are told: a few, none, or as many as were asked for."""
    return FEW if number == 0 else max(0, min(number, MOST))
