"""The documents are tested, so that they cannot drift.

Every Python block of README.md and docs/*.md says in a comment before it what becomes of it: `<!-- run -->` runs it
here, word for word, against a real server in this process (its address takes the place of localhost:50051);
`<!-- not run: why -->` does not. Every RPC, reason, configuration option and command is documented, no document
speaks of one that does not exist, and every link between files leads somewhere.
"""

import re
import runpy
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import click
import pytest

import tesseract_grpc.client
import tesseract_grpc.testing
from tesseract_grpc import __version__
from tesseract_grpc._proto.tesseract.v1 import (
    diagnosis_service_pb2,
    hub_service_pb2,
    session_service_pb2,
    table_service_pb2,
)
from tesseract_grpc.cli.main import COMMANDS, cli
from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.server.config import options
from tesseract_grpc.testing import running_server

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!-- (run|not run: [^\n]+) -->\n\Z")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
MAKE = re.compile(r"\bmake ([a-z]+(?:-[a-z]+)*)\b")
DEFAULT_ADDRESS = "localhost:50051"


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: str
    line: int
    language: str
    code: str
    mark: str  # what the comment before it says; empty when there is none

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str, text: str) -> Iterator[Block]:
    for match in FENCE.finditer(text):
        before = text[: match.start()]
        mark = MARK.search(before)
        yield Block(page, before.count("\n") + 1, match[1], match[2], mark[1] if mark else "")


def python_blocks() -> list[Block]:
    pages = ((str(path.relative_to(ROOT)), path.read_text()) for path in PAGES)
    return [block for name, text in pages for block in blocks_of(name, text) if block.language == "python"]


@pytest.mark.parametrize("block", [block for block in python_blocks() if block.mark == "run"], ids=str)
def test_python_block_runs(block: Block, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    with running_server() as server:
        # The line numbers of a failure are those of the page.
        script.write_text("\n" * block.line + block.code.replace(DEFAULT_ADDRESS, server.address))
        runpy.run_path(str(script), run_name="__main__")


def test_python_blocks_say_whether_they_run() -> None:
    assert [str(block) for block in python_blocks() if not block.mark] == []


def test_readme_example_runs_and_fits_a_screen() -> None:
    example = next(block for block in python_blocks() if block.page == "README.md" and block.mark == "run")
    assert len(example.code.splitlines()) <= 40
    assert DEFAULT_ADDRESS in example.code


def test_marks_are_read() -> None:
    text = "<!-- run -->\n```python\na\n```\n\n```python\nb\n```\n<!-- not run: a sketch -->\n```python\nc\n```\n"
    text += "```sh\nd\n```\n"
    found = [(block.language, block.line, block.mark) for block in blocks_of("x.md", text)]
    assert found == [("python", 2, "run"), ("python", 6, ""), ("python", 10, "not run: a sketch"), ("sh", 13, "")]


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def leads_somewhere(link: str, path: Path, text: str) -> bool:
    """Whether a link of a page leads to a file of ours, and its anchor to a heading there."""
    name, _, anchor = link.partition("#")
    target = (path.parent / name).resolve() if name else path
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or target.suffix != ".md" or anchor in anchors(target.read_text() if name else text)


def broken_links(path: Path, text: str) -> list[str]:
    """The links of a page that lead to no file, or to no heading of one."""
    links = [link for link in LINK.findall(FENCE.sub("", text)) if "://" not in link]
    return [link for link in links if not leads_somewhere(link, path, text)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    assert broken_links(path, path.read_text()) == []


def test_broken_links_are_noticed() -> None:
    page = ROOT / "README.md"
    text = "# A b\n[1](docs/NO.md) [2](#a-b) [3](#no) [4](https://x.y) [5](LICENSE) [6](README.md#nowhere) [7](../x)"
    assert broken_links(page, text) == ["docs/NO.md", "#no", "README.md#nowhere", "../x"]


SERVICES = [
    module.DESCRIPTOR.services_by_name[name]
    for module, name in (
        (table_service_pb2, "TableService"),
        (session_service_pb2, "SessionService"),
        (hub_service_pb2, "HubService"),
        (diagnosis_service_pb2, "DiagnosisService"),
    )
]


def test_api_page_lists_the_rpcs() -> None:
    listed = set(re.findall(r"^\| `(\w+Service\.\w+)` \|", (DOCS / "API.md").read_text(), re.MULTILINE))
    assert listed == {f"{service.name}.{method.name}" for service in SERVICES for method in service.methods}


def test_error_page_lists_the_reasons() -> None:
    listed = set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", (DOCS / "ERRORS.md").read_text(), re.MULTILINE))
    assert listed >= {reason.value for reason in Reason}


def test_configuration_page_lists_the_options() -> None:
    text = (DOCS / "CONFIGURATION.md").read_text()
    assert [option.flag for option in options() if f"`{option.flag}`" not in text] == []
    assert set(re.findall(r"`(--[a-z-]+)`", text)) - {option.flag for option in options()} <= {"--config"}


def test_api_page_lists_the_commands() -> None:
    listed = set(re.findall(r"^\| `tesseract-grpc ([\w-]+)", (DOCS / "API.md").read_text(), re.MULTILINE))
    assert listed == set(COMMANDS)


@pytest.mark.parametrize(
    "package", [tesseract_grpc.client, tesseract_grpc.testing], ids=lambda package: package.__name__
)
def test_api_page_names_the_client(package: ModuleType) -> None:
    page = (DOCS / "API.md").read_text() + (DOCS / "GUARANTEES.md").read_text()
    undocumented = [name for name in package.__all__ if not re.search(rf"\b{name}\b", page)]
    assert undocumented == []


def test_commands_in_shell_blocks_exist() -> None:
    lines = [line for path in PAGES for code in code_spans(path.read_text()) for line in code.splitlines()]
    used = [shlex.split(line, comments=True) for line in lines if line.startswith("tesseract-grpc ")]
    assert len(used) >= 4
    for _, name, *arguments in used:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None, name
        if isinstance(command, click.Group) and arguments:
            name, *arguments = arguments
            command = command.commands[name]
        known = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
        assert {word.partition("=")[0] for word in arguments if word.startswith("--")} <= known, name


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    mentioned = {target for path in PAGES for code in code_spans(path.read_text()) for target in MAKE.findall(code)}
    assert {"test", "demo"} <= mentioned
    assert mentioned <= targets


def code_spans(text: str) -> list[str]:
    """What a page sets as code: shell blocks and inline spans."""
    shell = [match[2] for match in FENCE.finditer(text) if match[1] == "sh"]
    return shell + re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def test_verification_runs_the_command_of_the_readme() -> None:
    assert "\nmake test" in (ROOT / "README.md").read_text()
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text()


def test_changelog_knows_this_version() -> None:
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()
