"""The validator of promise 8 accepts what fits together, and finds what does not."""

from __future__ import annotations

import pytest

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.testing import Book, ContractViolation, validate_read_your_writes


def wrote(version: int, durability: pb.Durability.ValueType = pb.DURABILITY_FSYNC) -> pb.WriteResponse:
    return pb.WriteResponse(version=version, durability=durability)


def test_what_fits_together_is_accepted() -> None:
    book = Book()
    book.wrote(wrote(3))
    book.read(3, 3)
    book.read(0, 2)
    book.saw(4)
    book.wrote(wrote(9, pb.DURABILITY_MEMORY))
    book.restarted(4)
    book.wrote(wrote(5))
    book.restarted(5)
    validate_read_your_writes(book)


def test_a_read_that_is_too_old() -> None:
    book = Book()
    book.wrote(wrote(3))
    book.read(3, 2)
    with pytest.raises(ContractViolation, match="from version 3 on was answered at 2"):
        validate_read_your_writes(book)


def test_an_acknowledgement_that_promises_nothing() -> None:
    book = Book()
    book.wrote(wrote(3, pb.DURABILITY_UNSPECIFIED))
    with pytest.raises(ContractViolation, match="how durable"):
        validate_read_your_writes(book)


@pytest.mark.parametrize("told", ["wrote", "saw", "read"])
def test_what_was_told_and_is_gone_after_a_restart(told: str) -> None:
    book = Book()
    if told == "wrote":
        book.wrote(wrote(7, pb.DURABILITY_NORMAL))
    elif told == "saw":
        book.saw(7)
    else:
        book.read(0, 7)
    book.restarted(6)
    with pytest.raises(ContractViolation, match="at 6 after a restart, but version 7"):
        validate_read_your_writes(book)
