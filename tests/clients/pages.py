"""Every snippet of docs/CLIENTS.md is executed, as it stands: `python -m tests.clients.pages go rust ..`.

The page marks its blocks with a comment on the line before: `<!-- file: go/main.go -->` is a file of the project of a
language, and `<!-- run: go -->` the commands that make and run that project. They are executed in a new directory
beside one that is called `tesseract-grpc` and is this repository, with a server in the place of `localhost:50051`. The
program must print what the page says that all of them print (`<!-- prints -->`), also when it is run again; what
`<!-- run: go prints TEXT -->` marks is run after that, and prints something else.

A language whose toolchain is missing is skipped loudly, and fails where CI is set.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.clients.programs import LANGUAGES, Client, ProgramFailed
from benchmarks.wire.port import free_port
from benchmarks.wire.server import ServerProcess
from tesseract_grpc.client import InvalidRequest, MirrorBookmark

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "CLIENTS.md"
BLOCK = re.compile(
    r"<!-- (file|run|prints):? ?([^\n]*?) ?-->\n(?:<!-- not run: [^\n]+\n)?```\w*\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
ADDRESS, WEB = "localhost:50051", "localhost:8080"
BOOKMARK = "adults.bookmark"
BOOKMARKED = [{"id": 2, "name": "Alan", "age": 41}, {"id": 1, "name": "Ada", "age": 36}]
SECONDS = 1_500.0


@dataclass
class Project:
    """What the page says of one language."""

    files: dict[str, str] = field(default_factory=dict)
    steps: list[tuple[str, str]] = field(default_factory=list)
    """Commands, and what the last of them prints; empty for what all programs print."""


class PageFailed(Exception):
    """A program of the page does not do what the page says."""


def projects(text: str) -> dict[str, Project]:
    """The projects of a page."""
    found: dict[str, Project] = {}
    for kind, name, code in BLOCK.findall(text):
        if kind == "file":
            language, _, path = name.partition("/")
            found.setdefault(language, Project()).files[path] = code
        elif kind == "run":
            language, _, printed = name.partition(" prints ")
            found.setdefault(language, Project()).steps.append((code, printed and f"{printed}\n"))
    return found


def output(text: str) -> str:
    """What every program prints."""
    (found,) = [code for kind, _, code in BLOCK.findall(text) if kind == "prints"]
    return str(found)


def run(language: str, project: Project, expected: str) -> None:
    """Makes a project in a new directory, and runs everything twice against one server. Raises PageFailed."""
    web = f"127.0.0.1:{free_port()}"
    server = ServerProcess("--http-port", web.rpartition(":")[2], "--log-level", "warning")
    with tempfile.TemporaryDirectory(prefix=f"page-{language}-") as directory, server:
        (Path(directory) / "tesseract-grpc").symlink_to(ROOT)
        folder = Path(directory) / "start"
        folder.mkdir()
        for path, code in project.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(code.replace(ADDRESS, server.address).replace(WEB, web))
        share_builds(language, folder)
        for commands, printed in project.steps:
            execute(language, folder, commands, printed or expected)
            execute(language, folder, commands.splitlines()[-1], printed or expected)
        if (folder / BOOKMARK).exists():
            check_bookmark(language, (folder / BOOKMARK).read_bytes())


def check_bookmark(language: str, data: bytes) -> None:
    """Whether what a program has left in its file is what every client reads (clients/SAMPLES.md)."""
    bookmark = MirrorBookmark.from_bytes(data)
    if list(bookmark.rows) != BOOKMARKED or not bookmark.token or bookmark.to_bytes() != data:
        raise PageFailed(f"{language} left a bookmark of another form, or of other rows: {bookmark}, {data!r}")


def execute(language: str, folder: Path, commands: str, expected: str) -> None:
    """Runs commands, the last of which must print something."""
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    printed = COLOURS.sub("", ended.stdout).rstrip("\n") + "\n"  # Maven colours what it says
    if ended.returncode or not printed.endswith(expected):
        said = f"{ended.stdout[-2000:]}\n{ended.stderr[-4000:]}"
        raise PageFailed(f"{language} ended with {ended.returncode} and does not print what it should:\n{said}")


def share_builds(language: str, folder: Path) -> None:
    """Uses what has been built of the dependencies: the versions of the lock file, in one place for all."""
    if language == "rust":
        (folder / "Cargo.lock").write_bytes((ROOT / "clients" / "rust" / "Cargo.lock").read_bytes())


def environment() -> dict[str, str]:
    """Without what the tests of other things set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TESSERACT_")}
    return {**kept, "CARGO_TARGET_DIR": str(ROOT / "clients" / "rust" / "target" / "page")}


def main(languages: list[str]) -> int:
    """Runs the programs of these languages, or of all."""
    text, failed = PAGE.read_text(), 0
    found, expected = projects(text), output(text)
    for language in languages or LANGUAGES:
        try:
            lacks = Client.of(language).lacks()
            if lacks:
                said = f"{language} DID NOT RUN: {lacks}"
                failed += bool(os.environ.get("CI"))
            else:
                run(language, found[language], expected)
                said = f"{language}: every snippet runs"
        except (PageFailed, ProgramFailed, InvalidRequest) as failure:
            said = str(failure)
            failed += 1
        sys.stdout.write(f"docs/CLIENTS.md: {said}\n")
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
