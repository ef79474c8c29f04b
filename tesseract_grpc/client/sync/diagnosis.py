# Generated from tesseract_grpc/client/aio/diagnosis.py by tools/generate_sync_client.py: edit that file and run it.
"""What a hub says of itself: its tables diagnosed, its caches, and how fast it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tesseract_grpc._proto.tesseract.v1 import diagnosis_service_pb2, query_pb2, schema_pb2, table_service_pb2

from ..core.arguments import whole_number
from ..core.diagnosis import CacheStats, Diagnosis, HubDiagnosis, caches_of
from ..core.errors import NotFound
from ..core.names import hub_name, id_of, table_name
from ..core.performance import PerformanceReport, PerformanceResult
from ..core.writes import TableLike
from .rpc import Rpc

if TYPE_CHECKING:
    from .tesseract import Tesseract

pb = diagnosis_service_pb2

PATIENCE = 300.0
"""Seconds that a diagnosis or a measurement may take, where the connection's own timeout is shorter."""
ROUND_TRIP_SECONDS = 2.0
"""How long one kind of call is measured."""
PAGE_ROWS = 50


class Diagnosable:
    """The part of a hub that looks at itself."""

    _rpc: Rpc
    _hub: str

    def list_tesseracts(self) -> list[Tesseract]:
        """All tables, by rising id."""
        raise NotImplementedError

    def diagnose(self, table: TableLike, *, top_values: int = 5, samples: int = 5) -> Diagnosis:
        """What is in a table, what it takes, how it is used and what could be better; so many of the most frequent
        values and examples are told of each column, at most 100. Commits go on meanwhile. Raises NotFound."""
        request = pb.DiagnoseTableRequest(
            table=table_name(self._hub, _name_of(table)),
            top_values=whole_number(top_values, "top_values", 0) or -1,
            samples=whole_number(samples, "samples", 0) or -1,
        )
        return Diagnosis.of(self._rpc.call(self._rpc.diagnosis.DiagnoseTable, request, timeout=self._patience))

    def diagnose_all(self, *, top_values: int = 5, samples: int = 5) -> HubDiagnosis:
        """All tables of the hub, one after the other, and its caches."""
        found: list[Diagnosis] = []
        for table in self.list_tesseracts():
            try:
                found.append(self.diagnose(table.name, top_values=top_values, samples=samples))
            except NotFound:  # it has gone meanwhile
                continue
        return HubDiagnosis(self._hub, tuple(found), self.cache_stats())

    def performance_test(
        self, table: TableLike, operations: int = 1000, *, max_rows: int = 100_000
    ) -> PerformanceReport:
        """Measures so many operations of each kind on a private copy of at most `max_rows` rows inside of the server,
        and then calls of this client to the real server, which read and write nothing. The table stays as it is. A kind
        ends early when it has taken two seconds. Raises NotFound, LimitExceeded."""
        name = table_name(self._hub, _name_of(table))
        whole_number(operations, "operations", 1)
        whole_number(max_rows, "max_rows", 1)
        request = pb.TestPerformanceRequest(table=name, operations=operations, max_rows=max_rows)
        response = self._rpc.call(self._rpc.diagnosis.TestPerformance, request, timeout=self._patience)
        found = (self._rpc.call(self._rpc.tables.GetTable, table_service_pb2.GetTableRequest(name=name))).table
        return PerformanceReport(
            id_of(name),
            response.copied_rows,
            tuple(PerformanceResult.of(result) for result in response.results),
            tuple(self._round_trips(found, operations)),
        )

    def cache_stats(self) -> dict[str, CacheStats]:
        """What the caches have done since they were cleared: "queries" (answers of one-shot queries), "plans" (parts of
        queries that sessions share) and "expressions" (parsed texts, of the whole server)."""
        request = pb.GetCacheStatisticsRequest(parent=hub_name(self._hub))
        return caches_of(self._rpc.call(self._rpc.diagnosis.GetCacheStatistics, request))

    def clear_cache(self) -> int:
        """Forgets what the caches hold, and counts from zero; returns how many entries were forgotten. Plans that
        sessions use stay."""
        request = pb.ClearCachesRequest(parent=hub_name(self._hub))
        return (self._rpc.call(self._rpc.diagnosis.ClearCaches, request)).cleared

    @property
    def _patience(self) -> float:
        return max(self._rpc.connection.timeout, PATIENCE)

    def _round_trips(self, table: schema_pb2.Table, operations: int) -> list[PerformanceResult]:
        """How long calls to the real server take."""
        query = query_pb2.Query(table=table.name)
        keys = [column.name for column in table.columns if column.primary_key]
        first = table_service_pb2.QueryRequest(
            query=query_pb2.Query(table=table.name, columns=keys),
            parent=hub_name(self._hub),
            window=query_pb2.Window(offset=0, limit=1),
        )
        key = (self._rpc.call(self._rpc.tables.Query, first)).rows
        get = table_service_pb2.GetRowsRequest(table=table.name, keys=key)
        pages = max(1, table.row_count - PAGE_ROWS)

        def page(number: int) -> table_service_pb2.QueryRequest:
            window = query_pb2.Window(offset=number * 37 % pages, limit=PAGE_ROWS)
            return table_service_pb2.QueryRequest(query=query, parent=hub_name(self._hub), window=window)

        found: list[PerformanceResult] = []
        if key.row_count:
            found.append(self._timed("GetRows", "one row by its key", [get], self._rpc.tables.GetRows, operations))
        varied = [page(number) for number in range(min(operations, 500))]
        found.append(
            self._timed(
                "Query", "50 rows, another window each time", varied, self._rpc.tables.Query, min(operations, 500)
            )
        )
        again = [page(0)]
        found.append(self._timed("Query again", "the same 50 rows", again, self._rpc.tables.Query, operations))
        return found

    def _timed(
        self, operation: str, description: str, requests: Sequence[Any], method: Any, operations: int
    ) -> PerformanceResult:
        """Calls one after the other, after one that is not counted."""
        seconds: list[float] = []
        rows = 0
        self._rpc.call(method, requests[-1])
        end = time.perf_counter() + ROUND_TRIP_SECONDS
        for number in range(operations):
            begun = time.perf_counter()
            response = self._rpc.call(method, requests[number % len(requests)])
            seconds.append(time.perf_counter() - begun)
            rows += response.rows.row_count
            if time.perf_counter() > end:
                break
        return PerformanceResult.measured(operation, description, seconds, rows)


def _name_of(table: TableLike) -> str:
    return table if isinstance(table, str) else table.name
