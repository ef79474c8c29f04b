"""The benchmark of the clients: streams play as they were recorded, and a program that does no work is found out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from benchmarks.clients import measuring
from benchmarks.clients.programs import Client, ProgramFailed
from benchmarks.clients.recording import FOLD, SNAPSHOT, WATCH, Recordings, record
from benchmarks.clients.replay import replaying
from benchmarks.workload import Settings
from tesseract_grpc._proto.tesseract.v1 import change_pb2, session_service_pb2
from tesseract_grpc.client import EventHorizon
from tesseract_grpc.testing import Mirror, check_stream, digest_of

TINY = Settings(scale=0.02, seconds=0.2)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording."""
    path = tmp_path_factory.mktemp("streams") / "streams"
    record(TINY).save(path)
    return path


def played(address: str, session: str, count: int) -> list[bytes]:
    with grpc.insecure_channel(address) as channel:
        method: Any = channel.unary_stream(WATCH)
        call = method(session_service_pb2.WatchSessionRequest(name=session).SerializeToString())
        found = [next(call) for _ in range(count)]
        call.cancel()
    return found


def test_a_recording_is_played_as_it_was_made(path: Path) -> None:
    recordings = Recordings.load(path)
    with replaying(path) as address:
        for session, watch in recordings.watches.items():
            assert tuple(played(address, session, len(watch.messages))) == watch.messages


def test_a_recording_keeps_the_promises_and_has_every_kind_of_change(path: Path) -> None:
    watch = Recordings.load(path).watches[FOLD]
    responses = [session_service_pb2.WatchSessionResponse.FromString(message) for message in watch.messages]
    check_stream(responses)
    mirror, joined = Mirror(), change_pb2.Changes()
    for response in responses:
        mirror.apply(response)
        joined.MergeFrom(response.changes)
    assert (len(mirror.rows), digest_of(mirror.types, mirror.rows).hex()) == (watch.rows, watch.digest)
    assert mirror.version == watch.version
    assert watch.changed_rows >= 95 * len([response for response in responses if response.HasField("changes")])
    assert joined.removes
    assert joined.updates
    assert joined.moves.indexes
    assert joined.inserts.indexes


def test_a_mirror_follows_what_is_played(path: Path) -> None:
    watch = Recordings.load(path).watches[FOLD]
    with replaying(path) as address, EventHorizon.connect(address) as hub, hub.get_session(FOLD).mirror() as mirror:
        mirror.wait_for(watch.version)
        assert len(mirror) == watch.rows


class Liar(Client):
    """A client whose programs say what a test wants."""

    answer: Callable[[str], dict[str, Any]]

    def bench(self, mode: str, **arguments: object) -> dict[str, Any]:
        return type(self).answer(mode)


def honest(path: Path, mode: str) -> dict[str, Any]:
    watch = Recordings.load(path).watches[FOLD if "fold" in mode else SNAPSHOT]
    counted = {"messages": len(watch.messages)} if "raw" in mode else {"rows": watch.rows, "digest": watch.digest}
    return {"mode": mode, "repetitions": 2, "seconds": 0.5, **counted}


def watches(path: Path, answer: Callable[[str], dict[str, Any]]) -> Any:
    return measuring._watches(type("Liar", (Liar,), {"answer": staticmethod(answer)})("x", {}), path, 0.1)


def test_figures_are_those_of_the_recording(path: Path) -> None:
    changed = Recordings.load(path).watches[FOLD].changed_rows
    figures = watches(path, lambda mode: honest(path, mode) | {"seconds": 0.25 if "raw" in mode else 0.5})
    assert figures["client_x_fold"].value == changed * 4
    assert figures["client_x_fold"].detail == {"raw": changed * 8.0, "ratio": 0.5}


@pytest.mark.parametrize("wrong", [{"digest": "00"}, {"rows": 1}, {"messages": 1}])
def test_a_program_that_does_not_do_the_work_fails(path: Path, wrong: dict[str, Any]) -> None:
    def answer(mode: str) -> dict[str, Any]:
        found = honest(path, mode)
        return found | {name: value for name, value in wrong.items() if name in found}

    with pytest.raises(ProgramFailed, match="says"):
        watches(path, answer)


def test_a_program_that_does_not_write_fails() -> None:
    liar = type("Liar", (Liar,), {"answer": staticmethod(lambda _: {"rows": 1, "seconds": 1.0, "version": 1})})
    with pytest.raises(ProgramFailed, match="holds 0 rows"):
        measuring._write(liar("x", {}), TINY)


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ({"command": ["no-such-compiler"], "minimum": "1.2"}, "no-such-compiler is not installed (1.2 or newer"),
        ({"command": ["echo", "v1.9.3"], "minimum": "1.24"}, "echo is 1.9.3, and 1.24 or newer is needed"),
        ({"command": ["echo", "hello"], "minimum": "1"}, "does not say its version"),
        ({"command": ["echo", "v1.24"], "minimum": "1.24"}, ""),
        ({"command": ["echo", "go1.26.8 linux"], "minimum": "1.24"}, ""),
    ],
)
def test_a_toolchain_that_is_missing_is_said(tool: dict[str, Any], words: str) -> None:
    lacks = Client("python", {"toolchain": [tool]}).lacks()
    assert words in lacks
    assert bool(words) == bool(lacks)


def test_a_build_that_fails_is_said() -> None:
    with pytest.raises(ProgramFailed, match="false ended with 1"):
        Client("python", {"build": [["true"], ["false"]]}).build()


def test_a_language_without_programs_is_left_out_loudly() -> None:
    assert "commands.json cannot be read" in measuring.prepare("cobol", TINY)
