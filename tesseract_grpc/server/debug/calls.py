"""Records of calls: how each ended, in the hub that it was about."""

from __future__ import annotations

import time
from collections.abc import Mapping

from google.protobuf.message import Message

from tesseract_grpc.server.call import Call
from tesseract_grpc.server.debug.mode import DebugMode
from tesseract_grpc.server.debug.recorder import Recorder
from tesseract_grpc.server.debug.subject import Subject, subject_of
from tesseract_grpc.server.errors import Refusal, ServerReason
from tesseract_grpc.server.logs import logger, trace_of

_SILENT = frozenset({"GetDebugSettings", "ListDebugRecords", "WatchDebugRecords", "ClearDebugRecords"})
"""Calls of those who look at records, which would else look at themselves."""


class CallRecords:
    """What the guards of all calls tell. They look at `on`, and at no more while no hub is debugged."""

    def __init__(self) -> None:
        self.on = False
        """Whether a hub has its debug mode on."""
        self._modes: Mapping[str, DebugMode] = {}

    def of(self, modes: Mapping[str, DebugMode]) -> None:
        """The debug modes of the hubs, by id."""
        self._modes = modes
        for mode in modes.values():
            mode.on_change = self._look
        self._look()

    def _look(self) -> None:
        self.on = any(mode.recorder is not None for mode in self._modes.values())

    def begun(self, call: Call, request: Message) -> None:
        """A call has begun, while somebody debugs."""
        call.subject, call.begun = subject_of(request), time.perf_counter()

    def ended(self, call: Call, code: str) -> None:
        """A call has ended well, or was broken off by its client."""
        name = call.method.rpartition("/")[2]
        if call.subject is None or name in _SILENT:
            return
        mode = self._modes.get(call.subject.hub)
        if mode is not None and mode.recorder is not None:
            mode.recorder.called(name, call.subject, time.perf_counter() - call.begun, code)

    def refused(self, call: Call, subject: Subject, refusal: Refusal, error: Exception) -> None:
        """A call, or one request of it, has been refused; where that is a bug, `error` is what has happened."""
        mode = self._modes.get(subject.hub)
        if mode is None or mode.recorder is None:
            return
        try:
            self._refused(mode.recorder, call, subject, refusal, error)
        except Exception as bug:  # whoever was refused must hear of that, and of nothing else
            logger().error("debug.not_recorded", error=type(bug).__name__, trace=trace_of(bug))

    def _refused(self, recorder: Recorder, call: Call, subject: Subject, refusal: Refusal, error: Exception) -> None:
        name = call.method.rpartition("/")[2]
        if refusal.reason is ServerReason.INTERNAL:
            recorder.failed(name, subject, error, refusal.metadata.get("error_id", ""), trace_of(error))
        else:
            recorder.refused(name, subject, refusal, time.perf_counter() - call.begun)
