"""The guide of the ancestor, "API Changes": sorting, filtering and events, in Python."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tesseract_grpc.client import EventHorizon, Tesseract
from tesseract_grpc.client import compat as tesseract
from tesseract_grpc.client.compat import NotCarriedOver
from tesseract_grpc.testing.serving import RunningServer
from tests.client.sync.support import eventually

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "name", "type": "string"},
    {"name": "status", "type": "string"},
    {"name": "department", "type": "string", "index": True},
    {"name": "salary", "type": "number"},
    {"name": "created_at", "type": "date"},
]


def person(id: int, name: str | None, status: str, department: str, salary: float | None, year: int) -> dict[str, Any]:
    created = datetime(year, 6, 1, tzinfo=UTC)
    return {
        "id": id,
        "name": name,
        "status": status,
        "department": department,
        "salary": salary,
        "created_at": created,
    }


ROWS = [
    person(1, "John Adams", "active", "Engineering", 75_000, 2023),
    person(2, "Johnny Cash", "active", "Sales", 50_000, 2024),
    person(3, "JOHN Doe", "active", "Marketing", 100_000, 2024),
    person(4, "Jane Roe", "active", "Engineering", 60_000, 2024),
    person(5, "John Low", "active", "Engineering", 49_999.99, 2024),
    person(6, "John High", "active", "Sales", 100_000.01, 2024),
    person(7, "John Old", "active", "Sales", 70_000, 2022),
    person(8, "John Gone", "inactive", "Sales", 70_000, 2024),
    person(9, "John Law", "active", "Legal", 70_000, 2024),
    person(10, None, "active", "Sales", None, 2024),
]


@pytest.fixture
def hub(server: RunningServer) -> Iterator[EventHorizon]:
    with EventHorizon.connect(server.address, timeout=10) as found:
        yield found


@pytest.fixture
def employees(hub: EventHorizon, table_id: str) -> Tesseract:
    table = hub.create_tesseract(table_id, COLUMNS)
    table.add(ROWS)
    return table


@pytest.fixture
def horizon(hub: EventHorizon) -> tesseract.EventHorizon:
    return tesseract.EventHorizon(hub)


def ids(rows: Any) -> list[int]:
    return [row["id"] for row in rows]


# --- Updated Sorting API


def test_compare_functions_are_refused_with_what_replaces_them(
    employees: Tesseract, horizon: tesseract.EventHorizon
) -> None:
    """OLD: sort: [{field, direction, compareFn: (a, b) => a.localeCompare(b)}]."""
    table = horizon.getTesseract(employees.name)
    assert table is not None
    sort = {"field": "name", "direction": "asc", "compareFn": "(a, b) => a.localeCompare(b)"}
    with pytest.raises(NotCarriedOver) as caught:
        table.createSession({"sort": [sort]})
    assert caught.value.field == "session.sort[0].compareFn"
    assert "toLowerCase" in caught.value.hint
    folded = table.createSession(  # what the hint says
        {"columns": ["name", {"name": "folded", "expression": "name.toLowerCase()"}], "sort": [{"field": "folded"}]}
    )
    assert ids(folded.getData())[:5] == [4, 1, 3, 8, 6]


def test_sorting_by_names_and_dates(employees: Tesseract, horizon: tesseract.EventHorizon) -> None:
    """NEW: sort: [{field: 'name', direction: 'asc'}, {field: 'created_at', direction: 'desc'}]."""
    sort = [{"field": "name", "direction": "asc"}, {"field": "created_at", "direction": "desc"}]
    config = {"id": f"{employees.name}-sorted", "table": employees.name, "sort": sort}
    session = horizon.createSession(config)
    employees.add(person(11, "John Adams", "active", "Sales", 1, 2024))
    expected = sorted(
        employees.get_data().to_list(), key=lambda r: (r["name"] is None, r["name"] or "", -r["created_at"].timestamp())
    )
    assert (
        ids(session.getData()) == ids(expected) == ids(horizon.hub.get_session(f"{employees.name}-sorted").get_data())
    )
    assert ids(session.getData())[-1] == 10  # nulls are last
    assert [row["id"] for row in session.getData() if row["name"] == "John Adams"] == [11, 1]


# --- Enhanced Filter API

NEW_FILTERS: list[dict[str, Any]] = [
    {"field": "status", "comparison": "==", "value": "active"},
    {"type": "custom", "value": 'created_at > "2023-01-01" && name ~ "John"'},
    {"field": "department", "comparison": "in", "value": ["Engineering", "Sales", "Marketing"]},
    {"field": "salary", "comparison": "between", "value": [50_000, 100_000]},
]


def test_a_filter_without_a_comparison(employees: Tesseract, hub: EventHorizon) -> None:
    """OLD: { field: 'status', value: 'active' }."""
    session = hub.create_session(table=employees, filter=[{"field": "status", "value": "inactive"}])
    assert ids(session.get_data()) == [8]


def test_enhanced_filters(employees: Tesseract, horizon: tesseract.EventHorizon, hub: EventHorizon) -> None:
    """NEW: ==, custom expressions, in and between, all together."""
    config = {"id": f"{employees.name}-enhanced", "table": employees.name, "filter": NEW_FILTERS}
    session = horizon.createSession(config)
    expected = [
        row["id"]
        for row in ROWS
        if row["status"] == "active"
        and row["created_at"] > datetime(2023, 1, 1, tzinfo=UTC)
        and "john" in (row["name"] or "").lower()
        and row["department"] in ("Engineering", "Sales", "Marketing")
        and row["salary"] is not None
        and 50_000 <= row["salary"] <= 100_000
    ]
    assert expected == [1, 2, 3]
    assert ids(session.getData()) == expected
    assert ids(hub.query(table=employees, filter=NEW_FILTERS)) == expected
    assert ids(employees.query(filter=NEW_FILTERS)) == expected


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"field": "status", "comparison": "==", "value": "inactive"}, [8]),
        ({"type": "custom", "value": 'salary > 75000 && department != "Legal"'}, [3, 6]),
        ({"type": "custom", "value": 'name ~ "adams" || salary < 50000'}, [1, 5]),
        ({"field": "department", "comparison": "in", "value": ["Legal", "Marketing"]}, [3, 9]),
        ({"field": "salary", "comparison": "between", "value": [70_000, 75_000]}, [1, 7, 8, 9]),
        ({"field": "name", "comparison": "like", "value": "J%e"}, [3, 4, 8]),
        ({"field": "name", "comparison": "~", "value": "o"}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"type": "custom", "value": "(created_at ? created_at.getTime() : salary) < 1672531200000"}, [7]),
    ],
)
def test_each_filter_by_itself(
    employees: Tesseract, horizon: tesseract.EventHorizon, filter: Any, expected: list[int]
) -> None:
    """The filters of the guide, one by one, in both styles."""
    assert ids(employees.query(filter=[filter])) == expected
    assert ids(horizon.createSession({"table": employees.name, "filter": [filter]}).getData()) == expected


# --- Event System Updates


def test_the_old_event(employees: Tesseract, horizon: tesseract.EventHorizon) -> None:
    """OLD: table.on('change', data => data.length)."""
    table = horizon.getTesseract(employees.name)
    assert table is not None
    seen: list[int] = []
    table.on("change", lambda data: seen.append(len(data)))
    employees.add(person(11, "New", "active", "Sales", 1, 2024))
    eventually(lambda: seen == [11])


def test_granular_events(employees: Tesseract) -> None:
    """NEW: table.on('add' | 'update' | 'remove', rows => ...), with the names in the rows that were added."""
    added: list[Any] = []
    updated: list[Any] = []
    removed: list[Any] = []
    stop = employees.on("add", lambda rows: added.extend(row["name"] for row in rows))
    employees.on("update", updated.extend)
    employees.on("remove", removed.extend)
    employees.add([person(11, "Ann", "active", "Sales", 1, 2024), person(12, "Ben", "active", "Sales", 2, 2024)])
    eventually(lambda: added == ["Ann", "Ben"])
    employees.update({"id": 11, "salary": 5})
    eventually(lambda: len(updated) == 1)
    assert (updated[0]["id"], updated[0]["salary"]) == (11, 5.0)
    employees.remove([11, 12])
    eventually(lambda: ids(removed) == [11, 12])
    assert removed[0]["name"] == "Ann"  # as it last was
    stop()
    employees.add(person(13, "Cid", "active", "Sales", 2, 2024))
    employees.update({"id": 13, "salary": 3})
    eventually(lambda: len(updated) == 2)
    assert added == ["Ann", "Ben"]


def test_a_session_tells_its_data(employees: Tesseract, hub: EventHorizon) -> None:
    """session.on('data', sessionData => sessionData.length)."""
    session = hub.create_session(id=f"{employees.name}-monitored", table=employees)
    seen: list[int] = []
    session.on("data", lambda rows: seen.append(len(rows)))
    employees.remove(1)
    eventually(lambda: seen and seen[-1] == 9)
    employees.add(ROWS[0])
    eventually(lambda: seen[-1] == 10)


def test_a_session_tells_that_its_filter_changed(
    employees: Tesseract, hub: EventHorizon, horizon: tesseract.EventHorizon
) -> None:
    """session.on('filterChange', (filteredData, filterInfo) => filteredData.length)."""
    session = hub.create_session(id=f"{employees.name}-filtered", table=employees)
    seen: list[tuple[list[int], Any]] = []
    session.on("filter_change", lambda rows, info: seen.append((ids(rows), info)))
    version = session.update_filter([{"field": "department", "comparison": "==", "value": "Legal"}])
    eventually(lambda: len(seen) == 1)
    rows, info = seen[0]
    assert rows == [9]
    assert info.version == version
    employees.update({"id": 9, "salary": 1})  # no edit, so nothing is told
    compatible = horizon.getSession(session.name)
    assert compatible is not None
    old_style: list[int] = []
    compatible.on("filterChange", lambda rows, info: old_style.append(len(rows)))
    compatible.updateFilter([{"type": "custom", "value": 'status == "inactive"'}])
    eventually(lambda: old_style == [1])
    eventually(lambda: [rows for rows, _ in seen] == [[9], [8]])
