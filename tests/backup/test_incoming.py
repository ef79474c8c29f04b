"""The stream of a backup: whatever is left out, sent twice or altered on the way is noticed by who receives it."""

from __future__ import annotations

import pytest

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2
from tesseract_grpc.client import BackupFailed, EventHorizon
from tesseract_grpc.client.backup.incoming import Incoming
from tesseract_grpc.testing import running_server
from tests.backup.test_load import COLUMNS


def test_a_stream_that_lacks_something_is_no_backup() -> None:
    """Every response that is left out, sent twice or altered is noticed."""
    with running_server(piece_bytes=1_024) as server, EventHorizon.connect(server.address) as hub:
        table = hub.create_tesseract("t", COLUMNS)
        table.add([{"id": key, "text": f"{key}", "x": 0.5} for key in range(300)])
        responses = list(hub._rpc.stream(hub._rpc.hubs.Backup, hub_service_pb2.BackupRequest()))
    assert len(responses) > 6
    complete(responses)
    for at in range(len(responses) - 1):
        with pytest.raises(BackupFailed):
            complete(responses[:at] + responses[at + 1 :])
        with pytest.raises(BackupFailed):
            complete(responses[: at + 1] + responses[at:])
    assert not complete(responses[:-1])
    altered = hub_service_pb2.BackupResponse()
    altered.CopyFrom(responses[2])
    column = next(column for column in altered.rows.columns if column.name == "x")
    column.float64s.values[0] += 1
    with pytest.raises(BackupFailed, match="digests differ"):
        complete([*responses[:2], altered, *responses[3:]])


def complete(responses: list[hub_service_pb2.BackupResponse]) -> bool:
    incoming = Incoming()
    for response in responses:
        incoming.take(response)
    return incoming.complete
