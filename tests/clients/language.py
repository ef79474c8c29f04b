"""The client of one language as its `commands.json` describes it: what it needs, how it is built, checked and tested.

    {"toolchain": [{"command": ["go", "version"], "minimum": "1.24"}], "build": [[..]], "check": [[..]], "test": [[..]],
     "sample": [.., "{name}", .., "{address}"], "relay_watch": [..], "relay_write": [..], "bench": [..]}

Commands run in the directory of the client. What they print goes into one log file a language.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.clients.programs import CLIENTS, LANGUAGES, Client

LOGS = CLIENTS.parent / "build" / "clients"
PATIENCE = 900.0
ONCE = {"CARGO_INCREMENTAL": "0", "CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0"}
"""Builds that are made once, not debugged and not measured are quicker without what helps with that: in CI."""
VERSION = re.compile(r"\d+(?:\.\d+)+|\d+")

__all__ = ["CLIENTS", "LANGUAGES", "Language", "StepFailed"]


class StepFailed(Exception):
    """A command ended badly, or did not do what it must."""


class Language:
    """One client."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.client = Client.of(name)
        self.folder = CLIENTS / name
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"{name}.log"
        self.log.write_bytes(b"")

    def commands(self, kind: str) -> list[list[str]]:
        """The commands of a kind, one after the other."""
        found: list[list[str]] = self.client.commands.get(kind, [])
        return found

    def command(self, kind: str, *more: str, **words: str) -> list[str]:
        """The one command of a kind, with words put into it and more behind it."""
        found: list[str] | None = self.client.commands.get(kind)
        if not found:
            raise StepFailed(f"commands.json has no {kind}")
        return [_filled(word, words) for word in found] + list(more)

    async def lacks(self) -> str:
        """What this machine lacks of the toolchain, in words."""
        return await asyncio.to_thread(self.client.lacks)

    async def versions(self) -> str:
        """The versions of the toolchain that is here, and the least that would do."""
        found = []
        for tool in self.client.commands["toolchain"]:
            command = tool["command"]
            said = await self.run(command)
            version = VERSION.search(said)
            found.append(f"{Path(command[0]).name} {version[0] if version else '?'} (at least {tool['minimum']})")
        return ", ".join(found)

    async def run_all(self, kind: str, environment: Mapping[str, str] | None = None) -> None:
        """Runs the commands of a kind."""
        for command in self.commands(kind):
            await self.run(command, environment)

    async def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
        """Runs one command to its end; what it said on stdout. Raises StepFailed when it ends badly, or never."""
        with self.log.open("ab") as log:
            log.write(f"\n$ {' '.join(command)}\n".encode())
            log.flush()
            process = await self.start(command, log, environment)
            try:
                said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
            except TimeoutError:
                raise StepFailed(f"{' '.join(command)} does not end within {PATIENCE:.0f} s") from None
            finally:
                kill_group(process)
            log.write(said)
        if process.returncode:
            raise StepFailed(f"{' '.join(command)} ended with {process.returncode}")
        return said.decode(errors="replace")

    async def start(
        self, command: Sequence[str], log: Any, environment: Mapping[str, str] | None = None
    ) -> asyncio.subprocess.Process:
        """Starts a command in a group of its own; stdin and stdout are pipes, stderr is the log."""
        program = shutil.which(command[0]) or str(self.folder / command[0])
        given = {name: value for name, value in os.environ.items() if not name.startswith("TESSERACT_")}
        if os.environ.get("CI"):
            given |= ONCE
        return await asyncio.create_subprocess_exec(
            program, *command[1:],
            cwd=self.folder, env={**given, **(environment or {})}, start_new_session=True, limit=1 << 24,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
        )  # fmt: skip

    def tail(self, lines: int = 30) -> str:
        """The end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _filled(word: str, words: Mapping[str, str]) -> str:
    for name, value in words.items():
        word = word.replace(f"{{{name}}}", value)
    return word


def kill_group(process: asyncio.subprocess.Process) -> None:
    """Ends a process and those that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
