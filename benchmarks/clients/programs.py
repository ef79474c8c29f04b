"""The clients' programs: what their commands.json says, whether their toolchain is here, how they are built and run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

CLIENTS = Path(__file__).resolve().parent.parent.parent / "clients"
LANGUAGES = ("python", "go", "rust", "java", "typescript")
BUILD_SECONDS = 1_200.0
RUN_SECONDS = 300.0

_VERSION = re.compile(r"\d+(?:\.\d+)+|\d+")


class ProgramFailed(Exception):
    """A program of a client could not be built, or ended without an answer."""


@dataclass(frozen=True, slots=True)
class Client:
    """One directory of clients/, by its commands.json."""

    language: str
    commands: dict[str, Any]

    @classmethod
    def of(cls, language: str) -> Self:
        """The client of a language. Raises ProgramFailed when it says nothing of its programs."""
        path = CLIENTS / language / "commands.json"
        try:
            return cls(language, json.loads(path.read_text()))
        except (OSError, ValueError) as error:
            raise ProgramFailed(f"{path} cannot be read: {error}") from error

    def lacks(self) -> str:
        """What this machine lacks of the toolchain, in words; empty when it lacks nothing."""
        for tool in self.commands["toolchain"]:
            command, minimum = tool["command"], tool["minimum"]
            if shutil.which(command[0], path=None) is None and not (CLIENTS / self.language / command[0]).exists():
                return f"{command[0]} is not installed ({minimum} or newer is needed)"
            said = self._run(command, 60.0)
            found = _VERSION.search(said.stdout + said.stderr)
            if said.returncode or found is None:
                return f"{' '.join(command)} does not say its version"
            if _numbers(found[0]) < _numbers(minimum):
                return f"{command[0]} is {found[0]}, and {minimum} or newer is needed"
        return ""

    def build(self) -> None:
        """Builds the programs."""
        for command in self.commands["build"]:
            built = self._run(command, BUILD_SECONDS)
            if built.returncode:
                said = (built.stdout + built.stderr)[-2000:]
                raise ProgramFailed(f"{self.language}: {' '.join(command)} ended with {built.returncode}:\n{said}")

    def bench(self, mode: str, **arguments: object) -> dict[str, Any]:
        """Runs one mode of the bench program and returns its answer."""
        words = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
        ended = self._run([*self.commands["bench"], "--mode", mode, *words], RUN_SECONDS)
        lines = ended.stdout.splitlines()
        if ended.returncode or not lines:
            said = ended.stderr[-2000:]
            raise ProgramFailed(f"{self.language}: bench --mode {mode} ended with {ended.returncode}:\n{said}")
        answer: dict[str, Any] = json.loads(lines[-1])
        return answer

    def _run(self, command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=CLIENTS / self.language,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
