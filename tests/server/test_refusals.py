"""What is wrong is refused, through the socket, with code, reason and field; and refusing changes nothing.

Each case is one call that must fail. They all go to one server, one after the other; at the end its tables hold what
they held, the version has not moved, the structures are sound, and it still serves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.internal import encoder
from grpc import StatusCode

from tesseract_grpc._proto.tesseract.v1 import change_pb2 as cpb
from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2 as hpb
from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc._proto.tesseract.v1 import value_pb2
from tesseract_grpc._proto.tesseract.v1.schema_pb2 import Column, Index, Table
from tesseract_grpc._proto.tesseract.v1.value_pb2 import Value
from tesseract_grpc.server import ServerConfig
from tests.server.support import (
    Api,
    compare,
    insert,
    refused,
    rows,
    serving,
    sort,
    take_apart,
    user,
    user_columns,
)

INVALID, MISSING, EXISTS = StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND, StatusCode.ALREADY_EXISTS
STATE, LIMIT = StatusCode.FAILED_PRECONDITION, StatusCode.RESOURCE_EXHAUSTED
INT64, FLOAT64, STRING, JSON, ENUM = (
    value_pb2.DATA_TYPE_INT64,
    value_pb2.DATA_TYPE_FLOAT64,
    value_pb2.DATA_TYPE_STRING,
    value_pb2.DATA_TYPE_JSON,
    value_pb2.DATA_TYPE_ENUM,
)


@dataclass(frozen=True)
class Case:
    """One call that must be refused: how, why, and which field is to blame."""

    name: str
    code: StatusCode
    reason: str
    field: str
    call: Callable[[Api], Awaitable[Any]]


def write(*operations: pb.WriteOperation, **options: Any) -> Callable[[Api], Awaitable[Any]]:
    return lambda api: api.write(*operations, **options)


def one(kind: str, batch: value_pb2.RowBatch, table: str = "users", **options: Any) -> Callable[[Api], Awaitable[Any]]:
    """A commit of one operation with this batch."""
    inner: Any = {
        "insert": pb.Insert, "upsert": pb.Upsert, "update": pb.Update, "increment": pb.Increment,
    }[kind](rows=batch)  # fmt: skip
    return write(pb.WriteOperation(table=table, **{kind: inner}, **options))


def change(**columns: Any) -> value_pb2.RowBatch:
    """One row: its columns by name, ColumnData without the name."""
    batch = value_pb2.RowBatch(row_count=1)
    for name, data in columns.items():
        batch.columns.add(name=name).MergeFrom(data)
    return batch


def ints(*values: int) -> value_pb2.ColumnData:
    return value_pb2.ColumnData(int64s=value_pb2.Int64Values(values=values))


def floats(*values: float) -> value_pb2.ColumnData:
    return value_pb2.ColumnData(float64s=value_pb2.Float64Values(values=values))


def texts(*values: str) -> value_pb2.ColumnData:
    return value_pb2.ColumnData(strings=value_pb2.StringValues(values=values))


def null(data: value_pb2.ColumnData) -> value_pb2.ColumnData:
    """The same values, the first of them null."""
    data.validity = b"\x00"
    return data


def query(window: q.Window | None = None, **fields: Any) -> Callable[[Api], Awaitable[Any]]:
    request = pb.QueryRequest(query=q.Query(**{"table": "users", **fields}), window=window)
    return lambda api: api.tables.Query(request)


def where(filter: q.Filter) -> Callable[[Api], Awaitable[Any]]:
    return query(filter=filter)


def create(columns: list[Column], table_id: str = "other", **table: Any) -> Callable[[Api], Awaitable[Any]]:
    request = pb.CreateTableRequest(table_id=table_id, table=Table(columns=columns, **table))
    return lambda api: api.tables.CreateTable(request)


def update(**table: Any) -> Callable[[Api], Awaitable[Any]]:
    request = pb.UpdateTableRequest(table=Table(name="users", **table), update_mask=FieldMask(paths=list(table)))
    return lambda api: api.tables.UpdateTable(request)


def key(name: str = "id", **fields: Any) -> Column:
    return Column(name=name, **{"type": INT64, "primary_key": True, **fields})


def session(**fields: Any) -> Callable[[Api], Awaitable[Any]]:
    request = spb.CreateSessionRequest(**{"session": spb.Session(query=q.Query(table="users")), **fields})
    return lambda api: api.sessions.CreateSession(request)


def watch(**fields: Any) -> Callable[[Api], Awaitable[Any]]:
    async def read(api: Api) -> Any:
        return await api.sessions.WatchSession(spb.WatchSessionRequest(**{"name": "adults", **fields})).read()

    return read


def watch_table(**fields: Any) -> Callable[[Api], Awaitable[Any]]:
    async def read(api: Api) -> Any:
        return await api.tables.WatchTable(pb.WatchTableRequest(**{"table": "users", **fields})).read()

    return read


def watch_sessions(*sessions: Mapping[str, Any], **fields: Any) -> Callable[[Api], Awaitable[Any]]:
    """A watch of several sessions, each `adults` unless it says otherwise."""

    async def read(api: Api) -> Any:
        asked = [spb.WatchSessionRequest(**{"name": "adults", **each}) for each in sessions]
        return await api.sessions.WatchSessions(spb.WatchSessionsRequest(sessions=asked, **fields)).read()

    return read


def deep(levels: int) -> q.Filter:
    """A filter nested `levels` deep."""
    node = compare("age", "EQUAL", int64_value=1)
    for _ in range(levels - 1):
        node = q.Filter(negate=node)
    return node


def bottomless() -> bytes:
    """A QueryRequest with a filter of 120 negations: more than a protobuf library writes, or reads."""
    node = b""
    for tag in [3] * 120 + [2, 2]:  # Filter.negate, then Query.filter, then QueryRequest.query
        node = encoder.TagBytes(tag, 2) + encoder._VarintBytes(len(node)) + node  # type: ignore[attr-defined]
    return node


def raw(method: str, payload: bytes) -> Callable[[Api], Awaitable[Any]]:
    async def call(api: Api) -> Any:
        return await api.raw.unary_unary(f"/tesseract.v1.{method}")(payload)

    return call


OP = "operations[0]"
SHORT_AND_LONG = change(id=ints(9), name=texts("a", "b"))
TWO_ROWS_ONE_BYTE = value_pb2.RowBatch(
    row_count=9, columns=[value_pb2.ColumnData(name="id", validity=b"\xff", int64s=ints(*range(9)).int64s)]
)
UNKNOWN_CODE = change(
    id=ints(9), name=value_pb2.ColumnData(dictionary=value_pb2.DictionaryValues(dictionary=["a"], codes=[1]))
)
TWICE = value_pb2.RowBatch(row_count=1, columns=[ints(9), ints(9)])
for _column in TWICE.columns:
    _column.name = "id"

CASES = [
    # Writes: what they name.
    Case("unknown table", MISSING, "UNKNOWN_TABLE", f"{OP}.table", one("insert", rows([user(9)]), "nobody")),
    Case("no table", INVALID, "BAD_NAME", f"{OP}.table", one("insert", rows([user(9)]), "")),
    Case("bad table name", INVALID, "BAD_NAME", f"{OP}.table", one("insert", rows([user(9)]), "a/b")),
    Case("table of another hub", INVALID, "BAD_NAME", f"{OP}.table",
         one("insert", rows([user(9)]), "hubs/other/tables/users")),
    Case("unknown hub", MISSING, "UNKNOWN_HUB", "parent", write(insert([user(9)]), parent="hubs/other")),
    Case("no operations", INVALID, "MALFORMED_REQUEST", "operations", write()),
    Case("nothing to do", INVALID, "MALFORMED_REQUEST", OP, write(pb.WriteOperation(table="users"))),
    Case("unknown column", INVALID, "UNKNOWN_COLUMN", f"{OP}.insert.rows.columns[nobody]",
         one("insert", change(id=ints(9), nobody=ints(1)))),
    # Writes: what the values are.
    Case("wrong type", INVALID, "WRONG_TYPE", "age", one("update", change(id=ints(1), age=texts("x")))),
    Case("fraction in INT64", INVALID, "WRONG_TYPE", "age", one("update", change(id=ints(1), age=floats(1.5)))),
    Case("inexact in FLOAT64", INVALID, "WRONG_TYPE", "score",
         one("update", change(id=ints(1), score=ints(2**53 + 1)))),
    Case("beyond int64", StatusCode.OUT_OF_RANGE, "INT64_OVERFLOW", "age",
         one("update", change(id=ints(1), age=floats(1e19)))),
    Case("increment beyond int64", StatusCode.OUT_OF_RANGE, "INT64_OVERFLOW", "age",
         one("increment", change(id=ints(1), age=ints(2**63 - 1)))),
    Case("increment of a text", INVALID, "WRONG_TYPE", f"{OP}.increment.rows.columns[name]",
         one("increment", change(id=ints(1), name=ints(1)))),
    Case("null where required", INVALID, "NULL_NOT_ALLOWED", "name",
         one("upsert", change(id=ints(9), name=null(texts(""))))),
    Case("required column left out", INVALID, "NULL_NOT_ALLOWED", "name", one("insert", change(id=ints(9)))),
    Case("not an enum name", INVALID, "BAD_ENUM_VALUE", "level",
         one("update", change(id=ints(1), level=texts("middle")))),
    Case("not JSON", INVALID, "BAD_JSON", "notes", one("update", change(id=ints(1), notes=texts("{")))),
    Case("not a time", INVALID, "BAD_TIMESTAMP", "born", one("update", change(id=ints(1), born=texts("yesterday")))),
    Case("text too long", LIMIT, "LIMIT_EXCEEDED", "name", one("update", change(id=ints(1), name=texts("x" * 5_000)))),
    # Writes: keys.
    Case("null key", INVALID, "NULL_KEY", "id", one("insert", change(id=null(ints(0)), name=texts("a")))),
    Case("missing key", INVALID, "MISSING_KEY", f"{OP}.insert.rows.columns[id]",
         one("insert", change(name=texts("a")))),
    Case("NaN key", INVALID, "NAN_KEY", "id", one("insert", change(id=floats(float("nan")), name=texts("a")))),
    Case("text key", INVALID, "WRONG_TYPE", "id", one("insert", change(id=texts("9"), name=texts("a")))),
    Case("duplicate insert", EXISTS, "DUPLICATE_KEY", "", one("insert", rows([user(1)]))),
    Case("one key twice", EXISTS, "DUPLICATE_KEY", "", one("insert", rows([user(9), user(9)]))),
    Case("update of nobody", MISSING, "KEY_NOT_FOUND", "", one("update", change(id=ints(9), age=ints(1)))),
    Case("increment of nobody", MISSING, "KEY_NOT_FOUND", "", one("increment", change(id=ints(9), age=ints(1)))),
    Case("delete of nobody", MISSING, "KEY_NOT_FOUND", "",
         write(pb.WriteOperation(table="users", delete=pb.Delete(keys=change(id=ints(9)), must_exist=True)))),
    # Writes: conditions and deletes.
    Case("another version", STATE, "CONDITION_NOT_MET", "",
         one("update", change(id=ints(1), age=ints(1)), condition=pb.WriteCondition(if_version=1_000))),
    Case("present after all", STATE, "CONDITION_NOT_MET", "",
         one("upsert", rows([user(1)]), condition=pb.WriteCondition(if_absent=True))),
    Case("condition on unknown column", INVALID, "UNKNOWN_COLUMN", f"{OP}.condition.if_filter.comparison.column",
         one("update", change(id=ints(1), age=ints(1)),
             condition=pb.WriteCondition(if_filter=compare("nobody", "EQUAL", int64_value=1)))),
    Case("delete of what", INVALID, "MALFORMED_REQUEST", f"{OP}.delete",
         write(pb.WriteOperation(table="users", delete=pb.Delete()))),
    Case("delete by keys and filter", INVALID, "MALFORMED_REQUEST", f"{OP}.delete",
         write(pb.WriteOperation(table="users", delete=pb.Delete(keys=change(id=ints(1)), filter=q.Filter())))),
    Case("delete by an empty filter", INVALID, "MALFORMED_REQUEST", f"{OP}.delete.filter",
         write(pb.WriteOperation(table="users", delete=pb.Delete(filter=q.Filter())))),
    Case("second operation refuses both", EXISTS, "DUPLICATE_KEY", "", write(insert([user(9)]), insert([user(1)]))),
    # Writes: the form of a batch.
    Case("ragged", INVALID, "MALFORMED_BATCH", f"{OP}.insert.rows.columns[1].strings", one("insert", SHORT_AND_LONG)),
    Case("short bitmap", INVALID, "MALFORMED_BATCH", f"{OP}.insert.rows.columns[0].validity",
         one("insert", TWO_ROWS_ONE_BYTE)),
    Case("unknown code", INVALID, "MALFORMED_BATCH", f"{OP}.insert.rows.columns[1].dictionary.codes",
         one("insert", UNKNOWN_CODE)),
    Case("column twice", INVALID, "DUPLICATE_COLUMN", f"{OP}.insert.rows.columns[1]", one("insert", TWICE)),
    Case("too many rows", LIMIT, "LIMIT_EXCEEDED", "operations", one("insert", value_pb2.RowBatch(row_count=1_001))),
    Case("table full", LIMIT, "LIMIT_EXCEEDED", "", one("insert", rows([user(id) for id in range(100, 200)]))),
    Case("request id too long", INVALID, "MALFORMED_REQUEST", "request_id",
         write(insert([user(9)]), request_id="x" * 65)),
    Case("request id of another request", INVALID, "REQUEST_ID_REUSED", "request_id",
         write(insert([user(9)]), request_id="first")),
    # The bytes themselves.
    Case("not a message", INVALID, "MALFORMED_REQUEST", "", raw("TableService/Write", b"\xff\xff\xff")),
    Case("not UTF-8", INVALID, "MALFORMED_REQUEST", "", raw("TableService/GetTable", b"\x0a\x01\xff")),
    Case("oversize message", LIMIT, "LIMIT_EXCEEDED", "", raw("TableService/Write", b"\x0a" + bytes(70_000))),
    # Queries.
    Case("query of an unknown table", MISSING, "UNKNOWN_TABLE", "query.table", query(table="nobody")),
    Case("selected unknown column", INVALID, "UNKNOWN_COLUMN", "query.columns", query(columns=["nobody"])),
    Case("selected twice", INVALID, "DUPLICATE_COLUMN", "query.columns", query(columns=["age", "age"])),
    Case("sort by unknown column", INVALID, "UNKNOWN_COLUMN", "query.sort[0].column", query(sort=[sort("nobody")])),
    Case("sort by JSON", INVALID, "BAD_SORT", "query.sort[0].column", query(sort=[sort("notes")])),
    Case("unknown direction", INVALID, "BAD_SORT", "query.sort[0].direction",
         query(sort=[q.SortKey(column="age", direction=9)])),  # type: ignore[arg-type]
    Case("negative limit", INVALID, "BAD_WINDOW", "window.limit", query(q.Window(limit=-1))),
    Case("negative offset", INVALID, "BAD_WINDOW", "window.offset", query(q.Window(offset=-1))),
    Case("future min_version", StatusCode.UNAVAILABLE, "VERSION_NOT_REACHED", "min_version",
         lambda api: api.tables.Query(pb.QueryRequest(query=q.Query(table="users"), min_version=10**12))),
    Case("rows by unknown keys column", INVALID, "UNKNOWN_COLUMN", "",
         lambda api: api.tables.GetRows(pb.GetRowsRequest(table="users", keys=change(id=ints(1), nobody=ints(1))))),
    Case("rows without keys", INVALID, "MISSING_KEY", "keys.columns[id]",
         lambda api: api.tables.GetRows(pb.GetRowsRequest(table="users", keys=value_pb2.RowBatch(row_count=1)))),
    # Filters.
    Case("filter on unknown column", INVALID, "UNKNOWN_COLUMN", "query.filter.comparison.column",
         where(compare("nobody", "EQUAL", int64_value=1))),
    Case("text against a number", INVALID, "WRONG_TYPE", "query.filter.comparison.value",
         where(compare("name", "EQUAL", int64_value=1))),
    Case("no operator", INVALID, "MALFORMED_FILTER", "query.filter.comparison.operator",
         where(compare("age", "UNSPECIFIED", int64_value=1))),
    Case("less than null", INVALID, "MALFORMED_FILTER", "query.filter.comparison.value", where(compare("age", "LESS"))),
    Case("JSON compared", INVALID, "WRONG_TYPE", "query.filter.comparison.value",
         where(compare("notes", "EQUAL", string_value="{}"))),
    Case("unknown enum name", INVALID, "BAD_ENUM_VALUE", "query.filter.comparison.value",
         where(compare("level", "EQUAL", string_value="middle"))),
    Case("time that is none", INVALID, "BAD_TIMESTAMP", "query.filter.comparison.value",
         where(compare("born", "LESS", string_value="soon"))),
    Case("between nothing", INVALID, "MALFORMED_FILTER", "query.filter.between",
         where(q.Filter(between=q.Between(column="age")))),
    Case("like on a number", INVALID, "WRONG_TYPE", "query.filter.like.column",
         where(q.Filter(like=q.Like(column="age", pattern="1")))),
    Case("bad regex", INVALID, "BAD_REGEX", "query.filter.regex.pattern",
         where(q.Filter(regex=q.Regex(column="name", pattern="(")))),
    Case("look-around", INVALID, "BAD_REGEX", "query.filter.regex.pattern",
         where(q.Filter(regex=q.Regex(column="name", pattern="(?=a)")))),
    Case("wrong type in a list", INVALID, "WRONG_TYPE", "query.filter.membership.values[1]",
         where(q.Filter(membership=q.Membership(
             column="age", values=[Value(int64_value=1), Value(string_value="x")])))),
    Case("named within the tree", INVALID, "UNKNOWN_COLUMN", "query.filter.all_of.filters[1].null_test.column",
         where(q.Filter(all_of=q.FilterList(filters=[
             compare("age", "EQUAL", int64_value=1), q.Filter(null_test=q.NullTest(column="nobody"))])))),
    Case("deep filter", LIMIT, "LIMIT_EXCEEDED", "query.filter" + ".negate" * 8, where(deep(9))),
    Case("deeper than protobuf reads", INVALID, "MALFORMED_REQUEST", "", raw("TableService/Query", bottomless())),
    Case("wide filter", LIMIT, "LIMIT_EXCEEDED", "query.filter.any_of.filters[48]",
         where(q.Filter(any_of=q.FilterList(filters=[compare("age", "EQUAL", int64_value=1)] * 50)))),
    Case("expression", INVALID, "BAD_EXPRESSION", "query.filter.custom", where(q.Filter(custom="age >"))),
    Case("expression's column", INVALID, "UNKNOWN_COLUMN", "query.filter.custom", where(q.Filter(custom="agee > 1"))),
    Case("expression's type", INVALID, "WRONG_TYPE", "query.filter.custom", where(q.Filter(custom="name > 1"))),
    Case("nested expression", LIMIT, "LIMIT_EXCEEDED", "query.filter.custom", where(q.Filter(custom="(" * 4_000))),
    # Tables.
    Case("no columns", INVALID, "BAD_SCHEMA", "table.columns", create([])),
    Case("no key", INVALID, "BAD_SCHEMA", "table.columns", create([Column(name="a", type=INT64)])),
    Case("no type", INVALID, "BAD_SCHEMA", "table.columns[0].type", create([Column(name="a", primary_key=True)])),
    Case("float key", INVALID, "BAD_SCHEMA", "table.columns[0].primary_key", create([key(type=FLOAT64)])),
    Case("JSON key", INVALID, "BAD_SCHEMA", "table.columns[0].primary_key", create([key(type=JSON)])),
    Case("two columns of one name", INVALID, "DUPLICATE_COLUMN", "table.columns[1].name", create([key(), key()])),
    Case("column without a name", INVALID, "BAD_NAME", "table.columns[0].name", create([key("")])),
    Case("reserved column name", INVALID, "BAD_NAME", "table.columns[0].name", create([key("__id")])),
    Case("enum without names", INVALID, "BAD_SCHEMA", "table.columns[1].enum_values",
         create([key(), Column(name="e", type=ENUM)])),
    Case("default of another type", INVALID, "WRONG_TYPE", "table.columns[1].default_value",
         create([key(), Column(name="a", type=INT64, default_value=Value(string_value="x"))])),
    Case("default time for a number", INVALID, "WRONG_TYPE", "table.columns[1].default_value",
         create([key(), Column(name="a", type=INT64, default_value=Value(timestamp_value=1))])),
    Case("computed key", INVALID, "BAD_SCHEMA", "table.columns[0].expression", create([key(expression="1")])),
    Case("computed with a default", INVALID, "BAD_SCHEMA", "table.columns[1].default_value",
         create([key(), Column(name="a", type=INT64, expression="id", default_value=Value(int64_value=1))])),
    Case("two defaults", INVALID, "BAD_SCHEMA", "table.columns[1].default_value",
         create([key(), Column(name="a", type=INT64, default_expression="1", default_value=Value(int64_value=1))])),
    Case("table name taken", EXISTS, "TABLE_EXISTS", "table_id", create([key()], "users")),
    Case("table name with a space", INVALID, "BAD_NAME", "table_id", create([key()], "a b")),
    Case("table without a name", INVALID, "BAD_NAME", "table_id", create([key()], "")),
    Case("index on unknown column", INVALID, "UNKNOWN_COLUMN", "table.indexes.column",
         update(indexes=[Index(column="nobody")])),
    Case("index on JSON", INVALID, "BAD_SCHEMA", "table.indexes.column",
         update(indexes=[Index(column="notes")])),
    Case("unknown kind of index", INVALID, "BAD_SCHEMA", "table.indexes[0].kind",
         create([key()], indexes=[Index(column="id", kind=9)])),  # type: ignore[arg-type]
    Case("too many columns", LIMIT, "LIMIT_EXCEEDED", "table.columns",
         create([key(), *(Column(name=f"c{number}", type=INT64) for number in range(20))])),
    Case("too many tables", LIMIT, "LIMIT_EXCEEDED", "table", create([key()], "third")),
    Case("long description", INVALID, "MALFORMED_REQUEST", "table.description",
         create([key()], description="x" * 5_000)),
    Case("get of nobody", MISSING, "UNKNOWN_TABLE", "name",
         lambda api: api.tables.GetTable(pb.GetTableRequest(name="nobody"))),
    Case("delete of no table", MISSING, "UNKNOWN_TABLE", "name",
         lambda api: api.tables.DeleteTable(pb.DeleteTableRequest(name="nobody"))),
    Case("rename of nobody", MISSING, "UNKNOWN_TABLE", "name",
         lambda api: api.tables.RenameTable(pb.RenameTableRequest(name="nobody", new_table_id="x"))),
    Case("rename to a taken name", EXISTS, "TABLE_EXISTS", "new_table_id",
         lambda api: api.tables.RenameTable(pb.RenameTableRequest(name="users", new_table_id="second"))),
    Case("update without a mask", INVALID, "MALFORMED_REQUEST", "update_mask",
         lambda api: api.tables.UpdateTable(pb.UpdateTableRequest(table=Table(name="users")))),
    Case("update of the columns", INVALID, "MALFORMED_REQUEST", "update_mask",
         lambda api: api.tables.UpdateTable(
             pb.UpdateTableRequest(table=Table(name="users"), update_mask=FieldMask(paths=["columns"])))),
    Case("bad page token", INVALID, "BAD_PAGE_TOKEN", "page_token",
         lambda api: api.tables.ListTables(pb.ListTablesRequest(page_token="?"))),
    Case("negative page size", INVALID, "BAD_WINDOW", "page_size",
         lambda api: api.tables.ListTables(pb.ListTablesRequest(page_size=-1))),
    # Sessions and watches.
    Case("session on no table", MISSING, "UNKNOWN_TABLE", "session.query.table",
         session(session=spb.Session(query=q.Query(table="nobody")))),
    Case("session with a bad filter", INVALID, "UNKNOWN_COLUMN", "session.query.filter.comparison.column",
         session(session=spb.Session(query=q.Query(table="users", filter=compare("nobody", "EQUAL", int64_value=1))))),
    Case("session name taken", EXISTS, "SESSION_EXISTS", "session_id", session(session_id="adults")),
    Case("session with a bad name", INVALID, "BAD_NAME", "session_id", session(session_id="9 lives")),
    Case("idle_timeout of a named session", INVALID, "MALFORMED_REQUEST", "session.idle_timeout",
         session(session_id="x", session=spb.Session(query=q.Query(table="users"), idle_timeout=Duration(seconds=1)))),
    Case("idle_timeout too long", LIMIT, "LIMIT_EXCEEDED", "session.idle_timeout",
         session(session=spb.Session(query=q.Query(table="users"), idle_timeout=Duration(seconds=3_600)))),
    Case("too many sessions", LIMIT, "LIMIT_EXCEEDED", "session", session(session_id="one_more")),
    Case("unknown session", MISSING, "UNKNOWN_SESSION", "name",
         lambda api: api.sessions.GetSession(spb.GetSessionRequest(name="nobody"))),
    Case("read of an unknown session", MISSING, "UNKNOWN_SESSION", "name",
         lambda api: api.sessions.QuerySession(spb.QuerySessionRequest(name="nobody"))),
    Case("edit of nothing", INVALID, "MALFORMED_REQUEST", "update_mask",
         lambda api: api.sessions.UpdateSession(spb.UpdateSessionRequest(session=spb.Session(name="adults")))),
    Case("watch of nobody", MISSING, "UNKNOWN_SESSION", "name", watch(name="nobody")),
    Case("watch without a name", INVALID, "BAD_NAME", "name", watch(name="")),
    Case("watch of a negative window", INVALID, "BAD_WINDOW", "window.limit", watch(window=q.Window(limit=-5))),
    Case("resume with what is no token", INVALID, "BAD_RESUME_TOKEN", "resume_token", watch(resume_token=b"x")),
    Case("unknown delivery", INVALID, "MALFORMED_REQUEST", "delivery", watch(delivery=9)),
    Case("unknown on_lag", INVALID, "MALFORMED_REQUEST", "on_lag", watch(on_lag=9)),
    Case("every commit, merged", INVALID, "MALFORMED_REQUEST", "min_interval",
         watch(delivery=cpb.DELIVERY_EVERY_COMMIT, min_interval=Duration(seconds=1))),
    Case("negative interval", INVALID, "MALFORMED_REQUEST", "min_interval", watch(min_interval=Duration(seconds=-1))),
    Case("watch of a future version", StatusCode.UNAVAILABLE, "VERSION_NOT_REACHED", "min_version",
         watch(min_version=10**12)),
    Case("watch of no table", MISSING, "UNKNOWN_TABLE", "table", watch_table(table="nobody")),
    Case("resume of a table watch with what is no token", INVALID, "BAD_RESUME_TOKEN", "resume_token",
         watch_table(resume_token=b"x")),
    Case("table watch with an unknown on_lag", INVALID, "MALFORMED_REQUEST", "on_lag", watch_table(on_lag=9)),
    Case("watch of no sessions", INVALID, "MALFORMED_REQUEST", "sessions", watch_sessions()),
    Case("watch of several, one unknown", MISSING, "UNKNOWN_SESSION", "sessions[1].name",
         watch_sessions({}, {"name": "no"})),
    Case("watch of several, one with its own version", INVALID, "MALFORMED_REQUEST", "sessions[1].min_version",
         watch_sessions({}, {"min_version": 1})),
    Case("watch of several, one with its own delivery", INVALID, "MALFORMED_REQUEST", "sessions[0].delivery",
         watch_sessions({"delivery": cpb.DELIVERY_NET})),
    Case("watch of several, a negative window", INVALID, "BAD_WINDOW", "sessions[0].window.limit",
         watch_sessions({"window": q.Window(limit=-5)})),
    Case("watch of several, a token of one", INVALID, "BAD_RESUME_TOKEN", "resume_token",
         watch_sessions({}, resume_token=b"x")),
    Case("watch of too many sessions", LIMIT, "LIMIT_EXCEEDED", "sessions", watch_sessions(*[{}] * 101)),
    Case("progress of nobody", MISSING, "UNKNOWN_WATCH", "watch_id",
         lambda api: api.hubs.RequestProgress(hpb.RequestProgressRequest(watch_id="nobody"))),
    # Hubs.
    Case("get of no hub", MISSING, "UNKNOWN_HUB", "name",
         lambda api: api.hubs.GetHub(hpb.GetHubRequest(name="nobody"))),
    Case("hub with a bad name", INVALID, "BAD_NAME", "name",
         lambda api: api.hubs.GetHub(hpb.GetHubRequest(name="a b"))),
]  # fmt: skip


LIMITS: dict[str, Any] = {
    "max_rows_per_write": 1_000,
    "max_rows_per_table": 50,
    "max_string_bytes": 4_096,
    "max_columns": 12,
    "max_tables": 2,
    "max_sessions": 1,
    "max_filter_depth": 8,
    "max_filter_nodes": 49,
    "max_message_bytes": 65_536,
    "max_version_wait": 0.05,
}


@pytest.fixture(scope="module")
def limits() -> ServerConfig:
    return ServerConfig.model_validate(LIMITS)


async def prepared(api: Api) -> None:
    """Two tables, five rows, one session."""
    await api.create_users()
    await api.tables.CreateTable(pb.CreateTableRequest(table_id="second", table=Table(columns=user_columns())))
    await api.insert([user(id) for id in range(5)], request_id="first")
    await api.open("adults", q.Query(table="users", filter=compare("age", "GREATER", int64_value=21)))


@pytest.fixture
async def small() -> AsyncIterator[Api]:
    """A server with small limits."""
    async with serving(**LIMITS) as (_, api):
        await prepared(api)
        yield api


async def test_every_refusal_says_why_and_changes_nothing(small: Api) -> None:
    before = await small.all_rows()
    hub = (await small.hubs.GetHub(hpb.GetHubRequest())).hub
    wrong = []
    for case in CASES:
        found = await refused(case.call(small))
        if (found.code, found.reason) != (case.code, case.reason) or (case.field and case.field not in found.fields):
            wrong.append(f"{case.name}: {found.code.name} {found.reason} {found.fields} {found.message}")
        assert found.message, case.name
        if found.reason == "LIMIT_EXCEEDED" and not found.row_errors:
            assert found.metadata["maximum"] in found.message, case.name
    assert not wrong, "\n".join(wrong)
    assert await small.all_rows() == before
    after = (await small.hubs.GetHub(hpb.GetHubRequest())).hub
    assert (after.version, after.table_count, after.session_count, after.watcher_count) == (hub.version, 2, 1, 0)
    assert not (await small.hubs.CheckHub(hpb.CheckHubRequest())).violations
    assert (await small.insert([user(30)])).version == hub.version + 1


def test_there_are_enough_cases_and_each_has_its_name() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


async def test_a_commit_lists_its_bad_rows(small: Api) -> None:
    found = await refused(small.insert([user(9), user(1), user(10), user(2)]))
    assert found.row_errors is not None
    assert [(error.operation, error.row, error.reason) for error in found.row_errors.errors] == [
        (0, 1, "DUPLICATE_KEY"),
        (0, 3, "DUPLICATE_KEY"),
    ]
    assert found.row_errors.total == 2


async def test_many_bad_rows_fit_into_the_headers(small: Api) -> None:
    many = [user(id % 5, name="x" * 100) for id in range(300)]
    found = await refused(small.write(pb.WriteOperation(table="users", insert=pb.Insert(rows=rows(many)))))
    assert found.row_errors is not None
    assert 10 <= len(found.row_errors.errors) <= 100
    assert found.row_errors.total >= len(found.row_errors.errors)


async def test_long_names_do_not_make_long_statuses(small: Api) -> None:
    found = await refused(small.tables.GetTable(pb.GetTableRequest(name="x" * 60_000)))
    assert (found.code, found.reason) == (INVALID, "BAD_NAME")
    assert len(found.message) <= 400


async def test_a_missing_resource_is_named(small: Api) -> None:
    found = await refused(small.tables.GetTable(pb.GetTableRequest(name="nobody")))
    assert found.resource == "hubs/default/tables/nobody"
    found = await refused(small.sessions.DeleteSession(spb.DeleteSessionRequest(name="nobody")))
    assert found.resource == "hubs/default/sessions/nobody"


async def test_a_limit_is_named_with_its_value(small: Api) -> None:
    found = await refused(small.write(insert([]), pb.WriteOperation(
        table="users", insert=pb.Insert(rows=value_pb2.RowBatch(row_count=4_000_000_000)))))  # fmt: skip
    assert "max_rows_per_write is 1000" in found.message
    assert (found.metadata["limit"], found.metadata["maximum"]) == ("max_rows_per_write", "1000")


async def test_a_message_far_beyond_the_limit_is_refused_by_the_transport(small: Api) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await small.raw.unary_unary("/tesseract.v1.TableService/Write")(bytes(1_000_000))
    assert caught.value.code() is LIMIT
    assert "131072" in str(caught.value.details())


async def test_an_unexpected_failure_gives_an_id_and_no_traceback(
    small: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret value 42")

    monkeypatch.setattr("tesseract_grpc.engine.hub.Hub.begin_query", explode)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await small.all_rows()
    found = take_apart(caught.value)
    assert (found.code, found.reason) == (StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in found.message
    assert "Traceback" not in found.message
    log = capsys.readouterr().err
    assert found.metadata["error_id"] in log
    assert "ZeroDivisionError" in log
    assert "secret" not in log
