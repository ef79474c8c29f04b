"""What a test of a user of this service needs, shipped with it.

* `running_server` and `running_async_server`: a whole server in this process, on a free port, gone at the end.
* `RecordingWatcher`, `AsyncRecordingWatcher`: record every response of a watch.
* `Mirror`, `fold`: what a client holds after a stream, by the letter of the contract.
* `check_stream` and `validate_*`: the promises of docs/GUARANTEES.md, one function each.
* `check_resumed`: the same for two streams, of which the second goes on where the first ended.
* `split_cuts`, `check_sessions`: the same for a stream of several sessions.
* `validate_every_commit`: that a watch with DELIVERY_EVERY_COMMIT was told each of them.
* `digest_of`: the digest of a window, as docs/GUARANTEES.md defines it.
* `ManualClock`: a clock that moves only when told to.
"""

from tesseract_grpc.testing.clock import ManualClock
from tesseract_grpc.testing.contract import (
    Answer,
    check_stream,
    validate_atomic,
    validate_bookmarkable,
    validate_contiguous,
    validate_convergent,
    validate_ordered,
    validate_unique,
)
from tesseract_grpc.testing.cuts import check_sessions, cuts_of, split_cuts
from tesseract_grpc.testing.digest import digest_of, validate_digest
from tesseract_grpc.testing.mirror import Mirror, MirrorError, Response, fold
from tesseract_grpc.testing.resumption import check_resumed, last_token, validate_resumable
from tesseract_grpc.testing.rows import Key, Row, key_of, rows_of
from tesseract_grpc.testing.serving import RunningServer, running_async_server, running_server
from tesseract_grpc.testing.skipping import validate_every_commit, validate_lagged
from tesseract_grpc.testing.violation import ContractViolation
from tesseract_grpc.testing.watcher import AsyncRecordingWatcher, RecordingWatcher
from tesseract_grpc.testing.writes import Book, validate_read_your_writes

__all__ = [
    "Answer",
    "AsyncRecordingWatcher",
    "Book",
    "ContractViolation",
    "Key",
    "ManualClock",
    "Mirror",
    "MirrorError",
    "RecordingWatcher",
    "Response",
    "Row",
    "RunningServer",
    "check_resumed",
    "check_sessions",
    "check_stream",
    "cuts_of",
    "digest_of",
    "fold",
    "key_of",
    "last_token",
    "rows_of",
    "running_async_server",
    "running_server",
    "split_cuts",
    "validate_atomic",
    "validate_bookmarkable",
    "validate_contiguous",
    "validate_convergent",
    "validate_digest",
    "validate_every_commit",
    "validate_lagged",
    "validate_ordered",
    "validate_read_your_writes",
    "validate_resumable",
    "validate_unique",
]
