"""What a test of a user of this service needs, shipped with it.

* `running_server` and `running_async_server`: a whole server in this process, on a free port, gone at the end.
* `RecordingWatcher`, `AsyncRecordingWatcher`: record every response of a watch.
* `Mirror`, `fold`: what a client holds after a stream, by the letter of the contract.
* `check_stream` and `validate_*`: the promises of docs/GUARANTEES.md, one function each.
* `ManualClock`: a clock that moves only when told to.
"""

from tesseract_grpc.testing.clock import ManualClock
from tesseract_grpc.testing.contract import (
    Answer,
    ContractViolation,
    check_stream,
    validate_atomic,
    validate_bookmarkable,
    validate_contiguous,
    validate_convergent,
    validate_ordered,
    validate_unique,
)
from tesseract_grpc.testing.mirror import Mirror, MirrorError, Response, fold
from tesseract_grpc.testing.rows import Key, Row, key_of, rows_of
from tesseract_grpc.testing.serving import RunningServer, running_async_server, running_server
from tesseract_grpc.testing.watcher import AsyncRecordingWatcher, RecordingWatcher

__all__ = [
    "Answer",
    "AsyncRecordingWatcher",
    "ContractViolation",
    "Key",
    "ManualClock",
    "Mirror",
    "MirrorError",
    "RecordingWatcher",
    "Response",
    "Row",
    "RunningServer",
    "check_stream",
    "fold",
    "key_of",
    "rows_of",
    "running_async_server",
    "running_server",
    "validate_atomic",
    "validate_bookmarkable",
    "validate_contiguous",
    "validate_convergent",
    "validate_ordered",
    "validate_unique",
]
