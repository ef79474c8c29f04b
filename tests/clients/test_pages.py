"""docs/CLIENTS.md: what it shows is what is executed, and who executes it can fail."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.clients.programs import LANGUAGES
from tesseract_grpc._proto.tesseract.v1 import value_pb2
from tesseract_grpc.client import MirrorBookmark
from tests.clients import pages
from tests.clients.pages import PAGE, ROOT, PageFailed, Project, output, projects
from tests.test_docs import FENCE, broken_links

TEXT = PAGE.read_text()
FOUND = projects(TEXT)
SPAN = re.compile(r"`([^`]+)`")


def test_every_language_has_a_program_and_commands() -> None:
    assert set(FOUND) == set(LANGUAGES)
    assert all(project.files and project.steps for project in FOUND.values())


def test_every_block_of_the_page_is_executed() -> None:
    executed = sum(len(project.files) + len(project.steps) for project in FOUND.values()) + 1  # what they print
    assert len(FENCE.findall(TEXT)) == executed


@pytest.mark.parametrize(
    "path",
    sorted([*(ROOT / "clients").glob("*.md"), *(ROOT / "clients").glob("*/README.md")]),
    ids=lambda p: p.parent.name,
)
def test_links_of_the_clients_lead_somewhere(path: Path) -> None:
    assert broken_links(path, path.read_text()) == []


def test_programs_have_the_same_six_steps() -> None:
    steps = {
        language: re.findall(r"(?:#|//) (\d\. [^\n]+)", "\n".join(project.files.values()))
        for language, project in FOUND.items()
    }
    assert len(steps["python"]) == 6
    assert [language for language in LANGUAGES if steps[language] != steps["python"]] == []


def test_calls_side_by_side_stand_in_the_programs() -> None:
    table = re.search(r"(?:^\|.*\n)+", TEXT[TEXT.index("Side by side") :], re.MULTILINE)
    assert table is not None
    header, _, *rows = table[0].splitlines()
    languages = [cell.strip().lower() for cell in header.split("|")[2:-1]]
    assert languages == list(LANGUAGES)
    assert len(rows) >= 10
    for row in rows:
        for language, cell in zip(languages, row.split("|")[2:-1], strict=True):
            code = "\n".join(FOUND[language].files.values())
            spans = SPAN.findall(cell)
            assert spans, row
            assert [span for span in spans if span.lstrip("*") not in code] == [], row


def test_packages_are_called_as_they_are() -> None:
    assert (
        (ROOT / "clients/go/go.mod")
        .read_text()
        .startswith("module github.com/tesseract-grpc/tesseract-grpc/clients/go")
    )
    for path, name in (
        ("clients/rust/Cargo.toml", 'name = "tesseract-grpc-client"'),
        ("clients/java/pom.xml", "<artifactId>tesseract-grpc-client</artifactId>"),
        ("clients/typescript/package.json", '"name": "@tesseract-grpc/client"'),
        ("pyproject.toml", 'name = "tesseract-grpc"'),
    ):
        assert name in (ROOT / path).read_text()


def test_program_in_python_runs_twice() -> None:
    """Without the installation, which `python -m tests.clients.pages python` makes."""
    command = f"{sys.executable} start.py"
    pages.run("python", Project(FOUND["python"].files, [(command, "")]), output(TEXT))


@pytest.mark.parametrize(
    ("command", "expected"), [("echo other", "one\n"), ("echo one; false", "one\n"), ("no-such-compiler", "")]
)
def test_a_program_that_fails_or_prints_something_else_is_noticed(command: str, expected: str) -> None:
    with pytest.raises(PageFailed, match="does not print what it should"):
        pages.run("python", Project({}, [(command, "")]), expected or "one\n")


@pytest.mark.parametrize("damage", ["no token", "other rows", "other bytes"])
def test_a_bookmark_of_another_form_is_noticed(damage: str) -> None:
    types = {"id": value_pb2.DATA_TYPE_INT64, "name": value_pb2.DATA_TYPE_STRING, "age": value_pb2.DATA_TYPE_INT64}
    good = MirrorBookmark(7, "e", b"t", pages.BOOKMARKED, 2, types, ("id",))
    pages.check_bookmark("x", good.to_bytes())
    wrong = {"no token": replace(good, token=b""), "other rows": replace(good, rows=pages.BOOKMARKED[1:])}
    data = wrong[damage].to_bytes() if damage in wrong else unknown_field(good.to_bytes())
    with pytest.raises(PageFailed, match="of another form"):
        pages.check_bookmark("x", data)


def unknown_field(data: bytes) -> bytes:
    """The same with a field in its first message that nobody knows."""
    added = bytes([0xA0, 0x06, 1])  # field 100
    return bytes([data[0] + len(added)]) + data[1 : data[0] + 1] + added + data[data[0] + 1 :]


def test_a_program_is_run_beside_this_repository() -> None:
    commands = "test x = $(cat a/b.txt)\ntail -n 1 ../tesseract-grpc/LICENSE"
    expected = (ROOT / "LICENSE").read_text().splitlines()[-1] + "\n"
    pages.run("python", Project({"a/b.txt": "x"}, [(commands, "")]), expected)


def test_a_language_without_toolchain_fails_in_ci_and_is_loud_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pages.Client, "lacks", lambda _: "there is no compiler")
    monkeypatch.delenv("CI", raising=False)
    assert pages.main(["python"]) == 0
    monkeypatch.setenv("CI", "true")
    assert pages.main(["python"]) == 1
    assert capsys.readouterr().out.count("python DID NOT RUN: there is no compiler") == 2
