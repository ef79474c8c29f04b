"""How a query is evaluated and maintained, as a server tells it."""

from __future__ import annotations

from dataclasses import dataclass

from tesseract_grpc._proto.tesseract.v1 import session_service_pb2


@dataclass(frozen=True, slots=True)
class FilterPart:
    """A part of a filter; all of them must hold."""

    condition: str
    how: str
    """index, column, list, texts, branches or expression."""
    why: str
    """Why it is tested at its place."""


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step of a plan. Times are in microseconds."""

    kind: str
    """table, filter, compute, lookup, join, union, group, window or order."""
    description: str
    row_count: int
    """The rows that it holds or lets through."""
    rows_examined: int
    """The rows that were looked at to evaluate it first."""
    index: str
    """The index that helped; empty when all rows were looked at."""
    routing_key: str
    """The condition by which commits find it; empty when it is offered every one."""
    shared_with: tuple[str, ...]
    """Sessions that share it, at most 100 of them."""
    shared_count: int
    hydrate_us: int
    apply_us: int
    commits: int
    """The commits that it was offered since."""
    rows_offered: int
    inputs: tuple[PlanStep, ...]
    """The steps that it reads."""
    filter_order: tuple[FilterPart, ...] = ()
    """Of a filter: its parts, in the order in which they are tested."""

    @classmethod
    def of(cls, step: session_service_pb2.PlanStep) -> PlanStep:
        """From the wire."""
        return cls(
            step.kind,
            step.description,
            step.row_count,
            step.rows_examined,
            step.index,
            step.routing_key,
            tuple(step.shared_with),
            step.shared_count,
            step.hydrate_us,
            step.apply_us,
            step.commits,
            step.rows_offered,
            tuple(cls.of(below) for below in step.inputs),
            tuple(FilterPart(part.condition, part.how, part.why) for part in step.filter_order),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan: its last step, with those that it reads below it. `str(plan)` is a line a step."""

    step: PlanStep
    version: int
    """The version that the counts are of."""
    text: str

    def __str__(self) -> str:
        return self.text


def plan_of(response: session_service_pb2.ExplainSessionResponse) -> Plan:
    """What the server said, in this client's words."""
    return Plan(PlanStep.of(response.plan), response.version, response.text)
