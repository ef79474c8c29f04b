"""Plans on the wire: how a query is evaluated and maintained."""

from __future__ import annotations

from tesseract_grpc.engine.live.explain import PlanStep
from tesseract_grpc.server.codec import twin

MAX_DEPTH = 80
"""The deepest plan that is told whole: protobuf reads at most 100 messages deep."""


def encode_plan(step: PlanStep, depth: int = 1) -> twin.session_service.PlanStep:
    """A step with the steps that it reads, down to the deepest that can be told."""
    return twin.session_service.PlanStep(
        kind=step.kind,
        description=step.description,
        row_count=step.row_count,
        rows_examined=step.rows_examined,
        index=step.index,
        routing_key=step.routing_key,
        shared_with=step.shared_with,
        shared_count=step.shared_count,
        hydrate_us=step.hydrate_us,
        apply_us=step.apply_us,
        commits=step.commits,
        rows_offered=step.rows_offered,
        filter_order=[
            twin.session_service.FilterPart(condition=part.condition, how=part.how, why=part.why)
            for part in step.filter_order
        ],
        inputs=[encode_plan(below, depth + 1) for below in step.inputs] if depth < MAX_DEPTH else (),
    )
