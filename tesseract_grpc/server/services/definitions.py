"""TableService: creating, reading, changing and deleting tables."""

from __future__ import annotations

from tesseract_grpc.engine.data.schema import check_name
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.queries import decode_query, encode_query
from tesseract_grpc.server.codec.schemas import (
    check_description,
    decode_indexes,
    decode_schema,
    encode_columns,
    encode_indexes,
)
from tesseract_grpc.server.codec.values import encode_time
from tesseract_grpc.server.errors import fields_under, invalid
from tesseract_grpc.server.host import Host, Hosts, Note
from tesseract_grpc.server.logs import logger
from tesseract_grpc.server.names import hub_id, of_table, table_name
from tesseract_grpc.server.paging import page
from tesseract_grpc.server.services.lookup import QueryNames, find_table, naming

pb = twin.table_service
_PATHS = ("description", "indexes")


class Definitions:
    """The definitions of tables."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def create_table(self, request: pb.CreateTableRequest, call: Call) -> pb.CreateTableResponse:
        """Creates a table."""
        host = self._hosts.find(hub_id(request.parent, "parent"), "parent")
        return host.memory.once(request, lambda: self._create(host, request), dry=request.validate_only)

    def _create(self, host: Host, request: pb.CreateTableRequest) -> pb.CreateTableResponse:
        table_id, definition = request.table_id, request.table
        check_name(table_id, "table", "table_id")
        check_description(definition.description, "table.description")
        table = self._derive(host, request) if definition.HasField("query") else self._define(host, request)
        note = host.note(definition.description)
        if request.validate_only:
            message = encode_table(host, table, note)
            if definition.HasField("query"):
                message.query.CopyFrom(definition.query)
            return pb.CreateTableResponse(table=message)
        host.table_notes[table_id] = note
        host.defined()
        logger().info("table.created", hub=host.name, table=table_id, columns=len(table.schema.columns))
        return pb.CreateTableResponse(table=encode_table(host, table), version=host.hub.version)

    def _define(self, host: Host, request: pb.CreateTableRequest) -> Table:
        """A table of its own columns."""
        schema = decode_schema(request.table.columns, "table", self._hosts.config.max_columns)
        indexes = decode_indexes(request.table.indexes, "table")
        with naming(of_table(host.name, request.table_id), "table_id"), fields_under("table"):
            return host.hub.create_table(request.table_id, schema, indexes, validate_only=request.validate_only)

    def _derive(self, host: Host, request: pb.CreateTableRequest) -> Table:
        """A table of what a query gives."""
        if request.table.columns:
            raise invalid("the columns of a derived table follow from its query; leave them out", "table.columns")
        if request.table.indexes:
            raise invalid("a derived table is created without indexes; add them with UpdateTable", "table.indexes")
        host.freshen()
        query = decode_query(request.table.query, QueryNames(host), host.query_limits, "table.query")
        with naming(of_table(host.name, request.table_id), "table_id"), fields_under("table"):
            return host.hub.create_derived_table(request.table_id, query, validate_only=request.validate_only)

    async def get_table(self, request: pb.GetTableRequest, call: Call) -> pb.GetTableResponse:
        """Returns one table."""
        host, table = find_table(self._hosts, request.name, "name")
        return pb.GetTableResponse(table=encode_table(host, table))

    async def list_tables(self, request: pb.ListTablesRequest, call: Call) -> pb.ListTablesResponse:
        """Returns a page of tables."""
        host = self._hosts.find(hub_id(request.parent, "parent"), "parent")
        ids, token = page(host.hub.tables, request.page_size, request.page_token)
        return pb.ListTablesResponse(
            tables=[encode_table(host, host.table(each)) for each in ids], next_page_token=token
        )

    async def update_table(self, request: pb.UpdateTableRequest, call: Call) -> pb.UpdateTableResponse:
        """Changes a table's description or indexes."""
        name = table_name(request.table.name, "table.name")
        host = self._hosts.find(name.hub, "table.name")
        return host.memory.once(request, lambda: self._update(host, name.id, request), dry=request.validate_only)

    def _update(self, host: Host, id: str, request: pb.UpdateTableRequest) -> pb.UpdateTableResponse:
        paths = list(request.update_mask.paths)
        if not paths:
            raise invalid(f"update_mask is empty; name what to change: {', '.join(_PATHS)}", "update_mask")
        for path in paths:
            if path not in _PATHS:
                raise invalid(f"'{path[:140]}' cannot be changed; {', '.join(_PATHS)} can", "update_mask")
        with naming(of_table(host.name, id), "table.name"):
            table = host.table(id)
        check_description(request.table.description, "table.description")
        indexes = decode_indexes(request.table.indexes, "table")
        note = host.table_notes.setdefault(id, host.note())
        if request.validate_only:
            message = encode_table(host, table)
            if "indexes" in paths:
                with fields_under("table"):
                    host.hub.set_indexes(id, indexes, validate_only=True)
                del message.indexes[:]
                message.indexes.extend(encode_indexes(index.resolved(table.schema) for index in indexes))
            if "description" in paths:
                message.description = request.table.description
            return pb.UpdateTableResponse(table=message)
        if "indexes" in paths:
            with fields_under("table"):
                host.hub.set_indexes(id, indexes)
            host.defined()
        if "description" in paths:
            note.description = request.table.description
        return pb.UpdateTableResponse(table=encode_table(host, table), version=host.hub.version)

    async def rename_table(self, request: pb.RenameTableRequest, call: Call) -> pb.RenameTableResponse:
        """Renames a table."""
        name = table_name(request.name, "name")
        host = self._hosts.find(name.hub, "name")
        return host.memory.once(request, lambda: self._rename(host, name.id, request.new_table_id))

    def _rename(self, host: Host, old: str, new: str) -> pb.RenameTableResponse:
        check_name(new, "table", "new_table_id")
        with naming(of_table(host.name, old), "name"):
            host.table(old)
        with naming(of_table(host.name, new), "new_table_id"):
            host.hub.rename_table(old, new)
        host.table_notes[new] = host.table_notes.pop(old, host.note())
        host.defined()
        logger().info("table.renamed", hub=host.name, table=old, new=new)
        return pb.RenameTableResponse(table=encode_table(host, host.hub.table(new)), version=host.hub.version)

    async def delete_table(self, request: pb.DeleteTableRequest, call: Call) -> pb.DeleteTableResponse:
        """Deletes a table."""
        name = table_name(request.name, "name")
        host = self._hosts.find(name.hub, "name")
        return host.memory.once(request, lambda: self._delete(host, name.id, request.allow_missing))

    def _delete(self, host: Host, id: str, allow_missing: bool) -> pb.DeleteTableResponse:
        if allow_missing and id not in host.hub.tables:
            return pb.DeleteTableResponse()
        with naming(of_table(host.name, id), "name"):
            host.drop_table(id)
        logger().info("table.deleted", hub=host.name, table=id)
        return pb.DeleteTableResponse(version=host.hub.version)


def encode_table(host: Host, table: Table, note: Note | None = None) -> twin.schema.Table:
    """A table as a message. `note` stands in for that of a table which is not created yet."""
    note = note or host.table_notes.setdefault(table.name, host.note())
    message = twin.schema.Table(
        name=of_table(host.name, table.name),
        columns=encode_columns(table.schema.columns),
        indexes=encode_indexes(index.schema for index in table.indexes.values()),
        row_count=table.row_count,
        memory_bytes=table.memory_bytes(),
        create_version=table.create_version,
        update_version=table.update_version,
        description=note.description,
    )
    query = host.hub.derived_tables.get(table.name)
    if query is not None:
        message.query.CopyFrom(encode_query(query, QueryNames(host)))
    encode_time(note.create_time, message.create_time)
    return message
