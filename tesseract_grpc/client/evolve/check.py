"""A dry run: what of a plan the server can judge now, although nothing of it has been done.

A list of alterations is judged as a whole, each seeing those before it. So all alterations of one table up to the one
that is asked about go to the server, and it looks at the rows that there are. After a function nobody knows what there
is, and a table that was made or renamed in between is not there to be asked.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2

from ..core.alterations import Message, result_of
from .report import PlannedStep
from .step import Alter, Call, CreateTable, RemoveTable, RenameTable, Step, SwapTables


class Checks:
    """The questions about the steps of a plan, asked in their order."""

    def __init__(self, hub: str) -> None:
        self._hub = hub
        self._before: dict[str, list[Message]] = defaultdict(list)
        self._strange: set[str] = set()
        self._opaque = False

    def question(self, step: Step) -> tuple[str, Any] | None:
        """The request that has the step judged; None when it cannot be."""
        if isinstance(step, Call):
            self._opaque = True
            return None
        names = _names_of(step)
        if self._opaque or self._strange & set(names):
            self._strange.update(names)
            return None
        if isinstance(step, Alter):
            before = self._before[step.table]
            before.extend(step.messages)
            method, request = Alter(step.table, tuple(before)).call(self._hub, "")
            request.validate_only = True
            return method, request
        self._strange.update(names)
        if not isinstance(step, CreateTable):
            return None
        method, request = step.call(self._hub, "")
        request.validate_only = True
        return method, request

    def answer(self, step: Step, response: Any) -> PlannedStep:
        """What the server says of it."""
        if not isinstance(response, table_service_pb2.AlterTableResponse):
            return PlannedStep(step.describe(), True)
        result = result_of(response)
        return PlannedStep(step.describe(), True, "", result.rewritten_rows, result.ended_sessions)


def _names_of(step: Alter | CreateTable | RemoveTable | RenameTable | SwapTables) -> tuple[str, ...]:
    match step:
        case Alter():
            return (step.table,)
        case CreateTable() | RemoveTable():
            return (step.id,)
        case RenameTable():
            return (step.id, step.new_id)
        case SwapTables():
            return (step.one, step.other)
