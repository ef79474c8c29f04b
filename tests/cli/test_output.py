"""Rows as tables, JSON lines and CSV: every kind of value, and back again for the two that programs read."""

import csv
import io
import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from tesseract_grpc.cli.cell import as_csv, as_json, as_text, json_line
from tesseract_grpc.cli.output import Format, print_rows

MOMENT = datetime(2013, 3, 8, 14, 5, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"id": 1, "name": "Ada, «Countess»\nof Lovelace", "at": MOMENT, "x": 1.5, "ok": True},
    {"id": 2**63 - 1, "name": None, "at": None, "x": None, "ok": None},
]
NAMES = ["id", "name", "at", "x", "ok"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "·"),
        (True, "true"),
        (7, "7"),
        (0.1, "0.1"),
        (1e17, "1e+17"),
        (math.nan, "nan"),
        (MOMENT, "2013-03-08T14:05:00Z"),
        (MOMENT.replace(microsecond=1), "2013-03-08T14:05:00.000001Z"),
        (MOMENT.astimezone(timezone(timedelta(hours=-5))), "2013-03-08T14:05:00Z"),
        (np.datetime64(-(10**17), "us"), "-1199-02-15T14:13:20.000000Z"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        ("", ""),
    ],
)
def test_every_value_has_a_text(value: object, text: str) -> None:
    assert as_text(value) == text


def test_a_null_is_an_empty_csv_field() -> None:
    assert as_csv(None) == ""
    assert as_csv(False) == "false"


def test_json_holds_what_json_lacks_as_texts() -> None:
    values = {"x": [math.nan, math.inf, -math.inf], "at": MOMENT}
    assert as_json(values) == {"x": ["NaN", "Infinity", "-Infinity"], "at": "2013-03-08T14:05:00Z"}
    assert json.loads(json_line(values)) == as_json(values)


def test_json_lines_and_csv_can_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(NAMES, ROWS, Format.JSON)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [as_json(row) for row in ROWS]
    print_rows(NAMES, ROWS, Format.CSV)
    header, first, second = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == NAMES
    assert first == ["1", ROWS[0]["name"], "2013-03-08T14:05:00Z", "1.5", "true"]
    assert second == [str(2**63 - 1), "", "", "", ""]


def test_a_table_into_a_file_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(["id", "name"], [{"id": 1, "name": "x" * 500}], Format.TABLE)
    assert "x" * 500 in capsys.readouterr().out


def test_markup_in_a_value_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(["[bold]name"], [{"[bold]name": "[red]x[/red]"}], Format.TABLE)
    out = capsys.readouterr().out
    assert "[bold]name" in out
    assert "[red]x[/red]" in out
