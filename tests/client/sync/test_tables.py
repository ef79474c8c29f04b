# Generated from tests/client/aio/test_tables.py by tools/generate_sync_client.py: edit that file and run it.
"""Tables of a real server: definitions, indexes, listing, renaming, and what is refused."""

from typing import Any

import pytest

from tesseract_grpc.client import (
    AlreadyExists,
    EventHorizon,
    InvalidRequest,
    NotFound,
    Tesseract,
    TesseractError,
)

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "name", "type": "string", "index": "hash"},
    {"name": "age", "type": "float64", "index": "sorted"},
    {"name": "side", "type": "enum", "required": True, "default": "buy", "enum": ["buy", "sell"]},
    {"name": "meta", "type": "json", "default": {"tags": []}},
]


def test_a_table_is_what_was_asked_for(hub: EventHorizon, table_id: str) -> None:
    table = hub.create_tesseract(table_id, COLUMNS, description="people")
    assert (table.name, table.key) == (table_id, ("id",))
    assert table.columns == COLUMNS
    again = hub.get_tesseract(table_id)
    assert again.columns == COLUMNS
    info = again.info()
    assert (info.row_count, info.description) == (0, "people")
    assert info.create_version == info.update_version > 0
    assert repr(again).startswith(f"{Tesseract.__name__}('{table_id}', columns=id, ")


def test_defaults_are_stored(hub: EventHorizon, table_id: str) -> None:
    table = hub.create_tesseract(table_id, COLUMNS)
    table.add([{"id": 1}, {"id": 2, "side": "sell", "meta": None}])
    assert table.get_data() == [
        {"id": 1, "name": None, "age": None, "side": "buy", "meta": {"tags": []}},
        {"id": 2, "name": None, "age": None, "side": "sell", "meta": None},
    ]


def test_one_table_can_be_made_from_the_description_of_another(hub: EventHorizon, table_id: str) -> None:
    """How the ancestor's guide moves data: describe, create, copy, remove, rename."""
    old = hub.create_tesseract(table_id, COLUMNS)
    old.add([{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob"}])
    new = hub.create_tesseract(f"{table_id}_v2", [*old.columns, {"name": "email", "type": "string"}])
    new.add([{**row, "email": f"{row['name'].lower()}@example.com"} for row in old.get_data()])
    hub.remove_tesseract(old)
    renamed = hub.rename_tesseract(new, table_id)
    assert [row["email"] for row in renamed.get_data()] == ["ada@example.com", "bob@example.com"]
    with pytest.raises(NotFound) as caught:
        hub.get_tesseract(f"{table_id}_v2")
    assert caught.value.reason == "UNKNOWN_TABLE"


def test_tables_are_listed(hub: EventHorizon, table_id: str) -> None:
    for suffix in "ba":
        hub.create_tesseract(f"{table_id}{suffix}", COLUMNS)
    names = [table.name for table in hub.list_tesseracts()]
    assert names == sorted(names)
    assert {f"{table_id}a", f"{table_id}b"} <= set(names)


def test_indexes_come_and_go(hub: EventHorizon, table_id: str) -> None:
    table = hub.create_tesseract(table_id, COLUMNS)
    table.create_index("age", "hash")
    table.create_index("side")
    table.drop_index("name")
    indexes = {column["name"]: column.get("index") for column in (hub.get_tesseract(table_id)).columns}
    assert indexes == {"id": None, "name": None, "age": "hash", "side": "hash", "meta": None}
    assert table.columns == (hub.get_tesseract(table_id)).columns
    with pytest.raises(InvalidRequest, match="has no index"):
        table.drop_index("name")
    with pytest.raises(InvalidRequest, match="nope"):
        table.create_index("nope")
    with pytest.raises(InvalidRequest, match="sorted"):
        table.create_index("age", "btree")


def test_removing_what_is_not_there(hub: EventHorizon, table_id: str) -> None:
    with pytest.raises(NotFound):
        hub.remove_tesseract(table_id)
    assert hub.remove_tesseract(table_id, allow_missing=True) == 0
    hub.create_tesseract(table_id, COLUMNS)
    assert hub.remove_tesseract(table_id) > 0


def test_an_id_is_taken_once(hub: EventHorizon, table_id: str) -> None:
    hub.create_tesseract(table_id, COLUMNS)
    with pytest.raises(AlreadyExists) as caught:
        hub.create_tesseract(table_id, COLUMNS)
    assert caught.value.reason == "TABLE_EXISTS"


KEY = {"name": "id", "type": "int64", "primary_key": True}
REFUSED: dict[str, tuple[list[dict[str, Any]], type[TesseractError], str]] = {
    "no key": ([{"name": "id", "type": "int64"}], InvalidRequest, "BAD_SCHEMA"),
    "no column": ([], InvalidRequest, "BAD_SCHEMA"),
    "a column twice": ([KEY, KEY], InvalidRequest, "DUPLICATE_COLUMN"),
    "a float as key": ([{"name": "id", "type": "number", "primary_key": True}], InvalidRequest, "BAD_SCHEMA"),
    "an enum without names": ([KEY, {"name": "e", "type": "enum"}], InvalidRequest, "BAD_SCHEMA"),
    "no type": ([KEY, {"name": "e"}], InvalidRequest, "BAD_SCHEMA"),
    "a bad name": ([KEY, {"name": "__e", "type": "bool"}], InvalidRequest, "BAD_NAME"),
    "an index over json": ([KEY, {"name": "j", "type": "json", "index": True}], InvalidRequest, "BAD_SCHEMA"),
    "an expression": ([KEY, {"name": "twice", "expression": "id * "}], InvalidRequest, "BAD_EXPRESSION"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_definitions_that_are_refused(what: str, hub: EventHorizon, table_id: str) -> None:
    columns, error, reason = REFUSED[what]
    with pytest.raises(error) as caught:
        hub.create_tesseract(table_id, columns)
    assert caught.value.reason == reason
    assert caught.value.message
    with pytest.raises(NotFound):
        hub.get_tesseract(table_id)


def test_the_hub_and_its_server_describe_themselves(hub: EventHorizon) -> None:
    info = hub.info()
    assert (info.name, hub.name, info.durability) == ("default", "default", "memory")
    assert info.counters
    assert "default" in [found.name for found in hub.list_hubs()]
    server = hub.server_info()
    assert {"write_stream", "watch_table"} <= server.features
    assert server.limits.max_rows_per_write > 0
    assert server.progress_seconds == 0.5
    assert hub.check() == []


def test_a_hub_that_does_not_exist(server: Any) -> None:
    with EventHorizon.connect(server.address, hub="nowhere", timeout=5) as hub:
        with pytest.raises(NotFound) as caught:
            hub.info()
        assert caught.value.reason == "UNKNOWN_HUB"
