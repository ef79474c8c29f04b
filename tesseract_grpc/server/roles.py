"""Which role a call needs: one table of every method.

A method that is not in the table cannot be called with tokens on; a test compares the table with the services. Two
methods ask for more than the table says once they know their session: creating or deleting one with an id needs WRITE.
"""

from __future__ import annotations

from collections.abc import Mapping

from tesseract_grpc.server.tokens import Role

_TABLES = "/tesseract.v1.TableService/"
_SESSIONS = "/tesseract.v1.SessionService/"
_HUBS = "/tesseract.v1.HubService/"
_DIAGNOSIS = "/tesseract.v1.DiagnosisService/"

ROLE_OF: Mapping[str, Role | None] = {
    _TABLES + "CreateTable": Role.ADMIN,
    _TABLES + "GetTable": Role.READ,
    _TABLES + "ListTables": Role.READ,
    _TABLES + "UpdateTable": Role.ADMIN,
    _TABLES + "AlterTable": Role.ADMIN,
    _TABLES + "SwapTables": Role.ADMIN,
    _TABLES + "RenameTable": Role.ADMIN,
    _TABLES + "DeleteTable": Role.ADMIN,
    _TABLES + "Write": Role.WRITE,
    _TABLES + "WriteStream": Role.WRITE,
    _TABLES + "ValidateExpression": Role.READ,
    _TABLES + "Query": Role.READ,
    _TABLES + "QueryStream": Role.READ,
    _TABLES + "GetRows": Role.READ,
    _TABLES + "WatchTable": Role.READ,
    _SESSIONS + "CreateSession": Role.READ,
    _SESSIONS + "GetSession": Role.READ,
    _SESSIONS + "ListSessions": Role.READ,
    _SESSIONS + "UpdateSession": Role.WRITE,
    _SESSIONS + "ExplainSession": Role.READ,
    _SESSIONS + "DeleteSession": Role.READ,
    _SESSIONS + "QuerySession": Role.READ,
    _SESSIONS + "QuerySessionStream": Role.READ,
    _SESSIONS + "WatchSession": Role.READ,
    _SESSIONS + "WatchSessions": Role.READ,
    _HUBS + "GetServerInfo": Role.READ,
    _HUBS + "GetHub": Role.READ,
    _HUBS + "ListHubs": Role.READ,
    _HUBS + "CheckHub": Role.ADMIN,
    _HUBS + "Backup": Role.ADMIN,
    _HUBS + "RequestProgress": Role.READ,
    _HUBS + "WatchHub": Role.READ,
    _DIAGNOSIS + "DiagnoseTable": Role.READ,
    _DIAGNOSIS + "TestPerformance": Role.ADMIN,
    _DIAGNOSIS + "GetCacheStatistics": Role.READ,
    _DIAGNOSIS + "ClearCaches": Role.ADMIN,
    _DIAGNOSIS + "GetDebugSettings": Role.ADMIN,
    _DIAGNOSIS + "UpdateDebugSettings": Role.ADMIN,
    _DIAGNOSIS + "ListDebugRecords": Role.ADMIN,
    _DIAGNOSIS + "WatchDebugRecords": Role.ADMIN,
    _DIAGNOSIS + "ClearDebugRecords": Role.ADMIN,
    # Load balancers ask for health without a token.
    "/grpc.health.v1.Health/Check": None,
    "/grpc.health.v1.Health/Watch": None,
    "/grpc.health.v1.Health/List": None,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Role.READ,
}
"""The least role of each method; None for methods that need no token."""
