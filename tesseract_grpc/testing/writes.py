"""Promise 8 over what clients were told: writes can be read by who made them, and what was seen stays.

Streams cannot show it, for it is about writes, the reads after them, and restarts. A `Book` takes what clients were
told, in the order in which they were, and `validate_read_your_writes` says whether all of it fits together.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2
from tesseract_grpc.testing.violation import ContractViolation

_PROMISE = "8 (read your writes)"
_SURVIVES = (table_service_pb2.DURABILITY_NORMAL, table_service_pb2.DURABILITY_FSYNC)
"""What survives the end of the process."""


@dataclass(slots=True)
class Book:
    """What clients of one hub were told, in order. An epoch is one line of versions."""

    told: list[tuple[str, int, int]] = field(default_factory=list)

    def wrote(self, response: table_service_pb2.WriteResponse) -> None:
        """A write was acknowledged."""
        self.told.append(("wrote", response.version, response.durability))

    def read(self, min_version: int, version: int) -> None:
        """A read that asked for at least `min_version` was answered at `version`."""
        self.told.append(("read", min_version, version))

    def saw(self, version: int) -> None:
        """A watch was told about everything up to a version."""
        self.told.append(("saw", version, 0))

    def restarted(self, version: int) -> None:
        """The server was killed, and said after its start that the hub is at `version`, in the same epoch."""
        self.told.append(("restarted", version, 0))


def validate_read_your_writes(book: Book) -> None:
    """Raises ContractViolation where a read, a watch or a restart knows less than it must.

    A read is never older than it asked for; an acknowledgement says how durable it is; and after a restart in the same
    epoch the hub knows every version that was acknowledged as surviving, or that anybody saw.
    """
    known, why = 0, ""
    for index, (what, version, detail) in enumerate(book.told):
        match what:
            case "wrote":
                if detail == table_service_pb2.DURABILITY_UNSPECIFIED:
                    raise ContractViolation(
                        "8 (read your writes)", index, f"the write of version {version} does not say how durable it is"
                    )
                if detail in _SURVIVES and version > known:
                    known, why = version, "was acknowledged"
            case "read":
                if detail < version:
                    raise ContractViolation(
                        "8 (read your writes)", index, f"a read from version {version} on was answered at {detail}"
                    )
                if detail > known:
                    known, why = detail, "was read"
            case "saw":
                if version > known:
                    known, why = version, "was seen"
            case _:
                if version < known:
                    message = f"the hub is at {version} after a restart, but version {known} {why} before"
                    raise ContractViolation(_PROMISE, index, message)
