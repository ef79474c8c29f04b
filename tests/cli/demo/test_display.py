"""The boards as they look: on a terminal of any size, and as lines."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from tesseract_grpc.cli.demo.boards import BOARD_TABLE, Board, make_boards
from tesseract_grpc.cli.demo.display import PAGE_SECONDS, BoardView, Frame, Lines, Screen
from tesseract_grpc.cli.demo.summary import Summary

MOMENT = datetime(2013, 3, 8, 14, 5, tzinfo=UTC)


def flight(number: int, **more: Any) -> dict[str, Any]:
    """A complete row of the board."""
    row: dict[str, Any] = dict.fromkeys(column["name"] for column in BOARD_TABLE)
    return row | {
        "flight_id": number,
        "carrier": "UA",
        "flight": number,
        "origin": "EWR",
        "dest": "ORD",
        "sched_dep": MOMENT,
        "sched_arr": MOMENT,
        "status": "departed",
        **more,
    }


def frame(rows: int, elapsed: float = 2.0) -> Frame:
    """A moment with this many rows on every board."""
    views = [BoardView(board, [row(board, n) for n in range(rows)], rows) for board in make_boards(10)]
    return Frame(at=MOMENT, boards=views, commits=1234, deltas=5678, elapsed=elapsed)


def row(board: Board, n: int) -> dict[str, Any]:
    """A row of the board: a flight, or one of its groups."""
    if board.flights:
        return flight(100 + n, dep_delay=90 + n)
    groups: dict[str, dict[str, Any]] = {
        "carrier-delays": {"airline": "United Air Lines Inc.", "hour": MOMENT, "departed": n, "delay": 12.345},
        "on-time": {"origin": "JFK", "airport": "Kennedy", "finished": 8, "on_time": 7, "share": 0.875},
        "worst-planes": {"tailnum": "N1", "plane": None, "built": None, "flown": n, "total_delay": 120 + n},
    }
    return groups[board.id]


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (40, 10)])
@pytest.mark.parametrize("rows", [0, 3, 50])
def test_the_screen_fits_the_terminal(size: tuple[int, int], rows: int) -> None:
    out = io.StringIO()
    console = Console(file=out, width=size[0], height=size[1], force_terminal=True, color_system=None)
    with Screen(console) as screen:
        screen.say("hello")
        screen.show(frame(rows))
    lines = out.getvalue().splitlines()
    assert lines[0].rstrip() == "hello"
    assert "Fri 08 Mar 2013  09:05" in out.getvalue(), "New York's time"
    if rows and size[0] >= 80:
        assert "Worst departure delays today" in out.getvalue()
        assert "UA" in out.getvalue()
        assert "09:05" in out.getvalue()


def drawn(width: int, height: int, elapsed: float) -> str:
    """What the screen of a terminal of this size shows at some moment."""
    out = io.StringIO()
    with Screen(Console(file=out, width=width, height=height, force_terminal=True, color_system=None)) as screen:
        screen.show(frame(20, elapsed))
    return out.getvalue()


def test_a_large_screen_shows_all_boards_and_a_small_one_turns_pages() -> None:
    titles = [board.title for board in make_boards(10)]
    assert all(title in drawn(200, 60, 0.0) for title in titles)
    pages = [{title for title in titles if title in drawn(80, 24, page * PAGE_SECONDS)} for page in range(4)]
    assert [len(page) for page in pages] == [3, 3, 1, 3]
    assert set.union(*pages) == set(titles)
    assert pages[3] == pages[0]


def test_figures_of_groups_are_shown_as_people_read_them() -> None:
    text = drawn(200, 60, 0.0)
    assert "+12.3" in text
    assert "87.5%" in text
    assert "12.345" not in text


def test_lines_show_the_first_row_of_each_board(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines() as lines:
        lines.show(frame(2))
        lines.show(frame(0))
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("2013-03-08 09:05  1234 commits 5678 deltas  worst-delays: 2 (UA100 EWR-ORD +90 min)")
    assert "carrier-delays: 2 (United Air Lines Inc. +12.3 min)  on-time: 2 (JFK 88%)" in first
    assert "in-the-air: 0" in second


def test_what_a_board_shows_are_columns_of_its_rows() -> None:
    names = {column["name"] for column in BOARD_TABLE}
    for board in make_boards(10):
        assert set(board.shown) <= set(row(board, 0)) <= names or not board.flights
        assert set(board.shown) <= set(row(board, 0))
        assert set(board.formats) <= set(board.shown)


def summary(**more: Any) -> Summary:
    """A summary of a run that went well."""
    values: dict[str, Any] = {
        "tables": 5,
        "rows_loaded": 367_687,
        "load_seconds": 1.5,
        "rows_per_second": 245_124,
        "days": 3.0,
        "speed": 8640.0,
        "commits": 5_000,
        "replay_seconds": 30.0,
        "commits_per_second": 166.7,
        "deltas": 9_000,
        "deltas_per_second": 300.0,
        "latency_p50_ms": 1.25,
        "latency_p99_ms": 4.5,
        "latency_samples": 8_000,
        "sessions": 4,
        "mirrors": "equal",
        "duckdb": "equal",
        "differences": (),
        "total_seconds": 40.0,
    }
    return Summary(**values | more)


def test_the_summary_for_people() -> None:
    text = "\n".join(summary().lines())
    assert "mirrors: equal" in text
    assert "duckdb:  equal" in text
    assert "not installed" in "\n".join(summary(duckdb="not installed").lines())
    assert "p50 1.2 ms, p99 4.5 ms" in text
    assert "367,687 rows" in text
    assert "8,640 times as fast as life" in text
    assert "as fast as it goes" in "\n".join(summary(speed=1e9).lines())
    assert "no samples" in "\n".join(summary(latency_p50_ms=None).lines())


def test_a_difference_is_said_and_is_not_equal() -> None:
    different = summary(mirrors="different", differences=("worst-delays: row 3",))
    assert not different.equal
    assert "  worst-delays: row 3" in different.lines()
    assert summary().equal
