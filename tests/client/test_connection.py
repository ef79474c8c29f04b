"""What `connect` makes of its arguments, pauses between attempts, and the watchdog with a clock of the test."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2, session_service_pb2, table_service_pb2
from tesseract_grpc.client import EventHorizon, InvalidRequest, Retry
from tesseract_grpc.client.core.connection import Backoff, Connection, may_be_sent_twice
from tesseract_grpc.client.core.watchdog import Watchdog


def test_options_of_the_channel() -> None:
    options = dict(Connection("localhost:1", keepalive=2, keepalive_timeout=0.5, max_message_bytes=7).options())
    assert options["grpc.http2.bdp_probe"] == 0
    assert options["grpc.keepalive_time_ms"] == 2000
    assert options["grpc.keepalive_timeout_ms"] == options["grpc.http2.ping_timeout_ms"] == 500
    assert options["grpc.max_receive_message_length"] == 7


def test_what_may_be_sent_twice() -> None:
    """A call is sent again when it only reads, or when its request has an id by which the server knows it again."""
    assert may_be_sent_twice(table_service_pb2.GetRowsRequest())
    assert may_be_sent_twice(hub_service_pb2.RequestProgressRequest())
    assert may_be_sent_twice(table_service_pb2.WriteRequest(request_id="x"))
    assert not may_be_sent_twice(table_service_pb2.WriteRequest())
    assert not may_be_sent_twice(session_service_pb2.DeleteSessionRequest())
    modules = (table_service_pb2, session_service_pb2, hub_service_pb2)
    services = [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]
    for method in (method for service in services for method in service.methods):
        reads = not {"Create", "Update", "Delete", "Rename", "Write"} & set(re.findall("[A-Z][a-z]+", method.name))
        again = may_be_sent_twice(GetMessageClass(method.input_type)())
        assert not again or reads, method.name


@pytest.mark.parametrize(
    "arguments",
    [
        {"address": ""},
        {"address": 50051},
        {"timeout": 0},
        {"keepalive": -1},
        {"max_message_bytes": 0},
        {"retry": Retry(attempts=0)},
    ],
    ids=str,
)
def test_arguments_that_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        EventHorizon.connect(**arguments)


def test_pauses_grow_and_are_random_and_bounded() -> None:
    backoff = Backoff(Retry(initial_backoff=1, max_backoff=8))
    for limit in (1, 2, 4, 8, 8, 8):
        assert 0 <= backoff.next() <= limit
    pauses = {backoff.next() for _ in range(200)}
    assert len(pauses) > 150  # full jitter: not one value again and again
    assert max(pauses) > 4
    assert min(pauses) < 4
    assert all(20 <= backoff.next(at_least=20) <= 28 for _ in range(20))
    backoff.reset()
    assert backoff.next() <= 1


class Clock:
    """Time and timers by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.started = 0

    def later(self, seconds: float, action: Callable[[], None]) -> Any:
        entry = (self.now + seconds, action)
        self.timers.append(entry)
        self.started += 1
        clock = self

        class Timer:
            def cancel(self) -> None:
                if entry in clock.timers:
                    clock.timers.remove(entry)

        return Timer()

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer[0] <= end]:
            first = min(due, key=lambda timer: timer[0])
            self.timers.remove(first)
            self.now = first[0]
            first[1]()
        self.now = end


class Barks:
    def __init__(self) -> None:
        self.count = 0

    def bark(self) -> None:
        self.count += 1


def test_the_watchdog_barks_once_after_a_silent_wait() -> None:
    clock, barks = Clock(), Barks()
    dog = Watchdog(clock.later, lambda: clock.now, barks.bark)
    dog.wait(3)
    clock.advance(2.9)
    assert barks.count == 0
    clock.advance(0.2)
    assert barks.count == 1
    clock.advance(100)
    assert barks.count == 1


def test_the_watchdog_does_not_count_while_nobody_waits() -> None:
    clock, barks = Clock(), Barks()
    dog = Watchdog(clock.later, lambda: clock.now, barks.bark)
    dog.wait(3)
    dog.heard()
    clock.advance(100)
    dog.wait(3)
    clock.advance(2)
    assert barks.count == 0
    clock.advance(2)
    assert barks.count == 1


def test_the_watchdog_starts_few_timers() -> None:
    """A thousand messages in ten intervals start about ten timers, not a thousand."""
    clock, barks = Clock(), Barks()
    dog = Watchdog(clock.later, lambda: clock.now, barks.bark)
    for _ in range(1000):
        dog.wait(3)
        clock.advance(0.03)
        dog.heard()
    assert barks.count == 0
    assert clock.started < 30


def test_the_watchdog_becomes_stricter_at_once() -> None:
    clock, barks = Clock(), Barks()
    dog = Watchdog(clock.later, lambda: clock.now, barks.bark)
    dog.wait(30)
    dog.heard()
    dog.wait(1)
    clock.advance(1.5)
    assert barks.count == 1


def test_a_watchdog_does_not_keep_its_owner() -> None:
    clock, barks = Clock(), Barks()
    dog = Watchdog(clock.later, lambda: clock.now, barks.bark)
    dog.wait(1)
    del barks
    clock.advance(5)
    dog.wait(1)
    dog.stop()
    assert clock.timers == []
