"""The commands that look at a hub: diagnose, performance-test, cache."""

from __future__ import annotations

import json
from pathlib import Path

from tesseract_grpc.client import EventHorizon, Tesseract
from tests.cli.conftest import Command


def test_a_table_is_diagnosed_in_lines(command: Command, users: Tesseract) -> None:
    result = command.invoke("diagnose", users.name)
    assert result.exit_code == 0, result.output
    assert f"table {users.name}: 4 rows" in result.output
    assert "role" in result.output and "reader ×3" in result.output


def test_a_table_is_diagnosed_for_programs(command: Command, users: Tesseract) -> None:
    result = command.invoke("diagnose", users.name, "--format", "json", "--top", "1", "--samples", "0")
    found = json.loads(result.output)
    assert (found["table"], found["row_count"]) == (users.name, 4)
    assert [column["name"] for column in found["columns"]] == ["id", "name", "age", "role"]
    assert all(len(column["top_values"]) <= 1 and column["samples"] == [] for column in found["columns"])


def test_a_page_goes_to_a_file(command: Command, users: Tesseract, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = command.invoke("diagnose", users.name, "--format", "html", "--output", str(page))
    assert result.exit_code == 0 and f"wrote {page}" in result.output
    assert page.read_text().startswith("<!doctype html>") and "Grace, H." in page.read_text()


def test_a_hub_is_diagnosed(command: Command, users: Tesseract) -> None:
    result = command.invoke("diagnose")
    assert result.exit_code == 0
    assert "hub default:" in result.output and users.name in result.output and "hit rate" in result.output
    assert users.name in {
        table["table"] for table in json.loads(command.invoke("diagnose", "--format", "json").output)["tables"]
    }


def test_a_table_that_is_not_there(command: Command) -> None:
    for name in ("diagnose", "performance-test"):
        result = command.invoke(name, "nothing")
        assert result.exit_code == 1 and "nothing" in result.output


def test_performance_is_measured(command: Command, users: Tesseract) -> None:
    result = command.invoke("performance-test", users.name, "--operations", "5")
    assert result.exit_code == 0, result.output
    assert "private copy of 4 rows" in result.output and "GetRows" in result.output
    found = json.loads(command.invoke("performance-test", users.name, "--operations", "3", "--json").output)
    assert [each["operations"] for each in found["results"]] == [3] * len(found["results"])
    assert users.count() == 4


def test_caches_are_shown_and_cleared(command: Command, hub: EventHorizon, users: Tesseract) -> None:
    hub.clear_cache()
    for _ in range(3):
        hub.query(table=users, limit=2)
    rows = {row["cache"]: row for row in map(json.loads, command.invoke("cache", "--json").output.splitlines())}
    assert (rows["queries"]["hits"], rows["queries"]["misses"]) == (2, 1)
    shown = command.invoke("cache")
    assert "66.7%" in shown.output and "expressions" in shown.output
    cleared = command.invoke("cache", "--clear")
    assert "forgot" in cleared.output and "66.7%" not in cleared.output
