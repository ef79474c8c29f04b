"""The digest of a client: a fixed value, every type and edge of the definition, and what a difference does."""

from typing import Any

from tesseract_grpc._proto.tesseract.v1 import value_pb2
from tesseract_grpc.client import EventHorizon, Interrupted, Progress, Session, Snapshot
from tesseract_grpc.client.core.digest import digest_of
from tesseract_grpc.testing.serving import RunningServer
from tests.client.serving import FakeServer, Silence
from tests.client.sync.test_faults import A, B, session_of
from tests.client.test_mirror_laws import progress, snapshot

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "text", "type": "string"},
    {"name": "x", "type": "number"},
    {"name": "at", "type": "date"},
    {"name": "yes", "type": "bool"},
    {"name": "doc", "type": "object"},
    {"name": "kind", "type": "enum", "enum": ["a", "b"]},
]


def test_the_digest_is_the_one_that_everybody_makes() -> None:
    types = {"k": value_pb2.DATA_TYPE_INT64, "s": value_pb2.DATA_TYPE_STRING, "x": value_pb2.DATA_TYPE_FLOAT64}
    rows: list[dict[str, Any]] = [
        {"k": 1, "s": "é", "x": -0.0},
        {"k": -2, "s": None, "x": float("nan")},
        {"k": 3, "s": "", "x": None},
    ]
    found = digest_of(types, rows).hex()
    assert found == "a237d31906604dfb8dd549d4c5eb4b37d579cf7104cdf09048fe3300d270a4db"
    rows[0]["x"] = 0.0  # the same number
    assert digest_of(types, rows).hex() == found
    for key, value in (("s", "e"), ("x", None), ("k", 2)):
        changed = [{**rows[0], key: value}, *rows[1:]]
        assert digest_of(types, changed).hex() != found
    assert digest_of(types, rows[::-1]).hex() != found
    assert digest_of(dict(reversed(types.items())), rows).hex() != found


def verified(session: Session, count: int = 1) -> list[Any]:
    """Reads until `count` digests were compared; what was told of the stream."""
    told: list[Any] = []
    with session.watch(verify=True, progress=True) as watch:
        watch.on("interrupted", told.append)
        for event in watch:
            count -= isinstance(event, Progress) and bool(event.digest)
            if count == 0:
                return told
    return told


def test_the_server_and_the_client_agree_on_every_type(server: RunningServer, table_id: str) -> None:
    with EventHorizon.connect(server.address, timeout=10) as hub:
        table = hub.create_tesseract(table_id, COLUMNS)
        session = hub.create_session(table=table, sort=[{"field": "text", "direction": "desc"}])
        assert verified(session) == []
        table.add(
            [
                {"id": 1, "text": "é", "x": -0.0, "at": "2024-01-01T00:00:00Z", "yes": True, "kind": "b"},
                {"id": 2, "text": "", "x": float("nan"), "yes": False, "doc": {"b": [1, 2.5, None], "a": "ü"}},
                {"id": 3, "x": float("-inf"), "doc": "text"},
                {"id": -(2**63), "text": "long" * 50, "x": 1e300, "doc": {}},
            ]
        )
        assert verified(session) == []
        table.add([{"id": at, "text": f"t{at % 7}", "x": at / 3} for at in range(100, 300)])
        told: list[Any] = []
        with session.mirror(verify=True) as mirror:
            mirror.on("interrupted", told.append)
            table.remove([100, 101])
            table.update([{"id": at, "text": "moved", "doc": {"n": at}} for at in range(110, 130)])
            for columns in (["id", "doc", "x"], ["x", "id", "text"]):
                mirror.wait_for(session.update_columns(columns))  # two at once would be a new beginning
            written = table.update({"id": 120, "text": None})
            mirror.wait_for(written.version)
        assert verified(session, 2) == []
        assert told == []


def test_a_difference_is_loud_and_healed(fake: FakeServer) -> None:
    wrong, right = progress(1, 2), progress(5, 6)
    wrong.progress.digest = b"something else"
    types = {"k": value_pb2.DATA_TYPE_INT64, "a": value_pb2.DATA_TYPE_STRING, "b": value_pb2.DATA_TYPE_FLOAT64}
    right.progress.digest = digest_of(types, [B])
    first = snapshot(1, [A])
    first[-1].resume_token = b"one"
    fake.script("WatchSession", *first, wrong)
    fake.script("WatchSession", *snapshot(5, [B]), right, Silence())
    with EventHorizon.connect(fake.address, timeout=5) as hub:
        session = session_of(fake, hub)
        told: list[Any] = []
        with session.watch(verify=True, progress=True) as watch:
            watch.on("interrupted", told.append)
            events = [next(watch) for _ in range(3)]
    assert [type(event) for event in events] == [Snapshot, Snapshot, Progress]
    assert isinstance(events[1], Snapshot)
    assert events[1].reason == "digest"
    assert [(event.reason, event.resumes) for event in told if isinstance(event, Interrupted)] == [("digest", False)]
    assert [request.resume_token for request in fake.requests["WatchSession"]] == [b"", b""]
    assert all(request.include_digest for request in fake.requests["WatchSession"])
