"""What a server says about an expression."""

from __future__ import annotations

from dataclasses import dataclass

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2

from .datatype import name_of_type


@dataclass(frozen=True, slots=True)
class ExpressionProblem:
    """One mistake in an expression; line and column count from 1."""

    message: str
    line: int
    column: int
    hint: str
    reason: str


@dataclass(frozen=True, slots=True)
class ExpressionCheck:
    """The type of an expression and the columns it reads, or what is wrong with it."""

    type: str
    """The type of its value as `create_tesseract` names it; empty for the literal null, and when there are problems."""
    columns: tuple[str, ...]
    uses_now: bool
    """Whether its value changes with time by itself."""
    problems: tuple[ExpressionProblem, ...]

    def __bool__(self) -> bool:
        """Whether the expression can be used."""
        return not self.problems


def expression_check(message: table_service_pb2.ValidateExpressionResponse) -> ExpressionCheck:
    """What the server said, in this client's words."""
    return ExpressionCheck(
        name_of_type(message.type) if message.type else "",
        tuple(message.columns),
        message.uses_now,
        tuple(ExpressionProblem(p.message, p.line, p.column, p.hint, p.reason) for p in message.problems),
    )
