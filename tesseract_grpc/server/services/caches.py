"""DiagnosisService: what the caches of a hub have done, and making them forget.

Three things save work that was done before: answers of queries (`query_cache.py`), maintained plans that sessions
share, and syntax trees of expressions, which are those of the whole server. Metrics count from the start of the
process; here counts begin again where they were cleared, so what was counted until then is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass

from tesseract_grpc.engine.query.expression.parse import ParseCounts, forget_parsed, parse_counts
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.names import hub_id

pb = twin.diagnosis_service


@dataclass(frozen=True, slots=True)
class _Cleared:
    """What had been counted of a hub's plans when its caches were cleared."""

    shared: int = 0
    hydrated: int = 0


class Caches:
    """The caches of hubs."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._plans: dict[str, _Cleared] = {}
        self._expressions = ParseCounts(0, 0, 0, 0)

    async def get_cache_statistics(
        self, request: pb.GetCacheStatisticsRequest, call: Call
    ) -> pb.GetCacheStatisticsResponse:
        """Tells what each cache has done. O(sessions)."""
        host = self._hosts.find(hub_id(request.parent, "parent"), "parent")
        caches = (_queries(host), self._plans_of(host), self._parsed())
        for cache in caches:
            asked = cache.hits + cache.misses
            cache.hit_rate = cache.hits / asked if asked else 0.0
        return pb.GetCacheStatisticsResponse(caches=caches)

    async def clear_caches(self, request: pb.ClearCachesRequest, call: Call) -> pb.ClearCachesResponse:
        """Forgets what can be forgotten, and begins to count anew."""
        host = self._hosts.find(hub_id(request.parent, "parent"), "parent")
        cleared = host.queries.clear() + forget_parsed()
        counters = host.hub.counters
        self._plans[host.name] = _Cleared(counters.plans_shared, counters.plans_hydrated)
        self._expressions = parse_counts()
        return pb.ClearCachesResponse(cleared=cleared)

    def _plans_of(self, host: Host) -> pb.CacheStatistics:
        counters, before = host.hub.counters, self._plans.get(host.name, _Cleared())
        return pb.CacheStatistics(
            cache="plans",
            hits=counters.plans_shared - before.shared,
            misses=counters.plans_hydrated - before.hydrated,
            entries=len({session.result for session in host.hub.sessions.values()}),
        )

    def _parsed(self) -> pb.CacheStatistics:
        now, before = parse_counts(), self._expressions
        return pb.CacheStatistics(
            cache="expressions",
            hits=now.hits - before.hits,
            misses=now.misses - before.misses,
            entries=now.kept,
            evictions=now.evicted - before.evicted,
        )


def _queries(host: Host) -> pb.CacheStatistics:
    queries = host.queries
    counts = queries.counts
    return pb.CacheStatistics(
        cache="queries",
        hits=counts.hits,
        misses=counts.misses,
        entries=len(queries),
        bytes=queries.bytes,
        evictions=counts.evictions,
        invalidations=counts.invalidations,
    )
