"""The guide of the ancestor, "Performance Optimizations" and "Troubleshooting", in Python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc.client import EventHorizon, NotFound, Tesseract
from tesseract_grpc.client import compat as tesseract
from tesseract_grpc.client.compat import NotCarriedOver
from tesseract_grpc.testing.serving import RunningServer
from tests.client.sync.support import eventually

SENSORS: list[dict[str, Any]] = [
    {"name": "id", "primaryKey": True, "type": "number"},
    {"name": "timestamp", "type": "date"},
    {"name": "sensor_id", "type": "string", "secondaryKey": True},
    {"name": "value", "type": "number"},
]
HOURS_24 = 24 * 60 * 60 * 1000


@pytest.fixture
def hub(server: RunningServer) -> Iterator[EventHorizon]:
    with EventHorizon.connect(server.address, timeout=20) as found:
        yield found


@pytest.fixture
def employees(hub: EventHorizon, table_id: str) -> Tesseract:
    table = hub.create_tesseract(
        table_id,
        [
            {"name": "id", "type": "int64", "primary_key": True},
            {"name": "employee_id", "type": "int64", "index": True},
            {"name": "department", "type": "string"},
            {"name": "salary", "type": "number"},
            {"name": "note", "type": "string"},
        ],
    )
    departments = ("Engineering", "Sales", "Marketing")
    table.add(
        [
            {"id": n, "employee_id": 1000 - n, "department": departments[n % 3], "salary": 70_000.0 + 10 * n}
            for n in range(1000)
        ]
    )
    return table


def sensor(id: int, age: timedelta) -> dict[str, Any]:
    return {"id": id, "timestamp": datetime.now(UTC) - age, "sensor_id": f"s{id % 3}", "value": id}


# --- Memory Management


def test_a_table_with_automatic_cleanup(hub: EventHorizon, table_id: str) -> None:
    """class MemoryOptimizedTesseract, createTable(name, config, {autoCleanup: {maxAge, maxRecords, interval}})."""
    cleanup = {"maxAge": HOURS_24, "maxRecords": 100_000, "interval": 600_000}
    table = tesseract.EventHorizon(hub).createTesseract(table_id, {"columns": SENSORS, "autoCleanup": cleanup})
    retention = table.info().retention
    assert retention is not None
    assert dict(retention) == {
        "max_age": 86_400.0,
        "age_column": "timestamp",
        "max_records": 100_000,
        "interval": 600.0,
    }


def test_rows_that_are_too_old_leave(hub: EventHorizon, table_id: str) -> None:
    """performCleanup: maxAge, by created_at or timestamp; those who watch are told that they expired."""
    horizon = tesseract.EventHorizon(hub)
    table = horizon.createTesseract(table_id, {"columns": SENSORS, "autoCleanup": {"maxAge": HOURS_24}})
    removed: list[Any] = []
    table.on("remove", removed.extend)
    table.add([sensor(1, timedelta(hours=30)), sensor(2, timedelta(hours=1)), sensor(3, timedelta(hours=25))])
    eventually(lambda: [row["id"] for row in table.getData()] == [2], 15)
    eventually(lambda: sorted(row["id"] for row in removed) == [1, 3], 15)


def test_rows_that_are_too_many_leave(hub: EventHorizon, table_id: str) -> None:
    """performCleanup: maxRecords, the oldest first; here in the commit that is too much."""
    table = hub.create_tesseract(
        table_id,
        [{"name": "id", "type": "int64", "primary_key": True}, {"name": "timestamp", "type": "date"}],
        retention={"max_records": 2, "order_column": "timestamp"},
    )
    added: list[Any] = []
    table.on("add", added.extend)
    table.add([{key: sensor(n, timedelta(hours=n))[key] for key in ("id", "timestamp")} for n in (1, 5, 3)])
    assert sorted(row["id"] for row in table.get_data()) == [1, 3]
    eventually(lambda: sorted(row["id"] for row in added) == [1, 3])  # nobody saw the other one
    table.add({"id": 4, "timestamp": datetime.now(UTC)})
    assert sorted(row["id"] for row in table.get_data()) == [1, 4]


def test_cleanup_ends(hub: EventHorizon, table_id: str) -> None:
    """destroy(tableName): no cleanup any more."""
    columns = [{"name": "id", "type": "int64", "primary_key": True}]
    table = hub.create_tesseract(table_id, columns, retention={"max_records": 1})
    table.add([{"id": 1}, {"id": 2}])
    assert table.count() == 1
    table.set_retention(None)
    table.add([{"id": 3}, {"id": 4}])
    assert table.count() == 3


def test_options_of_its_memory_need_not_be_set(hub: EventHorizon, table_id: str) -> None:
    """secondaryIndexes: true, compressionThreshold: 50000."""
    horizon = tesseract.EventHorizon(hub)
    for option in ({"compressionThreshold": 50_000}, {"secondaryIndexes": True}):
        with pytest.raises(NotCarriedOver) as caught:
            horizon.createTesseract(table_id, {"columns": SENSORS, **option})
        assert caught.value.hint
    table = horizon.createTesseract(table_id, {"columns": SENSORS})
    assert {column["name"]: column.get("index") for column in table.tesseract.columns}["sensor_id"] == "hash"
    memory = table.info().memory
    assert memory is not None
    assert {column.column for column in memory.columns} == {"id", "timestamp", "sensor_id", "value"}


# --- Query Optimization

FILTER: list[dict[str, Any]] = [
    {"type": "custom", "value": "salary > 75000"},
    {"field": "department", "comparison": "==", "value": "Engineering"},
]


def test_an_optimised_session(employees: Tesseract, hub: EventHorizon) -> None:
    """class QueryOptimizer, createOptimizedSession({id, table, filter, sort}): a session is all it takes."""
    sort = [{"field": "employee_id", "direction": "asc"}]
    config: dict[str, Any] = {"table": employees, "filter": FILTER, "sort": sort}
    session = hub.create_session(id=f"{employees.name}-fast", **config)
    rows = session.get_data()
    assert rows
    assert all(row["salary"] > 75_000 and row["department"] == "Engineering" for row in rows)
    assert [row["employee_id"] for row in rows] == sorted(row["employee_id"] for row in rows)
    assert hub.create_session(id=f"{employees.name}-fast", **config).get_data() == rows  # the same session


def test_filters_are_ordered_by_the_planner(employees: Tesseract, hub: EventHorizon) -> None:
    """optimizeFilters, getFilterScore, optimizeSorting: whatever the order in which they are written."""

    def order_of(filter: Any) -> list[str]:
        step = hub.explain(table=employees, filter=filter).step
        while step.kind != "filter":
            (step,) = step.inputs
        return [part.condition for part in step.filter_order]

    assert order_of(FILTER) == order_of(FILTER[::-1])
    assert len(order_of(FILTER)) == 2
    plan = hub.explain(table=employees, filter=[{"field": "employee_id", "comparison": "==", "value": 5}])
    assert "routed by employee_id" in plan.text  # only commits with this number are looked at


def test_queries_are_cached_until_something_changes(employees: Tesseract, hub: EventHorizon) -> None:
    """queryCache, generateCacheKey, setupCacheInvalidation: a question that was asked is not worked out again."""

    def ask() -> int:
        return len(hub.query(table=employees, filter=FILTER))

    hub.clear_cache()
    first = ask()
    before = hub.cache_stats()["queries"]
    assert [ask(), ask()] == [first, first]
    after = hub.cache_stats()["queries"]
    assert after.hits >= before.hits + 2
    employees.update({"id": 999, "department": "Engineering", "salary": 1})
    assert ask() == first - (1 if 999 % 3 == 0 else 0)
    assert hub.cache_stats()["queries"].misses > after.misses


def test_cache_statistics(employees: Tesseract, hub: EventHorizon) -> None:
    """getCacheStats(): hits, misses, hitRate, cacheSize."""
    hub.clear_cache()
    for _ in range(4):
        hub.query(table=employees, filter=FILTER)
    stats = hub.cache_stats()["queries"]
    assert (stats.hits, stats.misses, stats.entries >= 1) == (3, 1, True)
    assert stats.hit_rate == 0.75


def test_the_cache_is_cleared(employees: Tesseract, hub: EventHorizon) -> None:
    """clearCache()."""
    hub.query(table=employees, filter=FILTER)
    assert hub.clear_cache() >= 1
    stats = hub.cache_stats()["queries"]
    assert (stats.hits, stats.misses, stats.entries) == (0, 0, 0)


# --- Common Issues and Solutions


def test_a_table_is_diagnosed(employees: Tesseract, hub: EventHorizon) -> None:
    """class TesseractTroubleshooter, diagnoseTable(tableName)."""
    diagnosis = hub.diagnose(employees)
    assert (diagnosis.table, diagnosis.row_count) == (employees.name, 1000)
    assert json.loads(diagnosis.to_json())
    with pytest.raises(NotFound):
        hub.diagnose("nobody")


def test_memory_is_measured(employees: Tesseract, hub: EventHorizon) -> None:
    """estimateMemoryUsage, formatBytes: measured, and part by part."""
    memory = hub.diagnose(employees).memory
    assert memory.total == memory.columns + memory.indexes + memory.keys + memory.rows + memory.history
    assert memory.total > 1000 * 8 * 4
    assert any(unit in hub.diagnose(employees).to_text() for unit in ("KiB", "KB", "kB", "MiB", "MB"))


def test_columns_are_analysed(employees: Tesseract, hub: EventHorizon) -> None:
    """analyzeColumns: type, uniqueCount, nullCount, cardinality, sampleValues."""
    columns = {column.name: column for column in hub.diagnose(employees).columns}
    department = columns["department"]
    assert (department.type, department.distinct_count, department.null_count) == ("string", 3, 0)
    assert department.cardinality == 3 / 1000
    assert set(department.samples) <= {"Engineering", "Sales", "Marketing"}
    assert columns["note"].null_count == 1000
    assert columns["salary"].min == 70_000.0


def test_issues_and_recommendations(employees: Tesseract, hub: EventHorizon) -> None:
    """detectPerformanceIssues, generateRecommendations: from how the table is used."""
    for n in range(60):
        hub.query(table=employees, filter=[{"field": "department", "comparison": "==", "value": f"x{n}"}])
    diagnosis = hub.diagnose(employees)
    assert all(issue.severity and issue.message for issue in diagnosis.issues)
    assert any("note" in text for text in diagnosis.recommendations) or any(
        issue.column == "note" for issue in diagnosis.issues
    )
    assert len(diagnosis.recommendations) >= 1


def test_performance_is_measured(employees: Tesseract, hub: EventHorizon) -> None:
    """runPerformanceTest(tableName, operations): on a copy, which leaves the rows of the table alone."""
    before = (employees.get_data().to_list(), employees.info().update_version)
    report = hub.performance_test(employees, operations=50)
    assert report.results
    assert all(result.operations_per_second > 0 for result in report.results)
    assert (employees.get_data().to_list(), employees.info().update_version) == before


# --- Debug Mode


@pytest.fixture
def debugged(hub: EventHorizon) -> Iterator[EventHorizon]:
    hub.debug.enable(level="debug", slow_query=0.0)
    hub.debug.clear()
    yield hub
    hub.debug.disable()
    hub.debug.clear()


def test_debug_mode_is_enabled_and_disabled(debugged: EventHorizon, employees: Tesseract) -> None:
    """class TesseractDebugger, enableDebug(true), enableDebug(false)."""
    employees.add({"id": 5000})
    assert debugged.debug.settings().enabled
    assert debugged.debug.logs()
    assert not debugged.debug.disable().enabled
    count = len(debugged.debug.logs())
    employees.add({"id": 5001})
    assert len(debugged.debug.logs()) == count


def test_debug_logs_are_filtered(debugged: EventHorizon, employees: Tesseract) -> None:
    """getDebugLogs(filterType): by level and kind, with their time."""
    employees.add({"id": 5000})
    commits = debugged.debug.logs(kind="commit", table=employees.name)
    assert commits
    assert {record.kind for record in commits} == {"commit"}
    assert all(record.time.tzinfo is not None and record.message for record in commits)
    assert not [record for record in debugged.debug.logs(level="error") if record.level != "error"]


def test_debug_logs_are_cleared(debugged: EventHorizon, employees: Tesseract) -> None:
    """clearDebugLogs()."""
    employees.add({"id": 5000})
    assert debugged.debug.clear() > 0
    assert not [record for record in debugged.debug.logs() if record.table == employees.name]


def test_debug_logs_are_exported(debugged: EventHorizon, employees: Tesseract, tmp_path: Path) -> None:
    """exportDebugLogs(filePath): {exportDate, logCount, logs: [{type, timestamp, message}]}."""
    employees.add({"id": 5000})
    path = tmp_path / "debug_logs.json"
    count = debugged.debug.export(path)
    written = json.loads(path.read_text())
    assert written["logCount"] == len(written["logs"]) == count > 0
    assert written["exportDate"]
    assert written["logs"][0].keys() >= {"type", "timestamp", "message"}
