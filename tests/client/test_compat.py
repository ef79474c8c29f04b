"""The ancestor's style and spelling against a real server: what it translates, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc.client import AlreadyExists, InvalidRequest, NotFound
from tesseract_grpc.client.compat import (
    EventHorizon,
    NotCarriedOver,
    Table,
    TesseractV1Compatibility,
    definitions_of,
    session_of,
    table_of,
)
from tesseract_grpc.testing.serving import RunningServer
from tests.client.sync.support import eventually

USERS: dict[str, Any] = {
    "columns": [
        {"name": "id", "primaryKey": True, "columnType": "number"},
        {"name": "name", "columnType": "text", "title": "Full name"},
        {"name": "teamId", "type": "string", "secondaryKey": True},
        {"name": "salary", "type": "number", "defaultValue": 1000},
        {"name": "active", "columnType": "boolean"},
        {"name": "meta", "columnType": "object"},
        {"name": "label", "value": "${name} <${teamId}>"},
    ]
}
ROWS = [
    {"id": 1, "name": "Ada", "teamId": "a", "salary": 3000, "active": True},
    {"id": 2, "name": "Bob", "teamId": "b", "active": False},
    {"id": 3, "name": "Cid", "teamId": "a", "salary": 2000, "active": True, "meta": {"tags": ["x"]}},
]


@pytest.fixture
def horizon(server: RunningServer) -> Iterator[EventHorizon]:
    with EventHorizon(server.address) as found:
        yield found


@pytest.fixture
def users(horizon: EventHorizon, table_id: str) -> Table:
    table: Table = horizon.createTesseract(table_id, USERS)
    table.add(ROWS)
    return table


def ids(rows: Any) -> list[Any]:
    return [row["id"] for row in rows]


# --- tables


def test_columns_are_translated(users: Table) -> None:
    columns = {column["name"]: column for column in users.tesseract.columns}
    assert columns["id"] == {"name": "id", "type": "int64", "primary_key": True}  # a double cannot name a row
    assert columns["name"] == {"name": "name", "type": "string", "description": "Full name"}
    assert columns["teamId"]["index"] == "hash"
    assert (columns["salary"]["type"], columns["salary"]["default"]) == ("float64", 1000.0)
    assert (columns["active"]["type"], columns["meta"]["type"]) == ("bool", "json")
    row = users.getById(2)
    assert row is not None
    assert (row["salary"], row["label"]) == (1000.0, "Bob <b>")


def test_methods_have_both_spellings_and_lead_to_the_client(horizon: EventHorizon, users: Table) -> None:
    assert ids(users.getData()) == ids(users.get_data()) == [1, 2, 3]
    assert users.getCount() == users.count() == 3
    assert users.createIndex("salary") is None
    assert users.tesseract.columns[3]["index"] == "sorted"
    assert horizon.getTesseract(users.name) is users
    assert horizon.get_tesseract("nobody") is None
    assert horizon.serverInfo().features == horizon.hub.server_info().features
    with pytest.raises(AttributeError, match="fetchEverything"):
        users.fetchEverything()
    assert users.getSchema()["columns"] == users.tesseract.columns


def test_writes_mean_what_they_mean_there(users: Table) -> None:
    users.add([{"id": 1, "name": "Ada II"}, {"id": 4, "name": "Dan"}])  # what is there is passed over
    users.update([{"id": 2, "name": "Rob"}, {"id": 5, "name": "Eve"}])  # what is not there is added
    assert [row["name"] for row in users.getData()] == ["Ada", "Rob", "Cid", "Dan", "Eve"]
    users.remove([4, 5])
    users.remove({"filter": [{"field": "name", "comparison": "like", "value": "CI"}]})
    assert ids(users.getData()) == [1, 2]
    users.reset([{"id": 9, "name": "Zoe"}])
    assert ids(users.getData()) == [9]
    users.clear()
    assert users.getCount() == 0


def test_a_table_is_made_once(server: RunningServer, users: Table) -> None:
    with EventHorizon(server.address) as other:
        again = other.create_tesseract(users.name, USERS)
        assert again.getCount() == 3
        with pytest.raises(AlreadyExists, match="'email'") as caught:
            other.create_tesseract(users.name, {"columns": [*USERS["columns"], {"name": "email", "type": "string"}]})
        assert "SchemaMigrator" in caught.value.metadata["hint"]
        retyped = [
            {**column, **({"type": "date"} if column["name"] == "teamId" else {})} for column in USERS["columns"]
        ]
        with pytest.raises(AlreadyExists, match="'teamId' differs"):
            other.create_tesseract(users.name, {"columns": retyped})


def test_the_key_may_be_named_by_the_table_or_be_the_id(horizon: EventHorizon, table_id: str) -> None:
    named = table_of({"primaryKey": "code", "columns": [{"name": "code", "type": "string"}]})
    assert named.columns == [{"name": "code", "type": "string", "primary_key": True}]
    assert table_of(["id", {"name": "x", "type": "date"}]).columns[0]["primary_key"] is True
    with pytest.raises(NotCarriedOver, match="no key"):
        table_of([{"name": "x", "type": "date"}])
    table = horizon.createTesseract(table_id, {"idProperty": "code", "columns": [{"name": "code", "type": "text"}]})
    assert table.key == ("code",)


def test_a_table_stands_by_itself(server: RunningServer, horizon: EventHorizon, table_id: str) -> None:
    """`new tesseract.Table('users', config)`."""
    EventHorizon.use(horizon)
    try:
        table = Table(table_id, USERS)
        table.add(ROWS)
        assert ids(Table(table_id).getData()) == [1, 2, 3]
        with pytest.raises(NotFound):
            Table(f"{table_id}_nobody")
    finally:
        EventHorizon.use(None)


# --- sessions


def test_sessions_get_ids_and_go_with_the_hub(server: RunningServer, table_id: str) -> None:
    with EventHorizon(server.address) as horizon:
        table = horizon.create_tesseract(table_id, USERS)
        one, two = table.createSession(), table.create_session({"filter": "id > 1"})
        kept = table.createSession({"id": f"{table_id}_kept"})
        assert one.id != two.id
        assert one.id.startswith(f"{table_id}_")
        assert ids(horizon.getSession(two.id).getData()) == []
    with EventHorizon(server.address) as horizon:
        assert (horizon.getSession(one.id), horizon.getSession(two.id)) == (None, None)
        horizon.getSession(kept.id).destroy()
        assert horizon.getSession(kept.id) is None


def test_words_of_sessions(users: Table) -> None:
    session = users.createSession(
        {
            "columns": [
                "name",
                {"name": "yearly", "title": "A year", "value": "salary * 12"},
                {"name": "salary", "hidden": True},
            ],
            "filters": [
                {"type": "number", "comparison": "gte", "field": "salary", "value": "2000"},
                {"type": "boolean", "field": "active", "value": "true"},
            ],
            "sorts": [{"property": "salary", "direction": "DESC"}],
            "limit": 1,
        }
    )
    assert session.getData() == [{"id": 1, "name": "Ada", "yearly": 36000.0}]
    assert ids(session.getData(0, 10)) == ids(session.get_data(0)) == [1, 3]
    assert ids(session.getData({"filter": [{"field": "name", "comparison": "~", "value": "ci"}]})) == [3]
    assert ids(session.getData({"sort": [{"field": "id", "direction": "asc"}], "start": 1})) == [3]
    assert session.getById(3) == {"id": 3, "name": "Cid", "yearly": 24000.0}
    assert session.getById(2) is None
    assert session.getCount() == 2
    assert {column["name"]: column.get("title") for column in session.getSimpleHeader()}["yearly"] == "A year"
    session.updateFilter([{"type": "custom", "value": 'teamId == "b" && name ~ "o"'}])
    assert ids(session.getData()) == [2]
    session.updateColumns([{"name": "name"}])
    session.updateSort([{"field": "name"}])
    assert session.getData() == [{"id": 2, "name": "Bob"}]


def test_lookups_sub_sessions_and_groups(horizon: EventHorizon, users: Table) -> None:
    teams = horizon.createTesseract(
        f"{users.name}_teams", {"columns": [{"name": "id", "type": "string", "primaryKey": True}, "title"]}
    )
    teams.add([{"id": "a", "title": "Alpha"}, {"id": "b", "title": "Beta"}])
    session = users.createSession(
        {
            "subSessions": {"well": {"table": users.name, "filter": "salary > 1500", "columns": [{"name": "name"}]}},
            "columns": [
                {"name": "name", "primaryKey": False, "columnType": "text"},
                {
                    "name": "team",
                    "resolve": {"underlyingField": "teamId", "childrenTable": teams.name, "displayField": "title"},
                },
                {"name": "well", "resolve": {"underlyingField": "id", "session": "well", "displayField": "name"}},
            ],
        }
    )
    assert [(row["name"], row["team"], row["well"]) for row in session.getData()] == [
        ("Ada", "Alpha", "Ada"),
        ("Bob", "Beta", None),
        ("Cid", "Alpha", "Cid"),
    ]
    groups = users.createSession(
        {"groupBy": [{"dataIndex": "teamId"}], "columns": [{"name": "salary", "aggregator": "sum"}], "sort": ["teamId"]}
    )
    assert [(row["teamId"], row["salary"]) for row in groups.getData()] == [("a", 5000.0), ("b", 1000.0)]
    leafs = users.createSession(
        {
            "groupBy": ["teamId"],
            "includeLeafs": True,
            "columns": [{"name": "most", "column": "salary", "aggregator": "max"}],
        }
    )
    everything = leafs.get_data()
    assert everything[0]["most"] == 3000.0
    assert len(everything) == 1 + 2 + 3
    plain = users.createSession({"columns": ["name", "teamId", {"name": "salary", "aggregator": "avg"}]})
    assert [(row["teamId"], row["salary"]) for row in plain.getData()] == [("a", 3000.0), ("b", 1000.0), ("a", 2000.0)]
    (tree,) = plain.groupData([{"dataIndex": "teamId"}])
    assert tree["salary"] == 2000.0
    assert [child["salary"] for child in tree["children"]] == [2500.0, 1000.0]


def test_lookups_and_aggregators_of_a_table_are_those_of_its_sessions(horizon: EventHorizon, table_id: str) -> None:
    horizon.createTesseract(
        f"{table_id}_users", {"columns": [{"name": "id", "type": "number", "primaryKey": True}, "name"]}
    ).add([{"id": 1, "name": "rafal"}, {"id": 2, "name": "daniel"}])
    messages = horizon.createTesseract(
        table_id,
        {
            "columns": [
                {"name": "id", "type": "number", "primaryKey": True},
                {"name": "user", "type": "number"},
                {"name": "status", "type": "number", "aggregator": "avg"},
                {
                    "name": "userName",
                    "resolve": {
                        "underlyingName": "user",
                        "childrenTable": f"{table_id}_users",
                        "valueField": "id",
                        "displayField": "name",
                    },
                },
            ]
        },
    )
    messages.add([{"id": 1, "user": 1, "status": 1}, {"id": 2, "user": 2, "status": 3}])
    assert [row["userName"] for row in messages.getData()] == ["rafal", "daniel"]
    assert messages.createSession({"columns": ["userName"]}).getData()[0] == {"id": 1, "userName": "rafal"}
    grouped = messages.createSession({"groupBy": ["userName"]})
    assert [(row["userName"], row["status"]) for row in grouped.getData()] == [("daniel", 3.0), ("rafal", 1.0)]
    assert any("resolve" in column for column in messages.getSchema()["columns"])


def test_derived_tables_and_unions(horizon: EventHorizon, users: Table) -> None:
    session = users.createSession({"filter": "active", "columns": ["name"]})
    derived = horizon.createTesseractFromSession(f"{users.name}_active", session)
    assert ids(derived.getData()) == [1, 3]
    config = {"session": {"table": users.name, "filter": "id > 2"}}
    assert ids(horizon.createTesseract(f"{users.name}_late", config).getData()) == [3]
    both = horizon.createUnion(
        f"{users.name}_both",
        {"subSessions": {"x": {"table": users.name, "filter": "id < 2"}, "y": config["session"]}, "columns": ["name"]},
    )
    assert [row["name"] for row in both.getData()] == ["Ada", "Cid"]
    with pytest.raises(NotCarriedOver, match="subSessions"):
        horizon.createUnion("u", {"subs": {}})


def test_renaming_and_removing(horizon: EventHorizon, users: Table) -> None:
    old = users.name
    renamed = horizon.renameTesseract(old, f"{old}_2")
    assert renamed is users
    assert (users.name, users.getCount()) == (f"{old}_2", 3)
    assert horizon.getTesseract(old) is None
    horizon.removeTesseract(users)
    assert horizon.getTesseract(f"{old}_2") is None


# --- events


def test_the_old_event_tells_all_rows(users: Table) -> None:
    seen: list[int] = []
    stop = users.on("change", lambda data: seen.append(len(data)))
    users.add({"id": 7, "name": "Gus"})
    eventually(lambda: seen == [4])
    users.remove(7)
    eventually(lambda: seen == [4, 3])
    stop()
    users.add({"id": 8, "name": "Hal"})
    session = users.createSession()
    rows: list[Any] = []
    session.on("dataUpdate", rows.append)
    eventually(lambda: [ids(each) for each in rows] == [[1, 2, 3, 8]])
    assert seen == [4, 3]


# --- what is refused


REFUSED_TABLES: dict[str, tuple[Any, str, str]] = {
    "a value function": (
        [{"name": "id"}, {"name": "sum", "value": "(data) => data.price * data.qty"}],
        "table.columns[1].value",
        "expression: 'price * qty'",
    ),
    "a function of old": (
        [{"name": "id"}, {"name": "up", "value": "function(row) { return row.name.toUpperCase(); }"}],
        "table.columns[1].value",
        "expression: 'name.toUpperCase()'",
    ),
    "a function that does more": (
        [{"name": "id"}, {"name": "x", "value": "data => { const y = data.x; return y; }"}],
        "table.columns[1].value",
        "price * qty",
    ),
    "a default": ([{"name": "id"}, {"name": "at", "defaultValue": "() => new Date()"}], "defaultValue", "'new Date()'"),
    "a Python function": ([{"name": "id"}, {"name": "x", "value": len}], "table.columns[1].value", "now()"),
    "an aggregator": ([{"name": "id"}, {"name": "x", "aggregator": "(data, name) => 1"}], "aggregator", "'1'"),
    "a word": ([{"name": "id", "primarykey": True}], "table.columns[0].primarykey", "did you mean primaryKey?"),
    "a word of tables": ({"colums": []}, "table.colums", "did you mean columns?"),
    "a cluster": ({"columns": ["id"], "clusterSync": True}, "table.clusterSync", "--data DIR"),
    "memory": ({"columns": ["id"], "compressionThreshold": 5}, "compressionThreshold", "nothing has to be set"),
    "an enum of numbers": ([{"name": "id"}, {"name": "e", "enum": {"A": 1}}], "table.columns[1].enum", "enum: ["),
    "value and expression": ([{"name": "id"}, {"name": "e", "value": "1", "expression": "2"}], "columns[1]", "leave"),
}


@pytest.mark.parametrize("what", REFUSED_TABLES)
def test_tables_that_are_refused(what: str) -> None:
    config, field, hint = REFUSED_TABLES[what]
    with pytest.raises(NotCarriedOver) as caught:
        table_of(config)
    assert field in caught.value.field
    assert hint in caught.value.hint
    assert caught.value.hint in str(caught.value)


REFUSED_SESSIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "comparing": (
        {"sort": [{"field": "a", "compareFn": "(a, b) => a.localeCompare(b)"}]},
        "sort[0].compareFn",
        "name.toLowerCase()",
    ),
    "comparing as a sort": ({"sort": "(a, b) => a - b"}, "session.sort", "computed column"),
    "filtering": ({"filter": "row => row.age > 17"}, "session.filter", "filter: 'age > 17'"),
    "a custom function": (
        {"filter": [{"type": "custom", "value": "(row) => row.age > 17"}]},
        "filter[0].value",
        "value: 'age > 17'",
    ),
    "in a sub-session": (
        {"subSessions": {"s": {"table": "x", "columns": [{"name": "y", "value": "d => d.z"}]}}},
        "session.subSessions.s.columns[0].value",
        "expression: 'z'",
    ),
    "a word": ({"fliter": []}, "session.fliter", "did you mean filter?"),
    "a word of filters": ({"filter": [{"feld": "a"}]}, "session.filter[0].feld", "did you mean field?"),
    "a kind of filter": ({"filter": [{"field": "a", "type": "numbr", "value": 1}]}, "filter[0].type", "number"),
    "a number that is none": (
        {"filter": [{"field": "a", "type": "number", "value": "x"}]},
        "filter[0].value",
        "correct",
    ),
    "indexes": ({"useIndexes": True}, "session.useIndexes", "explain"),
    "batches": ({"batchSize": 1000}, "session.batchSize", "start and limit"),
    "a default": ({"columns": [{"name": "a", "defaultValue": 0}]}, "columns[0].defaultValue", "??"),
    "a place below": ({"subSessions": {"s": {"table": "x", "limit": 3}}}, "session.subSessions.s", "rank"),
    "an aggregate among leafs": (
        {"groupBy": ["a"], "includeLeafs": True, "columns": [{"name": "b", "aggregator": "sum"}]},
        "columns[0].name",
        "name: 'b_sum', column: 'b'",
    ),
    "a resolving function": (
        {"columns": [{"name": "a", "resolve": "x => x"}]},
        "columns[0].resolve",
        "underlyingField",
    ),
}


@pytest.mark.parametrize("what", REFUSED_SESSIONS)
def test_sessions_that_are_refused(what: str) -> None:
    config, field, hint = REFUSED_SESSIONS[what]
    with pytest.raises(NotCarriedOver) as caught:
        session_of({"table": "t", **config})
    assert field in caught.value.field
    assert hint in caught.value.hint


def test_what_says_nothing_is_no_reason_to_refuse() -> None:
    config = {"columns": ["id"], "clusterSync": False, "persistent": None}
    assert [column["name"] for column in table_of(config).columns] == ["id"]
    assert session_of({"table": "t", "groupBy": [], "includeLeafs": False, "filter": None}).query.keys() == {
        "table",
        "filter",
    }


def test_lambdas_of_the_expression_language_are_no_functions() -> None:
    expression = "items.filter(x => x.qty > 1).length"
    assert session_of({"table": "t", "columns": [{"name": "n", "expression": expression}]}).query["columns"] == [
        {"name": "n", "expression": expression}
    ]


# --- files


def test_a_file_makes_everything(horizon: EventHorizon, table_id: str, tmp_path: Path) -> None:
    file = tmp_path / "definitions.json"
    session = {"table": table_id, "filter": [{"field": "salary", "comparison": ">", "value": 1500}]}
    given = {"tables": {table_id: USERS}, "sessions": [{"id": f"{table_id}_well", **session}], "data": {table_id: ROWS}}
    file.write_text(json.dumps(given))
    made = horizon.load(file).made
    assert ids(made[f"{table_id}_well"].getData()) == [1, 3]
    assert ids(TesseractV1Compatibility(horizon).load(given).made[f"{table_id}_well"].getData()) == [1, 3]
    assert horizon.getTesseract(table_id).getCount() == 3  # rows go into an empty table only


def test_a_directory_of_files(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text('{"tables": [{"name": "a", "columns": ["id"]}]}')
    (tmp_path / "2.json").write_text('{"sessions": {"s": {"table": "a"}}}')
    found = definitions_of(tmp_path)
    assert (list(found.tables), list(found.sessions)) == (["a"], ["s"])
    (tmp_path / "3.json").write_text('{"tables": {"a": []}}')
    with pytest.raises(NotCarriedOver, match="twice"):
        definitions_of(tmp_path)
    (tmp_path / "3.json").write_text("{tables: x => x}")
    with pytest.raises(NotCarriedOver, match=r"3\.json"):
        definitions_of(tmp_path)
    with pytest.raises(NotCarriedOver, match="did you mean tables"):
        definitions_of({"table": {}})
    with pytest.raises(NotCarriedOver, match="needs its id"):
        definitions_of({"sessions": [{"table": "a"}]})


def test_a_file_with_a_mistake_makes_nothing(horizon: EventHorizon, table_id: str) -> None:
    given = {"tables": {table_id: USERS, f"{table_id}_b": [{"name": "id"}, {"name": "x", "value": "x => x.y"}]}}
    with pytest.raises(InvalidRequest):
        horizon.load(given)
    assert horizon.getTesseract(table_id) is None
