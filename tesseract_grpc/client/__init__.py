"""The Python client: a hub of tables and live queries on a server, over gRPC.

    EventHorizon (a hub) -> Tesseract (a table)  -> writes, reads, events
                         -> Session (a live query) -> reads, watches, mirrors

Every class exists twice, for threads and for asyncio (`AsyncEventHorizon`, ...), with the same names and arguments.
They are one source: `client/aio` is written by hand, `client/sync` is generated from it, and everything that needs
neither (encoding, filters, the state machines of a stream and of a mirror) is in `client/core` and does no input or
output.
"""

from .aio.debug import AsyncDebug
from .aio.evolve import AsyncSchemaMigrator
from .aio.hub import AsyncEventHorizon
from .aio.hub_events import AsyncHubEvents
from .aio.mirror import AsyncMirror, AsyncMirrorGroup
from .aio.session import AsyncSession
from .aio.tesseract import AsyncTesseract
from .aio.watch import AsyncWatch
from .aio.write_stream import AsyncWriteStream
from .backup.errors import BackupFailed
from .backup.files import check_backup
from .backup.options import BackupOptions, RestoreOptions
from .backup.report import BackupInfo, BackupProgress, BackupResult, InferredColumn, InferredTable, RestoreResult
from .core.alterations import Alterations, AlterResult, EndedSession
from .core.connection import Retry, Tls
from .core.debug import DebugRecord, DebugSettings
from .core.diagnosis import (
    CacheStats,
    ColumnProfile,
    Diagnosis,
    FilterUse,
    HubDiagnosis,
    IndexUse,
    Issue,
    MemoryUse,
    SessionCost,
)
from .core.errors import (
    AlreadyExists,
    Cancelled,
    Closed,
    DeadlineExceeded,
    FeatureNotAvailable,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    OutOfRange,
    PermissionDenied,
    PreconditionFailed,
    RowError,
    ServerFailure,
    TesseractError,
    Unauthenticated,
    Unavailable,
)
from .core.events import (
    Change,
    Cut,
    Delta,
    Edited,
    Event,
    FilterInfo,
    Gap,
    Interrupted,
    Lagged,
    Notice,
    Progress,
    Resumed,
    Snapshot,
)
from .core.expressions import ExpressionCheck, ExpressionProblem
from .core.hub_events import HubEvent
from .core.info import HubInfo, Limits, LogInfo, ServerInfo, TableInfo
from .core.mirror_bookmark import MirrorBookmark
from .core.performance import PerformanceReport, PerformanceResult
from .core.pipeline import Ack
from .core.plans import FilterPart, Plan, PlanStep
from .core.retention import ColumnMemory, RetentionWords, TableMemory
from .core.rows import Row, Rows
from .core.watch_options import WatchOptions
from .core.watch_state import WatchState
from .core.writes import Condition, IngestResult, WriteBatch, WriteCounts, WriteResult
from .evolve.errors import SchemaMigrationFailed
from .evolve.report import AppliedMigration, PlannedMigration, PlannedStep, SchemaMigrationStatus
from .migrate.errors import MigrationFailed
from .migrate.options import MigrationOptions
from .migrate.report import MigrationProgress, MigrationResult
from .sync.debug import Debug
from .sync.evolve import SchemaMigrator
from .sync.hub import EventHorizon
from .sync.hub_events import HubEvents
from .sync.mirror import Mirror, MirrorGroup
from .sync.session import Session
from .sync.tesseract import Tesseract
from .sync.watch import Watch
from .sync.write_stream import WriteStream

__all__ = [
    "Ack",
    "AlreadyExists",
    "AlterResult",
    "Alterations",
    "AsyncDebug",
    "AsyncEventHorizon",
    "AsyncHubEvents",
    "AsyncMirror",
    "AsyncMirrorGroup",
    "AppliedMigration",
    "AsyncSchemaMigrator",
    "AsyncSession",
    "AsyncTesseract",
    "AsyncWatch",
    "AsyncWriteStream",
    "Cancelled",
    "Change",
    "Closed",
    "ColumnMemory",
    "Condition",
    "Cut",
    "DeadlineExceeded",
    "Debug",
    "DebugRecord",
    "DebugSettings",
    "Delta",
    "Edited",
    "EndedSession",
    "Event",
    "EventHorizon",
    "FeatureNotAvailable",
    "FilterInfo",
    "Gap",
    "HubEvent",
    "HubEvents",
    "HubInfo",
    "IngestResult",
    "Interrupted",
    "InvalidRequest",
    "Lagged",
    "LimitExceeded",
    "Limits",
    "LogInfo",
    "MigrationFailed",
    "MigrationOptions",
    "MigrationProgress",
    "MigrationResult",
    "Mirror",
    "MirrorBookmark",
    "MirrorGroup",
    "NotFound",
    "Notice",
    "OutOfRange",
    "PermissionDenied",
    "PlannedMigration",
    "PlannedStep",
    "Plan",
    "PlanStep",
    "PreconditionFailed",
    "Progress",
    "Resumed",
    "RetentionWords",
    "Retry",
    "Row",
    "RowError",
    "Rows",
    "SchemaMigrationFailed",
    "SchemaMigrationStatus",
    "SchemaMigrator",
    "ServerFailure",
    "ServerInfo",
    "Session",
    "Snapshot",
    "Tesseract",
    "TesseractError",
    "ExpressionCheck",
    "ExpressionProblem",
    "TableInfo",
    "TableMemory",
    "Tls",
    "Unauthenticated",
    "Unavailable",
    "Watch",
    "WatchOptions",
    "WatchState",
    "WriteBatch",
    "WriteCounts",
    "WriteResult",
    "WriteStream",
    "BackupFailed",
    "BackupInfo",
    "BackupOptions",
    "BackupProgress",
    "BackupResult",
    "InferredColumn",
    "InferredTable",
    "RestoreOptions",
    "RestoreResult",
    "check_backup",
    "CacheStats",
    "ColumnProfile",
    "Diagnosis",
    "FilterPart",
    "FilterUse",
    "HubDiagnosis",
    "IndexUse",
    "Issue",
    "MemoryUse",
    "PerformanceReport",
    "PerformanceResult",
    "SessionCost",
]
