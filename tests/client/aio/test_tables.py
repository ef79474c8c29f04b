"""Tables of a real server: definitions, indexes, listing, renaming, and what is refused."""

from typing import Any

import pytest

from tesseract_grpc.client import (
    AlreadyExists,
    AsyncEventHorizon,
    AsyncTesseract,
    InvalidRequest,
    NotFound,
    TesseractError,
)

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "name", "type": "string", "index": "hash"},
    {"name": "age", "type": "float64", "index": "sorted"},
    {"name": "side", "type": "enum", "required": True, "default": "buy", "enum": ["buy", "sell"]},
    {"name": "meta", "type": "json", "default": {"tags": []}},
]


async def test_a_table_is_what_was_asked_for(hub: AsyncEventHorizon, table_id: str) -> None:
    table = await hub.create_tesseract(table_id, COLUMNS, description="people")
    assert (table.name, table.key) == (table_id, ("id",))
    assert table.columns == COLUMNS
    again = await hub.get_tesseract(table_id)
    assert again.columns == COLUMNS
    info = await again.info()
    assert (info.row_count, info.description) == (0, "people")
    assert info.create_version == info.update_version > 0
    assert repr(again).startswith(f"{AsyncTesseract.__name__}('{table_id}', columns=id, ")


async def test_defaults_are_stored(hub: AsyncEventHorizon, table_id: str) -> None:
    table = await hub.create_tesseract(table_id, COLUMNS)
    await table.add([{"id": 1}, {"id": 2, "side": "sell", "meta": None}])
    assert await table.get_data() == [
        {"id": 1, "name": None, "age": None, "side": "buy", "meta": {"tags": []}},
        {"id": 2, "name": None, "age": None, "side": "sell", "meta": None},
    ]


async def test_one_table_can_be_made_from_the_description_of_another(hub: AsyncEventHorizon, table_id: str) -> None:
    """How the ancestor's guide moves data: describe, create, copy, remove, rename."""
    old = await hub.create_tesseract(table_id, COLUMNS)
    await old.add([{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob"}])
    new = await hub.create_tesseract(f"{table_id}_v2", [*old.columns, {"name": "email", "type": "string"}])
    await new.add([{**row, "email": f"{row['name'].lower()}@example.com"} for row in await old.get_data()])
    await hub.remove_tesseract(old)
    renamed = await hub.rename_tesseract(new, table_id)
    assert [row["email"] for row in await renamed.get_data()] == ["ada@example.com", "bob@example.com"]
    with pytest.raises(NotFound) as caught:
        await hub.get_tesseract(f"{table_id}_v2")
    assert caught.value.reason == "UNKNOWN_TABLE"


async def test_tables_are_listed(hub: AsyncEventHorizon, table_id: str) -> None:
    for suffix in "ba":
        await hub.create_tesseract(f"{table_id}{suffix}", COLUMNS)
    names = [table.name for table in await hub.list_tesseracts()]
    assert names == sorted(names)
    assert {f"{table_id}a", f"{table_id}b"} <= set(names)


async def test_indexes_come_and_go(hub: AsyncEventHorizon, table_id: str) -> None:
    table = await hub.create_tesseract(table_id, COLUMNS)
    await table.create_index("age", "hash")
    await table.create_index("side")
    await table.drop_index("name")
    indexes = {column["name"]: column.get("index") for column in (await hub.get_tesseract(table_id)).columns}
    assert indexes == {"id": None, "name": None, "age": "hash", "side": "hash", "meta": None}
    assert table.columns == (await hub.get_tesseract(table_id)).columns
    with pytest.raises(InvalidRequest, match="has no index"):
        await table.drop_index("name")
    with pytest.raises(InvalidRequest, match="nope"):
        await table.create_index("nope")
    with pytest.raises(InvalidRequest, match="sorted"):
        await table.create_index("age", "btree")


async def test_removing_what_is_not_there(hub: AsyncEventHorizon, table_id: str) -> None:
    with pytest.raises(NotFound):
        await hub.remove_tesseract(table_id)
    assert await hub.remove_tesseract(table_id, allow_missing=True) == 0
    await hub.create_tesseract(table_id, COLUMNS)
    assert await hub.remove_tesseract(table_id) > 0


async def test_an_id_is_taken_once(hub: AsyncEventHorizon, table_id: str) -> None:
    await hub.create_tesseract(table_id, COLUMNS)
    with pytest.raises(AlreadyExists) as caught:
        await hub.create_tesseract(table_id, COLUMNS)
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
async def test_definitions_that_are_refused(what: str, hub: AsyncEventHorizon, table_id: str) -> None:
    columns, error, reason = REFUSED[what]
    with pytest.raises(error) as caught:
        await hub.create_tesseract(table_id, columns)
    assert caught.value.reason == reason
    assert caught.value.message
    with pytest.raises(NotFound):
        await hub.get_tesseract(table_id)


async def test_the_hub_and_its_server_describe_themselves(hub: AsyncEventHorizon) -> None:
    info = await hub.info()
    assert (info.name, hub.name, info.durability) == ("default", "default", "memory")
    assert info.counters
    assert "default" in [found.name for found in await hub.list_hubs()]
    server = await hub.server_info()
    assert {"write_stream", "watch_table"} <= server.features
    assert server.limits.max_rows_per_write > 0
    assert server.progress_seconds == 0.5
    assert await hub.check() == []


async def test_a_hub_that_does_not_exist(server: Any) -> None:
    async with AsyncEventHorizon.connect(server.address, hub="nowhere", timeout=5) as hub:
        with pytest.raises(NotFound) as caught:
            await hub.info()
        assert caught.value.reason == "UNKNOWN_HUB"
