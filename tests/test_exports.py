"""The public names, listed: adding one is a decision, losing one breaks somebody.

A public package exports exactly the names below; its `__all__` says the same, every name resolves, nothing else of ours
is reachable in it without an underscore, and the classes that exist for threads and for asyncio agree.
"""

import importlib
import inspect
import subprocess
import sys
from types import ModuleType

import pytest

CLIENT = """
    AsyncDebug AsyncHubEvents Debug DebugRecord DebugSettings FilterInfo HubEvent HubEvents
    BackupFailed BackupInfo BackupOptions BackupProgress BackupResult InferredColumn InferredTable RestoreOptions
    RestoreResult check_backup
    Ack AlreadyExists AsyncEventHorizon AsyncMirror AsyncMirrorGroup AsyncSession AsyncTesseract AsyncWatch
    AsyncWriteStream Cancelled Change Closed Condition Cut DeadlineExceeded Delta Edited Event EventHorizon
    ExpressionCheck ExpressionProblem FeatureNotAvailable Gap HubInfo IngestResult Interrupted InvalidRequest
    Lagged LimitExceeded Limits LogInfo MigrationFailed MigrationOptions MigrationProgress MigrationResult
    Mirror MirrorBookmark MirrorGroup NotFound Notice OutOfRange PermissionDenied Plan PlanStep
    PreconditionFailed Progress Resumed Retry Row RowError Rows ServerFailure ServerInfo Session Snapshot
    TableInfo Tesseract TesseractError Tls Unauthenticated Unavailable Watch WatchOptions WatchState WriteBatch
    WriteCounts WriteResult WriteStream
    AlterResult Alterations EndedSession AppliedMigration AsyncSchemaMigrator PlannedMigration PlannedStep
    SchemaMigrationFailed SchemaMigrationStatus SchemaMigrator
    ColumnMemory RetentionWords TableMemory
    CacheStats ColumnProfile Diagnosis FilterPart FilterUse HubDiagnosis IndexUse Issue MemoryUse PerformanceReport
    PerformanceResult SessionCost
"""
COMPAT = """
    Definitions EventHorizon NotCarriedOver SchemaMigrator Session SessionDefinition Table TableDefinition
    TesseractV1Compatibility compare definitions_of session_of table_of
"""
TESTING = """
    Answer AsyncRecordingWatcher Book ContractViolation Key ManualClock Mirror MirrorError RecordingWatcher Response
    Row RunningServer check_resumed check_sessions check_stream cuts_of digest_of fold key_of last_token rows_of
    running_async_server running_server split_cuts validate_atomic validate_bookmarkable validate_contiguous
    validate_convergent validate_digest validate_every_commit validate_lagged validate_ordered
    validate_read_your_writes validate_resumable validate_unique
"""
PUBLIC: dict[str, frozenset[str]] = {
    "tesseract_grpc": frozenset({"__version__"}),
    "tesseract_grpc.client": frozenset(CLIENT.split()),
    "tesseract_grpc.client.compat": frozenset(COMPAT.split()),
    "tesseract_grpc.testing": frozenset(TESTING.split()),
    "tesseract_grpc.engine": frozenset(),
}
FACES = "Debug EventHorizon HubEvents Mirror MirrorGroup SchemaMigrator Session Tesseract Watch WriteStream".split()


def reachable(module: ModuleType) -> set[str]:
    """Our own classes and functions that a user can reach in a package, besides its submodules."""
    found = set()
    for name, value in vars(module).items():
        origin = getattr(value, "__module__", None)
        if not name.startswith("_") and not inspect.ismodule(value) and str(origin).startswith("tesseract_grpc"):
            found.add(name)
    return found


@pytest.mark.parametrize("package", PUBLIC)
def test_public_names_are_the_listed_ones(package: str) -> None:
    module = importlib.import_module(package)
    names = list(getattr(module, "__all__", ()))
    assert set(names) == PUBLIC[package]
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", PUBLIC)
def test_all_is_complete(package: str) -> None:
    module = importlib.import_module(package)
    assert reachable(module) <= PUBLIC[package]


@pytest.mark.parametrize("package", ["tesseract_grpc.client", "tesseract_grpc.testing"])
def test_public_classes_and_functions_say_what_they_are(package: str) -> None:
    module = importlib.import_module(package)
    things = {name: getattr(module, name) for name in PUBLIC[package]}
    # Type aliases and constants have no docstring of their own.
    ours = {name: thing for name, thing in things.items() if inspect.isclass(thing) or inspect.isfunction(thing)}
    assert [name for name, thing in ours.items() if not inspect.getdoc(thing)] == []


@pytest.mark.parametrize("face", FACES)
def test_both_faces_have_the_same_methods(face: str) -> None:
    client = importlib.import_module("tesseract_grpc.client")
    threads, coroutines = getattr(client, face), getattr(client, f"Async{face}")

    def methods(cls: type) -> dict[str, list[str]]:
        public = {name: value for name, value in inspect.getmembers(cls) if not name.startswith("_")}
        return {
            name: list(inspect.signature(value).parameters) if inspect.isfunction(value) else []
            for name, value in public.items()
        }

    assert methods(threads) == methods(coroutines)


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("tesseract_grpc", ("grpc", "numpy", "tesseract_grpc.engine", "tesseract_grpc.server")),
        ("tesseract_grpc.client", ("tesseract_grpc.engine", "tesseract_grpc.server", "pandas", "polars", "pyarrow")),
        ("tesseract_grpc.cli.main", ("grpc", "tesseract_grpc.engine", "tesseract_grpc.server")),
        ("tesseract_grpc.engine.hub", ("grpc", "google.protobuf", "asyncio", "redis")),
    ],
)
def test_importing_loads_only_what_it_needs(module: str, unwanted: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*[name for name in {unwanted!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert loaded == []
