"""TableService: definitions."""

from __future__ import annotations

import time

from google.protobuf.field_mask_pb2 import FieldMask

from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import schema_pb2, value_pb2
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tests.server.support import Api, refused, serving, user, user_columns


async def test_a_table_comes_back_as_it_was_created() -> None:
    async with serving() as (_, api):
        columns = user_columns()
        columns[2].default_value.int64_value = 18
        columns[3].default_value.int64_value = 2
        columns[4].default_value.string_value = "1970-01-02"
        columns[2].description = "in years"
        table = schema_pb2.Table(
            columns=columns,
            indexes=[schema_pb2.Index(column="age"), schema_pb2.Index(column="name")],
            description="people",
        )
        response = await api.tables.CreateTable(pb.CreateTableRequest(table_id="users", table=table))
        made = response.table
        assert response.version == 1
        assert made.name == "hubs/default/tables/users"
        assert [(c.name, c.type, c.primary_key, c.required) for c in made.columns] == [
            (c.name, c.type, c.primary_key, c.required) for c in columns
        ]
        assert made.columns[2].default_value.int64_value == 18
        assert made.columns[3].default_value.float64_value == 2.0
        assert made.columns[4].default_value.timestamp_value == 86_400_000_000
        assert made.columns[2].description == "in years"
        assert {index.column: index.kind for index in made.indexes} == {
            "age": schema_pb2.INDEX_KIND_SORTED,
            "name": schema_pb2.INDEX_KIND_HASH,
        }
        assert (made.row_count, made.create_version, made.update_version) == (0, 1, 1)
        assert abs(made.create_time.seconds - time.time()) < 60
        assert made.description == "people"
        for name in ("users", made.name):
            found = (await api.tables.GetTable(pb.GetTableRequest(name=name))).table
            assert found.memory.total_bytes > found.memory_bytes == made.memory_bytes
            found.ClearField("memory")
            assert found == made


async def test_row_count_and_versions_follow_the_writes(api: Api) -> None:
    table = (await api.tables.GetTable(pb.GetTableRequest(name="users"))).table
    assert (table.row_count, table.create_version, table.update_version) == (5, 1, 2)
    assert table.memory_bytes > 0


async def test_validate_only_changes_nothing(api: Api) -> None:
    table = schema_pb2.Table(columns=user_columns(), description="never")
    request = pb.CreateTableRequest(table_id="other", table=table, validate_only=True)
    response = await api.tables.CreateTable(request)
    assert (response.version, response.table.description) == (0, "never")
    assert (await refused(api.tables.GetTable(pb.GetTableRequest(name="other")))).reason == "UNKNOWN_TABLE"
    update = pb.UpdateTableRequest(
        table=schema_pb2.Table(name="users", description="new", indexes=[schema_pb2.Index(column="name")]),
        update_mask=FieldMask(paths=["description", "indexes"]),
        validate_only=True,
    )
    changed = await api.tables.UpdateTable(update)
    assert (changed.version, changed.table.description) == (0, "new")
    assert [index.column for index in changed.table.indexes] == ["name"]
    table = (await api.tables.GetTable(pb.GetTableRequest(name="users"))).table
    assert (table.description, [index.column for index in table.indexes]) == ("", ["age"])


async def test_tables_are_listed_in_pages() -> None:
    async with serving() as (_, api):
        names = [f"t{number:02}" for number in range(7)]
        for name in reversed(names):
            await api.create_users(name)
        found: list[str] = []
        token, pages = "", 0
        while pages == 0 or token:
            response = await api.tables.ListTables(pb.ListTablesRequest(page_size=3, page_token=token))
            found += [table.name.rpartition("/")[2] for table in response.tables]
            token, pages = response.next_page_token, pages + 1
        assert (found, pages) == (names, 3)
        everything = await api.tables.ListTables(pb.ListTablesRequest(page_size=1_000_000))
        assert (len(everything.tables), everything.next_page_token) == (7, "")


async def test_a_page_token_survives_the_end_of_its_table() -> None:
    async with serving() as (_, api):
        for name in "abcd":
            await api.create_users(name)
        first = await api.tables.ListTables(pb.ListTablesRequest(page_size=2))
        await api.tables.DeleteTable(pb.DeleteTableRequest(name="b"))
        second = await api.tables.ListTables(pb.ListTablesRequest(page_size=2, page_token=first.next_page_token))
        assert [table.name[-1] for table in second.tables] == ["c", "d"]


async def test_indexes_and_description_can_be_changed(api: Api) -> None:
    request = pb.UpdateTableRequest(
        table=schema_pb2.Table(
            name="users", indexes=[schema_pb2.Index(column="name", kind=schema_pb2.INDEX_KIND_SORTED)], description="x"
        ),
        update_mask=FieldMask(paths=["indexes"]),
    )
    response = await api.tables.UpdateTable(request)
    assert [(index.column, index.kind) for index in response.table.indexes] == [("name", schema_pb2.INDEX_KIND_SORTED)]
    assert (response.table.description, response.version) == ("", 3)
    request.update_mask.paths[:] = ["description"]
    response = await api.tables.UpdateTable(request)
    assert response.table.description == "x"
    assert (await api.all_rows()).total_count == 5


async def test_a_renamed_table_keeps_rows_sessions_and_description(api: Api) -> None:
    await api.open("all")
    mask = FieldMask(paths=["description"])
    await api.tables.UpdateTable(
        pb.UpdateTableRequest(table=schema_pb2.Table(name="users", description="people"), update_mask=mask)
    )
    response = await api.tables.RenameTable(pb.RenameTableRequest(name="users", new_table_id="people"))
    assert response.table.name == "hubs/default/tables/people"
    assert (response.table.row_count, response.table.description) == (5, "people")
    assert (await refused(api.tables.GetTable(pb.GetTableRequest(name="users")))).reason == "UNKNOWN_TABLE"
    session = (await api.open("all", q.Query(table="people"))).query
    assert session.table == "hubs/default/tables/people"
    await api.insert([user(9)], table="people")


async def test_delete_table_frees_its_name(api: Api) -> None:
    assert (await api.tables.DeleteTable(pb.DeleteTableRequest(name="users"))).version == 3
    assert (await refused(api.tables.DeleteTable(pb.DeleteTableRequest(name="users")))).reason == "UNKNOWN_TABLE"
    again = await api.tables.DeleteTable(pb.DeleteTableRequest(name="users", allow_missing=True))
    assert again.version == 0
    assert (await api.create_users()).row_count == 0


async def test_a_composite_key_is_the_order_of_its_columns() -> None:
    async with serving() as (_, api):
        columns = [
            schema_pb2.Column(name="b", type=value_pb2.DATA_TYPE_STRING, primary_key=True),
            schema_pb2.Column(name="x", type=value_pb2.DATA_TYPE_INT64),
            schema_pb2.Column(name="a", type=value_pb2.DATA_TYPE_INT64, primary_key=True),
        ]
        request = pb.CreateTableRequest(table_id="t", table=schema_pb2.Table(columns=columns))
        made = (await api.tables.CreateTable(request)).table
        assert [column.name for column in made.columns if column.primary_key] == ["b", "a"]
