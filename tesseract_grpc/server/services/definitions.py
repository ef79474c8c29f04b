"""TableService: creating, reading, changing and deleting tables."""

from __future__ import annotations

from typing import Any

from tesseract_grpc.engine.data.table_memory import table_memory
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.changes import tables
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.retention import encode_memory
from tesseract_grpc.server.describe import encode_table
from tesseract_grpc.server.host import Hosts
from tesseract_grpc.server.lookup import find_table
from tesseract_grpc.server.names import hub_id, table_name
from tesseract_grpc.server.paging import page

pb = twin.table_service


class Definitions:
    """The definitions of tables."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def create_table(self, request: pb.CreateTableRequest, call: Call) -> pb.CreateTableResponse:
        """Creates a table."""
        host = self._hosts.find(hub_id(request.parent, "parent"), "parent")
        if request.validate_only:
            moment = host.journal.moment()
            with host.hub.at(moment.time_us):
                return tables.create_table(host, request, moment)
        response: pb.CreateTableResponse = await host.journal.propose(request, moves_clock=True)
        return response

    async def get_table(self, request: pb.GetTableRequest, call: Call) -> pb.GetTableResponse:
        """Returns one table."""
        host, table = find_table(self._hosts, request.name, "name")
        message = encode_table(host, table)
        encode_memory(table_memory(table), message)
        return pb.GetTableResponse(table=message)

    async def list_tables(self, request: pb.ListTablesRequest, call: Call) -> pb.ListTablesResponse:
        """Returns a page of tables."""
        host = self._hosts.find(hub_id(request.parent, "parent"), "parent")
        ids, token = page(host.hub.tables, request.page_size, request.page_token)
        return pb.ListTablesResponse(
            tables=[encode_table(host, host.table(each)) for each in ids], next_page_token=token
        )

    async def update_table(self, request: pb.UpdateTableRequest, call: Call) -> pb.UpdateTableResponse:
        """Changes a table's description or indexes."""
        host = self._hosts.find(table_name(request.table.name, "table.name").hub, "table.name")
        if request.validate_only:
            return tables.update_table(host, request, host.journal.moment())
        response: pb.UpdateTableResponse = await host.journal.propose(request)
        return response

    async def alter_table(self, request: pb.AlterTableRequest, call: Call) -> pb.AlterTableResponse:
        """Changes the columns, key or indexes of a table."""
        host = self._hosts.find(table_name(request.name, "name").hub, "name")
        if request.validate_only:
            return tables.alter_table(host, request, host.journal.moment())
        if request.keep_sessions and host.memory.recall(request) is None:
            tables.refuse_unnamed(host, request, host.journal.moment())
        response: pb.AlterTableResponse = await host.journal.propose(request)
        return response

    async def rename_table(self, request: pb.RenameTableRequest, call: Call) -> pb.RenameTableResponse:
        """Renames a table."""
        response: pb.RenameTableResponse = await self._propose(request)
        return response

    async def delete_table(self, request: pb.DeleteTableRequest, call: Call) -> pb.DeleteTableResponse:
        """Deletes a table."""
        response: pb.DeleteTableResponse = await self._propose(request)
        return response

    async def _propose(self, request: pb.RenameTableRequest | pb.DeleteTableRequest) -> Any:
        host = self._hosts.find(table_name(request.name, "name").hub, "name")
        return await host.journal.propose(request)
