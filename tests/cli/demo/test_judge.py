"""The judge: what DuckDB answers is what was written, and a wrong board is noticed."""

import importlib.util
from datetime import date
from typing import Any

import pytest

from tesseract_grpc.cli.demo.boards import TABLES, make_boards
from tesseract_grpc.cli.demo.judge import DIMENSIONS, Judge
from tesseract_grpc.cli.demo.replay import DayStart, Replay
from tesseract_grpc.cli.demo.source import Source
from tesseract_grpc.cli.demo.watching import compare


@pytest.fixture(scope="module")
def judged(source: Source, flights: Any) -> tuple[dict[int, dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """The rows of the board after a day and a half, kept by plain Python, and the answers by board."""
    tables = {name: source.read(name).select([each["name"] for each in TABLES[name]]) for name in DIMENSIONS}
    judge, rows = Judge(tables), dict[int, dict[str, Any]]()
    steps = list(Replay(flights, date(2013, 3, 8), days=2).steps())
    for step in steps[: len(steps) * 3 // 4]:
        judge.note(step)
        if isinstance(step, DayStart):
            gone = [key for key, row in rows.items() if row["status"] in {"arrived", "diverted", "cancelled"}]
            for key in gone:
                del rows[key]
            rows |= {row["flight_id"]: dict(row) for row in step.rows}
        else:
            rows[step.row["flight_id"]].update(step.row)
    boards = make_boards(10)
    return rows, dict(zip([board.id for board in boards], judge.answers(boards), strict=True))


def test_flights_are_answered_as_they_were_written(judged: Any) -> None:
    rows, answers = judged
    flying = [row["flight_id"] for row in answers["in-the-air"]]
    assert set(flying) == {key for key, row in rows.items() if row["status"] == "departed"}
    assert flying
    for row in answers["in-the-air"]:
        assert row == dict.fromkeys(row) | rows[row["flight_id"]]


def test_groups_are_answered_as_plain_python_counts(judged: Any) -> None:
    rows, answers = judged
    finished = [row for row in rows.values() if row["status"] in {"arrived", "diverted", "cancelled"}]
    for answer in answers["on-time"]:
        mine = [row for row in finished if row["origin"] == answer["origin"]]
        on_time = sum(row["status"] == "arrived" and row["arr_delay"] < 15 for row in mine)
        assert (answer["finished"], answer["on_time"]) == (len(mine), on_time)
        assert answer["share"] == on_time / len(mine)
    assert [answer["airport"] for answer in answers["on-time"]].count(None) == 0
    worst = answers["worst-planes"][0]
    mine = [row["arr_delay"] for row in rows.values() if row["tailnum"] == worst["tailnum"]]
    assert worst["total_delay"] == sum(delay for delay in mine if delay is not None)
    assert {answer["airline"] for answer in answers["carrier-delays"]} >= {"United Air Lines Inc.", "JetBlue Airways"}
    assert any(answer["plane"] is None for answer in answers["worst-planes"]), "not every plane is registered"


def test_a_board_that_differs_is_noticed_with_whose_rows_they_are_not(judged: Any) -> None:
    _, answers = judged
    wrong = [row | {"share": 0.5} for row in answers["on-time"]]
    (found,) = compare("on-time", wrong, answers["on-time"], 3, 3, "DuckDB")
    assert found.startswith("on-time: position 0 is")
    assert "DuckDB says" in found


def test_without_duckdb_there_is_no_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Judge.find({}) is not None
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert Judge.find({}) is None
