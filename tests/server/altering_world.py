"""The world of the socket (`socket_world.py`) with tables that are altered and exchanged, on a hub with a log.

Sessions that would end or whose expressions would be of other types are left out of it: what ends, and why, is asked
without a socket (tests/engine/lives.py). Here it is asked what clients are told, and what is there after a crash.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import grpc

from tesseract_grpc._proto.tesseract.v1 import (
    hub_service_pb2,
    hub_service_pb2_grpc,
    session_service_pb2,
    session_service_pb2_grpc,
    table_service_pb2_grpc,
)
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.testing import rows_of, running_server
from tests.engine.viewer import same
from tests.oracle.alterations import Add, Drop, Rename, follow
from tests.oracle.asks import Field
from tests.oracle.uses import uses
from tests.server import wire_asks
from tests.server.socket_world import SocketWorld
from tests.world.altering import Asked, add, rename, take
from tests.world.parts import part
from tests.world.variants import UNIQUE, droppable, variant

SPARE = "spare"


class AlteringWorld(SocketWorld):
    def __init__(self, folder: Path) -> None:
        super().__init__(data=folder / "data", durability="normal", snapshot_records=40)
        self.folder = folder
        self.copies = 0
        self.altered = 0
        self.unique = set(UNIQUE)

    def fresh(self) -> str:
        self.names += 1
        return f"z{self.names}"

    def make_spare(self, rng: Random) -> None:
        """A table like items, with every column of it and perhaps one more."""
        base = self.model.definitions["items"]
        while (made := variant(rng, base, self.keys["items"], SPARE)).lost or made.other_key:
            pass
        self.keys[SPARE] = list(made.keys)
        self.create(made.definition)
        for _ in range(3):
            self.commit(rng)

    def swap(self) -> None:
        done = self.tables.SwapTables(
            pb.SwapTablesRequest(name="items", other=SPARE, request_id=f"swap {self.version}")
        )
        fewer = {field.name for field in self.model.definitions[SPARE].fields} ^ {
            field.name for field in self.model.definitions["items"].fields
        }
        self.model.swap("items", SPARE)
        self.now_at(done.version)
        ended = [end.name.rpartition("/")[2] for end in done.ended_sessions]
        for name in ended:
            assert any(uses(self.questions[name], column) for column in fewer), f"{name} has ended"
        self.ended(ended, "TABLE_ALTERED", [])

    def alter(self, rng: Random) -> None:
        """New columns, filled and computed; other names; columns that nobody asks for go."""
        table = self.model.definitions[rng.choice(("items", "lines", "pairs"))]
        asked = Asked(table.name, [], self.keys[table.name], table)
        if SPARE in self.model.definitions and table.name == "items":
            add(rng, asked, (), self.fresh)  # what the two have in common stays so
        else:
            self.any_of(rng, asked)
        request = pb.AlterTableRequest(name=table.name, alterations=map(wire_asks.alteration_of, asked.changes))
        required = [c for c in asked.changes if isinstance(c, Add) and c.field.required and c.backfill is not None]
        if not asked.changes or required:
            return  # whether it is refused is asked elsewhere
        done = self.tables.AlterTable(request)
        assert not done.ended_sessions
        self.altered += len(asked.changes)
        self.model.alter(table.name, asked.changes)
        renames = {change.column: change.to for change in asked.changes if isinstance(change, Rename)}
        self.unique = (self.unique - renames.keys()) | set(renames.values())
        self.keys[table.name] = list(asked.keys)
        self.now_at(done.version)
        for name, question in self.questions.items():
            self.questions[name] = follow(question, renames)
        for reader in self.readers:
            reader.asked.append((self.version, follow(reader.question, renames)))

    def any_of(self, rng: Random, asked: Asked) -> None:
        for _ in range(rng.choice((1, 1, 2))):
            there = [field.name for field in asked.definition.fields if field.name in self.unique]
            form = rng.random()
            if form < 0.4:
                add(rng, asked, there, self.fresh)
            elif form < 0.6:
                kind = rng.choice(("int64", "string"))
                worked_out = part(rng, asked.definition.fields, kind, 2)
                take(asked, Add(Field(self.fresh(), kind), worked_out))
            elif form < 0.85:
                rename(rng, asked, [name for name in there if not asked.definition.field(name).key], self.fresh)
            else:
                idle = [f.name for f in droppable(asked.definition) if f.name in there and not self.named(f.name)]
                if idle and len(asked.definition.fields) > 4:
                    take(asked, Drop(rng.choice(idle)))

    def named(self, column: str) -> bool:
        return any(uses(question, column) for question in self.questions.values())

    def crash(self) -> None:
        """What a server that was killed now would find: the same tables and sessions, at the same version."""
        self.copies += 1
        copy = self.folder / f"copy-{self.copies}"
        shutil.copytree(self.folder / "data", copy, ignore=shutil.ignore_patterns("*.part"))
        with running_server(data=copy, clock=self.clock) as server, server.channel() as channel:
            other = OtherLife(self, channel)
            other.compare()


class OtherLife:
    """A hub that was recovered, beside the oracle."""

    def __init__(self, world: AlteringWorld, channel: grpc.Channel) -> None:
        self.world = world
        self.tables = table_service_pb2_grpc.TableServiceStub(channel)
        self.sessions = session_service_pb2_grpc.SessionServiceStub(channel)
        self.hubs = hub_service_pb2_grpc.HubServiceStub(channel)

    def compare(self) -> None:
        world = self.world
        hub = self.hubs.GetHub(hub_service_pb2.GetHubRequest()).hub
        assert hub.version == world.version
        assert list(self.hubs.CheckHub(hub_service_pb2.CheckHubRequest()).violations) == []
        for name, definition in world.model.definitions.items():
            table = self.tables.GetTable(pb.GetTableRequest(name=name)).table
            assert [column.name for column in table.columns] == [field.name for field in definition.fields]
            keys = wire_asks.table_of(definition)
            assert [column.primary_key for column in table.columns] == [column.primary_key for column in keys.columns]
        for name, question in world.questions.items():
            page = self.sessions.QuerySession(session_service_pb2.QuerySessionRequest(name=name))
            rows, total = world.model.answer(question)
            same(rows_of(page.rows), rows[: page.rows.row_count], f"session {name} after a crash: {question}")
            assert page.total_count == total
