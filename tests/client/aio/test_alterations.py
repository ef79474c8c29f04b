"""Altering tables that are in use, from the client: what each method does, what it returns, what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tesseract_grpc.client import (
    Alterations,
    AsyncEventHorizon,
    AsyncTesseract,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    TesseractError,
)

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "name", "type": "string", "required": True},
    {"name": "age", "type": "int64"},
    {"name": "mail", "type": "string", "index": "hash"},
]
ROWS = [{"id": 1, "name": "Ada", "age": 36, "mail": "a@x"}, {"id": 2, "name": "Bob", "age": 7, "mail": None}]


@pytest.fixture
async def users(hub: AsyncEventHorizon, table_id: str) -> AsyncTesseract:
    table = await hub.create_tesseract(table_id, COLUMNS)
    await table.add(ROWS)
    return table


async def names(table: AsyncTesseract) -> list[str]:
    """The columns, as the handle knows them and as the server does."""
    found = [column["name"] for column in table.columns]
    await table.info()
    assert found == [column["name"] for column in table.columns]
    return found


async def test_adding_a_column(users: AsyncTesseract) -> None:
    result = await users.add_column("email", "string", backfill='name.toLowerCase() + "@example.com"', after="name")
    assert await names(users) == ["id", "name", "email", "age", "mail"]
    assert [row["email"] for row in await users.get_data()] == ["ada@example.com", "bob@example.com"]
    assert result.version > 0
    assert [column["name"] for column in result.columns] == await names(users)
    assert result.rewritten_rows == 2
    assert (result.ended_sessions, result.ended_session_count) == ((), 0)
    await users.add_column("side", enum=["buy", "sell"], default="sell", required=True, index=True)
    assert users.columns[-1] == {
        "name": "side",
        "type": "enum",
        "index": "hash",
        "required": True,
        "default": "sell",
        "enum": ["buy", "sell"],
    }
    await users.add_column({"name": "double", "expression": "age * 2"})
    await users.add({"id": 3, "name": "Cid", "age": 4})
    row = await users.get(3)
    assert row is not None
    assert (row["side"], row["double"], row["email"]) == ("sell", 8, None)


async def test_dropping_and_renaming(users: AsyncTesseract) -> None:
    await users.drop_column("mail")
    await users.rename_column("age", "years")
    assert await names(users) == ["id", "name", "years"]
    assert await users.get_data() == [{"id": 1, "name": "Ada", "years": 36}, {"id": 2, "name": "Bob", "years": 7}]


async def test_changing_a_column(users: AsyncTesseract) -> None:
    await users.change_column("age", type="number")
    assert [row["age"] for row in await users.get_data()] == [36.0, 7.0]
    await users.change_column("age", type="string", using='age + " years"', description="as a text")
    assert [row["age"] for row in await users.get_data()] == ["36 years", "7 years"]
    await users.change_column("mail", default="none", required=False)
    await users.add({"id": 3, "name": "Cid"})
    row = await users.get(3)
    assert row is not None
    assert row["mail"] == "none"
    await users.change_column("mail", default=None)
    assert "default" not in users.columns[3]
    assert users.columns[2]["description"] == "as a text"


async def test_values_that_do_not_fit_are_named(users: AsyncTesseract) -> None:
    with pytest.raises(TesseractError) as caught:
        await users.change_column("mail", required=True)
    assert caught.value.row_error_count == 1
    assert caught.value.row_errors[0].column == "mail"
    await users.info()
    assert "required" not in users.columns[3]


async def test_keys_and_indexes(users: AsyncTesseract) -> None:
    await users.add_index("age", "sorted")
    await users.set_key("name")
    assert users.key == ("name",)
    row = await users.get("Bob")
    assert row is not None
    assert row["age"] == 7
    await users.set_key("name", "id")
    assert users.key == ("name", "id")
    await users.drop_index("age")
    assert "index" not in next(column for column in users.columns if column["name"] == "age")
    await users.add({"id": 9, "name": "Ada", "age": 1})
    with pytest.raises(TesseractError) as caught:
        await users.set_key("name")
    assert caught.value.row_error_count >= 1


async def test_several_at_once(hub: AsyncEventHorizon, users: AsyncTesseract) -> None:
    before = (await hub.info()).version
    result = await users.alter(
        Alterations()
        .add_column("email", "string", backfill='name + "@x"')
        .rename_column("email", "address")
        .drop_column("mail")
        .add_index("address")
    )
    assert result.version == before + 1
    assert await names(users) == ["id", "name", "age", "address"]
    await users.alter(
        [{"drop_index": "address"}, {"add_column": {"name": "n", "type": "int64", "backfill": "age + 1"}}]
    )
    assert [row["n"] for row in await users.get_data()] == [37, 8]
    with pytest.raises(TesseractError):
        await users.alter([{"drop_column": "n"}, {"drop_column": "nobody"}])
    assert await names(users) == ["id", "name", "age", "address", "n"]


async def test_a_dry_run_only_tells(hub: AsyncEventHorizon, users: AsyncTesseract) -> None:
    session = await hub.create_session(f"{users.name}_mails", table=users, columns=["mail"])
    version = (await hub.info()).version
    told = await users.drop_column("mail", dry_run=True)
    assert (told.version, told.ended_session_count) == (0, 1)
    assert [(ended.name, ended.column) for ended in told.ended_sessions] == [(session.name, "mail")]
    assert "mail" not in [column["name"] for column in told.columns]
    assert await names(users) == ["id", "name", "age", "mail"]
    assert (await hub.info()).version == version
    with pytest.raises(PreconditionFailed):
        await users.drop_column("mail", keep_sessions=True)
    assert await names(users) == ["id", "name", "age", "mail"]
    done = await users.drop_column("mail")
    assert [ended.name for ended in done.ended_sessions] == [session.name]
    with pytest.raises(NotFound):
        await hub.get_session(session.name)


async def test_a_watcher_is_led_on(hub: AsyncEventHorizon, users: AsyncTesseract) -> None:
    session = await hub.create_session(f"{users.name}_all", table=users)
    async with session.mirror() as mirror:
        result = await users.add_column("twice", "int64", backfill="age * 2")
        await mirror.wait_for(result.version)
        assert [row["twice"] for row in mirror.rows()] == [72, 14]
        result = await users.drop_column("mail")
        await mirror.wait_for(result.version)
        assert mirror.rows()[0] == {"id": 1, "name": "Ada", "age": 36, "twice": 72}


async def test_swapping(hub: AsyncEventHorizon, users: AsyncTesseract) -> None:
    other = await hub.create_tesseract(f"{users.name}_v2", [*COLUMNS, {"name": "email", "type": "string"}])
    await other.add({"id": 5, "name": "Eve", "email": "e@x"})
    session = await hub.create_session(f"{users.name}_names", table=users, columns=["name"])
    before = (await hub.info()).version
    result = await hub.swap_tesseracts(users, f"{users.name}_v2")
    assert result.version == before + 1
    assert "email" in [column["name"] for column in result.columns]
    assert [row["name"] for row in await (await hub.get_tesseract(users.name)).get_data()] == ["Eve"]
    assert [row["name"] for row in await (await hub.get_tesseract(other.name)).get_data()] == ["Ada", "Bob"]
    assert [row["name"] for row in await session.get_data()] == ["Eve"]
    with pytest.raises(NotFound):
        await hub.swap_tesseracts(users, "nobody")


async def test_the_same_request_alters_once(users: AsyncTesseract) -> None:
    id = f"alter-{users.name}"
    first = await users.alter([{"add_column": {"name": "x", "type": "int64"}}], request_id=id)
    again = await users.alter([{"add_column": {"name": "x", "type": "int64"}}], request_id=id)
    assert again.version == first.version
    assert await names(users) == ["id", "name", "age", "mail", "x"]


REFUSED: dict[str, tuple[Any, str]] = {
    "no alteration": ([{"add": {}}], "there is no alteration 'add'"),
    "two in one": ([{"drop_column": "a", "drop_index": "b"}], "a dict of one entry"),
    "a word": ([{"add_column": {"name": "a", "type": "string", "backfil": "x"}}], "backfil"),
    "nothing new": ([{"change_column": {"column": "a"}}], "says nothing new"),
    "what cannot change": ([{"change_column": {"column": "a", "primary_key": True}}], "primary_key"),
    "no name": ([{"drop_column": ""}], "needs a name"),
    "no names": ([{"set_key": []}], "needs the names"),
    "an index": ([{"add_index": {"column": "a", "kind": "tree"}}], "sorted"),
    "a rename": ([{"rename_column": {"column": "a"}}], "needs a name"),
    "a type": ([{"add_column": {"name": "a", "type": "strin"}}], "unknown type"),
    "no list": ("drop_column", "alterations is a list"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_the_client_refuses(what: str, users: AsyncTesseract) -> None:
    given, message = REFUSED[what]
    with pytest.raises(InvalidRequest, match=message):
        await users.alter(given)


def test_alterations_tell_what_they_are() -> None:
    made = Alterations().add_column("a", "string", backfill="b").rename_column("c", "d").set_key("a").drop_index("e")
    assert len(made) == 4
    assert repr(made) == ("Alterations(add string a from b; rename column c to d; set key a; drop index e)")
