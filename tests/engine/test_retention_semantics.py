"""The table of retentions in docs/SEMANTICS.md is executed: every row, in one commit a step."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.retention import Retention
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.query import Query

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "SEMANTICS.md"
ROW = re.compile(r"\| `(max_[^`]+)` \| `([^`]+)` \| (?:`([^`]+)` )?\|")
SECOND = 1_000_000
SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("at", DataType.TIMESTAMP),
        ColumnSchema("n", DataType.INT64),
    )
)
ROWS = ROW.findall(DOCUMENT.read_text())


def retention_of(text: str) -> Retention:
    """`max_records 2 by n, max_age 10 of at, interval 10`."""
    words: dict[str, int | str] = {}
    for part in text.split(", "):
        name, number, *more = part.split()
        words[name] = int(number)
        if more:
            words[more[0]] = more[1]
    return Retention(
        max_age_us=SECOND * int(words.get("max_age", 0)),
        age_column=str(words.get("of", "")),
        max_records=int(words.get("max_records", 0)),
        order_column=str(words.get("by", "")),
        interval_us=SECOND * int(words.get("interval", 0)),
    )


def play(hub: Hub, step: str) -> None:
    """`add 1 at 5 n 7`, `set 1 at 6`, `remove 1`, `tick 9`."""
    what, number, *more = step.split()
    if what == "tick":
        hub.tick(int(number) * SECOND)
        return
    row: dict[str, Scalar] = {"id": int(number)}
    for name, value in zip(more[::2], more[1::2], strict=True):
        row[name] = int(value) * (SECOND if name == "at" else 1)
    kinds = {"add": WriteKind.INSERT, "set": WriteKind.UPDATE, "remove": WriteKind.DELETE}
    hub.commit([Write("t", kinds[what], Batch.of_rows(SCHEMA.columns, [row]))])


@pytest.mark.parametrize(("retention", "steps", "left"), ROWS)
def test_a_row_of_the_document(retention: str, steps: str, left: str) -> None:
    hub = Hub(epoch="e")
    hub.create_table("t", SCHEMA, retention=retention_of(retention))
    for step in steps.split(", "):
        play(hub, step)
    assert ", ".join(str(row["id"]) for row in hub.query(Query("t")).rows.to_rows()) == left
    hub.check()


def test_the_table_is_there() -> None:
    assert len(ROWS) >= 23
