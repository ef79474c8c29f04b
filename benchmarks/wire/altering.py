"""A table is altered in every way while eight writers write to it, each commit by fsync, and fifty watchers watch.

No write may be lost: every acknowledged write is looked for afterwards, and versions are counted. Every stream must
keep all promises, and every mirror must be what a fresh query gives. What is measured is how long everybody is held
up: the longest time between two acknowledged commits, and the longest time in which a watcher saw nothing, while
nothing is altered and while each alteration runs.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise

import grpc.aio

from benchmarks.trades import Trades, make_trades
from benchmarks.wire.altering_watchers import Heard, Watchers
from benchmarks.wire.blotter import TABLE, create_table, load, open_channel
from benchmarks.wire.rows import trade_rows
from benchmarks.wire.server import ServerProcess
from benchmarks.workload import Figure, Figures, Settings
from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2, query_pb2, schema_pb2, session_service_pb2, value_pb2
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc._proto.tesseract.v1.hub_service_pb2_grpc import HubServiceStub
from tesseract_grpc._proto.tesseract.v1.session_service_pb2_grpc import SessionServiceStub
from tesseract_grpc._proto.tesseract.v1.table_service_pb2_grpc import TableServiceStub

ROWS = 1_000_000
HOT = 2_000
"""So many rows are written; all watchers look at them."""
WRITERS = 8
WATCHERS = 50
SECONDS = 3.0
"""How long it is quiet at first, and how long after each alteration the next one waits."""
OTHER = "trades_next"
TIMEOUT = 120.0

_SORTED = schema_pb2.INDEX_KIND_SORTED
_STRING, _FLOAT64 = value_pb2.DATA_TYPE_STRING, value_pb2.DATA_TYPE_FLOAT64


def _column(
    name: str, type: value_pb2.DataType.ValueType = value_pb2.DATA_TYPE_UNSPECIFIED, **said: str
) -> schema_pb2.Column:
    return schema_pb2.Column(name=name, type=type, **said)  # type: ignore[arg-type]


def _changed(column: str, definition: schema_pb2.Column, *paths: str, using: str = "") -> pb.Alteration:
    change = pb.ChangeColumn(column=column, definition=definition, using=using)
    change.update_mask.paths.extend(paths)
    return pb.Alteration(change_column=change)


ALTERATIONS: Mapping[str, pb.Alteration] = {
    "add": pb.Alteration(add_column=pb.AddColumn(column=_column("note", _STRING))),
    "add_filled": pb.Alteration(add_column=pb.AddColumn(column=_column("worth", _FLOAT64), backfill="price * qty")),
    "add_computed": pb.Alteration(add_column=pb.AddColumn(column=_column("total", expression="price * qty"))),
    "rename": pb.Alteration(rename_column=pb.RenameColumn(column="worth", new_name="value")),
    "retype": _changed("active", _column("active", _STRING), "type"),
    "rewrite": _changed("value", _column("value", _FLOAT64), "type", using="value * 2"),
    "set_key": pb.Alteration(set_key=pb.SetKey(columns=["id", "side"])),
    "set_key_back": pb.Alteration(set_key=pb.SetKey(columns=["id"])),
    "add_index": pb.Alteration(add_index=schema_pb2.Index(column="price", kind=_SORTED)),
    "drop_index": pb.Alteration(drop_index="price"),
    "drop": pb.Alteration(drop_column=pb.DropColumn(column="value")),
}
"""Each kind once, by what the figures call it. Two exchanges of the table with another one come last."""


@dataclass(slots=True)
class Acknowledged:
    """One write that was acknowledged: who has which number from which version on."""

    version: int
    id: int
    number: int
    at: float


@dataclass(slots=True)
class Phase:
    """What happened from one moment to another."""

    name: str
    begun: float
    altered: float = 0.0  # when the answer came
    ended: float = 0.0


@dataclass(slots=True)
class Course:
    """All that was done."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    swaps: list[int] = field(default_factory=list)
    changes: int = 0


def run_altering(_: str, settings: Settings) -> Figures:
    """How long writers and watchers are held up at most, by any alteration; in the detail by each, and by none."""
    with tempfile.TemporaryDirectory() as data, ServerProcess("--data", data, "--durability", "fsync") as server:
        return asyncio.run(_measure(server, settings))


async def _measure(server: ServerProcess, settings: Settings) -> Figures:
    trades = make_trades(settings.scaled(ROWS, least=HOT), settings.seed)
    seconds = max(0.2, SECONDS * min(1.0, settings.scale * 4))
    channels = [open_channel(server.address) for _ in range(WRITERS + 1)]
    course = Course()
    try:
        await _prepare(channels[0], trades)
        hub = HubServiceStub(channels[0])
        begun = (await hub.GetHub(hub_service_pb2.GetHubRequest(name="default"))).hub.version
        with Watchers(server.address, SESSIONS, WATCHERS) as watchers:
            over = asyncio.Event()
            sides = dict(zip(trades.id[:HOT].tolist(), trades.side.to_list()[:HOT], strict=True))
            writers = [
                asyncio.create_task(_write(channels[1 + number], number, sides, course, over))
                for number in range(WRITERS)
            ]
            await _alter(channels[0], course, seconds)
            over.set()
            await asyncio.gather(*writers)
            last = (await hub.GetHub(hub_service_pb2.GetHubRequest(name="default"))).hub.version
            heard = watchers.until(last, TIMEOUT)
        await _verify(channels[0], course, begun, last, len(trades))
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))
    return _figures(course, heard)


async def _prepare(channel: grpc.aio.Channel, trades: Trades) -> None:
    """The table, another one with the rows that are written, and the sessions."""
    tables = TableServiceStub(channel)
    await create_table(channel)
    await load(channel, trades)
    columns = (await tables.GetTable(pb.GetTableRequest(name=TABLE))).table.columns
    await tables.CreateTable(pb.CreateTableRequest(table_id=OTHER, table=schema_pb2.Table(columns=columns)))
    insert = pb.WriteOperation(table=OTHER, insert=pb.Insert(rows=trade_rows(next(iter(trades.batches(HOT))))))
    await tables.Write(pb.WriteRequest(operations=[insert]))
    for name, query in SESSIONS.items():
        session = session_service_pb2.Session(query=query)
        await SessionServiceStub(channel).CreateSession(
            session_service_pb2.CreateSessionRequest(session_id=name, session=session)
        )


def _sessions() -> dict[str, query_pb2.Query]:
    """What is watched: pages and wholes of the rows that are written, sums over all rows, a column worked out."""
    hot = query_pb2.Filter(custom=f"id < {HOT}")
    by_quantity = query_pb2.SortKey(column="qty", direction=query_pb2.SORT_DIRECTION_DESCENDING)
    total = query_pb2.Aggregate(name="sum", function=query_pb2.AGGREGATE_FUNCTION_SUM, column="qty")
    return {
        "page": query_pb2.Query(table=TABLE, filter=hot, sort=[by_quantity]),
        "narrow": query_pb2.Query(table=TABLE, filter=hot, columns=["id", "qty", "price"], sort=[by_quantity]),
        "groups": query_pb2.Query(table=TABLE, group=query_pb2.Grouping(by=["side"], aggregates=[total])),
        "worked_out": query_pb2.Query(
            table=TABLE,
            filter=hot,
            computed=[query_pb2.ComputedColumn(name="twice", expression="qty * 2")],
            sort=[query_pb2.SortKey(column="id")],
        ),
    }


SESSIONS = _sessions()


async def _write(
    channel: grpc.aio.Channel, number: int, sides: Mapping[int, str], course: Course, over: asyncio.Event
) -> None:
    """Gives its own rows rising numbers, one call in flight. Rows are named in a way that every key understands."""
    stub, ids = TableServiceStub(channel), sorted(sides)[number::WRITERS]
    for quantity in count(1_000_000):  # never what is there already: a write that changes nothing takes no version
        if over.is_set():
            return
        id = ids[quantity % len(ids)]
        rows = value_pb2.RowBatch(
            row_count=1,
            columns=[
                value_pb2.ColumnData(name="id", int64s=value_pb2.Int64Values(values=[id])),
                value_pb2.ColumnData(name="side", strings=value_pb2.StringValues(values=[sides[id]])),
                value_pb2.ColumnData(name="qty", int64s=value_pb2.Int64Values(values=[quantity])),
            ],
        )
        update = pb.WriteOperation(table=TABLE, update=pb.Update(rows=rows))
        answer = await stub.Write(pb.WriteRequest(operations=[update]))
        course.acknowledged.append(Acknowledged(answer.version, id, quantity, time.monotonic()))


async def _alter(channel: grpc.aio.Channel, course: Course, seconds: float) -> None:
    """Nothing for a while, then every alteration, one after the other."""
    tables = TableServiceStub(channel)
    course.phases.append(Phase("quiet", time.monotonic()))
    await asyncio.sleep(seconds)
    course.phases[-1].altered = course.phases[-1].ended = time.monotonic()
    for name, alteration in ALTERATIONS.items():
        phase = Phase(name, time.monotonic())
        await tables.AlterTable(pb.AlterTableRequest(name=TABLE, alterations=[alteration]))
        await _settle(course, phase, seconds)
    for name in ("swap", "swap_back"):
        phase = Phase(name, time.monotonic())
        answer = await tables.SwapTables(pb.SwapTablesRequest(name=TABLE, other=OTHER))
        if answer.ended_session_count:
            raise AssertionError(f"sessions ended: {answer.ended_sessions}")
        course.swaps.append(answer.version)
        await _settle(course, phase, seconds)


async def _settle(course: Course, phase: Phase, seconds: float) -> None:
    phase.altered = time.monotonic()
    await asyncio.sleep(seconds)
    phase.ended = time.monotonic()
    course.phases.append(phase)
    course.changes += 1


async def _verify(channel: grpc.aio.Channel, course: Course, begun: int, last: int, rows: int) -> None:
    """Every acknowledged write is there, and every version is somebody's."""
    versions = {each.version for each in course.acknowledged}
    if len(versions) != len(course.acknowledged) or last - begun != len(versions) + course.changes:
        raise AssertionError(
            f"{len(course.acknowledged)} writes have {len(versions)} versions, of {last - begun} with {course.changes}"
        )
    away, back = course.swaps
    newest: dict[str, dict[int, Acknowledged]] = {TABLE: {}, OTHER: {}}
    for each in course.acknowledged:
        where = newest[OTHER if away < each.version < back else TABLE]
        if each.id not in where or where[each.id].version < each.version:
            where[each.id] = each
    for table, found in newest.items():
        held = await _quantities(channel, table)
        lost = [each for each in found.values() if held.get(each.id) != each.number]
        if lost:
            raise AssertionError(f"{len(lost)} acknowledged writes to {table} are lost, the first {lost[0]}")
    tables = TableServiceStub(channel)
    there = (await tables.GetTable(pb.GetTableRequest(name=TABLE))).table.row_count
    if there != rows:
        raise AssertionError(f"the table has {there} rows and should have {rows}")
    found_wrong = (await HubServiceStub(channel).CheckHub(hub_service_pb2.CheckHubRequest())).violations
    if found_wrong:
        raise AssertionError(f"the hub is not sound: {list(found_wrong)}")


async def _quantities(channel: grpc.aio.Channel, table: str) -> dict[int, int]:
    """The numbers of the rows that are written, by id."""
    query = query_pb2.Query(table=table, filter=query_pb2.Filter(custom=f"id < {HOT}"), columns=["id", "qty"])
    found: dict[int, int] = {}
    async for piece in TableServiceStub(channel).QueryStream(pb.QueryStreamRequest(query=query)):
        columns = {column.name: column.int64s.values for column in piece.rows.columns}
        found.update(zip(columns["id"], columns["qty"], strict=True))
    return found


def _figures(course: Course, heard: Heard) -> Figures:
    acknowledged = sorted(each.at for each in course.acknowledged)
    commits = {phase.name: longest(acknowledged, phase) * 1e3 for phase in course.phases}
    watches = {phase.name: max(longest(times, phase) for times in heard.times) * 1e3 for phase in course.phases}
    took = {f"{phase.name}_answer_ms": (phase.altered - phase.begun) * 1e3 for phase in course.phases[1:]}
    writing = course.phases[0].ended - course.phases[0].begun
    rate = sum(at <= course.phases[0].ended for at in acknowledged) / writing
    counted = {
        "acknowledged": float(len(acknowledged)),
        "quiet_commits_s": rate,
        "messages": float(sum(map(len, heard.times))),
        "validated": float(heard.responses),
    }
    return {
        "alter_commit_pause": _worst(commits, took | counted),
        "alter_watch_pause": _worst(watches, took | counted),
    }


def _worst(pauses: Mapping[str, float], detail: Mapping[str, float]) -> Figure:
    """The longest pause of all alterations; beside it that of each, and without any."""
    each = {f"{name}_ms": value for name, value in pauses.items()}
    return Figure(max(value for name, value in pauses.items() if name != "quiet"), each | dict(detail))


def longest(times: Sequence[float], phase: Phase) -> float:
    """The longest time without an event, of those that overlap a phase. `times` rise."""
    inside = [at for at in times if phase.begun <= at <= phase.ended]
    before = [at for at in times if at < phase.begun]
    marks = [*before[-1:], *inside] or [phase.begun]
    gaps = [later - earlier for earlier, later in pairwise(marks)]
    return max([*gaps, phase.ended - marks[-1] if not inside else 0.0])
