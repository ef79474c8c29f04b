"""What a validator raises."""

from __future__ import annotations


class ContractViolation(AssertionError):
    """A stream broke a promise."""

    def __init__(self, promise: str, index: int, message: str) -> None:
        super().__init__(f"promise {promise} is broken at response {index}: {message}")
        self.promise = promise
        self.index = index
