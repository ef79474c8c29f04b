"""Connect, create a table, write, read your own writes, be refused. Usage: python basic.py [localhost:50051]"""

import json
import math
import sys
from datetime import UTC, datetime
from typing import Any

from tesseract_grpc.client import EventHorizon, TesseractError, WriteBatch

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "name", "type": "string"},
    {"name": "price", "type": "float64"},
    {"name": "open", "type": "bool"},
    {"name": "at", "type": "timestamp"},
    {"name": "doc", "type": "json"},
    {"name": "status", "enum": ["ready", "shipped"]},
]
ROWS = [
    {
        "id": 1,
        "name": "Ada",
        "price": 12.5,
        "open": True,
        "at": datetime(2026, 11, 23, 4, 15, 0, 1, UTC),
        "doc": {"size": 2, "tags": ["new", "red"]},
        "status": "ready",
    },
    {
        "id": 2,
        "name": "",  # empty is not null
        "price": math.nan,
        "open": False,
        "at": datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
        "doc": None,
        "status": "shipped",
    },
    {"id": 2**53 + 1, "name": "🚀 déjà vu", "price": math.inf, "doc": {}},  # what is not mentioned is null
    {"id": -(2**63), "price": -math.inf, "open": True, "doc": [1, None]},
]


def shown(value: object) -> str:
    """A value as all clients print it."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case float():
            return "NaN" if math.isnan(value) else f"{value:.2f}"
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case dict() | list():
            return json.dumps(value, separators=(",", ":"))
    return str(value)


def line(row: dict[str, object]) -> str:
    """A row: texts in quotes, so that the empty one shows."""
    return "  " + " ".join(f'{k}="{v}"' if k == "name" and v is not None else f"{k}={shown(v)}" for k, v in row.items())


def refusal(error: TesseractError) -> str:
    """An error, for a program that switches on it: the status code and the reason."""
    return f"refused: {error.code.name if error.code else 'by the client'} {error.reason}"


def main(address: str) -> None:
    with EventHorizon.connect(address) as hub:
        hub.remove_tesseract("basic_orders", allow_missing=True)
        orders = hub.create_tesseract("basic_orders", columns=COLUMNS)
        print("columns:", ", ".join(f"{column['name']} {column['type']}" for column in orders.columns))

        written = orders.add(ROWS)
        print("wrote 4 rows")
        found = hub.query(table=orders, sort=[{"field": "id"}], min_version=written.version)
        print("read my own writes:", shown(found.version >= written.version))
        for row in found:
            print(line(row))

        commit = WriteBatch().update(orders, {"id": 1, "price": 13.75}).remove(orders, [2])
        version = hub.write(commit).version
        print("updated 1 and deleted 2 in one commit")
        for row in hub.query(table=orders, filter="price > 13", sort=[{"field": "id"}], min_version=version):
            print(line(row))
        keys = [row["id"] for row in orders.get_many([1, 2])]
        print("of the keys 1 and 2 there are:", *keys)

        try:
            orders.add([{"id": 5}, {"id": 1}])
        except TesseractError as error:
            first = error.row_errors[0]
            print(f"{refusal(error)}, row {first.row}, column {first.column}")
        try:
            hub.query(table=orders, filter="prize > 13")
        except TesseractError as error:
            print(refusal(error))
        try:
            hub.get_tesseract("basic_missing")
        except TesseractError as error:
            print(refusal(error))
        print("rows after the refusals:", len(orders.get_data()))
        hub.remove_tesseract("basic_orders")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "localhost:50051")
