"""What writers send.

Half of the commits move money between accounts, which together always hold the same; half are the random writes of
tests/world to its tables. Every commit also writes the line of its writer in `ledger`: so each changes something and
takes a version, each is of two tables, and whether the last one of a writer was made can be looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tests.oracle.asks import Definition, Field, Put
from tests.server import wire_asks
from tests.world import domain
from tests.world import writes as random_writes

ACCOUNTS = Definition(
    "accounts",
    (
        Field("id", "int64", key=True),
        Field("balance", "int64", required=True, default=0),
        Field("moves", "int64", default=0),
        Field("s", "string"),
    ),
)
LEDGER = Definition(
    "ledger",
    (
        Field("writer", "int64", key=True),
        Field("sequence", "int64", required=True),
        Field("s", "string"),
    ),
)
TABLES = (*domain.TABLES, ACCOUNTS, LEDGER)
BY_NAME = {table.name: table for table in TABLES}

HOLDERS, BALANCE = 12, 12_000
OPENING = Put("accounts", "insert", tuple({"id": at, "balance": BALANCE // HOLDERS} for at in range(HOLDERS)))


def commit(rng: Random, held: Mapping[str, Mapping[tuple[object, ...], int]], writer: int, sequence: int) -> list[Put]:
    """What one commit does. `held` are the rows that there are, as far as the writer knows."""
    line = Put("ledger", "upsert", ({"writer": writer, "sequence": sequence, "s": rng.choice("abc")},))
    if rng.random() < 0.5:
        return [transfer(rng), line]
    puts = random_writes.commit(rng, list(domain.TABLES), held)
    puts.insert(rng.randint(0, len(puts)), line)
    return puts


def transfer(rng: Random) -> Put:
    """Some money, from one to another, or from one to several."""
    giver, *takers = rng.sample(range(HOLDERS), rng.choice((2, 2, 3, 4)))
    amount = rng.randint(1, 9)
    rows = [{"id": giver, "balance": -amount * len(takers), "moves": 1}]
    rows += [{"id": taker, "balance": amount, "moves": 1} for taker in takers]
    return Put("accounts", "increment", tuple(rows))


def request_of(puts: list[Put], request_id: str) -> pb.WriteRequest:
    operations = [wire_asks.operation_of(put, BY_NAME[put.table]) for put in puts]
    return pb.WriteRequest(operations=operations, request_id=request_id)
