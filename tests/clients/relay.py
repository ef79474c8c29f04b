"""The relay: a writer in Go, a server in Python, and a mirror in every language, while the server is killed.

The writer writes values of every type for some seconds. In the middle the server is killed with SIGKILL and started
again. At the end every mirror is asked for the canonical digest of its rows at the last acknowledged version, and all
of them must be equal, byte for byte, to each other and to the digest of what a query of the server answers; and every
mirror must have gone on with its token, without another snapshot.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from tesseract_grpc._proto.tesseract.v1 import query_pb2, schema_pb2, session_service_pb2, table_service_pb2
from tesseract_grpc.client.core.batch import decode
from tesseract_grpc.client.core.digest import digest_of
from tests import wire
from tests.clients.language import Language, StepFailed, kill_group
from tests.clients.servers import StagedServer, Zygote
from tests.server.support import Api, sort

SECONDS = 60.0
BATCH = 30
AWAY = 0.5
"""Seconds that the server is dead."""
PATIENCE = 180.0
TYPES = {
    "id": "int64", "whole": "int64", "real": "float64", "moment": "timestamp", "text": "string", "flag": "bool",
    "doc": "json", "grade": "enum",
}  # fmt: skip
GRADES = ("low", "middle", "high")
FLAGS = ("--history-rows", "10000000", "--history-commits", "1000000", "--progress-interval", "1")
"""A mirror that is a little late must not be too late."""
SESSION = "relay"

Json = dict[str, Any]


@dataclass
class Figures:
    """What came of it."""

    commits: int = 0
    rows: int = 0
    version: int = 0
    digest: str = ""
    watchers: dict[str, Json] = field(default_factory=dict)

    def text(self) -> str:
        """For people."""
        head = (
            f"relay: {self.commits} commits of {self.rows} rows; at version {self.version} the server has {self.digest}"
        )
        lines = [
            f"  {name}: {found['rows']} rows, {found['changes']} changes, {found['resumes']} resumes, digest equal"
            for name, found in self.watchers.items()
        ]
        return "\n".join([head, *lines])


class Relay:
    """One run."""

    def __init__(self, folder: Path, watchers: Sequence[Language], writer: Language, seconds: float) -> None:
        self._watchers, self._writer, self._seconds = watchers, writer, seconds
        self._zygote = Zygote()
        self._server = StagedServer(self._zygote, folder / "relay", FLAGS)
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._logs: list[Any] = []

    async def run(self) -> Figures:
        """Raises StepFailed when a mirror is not what it must be."""
        try:
            await self._server.start()
            await self._set_up()
            await asyncio.gather(*map(self._begin, self._watchers))
            return await self._write_and_compare()
        finally:
            for process in self._running.values():
                kill_group(process)
                await process.wait()
            for log in self._logs:
                log.close()
            await self._server.close()
            await self._zygote.close()

    @property
    def _address(self) -> str:
        return str(self._server.addresses["address"])

    async def _set_up(self) -> None:
        """The table, and a session of it in an order that is not that of writing."""
        columns = wire.columns(TYPES, ["id"])
        columns[-1].enum_values.extend(GRADES)
        query = query_pb2.Query(table=SESSION, sort=[sort("text"), sort("real", descending=True)])
        async with grpc.aio.insecure_channel(self._address) as channel:
            api = Api(channel)
            made = table_service_pb2.CreateTableRequest(table_id=SESSION, table=schema_pb2.Table(columns=columns))
            await api.tables.CreateTable(made)
            await api.open(SESSION, query)

    async def _begin(self, language: Language) -> None:
        """Starts a mirror, and waits until it is live."""
        command = language.command("relay_watch", "--address", self._address, "--session", SESSION)
        process = await self._start(language, command)
        answer = await self._line(language.name, process)
        if answer.get("state") != "live":
            raise StepFailed(f"{language.name}: relay_watch says {answer} first")
        self._running[language.name] = process

    async def _start(self, language: Language, command: list[str]) -> asyncio.subprocess.Process:
        log = language.log.open("ab")
        self._logs.append(log)
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        process = await language.start(command, log)
        self._running[f"{language.name} {command[0]}"] = process
        return process

    async def _line(self, name: str, process: asyncio.subprocess.Process) -> Json:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        if not line:
            raise StepFailed(f"{name}: ended with {await process.wait()} instead of an answer")
        found: Json = json.loads(line)
        return found

    async def _write_and_compare(self) -> Figures:
        words = {"address": self._address, "table": SESSION, "seconds": str(self._seconds), "batch": str(BATCH)}
        more = [word for name, value in words.items() for word in (f"--{name}", value)]
        writer = await self._start(self._writer, self._writer.command("relay_write", *more))
        await asyncio.sleep(self._seconds / 2)
        await self._server.kill(signal.SIGKILL)
        await asyncio.sleep(AWAY)
        await self._server.start()
        assert writer.stdout is not None
        wrote = json.loads(await asyncio.wait_for(writer.stdout.readline(), self._seconds + PATIENCE) or b"{}")
        if await writer.wait() or not wrote.get("commits"):
            raise StepFailed(f"{self._writer.name}: relay_write ended with {writer.returncode} and {wrote}")
        figures = Figures(wrote["commits"], wrote["rows"], await self._write_once(wrote["version"]))
        figures.digest = await self._of_server(figures.version)
        found = await asyncio.gather(*(self._ask(language, figures.version) for language in self._watchers))
        figures.watchers = {language.name: answer for language, answer in zip(self._watchers, found, strict=True)}
        self._check(figures)
        return figures

    async def _write_once(self, version: int) -> int:
        """One more commit, which nobody knows who has not come back; its version."""
        row: Json = {"id": -1, "whole": None, "text": "the last row", "flag": True}
        write = table_service_pb2.Insert(rows=wire.batch([row], TYPES))
        async with grpc.aio.insecure_channel(self._address) as channel:
            operation = table_service_pb2.WriteOperation(table=SESSION, insert=write)
            last = (await Api(channel).write(operation)).version
        if last != version + 1:
            raise StepFailed(f"the last commit of relay_write was {version}, and the next one is {last}")
        return last

    async def _ask(self, language: Language, version: int) -> Json:
        process = self._running[language.name]
        assert process.stdin is not None
        process.stdin.write(f"digest {version}\n".encode())
        with suppress(ConnectionError):
            await process.stdin.drain()
        return await self._line(language.name, process)

    async def _of_server(self, version: int) -> str:
        """The digest of what a query answers."""
        types: dict[str, Any] = {}
        rows: list[Json] = []
        async with grpc.aio.insecure_channel(self._address) as channel:
            request = session_service_pb2.QuerySessionStreamRequest(name=SESSION, min_version=version)
            async for piece in Api(channel).sessions.QuerySessionStream(request):
                types = types or {column.name: column.type for column in piece.columns}
                rows += decode(piece.rows, types).to_raw_dicts()
                if piece.version != version:
                    raise StepFailed(f"the server is at version {piece.version} and acknowledged {version} at last")
        return digest_of(types, rows).hex()

    def _check(self, figures: Figures) -> None:
        wrong = []
        for name, found in figures.watchers.items():
            faults = {
                "is at another version": found["version"] != figures.version,
                "has other rows than the server": found["digest"] != figures.digest,
                "did not resume": found["resumes"] < 1,
                "began anew": found["resets"] != 0,
                "saw no changes": found["changes"] < 2,
            }
            if any(faults.values()):
                said = ", ".join(text for text, is_so in faults.items() if is_so)
                wrong.append(f"{name} {said}: {found}")
        if wrong:
            said = "\n  ".join(wrong)
            raise StepFailed(f"the server has {figures.digest} at {figures.version}\n  {said}")
        if figures.commits < self._seconds:
            raise StepFailed(f"{figures.commits} commits in {self._seconds} s are no load")


async def relay(folder: Path, languages: Sequence[Language], seconds: float = SECONDS) -> str:
    """Runs the relay with the languages that are there; what came of it, in words. In CI all must be."""
    writer = next((language for language in languages if language.name == "go"), None)
    watchers = [language for language in languages if language.commands("relay_watch")]
    missing = [language.name for language in languages if language not in watchers]
    if writer is None or missing:
        text = f"relay: without {', '.join(missing) or 'go'}"
        if os.environ.get("CI"):
            raise StepFailed(f"{text}; nothing may be missing in CI")
        if writer is None:
            return f"{text}: SKIPPED, for the writer is in Go"
    return (await Relay(folder, watchers, writer, seconds).run()).text()
