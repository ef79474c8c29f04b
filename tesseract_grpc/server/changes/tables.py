"""Definitions of tables: creating, changing, renaming and deleting them."""

from __future__ import annotations

from tesseract_grpc.engine.data.retention import check_memory_limit, check_retention
from tesseract_grpc.engine.data.schema import check_name
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.server.changes.retention import PATHS, asked_retention, set_retention
from tesseract_grpc.server.changes.swaps import keeps_named
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.alterations import decode_alterations
from tesseract_grpc.server.codec.queries import decode_query
from tesseract_grpc.server.codec.retention import (
    decode_memory_limit,
    decode_retention,
    encode_memory_limit,
    encode_retention,
)
from tesseract_grpc.server.codec.schemas import (
    check_description,
    decode_indexes,
    decode_schema,
    encode_columns,
    encode_indexes,
)
from tesseract_grpc.server.describe import encode_ended, encode_table
from tesseract_grpc.server.errors import fields_under, invalid
from tesseract_grpc.server.host import ANONYMOUS_PREFIX, Host, Note
from tesseract_grpc.server.lookup import QueryNames, naming
from tesseract_grpc.server.names import of_table, table_name
from tesseract_grpc.server.records import Moment

pb = twin.table_service
_PATHS = ("description", "indexes", *PATHS)


def create_table(
    host: Host, request: pb.CreateTableRequest, moment: Moment, aside: object = None
) -> pb.CreateTableResponse:
    """Creates a table, of its own columns or of what a query gives; with validate_only tells what would be."""
    table_id, definition = request.table_id, request.table
    check_name(table_id, "table", "table_id")
    check_description(definition.description, "table.description")
    table = _derive(host, request) if definition.HasField("query") else _define(host, request)
    note = Note(definition.description, moment.seconds)
    if request.validate_only:
        message = encode_table(host, table, note)
        if definition.HasField("query"):
            message.query.CopyFrom(definition.query)
        return pb.CreateTableResponse(table=message)
    host.table_notes[table_id] = note
    if host.hub.depends_on_time(table_id):
        host.move_clock(moment)
    host.defined()
    host.events.table_created(table_id, request.request_id)
    host.log.info("table.created", hub=host.name, table=table_id, columns=len(table.schema.visible))
    return pb.CreateTableResponse(table=encode_table(host, table), version=host.hub.version)


def _define(host: Host, request: pb.CreateTableRequest) -> Table:
    """A table of its own columns."""
    schema = decode_schema(request.table.columns, "table", host.config.max_columns)
    indexes = decode_indexes(request.table.indexes, "table")
    retention, limit = decode_retention(request.table, "table"), decode_memory_limit(request.table, "table")
    with naming(of_table(host.name, request.table_id), "table_id"), fields_under("table"):
        return host.hub.create_table(
            request.table_id,
            schema,
            indexes,
            retention=retention,
            memory_limit=limit,
            validate_only=request.validate_only,
        )


def _derive(host: Host, request: pb.CreateTableRequest) -> Table:
    """A table of what a query gives."""
    if request.table.columns:
        raise invalid("the columns of a derived table follow from its query; leave them out", "table.columns")
    if request.table.indexes:
        raise invalid("a derived table is created without indexes; add them with UpdateTable", "table.indexes")
    for path in PATHS:
        if request.table.HasField("retention" if path == "retention" else "memory_limit"):
            raise invalid(f"a derived table has no {path}: its rows follow from its query", f"table.{path}")
    query = decode_query(request.table.query, QueryNames(host), host.query_limits, "table.query")
    host.refuse_anonymous(query, "table.query")
    with naming(of_table(host.name, request.table_id), "table_id"), fields_under("table"):
        return host.hub.create_derived_table(request.table_id, query, validate_only=request.validate_only)


def update_table(
    host: Host, request: pb.UpdateTableRequest, moment: Moment, aside: object = None
) -> pb.UpdateTableResponse:
    """Changes a table's description, indexes, retention or memory limit."""
    id, paths = table_name(request.table.name, "table.name").id, list(request.update_mask.paths)
    if not paths:
        raise invalid(f"update_mask is empty; name what to change: {', '.join(_PATHS)}", "update_mask")
    for path in paths:
        if path not in _PATHS:
            raise invalid(f"'{path[:140]}' cannot be changed; {', '.join(_PATHS)} can", "update_mask")
    with naming(of_table(host.name, id), "table.name"):
        table = host.table(id)
    check_description(request.table.description, "table.description")
    indexes = decode_indexes(request.table.indexes, "table")
    asked = asked_retention(table, request.table, paths)
    set_retention(host, id, asked, validate_only=True)
    if request.validate_only:
        message = encode_table(host, table)
        if "indexes" in paths:
            with fields_under("table"):
                host.hub.set_indexes(id, indexes, validate_only=True)
            del message.indexes[:]
            message.indexes.extend(encode_indexes(index.resolved(table.schema) for index in indexes))
        if "description" in paths:
            message.description = request.table.description
        if asked is not None:
            encode_retention(check_retention(asked[0], table.schema), message)
            encode_memory_limit(check_memory_limit(asked[1]), message)
        return pb.UpdateTableResponse(table=message)
    if "indexes" in paths:
        with fields_under("table"):
            host.hub.set_indexes(id, indexes)
        host.defined()
    set_retention(host, id, asked, validate_only=False)
    if "description" in paths:
        host.table_notes.setdefault(id, Note("", moment.seconds)).description = request.table.description
    host.events.table_altered(id, request.request_id)
    return pb.UpdateTableResponse(table=encode_table(host, table), version=host.hub.version)


def rename_table(
    host: Host, request: pb.RenameTableRequest, moment: Moment, aside: object = None
) -> pb.RenameTableResponse:
    """Renames a table."""
    old, new = table_name(request.name, "name").id, request.new_table_id
    check_name(new, "table", "new_table_id")
    with naming(of_table(host.name, old), "name"):
        host.table(old)
    with naming(of_table(host.name, new), "new_table_id"):
        host.hub.rename_table(old, new)
    host.table_notes[new] = host.table_notes.pop(old, Note("", moment.seconds))
    host.defined()
    host.events.table_renamed(old, new, request.request_id)
    host.log.info("table.renamed", hub=host.name, table=old, new=new)
    return pb.RenameTableResponse(table=encode_table(host, host.hub.table(new)), version=host.hub.version)


def delete_table(
    host: Host, request: pb.DeleteTableRequest, moment: Moment, aside: object = None
) -> pb.DeleteTableResponse:
    """Deletes a table; its sessions and all watches on it end."""
    id = table_name(request.name, "name").id
    if request.allow_missing and id not in host.hub.tables:
        return pb.DeleteTableResponse()
    with naming(of_table(host.name, id), "name"):
        host.drop_table(id)
    host.events.table_deleted(id, request.request_id)
    host.log.info("table.deleted", hub=host.name, table=id)
    return pb.DeleteTableResponse(version=host.hub.version)


def refuse_unnamed(host: Host, request: pb.AlterTableRequest, moment: Moment) -> None:
    """Raises PreconditionFailed when an alteration would end an anonymous session, of which the log knows nothing.

    It is worked out for that as for a check, where there are such sessions at all.
    """
    if any(name.startswith(ANONYMOUS_PREFIX) for name in host.hub.sessions):
        id = table_name(request.name, "name").id
        with naming(of_table(host.name, id), "name"):
            asked = decode_alterations(request.alterations, host.table(id).schema)
        host.hub.alter_table(id, asked, lambda session: True, validate_only=True, at=moment.time_us)


def alter_table(
    host: Host, request: pb.AlterTableRequest, moment: Moment, aside: object = None
) -> pb.AlterTableResponse:
    """Alters a table that is in use; with validate_only tells what would be."""
    id = table_name(request.name, "name").id
    with naming(of_table(host.name, id), "name"):
        table = host.table(id)
    asked = decode_alterations(request.alterations, table.schema)
    keeps = keeps_named(request.keep_sessions)
    altered = host.hub.alter_table(id, asked, keeps, validate_only=request.validate_only, at=moment.time_us)
    sessions, count = encode_ended(host, altered.ended)
    response = pb.AlterTableResponse(
        table=encode_table(host, table),
        version=altered.version,
        ended_sessions=sessions,
        ended_session_count=count,
        rewritten_rows=altered.rewritten,
    )
    if request.validate_only:
        del response.table.columns[:], response.table.indexes[:]
        response.table.columns.extend(encode_columns(altered.columns))
        response.table.indexes.extend(encode_indexes(altered.indexes))
        return response
    host.rebound(altered, f"table '{id}' was altered")
    host.events.table_altered(id, request.request_id)
    host.log.info("table.altered", hub=host.name, table=id, alterations=len(asked), ended=len(altered.ended))
    return response
