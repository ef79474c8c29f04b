"""What happens in a vector, in the words of the tests: tables, rows, questions and steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import field_mask_pb2

from tesseract_grpc._proto.tesseract.v1 import query_pb2, schema_pb2, session_service_pb2, table_service_pb2
from tests import wire
from tests.vectors.vector import Json, Vector, plain

TYPES = {
    "id": "int64",
    "name": "string",
    "qty": "int64",
    "price": "float64",
    "at": "timestamp",
    "ok": "bool",
    "doc": "json",
    "grade": "enum",
}
LEVELS = ("low", "high")
Row = Mapping[str, Any]


def item(id: int, name: str | None = "", qty: int | None = None, **values: Any) -> dict[str, Any]:
    """A row of the table `items`."""
    qty = id * 10 if qty is None else qty
    row = {"id": id, "name": f"item {id}" if name == "" else name, "qty": qty, "price": id + 0.5, "at": id * 1_000_000}
    return {**row, "ok": id % 2 == 0, "doc": f'{{"n":{id}}}', "grade": LEVELS[id % 2], **values}


def items(name: str = "items") -> Json:
    """Creates a table with a column of every type."""
    columns = wire.columns(TYPES, ["id"])
    columns[-1].enum_values.extend(LEVELS)
    return table(name, columns)


def table(name: str, columns: Sequence[schema_pb2.Column]) -> Json:
    """Creates a table."""
    request = table_service_pb2.CreateTableRequest(table_id=name, table=schema_pb2.Table(columns=columns))
    return {"create_table": plain(request)}


def commit(*operations: table_service_pb2.WriteOperation) -> Json:
    """One commit."""
    return {"write": plain(table_service_pb2.WriteRequest(operations=operations))}


def insert(*rows: Row, table: str = "items", types: wire.Types = TYPES) -> table_service_pb2.WriteOperation:
    """New rows."""
    return table_service_pb2.WriteOperation(table=table, insert=table_service_pb2.Insert(rows=wire.batch(rows, types)))


def update(*rows: Row, table: str = "items", types: wire.Types = TYPES) -> table_service_pb2.WriteOperation:
    """Other values of some columns; all rows have the same."""
    return table_service_pb2.WriteOperation(table=table, update=table_service_pb2.Update(rows=wire.batch(rows, types)))


def delete(*keys: Any, table: str = "items", column: str = "id", types: wire.Types = TYPES) -> Any:
    """Deletes rows."""
    rows = wire.batch([{column: key} for key in keys], types)
    return table_service_pb2.WriteOperation(table=table, delete=table_service_pb2.Delete(keys=rows))


def by(*columns: str) -> list[query_pb2.SortKey]:
    """An order; a name with a minus descends."""
    return [
        query_pb2.SortKey(
            column=name.lstrip("-"),
            direction=query_pb2.SORT_DIRECTION_DESCENDING
            if name.startswith("-")
            else query_pb2.SORT_DIRECTION_ASCENDING,
        )
        for name in columns
    ]


def asks(filter: str = "", sort: Sequence[str] = (), columns: Sequence[str] = (), **parts: Any) -> query_pb2.Query:
    """A question of the table `items`, unless `source` is given."""
    where = query_pb2.Filter(custom=filter) if filter else None
    origin = {} if "source" in parts else {"table": parts.pop("table", "items")}
    return query_pb2.Query(filter=where, sort=by(*sort), columns=columns, **origin, **parts)


def groups(*by: str, mode: str = "FLAT", leafs: bool = False, **aggregates: str) -> query_pb2.Grouping:
    """Groups with aggregates: name="sum qty" and the like."""
    made = []
    for name, text in aggregates.items():
        function, _, column = text.partition(" ")
        kind = getattr(query_pb2, f"AGGREGATE_FUNCTION_{function.upper()}")
        made.append(query_pb2.Aggregate(name=name, function=kind, column=column))
    shape = getattr(query_pb2, f"GROUP_MODE_{mode}")
    return query_pb2.Grouping(by=by, aggregates=made, mode=shape, include_leafs=leafs)


def edit(session: str, query: query_pb2.Query, *mask: str) -> Json:
    """Edits the session."""
    request = session_service_pb2.UpdateSessionRequest(
        session=session_service_pb2.Session(name=session, query=query), update_mask=field_mask_pb2.FieldMask(paths=mask)
    )
    return {"update_session": plain(request)}


def scene(
    name: str,
    about: str,
    *steps: Json,
    shows: str,
    query: query_pb2.Query | None = None,
    rows: Sequence[Row] = (),
    setup: Sequence[Json] = (),
    watch: session_service_pb2.WatchSessionRequest | None = None,
    server: Mapping[str, Any] | None = None,
) -> Vector:
    """A vector as far as it is written by hand. Unless `setup` makes its own, there is a table `items` with `rows`."""
    prepared = list(setup) or [items(), *([commit(insert(*rows))] if rows else [])]
    session = session_service_pb2.Session(query=query or asks())
    request = session_service_pb2.CreateSessionRequest(session_id=name, session=session)
    prepared.append({"create_session": plain(request)})
    asked = watch or session_service_pb2.WatchSessionRequest()
    asked.name = name
    return Vector(name, about, shows.split(", "), dict(server or {}), prepared, plain(asked), list(steps))


def windowed(offset: int, limit: int | None = None, **options: Any) -> session_service_pb2.WatchSessionRequest:
    """A watch of a window."""
    return session_service_pb2.WatchSessionRequest(window=query_pb2.Window(offset=offset, limit=limit), **options)


PROGRESS: Json = {"progress": True}
"""The server is asked to say Progress."""
DELETE_SESSION: Json = {"delete_session": True}
"""The session is deleted: the watch ends."""


def away(how: str, *meanwhile: Json) -> Json:
    """The client is not connected during some steps. `how` is "disconnect" (the connection breaks), "restart" (and the
    server starts again over its data), "new_epoch" (and in another epoch), "forged" (the token reaches the server
    damaged), "gone" (what is watched is not there any more), "ended" (the server ends the call without an error),
    "silence" (it says nothing any more), "no_token" (a disconnect after a message without a token); "lose" (of two
    steps the first does not reach the client, and the second shows a gap); or a way to damage what the next step leads
    to (`damage.DAMAGES`), or how the next stream begins (`damage.RESUMES`)."""
    return {"away": {"how": how, "meanwhile": list(meanwhile)}}


def alter(*alterations: table_service_pb2.Alteration, table: str = "items") -> Json:
    """The table is altered."""
    return {"alter_table": plain(table_service_pb2.AlterTableRequest(name=table, alterations=alterations))}


def swap(one: str, other: str) -> Json:
    """Two tables are exchanged."""
    return {"swap_tables": plain(table_service_pb2.SwapTablesRequest(name=one, other=other))}


def ends(step: Json) -> Json:
    """A step that ends the watch."""
    return {"ends": step}


REMOVE_SESSION: Json = {"remove_session": True}
"""The session is deleted while nobody watches."""


def drop_table(name: str = "items") -> Json:
    """The table is deleted."""
    return {"delete_table": name}


def advance(seconds: float) -> Json:
    """Time passes."""
    return {"advance": seconds}
