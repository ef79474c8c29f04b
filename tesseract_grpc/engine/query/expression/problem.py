"""What is wrong with an expression, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason, Violation

MAX_PROBLEMS = 50
"""The most problems that one refusal lists."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in an expression. Lines and columns count from 1."""

    message: str
    line: int
    column: int
    hint: str = ""
    reason: Reason = Reason.BAD_EXPRESSION

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"line {self.line}, column {self.column}: {self.message}{hint}"


class BadExpression(InvalidRequest):
    """An expression that can never be evaluated, with everything that is wrong with it, in the order of the text."""

    def __init__(self, problems: Iterable[Problem], field: str = "") -> None:
        ordered = sorted(problems, key=lambda problem: (problem.line, problem.column))
        self.problems: tuple[Problem, ...] = tuple(ordered[:MAX_PROBLEMS])
        first = self.problems[0]
        more = f"; and {len(ordered) - 1} more" if len(ordered) > 1 else ""
        super().__init__(
            first.reason,
            f"line {first.line}, column {first.column}: {first.message}{more}",
            field=field,
            hint=first.hint,
            violations=[Violation(field, each.reason, str(each)) for each in self.problems],
        )
        self.metadata = {"line": str(first.line), "column": str(first.column)}
